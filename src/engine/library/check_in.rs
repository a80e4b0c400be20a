//! `library/<set>/check-in` and `library/manage/<set>/check-in`: keys given back before their leases end.

use std::sync::Arc;

use serde_json::json;

use super::super::keys::at_vendor::end_row;
use super::super::keys::ledger::{Row, State};
use super::super::mount::AiMount;
use super::key::LibraryKey;
use super::set::LibrarySet;
use crate::form;
use crate::framework::{Call, Path};
use crate::logical::{Error, Object, Operation, Request, Response, Result};
use crate::schema::{Invalid, Kind, Name};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("library/manage/{name}/check-in", "Check in keys, whoever has them.")
            .describe("Takes keys back from whoever has checked them out, and switches them off where the set has a config.")
            .on(Operation::Update, "Check in keys, whoever has them.", manage),
        Path::new("library/{name}/check-in", "Check in keys that the caller has checked out.")
            .describe(
                "Gives keys back before their leases end. Only who has checked a key out may check it in, by the same entity or\nthe same token, unless the set has disable_check_in_enforcement. The leases stay in Vault until they end, and\ncannot be renewed.",
            )
            .on(Operation::Update, "Check in keys.", check_in),
    ]
}

form! {
    /// Which keys are given back.
    pub struct CheckInArgs {
        /// Name of the library set.
        name: Name,
        /// Ids of the keys, as check-out answered with them.
        #[default("the one key that the caller has checked out")]
        key_ids: Option<Vec<String>>,
    }
}

async fn check_in(mount: Arc<AiMount>, arguments: CheckInArgs, call: Call) -> Result<Response> {
    let set = LibrarySet::need(&mount, &arguments.name.0).await?;
    let anybody = set.disable_check_in_enforcement;
    take_back(&mount, arguments, |row| anybody || is_borrower(row, &call.request)).await
}

async fn manage(mount: Arc<AiMount>, arguments: CheckInArgs, _: Call) -> Result<Response> {
    LibrarySet::need(&mount, &arguments.name.0).await?;
    take_back(&mount, arguments, |_| true).await
}

/// By entity or by token; nobody is a borrower by having neither.
fn is_borrower(row: &Row, request: &Request) -> bool {
    let same = |one: &str, other: &str| !one.is_empty() && one == other;
    same(&row.entity, &request.entity_id) || same(&row.accessor, &request.accessor)
}

async fn take_back(mount: &AiMount, arguments: CheckInArgs, may: impl Fn(&Row) -> bool) -> Result<Response> {
    let set = arguments.name.0;
    let mut rows = Vec::new();
    match arguments.key_ids {
        Some(ids) => {
            for id in ids {
                Kind::Name.parse(&json!(id)).map_err(|problem| Invalid::new("key_ids", problem))?;
                let key = LibraryKey::get(mount, &set, &id).await?;
                let key = key.ok_or_else(|| Invalid::new("key_ids", format!("no key {id:?} in this set")))?;
                match key.out(mount).await? {
                    Some(row) if !may(&row) => {
                        return Err(Error::Denied(format!("key {id:?} was not checked out by the caller")));
                    }
                    Some(row) => rows.push((id, row)),
                    // It is back already.
                    None => {}
                }
            }
        }
        None => {
            for key in LibraryKey::all(mount, &set).await? {
                let row = key.out(mount).await?.filter(|row| row.state != State::Revoking && may(row));
                rows.extend(row.map(|row| (key.id, row)));
            }
            if rows.len() > 1 {
                let problem = format!("is required where more than one key is checked out, here {}", rows.len());
                return Err(Invalid::new("key_ids", problem).into());
            }
        }
    }
    let mut warnings = Vec::new();
    let mut check_ins = Vec::new();
    if let Some((id, _)) = rows.iter().find(|(_, row)| mount.running.contains(&row.id)) {
        return Err(Error::Conflict(format!("key {id:?} is being checked out right now: try again")));
    }
    for (id, row) in rows {
        let _lock = mount.ledger.locks.write(&row.id).await;
        // Looked at again under the lock: its lease may have ended.
        let ended = match mount.ledger.get(&row.id).await? {
            Some(row) => end_row(mount, row).await,
            None => Ok(()),
        };
        match ended {
            Ok(()) => {}
            // It is on its way back, and the sweep goes on.
            Err(error @ (Error::Refused(_) | Error::Busy(_) | Error::Unavailable(_) | Error::OutcomeUnknown(_))) => {
                warnings.push(format!("key {id:?} is lent to nobody before the vendor has switched it off: {error}"));
            }
            Err(error) => return Err(error),
        }
        check_ins.push(id);
    }
    let data = Object::from_iter([("check_ins".to_owned(), json!(check_ins))]);
    Ok(Response::data(data).with_warnings(warnings))
}
