//! What is one vendor's own: its versions, and the undoing of keys in several steps.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{FaultKind, Gone};

use super::stage::{Stage, case};

async fn openai_of_august(scope: Value) -> Stage {
    let stage = Stage::simulated(case("openai").expect("a case"), scope);
    stage.simulator().settings(json!({"openai_generation": "aug"})).await;
    stage
}

fn own() -> Value {
    json!({"mode": "service_account", "allow_unscoped": true})
}

fn shared() -> Value {
    json!({"service_account_id": "svc_sim1", "scopes": ["api.model.request"]})
}

#[tokio::test]
async fn before_november_an_own_service_account_has_no_expiry_and_says_so() {
    let stage = openai_of_august(own()).await;
    let (name, issued) = stage.issue().await;
    assert_eq!((issued.expires, issued.warnings.len()), (None, 1));
    assert_eq!(stage.simulator().created("openai").await, 1 + created_at_start().await);
    assert_eq!(stage.try_key(&issued).await, 200);
    let until = stage.now() + Duration::from_secs(3600);
    assert_eq!(stage.extend(&issued.key, until).await, Ok(until), "it can be renewed all the same");
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now));
    assert_eq!(stage.try_key(&issued).await, 401);
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already));
    assert!(stage.named(&name).await.is_empty());
}

async fn created_at_start() -> u64 {
    Stage::simulated(case("openai").expect("a case"), shared()).simulator().created("openai").await
}

#[tokio::test]
async fn before_november_a_shared_service_account_gives_no_expiry_and_deletes_no_key() {
    let stage = openai_of_august(shared()).await;
    let fault = stage.try_issue().await.1.map(drop).expect_err("no expiry");
    assert!(
        matches!(fault.kind, FaultKind::Invalid { .. }) && fault.text.contains("mode=service_account"),
        "{fault:?}"
    );
    let issued = stage.issue_named(&stage.new_name(), None).await.expect("issued");
    let fault = stage.end(&issued.key).await.expect_err("not deleted");
    assert!(fault.kind == FaultKind::Refused && fault.text.contains("mode=service_account"), "{fault:?}");
    assert_eq!(stage.try_key(&issued).await, 200);
}

#[tokio::test]
async fn keys_of_an_archived_project_are_gone_already() {
    for scope in [own(), shared()] {
        let stage = Stage::simulated(case("openai").expect("a case"), scope);
        let (_, issued) = stage.issue().await;
        stage.simulator().post("/openai/v1/organization/projects/proj_sim1/archive", json!({})).await;
        assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already), "{}", stage.label);
        assert!(stage.list(&stage.tag).await.expect("listed").0.is_empty(), "{}", stage.label);
        assert!(!stage.probe().await.expect("probed").missing.is_empty(), "{}", stage.label);
    }
}

#[tokio::test]
async fn a_project_that_is_not_there_makes_no_key_gone() {
    let stage = Stage::simulated(case("openai").expect("a case"), shared());
    let (_, issued) = stage.issue().await;
    let mut elsewhere = Stage::simulated(case("openai").expect("a case"), shared());
    elsewhere.account.identity.insert("project_id", "proj_other".into());
    let fault = elsewhere.end(&issued.key).await.expect_err("not this project");
    assert!(matches!(fault.kind, FaultKind::Invalid { .. }), "{fault:?}");
    assert!(matches!(elsewhere.probe().await.expect_err("no project").kind, FaultKind::Invalid { .. }));
}

#[tokio::test]
async fn a_service_account_that_is_not_there_is_named() {
    let scope = json!({"service_account_id": "svc_none", "scopes": ["a"]});
    let stage = Stage::simulated(case("openai").expect("a case"), scope);
    let fault = stage.try_issue().await.1.map(drop).expect_err("no such account");
    assert!(matches!(fault.kind, FaultKind::Invalid { .. }) && fault.text.contains("service_account_id"), "{fault:?}");
}

