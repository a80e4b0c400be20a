//! A token's life: nothing ends it but its expiry, and nothing lists it.

use std::time::{Duration, Instant};

use serde_json::json;
use vault_plugin_secrets_ai::providers::{End, Expiry, FaultKind, Find, Limits};

use super::stage::Stage;
use crate::support::simulator::Simulator;

/// How long the vendor's tokens can live.
fn limits(stage: &Stage) -> Limits {
    stage.vendor.about().can.expiry.limits().unwrap_or_else(|| panic!("{}: a token without an end", stage.label))
}

#[tokio::test]
async fn a_token_declares_that_its_expiry_or_its_holder_ends_it() {
    for stage in Stage::tokens().await {
        let can = &stage.vendor.about().can;
        assert!(
            matches!((can.end, can.find, can.expiry), (End::Expires | End::BySecret, Find::Never, Expiry::Fixed(_))),
            "{}",
            stage.label
        );
    }
}

#[tokio::test]
async fn a_fresh_token_works_and_its_expiry_is_what_was_asked_for() {
    Stage::each(Stage::tokens().await, async |stage| {
        let (name, issued) = stage.issue().await;
        assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
        if let Some((status, expected)) = stage.try_beyond(&issued).await {
            assert_eq!(status, expected, "{}: beyond its scope", stage.label);
        }
        assert!(issued.warnings.is_empty(), "{}: {:?}", stage.label, issued.warnings);
        assert!(!issued.key.id.contains(issued.secret.expose()), "{}: its id is shown in clear", stage.label);
        assert_eq!(issued.key.id, name, "{}: it has no other id", stage.label);
        if !stage.life_is_chosen {
            return;
        }
        let left = (issued.expires.expect("an expiry") - stage.now()).num_seconds();
        assert!((595..=601).contains(&left), "{}: {left}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn the_shortest_and_the_longest_life_that_are_declared_can_be_asked_for() {
    Stage::each(Stage::tokens().await, async |stage| {
        if !stage.life_is_chosen {
            return;
        }
        for life in [limits(&stage).shortest, limits(&stage).longest] {
            let issued = stage.issue_named(&stage.new_name(), Some(stage.now() + life)).await;
            let issued = issued.unwrap_or_else(|fault| panic!("{}: {life:?}: {fault}", stage.label));
            let over = (issued.expires.expect("an expiry") - stage.now()).num_seconds() - life.as_secs() as i64;
            assert!((-3..=1).contains(&over), "{}: {life:?}: {over}", stage.label);
        }
    })
    .await;
}

#[tokio::test]
async fn a_token_ends_by_itself() {
    Stage::each(Stage::tokens().await, async |stage| {
        let (_, issued) = stage.issue().await;
        let left = (issued.expires.expect("an expiry") - stage.now()).num_seconds();
        stage.simulator().settings(json!({"clock_offset_seconds": left - 10})).await;
        assert_eq!(stage.try_key(&issued).await, 200, "{}: before its end", stage.label);
        stage.simulator().settings(json!({"clock_offset_seconds": left + 2})).await;
        assert_eq!(stage.try_key(&issued).await, 401, "{}: after its end", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_token_cannot_be_ended_moved_or_listed() {
    Stage::each(Stage::tokens().await, async |stage| {
        let (_, issued) = stage.issue().await;
        let until = stage.now() + Duration::from_secs(900);
        let faults = [stage.end(&issued.key).await.map(drop), stage.extend(&issued.key, until).await.map(drop)];
        for fault in faults {
            let kind = fault.expect_err("a token").kind;
            assert_eq!(kind, FaultKind::Invalid { field: None }, "{}", stage.label);
        }
        let (found, pages) = stage.list(&stage.tag).await.expect("nothing");
        assert!(found.is_empty() && pages == 1, "{}", stage.label);
        assert_eq!(stage.try_key(&issued).await, 200, "{}: it is as it was", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_probe_of_what_cannot_be_tried_says_so() {
    Stage::each(Stage::tokens().await, async |stage| {
        let probe = stage.probe().await.unwrap_or_else(|fault| panic!("{}: {fault}", stage.label));
        assert!(probe.missing.is_empty(), "{}: {:?}", stage.label, probe.missing);
        assert!(probe.identity.is_some() || !probe.warnings.is_empty(), "{}: it looked like a success", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_credential_is_refused_and_so_is_a_token_in_its_place() {
    Stage::each(Stage::asked_tokens().await, async |stage| {
        if stage.account.credential().is_none() {
            return;
        }
        let (_, issued) = stage.issue().await;
        let token = issued.secret.expose().to_owned();
        let mut stage = stage;
        for credential in ["sk-wrong-0123456789abcdef", token.as_str()] {
            stage = stage.with_credential(credential);
            let fault = stage.try_issue().await.1.map(drop).expect_err("a wrong credential");
            assert_eq!(fault.kind, FaultKind::Refused, "{}: {fault}", stage.label);
            assert!(!fault.text.contains(credential), "{fault}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_vendor_that_asks_to_slow_down_is_obeyed() {
    Stage::each(Stage::asked_tokens().await, async |stage| {
        stage.fail_creation(json!({"kind": "rate_limit", "retry_after_seconds": 1})).await;
        let started = Instant::now();
        let (_, issued) = stage.issue().await;
        assert!(started.elapsed() >= Duration::from_secs(1), "{}", stage.label);
        assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
        stage.fail_creation(json!({"kind": "rate_limit", "retry_after_seconds": 120, "times": -1})).await;
        let fault = stage.try_issue().await.1.map(drop).expect_err("busy");
        assert_eq!(fault.kind, FaultKind::Busy { after: Some(Duration::from_secs(120)) }, "{}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome_and_no_token_is_asked_for_twice() {
    for lost in [
        json!({"kind": "error_before", "status": 503}),
        json!({"kind": "error_after", "status": 500}),
        json!({"kind": "drop_before"}),
        json!({"kind": "drop_after"}),
        json!({"kind": "truncated"}),
        json!({"kind": "html", "status": 200}),
        json!({"kind": "html", "status": 403}),
        json!({"kind": "html", "status": 502}),
        json!({"kind": "html_after", "status": 401}),
        json!({"kind": "oversized"}),
    ] {
        Stage::each(Stage::asked_tokens().await, async |stage| {
            stage.fail_creation(lost.clone()).await;
            match stage.try_issue().await.1 {
                // Client credentials are presented again: whatever nobody got is with nobody.
                Ok(_) => assert!(!stage.life_is_chosen, "{}: {lost}", stage.label),
                Err(fault) => {
                    assert_eq!(fault.kind, FaultKind::Unknown, "{}: {lost}: {fault}", stage.label);
                    assert!(!fault.text.contains('<'), "{fault}");
                }
            }
            let made = &stage.simulator().state().await[&stage.name]["keys"]["created_count"];
            let most = if stage.life_is_chosen { 1 } else { 2 };
            assert!(made.as_u64().is_none_or(|made| made <= most), "{}: {made} tokens", stage.label);
            stage.no_faults().await;
            let (_, issued) = stage.issue().await;
            assert_eq!(stage.try_key(&issued).await, 200, "{}: {lost}", stage.label);
        })
        .await;
    }
}

#[tokio::test]
async fn a_hostile_body_brings_no_line_and_no_secret_into_a_fault() {
    for status in [400, 401, 500] {
        Stage::each(Stage::asked_tokens().await, async |stage| {
            stage.fail_all(json!({"kind": "hostile", "status": status, "times": -1})).await;
            let fault = stage.try_issue().await.1.map(drop).expect_err("issue");
            assert!(!fault.text.chars().any(char::is_control), "{}: {:?}", stage.label, fault.text);
            let mut secrets = stage.account.secrets.values();
            assert!(secrets.all(|secret| !fault.text.contains(secret.expose())), "{}: {}", stage.label, fault.text);
            assert!(fault.text.chars().count() < 500, "{}", fault.text);
        })
        .await;
    }
}

#[tokio::test]
async fn a_redirect_is_refused_and_its_target_hears_nothing() {
    for status in [302, 307] {
        Stage::each(Stage::asked_tokens().await, async |stage| {
            let target = Simulator::start();
            let to = format!("{}/openai/v1/organization/projects", target.url);
            stage.fail_all(json!({"kind": "redirect", "to": to, "status": status, "times": -1})).await;
            let fault = stage.try_issue().await.1.map(drop).expect_err("a redirect");
            assert!(fault.text.contains("redirect"), "{}: {fault}", stage.label);
            let heard = target.state().await["requests"].to_string();
            assert!(!heard.contains("projects"), "{heard}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_vendor_that_does_not_listen_has_done_nothing() {
    Stage::each(Stage::asked_tokens().await, async |mut stage| {
        stage.account.endpoint.set_port(Some(1)).expect("a port");
        let fault = stage.try_issue().await.1.map(drop).expect_err("nobody listens");
        assert_eq!(fault.kind, FaultKind::Unreachable, "{}: {fault}", stage.label);
    })
    .await;
}
