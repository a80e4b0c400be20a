//! Leases of tokens: what a vendor gives for a while and keeps no list of.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::{Error, Operation};

use crate::support::bench::{Bench, Mounted, eventually};
use crate::support::simulator::try_key;

const DEFINITION: &str = include_str!("../../../docs/definitions/acme-tokens.json");
const MINUTE: Duration = Duration::from_secs(60);

async fn mounted(bench: &Bench, role: Value) -> Mounted {
    let mount = bench.mount().await;
    let url = format!("{}/acme", bench.simulator.url);
    let config = json!({
        "provider": "custom", "definition": DEFINITION, "client_id": "acme-client",
        "client_secret": "acme-client-secret-0001", "api_url": url, "base_url": format!("{url}/v1"),
        "token_url": format!("{url}/oauth/token"),
    });
    mount.write("config/main", config).await.expect("a config");
    mount.write("roles/dev", json!({"config": "main", "models": "acme-small"})).await.expect("a role");
    mount.write("roles/dev", role).await.expect("a role");
    mount
}

async fn row(bench: &Bench, mount: &Mounted) -> serde_json::Map<String, Value> {
    let rows = bench.rows().await;
    let [id] = &rows[..] else { panic!("one row: {rows:?}") };
    mount.read(&format!("keys/{id}")).await.expect("a row").data.expect("data")
}

#[tokio::test]
async fn a_token_is_leased_as_long_as_it_lives_and_neither_renewed_nor_revoked() {
    let bench = Bench::new();
    let mount = mounted(&bench, json!({"ttl": "10m"})).await;
    let issued = mount.creds().await.expect("a token");
    let (key, url) = (issued.text("api_key").to_owned(), issued.text("base_url").to_owned());
    assert_eq!(&issued.data["revocable"], &json!(false));
    assert!(!issued.lease.renewable);
    assert!((598..=600).contains(&issued.lease.ttl.as_secs()), "{:?}", issued.lease.ttl);
    assert_eq!(issued.lease.max_ttl, issued.lease.ttl);
    let shown = row(&bench, &mount).await;
    assert_eq!((&shown["kind"], &shown["state"]), (&json!("token"), &json!("expiring")));

    let error = mount.renew(&issued, MINUTE).await.map(drop).expect_err("no renewal");
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    mount.revoke(&issued).await.expect("a lease can always be revoked");
    assert_eq!(try_key(&url, &key, "acme-small").await, 200, "and the token goes on, as the answer said");
    assert_eq!(bench.rows().await.len(), 1, "and so the inventory says");
    bench.advance(11 * MINUTE).await;
    mount.tick().await;
    eventually("its row goes with it", async || bench.rows().await.is_empty()).await;
    assert_eq!(try_key(&url, &key, "acme-small").await, 401);
}

#[tokio::test]
async fn a_token_lives_no_longer_and_no_shorter_than_the_vendor_makes_them() {
    let bench = Bench::new();
    for (ttl, seconds, warns) in [("2h", 3600, "longest expiry"), ("10s", 60, "shortest life")] {
        let mount = mounted(&bench, json!({"ttl": ttl})).await;
        let issued = mount.creds().await.expect("a token");
        let warnings = &issued.warnings;
        assert!((seconds - 2..=seconds).contains(&issued.lease.ttl.as_secs()), "{ttl}: {:?}", issued.lease.ttl);
        assert!(warnings.iter().any(|warning| warning.contains(warns)), "{ttl}: {warnings:?}");
    }
}

#[tokio::test]
async fn a_token_whose_answer_was_lost_is_in_the_inventory_until_it_has_ended() {
    let bench = Bench::new();
    let mount = mounted(&bench, json!({"ttl": "10m"})).await;
    bench.simulator.faults(json!({"vendor": "acme", "path_contains": "/v1/tokens", "kind": "drop_after"})).await;
    let error = mount.creds().await.map(drop).expect_err("lost");
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error}");
    assert_eq!(row(&bench, &mount).await["state"], "expiring");
    bench
        .simulator
        .faults(json!({"vendor": "acme", "path_contains": "/v1/tokens", "kind": "error_before", "status": 400}))
        .await;
    mount.creds().await.map(drop).expect_err("refused");
    assert_eq!(bench.rows().await.len(), 1, "what certainly made nothing leaves no row");
    let before = bench.simulator.state().await["requests"].to_string();
    bench.advance(11 * MINUTE).await;
    mount.tick().await;
    eventually("its row goes", async || bench.rows().await.is_empty()).await;
    assert_eq!(bench.simulator.state().await["requests"].to_string(), before, "there is nobody to ask");
}

#[tokio::test]
async fn a_tokens_row_is_dropped_only_by_force() {
    let bench = Bench::new();
    let mount = mounted(&bench, json!({"ttl": "10m"})).await;
    mount.creds().await.expect("a token");
    let path = format!("keys/{}", bench.rows().await[0]);
    let error = mount.delete(&path).await.map(drop).expect_err("nothing to delete");
    assert!(matches!(&error, Error::Invalid(text) if text.contains("ends at")), "{error}");
    let report = mount.send(Operation::Update, "tidy", json!({"delete": true})).await.expect("a report");
    assert!(report.warnings.iter().any(|warning| warning.contains("lists no keys")), "{:?}", report.warnings);
    assert_eq!(bench.rows().await.len(), 1, "tidy has nothing to compare it with");
    mount.send(Operation::Delete, &path, json!({"force": true})).await.expect("dropped");
    assert!(bench.rows().await.is_empty());
}

#[tokio::test]
async fn one_access_token_serves_many_leases_and_a_refused_one_is_asked_for_again() {
    let bench = Bench::new();
    let mount = mounted(&bench, json!({"ttl": "10m"})).await;
    let asked = async || {
        let requests = bench.simulator.get("/_control/requests").await;
        let all = requests["requests"].as_array().expect("a list").clone();
        all.iter().filter(|request| request["path"] == "/acme/oauth/token").count()
    };
    // The check of the config had one of its own.
    let before = asked().await;
    for _ in 0..3 {
        mount.creds().await.expect("a token");
    }
    assert_eq!(asked().await, before + 1);
    bench
        .simulator
        .faults(json!({"vendor": "acme", "path_contains": "/v1/tokens", "kind": "error_before", "status": 401}))
        .await;
    mount.creds().await.map(drop).expect_err("refused");
    mount.creds().await.expect("with a fresh one");
    assert_eq!(asked().await, before + 2);
}
