//! `library/<set>/status`: who has which key.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::keys::ledger::State;
use super::super::mount::AiMount;
use super::key::LibraryKey;
use super::set::LibrarySet;
use super::sets::SetName;
use crate::base::rfc3339;
use crate::framework::{Call, Path};
use crate::logical::{Object, Operation, Response, Result};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("library/{name}/status", "Who has which key of a set.")
            .describe(
                "Each key by its id at the vendor: whether it is available, and who has it. A key that was found switched on\nwhile nobody had it, or that is not at the vendor any more, is quarantined: it is lent to nobody until it is\nwritten to library/<set>/keys/<key_id> again.",
            )
            .on(Operation::Read, "Who has which key of a set.", status),
    ]
}

async fn status(mount: Arc<AiMount>, arguments: SetName, _: Call) -> Result<Response> {
    let name = &arguments.name.0;
    LibrarySet::need(&mount, name).await?;
    let mut data = Object::new();
    for key in LibraryKey::all(&mount, name).await? {
        data.insert(key.id.clone(), shown(&mount, &key).await?);
    }
    Ok(Response::data(data))
}

/// A key as everybody may see it.
pub async fn shown(mount: &AiMount, key: &LibraryKey) -> Result<Value> {
    let out = key.out(mount).await?;
    let state = match (&out, &key.quarantine) {
        (_, Some(_)) => "quarantined",
        (Some(row), _) if row.state == State::Revoking => "returning",
        (Some(_), _) => "checked out",
        (None, _) => "available",
    };
    let mut shown = json!({"available": state == "available", "state": state});
    if let Some(row) = out.filter(|row| row.state != State::Revoking) {
        shown["borrower_entity_id"] = json!(row.entity);
        shown["borrower_display_name"] = json!(row.caller);
        shown["borrower_accessor"] = json!(row.accessor);
        shown["checked_out"] = json!(rfc3339(row.created));
        shown["expires_at"] = json!(rfc3339(row.deadline));
    }
    if let Some(quarantine) = &key.quarantine {
        shown["quarantined"] = json!(rfc3339(quarantine.since));
        shown["quarantined_because"] = json!(quarantine.why);
    }
    Ok(shown)
}
