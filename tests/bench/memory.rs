//! What a thousand live leases cost: memory, and time to be back after a reload.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::milliseconds;
use crate::process::resident;
use crate::support::case::Case;
use crate::support::server::Stage;

const LEASES: usize = 1000;
const CLIENTS: usize = 8;

pub async fn figures() {
    let case = Case::named("litellm");
    let stage = Stage::with(&case).await;
    println!("| figure | |\n|---|---|");
    println!("| resident memory, no lease | {} |", resident(&stage.server));
    reload(&stage, 0).await;
    let clients = (0..CLIENTS).map(|_| async {
        for _ in 0..LEASES / CLIENTS {
            stage.creds(&case).await;
        }
    });
    futures_util::future::join_all(clients).await;
    println!("| resident memory, {LEASES} leases | {} |", resident(&stage.server));
    reload(&stage, LEASES as u64).await;
    println!("| resident memory, {LEASES} leases, after the reload | {} |", resident(&stage.server));
}

/// From the order to reload, to its end, to the first read answered, to all rows being known again.
async fn reload(stage: &Stage, rows: u64) {
    let begun = Instant::now();
    stage.server.reload("ai").await;
    let reloaded = begun.elapsed();
    stage.server.read("ai/roles/litellm").await;
    let ready = begun.elapsed();
    while held(stage).await != rows {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let known = begun.elapsed();
    println!("| reload with {rows} leases: done | {} |", milliseconds(reloaded));
    println!("| … first read answered | {} |", milliseconds(ready));
    println!("| … every key in the sweep's index | {} |", milliseconds(known));
}

async fn held(stage: &Stage) -> u64 {
    let info = stage.server.read("ai/info").await;
    info["data"]["keys"].as_object().expect("counts").values().filter_map(Value::as_u64).sum()
}
