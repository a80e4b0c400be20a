//! What a vendor says of a fresh key decides when a static role serves it.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::{Clock, Time};

use super::static_roles::{creds, mounted, status, text};
use crate::support::bench::{Bench, Mounted, eventually, ticks_until};
use crate::support::case::Case;

const MINUTE: Duration = Duration::from_secs(60);

/// A mount with Mistral's account, whose keys are tried at what clients set as their base URL.
async fn of_mistral(bench: &Bench, base_url: Option<&str>) -> Mounted {
    let mount = bench.mount().await;
    let example = bench.simulator.get("/_control/examples").await["mistral"].clone();
    let mut config = example["config"].clone();
    config["provider"] = "mistral".into();
    if let Some(url) = base_url {
        config["base_url"] = url.into();
    }
    mount.write("config/main", config).await.expect("a config");
    mount
}

#[tokio::test]
async fn a_vendor_that_cannot_be_asked_holds_up_no_rotation_for_ever() {
    let bench = Bench::new();
    // Nobody is there, or who is there answers clients only.
    let mount = of_mistral(&bench, Some("http://127.0.0.1:9/v1")).await;
    let role = json!({"config": "main", "rotation_period": "720h"});
    let written = mount.write("static-roles/app", role).await.expect("written");
    assert!(written.warnings[0].contains("is not served yet"), "{:?}", written.warnings);
    mount.read("static-creds/app").await.expect_err("there is nothing else to serve");
    ticks_until(&bench, &mount, "so it is served in time", async || mount.read("static-creds/app").await.is_ok()).await;
    let first = creds(&mount, "app").await;
    mount.write("rotate-role/app", json!({})).await.expect("begun");
    let begun = bench.clock.now();
    bench.advance(5 * MINUTE).await;
    mount.tick().await;
    eventually("it was asked again", async || {
        let role = mount.read("static-roles/app").await.expect("read").data.expect("a role");
        role["rotation_failure"].is_string()
    })
    .await;
    assert_eq!(creds(&mount, "app").await["api_key"], first["api_key"]);
    let switched = async || creds(&mount, "app").await["api_key"] != first["api_key"];
    ticks_until(&bench, &mount, "the next one is served too", switched).await;
    let rotated: Time = text(&creds(&mount, "app").await, "last_vault_rotation").parse().expect("a time");
    assert!(rotated - begun >= TimeDelta::minutes(30), "it might still have been asked");
    assert_eq!(creds(&mount, "app").await["previous_api_key"], first["api_key"]);
}

#[tokio::test]
async fn what_a_vendor_has_refused_is_served_on_its_word_only() {
    let bench = Bench::new();
    let mount = of_mistral(&bench, None).await;
    mount.write("static-roles/app", json!({"config": "main", "rotation_period": "720h"})).await.expect("written");
    let first = creds(&mount, "app").await;
    bench.simulator.settings(json!({"accept_lag_seconds": 36_000})).await;
    mount.write("rotate-role/app", json!({})).await.expect("begun");
    let pending =
        async || mount.read("static-roles/app").await.expect("read").data.expect("a role")["pending_key_id"].clone();
    let refused = pending().await;
    assert!(refused.is_string());
    // From now on it says nothing of the key.
    let moved =
        json!([{"vendor": "mistral", "path_contains": "/models", "kind": "error_before", "status": 404, "times": -1}]);
    bench.simulator.faults(moved).await;
    for _ in 0..5 {
        bench.advance(5 * MINUTE).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(
            (creds(&mount, "app").await["api_key"].clone(), pending().await),
            (first["api_key"].clone(), refused.clone())
        );
    }
    ticks_until(&bench, &mount, "it is given up", async || pending().await != refused).await;
    assert_eq!(creds(&mount, "app").await["api_key"], first["api_key"]);
    bench.simulator.faults(json!([])).await;
    bench.simulator.settings(json!({"accept_lag_seconds": 0})).await;
    ticks_until(&bench, &mount, "what was begun goes on with another key", async || {
        creds(&mount, "app").await["api_key"] != first["api_key"]
    })
    .await;
}

