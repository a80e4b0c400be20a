//! Static roles where keys are the values of two slots: one is used while the other changes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::{Error, Object};

use crate::support::bench::{Bench, Mounted, eventually, ticks_until};
use crate::support::case::Case;
use crate::support::simulator::plain_client;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

async fn mounted(bench: &Bench) -> (Mounted, Value) {
    let mount = bench.mount().await;
    let example = bench.simulator.get("/_control/examples").await["azure-openai-keys"].clone();
    let mut config = example["config"].clone();
    config["provider"] = "azure-openai-keys".into();
    mount.write("config/azure", config).await.expect("a config");
    let mut body = example["role"].clone();
    for (field, value) in [("config", "azure"), ("rotation_period", "24h"), ("overlap", "1h")] {
        body[field] = value.into();
    }
    (mount, body)
}

async fn creds(mount: &Mounted) -> Object {
    mount.read("static-creds/app").await.expect("a key").data.expect("data")
}

async fn works(bench: &Bench, key: &Value) -> bool {
    let url = format!("{}/azure-openai-keys/openai/v1/chat/completions", bench.simulator.url);
    let request = plain_client().post(url).header("api-key", key.as_str().expect("a key")).json(&json!({}));
    request.send().await.expect("an answer").status().is_success()
}

/// How often each slot got another value.
async fn regenerated(bench: &Bench) -> (u64, u64) {
    let state = bench.simulator.state().await;
    let counts = &state["azure-openai-keys"]["regenerated"];
    (counts["Key1"].as_u64().expect("a count"), counts["Key2"].as_u64().expect("a count"))
}

#[track_caller]
fn refused<T>(outcome: Result<T, Error>, says: &str) {
    let error = outcome.err().expect("refused").to_string();
    assert!(error.contains(says), "{error}");
}

/// Rotates, and lets two minutes go by.
async fn rotate(bench: &Bench, mount: &Mounted) {
    let before = creds(mount).await["api_key"].clone();
    mount.write("rotate-role/app", json!({})).await.expect("begun");
    bench.advance(2 * MINUTE).await;
    mount.tick().await;
    eventually("switched", async || creds(mount).await["api_key"] != before).await;
}

#[tokio::test]
async fn one_slot_is_used_while_the_other_changes() {
    let bench = Bench::new();
    let (mount, body) = mounted(&bench).await;
    mount.write("static-roles/app", body).await.expect("written");
    assert_eq!(regenerated(&bench).await, (0, 1), "whoever uses the other slot is not cut off");
    let first = creds(&mount).await;
    assert_eq!(first["key_id"], "Key2");
    assert!(works(&bench, &first["api_key"]).await);
    rotate(&bench, &mount).await;
    let second = creds(&mount).await;
    assert_eq!((&second["key_id"], &second["previous_api_key"]), (&json!("Key1"), &first["api_key"]));
    assert!(works(&bench, &first["api_key"]).await && works(&bench, &second["api_key"]).await, "both, for overlap");
    // The next one would take the place of the one before.
    refused(mount.write("rotate-role/app", json!({})).await, "takes its slot: wait, or rotate with overlap=0");
    assert!(works(&bench, &first["api_key"]).await);
    bench.advance(HOUR).await;
    mount.tick().await;
    eventually("the one before ends", async || !works(&bench, &first["api_key"]).await).await;
    assert_eq!(regenerated(&bench).await, (1, 2), "by another value that nobody has");
    assert!(works(&bench, &second["api_key"]).await);
    eventually("its row is gone", async || bench.rows().await.len() == 1).await;
    rotate(&bench, &mount).await;
    assert_eq!(creds(&mount).await["key_id"], "Key2");
    assert!(works(&bench, &second["api_key"]).await && works(&bench, &creds(&mount).await["api_key"]).await);
}

