//! The credential of a config, replaced while it is in use.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::{Entry, Error, Storage};

use crate::support::bench::{Bench, Mounted, eventually, ticks_until};
use crate::support::case::Case;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn openai(bench: &Bench) -> Mounted {
    bench.mount_with(&Case::named("openai")).await
}

/// Ids of the admin keys that the vendor has.
async fn admin_keys(bench: &Bench) -> Vec<String> {
    let state = bench.simulator.state().await;
    let live = state["openai"]["admin_keys"]["live"].as_array().expect("a list").clone();
    live.iter().map(|key| key["id"].as_str().expect("an id").to_owned()).collect()
}

async fn created(bench: &Bench) -> u64 {
    bench.simulator.state().await["openai"]["admin_keys"]["created_count"].as_u64().expect("a count")
}

async fn config(mount: &Mounted) -> Value {
    json!(mount.read("config/main").await.expect("an answer").data.expect("a config"))
}

async fn rotate(mount: &Mounted, body: Value) -> Value {
    json!(mount.write("config/main/rotate-root", body).await.expect("rotated").data.expect("data"))
}

/// The credential that is stored, which no path shows.
async fn stored(bench: &Bench) -> String {
    let text = bench.storage.get("config/main").await.expect("read").expect("a config");
    let record: Value = serde_json::from_str(text.expose()).expect("JSON");
    record["account"]["admin_key"].as_str().expect("a credential").to_owned()
}

async fn works(bench: &Bench, credential: &str) -> bool {
    let path = "/openai/v1/organization/projects/proj_sim1";
    bench.simulator.call("GET", path, credential, None).await.status == 200
}

#[tokio::test]
async fn a_credential_is_replaced_and_the_old_one_outlives_the_calls_in_flight() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    let before = stored(&bench).await;
    let lease = mount.creds().await.expect("a key");
    let rotated = rotate(&mount, json!({})).await;
    let after = stored(&bench).await;
    assert_eq!(rotated["state"], "switched");
    assert!(after != before && works(&bench, &after).await && works(&bench, &before).await);
    assert_eq!(rotated["previous_credentials"][0]["key_id"], "key_sim_admin", "found by its shown ends");
    assert!(!rotated.to_string().contains(&after), "nobody is shown it");
    mount.creds().await.expect("a key by the new one");
    bench.advance(11 * MINUTE).await;
    mount.tick().await;
    eventually("the old one is deleted", async || admin_keys(&bench).await.len() == 1).await;
    assert!(!works(&bench, &before).await && works(&bench, &after).await);
    assert_eq!(config(&mount).await["previous_credentials"], json!([]));
    mount.revoke(&lease).await.expect("a lease of before ends by the new one");
}

#[tokio::test]
async fn each_rotation_ends_what_the_one_before_has_made() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    for _ in 0..3 {
        let rotated = rotate(&mount, json!({"overlap": "0s"})).await;
        assert_eq!((&rotated["previous_credentials"], &rotated["step_confirm"]), (&json!([]), &json!("done")));
        assert_eq!(admin_keys(&bench).await.len(), 1, "before the answer");
        assert!(works(&bench, &stored(&bench).await).await);
    }
    eventually("one row is left", async || bench.rows().await.len() == 1).await;
    let row = mount.read(&format!("keys/{}", bench.rows().await[0])).await.expect("read").data.expect("a row");
    assert_eq!((&row["kind"], &row["state"], &row["deadline"]), (&json!("admin"), &json!("live"), &Value::Null));
}

#[tokio::test]
async fn two_rotations_within_an_overlap_leave_one_credential() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    rotate(&mount, json!({})).await;
    rotate(&mount, json!({})).await;
    assert_eq!(admin_keys(&bench).await.len(), 3);
    assert_eq!(config(&mount).await["previous_credentials"].as_array().expect("a list").len(), 2);
    bench.advance(11 * MINUTE).await;
    mount.tick().await;
    eventually("one is left", async || admin_keys(&bench).await.len() == 1).await;
    assert!(works(&bench, &stored(&bench).await).await);
}

