//! The figures of the release build on a real server, printed as tables; nothing here asserts on time.
//! Latencies are told apart by their ratio to the server's own leased read, taken in the same rounds: the machine
//! and its load are in both. How to read the tables is in docs/benchmarks.md.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a figure that cannot be taken ends the run
#![allow(clippy::print_stdout)] // the tables

mod latency;
mod memory;
mod process;
#[allow(dead_code)] // the tests use the rest of it
#[path = "../it/support/mod.rs"]
mod support;
mod vendor;

use std::time::Duration;

use latency::latency;
use support::node::{BINARY, free_port};
use support::server::Stage;

/// Rounds of a run with one client, and of each of eight.
const ROUNDS: (usize, usize) = (300, 60);
/// Rounds on a storage that syncs its disk for each write.
const SYNCED_ROUNDS: (usize, usize) = (100, 25);

#[tokio::main]
async fn main() {
    let version = std::process::Command::new(&*BINARY).arg("version").output().expect("the server's binary runs");
    println!("On {}", String::from_utf8_lossy(&version.stdout).trim());
    if std::env::var_os("PLUGIN_BIN").is_none() {
        println!("This is not the release build of the plugin: run scripts/bench.");
    }

    println!("\n## The process\n");
    process::figures().await;

    println!("\n## Latency, storage in memory\n");
    latency(&Stage::new().await, ROUNDS).await;

    println!("\n## Latency, raft storage on disk, one node\n");
    let raft = format!(
        "storage \"raft\" {{\n path = \"raft\"\n node_id = \"one\"\n}}\ncluster_addr = \"http://127.0.0.1:{}\"\n",
        free_port()
    );
    latency(&Stage::with_settings(&raft).await, SYNCED_ROUNDS).await;

    println!("\n## A thousand leases\n");
    memory::figures().await;
}

/// The sample that this share of all is not above. Sorts.
fn quantile(samples: &mut [Duration], share: f64) -> Duration {
    samples.sort_unstable();
    samples[((samples.len() - 1) as f64 * share).round() as usize]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
