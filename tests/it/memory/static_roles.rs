//! Keys for clients that cannot lease, replaced with two of them live.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::{Clock, Time};
use vault_plugin_secrets_ai::logical::{Entry, Error, Object, Operation, Storage};

use crate::support::bench::{Bench, Issued, Mounted, eventually};
use crate::support::case::{CASES, Case};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A mount with one vendor's account, and the body of a static role in it.
pub(super) async fn mounted(bench: &Bench, case: &Case) -> (Mounted, Value) {
    let mount = bench.mount_with(case).await;
    let mut body = case.role("main");
    body["rotation_period"] = "24h".into();
    (mount, body)
}

pub(super) async fn creds(mount: &Mounted, name: &str) -> Object {
    mount.read(&format!("static-creds/{name}")).await.expect("a key").data.expect("data")
}

pub(super) fn text<'a>(data: &'a Object, field: &str) -> &'a str {
    data[field].as_str().unwrap_or_else(|| panic!("{field}: {}", data[field]))
}

/// The status that a key gets at the vendor.
pub(super) async fn status(bench: &Bench, case: &Case, key: &str) -> u16 {
    let path = match case.provider {
        "openai" => "/openai/v1/models",
        "openrouter" => "/openrouter/api/v1/key",
        _ => "/litellm/v1/models",
    };
    bench.simulator.call("GET", path, key, None).await.status
}

/// Names of this mount's keys that live at the vendor.
async fn keys(bench: &Bench, case: &Case) -> usize {
    bench.simulator.live(case.provider).await.len()
}

#[tokio::test]
async fn a_key_is_served_and_the_one_before_goes_on_for_a_while() {
    for case in &CASES {
        let bench = Bench::new();
        let (mount, body) = mounted(&bench, case).await;
        mount.write("static-roles/app", body).await.expect("written");
        let first = creds(&mount, "app").await;
        assert_eq!(status(&bench, case, text(&first, "api_key")).await, 200, "{}", case.provider);
        assert_eq!((&first["rotation_period"], &first["previous_api_key"]), (&json!(86400), &Value::Null));
        assert_eq!(first["ttl"], json!(1800), "{}: half of the overlap", case.provider);
        mount.write("rotate-role/app", json!({})).await.expect("rotated");
        let second = creds(&mount, "app").await;
        assert_ne!(first["api_key"], second["api_key"]);
        assert_eq!(second["previous_api_key"], first["api_key"], "{}", case.provider);
        for key in [&first, &second] {
            assert_eq!(status(&bench, case, text(key, "api_key")).await, 200, "{}: both live", case.provider);
        }
        bench.advance(HOUR + MINUTE).await;
        mount.tick().await;
        eventually("one is left", async || keys(&bench, case).await == 1).await;
        let third = creds(&mount, "app").await;
        assert_eq!((&third["api_key"], &third["previous_api_key"]), (&second["api_key"], &Value::Null));
        eventually("one row is left", async || bench.rows().await.len() == 1).await;
    }
}

#[tokio::test]
async fn a_read_says_when_to_read_again() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, mut body) = mounted(&bench, case).await;
    let seconds = async |field: &str| creds(&mount, "app").await[field].as_u64().expect("seconds");
    body["overlap"] = "2h".into();
    mount.write("static-roles/app", body).await.expect("written");
    assert_eq!([seconds("ttl").await, seconds("rotation_period").await], [3600, 86400]);
    // No later than the rotation, and no sooner than a client can bear while that is late.
    for (advance, ttl) in [(23 * HOUR + HOUR / 2, 1800), (HOUR / 2 - 5 * SECOND, 60), (HOUR, 60)] {
        bench.advance(advance).await;
        let told = seconds("ttl").await;
        assert!((ttl - 5..=ttl).contains(&told), "{told}, not {ttl}");
    }
    let every_night = json!({"rotation_schedule": "0 3 * * *", "overlap": "10m"});
    mount.write("static-roles/app", every_night).await.expect("written");
    mount.write("rotate-role/app", json!({})).await.expect("rotated");
    let night = creds(&mount, "app").await;
    assert_eq!(night["ttl"], json!(300));
    assert!((1..=86400).contains(&night["rotation_period"].as_u64().expect("seconds")), "until three o'clock");
    // Kubernetes' operator would wait for a ttl that only falls.
    assert_eq!(night.get("rotation_schedule"), None);
    mount.write("static-roles/app", json!({"disable_automated_rotation": true})).await.expect("written");
    assert_eq!([seconds("ttl").await, seconds("rotation_period").await], [300, 300], "the operator asks for a period");
}

