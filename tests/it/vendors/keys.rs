//! A key's life where nothing fails.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use vault_plugin_secrets_ai::providers::{Expiry, FaultKind, Gone, Issued};

use super::stage::{Stage, World};

#[tokio::test]
async fn a_fresh_key_works_and_an_ended_one_does_not() {
    Stage::each(Stage::all_and_real().await, async |stage| {
        let (_, issued) = stage.issue().await;
        assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
        let limits = &stage.vendor.about().can.limits;
        let limited =
            ["models", "permissions", "spend"].iter().any(|limit| limits.iter().any(|declared| declared == limit));
        let beyond = stage.try_beyond(&issued).await;
        assert_eq!(beyond.is_some(), limited && stage.limited, "{}: a request beyond its scope", stage.label);
        if let Some((status, expected)) = beyond {
            assert_eq!(status, expected, "{}: beyond its scope", stage.label);
            assert_eq!(stage.try_key(&issued).await, 200, "{}: within it", stage.label);
        }
        assert!(issued.warnings.is_empty(), "{}: {:?}", stage.label, issued.warnings);
        assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{}", stage.label);
        assert_eq!(stage.try_key(&issued).await, 401, "{}", stage.label);
        assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already), "{}: the second time", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_found_by_its_name_as_a_key_and_not_as_its_helper() {
    Stage::each(Stage::all_and_real().await, async |stage| {
        let (name, issued) = stage.issue().await;
        let keys: Vec<_> = stage.named(&name).await.into_iter().filter(|found| found.is_key).collect();
        assert_eq!(keys.len(), 1, "{}", stage.label);
        assert_eq!(stage.end(&keys[0].key).await, Ok(stage.ends), "{}", stage.label);
        assert_eq!(stage.try_key(&issued).await, 401, "{}: it was that one", stage.label);
        stage.end(&issued.key).await.expect("what was made for it");
    })
    .await;
}

#[tokio::test]
async fn a_key_that_somebody_else_deleted_is_gone_already() {
    Stage::each(Stage::all_and_real().await, async |stage| {
        let (_, issued) = stage.issue().await;
        stage.delete_by_hand(&issued.key).await;
        let gone = stage.end(&issued.key).await.unwrap_or_else(|fault| panic!("{}: {fault}", stage.label));
        // A helper object may have been left, and went now.
        assert!(gone == Gone::Already || gone == stage.ends);
        assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already), "{}", stage.label);
        assert!(stage.list(&stage.tag).await.expect("listed").0.is_empty(), "{}: something was left", stage.label);
    })
    .await;
}

