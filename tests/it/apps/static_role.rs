//! A program that cannot lease, with the key of a static role as a real agent leaves it.

use serde_json::json;
use vault_plugin_secrets_ai::base::Time;

use super::delivery::{Delivery, Way};
use super::scene::Scene;
use super::worker::{Language, Worker};
use super::{read, vault_dev};
use crate::support::bench::eventually;
use crate::support::case::Case;

/// Somebody rotates at a moment that the agent cannot know of: it has the new key while the old one works.
#[tokio::test]
async fn an_agent_brings_the_next_key_before_the_one_before_ends() {
    let Some(scene) = Scene::new().await else { return };
    let server = &scene.server;
    let mut role = Case::named("openai").role("openai");
    role["rotation_period"] = "720h".into();
    role["overlap"] = "1m".into();
    server.write("ai/static-roles/app-legacy", role).await;
    let policy = read(&vault_dev().join("policies/app-legacy.hcl"));
    server.write("sys/policies/acl/app-legacy", json!({"policy": policy})).await;
    server.write("auth/approle/role/app-dev", json!({"token_policies": "app-legacy", "token_period": "1h"})).await;

    let delivery = Delivery::start(&scene, Way::StaticKey).await;
    let mut worker = Worker::start(&delivery, Language::Python);
    eventually("a first call", async || worker.calls().iter().any(|call| call.ok)).await;
    let first = worker.last().key_id;

    server.write("ai/rotate-role/app-legacy", json!({})).await;
    let served = server.read("ai/static-creds/app-legacy").await["data"].clone();
    assert_ne!(served["key_id"], json!(first));
    eventually("the agent brings the new key", async || json!(worker.last().key_id) == served["key_id"]).await;
    let ends: Time = served["previous_expires_at"].as_str().and_then(|time| time.parse().ok()).expect("a time");
    assert!(chrono::Utc::now() < ends, "the key before has ended");
    assert!(scene.lives(&first).await);
    worker.goes_on().await;
    let failed: Vec<_> = worker.calls().into_iter().filter(|call| !call.ok || call.attempts > 1).collect();
    assert!(failed.is_empty(), "{failed:?}");
    worker.ends_by_itself().await;
}