#[tokio::test]
async fn who_reads_again_when_told_is_not_refused_whenever_somebody_rotates() {
    for (period, second) in [("720h", 0), ("720h", 1), ("720h", 59), ("30m", 0), ("30m", 30)] {
        let bench = Bench::new();
        let case = &Case::named("openai");
        let (mount, mut body) = mounted(&bench, case).await;
        body["rotation_period"] = period.into();
        body["overlap"] = "15m".into();
        mount.write("static-roles/app", body).await.expect("written");
        let mut kept = creds(&mount, "app").await;
        let mut ages = 0;
        for minute in 0..120_u64 {
            if minute % 40 == 7 {
                bench.advance(Duration::from_secs(second)).await;
                mount.write("rotate-role/app", json!({})).await.expect("rotated");
            }
            bench.advance(MINUTE).await;
            mount.tick().await;
            ages += 60;
            if ages >= kept["ttl"].as_u64().expect("seconds") {
                (kept, ages) = (creds(&mount, "app").await, 0);
            }
            let key = text(&kept, "api_key").to_owned();
            assert_eq!(status(&bench, case, &key).await, 200, "{period}, {second}, minute {minute}");
        }
    }
}

#[tokio::test]
async fn a_client_meets_no_refusal_through_a_thousand_rotations() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, mut body) = mounted(&bench, case).await;
    body["rotation_period"] = "5m".into();
    body["overlap"] = "2m".into();
    mount.write("static-roles/app", body).await.expect("written");
    // The vendor knows a fresh key after a minute and a half, and every fifth call fails; those that read may come again at
    // once, since the waits between tries are real time.
    bench.simulator.settings(json!({"accept_lag_seconds": 90})).await;
    let fails = json!([
        {"vendor": "openai", "method": "POST", "kind": "error_before", "status": 503, "times": -1, "every": 5},
        {"vendor": "openai", "method": "DELETE", "kind": "error_before", "status": 503, "times": -1, "every": 5},
        {"vendor": "openai", "method": "GET", "kind": "rate_limit", "retry_after_seconds": 0, "times": -1, "every": 5},
    ]);
    bench.simulator.faults(fails).await;
    bench.advance(2 * MINUTE).await;
    let (mut calls, mut failed, mut seen) = (0, 0, 0);
    let mut served = String::new();
    while seen < 1000 {
        assert!(calls < 20_000, "only {seen} rotations in {calls} minutes");
        bench.advance(MINUTE).await;
        mount.tick().await;
        let key = text(&creds(&mount, "app").await, "api_key").to_owned();
        match status(&bench, case, &key).await {
            200 => {}
            429 => failed += 1,
            refused => panic!("{refused} in minute {calls}, after {seen} rotations"),
        }
        calls += 1;
        seen += u32::from(key != served);
        served = key;
        // Real time for what is due, which shares this thread.
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let role = mount.read("static-roles/app").await.expect("read").data.expect("a role");
            let next = text(&role, "next_vault_rotation").parse::<Time>().expect("a time");
            if role["pending_key_id"].is_null() && next > bench.clock.now() {
                break;
            }
        }
    }
    println!("{seen} rotations, {calls} calls, {failed} of them failed and none was refused");
    bench.simulator.faults(json!([])).await;
    for _ in 0..3 {
        bench.advance(3 * MINUTE).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    eventually("no orphan", async || keys(&bench, case).await <= 2).await;
}

