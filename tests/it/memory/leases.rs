use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use vault_plugin_secrets_ai::logical::{Error, Operation};

use crate::support::bench::{Bench, eventually};
use crate::support::case::{CASES, Case};
use crate::support::simulator::try_key;
use crate::vendors::script::Script;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_key_works_while_its_lease_lives() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let issued = mount.creds().await.expect("a key");
        let (key, url) = (issued.text("api_key"), issued.text("base_url"));
        assert_eq!(try_key(url, key, case.model).await, 200, "{}", case.provider);
        if let Some(other) = case.other_model {
            let status = try_key(url, key, other).await;
            assert!(
                (400..500).contains(&status),
                "{}: {status} for a model that the role does not allow",
                case.provider
            );
        }
        assert!(bench.simulator.live(case.provider).await.iter().eq([issued.text("key_name")]));
        assert!(issued.text("key_name").starts_with("vault-0a1b2c3d-dev-"));
        assert_eq!(issued.text("provider"), case.provider);
        assert_eq!(issued.lease.ttl, 10 * MINUTE);
        assert_eq!(issued.lease.max_ttl, 60 * MINUTE);

        mount.revoke(&issued).await.expect("revoked");
        assert_eq!(try_key(url, key, case.model).await, 401, "{}", case.provider);
        assert!(bench.simulator.live(case.provider).await.is_empty());
        assert!(bench.rows().await.is_empty(), "no row outlives its key");
        mount.revoke(&issued).await.expect("a second revocation succeeds too");
    }
}

#[tokio::test]
async fn a_key_deleted_by_hand_can_still_be_revoked() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let issued = mount.creds().await.expect("a key");
        bench.simulator.delete_by_hand(case.provider, issued.text("key_id")).await;
        mount.revoke(&issued).await.expect("revoked");
        // A key this fresh may be unknown to a part of the vendor only, so it is asked for once more.
        bench.advance(2 * MINUTE).await;
        mount.tick().await;
        eventually("its row is gone", async || bench.rows().await.is_empty()).await;
    }
}

#[tokio::test]
async fn a_renewed_key_works_beyond_its_first_ttl() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        mount.write("roles/dev", json!({"max_ttl": "2h"})).await.expect("a role");
        let mut issued = mount.creds().await.expect("a key");
        let (key, url) = (issued.text("api_key").to_owned(), issued.text("base_url").to_owned());
        for increment in [Duration::ZERO, 100 * MINUTE] {
            bench.advance(9 * MINUTE).await;
            let renewed = mount.renew(&issued, increment).await.expect("renewed");
            assert_eq!(renewed.data.expect("data")["api_key"], *key);
            issued.lease = renewed.lease.expect("a lease");
            assert!(!issued.lease.internal.is_empty(), "a renewal's answer replaces the stored lease whole");
        }
        // Past the first lease, the vendor's grace of an hour and the sweep's, had nobody renewed.
        bench.advance(95 * MINUTE).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(bench.rows().await.len(), 1, "the row follows the renewals");
        assert_eq!(try_key(&url, &key, case.model).await, 200, "{}", case.provider);
        let renewed = mount.renew(&issued, 180 * MINUTE).await.expect("renewed");
        assert!(renewed.lease.expect("a lease").ttl <= 7 * MINUTE, "an increment ends at max_ttl");
        bench.advance(8 * MINUTE).await;
        let error = mount.renew(&issued, Duration::ZERO).await.expect_err("past max_ttl");
        assert!(matches!(&error, Error::Invalid(text) if text.contains("max_ttl")), "{error}");
    }
}

#[tokio::test]
async fn an_increment_within_the_ttl_shortens_the_lease() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("litellm")).await;
    let issued = mount.creds().await.expect("a key");
    let renewed = mount.renew(&issued, MINUTE).await.expect("renewed");
    assert_eq!(renewed.lease.expect("a lease").ttl, MINUTE);
}

#[tokio::test]
async fn a_shortening_renewal_that_fails_ends_no_lease_early() {
    let case = Case::named("litellm");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    mount.write("roles/dev", json!({"ttl": "5h", "max_ttl": "10h"})).await.expect("a role");
    let issued = mount.creds().await.expect("a key");
    bench.simulator.faults(json!([{"vendor": "litellm", "kind": "error_after", "status": 403, "times": -1}])).await;
    assert!(mount.renew(&issued, MINUTE).await.is_err());
    bench.simulator.faults(json!([])).await;
    bench.advance(90 * MINUTE).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    // The host still has five hours.
    assert_eq!(try_key(issued.text("base_url"), issued.text("api_key"), case.model).await, 200);
    assert_eq!(bench.rows().await.len(), 1);
}

