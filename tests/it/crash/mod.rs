//! The crash matrix: the plugin's real process, killed with SIGKILL at each step of minting, renewing and revoking,
//! for each vendor; and what else may cut a request off.

mod library;
mod rotation;
mod scene;

use std::time::Duration;

use serde_json::json;

use crate::support::bench::eventually;
use crate::support::case::{CASES, Case};
use scene::Scene;

#[tokio::test]
async fn killed_before_the_vendor_was_asked_nothing_is_left() {
    for case in &CASES {
        let mut scene = Scene::new(case).await;
        scene.crash_at("mint.before-row", scene.mint()).await;
        assert!(scene.rows().is_empty(), "{}", case.provider);
        scene.crash_at("mint.after-row", scene.mint()).await;
        assert_eq!(scene.rows()[0]["state"], "minting");
        for minutes in [3, 10, 55] {
            scene.advance(minutes).await;
        }
        scene.gone().await;
        assert_eq!(scene.simulator.created(case.provider).await, 0, "{}", case.provider);
    }
}

#[tokio::test]
async fn killed_while_the_vendor_was_asked_the_key_is_deleted() {
    for case in &CASES {
        let mut scene = Scene::new(case).await;
        // The vendor has done it, and its answer is on the way.
        let slow = json!([{"vendor": case.provider, "method": "POST", "kind": "slow_body", "ms": 2000, "times": -1}]);
        scene.simulator.faults(slow).await;
        let request = tokio::spawn(scene.mint());
        eventually("the vendor made something", async || scene.keys().await > 0).await;
        assert_eq!(scene.rows()[0]["state"], "minting", "{}", case.provider);
        scene.host.kill9().await;
        request.await.expect("an end");
        scene.host.restart().await;
        scene.simulator.faults(json!([])).await;
        scene.found_and_gone().await;
    }
}

#[tokio::test]
async fn killed_after_the_vendor_made_the_key_it_is_deleted() {
    for case in &CASES {
        let mut scene = Scene::new(case).await;
        scene.crash_at("mint.after-vendor", scene.mint()).await;
        assert_eq!((scene.keys().await, &scene.rows()[0]["state"]), (1, &json!("minting")), "{}", case.provider);
        scene.advance(3).await;
        scene.gone().await;
    }
}

#[tokio::test]
async fn killed_after_the_row_is_live_the_key_dies_at_its_deadline_and_not_before() {
    for case in &CASES {
        let mut scene = Scene::new(case).await;
        scene.crash_at("mint.after-live", scene.mint()).await;
        scene.advance(65).await;
        assert_eq!(scene.rows().len(), 1, "{}: the host may have stored the lease", case.provider);
        scene.advance(10).await;
        scene.gone().await;
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_is_a_key_deleted() {
    for case in &CASES {
        for fault in [json!({"kind": "drop_after"}), json!({"kind": "error_after", "status": 500})] {
            let mut scene = Scene::new(case).await;
            let mut lost = json!({"vendor": case.provider, "method": "POST", "times": -1});
            lost.as_object_mut().expect("an object").extend(fault.as_object().expect("an object").clone());
            scene.simulator.faults(json!([lost])).await;
            scene.mint().await.expect_error(502);
            scene.simulator.faults(json!([])).await;
            assert_eq!(scene.keys().await, 1, "{}: made all the same", case.provider);
            scene.found_and_gone().await;
        }
    }
}

#[tokio::test]
async fn killed_in_a_renewal_the_key_lives_with_its_lease() {
    for case in &CASES {
        for step in ["renew.after-row", "renew.after-vendor"] {
            let mut scene = Scene::new(case).await;
            let lease = scene.lease().await;
            let (mount, mut renewed) = (scene.mount.clone(), lease.clone());
            let renewal = async move { mount.renew(&mut renewed, Duration::from_secs(1200)).await };
            if step == "renew.after-vendor" && !case.expiry_moves() {
                continue;
            }
            scene.crash_at(step, renewal).await;
            assert!(scene.works(&lease).await, "{} {step}", case.provider);
            // Past the old deadline by more than the hour after which the sweep ends a live key.
            scene.advance(75).await;
            assert_eq!(scene.rows().len(), 1, "{} {step}: the row follows the renewal", case.provider);
            // The host does not know of the renewal and revokes at the old end, or never: both end the key.
            scene.mount.revoke(&lease).await.expect(204);
            scene.gone().await;
        }
    }
}

#[tokio::test]
async fn killed_in_a_revocation_the_hosts_next_try_succeeds() {
    for case in &CASES {
        for step in ["revoke.before-vendor", "revoke.after-vendor", "revoke.after-row"] {
            let mut scene = Scene::new(case).await;
            let lease = scene.lease().await;
            let (mount, revoked) = (scene.mount.clone(), lease.clone());
            scene.crash_at(step, async move { mount.revoke(&revoked).await }).await;
            scene.mount.revoke(&lease).await.expect(204);
            assert_eq!(scene.keys().await, 0, "{} {step}", case.provider);
            // "Gone already" of a key this fresh is asked for once more.
            scene.advance(2).await;
            scene.gone().await;
            assert!(!scene.works(&lease).await, "{} {step}", case.provider);
        }
    }
}

#[tokio::test]
async fn killed_in_a_revocation_that_nobody_repeats_key_and_row_go_all_the_same() {
    for case in &CASES {
        for step in ["revoke.before-vendor", "revoke.after-vendor"] {
            let mut scene = Scene::new(case).await;
            let lease = scene.lease().await;
            let mount = scene.mount.clone();
            scene.crash_at(step, async move { mount.revoke(&lease).await }).await;
            scene.advance(75).await;
            scene.gone().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_at_any_step_of_a_mint_leaves_no_key() {
    for case in &CASES {
        for step in ["mint.before-row", "mint.after-row", "mint.after-vendor", "mint.after-live"] {
            let scene = Scene::new(case).await;
            scene.hang_up_at(step, scene.mint()).await;
            scene.gone().await;
        }
    }
}

#[tokio::test]
async fn an_outage_of_half_an_hour_with_a_hundred_expiring_leases_leaves_no_key() {
    let mut scene = Scene::new(&Case::named("openai")).await;
    let mut leases = Vec::new();
    for _ in 0..100 {
        leases.push(scene.lease().await);
    }
    scene.simulator.faults(json!([{"vendor": "openai", "kind": "error_before", "status": 503, "times": -1}])).await;
    // The host's six attempts are spread over twenty minutes; then it gives up.
    for _ in 0..2 {
        let revoked = leases.iter().map(|lease| scene.mount.revoke(lease));
        for reply in futures_util::future::join_all(revoked).await {
            assert_eq!(reply.status, 500, "tried again by the host: {:?}", reply.error);
        }
        scene.advance(15).await;
    }
    assert_eq!(scene.keys().await, 100);
    scene.simulator.faults(json!([])).await;
    scene.advance(60).await;
    scene.gone().await;
}

#[tokio::test]
async fn a_listing_that_lags_by_five_minutes_orphans_nothing() {
    for case in &CASES {
        let mut scene = Scene::new(case).await;
        scene.simulator.settings(json!({"list_lag_seconds": 300})).await;
        scene.crash_at("mint.after-vendor", scene.mint()).await;
        scene.advance(3).await;
        assert_eq!((scene.keys().await, scene.rows().len()), (1, 1), "{}: not found proves nothing", case.provider);
        scene.advance(10).await;
        scene.gone().await;
    }
}