#[tokio::test]
async fn a_thousand_roles_that_are_due_in_the_same_minute_are_all_rotated() {
    let bench = Bench::new();
    let case = &Case::named("litellm");
    let (mount, body) = mounted(&bench, case).await;
    for number in 0..1000 {
        mount.write(&format!("static-roles/app-{number}"), body.clone()).await.expect("written");
    }
    let made = bench.simulator.created("litellm").await;
    assert_eq!(made, 1000);
    bench.advance(25 * HOUR).await;
    mount.tick().await;
    eventually("all rotated", async || bench.simulator.created("litellm").await >= 2000).await;
    let rotated = async || {
        let mut rotated = 0;
        for number in 0..1000 {
            rotated += usize::from(creds(&mount, &format!("app-{number}")).await["previous_api_key"].is_string());
        }
        rotated
    };
    eventually("all are served", async || rotated().await == 1000).await;
    assert_eq!(bench.simulator.created("litellm").await, 2000, "each once");
}

#[tokio::test]
async fn a_key_that_exists_is_taken_over() {
    let case = &Case::named("litellm");
    for skip in [true, false] {
        let bench = Bench::new();
        let (mount, mut body) = mounted(&bench, case).await;
        body["api_key"] = "sk-nobodys-key-0123456789".into();
        let error = mount.write("static-roles/app", body.clone()).await.expect_err("not the vendor's");
        assert!(matches!(&error, Error::Invalid(text) if text.contains("refused by the vendor")), "{error}");
        let generated = bench.simulator.call("POST", "/litellm/key/generate", case.admin_key, Some(json!({}))).await;
        let generated = generated.expect(200);
        body["api_key"] = generated["key"].clone();
        body["skip_import_rotation"] = skip.into();
        let warnings = mount.write("static-roles/app", body.clone()).await.expect("written").warnings;
        assert!(warnings.iter().any(|text| text.contains("by hand")), "{warnings:?}");
        let served = creds(&mount, "app").await;
        let field = if skip { "api_key" } else { "previous_api_key" };
        assert_eq!(served[field], generated["key"]);
        mount.write("rotate-role/app", json!({})).await.expect("rotated");
        bench.advance(2 * HOUR).await;
        mount.tick().await;
        eventually("one of ours is left", async || keys(&bench, case).await == 1).await;
        let old = generated["key"].as_str().expect("a key");
        assert_eq!(status(&bench, case, old).await, 200, "nothing proves which key it is, so it is not deleted");
        let again = mount.write("static-roles/app", body).await.expect_err("taken once");
        assert!(matches!(&again, Error::Invalid(text) if text.contains("api_key")), "{again}");
    }
}

#[tokio::test]
async fn a_key_that_has_leaked_is_replaced_and_deleted_at_once() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, body) = mounted(&bench, case).await;
    mount.write("static-roles/app", body).await.expect("written");
    let leaked = creds(&mount, "app").await;
    mount.write("rotate-role/app", json!({"overlap": 0})).await.expect("rotated");
    eventually("it is deleted", async || status(&bench, case, text(&leaked, "api_key")).await == 401).await;
    let served = creds(&mount, "app").await;
    assert_eq!(served["previous_api_key"], Value::Null);
    assert_eq!(status(&bench, case, text(&served, "api_key")).await, 200);
}

#[tokio::test]
async fn a_narrower_role_never_serves_a_key_that_was_made_before() {
    let bench = Bench::new();
    let case = &Case::named("litellm");
    let (mount, mut body) = mounted(&bench, case).await;
    mount.write("static-roles/app", body.clone()).await.expect("written");
    bench.simulator.settings(json!({"accept_lag_seconds": 600})).await;
    bench.advance(11 * MINUTE).await;
    let pending = mount.write("rotate-role/app", json!({})).await.expect("begun");
    assert!(pending.warnings[0].contains("not served yet"), "{:?}", pending.warnings);
    body["models"] = json!(["fake-big"]);
    mount.write("static-roles/app", body).await.expect("written");
    let role = mount.read("static-roles/app").await.expect("read").data.expect("a role");
    assert_eq!(role["pending_key_id"], Value::Null);
    bench.simulator.settings(json!({"accept_lag_seconds": 0})).await;
    mount.tick().await;
    eventually("it is deleted", async || keys(&bench, case).await == 1).await;
    mount.write("config/main", json!({"allowed_roles": "dev"})).await.expect("written");
    let error = mount.write("rotate-role/app", json!({})).await.expect_err("not allowed any more");
    assert!(matches!(error, Error::Denied(_)), "{error}");
}

