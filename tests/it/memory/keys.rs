use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use vault_plugin_secrets_ai::logical::{Error, Operation, Storage};
use vault_plugin_secrets_ai::providers::all;

use crate::support::bench::Bench;
use crate::support::case::{CASES, Case};

#[tokio::test]
async fn the_inventory_tells_whose_a_key_is_and_never_the_key() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    let issued = mount.creds().await.expect("a key");
    let list = mount.send(Operation::List, "keys/", json!({})).await.expect("listed").data.expect("data");
    let id = list["keys"][0].as_str().expect("an id").to_owned();
    assert_eq!(list["key_info"][&id]["role"], "dev");
    let data = mount.read(&format!("keys/{id}")).await.expect("a key").data.expect("data");
    assert_eq!((&data["role"], &data["config"], &data["state"]), (&json!("dev"), &json!("main"), &json!("live")));
    assert_eq!(data["key_id"], issued.text("key_id"));
    assert_eq!(data["display_name"], "token-test");
    assert!(!serde_json::to_string(&data).expect("JSON").contains(issued.text("api_key")));
    let info = mount.read("info").await.expect("info").data.expect("data");
    assert_eq!(info["keys"]["live"], 1);
}

#[tokio::test]
async fn pages_of_the_inventory_join_without_gap() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    for _ in 0..7 {
        mount.creds().await.expect("a key");
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().cloned().unwrap_or_default();
        let page = mount.send(Operation::List, "keys/", json!({"after": after, "limit": 3})).await.expect("a page");
        let keys: Vec<String> = serde_json::from_value(page.data.expect("data")["keys"].clone()).expect("keys");
        if keys.is_empty() {
            break;
        }
        seen.extend(keys);
    }
    let mut all = bench.rows().await;
    all.sort();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_key_can_be_ended_now() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let issued = mount.creds().await.expect("a key");
        let id = bench.rows().await[0].clone();
        let response = mount.delete(&format!("keys/{id}")).await.expect("deleted");
        assert!(response.warnings[0].contains("lease"), "{:?}", response.warnings);
        assert!(bench.simulator.live(case.provider).await.is_empty());
        assert!(matches!(mount.renew(&issued, Duration::ZERO).await, Err(Error::Invalid(_))));
        mount.revoke(&issued).await.expect("revoked");
        assert!(matches!(mount.delete(&format!("keys/{id}")).await, Err(Error::NotFound(_))));
    }
}

#[tokio::test]
async fn tidy_reports_what_a_restored_snapshot_left_and_deletes_only_when_told() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        mount.creds().await.expect("a key");
        let gone = mount.creds().await.expect("a key");
        let ids = bench.rows().await;
        // A snapshot from before the first key; the second was deleted by hand.
        bench.simulator.delete_by_hand(case.provider, gone.text("key_id")).await;
        let lost = ids.iter().find(|id| !gone.text("key_name").ends_with(id.as_str())).expect("the other row");
        bench.storage.delete(&format!("ledger/{}/{lost}", &lost[..2])).await.expect("deleted");

        let before = bench.simulator.live(case.provider).await;
        // A fresh key may be missing from a listing, so only older ones are judged.
        bench.advance(Duration::from_secs(120)).await;
        let report = mount.write("tidy", json!({})).await.expect("a report");
        assert!(report.warnings[0].contains("delete=true"), "{:?}", report.warnings);
        let data = report.data.expect("data");
        assert_eq!(data["keys_without_row_count"], 1, "{}: {data:?}", case.provider);
        assert_eq!(data["rows_without_key_count"], 1, "{}: {data:?}", case.provider);
        assert_eq!(bench.simulator.live(case.provider).await, before, "only reported");

        let data = mount.write("tidy", json!({"delete": true})).await.expect("tidied").data.expect("data");
        assert_eq!((&data["deleted_keys"], &data["deleted_rows"]), (&json!(1), &json!(1)), "{}", case.provider);
        assert!(bench.simulator.live(case.provider).await.is_empty());
        assert!(bench.rows().await.is_empty());
    }
}

#[tokio::test]
async fn every_vendor_says_what_it_can_do() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    let list = mount.send(Operation::List, "providers/", json!({})).await.expect("listed").data.expect("data");
    let all = all().map(|vendor| vendor.about().name.as_ref()).chain(["custom"]);
    let all: BTreeSet<_> = all.collect();
    assert_eq!(list["keys"], json!(all));
    for name in all {
        let data = mount.read(&format!("providers/{name}")).await.expect("a vendor").data.expect("data");
        for field in [
            "create",
            "revoke",
            "revocable",
            "revocation_speed",
            "renew",
            "list",
            "unknown_outcome",
            "vendor_expiry",
            "limits",
            "unused",
            "config_fields",
            "role_fields",
            "unproven",
        ] {
            assert!(!data[field].is_null(), "{name}: {field}");
        }
    }
    assert!(matches!(mount.read("providers/skynet").await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn tidy_spares_every_key_that_works() {
    for case in &CASES {
        for own in [false, true] {
            if own && case.provider != "openai" {
                continue;
            }
            let bench = Bench::new();
            let mount = bench.mount_with(case).await;
            if own {
                let own = json!({"mode": "service_account", "scopes": null, "allow_unscoped": true, "service_account_id": null});
                mount.write("roles/dev", own).await.expect("a role");
            }
            mount.creds().await.expect("a key");
            bench.advance(Duration::from_secs(120)).await;
            let fresh = mount.creds().await.expect("a key");
            let live = bench.simulator.live(case.provider).await;
            let data = mount.write("tidy", json!({"delete": true})).await.expect("tidied").data.expect("data");
            assert_eq!(
                (&data["deleted_keys"], &data["deleted_rows"]),
                (&json!(0), &json!(0)),
                "{} {data:?}",
                case.provider
            );
            assert_eq!(bench.simulator.live(case.provider).await, live);
            mount.revoke(&fresh).await.expect("revoked");
        }
    }
}

#[tokio::test]
async fn a_key_that_no_listing_shows_yet_keeps_its_row() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    bench.simulator.settings(json!({"list_lag_seconds": 60})).await;
    bench.simulator.faults(json!([{"vendor": "openai", "method": "POST", "kind": "drop_after"}])).await;
    assert!(mount.creds().await.is_err());
    let id = bench.rows().await[0].clone();
    let error = mount.delete(&format!("keys/{id}")).await.expect_err("not proven");
    assert!(matches!(&error, Error::Conflict(text) if text.contains("force=true")), "{error}");
    assert_eq!(bench.rows().await.len(), 1);
    let forced = mount.send(Operation::Delete, &format!("keys/{id}"), json!({"force": true})).await.expect("forced");
    assert!(forced.warnings[0].contains("may live on"), "{:?}", forced.warnings);
}
