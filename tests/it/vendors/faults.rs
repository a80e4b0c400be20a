//! A key's life where the vendor or the network fails.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{Expiry, Fault, FaultKind, Find, Gone};

use super::stage::Stage;
use crate::support::simulator::Simulator;

/// After an unknown outcome: what was made is found by its name, can be ended, and then nothing is left.
async fn settle(stage: &Stage, name: &str, fault: &Fault) {
    assert_eq!(fault.kind, FaultKind::Unknown, "{}: {fault}", stage.label);
    stage.no_faults().await;
    for found in stage.named(name).await {
        stage.end(&found.key).await.unwrap_or_else(|fault| panic!("{}: {fault}", stage.label));
    }
    assert!(stage.named(name).await.is_empty(), "{}", stage.label);
    let state = stage.simulator().state().await;
    assert!(!state[&stage.name].to_string().contains(name), "{}: {state}", stage.label);
}

/// What creations ask for after they have made something.
const LATER_STEPS: [(&str, &str); 3] =
    [("weaviate", "/assign"), ("gemini", "/v2/operations/"), ("gemini", "/keyString")];

/// After a creation that failed at a later step: nothing, or a key that the listing finds and that an unknown outcome tells of.
async fn left(stage: &Stage, name: &str, fault: &Fault, label: &str) {
    stage.no_faults().await;
    let is_there = stage.simulator().state().await[&stage.name].to_string().contains(name);
    assert!(!is_there || fault.kind == FaultKind::Unknown, "{label}: {fault}");
    let found = stage.named(name).await;
    assert_eq!(!found.is_empty(), is_there, "{label}: what is there is listed");
    for found in found {
        stage.end(&found.key).await.unwrap_or_else(|fault| panic!("{label}: {fault}"));
    }
    assert!(stage.named(name).await.is_empty(), "{label}");
    assert!(!stage.simulator().state().await[&stage.name].to_string().contains(name), "{label}");
}

async fn fails_at(vendor: &str, step: &str, mut order: Value) {
    let label = format!("{vendor} {step} {order}");
    let stage = Stage::of_example(vendor).await;
    order["vendor"] = vendor.into();
    order["path_contains"] = step.into();
    stage.simulator().faults(order).await;
    let (name, issued) = stage.try_issue().await;
    match issued {
        Ok(issued) => {
            assert_eq!(stage.try_key(&issued).await, 200, "{label}");
            assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{label}");
        }
        Err(fault) => left(&stage, &name, &fault, &label).await,
    }
}

#[tokio::test]
async fn a_creation_that_fails_at_a_later_step_leaves_nothing_that_is_not_found() {
    for bad in [
        json!({"kind": "error_before", "status": 503}),
        json!({"kind": "error_after", "status": 500}),
        json!({"kind": "drop_before"}),
        json!({"kind": "drop_after"}),
        json!({"kind": "truncated"}),
        json!({"kind": "html", "status": 403}),
        json!({"kind": "error_before", "status": 403}),
    ] {
        let cases = LATER_STEPS.into_iter().flat_map(|step| [(step, 1), (step, -1)]);
        join_all(cases.map(|((vendor, step), times)| {
            let mut order = bad.clone();
            order["times"] = times.into();
            fails_at(vendor, step, order)
        }))
        .await;
    }
}

#[tokio::test]
async fn a_creation_that_cannot_be_undone_is_an_unknown_outcome() {
    for (vendor, step) in LATER_STEPS {
        for bad in [json!({"kind": "error_before", "status": 503}), json!({"kind": "drop_before"})] {
            let label = format!("{vendor} {step} {bad}");
            let stage = Stage::of_example(vendor).await;
            let refused =
                json!({"vendor": vendor, "path_contains": step, "kind": "error_before", "status": 403, "times": -1});
            let mut undo = bad;
            for (field, value) in [("vendor", json!(vendor)), ("method", json!("DELETE")), ("times", json!(-1))] {
                undo[field] = value;
            }
            stage.simulator().faults(json!([refused, undo])).await;
            let (name, issued) = stage.try_issue().await;
            let fault = issued.map(drop).expect_err("refused at a later step");
            assert_eq!(fault.kind, FaultKind::Unknown, "{label}: {fault}");
            stage.no_faults().await;
            assert_eq!(stage.named(&name).await.len(), 1, "{label}: it is found");
            left(&stage, &name, &fault, &label).await;
        }
    }
}

async fn made_and_lost(fault: Value) {
    Stage::each(Stage::all().await, async |stage| {
        let mut fault = fault.clone();
        fault["times"] = (-1).into();
        stage.fail_creation(fault).await;
        let (name, issued) = stage.try_issue().await;
        let fault = issued.map(drop).expect_err("nobody got the key");
        stage.no_faults().await;
        assert!(!stage.named(&name).await.is_empty(), "{}: it was made, and is found", stage.label);
        settle(&stage, &name, &fault).await;
    })
    .await;
}

