//! The sample applications, with the key that a real agent leaves them, through what happens to leases, agents, servers
//! and vendors.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::delivery::{Delivery, Way};
use self::scene::Scene;
use self::worker::{Language, Worker};
use crate::support::bench::eventually;

mod delivery;
mod litellm;
mod proxy;
mod scene;
mod static_role;
mod worker;

/// All at a time: they wait more than they work.
#[tokio::test]
async fn workers_outlive_their_keys_agents_servers_and_a_vendors_outage() {
    tokio::join!(
        story(Way::JsonFile, Language::Python),
        story(Way::EnvFile, Language::Node),
        story(Way::Exec(Language::Python), Language::Python),
        story(Way::Exec(Language::Node), Language::Node),
    );
}

/// Everything that happens to a worker in its life, one after the other. No call of it fails until an operator takes its
/// key away.
async fn story(way: Way, language: Language) {
    let Some(mut scene) = Scene::new().await else { return };
    // With a new key the old one lives on for a tenth of the ttl at least; in exec mode the agent needs some seconds of
    // that to start the program again.
    let (ttl, max_ttl) = if matches!(way, Way::Exec(_)) { ("50s", "55s") } else { ("12s", "20s") };
    scene.role(ttl, max_ttl).await;
    let mut delivery = Delivery::start(&scene, way).await;
    let mut worker = Worker::start(&delivery, language);
    eventually("a first call", async || worker.calls().iter().any(|call| call.ok)).await;

    let first = worker.last().key_id;
    scene.renewed_since(Value::Null).await;
    eventually("max_ttl brings a new key", async || worker.last().key_id != first).await;
    eventually("the old key ends with its lease", async || !scene.lives(&first).await).await;
    worker.goes_on().await;

    scene.role("6s", "1h").await;
    let before = worker.last().key_id;
    delivery.restart_agent(&scene);
    eventually("a restarted agent brings a new key", async || worker.last().key_id != before).await;

    scene.vendor_fails().await;
    for _ in 0..2 {
        scene.renewed_since(scene.last_renewal().await).await;
    }
    assert!(scene.vendor_has_failed().await, "the agent's renewals were to meet the outage");
    scene.vendor_answers().await;
    scene.renewed_since(scene.last_renewal().await).await;

    scene.role("30s", "1h").await;
    // Twice, since the first may have been on its way before.
    for _ in 0..2 {
        scene.renewed_since(scene.last_renewal().await).await;
    }
    let before = scene.last_renewal().await;
    scene.server.restart().await;
    scene.renewed_since(before).await;
    worker.goes_on().await;

    let calls = worker.calls();
    let failed: Vec<_> = calls.iter().filter(|call| !call.ok).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let retried = calls.iter().filter(|call| call.attempts > 1).count();
    println!("{language:?}, {way:?}: {} calls, 0 failed, {retried} tried again", calls.len());

    let taken = worker.last().key_id;
    let lease = scene.lease().await.expect("a lease");
    scene.server.write("sys/leases/revoke-prefix/ai/creds/app-dev", json!({"sync": true})).await;
    let revoked = std::time::Instant::now();
    eventually("a new key is in use", async || worker.last().ok && worker.last().key_id != taken).await;
    println!("{language:?}, {way:?}: a revoked key was replaced after {:?}", revoked.elapsed());
    let made = scene.made(&worker.last().key_id).await;
    assert!(made < lease.expires, "made at {made}, but the revoked lease of 30 s had lasted to {}", lease.expires);
    worker.ends_by_itself().await;
    delivery.stop();
    for text in [read(delivery.output()), scene.server.log()] {
        assert!(!text.contains("sk-svcacct-"), "a key is shown");
    }
}

fn vault_dev() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vault-dev")
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