#[tokio::test]
async fn an_outage_fails_no_renewal_that_the_keys_expiry_covers() {
    let outage = json!([{"kind": "error_before", "status": 503, "times": -1}]);
    for case in CASES.iter().filter(|case| case.expiry_moves()) {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let mut issued = mount.creds().await.expect("a key");
        let key = (issued.text("base_url").to_owned(), issued.text("api_key").to_owned());
        mount.write("roles/dev", json!({"ttl": "40m", "max_ttl": "5h"})).await.expect("a role");
        bench.advance(9 * MINUTE).await;
        bench.simulator.faults(outage.clone()).await;
        // Made for 10 minutes, so the vendor ends the key after 70.
        let renewed = mount.renew(&issued, Duration::ZERO).await.expect("renewed");
        assert!(renewed.warnings[0].contains("has not confirmed a later expiry"), "{:?}", renewed.warnings);
        issued.lease = renewed.lease.expect("a lease");
        assert_eq!(issued.lease.ttl, 40 * MINUTE, "{}", case.provider);
        bench.advance(39 * MINUTE).await;
        let renewed = mount.renew(&issued, Duration::ZERO).await.expect("renewed");
        issued.lease = renewed.lease.expect("a lease");
        let left = issued.lease.ttl;
        assert!(left <= 21 * MINUTE && left >= 20 * MINUTE, "up to a minute before the vendor's expiry: {left:?}");
        bench.advance(19 * MINUTE).await;
        bench.simulator.faults(json!([])).await;
        let renewed = mount.renew(&issued, Duration::ZERO).await.expect("renewed");
        assert!(renewed.warnings.is_empty(), "{:?}", renewed.warnings);
        issued.lease = renewed.lease.expect("a lease");
        assert_eq!(issued.lease.ttl, 40 * MINUTE, "{}", case.provider);
        bench.advance(39 * MINUTE).await;
        assert_eq!(try_key(&key.0, &key.1, case.model).await, 200);
        bench.simulator.faults(outage.clone()).await;
        bench.advance(61 * MINUTE).await;
        let error = mount.renew(&issued, Duration::ZERO).await.expect_err("the vendor has ended it");
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
    }
}

#[tokio::test]
async fn a_renewal_whose_answer_was_lost_leaves_a_row_as_long_as_the_key_may_live() {
    let bench = Bench::new();
    let case = Case::named("openai");
    let mount = bench.mount_with(&case).await;
    let mut issued = mount.creds().await.expect("a key");
    mount.write("roles/dev", json!({"ttl": "20h", "max_ttl": "90h"})).await.expect("a role");
    bench.simulator.faults(json!([{"kind": "error_after", "status": 503, "times": -1}])).await;
    let renewed = mount.renew(&issued, Duration::ZERO).await.expect("renewed as far as was confirmed");
    issued.lease = renewed.lease.expect("a lease");
    assert!(issued.lease.ttl <= 70 * MINUTE, "{:?}", issued.lease.ttl);
    // The vendor has moved the expiry all the same, and now refuses the admin key for hours.
    bench
        .simulator
        .faults(json!([{"kind": "error_before", "status": 401, "path_contains": "/organization/", "times": -1}]))
        .await;
    mount.revoke(&issued).await.expect_err("refused");
    bench.advance(210 * MINUTE).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(try_key(issued.text("base_url"), issued.text("api_key"), case.model).await, 200);
    assert_eq!(bench.rows().await.len(), 1, "nobody else knows of the key");
    bench.simulator.faults(json!([])).await;
    bench.advance(60 * MINUTE).await;
    mount.tick().await;
    eventually("its row is gone", async || bench.rows().await.is_empty()).await;
    assert_eq!(bench.simulator.live("openai").await.len(), 0);
}

#[tokio::test]
async fn a_key_that_a_shell_would_run_is_deleted_again() {
    let made = json!({"key": "sk-or-$(id)", "data": {"hash": "abc"}});
    let script = Script::of([(201, made), (200, json!({"deleted": true}))]).await;
    let bench = Bench::new();
    let mount = bench.mount().await;
    let mut config = Case::named("openrouter").config(&script.url);
    config["verify"] = false.into();
    mount.write("config/main", config).await.expect("a config");
    mount.write("roles/dev", json!({"config": "main", "limit": 1})).await.expect("a role");
    let Err(error) = mount.creds().await else { panic!("handed out") };
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("was deleted")), "{error}");
    assert!(script.seen()[1].starts_with("DELETE ") && script.seen()[1].ends_with("/keys/abc"), "{:?}", script.seen());
    assert!(bench.rows().await.is_empty());
}

