//! A key that is tried with itself, before a static role serves it.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{FaultKind, Purpose};

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
    assert!(asked.load(Ordering::Relaxed) >= 14, "only so many vendors can be asked");
}

#[tokio::test]
async fn an_answer_that_is_not_about_the_key_decides_nothing() {
    Stage::each(stages().await, async |stage| {
        if !stage.vendor.about().can.tries_keys || !matches!(stage.world, World::Simulated(_)) {
            return;
        }
        let key = stage.issue_static().await;
        let answers: [(Value, Option<bool>); 4] = [
            (json!({"kind": "error_before", "status": 404}), None),
            (json!({"kind": "error_before", "status": 422}), None),
            (json!({"kind": "redirect", "to": "https://elsewhere.example/"}), None),
            (json!({"kind": "error_before", "status": 401}), Some(false)),
        ];
        for (fault, taken) in answers {
            stage.fail_all(fault.clone()).await;
            assert_eq!(stage.takes(&key).await, taken, "{}: {fault}", stage.label);
            stage.no_faults().await;
        }
        for (fault, kind) in [
            (json!({"kind": "error_before", "status": 503, "times": -1}), FaultKind::Unknown),
            (json!({"kind": "rate_limit", "times": -1, "retry_after_seconds": 3600}), FaultKind::Busy { after: None }),
        ] {
            stage.fail_all(fault).await;
            let asked = stage.try_takes(&key).await.expect_err("not now");
            stage.no_faults().await;
            assert_eq!(std::mem::discriminant(&asked.kind), std::mem::discriminant(&kind), "{}: {asked}", stage.label);
            assert!(!asked.text.contains(key.secret.expose()), "{asked}");
        }
        assert_eq!(stage.takes(&key).await, Some(true), "{}", stage.label);
    })
    .await;
}