#[tokio::test]
async fn a_deleted_role_deletes_its_key_or_leaves_it_as_asked() {
    let case = &Case::named("openai");
    for keep in [false, true] {
        let bench = Bench::new();
        let (mount, body) = mounted(&bench, case).await;
        mount.write("static-roles/app", body).await.expect("written");
        mount.write("rotate-role/app", json!({})).await.expect("rotated");
        let served = creds(&mount, "app").await;
        let deleted = mount
            .send(vault_plugin_secrets_ai::logical::Operation::Delete, "static-roles/app", json!({"keep_key": keep}))
            .await
            .expect("deleted");
        assert!(deleted.warnings[0].contains(text(&served, "key_id")), "{:?}", deleted.warnings);
        assert!(deleted.warnings[0].contains(if keep { "left at the vendor" } else { "is deleted" }));
        let left = usize::from(keep);
        eventually("the others are gone", async || keys(&bench, case).await == left).await;
        let expected = if keep { 200 } else { 401 };
        eventually("as asked", async || status(&bench, case, text(&served, "api_key")).await == expected).await;
        eventually("no row", async || bench.rows().await.is_empty()).await;
        assert!(mount.read("static-creds/app").await.is_err());
    }
}

#[tokio::test]
async fn a_write_that_fails_at_any_point_leaves_a_role_with_a_key_that_works() {
    let case = &Case::named("openai");
    for failing in 0..4 {
        let bench = Bench::new();
        let (mount, body) = mounted(&bench, case).await;
        mount.write("static-roles/app", body).await.expect("written");
        *bench.storage.fail_put.lock().expect("not poisoned") = Some(failing);
        mount.write("rotate-role/app", json!({})).await.expect_err("storage fails");
        assert_eq!(status(&bench, case, text(&creds(&mount, "app").await, "api_key")).await, 200, "{failing}");
        for minutes in [3, 10, 55, 61] {
            bench.advance(minutes * MINUTE).await;
            mount.tick().await;
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        eventually(&format!("{failing}: one is left"), async || keys(&bench, case).await == 1).await;
        assert_eq!(status(&bench, case, text(&creds(&mount, "app").await, "api_key")).await, 200, "{failing}");
        eventually(&format!("{failing}: one row"), async || bench.rows().await.len() == 1).await;
    }
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused_by_its_field() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, body) = mounted(&bench, case).await;
    for (change, says) in [
        (json!({"rotation_period": null}), "rotation_period"),
        (json!({"rotation_period": "30s"}), "rotation_period"),
        (json!({"rotation_schedule": "soon"}), "rotation_schedule"),
        (json!({"overlap": "24h"}), "overlap"),
        (json!({"overlap": "5s"}), "overlap"),
        (json!({"rotation_period": "200d"}), "rotation_period"),
        (json!({"config": "nobody"}), "config"),
        (json!({"scopes": []}), "scopes"),
        (json!({"api_key": "a b"}), "api_key"),
    ] {
        let mut wrong = body.clone();
        wrong.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let error = mount.write("static-roles/app", wrong).await.expect_err(says);
        assert!(matches!(&error, Error::Invalid(text) if text.contains(says)), "{change}: {error}");
    }
    assert!(bench.rows().await.is_empty() && keys(&bench, case).await == 0);
    let error = mount.read("static-creds/app").await.expect_err("no role");
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    mount.write("config/main", json!({"allowed_roles": "dev"})).await.expect("written");
    let error = mount.write("static-roles/app", body).await.expect_err("not allowed");
    assert!(matches!(error, Error::Denied(_)), "{error}");
}

#[tokio::test]
async fn the_key_of_a_role_is_deleted_by_no_other_path() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, body) = mounted(&bench, case).await;
    mount.write("static-roles/app", body).await.expect("written");
    let row = bench.rows().await[0].clone();
    let error = mount.delete(&format!("keys/{row}")).await.expect_err("in use");
    assert!(matches!(&error, Error::Invalid(text) if text.contains("rotate-role/app")), "{error}");
    mount.delete("config/main").await.expect("deleted");
    bench.advance(30 * HOUR).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(status(&bench, case, text(&creds(&mount, "app").await, "api_key")).await, 200, "it outlives its config");
    let role = mount.read("static-roles/app").await.expect("read").data.expect("a role");
    assert!(text(&role, "rotation_failure").contains("does not exist"), "{}", role["rotation_failure"]);
    mount.delete("static-roles/app").await.expect("deleted");
    eventually("its key is deleted by the retired account", async || keys(&bench, case).await == 0).await;
}