#[tokio::test]
async fn nothing_that_was_made_for_a_key_is_left_behind() {
    Stage::each(Stage::all().await, async |stage| {
        let (name, issued) = stage.issue().await;
        let keys: Vec<_> = stage.named(&name).await.into_iter().filter(|found| found.is_key).collect();
        assert_eq!(keys.len(), 1, "{}: the key itself, beside what was made for it", stage.label);
        assert_eq!(keys[0].key.id, issued.key.id, "{}", stage.label);
        stage.end(&issued.key).await.expect("ended");
        assert_eq!(stage.named(&name).await.len(), 0, "{}", stage.label);
        let state = stage.simulator().state().await;
        let vendor = state[&stage.name].to_string();
        assert!(!vendor.contains(&name), "{}: {vendor}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_listing_finds_every_key_of_ours_over_its_pages_and_no_other() {
    const KEYS: usize = 5;
    Stage::each(Stage::all_and_real().await, async |stage| {
        let other = stage.new_name().replace(&stage.tag, "vault-deadbeef");
        let foreign = stage.issue_named(&other, Some(stage.now() + stage.life())).await.expect("issued");
        let mut names = Vec::new();
        for _ in 0..KEYS {
            names.push(stage.issue().await.0);
        }
        if let World::Simulated(simulator) = &stage.world {
            simulator.settings(json!({"page_size_max": 2})).await;
        }
        let (found, pages) = stage.list(&stage.tag).await.expect("listed");
        for name in &names {
            assert!(found.iter().any(|found| found.name == *name), "{}: {name} is missing", stage.label);
        }
        assert!(
            found.iter().all(|found| found.name.starts_with(&stage.tag) && found.created.is_some() == stage.dated),
            "{}",
            stage.label
        );
        let one_page = !stage.paged || matches!(stage.world, World::Real);
        assert!(pages > 2 || one_page, "{}: {pages} pages", stage.label);
        for found in &found {
            stage.end(&found.key).await.unwrap_or_else(|fault| panic!("{}: {}: {fault}", stage.label, found.name));
        }
        assert!(
            stage.list(&stage.tag).await.expect("listed").0.is_empty(),
            "{}: what was listed was ended",
            stage.label
        );
        assert_eq!(stage.try_key(&foreign).await, 200, "{}: another mount's key", stage.label);
        stage.end(&foreign.key).await.expect("ended");
    })
    .await;
}

/// A key for so long, and what it is named: the vendor grants no less, and no more than one step of its expiry beyond.
async fn issue_for(stage: &Stage, life: Duration) -> (String, Issued) {
    let (name, until) = (stage.new_name(), stage.now() + life);
    let issued = stage.issue_named(&name, Some(until)).await;
    let issued = issued.unwrap_or_else(|fault| panic!("{}: {life:?}: {fault}", stage.label));
    let expires = issued.expires.unwrap_or_else(|| panic!("{}: {life:?}: no expiry", stage.label));
    // Vendors tell whole seconds, and one that is told how long counts from its own clock.
    let over = expires.timestamp() - until.timestamp();
    assert!((0..=stage.expiry_step_seconds + 1).contains(&over), "{}: {life:?}: {over}", stage.label);
    (name, issued)
}

#[tokio::test]
async fn the_shortest_and_the_longest_life_that_are_declared_are_granted() {
    Stage::each(Stage::all().await, async |stage| {
        let Some(limits) = stage.vendor.about().can.expiry.limits() else { return };
        for life in [limits.shortest, limits.longest] {
            let (_, issued) = issue_for(&stage, life).await;
            // What the vendor keeps is what it has told.
            let last = issued.expires.expect("an expiry") - stage.now() - TimeDelta::seconds(5);
            if last > TimeDelta::zero() {
                stage.move_clock(last.num_seconds()).await;
                assert_eq!(stage.try_key(&issued).await, 200, "{}: {life:?}: it ended too early", stage.label);
                stage.move_clock(0).await;
            }
            stage.end(&issued.key).await.expect("ended");
        }
    })
    .await;
}

#[tokio::test]
async fn the_vendor_ends_a_key_by_itself() {
    Stage::each(Stage::all().await, async |stage| {
        if stage.vendor.about().can.expiry == Expiry::Never {
            return;
        }
        let (name, issued) = issue_for(&stage, stage.life()).await;
        let left = (issued.expires.expect("an expiry") - stage.now()).num_seconds();
        stage.move_clock(left + 3).await;
        assert_eq!(stage.try_key(&issued).await, 401, "{}", stage.label);
        assert!(!stage.named(&name).await.is_empty(), "{}: an expired key is listed", stage.label);
        stage.end(&issued.key).await.expect("ended");
        assert!(stage.named(&name).await.is_empty(), "{}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn an_expiry_moves_with_the_lease_where_the_vendor_says_so() {
    Stage::each(Stage::all_and_real().await, async |stage| {
        let (_, issued) = stage.issue().await;
        let until = stage.now() + Duration::from_secs(3600);
        let extended = stage.extend(&issued.key, until).await;
        if matches!(stage.vendor.about().can.expiry, Expiry::Movable(_)) {
            let granted = extended.unwrap_or_else(|fault| panic!("{}: {fault}", stage.label));
            assert!((granted - until).num_seconds().abs() <= 2, "{}: {granted}", stage.label);
            if let World::Simulated(simulator) = &stage.world {
                simulator.settings(json!({"clock_offset_seconds": 1200})).await;
                assert_eq!(stage.try_key(&issued).await, 200, "{}: it outlived its first expiry", stage.label);
            }
        } else {
            assert!(matches!(extended.expect_err("fixed").kind, FaultKind::Invalid { .. }), "{}", stage.label);
        }
        stage.end(&issued.key).await.expect("ended");
        if matches!(stage.vendor.about().can.expiry, Expiry::Movable(_)) {
            let fault = stage.extend(&issued.key, until).await.expect_err("gone");
            assert!(matches!(fault.kind, FaultKind::Invalid { .. }), "{}: {fault:?}", stage.label);
        }
    })
    .await;
}

#[tokio::test]
async fn a_probe_tells_a_good_credential_from_a_bad_one() {
    Stage::each(Stage::all_and_real().await, async |stage| {
        let probe = stage.probe().await.unwrap_or_else(|fault| panic!("{}: {fault}", stage.label));
        assert!(probe.missing.is_empty(), "{}: {:?}", stage.label, probe.missing);
        let (_, issued) = stage.issue().await;
        let key = issued.secret.expose().to_owned();
        stage.end(&issued.key).await.expect("ended");
        let stage = stage.with_credential(&key);
        let fault = stage.probe().await.expect_err("a revoked key");
        assert_eq!(fault.kind, FaultKind::Refused, "{}: {fault}", stage.label);
        assert!(!fault.text.contains(&key));
    })
    .await;
}

#[tokio::test]
async fn an_ordinary_key_is_not_taken_for_an_admin_one() {
    Stage::each(Stage::all_and_real().await, async |stage| {
        let (_, issued) = stage.issue().await;
        let admin = stage.credential().to_owned();
        let stage = stage.with_credential(issued.secret.expose());
        match stage.probe().await {
            Ok(probe) => assert!(!probe.missing.is_empty(), "{}", stage.label),
            Err(fault) => assert_eq!(fault.kind, FaultKind::Refused, "{}: {fault}", stage.label),
        }
        let stage = stage.with_credential(&admin);
        stage.end(&issued.key).await.expect("ended");
    })
    .await;
}

#[tokio::test]
async fn a_wrong_admin_key_is_refused_whatever_is_asked() {
    Stage::each(Stage::all_and_real().await, async |stage| {
        let (_, issued) = stage.issue().await;
        let admin = stage.credential().to_owned();
        let stage = stage.with_credential("sk-wrong-0123456789abcdef");
        let faults = [
            stage.try_issue().await.1.map(drop).expect_err("issue"),
            stage.end(&issued.key).await.map(drop).expect_err("end"),
            stage.list(&stage.tag).await.map(drop).expect_err("list"),
        ];
        let movable = matches!(stage.vendor.about().can.expiry, Expiry::Movable(_));
        let renewed = stage.extend(&issued.key, stage.now() + Duration::from_secs(3600)).await.map(drop);
        let faults = faults.into_iter().chain(movable.then(|| renewed.expect_err("renew")));
        for fault in faults {
            assert_eq!(fault.kind, FaultKind::Refused, "{}: {fault}", stage.label);
            assert!(!fault.text.contains("sk-wrong"), "{fault}");
        }
        let stage = stage.with_credential(&admin);
        stage.end(&issued.key).await.expect("ended");
    })
    .await;
}
