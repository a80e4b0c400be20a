//! `info`: what runs here, for whoever has to report a problem.

use std::sync::Arc;

use serde_json::json;

use super::super::keys::ledger::State;
use super::super::mount::AiMount;
use crate::framework::{Call, Path};
use crate::logical::{Object, Operation, Response, Result};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("info", "Read what runs here.")
            .describe("The plugin's version, this mount's tag (the first part of the name of every key that it makes), whether this\nnode writes, and how many keys the ledger holds by state (only on the node that writes).")
            .on(Operation::Read, "Read what runs here.", read),
    ]
}

async fn read(mount: Arc<AiMount>, (): (), _: Call) -> Result<Response> {
    let writer = mount.is_writer().await?;
    let mut data = Object::new();
    for (name, value) in [
        ("version", json!(concat!("v", env!("CARGO_PKG_VERSION")))),
        ("host_version", json!(mount.system.host_version().await?)),
        ("mount_uuid", json!(mount.uuid())),
        ("tag", json!(mount.tag)),
        ("writer", json!(writer)),
        ("uptime", json!(mount.uptime().as_secs())),
    ] {
        data.insert(name.into(), value);
    }
    if writer {
        let held = mount.ledger.held();
        let count = |state| held.iter().filter(|(_, held)| held.state == state).count();
        data.insert(
            "keys".into(),
            json!({"minting": count(State::Minting), "live": count(State::Live), "revoking": count(State::Revoking)}),
        );
    }
    Ok(Response::data(data))
}
