//! What a key of a LiteLLM proxy may do: nothing but inference, whoever it is counted for.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::{SystemRng, random_hex};
use vault_plugin_secrets_ai::providers::{FaultKind, Ref};

use super::script::{Script, refusal};
use super::stage::{Stage, case};
use crate::support::simulator::plain_client;

/// The status of a call to the proxy's root.
async fn call(stage: &Stage, key: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let root = stage.account.client_url.trim_end_matches("/v1");
    let url = format!("{root}{path}");
    let request = match body {
        Some(body) => plain_client().post(url).json(&body),
        None => plain_client().get(url),
    };
    let answer = request.bearer_auth(key).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn infers_and_manages_nothing(stage: &Stage) {
    let (_, issued) = stage.issue().await;
    let key = issued.secret.expose();
    assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
    assert_eq!(call(stage, key, "/v1/models", None).await.0, 200, "{}", stage.label);
    for path in ["/key/generate", "/key/delete", "/key/update", "/user/new", "/team/new"] {
        let (status, answer) = call(stage, key, path, Some(json!({"keys": [issued.key.id], "key": key}))).await;
        assert!([401, 403, 404].contains(&status), "{} {path}: {status} {answer}", stage.label);
    }
    stage.end(&issued.key).await.expect("ended");
}

#[tokio::test]
async fn a_key_infers_and_manages_nothing() {
    let case = case("litellm").expect("a case");
    infers_and_manages_nothing(&Stage::simulated(case, json!({}))).await;
    let Some(real) = Stage::real_with(json!({})) else { return };
    infers_and_manages_nothing(&real).await;
    let (_, issued) = real.issue().await;
    let body = json!({"model": "fake-small", "input": "hello"});
    assert_eq!(call(&real, issued.secret.expose(), "/v1/embeddings", Some(body)).await.0, 200);
    let master = real.credential();
    let info = call(&real, master, &format!("/key/info?key={}", issued.key.id), None).await.1;
    assert_eq!(info["info"]["metadata"]["vault"], json!({"a": "b"}), "{info}");
    assert_eq!(info["info"]["allowed_routes"], json!(["llm_api_routes"]), "{info}");
    real.end(&issued.key).await.expect("ended");
}

/// A key takes its power from its user's row, so that this one's could make keys if its type were the proxy's default.
#[tokio::test]
async fn a_key_of_a_proxy_admin_infers_and_manages_nothing() {
    let user = format!("admin-{}", random_hex(&SystemRng, 4));
    let Some(real) = Stage::real_with(json!({"user_id": user})) else { return };
    let master = real.credential();
    let body = json!({"user_id": user, "user_role": "proxy_admin", "auto_create_key": false});
    assert_eq!(call(&real, master, "/user/new", Some(body)).await.0, 200);
    let (_, issued) = real.issue().await;
    let info = call(&real, master, &format!("/key/info?key={}", issued.key.id), None).await.1;
    assert_eq!(info["info"]["user_id"], user.as_str(), "{info}");
    real.end(&issued.key).await.expect("ended");
    infers_and_manages_nothing(&real).await;
    assert_eq!(call(&real, master, "/user/delete", Some(json!({"user_ids": [user]}))).await.0, 200);
}

#[tokio::test]
async fn a_role_names_no_user_no_team_and_no_policy() {
    let script = Script::of([(500, json!({}))]).await;
    let case = case("litellm").expect("a case");
    let scope = json!({"metadata": {"disable_global_guardrails": "true", "tags": "a"}, "max_budget": 1});
    let mut stage = Stage::scripted(case, &script.url, scope);
    let fields: Vec<_> = stage.vendor.about().scope.iter().map(|field| field.name.to_string()).collect();
    for name in ["user_id", "team_id", "key_type"] {
        assert!(!fields.contains(&name.to_owned()), "{name}");
        // A role of before, or one that was stored by hand.
        stage.scope.0.insert(name, "default".into());
    }
    stage.account.identity.insert("team_id", "team-1".into());
    stage.try_issue().await.1.map(drop).expect_err("500");
    let body = script.body(0);
    assert_eq!((&body["user_id"], &body["team_id"]), (&Value::Null, &json!("team-1")));
    assert_eq!(body["key_type"], "llm_api");
    assert_eq!(body["metadata"], json!({"vault": {"disable_global_guardrails": "true", "tags": "a"}}));
}

/// 1.106.2 gives this answer to whatever it does not know, a lost database too.
#[tokio::test]
async fn a_proxy_in_trouble_is_no_refusal_of_a_renewal() {
    let case = case("litellm").expect("a case");
    let cases = [
        ("Authentication Error, Can't reach database server", FaultKind::Unknown),
        ("Authentication Error, Key not found. Passed key=abc", FaultKind::Invalid { field: None }),
        ("Duration must be positive", FaultKind::Invalid { field: None }),
    ];
    for (text, kind) in cases {
        // It asks again where it may be worth it.
        let script = Script::of([(); 3].map(|()| (400, refusal(text)))).await;
        let stage = Stage::scripted(case, &script.url, json!({}));
        let key = Ref { id: "0123abcd".into(), extra: serde_json::Map::new() };
        let fault = stage.extend(&key, stage.now() + Duration::from_secs(600)).await.expect_err(text);
        assert_eq!(fault.kind, kind, "{text}");
    }
}