#[tokio::test]
async fn a_credential_rotates_by_itself_when_it_is_due() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    let first = stored(&bench).await;
    mount.write("config/main", json!({"rotation_period": "24h"})).await.expect("written");
    let shown = config(&mount).await;
    assert_eq!((&shown["rotation_period"], &shown["last_rotated"]), (&json!(86400), &Value::Null));
    bench.advance(23 * HOUR).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(stored(&bench).await, first, "not yet");
    for _ in 0..3 {
        let before = stored(&bench).await;
        bench.advance(25 * HOUR).await;
        mount.tick().await;
        eventually("rotated", async || stored(&bench).await != before).await;
    }
    bench.advance(11 * MINUTE).await;
    mount.tick().await;
    eventually("one is left", async || admin_keys(&bench).await.len() == 1).await;
    mount.write("config/main", json!({"disable_automated_rotation": true})).await.expect("written");
    let last = stored(&bench).await;
    bench.advance(40 * DAY).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(stored(&bench).await, last);
    let warned = mount.read("config/main").await.expect("read").warnings;
    assert!(warned.iter().any(|text| text.contains("40 days old")), "{warned:?}");
}

#[tokio::test]
async fn a_vendor_that_is_slow_to_take_a_fresh_credential_is_waited_for_with_the_old_one_in_use() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    bench.simulator.settings(json!({"accept_lag_seconds": 120})).await;
    let before = stored(&bench).await;
    let rotated = mount.write("config/main/rotate-root", json!({})).await.expect("begun");
    assert_eq!(rotated.data.expect("data")["state"], "pending");
    assert!(rotated.warnings[0].contains("goes on by itself"), "{:?}", rotated.warnings);
    assert_eq!(stored(&bench).await, before);
    mount.creds().await.expect("the old one works");
    ticks_until(&bench, &mount, "switched", async || stored(&bench).await != before).await;
    assert_eq!(created(&bench).await, 1, "the same one that was made first");
}

#[tokio::test]
async fn a_credential_that_the_vendor_never_takes_is_given_up_and_deleted() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    bench.simulator.settings(json!({"accept_lag_seconds": 1_000_000})).await;
    let before = stored(&bench).await;
    assert_eq!(rotate(&mount, json!({})).await["state"], "pending");
    let given_up = async || config(&mount).await["rotation_failure"].to_string().contains("it is deleted");
    ticks_until(&bench, &mount, "given up", given_up).await;
    eventually("the new one is deleted", async || admin_keys(&bench).await == ["key_sim_admin"]).await;
    eventually("no row", async || bench.rows().await.is_empty()).await;
    assert_eq!(stored(&bench).await, before);
    assert_eq!(config(&mount).await["pending_credential"], Value::Null);
}

#[tokio::test]
async fn a_write_that_fails_at_any_point_leaves_one_credential_that_works() {
    // Row, config with the pending one, row, config with the new one.
    for failing in 0..4 {
        let bench = Bench::new();
        let mount = openai(&bench).await;
        *bench.storage.fail_put.lock().expect("not poisoned") = Some(failing);
        mount.write("config/main/rotate-root", json!({})).await.expect_err("storage fails");
        mount.creds().await.expect("the credential in use works");
        rotate(&mount, json!({"overlap": 0})).await;
        for minutes in [3, 10, 55] {
            bench.advance(minutes * MINUTE).await;
            mount.tick().await;
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        eventually(&format!("{failing}: one is left"), async || admin_keys(&bench).await.len() == 1).await;
        assert!(works(&bench, &stored(&bench).await).await, "{failing}");
        // That of the credential, and that of the lease.
        eventually(&format!("{failing}: two rows"), async || bench.rows().await.len() == 2).await;
    }
}

#[tokio::test]
async fn mints_go_on_while_credentials_are_replaced() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    let mints = async {
        let mints = (0..200).map(|_| mount.creds());
        futures_util::future::join_all(mints).await.into_iter().filter_map(Result::err).collect::<Vec<_>>()
    };
    let rotations = async {
        for _ in 0..3 {
            rotate(&mount, json!({})).await;
        }
    };
    let (failed, ()) = tokio::join!(mints, rotations);
    assert!(failed.is_empty(), "{failed:?}");
}

