//! Keys that are replaced while they are in use: the credentials of configs, and the keys of static roles.

mod admin_key;
mod due;
mod elsewhere;
mod held;
mod import;
mod kept;
mod proof;
mod replace;
mod root;
mod schedule;
mod slots;
mod static_role;
mod static_roles;

pub use admin_key::AdminKey;
pub use due::{Rotations, tend};
pub use elsewhere::{digest_of, is_needed};
pub use kept::is_kept;
pub use root::{check, in_use_last, retire, show};
pub use schedule::{Schedule, ScheduleChange};

use super::keys::ledger::{Row, RowKind, State};
use super::mount::AiMount;
use crate::framework::Path;
use crate::logical::Result;

pub fn paths() -> Vec<Path<AiMount>> {
    let mut paths = root::paths();
    paths.extend(static_roles::paths());
    paths
}

/// Whether a static role has taken over the key of this row, whose lease is over: it is the role's alone from then on. To be
/// called with the row's lock held.
pub async fn keep_taken(mount: &AiMount, row: &Row) -> Result<bool> {
    let Some(role) = row.taken_by.clone().filter(|_| row.state != State::Revoking) else { return Ok(false) };
    if holder(mount, row).await?.is_none() {
        return Ok(false);
    }
    mount.ledger.put(&Row { kind: RowKind::Static, role, taken_by: None, ..row.clone() }).await?;
    Ok(true)
}

/// What holds the key of this row, in words; none where nothing does.
pub async fn holder(mount: &AiMount, row: &Row) -> Result<Option<String>> {
    let (name, config) = (&row.role, &row.config);
    let static_key = |name: &str| format!("the key of static role {name:?}, which rotate-role/{name} replaces");
    if let Some(name) = &row.taken_by {
        let role = replace::stored(mount, name).await?;
        return Ok(role.filter(|role| role.holds(&row.id)).map(|_| static_key(name)));
    }
    Ok(match row.kind {
        RowKind::Admin if root::holds(mount, row).await? => {
            Some(format!("the credential of config {config:?}, which config/{config}/rotate-root replaces"))
        }
        RowKind::Static if replace::stored(mount, name).await?.is_some_and(|role| role.holds(&row.id)) => {
            Some(static_key(name))
        }
        RowKind::Lease | RowKind::Token | RowKind::Library | RowKind::Admin | RowKind::Static => None,
    })
}