#[tokio::test]
async fn a_key_whose_service_account_lost_its_access_is_listed_all_the_same() {
    let scope = json!({"service_account_id": "svc_sim_idle", "scopes": ["api.model.request"]});
    let stage = Stage::simulated(case("openai").expect("a case"), scope);
    let (name, issued) = stage.issue().await;
    assert_eq!(stage.named(&name).await.len(), 1);
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now));
}

#[tokio::test]
async fn an_admin_key_of_openai_replaces_another() {
    let stage = Stage::simulated(case("openai").expect("a case"), shared());
    let old = stage.probe().await.expect("probed").credential.expect("the key in use is found by its ends");
    let (name, issued) = stage.issue_admin().await;
    assert_eq!(stage.named(&name).await.len(), 1);
    let stage = stage.with_credential(issued.secret.expose());
    assert_eq!(stage.end(&old).await, Ok(Gone::Now));
    let probe = stage.probe().await.expect("the new one works");
    assert_eq!(probe.credential.map(|key| key.id), Some(issued.key.id));
}

fn restricted() -> Stage {
    let case = case("openrouter").expect("a case");
    Stage::simulated(case, json!({"allowed_models": [case.model]}))
}

#[tokio::test]
async fn a_key_that_cannot_be_restricted_is_deleted_with_its_restrictions() {
    for (fault, kind) in [
        (json!({"kind": "error_before", "status": 400}), FaultKind::Invalid { field: None }),
        (json!({"kind": "error_before", "status": 403}), FaultKind::Refused),
        (json!({"kind": "error_before", "status": 500}), FaultKind::Unknown),
        (json!({"kind": "drop_after"}), FaultKind::Unknown),
    ] {
        let stage = restricted();
        let mut order = fault.clone();
        order["times"] = (-1).into();
        order["path_contains"] = "/assignments".into();
        stage.simulator().faults(order).await;
        let (name, issued) = stage.try_issue().await;
        assert_eq!(issued.map(drop).expect_err("not restricted").kind, kind, "{fault}");
        assert!(stage.named(&name).await.is_empty(), "{fault}: key or guardrail was left");
        assert_eq!(stage.simulator().created("openrouter").await, 1);
    }
}

#[tokio::test]
async fn what_cannot_be_undone_is_an_unknown_outcome_and_is_listed() {
    let stage = restricted();
    let faults = json!([
        {"kind": "error_before", "status": 400, "path_contains": "/assignments"},
        {"kind": "error_before", "status": 403, "method": "DELETE", "times": -1},
    ]);
    stage.simulator().faults(faults).await;
    let (name, issued) = stage.try_issue().await;
    assert_eq!(issued.map(drop).expect_err("not undone").kind, FaultKind::Unknown);
    stage.no_faults().await;
    let left = stage.named(&name).await;
    assert_eq!(left.len(), 2, "the key and its guardrail");
    for found in left {
        assert_eq!(stage.end(&found.key).await, Ok(Gone::Now));
    }
}

#[tokio::test]
async fn a_fresh_key_that_the_vendor_says_it_does_not_know_was_not_undone() {
    for what in ["/keys/", "/guardrails/"] {
        let stage = restricted();
        let faults = json!([
            {"kind": "error_before", "status": 400, "path_contains": "/assignments"},
            {"kind": "error_before", "status": 404, "method": "DELETE", "path_contains": what},
        ]);
        stage.simulator().faults(faults).await;
        let (name, issued) = stage.try_issue().await;
        assert_eq!(issued.map(drop).expect_err("not undone").kind, FaultKind::Unknown, "{what}");
        stage.no_faults().await;
        assert!(!stage.named(&name).await.is_empty(), "{what}: the listing settles it");
    }
}

#[tokio::test]
async fn a_restricted_key_calls_only_what_it_may() {
    let stage = restricted();
    let (_, issued) = stage.issue().await;
    assert_eq!(stage.try_key(&issued).await, 200);
    let url = &stage.account.client_url;
    let other = crate::support::simulator::try_key(url, issued.secret.expose(), "google/gemini-2.5-flash").await;
    assert_eq!(other, 404);
}