#[tokio::test]
async fn a_leaked_key_ends_however_long_the_vendor_refuses_the_next_one() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, mut body) = mounted(&bench, case).await;
    body["rotation_period"] = "720h".into();
    mount.write("static-roles/app", body).await.expect("written");
    let leaked = creds(&mount, "app").await;
    bench.simulator.settings(json!({"accept_lag_seconds": 36_000})).await;
    bench.advance(MINUTE).await;
    let begun = mount.write("rotate-role/app", json!({"overlap": "0s"})).await.expect("begun");
    assert!(begun.warnings[0].contains("until then the key before goes on working"), "{:?}", begun.warnings);
    // More of an overlap cannot be asked for afterwards.
    mount.write("rotate-role/app", json!({"overlap": "30m"})).await.expect("begun");
    ticks_until(&bench, &mount, "it is given up", async || {
        let role = mount.read("static-roles/app").await.expect("read").data.expect("a role");
        role["rotation_failure"].as_str().is_some_and(|why| why.contains("another is made"))
    })
    .await;
    bench.simulator.settings(json!({"accept_lag_seconds": 0})).await;
    ticks_until(&bench, &mount, "the leaked one is replaced", async || {
        creds(&mount, "app").await["api_key"] != leaked["api_key"]
    })
    .await;
    eventually("and ends at once", async || status(&bench, case, text(&leaked, "api_key")).await == 401).await;
    let served = creds(&mount, "app").await;
    assert_eq!(
        (status(&bench, case, text(&served, "api_key")).await, &served["previous_api_key"]),
        (200, &Value::Null)
    );
}

#[tokio::test]
async fn a_first_key_that_the_vendor_refuses_is_followed_by_others() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, mut body) = mounted(&bench, case).await;
    bench.simulator.settings(json!({"accept_lag_seconds": 36_000})).await;
    body["rotation_period"] = "720h".into();
    mount.write("static-roles/app", body.clone()).await.expect("written");
    // A change while there is no key to serve.
    let changed = json!({"scopes": "api.model.read"});
    let patched = mount.write("static-roles/app", changed).await.expect("written");
    assert!(
        patched.warnings.iter().any(|text| text.contains("another one is made by itself")),
        "{:?}",
        patched.warnings
    );
    bench.simulator.settings(json!({"accept_lag_seconds": 0})).await;
    ticks_until(&bench, &mount, "a key is served", async || mount.read("static-creds/app").await.is_ok()).await;
    assert_eq!(status(&bench, case, text(&creds(&mount, "app").await, "api_key")).await, 200);
}

#[tokio::test]
async fn an_overlap_that_was_asked_for_holds_when_the_vendor_takes_its_time() {
    let bench = Bench::new();
    let case = &Case::named("openai");
    let (mount, mut body) = mounted(&bench, case).await;
    body["overlap"] = "4h".into();
    mount.write("static-roles/app", body).await.expect("written");
    let leaked = text(&creds(&mount, "app").await, "api_key").to_owned();
    bench.advance(2 * MINUTE).await;
    bench.simulator.settings(json!({"accept_lag_seconds": 90, "clock_offset_seconds": 120})).await;
    let asked = mount.write("rotate-role/app", json!({"overlap": 0})).await.expect("begun");
    assert!(asked.warnings[0].contains("not served yet"), "{:?}", asked.warnings);
    assert_eq!(status(&bench, case, &leaked).await, 200);
    bench.simulator.settings(json!({"accept_lag_seconds": 0})).await;
    ticks_until(&bench, &mount, "switched", async || creds(&mount, "app").await["api_key"] != leaked.as_str()).await;
    mount.tick().await;
    eventually("the leaked one is deleted", async || status(&bench, case, &leaked).await == 401).await;
}

#[tokio::test]
async fn an_import_that_could_not_be_tried_says_so() {
    let bench = Bench::new();
    let mount = of_mistral(&bench, None).await;
    let fails =
        json!([{"vendor": "mistral", "path_contains": "/models", "kind": "error_before", "status": 503, "times": -1}]);
    bench.simulator.faults(fails).await;
    let mut role =
        json!({"config": "main", "rotation_period": "720h", "api_key": "somebody-elses", "skip_import_rotation": true});
    let taken = mount.write("static-roles/doubtful", role.clone()).await.expect("written");
    let doubts = |text: &String| text.starts_with("it could not be seen whether the vendor takes api_key (");
    assert!(taken.warnings.iter().any(doubts), "{:?}", taken.warnings);
    assert!(taken.warnings.iter().all(|text| !text.contains("somebody-elses")), "{:?}", taken.warnings);
    bench.simulator.faults(json!([])).await;
    role["api_key"] = "unknown-to-the-vendor".into();
    let refused = mount.write("static-roles/other", role).await.map(drop).expect_err("the vendor says no");
    assert!(refused.to_string().contains("is refused by the vendor"), "{refused}");
}