#[tokio::test]
async fn a_credential_that_is_written_by_hand_ends_the_one_that_was_made() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    rotate(&mount, json!({"overlap": 0})).await;
    eventually("one is left", async || admin_keys(&bench).await.len() == 1).await;
    let made = admin_keys(&bench).await;
    let reply = bench
        .simulator
        .call("POST", "/openai/v1/organization/admin_api_keys", &stored(&bench).await, Some(json!({"name": "mine"})))
        .await;
    let mine = reply.expect(200);
    let body = json!({"admin_key": mine["value"]});
    mount.write("config/main", body).await.expect("written");
    bench.advance(11 * MINUTE).await;
    mount.tick().await;
    eventually("ours is deleted", async || admin_keys(&bench).await == [mine["id"].as_str().expect("an id")]).await;
    assert!(made[0] != mine["id"]);
    assert!(config(&mount).await["last_rotated"].is_null());
}

#[tokio::test]
async fn a_deleted_config_ends_its_own_credential_after_its_leases() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    rotate(&mount, json!({"overlap": 0})).await;
    let lease = mount.creds().await.expect("a key");
    mount.delete("config/main").await.expect("deleted");
    for _ in 0..2 {
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(admin_keys(&bench).await.len(), 1, "a lease needs it");
    mount.revoke(&lease).await.expect("revoked");
    bench.advance(5 * MINUTE).await;
    mount.tick().await;
    eventually("none is left", async || admin_keys(&bench).await.is_empty()).await;
    eventually("nothing is stored", async || bench.storage.list("retired/").await.expect("listed").is_empty()).await;
}

#[tokio::test]
async fn a_vendor_that_makes_no_credentials_says_how_it_is_done_by_hand() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openrouter")).await;
    let error = mount.write("config/main/rotate-root", json!({})).await.expect_err("by hand");
    assert!(
        matches!(&error, Error::Invalid(text) if text.contains("management_key") && text.contains("5. ")),
        "{error}"
    );
    let error = mount.write("config/main", json!({"rotation_period": "30d"})).await.expect_err("refused");
    assert!(matches!(&error, Error::Invalid(text) if text.contains("rotation_period")), "{error}");
}

#[tokio::test]
async fn an_expiry_of_the_vendors_own_outlives_rotations_that_fail() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    for (body, says) in [
        (json!({"admin_key_ttl": "30d"}), "needs rotation_period"),
        (json!({"admin_key_ttl": "2d", "rotation_period": "24h"}), "at least 72h"),
        (json!({"rotation_period": "5m"}), "the shortest"),
        (json!({"rotation_schedule": "soon"}), "five fields"),
    ] {
        let error = mount.write("config/main", body).await.expect_err(says);
        assert!(matches!(&error, Error::Invalid(text) if text.contains(says)), "{error}");
    }
    let written = mount.write("config/main", json!({"admin_key_ttl": "3d", "rotation_schedule": "0 3 * * *"})).await;
    let warnings = written.expect("written").warnings;
    assert!(warnings.iter().any(|text| text.contains("locked out")), "{warnings:?}");
    rotate(&mount, json!({})).await;
    let state = bench.simulator.state().await;
    let live = state["openai"]["admin_keys"]["live"].as_array().expect("a list").clone();
    assert!(live.iter().any(|key| key["expires"].is_string()), "{live:?}");
    assert!(config(&mount).await["credential_expires"].is_string());
}