#[tokio::test]
async fn a_key_that_a_lease_holds_is_taken_over_and_its_lease_ends_nothing() {
    for case in &CASES {
        let bench = Bench::new();
        let (mount, mut body) = mounted(&bench, case).await;
        let lease = mount.creds().await.expect("a key");
        let row = bench.rows().await.pop().expect("a row");
        let other = mount.creds().await.expect("another key");
        body["api_key"] = lease.text("api_key").into();
        body["take_over"] = row.as_str().into();
        body["overlap"] = "30m".into();
        let written = mount.write("static-roles/app", body.clone()).await.expect("written");
        assert!(written.warnings.iter().any(|text| text.contains("ends without ending it")), "{:?}", written.warnings);
        let name = case.provider;
        let works = async |key: &str| status(&bench, case, key).await == 200;
        // Where the vendor cannot be asked with the key, the new one is served a minute later.
        bench.advance(2 * MINUTE).await;
        mount.tick().await;
        eventually("replaced", async || creds(&mount, "app").await["api_key"] != lease.data["api_key"]).await;
        assert_eq!(creds(&mount, "app").await["previous_api_key"], lease.data["api_key"], "{name}");
        // Neither its lease nor whoever is on call ends it.
        let refused = mount.renew(&lease, HOUR).await.expect_err("refused").to_string();
        assert!(refused.contains("static-creds/"), "{name}: {refused}");
        mount.revoke(&lease).await.expect("revoked");
        let refused = mount.delete(&format!("keys/{row}")).await.expect_err("refused").to_string();
        assert!(refused.contains("static role \"app\""), "{name}: {refused}");
        assert!(works(lease.text("api_key")).await, "{name}");
        mount.revoke(&other).await.expect("revoked");
        bench.advance(31 * MINUTE).await;
        mount.tick().await;
        eventually("the old one is deleted", async || keys(&bench, case).await == 1).await;
        assert!(works(text(&creds(&mount, "app").await, "api_key")).await, "{name}");
        eventually("one row", async || bench.rows().await.len() == 1).await;
        mount.revoke(&lease).await.expect("revoked again");
    }
}

#[tokio::test]
async fn what_cannot_be_taken_over_stays_with_its_lease() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, body) = mounted(&bench, case).await;
    let lease = mount.creds().await.expect("a key");
    let row = bench.rows().await.pop().expect("a row");
    let second = mount.creds().await.expect("another key");
    let another = bench.rows().await.into_iter().find(|id| *id != row).expect("its row");
    let with = |field: &str, value: Value| {
        let mut body = body.clone();
        body["api_key"] = lease.text("api_key").into();
        body["take_over"] = row.as_str().into();
        body[field] = value;
        body
    };
    for (field, value, says) in [
        ("api_key", Value::Null, "\"api_key\": is required with take_over"),
        ("take_over", "none".into(), "no key \"none\""),
        ("take_over", another.as_str().into(), "is another one than api_key"),
        ("skip_import_rotation", true.into(), "\"skip_import_rotation\""),
    ] {
        let error = mount.write("static-roles/app", with(field, value)).await.expect_err("refused").to_string();
        assert!(error.contains(says), "{field}: {error}");
    }
    // The record of the role could not be written: the key is its lease's as before.
    *bench.storage.fail_put.lock().expect("not poisoned") = Some(1);
    assert!(mount.write("static-roles/app", with("overlap", "30m".into())).await.is_err());
    *bench.storage.fail_put.lock().expect("not poisoned") = None;
    assert_eq!(status(&bench, case, lease.text("api_key")).await, 200);
    mount.renew(&lease, HOUR).await.expect("renewed");
    mount.revoke(&lease).await.expect("revoked");
    mount.revoke(&second).await.expect("revoked");
    assert_eq!((keys(&bench, case).await, bench.rows().await.len()), (0, 0));
    // The key of a static role is none that a lease holds.
    mount.write("static-roles/app", body.clone()).await.expect("written");
    let row = bench.rows().await.pop().expect("a row");
    let served = creds(&mount, "app").await["api_key"].clone();
    let mut second = with("take_over", row.into());
    second["api_key"] = served;
    let error = mount.write("static-roles/other", second).await.expect_err("refused").to_string();
    assert!(error.contains("none that a lease holds"), "{error}");
}