#[tokio::test]
async fn a_key_that_was_made_before_the_vendor_failed_is_found_by_its_name() {
    made_and_lost(json!({"kind": "error_after", "status": 500})).await;
}

#[tokio::test]
async fn a_key_that_was_made_before_the_connection_broke_is_found_by_its_name() {
    made_and_lost(json!({"kind": "drop_after"})).await;
}

#[tokio::test]
async fn a_key_whose_answer_was_cut_short_is_found_by_its_name() {
    made_and_lost(json!({"kind": "truncated"})).await;
}

#[tokio::test]
async fn a_key_whose_answer_an_egress_proxy_replaced_by_its_page_is_found_by_its_name() {
    for status in [403, 401, 429, 302] {
        made_and_lost(json!({"kind": "html_after", "status": status})).await;
    }
}

#[tokio::test]
async fn a_request_that_an_egress_proxy_kept_back_is_an_unknown_outcome_that_the_listing_settles() {
    for status in [403, 401, 402, 429] {
        Stage::each(Stage::all().await, async |stage| {
            let before = stage.simulator().state().await["requests"].to_string();
            stage.fail_creation(json!({"kind": "html", "status": status})).await;
            let (name, issued) = stage.try_issue().await;
            if stage.vendor.about().can.find == Find::ByOurId {
                stage.end(&issued.expect("sent again").key).await.expect("ended");
                return;
            }
            let fault = issued.map(drop).expect_err("a page");
            assert_ne!(stage.simulator().state().await["requests"].to_string(), before, "{}", stage.label);
            settle(&stage, &name, &fault).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_repeatable_creation_survives_a_lost_answer_and_another_is_never_sent_twice() {
    for lost in
        [json!({"kind": "error_after", "status": 502}), json!({"kind": "drop_after"}), json!({"kind": "drop_before"})]
    {
        Stage::each(Stage::all().await, async |stage| {
            let vendor = stage.name.as_str();
            let before = stage.simulator().created(vendor).await;
            stage.fail_creation(lost.clone()).await;
            let (name, issued) = stage.try_issue().await;
            assert!(stage.simulator().created(vendor).await <= before + 1, "{}: two keys", stage.label);
            if stage.vendor.about().can.find == Find::ByOurId {
                let issued = issued.unwrap_or_else(|fault| panic!("{}: {fault}", stage.label));
                assert_eq!(stage.try_key(&issued).await, 200, "{}: {lost}", stage.label);
                assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{}", stage.label);
            } else {
                settle(&stage, &name, &issued.map(drop).expect_err("lost")).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_vendor_that_asks_to_slow_down_is_obeyed() {
    Stage::each(Stage::all().await, async |stage| {
        stage.fail_creation(json!({"kind": "rate_limit", "retry_after_seconds": 1})).await;
        let started = Instant::now();
        let (_, issued) = stage.issue().await;
        assert!(started.elapsed() >= Duration::from_secs(1), "{}", stage.label);
        assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_vendor_that_asks_for_a_long_wait_is_told_of_and_leaves_nothing() {
    Stage::each(Stage::all().await, async |stage| {
        stage.fail_creation(json!({"kind": "rate_limit", "retry_after_seconds": 120, "times": -1})).await;
        let (name, issued) = stage.try_issue().await;
        let fault = issued.map(drop).expect_err("busy");
        assert_eq!(fault.kind, FaultKind::Busy { after: Some(Duration::from_secs(120)) }, "{}", stage.label);
        stage.no_faults().await;
        assert!(stage.named(&name).await.is_empty(), "{}: nothing was left", stage.label);
    })
    .await;
}

#[tokio::test]
async fn reading_and_ending_survive_a_bad_moment() {
    for bad in [
        json!({"kind": "error_before", "status": 503}),
        json!({"kind": "drop_before"}),
        json!({"kind": "html", "status": 502}),
    ] {
        Stage::each(Stage::all().await, async |stage| {
            let (name, issued) = stage.issue().await;
            let mut order = bad.clone();
            order["times"] = 2.into();
            stage.fail_all(order.clone()).await;
            assert!(!stage.named(&name).await.is_empty(), "{}: {order}", stage.label);
            stage.fail_all(order).await;
            assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{}", stage.label);
        })
        .await;
    }
}

#[tokio::test]
async fn a_listing_and_an_end_wait_as_they_are_told() {
    Stage::each(Stage::all().await, async |stage| {
        let (name, issued) = stage.issue().await;
        let slow = json!({"kind": "rate_limit", "retry_after_seconds": 1});
        stage.fail_all(slow.clone()).await;
        assert!(!stage.named(&name).await.is_empty(), "{}", stage.label);
        stage.fail_all(slow).await;
        assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_renewal_survives_a_bad_moment_or_says_that_it_does_not_know() {
    let movable = |stage: &Stage| matches!(stage.vendor.about().can.expiry, Expiry::Movable(_));
    for bad in [
        json!({"kind": "error_before", "status": 503}),
        json!({"kind": "drop_before"}),
        json!({"kind": "error_after", "status": 500}),
        json!({"kind": "drop_after"}),
        json!({"kind": "html", "status": 404}),
        json!({"kind": "rate_limit", "retry_after_seconds": 1}),
    ] {
        Stage::each(Stage::all().await.into_iter().filter(movable).collect(), async |stage| {
            let (_, issued) = stage.issue().await;
            let until = stage.now() + Duration::from_secs(3600);
            stage.fail_all(bad.clone()).await;
            if let Err(fault) = stage.extend(&issued.key, until).await {
                assert_eq!(fault.kind, FaultKind::Unknown, "{} {bad}: {fault}", stage.label);
            }
            stage.no_faults().await;
            assert_eq!(stage.try_key(&issued).await, 200, "{} {bad}", stage.label);
            let granted = stage.extend(&issued.key, until).await;
            let granted = granted.unwrap_or_else(|fault| panic!("{} {bad}: {fault}", stage.label));
            assert!((granted - until).num_seconds().abs() <= 2, "{} {bad}: {granted}", stage.label);
        })
        .await;
    }
}

#[tokio::test]
async fn ending_twice_because_the_answer_was_lost_is_no_failure() {
    for lost in [json!({"kind": "error_after", "status": 500}), json!({"kind": "drop_after"})] {
        Stage::each(Stage::all().await, async |stage| {
            let (name, issued) = stage.issue().await;
            stage.fail_all(lost.clone()).await;
            let gone = stage.end(&issued.key).await.unwrap_or_else(|fault| panic!("{}: {fault}", stage.label));
            assert!(gone == stage.ends || gone == Gone::Already);
            assert_eq!(stage.try_key(&issued).await, 401, "{}", stage.label);
            assert!(stage.named(&name).await.is_empty(), "{}", stage.label);
        })
        .await;
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_never_counts_as_gone() {
    for status in [404, 400, 502, 200] {
        Stage::each(Stage::all().await, async |stage| {
            let (_, issued) = stage.issue().await;
            stage.fail_all(json!({"kind": "html", "status": status, "times": -1})).await;
            let fault = stage.end(&issued.key).await.expect_err("a page");
            assert_eq!(fault.kind, FaultKind::Unknown, "{} {status}: {fault}", stage.label);
            assert!(!fault.text.contains('<'), "{fault}");
            let fault = stage.try_issue().await.1.map(drop).expect_err("a page");
            assert_eq!(fault.kind, FaultKind::Unknown, "{} {status}: {fault}", stage.label);
            stage.no_faults().await;
            assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
            assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{}", stage.label);
        })
        .await;
    }
}

#[tokio::test]
async fn a_hostile_body_brings_no_line_and_no_secret_into_a_fault() {
    for status in [400, 401, 500] {
        Stage::each(Stage::all().await, async |stage| {
            let (_, issued) = stage.issue().await;
            stage.fail_all(json!({"kind": "hostile", "status": status, "times": -1})).await;
            let faults = [
                stage.try_issue().await.1.map(drop).expect_err("issue"),
                stage.end(&issued.key).await.map(drop).expect_err("end"),
                stage.list(&stage.tag).await.map(drop).expect_err("list"),
                stage.probe().await.map(drop).expect_err("probe"),
            ];
            for fault in faults {
                assert!(!fault.text.chars().any(char::is_control), "{}: {:?}", stage.label, fault.text);
                assert!(!fault.text.contains(stage.credential()), "{}: {}", stage.label, fault.text);
                assert!(fault.text.chars().count() < 500, "{}", fault.text);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    Stage::each(Stage::all().await, async |stage| {
        stage.fail_creation(json!({"kind": "oversized", "times": -1})).await;
        let (name, issued) = stage.try_issue().await;
        let fault = issued.map(drop).expect_err("too long");
        assert!(fault.text.contains("longer than any"), "{}: {fault}", stage.label);
        settle(&stage, &name, &fault).await;
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_refused_and_its_target_hears_nothing() {
    for status in [302, 307] {
        Stage::each(Stage::all().await, async |stage| {
            let target = Simulator::start();
            let to = format!("{}/openai/v1/organization/projects", target.url);
            stage.fail_all(json!({"kind": "redirect", "to": to, "status": status, "times": -1})).await;
            let fault = stage.try_issue().await.1.map(drop).expect_err("a redirect");
            assert!(fault.text.contains("redirect"), "{}: {fault}", stage.label);
            stage.list(&stage.tag).await.map(drop).expect_err("a redirect");
            let heard = target.state().await["requests"].to_string();
            assert!(!heard.contains("projects"), "{heard}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_vendor_that_does_not_listen_has_done_nothing() {
    Stage::each(Stage::all().await, async |mut stage| {
        stage.account.endpoint.set_port(Some(1)).expect("a port");
        let fault = stage.try_issue().await.1.map(drop).expect_err("nobody listens");
        assert_eq!(fault.kind, FaultKind::Unreachable, "{}: {fault}", stage.label);
    })
    .await;
}