#[tokio::test]
async fn the_credential_in_use_is_deleted_by_no_path() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    rotate(&mount, json!({"overlap": 0})).await;
    eventually("one row", async || bench.rows().await.len() == 1).await;
    let row = bench.rows().await[0].clone();
    let error = mount.delete(&format!("keys/{row}")).await.expect_err("in use");
    assert!(matches!(&error, Error::Invalid(text) if text.contains("config/main/rotate-root")), "{error}");
    bench.advance(2 * DAY).await;
    let tidied = mount.write("tidy", json!({"delete": true})).await.expect("tidied").data.expect("data");
    assert_eq!((&tidied["deleted_keys"], &tidied["deleted_rows"]), (&json!(0), &json!(0)));
    mount.creds().await.expect("a key");
}

#[tokio::test]
async fn a_credential_that_another_account_uses_is_not_deleted_before_that_one_has_its_own() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    let other = Case::named("openai").config(&bench.simulator.url);
    mount.write("config/other", other).await.expect("written");
    let rotated = rotate(&mount, json!({"overlap": 0})).await;
    assert_eq!(rotated["step_confirm"], "once no other account holds it");
    bench.advance(HOUR).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(admin_keys(&bench).await.len(), 2, "the other account needs it");
    assert_eq!(mount.read("config/other/check").await.expect("checked").data.expect("data")["ok"], true);
    mount.write("config/other/rotate-root", json!({"overlap": 0})).await.expect("rotated");
    bench.advance(MINUTE).await;
    mount.tick().await;
    eventually("the old one is deleted", async || !admin_keys(&bench).await.contains(&"key_sim_admin".to_owned()))
        .await;
    assert_eq!(admin_keys(&bench).await.len(), 2, "one each");
}

#[tokio::test]
async fn an_account_that_is_changed_keeps_the_credential_that_was_made_for_it() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    rotate(&mount, json!({"overlap": 0})).await;
    let credential = stored(&bench).await;
    mount.write("config/main", json!({"organization": "org-sim", "verify": false})).await.expect("written");
    assert_eq!(stored(&bench).await, credential, "the write did not bring another");
    for _ in 0..3 {
        bench.advance(HOUR).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert!(works(&bench, &credential).await, "the retired account must not delete it");
    rotate(&mount, json!({"overlap": 0})).await;
    for _ in 0..2 {
        bench.advance(HOUR).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    eventually("one is left", async || admin_keys(&bench).await.len() == 1).await;
    assert!(works(&bench, &stored(&bench).await).await);
}

#[tokio::test]
async fn after_a_restored_snapshot_the_page_on_rotation_leads_out() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    // What somebody makes in the dashboard later, while there is a credential to make it with here.
    let path = "/openai/v1/organization/admin_api_keys";
    let made = bench.simulator.call("POST", path, &stored(&bench).await, Some(json!({"name": "by hand"}))).await;
    let mine = made.expect(200);
    rotate(&mount, json!({"overlap": 0})).await;
    let snapshot = bench.storage.get("config/main").await.expect("read").expect("a config");
    rotate(&mount, json!({"overlap": 0})).await;
    // The snapshot knows the credential of before, and not the row of the one in use.
    let entry = Entry { key: "config/main".into(), value: snapshot, seal_wrap: true };
    bench.storage.put(entry).await.expect("restored");
    for row in bench.rows().await {
        bench.storage.delete(&format!("ledger/{}/{row}", &row[..2])).await.expect("restored");
    }
    let mount = bench.mount().await;
    let error = mount.creds().await.map(drop).expect_err("gone");
    assert!(matches!(&error, Error::Refused(text) if text.contains("refuses the credential")), "{error}");
    assert_eq!(admin_keys(&bench).await.len(), 2, "that of the moment of the restore, and that made by hand");
    mount.write("config/main", json!({"admin_key": mine["value"]})).await.expect("written");
    bench.advance(HOUR).await;
    let tidied = mount.write("tidy", json!({"delete": true})).await.expect("tidied").data.expect("data");
    assert_eq!(tidied["deleted_keys"], 1, "the one that the snapshot knows nothing of");
    assert_eq!(admin_keys(&bench).await, [mine["id"].as_str().expect("an id")]);
    rotate(&mount, json!({"overlap": 0})).await;
    assert_eq!(admin_keys(&bench).await.len(), 1);
    assert!(works(&bench, &stored(&bench).await).await);
}

