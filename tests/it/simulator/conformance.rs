//! The simulator's answers, and the requests these tests made, against the vendors' own documents.

use serde_json::{Value, json};

use super::{Simulator, text};
use crate::support::openapi_check::{self, Spec};

/// A conversation in which every answer is held against the document.
struct Checked<'a> {
    simulator: &'a Simulator,
    spec: Spec,
    base: &'static str,
    problems: Vec<String>,
}

impl Checked<'_> {
    async fn call(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let reply = self.simulator.admin(method, &format!("{}{path}", self.base), body).await;
        let bare = path.split('?').next().unwrap();
        let found = self.spec.check_answer(method, bare, reply.status, &reply.body);
        self.problems.extend(found.into_iter().map(|problem| format!("{method} {path} {}: {problem}", reply.status)));
        reply.body
    }

    async fn check_recorded_requests(&mut self) {
        let (_, problems) = self.spec.check_recorded(self.simulator, self.base).await;
        self.problems.extend(problems);
    }
}

#[tokio::test]
async fn openai_answers_as_its_documents_say() {
    let Some(folder) = openapi_check::folder() else { return };
    let simulator = Simulator::start();
    for generation in ["nov", "aug"] {
        simulator.control("settings", json!({"openai_generation": generation})).await;
        let spec = openapi_check::openai(&folder);
        let mut openai = Checked { simulator: &simulator, spec, base: "/openai/v1", problems: Vec::new() };
        let admin_keys = "/organization/admin_api_keys";
        let key = openai.call("POST", admin_keys, Some(json!({"name": "a", "expires_in_seconds": 60}))).await;
        let key = format!("{admin_keys}/{}", text(&key["id"]));
        openai.call("GET", &format!("{admin_keys}?limit=5&order=desc"), None).await;
        openai.call("GET", &key, None).await;
        openai.call("DELETE", &key, None).await;
        openai.call("DELETE", &key, None).await;

        let projects = "/organization/projects";
        let project = openai.call("POST", projects, Some(json!({"name": "p"}))).await;
        let project = format!("{projects}/{}", text(&project["id"]));
        openai.call("GET", &format!("{projects}?limit=1&include_archived=true"), None).await;
        openai.call("GET", &project, None).await;

        let accounts = format!("{project}/service_accounts");
        let account = openai.call("POST", &accounts, Some(json!({"name": "s"}))).await;
        let account = format!("{accounts}/{}", text(&account["id"]));
        openai.call("POST", &accounts, Some(json!({"name": "s", "create_service_account_only": true}))).await;
        openai.call("POST", &accounts, Some(json!({"bogus": 1}))).await;
        openai.call("GET", &format!("{accounts}?limit=1"), None).await;
        openai.call("GET", &account, None).await;
        openai.call("POST", &account, Some(json!({"name": "t", "role": "owner"}))).await;

        let body = json!({"name": "k", "scopes": ["model.request"]});
        let key = openai.call("POST", &format!("{account}/api_keys"), Some(body)).await;
        let key = format!("{project}/api_keys/{}", text(&key["id"]));
        openai.call("GET", &format!("{project}/api_keys?owner_project_access=any&limit=100"), None).await;
        openai.call("GET", &key, None).await;
        openai.call("POST", &key, Some(json!({"expires_in_seconds": 60}))).await;
        openai.call("DELETE", &key, None).await;
        openai.call("DELETE", &account, None).await;
        openai.call("GET", &format!("{projects}/proj_sim2/api_keys"), None).await;
        openai.call("POST", &format!("{project}/archive"), None).await;
        openai.call("DELETE", &account, None).await;
        openai.check_recorded_requests().await;
        assert!(openai.problems.is_empty(), "{generation}: {:#?}", openai.problems);
    }
}

#[tokio::test]
async fn openrouter_answers_as_its_document_says() {
    let Some(folder) = openapi_check::folder() else { return };
    let simulator = Simulator::start();
    let spec = openapi_check::openrouter(&folder);
    let mut openrouter = Checked { simulator: &simulator, spec, base: "/openrouter/api/v1", problems: Vec::new() };
    openrouter.call("GET", "/key", None).await;
    let workspaces = openrouter.call("GET", "/workspaces?limit=10&offset=0", None).await;
    let body = json!({
        "name": "k", "limit": 5, "limit_reset": "daily", "include_byok_in_limit": true, "expires_at": "2099-01-01T00:00:00Z",
        "workspace_id": workspaces["data"][0]["id"],
    });
    let made = openrouter.call("POST", "/keys", Some(body)).await;
    let hash = text(&made["data"]["hash"]);
    openrouter.call("POST", "/keys", Some(json!({"name": "plain"}))).await;
    openrouter.call("POST", "/keys", Some(json!({}))).await;
    openrouter.call("GET", "/keys?offset=0&include_disabled=true&include_expired=true", None).await;
    openrouter.call("GET", &format!("/keys/{hash}"), None).await;
    openrouter.call("PATCH", &format!("/keys/{hash}"), Some(json!({"disabled": true, "limit": null}))).await;

    let body = json!({"name": "g", "allowed_models": ["openai/gpt-4o"], "limit_usd": 5, "reset_interval": "monthly"});
    let made = openrouter.call("POST", "/guardrails", Some(body)).await;
    let guardrail = format!("/guardrails/{}", text(&made["data"]["id"]));
    openrouter.call("POST", "/guardrails", Some(json!({"name": ""}))).await;
    openrouter.call("GET", "/guardrails", None).await;
    openrouter.call("GET", &guardrail, None).await;
    let keys = format!("{guardrail}/assignments/keys");
    openrouter.call("POST", &keys, Some(json!({"key_hashes": [hash]}))).await;
    openrouter.call("GET", &keys, None).await;
    openrouter.call("POST", &format!("{keys}/remove"), Some(json!({"key_hashes": [hash]}))).await;
    for _ in 0..2 {
        openrouter.call("DELETE", &guardrail, None).await;
        openrouter.call("DELETE", &format!("/keys/{hash}"), None).await;
    }
    openrouter.check_recorded_requests().await;
    assert!(openrouter.problems.is_empty(), "{:#?}", openrouter.problems);
}
