//! Keys that no lease holds: made to be held by a config or a static role, and let go of one day.

use std::sync::Arc;

use tokio::sync::OwnedRwLockReadGuard;

use super::super::accounts::Account;
use super::super::keys::ledger::{AccountId, KeyRecord, Row, RowKind, State};
use super::super::keys::{Asked, Mint, check_plain, naming};
use super::super::mount::AiMount;
use super::super::step::step;
use crate::base::Time;
use crate::logical::{Error, Result};
use crate::providers::{Issued, Purpose, Ref, Scope};

/// A key that is wanted.
pub struct Wanted<'a> {
    pub kind: RowKind,
    pub purpose: Purpose,
    /// The static role that will hold it; empty for a config's own credential.
    pub role: &'a str,
    /// Middle part of its name at the vendor.
    pub middle: &'a str,
    pub scope: &'a Scope,
    /// The vendor's own expiry.
    pub until: Option<Time>,
    /// The key that must go on working beside it.
    pub keeps: Option<&'a Ref>,
}

/// Makes a key. `config_lock` is the account's, read under it: whoever retires that generation sees the row. `store` puts the key where its holder finds it, before its row says that it is held: until then a sweep takes it
/// for one that nobody got, unless it asks the holder.
pub async fn make<T>(
    mount: &AiMount,
    account: &Arc<Account>,
    config_lock: OwnedRwLockReadGuard<()>,
    wanted: &Wanted<'_>,
    store: impl AsyncFnOnce(&Row, Issued) -> Result<T>,
) -> Result<T> {
    let id = naming::new_id(mount.rng.as_ref());
    let name = naming::name(&mount.tag, wanted.middle, &id, account.vendor.about().name_limit).0;
    let of = account.id();
    let row = Row::new(id, wanted.kind, of, mount.clock.now());
    let row = Row { role: wanted.role.to_owned(), name, vendor_expiry: wanted.until, ..row };
    let mut mint = Mint::start(mount, row).await?;
    drop(config_lock);
    let Wanted { purpose, scope, until, keeps, .. } = *wanted;
    let issued = mint.issue(account, &account.signer(mount), Asked { purpose, scope, until, keeps }).await?;
    let secret = issued.secret.clone();
    let ending = || Error::Unavailable("this mount is being disabled: the key was deleted again".into());
    let stored = match check_plain(&issued) {
        Ok(()) if mount.running.draining() => Err(ending()),
        Ok(()) => store(&mint.row, issued).await,
        Err(error) => Err(error),
    };
    let stored = stored.and_then(|stored| if mount.running.draining() { Err(ending()) } else { Ok(stored) });
    let stored = match stored {
        Ok(stored) => stored,
        Err(error) => {
            mint.undo(account, &secret).await;
            return Err(error);
        }
    };
    step("rotate.after-pending").await;
    // Who has it may have let it go since.
    let held = match &mint.row.key {
        Some(key) => adopt(mount, &mint.row.id, key, mint.row.vendor_expiry).await?,
        None => false,
    };
    step("rotate.after-live").await;
    if held { Ok(stored) } else { Err(Error::Conflict("the key was let go again while it was made: try again".into())) }
}

/// Makes sure that the row of a key whose holder has it says so. False where the key is being ended.
pub async fn adopt(mount: &AiMount, id: &str, key: &KeyRecord, expires: Option<Time>) -> Result<bool> {
    let _lock = mount.ledger.locks.write(id).await;
    let Some(mut row) = mount.ledger.get(id).await? else { return Ok(false) };
    if row.state == State::Minting {
        row.state = State::Live;
        row.key = Some(key.clone());
        row.vendor_expiry = expires;
        mount.ledger.put(&row).await?;
    }
    Ok(row.state == State::Live)
}

/// Has the sweep end a key. One that somebody else made has no row: it gets one that says what is to be done. Returns the
/// row; none where nobody knows which key it is.
pub async fn let_go(
    mount: &AiMount,
    kind: RowKind,
    of: &AccountId,
    id: Option<&str>,
    key: Option<&KeyRecord>,
) -> Result<Option<String>> {
    match (id, key) {
        (Some(id), key) if key.is_none() || mount.ledger.has(id).await? => {
            mount.ledger.let_go(id, key.cloned()).await?;
            Ok(Some(id.to_owned()))
        }
        (_, Some(key)) => {
            let id = naming::new_id(mount.rng.as_ref());
            let row = Row::new(id, kind, of.clone(), mount.clock.now());
            let row = Row { state: State::Revoking, key: Some(key.clone()), ..row };
            mount.ledger.put(&row).await?;
            Ok(Some(row.id))
        }
        (_, None) => {
            tracing::warn!(
                mount = mount.tag,
                config = of.config,
                "a key was replaced that this mount cannot delete: do it at the vendor"
            );
            Ok(None)
        }
    }
}
