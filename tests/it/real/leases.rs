use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bench::eventually;
use crate::support::case::{CASES, Case};
use crate::support::server::{ROOT, Stage, text};
use crate::support::simulator::try_key;

#[tokio::test]
async fn a_lease_is_read_used_renewed_and_revoked() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
        let lease = stage.creds(case).await;
        assert_eq!(lease["lease_duration"], 600, "{}", case.provider);
        assert_eq!(lease["renewable"], true);
        for field in ["api_key", "key_id", "key_name", "provider", "base_url", "expires_at"] {
            assert!(!text(&lease, field).is_empty(), "{field}");
        }
        assert_eq!(lease["data"]["revocable"], true);
        let (key, url) = (text(&lease, "api_key"), text(&lease, "base_url"));
        assert_eq!(try_key(url, key, case.model).await, 200, "{}", case.provider);

        let before = expiry(&stage, case).await;
        let renewed = stage.server.renew(&lease, 0).await.expect(200);
        assert_eq!(renewed["lease_duration"], 600, "{}: by the role's ttl", case.provider);
        let renewed = stage.server.renew(&lease, 1800).await.expect(200);
        assert_eq!(renewed["lease_duration"], 1800, "{}: an increment within max_ttl", case.provider);
        let after = expiry(&stage, case).await;
        let provider = stage.server.read(&format!("ai/providers/{}", case.provider)).await;
        let moves = provider["data"]["vendor_expiry"]["kind"] == "moves with renewals";
        assert_eq!(after > before, moves, "{}: {before} {after}", case.provider);
        let renewed = stage.server.renew(&lease, 36000).await.expect(200);
        let granted = renewed["lease_duration"].as_u64().expect("seconds");
        assert!((3500..=3600).contains(&granted), "{}: an increment ends at max_ttl, not at {granted}", case.provider);
        assert_eq!(try_key(url, key, case.model).await, 200, "{}", case.provider);

        let revoked = stage.server.revoke(&lease).await;
        assert!(revoked.status < 300, "{}: {}", case.provider, revoked.body);
        assert_eq!(try_key(url, key, case.model).await, 401, "{}", case.provider);
        assert!(stage.simulator.live(case.provider).await.is_empty());
        assert!(stage.server.list("ai/keys").await.is_empty());
    }
}

/// The vendor's own expiry of its only key.
async fn expiry(stage: &Stage, case: &Case) -> String {
    let state = stage.simulator.state().await;
    let live = state[case.provider]["keys"]["live"].as_array().expect("keys").clone();
    let ours = live.iter().find(|key| key["name"].as_str().is_some_and(|name| name.starts_with("vault-")));
    ours.expect("a key of ours")["expires"].as_str().expect("an expiry").to_owned()
}

#[tokio::test]
async fn a_prefix_is_revoked_whole() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
        for _ in 0..3 {
            stage.creds(case).await;
        }
        let body = json!({"sync": true});
        stage.server.write(&format!("sys/leases/revoke-prefix/ai/creds/{}", case.provider), body).await;
        assert!(stage.simulator.live(case.provider).await.is_empty(), "{}", case.provider);
    }
    assert!(stage.server.list("ai/keys").await.is_empty());
}

#[tokio::test]
async fn a_wrapped_credential_works_when_it_is_unwrapped() {
    let case = Case::named("litellm");
    let stage = Stage::with(&case).await;
    let wrapped =
        stage.server.send("GET", "ai/creds/litellm", ROOT, &[("X-Vault-Wrap-TTL", "60")], None).await.expect(200);
    assert!(wrapped["data"].is_null(), "{wrapped}");
    let token = wrapped["wrap_info"]["token"].as_str().expect("a token");
    let lease = stage.server.send("POST", "sys/wrapping/unwrap", token, &[], None).await.expect(200);
    assert_eq!(try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await, 200);
    assert!(stage.server.revoke(&lease).await.status < 300);
}

#[tokio::test]
async fn a_key_deleted_by_hand_at_the_vendor_is_revoked_without_complaint() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
        let lease = stage.creds(case).await;
        stage.simulator.delete_by_hand(case.provider, text(&lease, "key_id")).await;
        let revoked = stage.server.revoke(&lease).await;
        assert!(revoked.status < 300, "{}: {}", case.provider, revoked.body);
    }
}

#[tokio::test]
async fn keys_outlive_a_changed_or_deleted_role_and_config_until_they_are_revoked() {
    let case = Case::named("openai");
    let stage = Stage::with(&case).await;
    let (pointed, deleted) = (stage.creds(&case).await, stage.creds(&case).await);
    stage.server.write("ai/config/openai", json!({"project_id": "proj_sim2"})).await;
    assert!(stage.server.revoke(&pointed).await.status < 300, "from the retired generation");
    stage.simulator.faults(json!([{"vendor": "openai", "method": "POST", "kind": "drop_after"}])).await;
    let role = json!({"service_account_id": "svc_sim2"});
    stage.server.write("ai/roles/openai", role).await;
    assert_eq!(stage.server.call("GET", "ai/creds/openai", Value::Null).await.status, 502, "an unresolved mint");
    stage.server.delete("ai/roles/openai").await;
    stage.server.delete("ai/config/openai").await;
    let refused = stage.server.call("GET", "ai/creds/openai", Value::Null).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.to_string().contains("does not exist"), "{}", refused.body);
    assert!(stage.server.revoke(&deleted).await.status < 300);
    assert_eq!(stage.simulator.live("openai").await.len(), 1, "the one that nobody was given");
    stage.server.set_clock(Duration::from_secs(180));
    eventually("the sweep ends it, from the retired generation", async || {
        stage.simulator.live("openai").await.is_empty()
    })
    .await;
    eventually("no row is left", async || stage.server.list("ai/keys").await.is_empty()).await;
}

#[tokio::test]
async fn a_shorter_ttl_can_be_asked_for_and_a_longer_one_is_capped_with_a_warning() {
    let case = Case::named("openrouter");
    let stage = Stage::with(&case).await;
    let lease = stage.server.write("ai/creds/openrouter", json!({"ttl": "2m"})).await;
    assert_eq!(lease["lease_duration"], 120);
    let lease = stage.server.write("ai/creds/openrouter", json!({"ttl": "5h"})).await;
    assert_eq!(lease["lease_duration"], 3600);
    assert!(lease["warnings"].to_string().contains("max_ttl"), "{}", lease["warnings"]);
}

#[tokio::test]
async fn a_lease_that_ends_takes_its_key_with_it() {
    let case = Case::named("litellm");
    let stage = Stage::with(&case).await;
    let lease = stage.server.write("ai/creds/litellm", json!({"ttl": "2s"})).await;
    let (key, url) = (text(&lease, "api_key").to_owned(), text(&lease, "base_url").to_owned());
    tokio::time::sleep(Duration::from_secs(2)).await;
    eventually("the server ends it", async || try_key(&url, &key, case.model).await == 401).await;
}
