//! A key that is tried with itself, before a static role serves it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use vault_plugin_secrets_ai::providers::Purpose;

use super::stage::{Stage, World};

/// Seconds after which the vendor knows a fresh key.
const LAG: i64 = 90;

/// The stages of vendors that make static keys.
async fn stages() -> Vec<Stage> {
    let stages = Stage::all_and_real().await.into_iter();
    stages.filter(|stage| stage.vendor.about().can.purposes.contains(&Purpose::Static)).collect()
}

#[tokio::test]
async fn a_key_is_taken_from_when_the_vendor_knows_it_until_it_is_ended() {
    let asked = &AtomicUsize::new(0);
    Stage::each(stages().await, async |stage| {
        let simulated = matches!(stage.world, World::Simulated(_));
        if simulated {
            stage.simulator().settings(json!({"accept_lag_seconds": LAG})).await;
        }
        let key = stage.issue_static().await;
        if !stage.vendor.about().can.tries_keys {
            assert_eq!(stage.takes(&key).await, None, "{}", stage.label);
            assert_eq!(stage.end(&key.key).await, Ok(stage.ends), "{}", stage.label);
            return;
        }
        asked.fetch_add(1, Ordering::Relaxed);
        if simulated {
            assert_eq!(stage.takes(&key).await, Some(false), "{}: it is not known yet", stage.label);
            stage.move_clock(LAG + 1).await;
        }
        assert_eq!(stage.takes(&key).await, Some(true), "{}", stage.label);
        assert_eq!(stage.try_key(&key).await, 200, "{}", stage.label);
        assert_eq!(stage.end(&key.key).await, Ok(stage.ends), "{}", stage.label);
        if simulated {
            // Where the vendor only takes the order.
            stage.move_clock(LAG + 3600).await;
        }
        assert_eq!(stage.takes(&key).await, Some(false), "{}", stage.label);
    })
    .await;
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked >= 15, "only {asked} can be asked");
}

#[tokio::test]
async fn an_answer_that_is_not_about_the_key_decides_nothing() {
    Stage::each(stages().await, async |stage| {
        if !stage.vendor.about().can.tries_keys || !matches!(stage.world, World::Simulated(_)) {
            return;
        }
        let key = stage.issue_static().await;
        for status in [404, 422] {
            stage.fail_all(json!({"kind": "error_before", "status": status})).await;
            assert_eq!(stage.takes(&key).await, None, "{}: {status}", stage.label);
            stage.no_faults().await;
        }
        // Where the vendor tells an unknown key in other words, a 401 without them is about something else.
        let told_apart = ["xai", "gemini", "databricks", "cloudflare"].contains(&stage.name.as_str());
        stage.fail_all(json!({"kind": "error_before", "status": 401})).await;
        assert_eq!(stage.takes(&key).await, if told_apart { None } else { Some(false) }, "{}: 401", stage.label);
        stage.no_faults().await;
        // What is not the vendor's own word, or none for now.
        for fault in [
            json!({"kind": "html", "status": 401}),
            json!({"kind": "html", "status": 403}),
            json!({"kind": "html", "status": 404}),
            json!({"kind": "redirect", "to": "https://elsewhere.example/"}),
            json!({"kind": "error_before", "status": 503}),
            json!({"kind": "rate_limit", "retry_after_seconds": 3600}),
        ] {
            let mut every = fault.clone();
            every["times"] = json!(-1);
            stage.fail_all(every).await;
            let asked = stage
                .try_takes(&key)
                .await
                .map_or_else(|told| told, |taken| panic!("{}: {fault}: {taken:?}", stage.label));
            stage.no_faults().await;
            assert!(!asked.text.contains(key.secret.expose()), "{asked}");
        }
        assert_eq!(stage.takes(&key).await, Some(true), "{}", stage.label);
    })
    .await;
}