/// A leased key that a role has taken over, and that is not replaced since the vendor makes none.
async fn take_over_while_out(bench: &Bench, mount: &Mounted, mut body: Value) -> Issued {
    let lease = mount.creds().await.expect("a key");
    body["api_key"] = lease.text("api_key").into();
    body["take_over"] = bench.rows().await.pop().expect("a row").into();
    let out = json!([{"vendor": "openai", "method": "POST", "kind": "error_before", "status": 503, "times": -1}]);
    bench.simulator.faults(out).await;
    let written = mount.write("static-roles/app", body).await.expect("written");
    assert!(written.warnings.iter().any(|text| text.contains("is served as it is")), "{:?}", written.warnings);
    lease
}

#[tokio::test]
async fn a_key_that_was_taken_over_is_kept_only_once_its_lease_is_over() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, body) = mounted(&bench, case).await;
    let lease = take_over_while_out(&bench, &mount, body).await;
    let keep = || mount.send(Operation::Delete, "static-roles/app", json!({"keep_key": true}));
    let error = keep().await.expect_err("its lease would delete it").to_string();
    assert!(error.contains("\"keep_key\""), "{error}");
    mount.revoke(&lease).await.expect("revoked");
    assert_eq!(status(&bench, case, lease.text("api_key")).await, 200);
    // The vendor ends it before the next rotation would come, so it is replaced as soon as that can be.
    let role = mount.read("static-roles/app").await.expect("read").data.expect("a role");
    assert!(role["key_id"].is_string());
    keep().await.expect("kept");
    assert_eq!(status(&bench, case, lease.text("api_key")).await, 200);
    mount.revoke(&lease).await.map(drop).expect("revoked again");
    assert_eq!(status(&bench, case, lease.text("api_key")).await, 200, "it was left at the vendor");
}

#[tokio::test]
async fn a_taken_key_that_its_vendor_would_end_is_replaced_as_soon_as_that_can_be() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, body) = mounted(&bench, case).await;
    let lease = take_over_while_out(&bench, &mount, body).await;
    bench.simulator.faults(json!([])).await;
    bench.advance(5 * MINUTE).await;
    mount.tick().await;
    eventually("replaced", async || creds(&mount, "app").await["api_key"] != lease.data["api_key"]).await;
}

#[tokio::test]
async fn a_deletion_that_storage_fails_leaves_no_key() {
    for number in 0..3 {
        let bench = Bench::new();
        let case = &Case::named("openai");
        let (mount, body) = mounted(&bench, case).await;
        mount.write("static-roles/app", body).await.expect("written");
        mount.write("rotate-role/app", json!({})).await.expect("rotated");
        *bench.storage.fail_put.lock().expect("not poisoned") = Some(number);
        let _ = mount.delete("static-roles/app").await;
        *bench.storage.fail_put.lock().expect("not poisoned") = None;
        for _ in 0..4 {
            bench.advance(2 * MINUTE).await;
            mount.tick().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        eventually("no key", async || keys(&bench, case).await == 0).await;
        eventually("no row", async || bench.rows().await.is_empty()).await;
    }
}

#[tokio::test]
async fn a_role_that_cannot_be_read_stops_no_other() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, body) = mounted(&bench, case).await;
    for name in ["app", "broken"] {
        mount.write(&format!("static-roles/{name}"), body.clone()).await.expect("written");
    }
    let newer = Entry { key: "static/broken".into(), value: r#"{"v":2}"#.into(), seal_wrap: true };
    bench.storage.put(newer).await.expect("a newer version wrote it");
    let before = creds(&mount, "app").await["api_key"].clone();
    bench.advance(25 * HOUR).await;
    mount.tick().await;
    eventually("rotated", async || creds(&mount, "app").await["api_key"] != before).await;
    assert!(keys(&bench, case).await >= 2, "the key of the other is left alone");
}
