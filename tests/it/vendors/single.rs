//! What single declared vendors ask for, where the questions to all of them do not look.

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{FaultKind, Gone};

use super::stage::Stage;

/// The body of the last request that made something.
async fn made(stage: &Stage) -> Value {
    let requests = stage.simulator().get("/_control/requests").await;
    let posts = requests["requests"].as_array().expect("requests").iter().rev();
    posts.filter(|request| request["method"] == "POST").map(|request| request["body"].clone()).next().expect("a POST")
}

#[tokio::test]
async fn limits_that_a_role_does_not_name_are_not_sent() {
    for (name, role, absent) in [
        ("portkey", json!({"scopes": ["completions.write"]}), ["rate_limits", "usage_limits", "defaults"].as_slice()),
        ("bifrost", json!({"providers": ["openai"], "models": ["*"]}), &["rate_limit", "budgets", "team_id"]),
        ("vercel", json!({}), &["aiGatewayQuota", "projectId"]),
        ("baseten", json!({}), &["model_ids", "team_id"]),
        ("openai-realtime", json!({}), &["session"]),
    ] {
        let stage = Stage::of_example_with(name, &json!({}), &role).await;
        let (_, issued) = stage.issue().await;
        assert_eq!(stage.try_key(&issued).await, 200, "{name}");
        let body = made(&stage).await;
        for field in absent {
            assert!(body.get(*field).is_none(), "{name}: {body}");
        }
    }
}

#[tokio::test]
async fn a_key_of_qdrant_reads_everything_and_writes_nothing_where_its_role_names_nothing() {
    let stage = Stage::of_example_with("qdrant", &json!({}), &json!({})).await;
    stage.issue().await;
    let rule = json!([{"globalAccess": {"accessType": "GLOBAL_ACCESS_RULE_ACCESS_TYPE_READ_ONLY"}}]);
    assert_eq!(made(&stage).await["databaseApiKey"]["accessRules"], rule, "without rules the vendor grants everything");
    // The vendor refuses what makes no sense, and nothing is left.
    let both = json!({"global_access": "MANAGE", "read_collections": ["docs"]});
    let stage = Stage::of_example_with("qdrant", &json!({}), &both).await;
    let (name, issued) = stage.try_issue().await;
    assert_eq!(issued.map(drop).expect_err("both").kind, FaultKind::Invalid { field: None });
    assert!(stage.named(&name).await.is_empty());
}

#[tokio::test]
async fn a_user_of_weaviate_that_gets_no_roles_is_removed_again() {
    let stage = Stage::of_example_with("weaviate", &json!({}), &json!({"roles": ["nobody"]})).await;
    let (name, issued) = stage.try_issue().await;
    let fault = issued.map(drop).expect_err("no such role");
    assert_eq!(fault.kind, FaultKind::Invalid { field: None }, "{fault}");
    assert!(stage.named(&name).await.is_empty(), "the user was left");
}

#[tokio::test]
async fn an_unknown_project_of_langfuse_does_not_count_as_a_key_that_is_gone() {
    let stage = Stage::of_example("langfuse").await;
    let (_, issued) = stage.issue().await;
    assert!(issued.parts["public_key"].expose().starts_with("pk-lf-"));
    let elsewhere = Stage::of_example_with("langfuse", &json!({"project_id": "elsewhere"}), &json!({})).await;
    let fault = elsewhere.end(&issued.key).await.expect_err("another project");
    assert_eq!(fault.kind, FaultKind::Invalid { field: None }, "{fault}");
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now));
}

#[tokio::test]
async fn a_token_for_the_admin_credential_is_asked_for_once_and_again_after_it_was_refused() {
    for (name, path, life) in [
        ("ibm", "/identity/token", 3600),
        ("pinecone", "/oauth/token", 1800),
        ("databricks", "/oidc/v1/token", 3600),
        ("gemini", "/gemini/token", 1800),
    ] {
        let stage = Stage::of_example(name).await;
        let (_, issued) = stage.issue().await;
        let no_token =
            json!({"vendor": name, "path_contains": path, "kind": "error_before", "status": 500, "times": -1});
        stage.simulator().faults(no_token).await;
        stage.list(&stage.tag).await.expect("the token that is there is used");
        stage.no_faults().await;
        // The vendor's clock says that the token has ended, ours does not.
        stage.simulator().settings(json!({"clock_offset_seconds": life + 100})).await;
        assert_eq!(stage.end(&issued.key).await.expect_err(name).kind, FaultKind::Refused, "{name}: an old token");
        assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{name}: a new token was asked for");
    }
}