#[tokio::test]
async fn in_an_emergency_both_slots_change() {
    let bench = Bench::new();
    let (mount, body) = mounted(&bench).await;
    mount.write("static-roles/app", body).await.expect("written");
    let first = creds(&mount).await["api_key"].clone();
    rotate(&bench, &mount).await;
    let second = creds(&mount).await["api_key"].clone();
    bench.simulator.settings(json!({"accept_lag_seconds": 90})).await;
    bench.advance(2 * MINUTE).await;
    let asked = mount.write("rotate-role/app", json!({"overlap": 0})).await.expect("begun");
    assert!(!works(&bench, &first).await, "the one before has made place");
    // The vendor does not know the new one yet, and until then the one that has leaked is served.
    assert!(asked.warnings[0].contains("not served yet"), "{:?}", asked.warnings);
    assert!(works(&bench, &second).await);
    ticks_until(&bench, &mount, "the leaked one ends", async || !works(&bench, &second).await).await;
    let third = creds(&mount).await["api_key"].clone();
    assert!(works(&bench, &third).await);
}

#[tokio::test]
async fn an_account_of_slots_has_one_static_role_and_no_leases() {
    let bench = Bench::new();
    let (mount, body) = mounted(&bench).await;
    refused(mount.write("roles/dev", json!({"config": "azure", "slot": "Key1"})).await, "whose keys are not leased");
    let mut without = body.clone();
    without.as_object_mut().expect("an object").remove("slot");
    refused(mount.write("static-roles/app", without).await, "\"slot\"");
    let mut imported = body.clone();
    imported["api_key"] = "abc".into();
    refused(mount.write("static-roles/app", imported).await, "where keys are values of slots");
    mount.write("static-roles/app", body.clone()).await.expect("written");
    refused(mount.write("static-roles/other", body.clone()).await, "used by static role \"app\"");
    // The same resource by another config.
    let mut config = mount.read("config/azure").await.expect("read").data.expect("a config");
    config.retain(|field, _| {
        [
            "tenant_id",
            "client_id",
            "subscription_id",
            "resource_group",
            "resource_name",
            "api_url",
            "base_url",
            "token_url",
            "provider",
        ]
        .contains(&field.as_str())
    });
    config.insert("client_secret".into(), "entra~client.secret-simulator-0002".into());
    mount.write("config/second", config.into()).await.expect("a config");
    let mut second = body.clone();
    second["config"] = "second".into();
    refused(mount.write("static-roles/other", second.clone()).await, "used by static role \"app\"");
    // Names of resources have no case, and another endpoint for clients is the same resource.
    for (field, value) in [("resource_group", "GROUP-sim1"), ("base_url", "https://other.example/openai/v1")] {
        let mut change = json!({"client_secret": "entra~client.secret-simulator-0002", "verify": false});
        change[field] = value.into();
        mount.write("config/second", change).await.expect("written");
        refused(mount.write("static-roles/other", second.clone()).await, "used by static role \"app\"");
    }
    mount.write("static-roles/app", json!({"overlap": "30m"})).await.expect("the role itself is changed");
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_leaves_the_served_key_alone() {
    for number in 0..4 {
        let bench = Bench::new();
        let (mount, body) = mounted(&bench).await;
        mount.write("static-roles/app", body).await.expect("written");
        let served = creds(&mount).await["api_key"].clone();
        *bench.storage.fail_put.lock().expect("not poisoned") = Some(number);
        let _ = mount.write("rotate-role/app", json!({})).await;
        *bench.storage.fail_put.lock().expect("not poisoned") = None;
        assert!(works(&bench, &served).await, "write {number}");
        drop(mount);
        let mount = bench.mount().await;
        for minutes in [3, 10, 55] {
            bench.advance(minutes * MINUTE).await;
            mount.tick().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert!(works(&bench, &creds(&mount).await["api_key"]).await, "write {number}, {minutes} minutes later");
        }
        rotate_until_done(&bench, &mount, number).await;
    }
}

async fn rotate_until_done(bench: &Bench, mount: &Mounted, number: u32) {
    for _ in 0..8 {
        let _ = mount.write("rotate-role/app", json!({})).await;
        bench.advance(61 * MINUTE).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(works(bench, &creds(mount).await["api_key"]).await, "write {number}");
    }
    bench.advance(61 * MINUTE).await;
    eventually("one row", async || {
        mount.tick().await;
        bench.rows().await.len() == 1
    })
    .await;
}

#[tokio::test]
async fn an_outcome_that_is_not_known_is_waited_out() {
    let bench = Bench::new();
    let (mount, body) = mounted(&bench).await;
    mount.write("static-roles/app", body).await.expect("written");
    let served = creds(&mount).await["api_key"].clone();
    let lost = json!([{"vendor": "azure-openai-keys", "method": "POST", "path_contains": "regenerateKey", "kind": "error_after", "status": 503, "times": 1}]);
    bench.simulator.faults(lost).await;
    mount.write("rotate-role/app", json!({})).await.map(drop).expect_err("the outcome is unknown");
    // It may be on its way still: another one now could be overtaken by it.
    refused(mount.write("rotate-role/app", json!({})).await, "not settled yet");
    assert!(works(&bench, &served).await);
    bench.advance(3 * MINUTE).await;
    mount.tick().await;
    eventually("settled", async || bench.rows().await.len() == 1).await;
    rotate(&bench, &mount).await;
    assert!(works(&bench, &served).await && works(&bench, &creds(&mount).await["api_key"]).await);
    // What is deleted, or goes with the mount, is with nobody.
    let last = creds(&mount).await["api_key"].clone();
    bench.system.tainted.store(true, Ordering::SeqCst);
    mount.cleanup().await;
    assert!(!works(&bench, &served).await && !works(&bench, &last).await);
}

#[tokio::test]
async fn two_roles_that_are_written_at_once_do_not_share_slots() {
    let bench = Bench::new();
    let (mount, body) = mounted(&bench).await;
    let mut other = body.clone();
    other["slot"] = "Key1".into();
    let (one, two) = tokio::join!(mount.write("static-roles/app", body), mount.write("static-roles/other", other));
    assert_eq!(u32::from(one.is_ok()) + u32::from(two.is_ok()), 1, "{:?} {:?}", one.err(), two.err());
    let (first, second) = regenerated(&bench).await;
    assert_eq!(first + second, 1);
}

#[tokio::test]
async fn a_rotation_that_is_due_while_the_one_before_goes_on_comes_after_it() {
    let bench = Bench::new();
    let (mount, body) = mounted(&bench).await;
    mount.write("static-roles/app", body).await.expect("written");
    // By hand, half an hour before the schedule says so.
    bench.advance(23 * HOUR + 30 * MINUTE).await;
    rotate(&bench, &mount).await;
    let second = creds(&mount).await["api_key"].clone();
    mount
        .write("static-roles/app", json!({"rotation_period": null, "rotation_schedule": "* * * * *", "overlap": "30s"}))
        .await
        .map(drop)
        .expect_err("shorter than a minute");
    mount.write("static-roles/app", json!({"rotation_period": "61m", "overlap": "1h"})).await.expect("written");
    for _ in 0..5 {
        bench.advance(62 * MINUTE).await;
        for _ in 0..3 {
            mount.tick().await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            bench.advance(2 * MINUTE).await;
        }
        assert!(works(&bench, &creds(&mount).await["api_key"]).await);
    }
    assert_ne!(creds(&mount).await["api_key"], second, "it goes on");
}

#[tokio::test]
async fn a_role_that_moves_to_another_resource_begins_where_it_says() {
    let bench = Bench::new();
    let (mount, body) = mounted(&bench).await;
    let openai = Case::named("openai");
    mount.write("config/main", openai.config(&bench.simulator.url)).await.expect("a config");
    let mut first = openai.role("main");
    first["rotation_period"] = "24h".into();
    mount.write("static-roles/app", first).await.expect("written");
    mount.write("static-roles/app", body).await.expect("moved");
    rotate(&bench, &mount).await;
    assert_eq!((creds(&mount).await["key_id"].clone(), regenerated(&bench).await), (json!("Key2"), (0, 1)));
}