#[tokio::test]
async fn a_caller_cannot_ask_for_more_than_the_role_gives() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    mount.send(Operation::Patch, "roles/dev", json!({"max_ttl": null})).await.expect("patched");
    let response = mount.write("creds/dev", json!({"ttl": "30d"})).await.expect("a key");
    assert_eq!(response.lease.expect("a lease").ttl, 10 * MINUTE);
    assert!(response.warnings[0].contains("the role's ttl"), "{:?}", response.warnings);
}

#[tokio::test]
async fn a_second_spelling_of_a_path_is_no_path() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    for path in ["creds/dev/", "config/main/", "config/main/check/", "roles/dev/", "/creds/dev", "creds//dev"] {
        for operation in [Operation::Read, Operation::Update, Operation::Delete] {
            let error = mount.send(operation, path, json!({})).await.expect_err(path);
            assert!(matches!(error, Error::UnsupportedPath), "{path}: {error}");
        }
    }
    assert_eq!(bench.simulator.created("openai").await, 0);
}

#[tokio::test]
async fn a_role_is_not_used_at_another_vendor_than_it_was_written_for() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("litellm")).await;
    mount.write("config/main", Case::named("openrouter").config(&bench.simulator.url)).await.expect("re-pointed");
    let Err(error) = mount.creds().await else { panic!("its limits are not known there") };
    assert!(matches!(&error, Error::Invalid(text) if text.contains("write the role again")), "{error}");
}

#[tokio::test]
async fn a_post_can_ask_for_a_ttl_of_its_own_under_every_cap() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    let response = mount.write("creds/dev", json!({"ttl": "90s"})).await.expect("a key");
    assert_eq!(response.lease.expect("a lease").ttl, Duration::from_secs(90));
    let response = mount.write("creds/dev", json!({"ttl": "2h"})).await.expect("a key");
    assert_eq!(response.lease.expect("a lease").ttl, 60 * MINUTE);
    assert!(response.warnings[0].contains("the role's max_ttl"), "{:?}", response.warnings);
    let response = mount.write("creds/dev", json!({"ttl": "1h"})).await.expect("a key");
    assert!(response.warnings.is_empty(), "equal is allowed: {:?}", response.warnings);
    let error = mount.write("creds/dev", json!({"ttl": 0})).await.expect_err("zero");
    assert!(error.to_string().contains("\"ttl\""), "{error}");
}

#[tokio::test]
async fn a_role_without_ttl_gives_an_hour_capped_by_the_mount() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    mount.send(Operation::Patch, "roles/dev", json!({"ttl": null, "max_ttl": null})).await.expect("patched");
    assert_eq!(mount.creds().await.expect("a key").lease.ttl, 60 * MINUTE);
    bench.system.max_ttl.store(600, Ordering::SeqCst);
    let issued = mount.creds().await.expect("a key");
    assert_eq!(issued.lease.ttl, 10 * MINUTE);
    assert!(issued.warnings.is_empty(), "nobody asked for the hour: {:?}", issued.warnings);
}

#[tokio::test]
async fn the_vendor_ends_a_key_by_itself_when_vault_is_down() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let issued = mount.creds().await.expect("a key");
        drop(mount);
        bench.advance(180 * MINUTE).await;
        let status = try_key(issued.text("base_url"), issued.text("api_key"), case.model).await;
        assert_eq!(status, 401, "{}", case.provider);
    }
}

#[tokio::test]
async fn a_standby_forwards_before_it_looks_at_anything() {
    let bench = Bench::new();
    bench.mount_with(&Case::named("openai")).await;
    bench.system.replication.store(24576, Ordering::SeqCst);
    let standby = bench.mount().await;
    for (operation, path) in [
        (Operation::Read, "creds/dev"),
        (Operation::Read, "creds/no-such-role"),
        (Operation::Update, "creds/dev"),
        (Operation::Update, "config/main"),
        (Operation::Delete, "roles/dev"),
        (Operation::Update, "tidy"),
    ] {
        let error = standby.send(operation.clone(), path, json!({})).await.expect_err("forwarded");
        assert!(matches!(error, Error::ReadOnly), "{operation:?} {path}: {error}");
    }
    assert!(standby.read("roles/dev").await.expect("a role").data.is_some(), "a standby answers reads");
    assert_eq!(bench.simulator.created("openai").await, 0);
}

#[tokio::test]
async fn a_stranger_makes_nothing_whatever_the_operation() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    for operation in ["resolve-path", "alias-lookahead", "header", "scan", "recover", "rotate", "", "READ"] {
        for path in ["creds/dev", "creds/dev/", "config/main", "tidy", ""] {
            let operation = Operation::from(operation);
            let error = mount.send(operation.clone(), path, json!({"ttl": "1h"})).await.expect_err("refused");
            assert!(matches!(error, Error::UnsupportedOperation), "{operation:?} {path}: {error}");
        }
    }
    assert_eq!(bench.simulator.created("openai").await, 0);
}