/// Those whose credentials are keys among others.
#[tokio::test]
async fn vendors_that_are_declared_rotate_their_credentials_as_well() {
    for (name, field, needed) in [
        ("deepgram", "admin_key", None),
        ("portkey", "admin_key", Some("admin_scopes")),
        ("scaleway", "secret_key", Some("admin_application_id")),
    ] {
        let bench = Bench::new();
        let mount = bench.mount().await;
        let example = bench.simulator.get("/_control/examples").await[name].clone();
        let mut body = example["config"].clone();
        body["provider"] = name.into();
        body["rotation_period"] = "720h".into();
        if let Some(needed) = needed {
            let mut without = body.clone();
            without.as_object_mut().expect("an object").remove(needed);
            let refused =
                mount.write("config/main", without).await.expect_err("it lacks what rotating needs").to_string();
            assert!(refused.contains(&format!("{needed:?}: is required to rotate")), "{name}: {refused}");
        }
        if let Some(needed) = needed {
            let mut without = body.clone();
            for field in [needed, "rotation_period"] {
                without.as_object_mut().expect("an object").remove(field);
            }
            mount.write("config/main", without).await.expect("a config");
        }
        mount.write("config/main", body.clone()).await.expect("a config");
        assert!(bench.storage_list("retired/").await.is_empty(), "{name}: what rotating needs names no other account");
        let mut role = example["role"].clone();
        role["config"] = "main".into();
        mount.write("roles/dev", role).await.expect("a role");
        let lease = mount.creds().await.expect("a key");
        let first = rotate(&mount, json!({"overlap": 0})).await;
        // Which of its keys the first one was, the vendor does not say.
        assert_eq!((&first["state"], &first["step_revoke"]), (&json!("switched"), &json!("by hand")), "{name}");
        let text = bench.storage.get("config/main").await.expect("read").expect("a config");
        let record: Value = serde_json::from_str(text.expose()).expect("JSON");
        assert_ne!(record["account"][field], body[field], "{name}");
        let second = rotate(&mount, json!({"overlap": 0})).await;
        assert_eq!((&second["state"], &second["step_confirm"]), (&json!("switched"), &json!("done")), "{name}");
        mount.creds().await.expect("a key by the new one");
        mount.revoke(&lease).await.expect("a lease of before ends by the new one");
        // Of ours there are the credential in use and the second key.
        assert_eq!((bench.simulator.live(name).await.len(), bench.rows().await.len()), (2, 2), "{name}");
        bench.advance(31 * DAY).await;
        mount.tick().await;
        eventually("by itself", async || config(&mount).await["last_rotated"] != second["last_rotated"]).await;
        bench.system.tainted.store(true, std::sync::atomic::Ordering::SeqCst);
        mount.cleanup().await;
        assert!(bench.simulator.live(name).await.is_empty(), "{name}: the credential ends itself, last");
    }
}

#[tokio::test]
async fn an_overlap_that_is_asked_for_while_the_vendor_takes_its_time_holds() {
    let bench = Bench::new();
    let mount = openai(&bench).await;
    let leaked = stored(&bench).await;
    bench.simulator.settings(json!({"accept_lag_seconds": 90})).await;
    for overlap in [json!({}), json!({"overlap": 0})] {
        assert_eq!(rotate(&mount, overlap).await["state"], "pending");
    }
    assert!(works(&bench, &leaked).await);
    bench.advance(2 * MINUTE).await;
    bench.simulator.settings(json!({"accept_lag_seconds": 0, "clock_offset_seconds": 120})).await;
    eventually("the leaked one is deleted", async || {
        mount.tick().await;
        !works(&bench, &leaked).await
    })
    .await;
    assert!(works(&bench, &stored(&bench).await).await);
}
