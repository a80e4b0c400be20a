//! `keys/`: the inventory, read out of the ledger. Never a secret.

use std::sync::Arc;

use serde_json::json;

use super::super::keys::at_vendor::{end, end_by_name, end_row, is_settled, list as list_vendor};
use super::super::keys::ledger::{Row, RowKind, State};
use super::super::mount::AiMount;
use super::super::rotation;
use super::super::times::VENDOR_BUDGET;
use super::super::upstream;
use crate::base::rfc3339;
use crate::form;
use crate::framework::{Call, ListArgs, Path};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::KeyName;
use crate::schema::Name;

/// Most keys of a list that are each looked at, 0.15 ms each: a list must not take long.
const INFO_LIMIT: usize = 500;
const LEASE_STAYS: &str = "the key's lease stays in Vault until it is revoked or ends";

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("keys/", "List the keys that this mount has made and that are not confirmed gone.").on(
            Operation::List,
            "List the keys.",
            list,
        ),
        Path::new("keys/{id}", "Look at one key, or end it now.")
            .describe(
                "state is minting (the vendor is being asked, or its answer was lost), live, or revoking (its revocation\nfailed and is tried again). DELETE deletes the key at the vendor now; its lease stays in Vault until it ends.\nOne that a config or a static role holds is replaced there, and not deleted here; one of a library is switched off.\nforce=true drops the row only, for a vendor account that is gone for good.",
            )
            .on(Operation::Read, "Look at a key.", read)
            .on(Operation::Delete, "Delete a key at the vendor now.", delete),
    ]
}

form! {
    /// The id alone.
    pub struct KeyId {
        /// Id of the key in this mount: the last part of its name at the vendor.
        id: Name,
    }
}

form! {
    /// How to end a key.
    pub struct DeleteArgs {
        /// Id of the key in this mount: the last part of its name at the vendor.
        id: Name,
        /// Drop the row without asking the vendor. The key may live on there.
        #[default("false")]
        force: bool,
    }
}

async fn list(mount: Arc<AiMount>, arguments: ListArgs, _: Call) -> Result<Response> {
    let ids = mount.ledger.ids(&arguments).await?;
    let mut info = Object::new();
    if ids.len() > INFO_LIMIT {
        let warning =
            format!("key_info is left out of more than {INFO_LIMIT} keys: list them in pages, with limit and after");
        return Ok(Response::list(ids, info).with_warnings([warning]));
    }
    for id in &ids {
        if let Some(row) = mount.ledger.get(id).await? {
            let about = json!({
                "role": row.role, "config": row.config, "kind": row.kind, "state": row.state, "deadline": deadline(&row),
            });
            info.insert(id.clone(), about);
        }
    }
    Ok(Response::list(ids, info))
}

async fn read(mount: Arc<AiMount>, arguments: KeyId, _: Call) -> Result<Response> {
    Ok(mount.ledger.get(&arguments.id.0).await?.map(|row| Response::data(shown(&row))).unwrap_or_default())
}

async fn delete(mount: Arc<AiMount>, arguments: DeleteArgs, _: Call) -> Result<Response> {
    let id = arguments.id.0;
    let _lock = mount.ledger.locks.write(&id).await;
    let row = mount.ledger.get(&id).await?.ok_or_else(|| Error::NotFound(format!("no key {id:?}")))?;
    if mount.running.contains(&id) {
        return Err(Error::Conflict("this key is being made right now: try again".into()));
    }
    if row.state != State::Revoking
        && let Some(holder) = rotation::holder(&mount, &row).await?
    {
        return Err(Error::Invalid(format!("this key is {holder}, in use or about to be")));
    }
    if arguments.force {
        mount.ledger.delete(&id).await?;
        // A key of a library has no name of ours.
        let named = row.key.as_ref().map(|key| &key.id).filter(|_| row.name.is_empty()).unwrap_or(&row.name);
        let warning = format!("only the row was dropped: the key named {named:?} may live on at the vendor");
        return Ok(Response::default().with_warnings([warning]));
    }
    if row.state == State::Expiring {
        return Err(Error::Invalid(format!(
            "a token is not kept by its vendor and cannot be deleted there: it ends at {}; revoke its lease, where that ends it",
            rfc3339(row.deadline)
        )));
    }
    if row.kind == RowKind::Library {
        end_row(&mount, row).await?;
        return Ok(Response::default().with_warnings([LEASE_STAYS.to_owned()]));
    }
    let owner = mount.owner(&row.account()).await?;
    let refused = |fault| upstream::error(owner.account.vendor.as_ref(), fault, None);
    let Some(key) = row.key.clone() else {
        let listing = list_vendor(&mount, &owner, VENDOR_BUDGET).await.map_err(refused)?;
        let ended = end_by_name(&mount, &owner, &KeyName(row.name.clone()), &listing).await.map_err(refused)?;
        let expired = row.vendor_expiry.is_some_and(|expiry| mount.clock.now() > expiry);
        if ended == 0 && !expired {
            // Not found proves nothing yet.
            return Err(Error::Conflict(format!(
                "the vendor lists no key named {:?} yet: the sweep looks again, or force=true drops the row",
                row.name
            )));
        }
        mount.ledger.delete(&id).await?;
        return Ok(Response::default());
    };
    let gone = end(&mount, &owner, &key.into(), None).await.map_err(refused)?;
    if is_settled(&mount, &owner.account, &row, gone) {
        mount.ledger.delete(&id).await?;
    } else {
        mount.ledger.keep_for_the_sweep(row).await;
    }
    Ok(Response::default().with_warnings([LEASE_STAYS.to_owned()]))
}

/// When the key's lease ends; none where no lease holds it.
fn deadline(row: &Row) -> Option<String> {
    row.kind.has_deadline().then(|| rfc3339(row.deadline))
}

fn shown(row: &Row) -> Object {
    let mut data = Object::new();
    for (name, value) in [
        ("id", json!(row.id)),
        ("kind", json!(row.kind)),
        ("state", json!(row.state)),
        ("role", json!(row.role)),
        ("config", json!(row.config)),
        ("generation", json!(row.generation)),
        ("key_id", json!(row.key.as_ref().map(|key| &key.id))),
        ("key_name", json!(row.name)),
        ("created", json!(rfc3339(row.created))),
        ("deadline", json!(deadline(row))),
        ("vendor_expiry", json!(row.vendor_expiry.map(rfc3339))),
        ("entity_id", json!(row.entity)),
        ("display_name", json!(row.caller)),
        ("accessor", json!(row.accessor)),
        ("taken_by", json!(row.taken_by)),
    ] {
        data.insert(name.into(), value);
    }
    data
}
