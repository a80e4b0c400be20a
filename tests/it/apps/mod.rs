//! The sample applications, with the key that a real agent leaves them, through what happens to leases, agents, servers
//! and vendors.

use serde_json::{Value, json};

use self::agent::{Agent, Delivery};
use self::scene::Scene;
use self::worker::{Language, Worker};
use crate::support::bench::eventually;

mod agent;
mod litellm;
mod proxy;
mod scene;
mod worker;

/// All at a time: they wait more than they work.
#[tokio::test]
async fn workers_outlive_their_keys_agents_servers_and_a_vendors_outage() {
    tokio::join!(
        story(Delivery::JsonFile, Language::Python),
        story(Delivery::EnvFile, Language::Node),
        story(Delivery::Exec(Language::Python), Language::Python),
        story(Delivery::Exec(Language::Node), Language::Node),
    );
}

/// Everything that happens to a worker in its life, one after the other. No call of it fails until an operator takes its
/// key away.
async fn story(delivery: Delivery, language: Language) {
    let mut scene = Scene::new().await;
    // With a new key the old one lives on for a tenth of the ttl at least; in exec mode the agent needs some seconds of
    // that to start the program again.
    let (ttl, max_ttl) = if matches!(delivery, Delivery::Exec(_)) { ("50s", "55s") } else { ("12s", "20s") };
    scene.role(ttl, max_ttl).await;
    let mut agent = Agent::start(&scene, delivery).await;
    let mut worker = Worker::start(&agent, language);
    eventually("a first call", async || worker.calls().iter().any(|call| call.ok)).await;

    let first = worker.last().key_id;
    scene.renewed_since(Value::Null).await;
    eventually("max_ttl brings a new key", async || worker.last().key_id != first).await;
    eventually("the old key ends with its lease", async || !scene.lives(&first).await).await;
    worker.goes_on().await;

    scene.role("6s", "1h").await;
    let before = worker.last().key_id;
    agent.restart(&scene).await;
    eventually("a restarted agent brings a new key", async || worker.last().key_id != before).await;

    scene.vendor_fails().await;
    for _ in 0..2 {
        scene.renewed_since(scene.last_renewal().await).await;
    }
    scene.vendor_answers().await;
    scene.renewed_since(scene.last_renewal().await).await;

    scene.role("30s", "1h").await;
    // Twice, since the first may have been on its way before.
    for _ in 0..2 {
        scene.renewed_since(scene.last_renewal().await).await;
    }
    let before = scene.last_renewal().await;
    scene.restart_server().await;
    scene.renewed_since(before).await;
    worker.goes_on().await;

    let calls = worker.calls();
    let failed: Vec<_> = calls.iter().filter(|call| !call.ok).collect();
    assert!(failed.is_empty(), "{failed:?}");
    let retried = calls.iter().filter(|call| call.attempts > 1).count();
    println!("{language:?}, {delivery:?}: {} calls, 0 failed, {retried} tried again", calls.len());

    let taken = worker.last().key_id;
    let lease = scene.lease().await;
    scene.server.write("sys/leases/revoke-prefix/ai/creds/app-dev", json!({"sync": true})).await;
    let revoked = std::time::Instant::now();
    eventually("a new key is in use", async || worker.last().ok && worker.last().key_id != taken).await;
    println!("{language:?}, {delivery:?}: a revoked key was replaced after {:?}", revoked.elapsed());
    let made = scene.made(&worker.last().key_id).await;
    assert!(made < lease.expires, "made at {made}, but the revoked lease of 30 s had lasted to {}", lease.expires);
    worker.ends_by_itself().await;
    agent.shows_no_key(&scene).await;
}
