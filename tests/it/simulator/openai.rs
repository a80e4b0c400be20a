use serde_json::{Value, json};

use super::{OPENAI, Reply, Simulator, names, text};

const BASE: &str = "/openai/v1";
const MODEL: &str = "gpt-4o-mini";
const PROJECT: &str = "/openai/v1/organization/projects/proj_sim1";
const ACCOUNT_KEYS: &str = "/openai/v1/organization/projects/proj_sim1/service_accounts/svc_sim1/api_keys";
const ADMIN_KEYS: &str = "/openai/v1/organization/admin_api_keys";

impl Simulator {
    async fn openai_key(&self, body: Value) -> (String, String) {
        let key = self.post(ACCOUNT_KEYS, body).await;
        (text(&key["id"]), text(&key["value"]))
    }

    async fn asks_openai(&self, key: &str) -> Reply {
        self.complete(BASE, MODEL, key).await
    }
}

#[tokio::test]
async fn an_openai_key_works_until_it_is_deleted() {
    let simulator = Simulator::start();
    let (id, secret) = simulator.openai_key(json!({"name": "mine"})).await;
    let answer = simulator.asks_openai(&secret).await.expect(200);
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    let shown = simulator.get(&format!("{PROJECT}/api_keys/{id}")).await;
    assert_eq!(shown["owner"]["service_account"]["id"], "svc_sim1");
    assert!(shown["last_used_at"].is_i64());
    assert!(!shown.to_string().contains(&secret));

    let path = format!("{PROJECT}/api_keys/{id}");
    let deleted = simulator.admin("DELETE", &path, None).await.expect(200);
    assert_eq!(deleted, json!({"object": "organization.project.api_key.deleted", "id": id, "deleted": true}));
    let refused = simulator.asks_openai(&secret).await.expect(401);
    assert_eq!(refused["error"]["code"], "invalid_api_key");
    simulator.admin("DELETE", &path, None).await.expect(404);
}

#[tokio::test]
async fn in_august_a_service_accounts_key_goes_only_with_its_account() {
    let simulator = Simulator::start();
    simulator.control("settings", json!({"openai_generation": "aug"})).await;
    let refused = simulator.admin("POST", ACCOUNT_KEYS, Some(json!({"expires_in_seconds": 60}))).await.expect(400);
    assert_eq!(refused["error"]["param"], "expires_in_seconds");

    let account = simulator.post(&format!("{PROJECT}/service_accounts"), json!({"name": "lease"})).await;
    assert_eq!(account["role"], "member");
    let (key, secret) = (text(&account["api_key"]["id"]), text(&account["api_key"]["value"]));
    let shown = simulator.get(&format!("{PROJECT}/api_keys/{key}")).await;
    assert!(shown.get("expires_at").is_none());
    simulator.admin("POST", &format!("{PROJECT}/api_keys/{key}"), Some(json!({"scopes": []}))).await.expect(404);
    simulator.admin("DELETE", &format!("{PROJECT}/api_keys/{key}"), None).await.expect(400);
    simulator.asks_openai(&secret).await.expect(200);

    let path = format!("{PROJECT}/service_accounts/{}", text(&account["id"]));
    simulator.admin("DELETE", &path, None).await.expect(200);
    simulator.asks_openai(&secret).await.expect(401);
    simulator.admin("DELETE", &path, None).await.expect(404);
    let of_a_person = "/openai/v1/organization/projects/proj_sim2/api_keys/key_sim_person";
    simulator.admin("DELETE", of_a_person, None).await.expect(200);
}

#[tokio::test]
async fn openai_lists_come_in_pages_that_survive_a_deletion() {
    let simulator = Simulator::start();
    let mut ids = Vec::new();
    for number in 0..25 {
        ids.push(simulator.openai_key(json!({"name": format!("key {number}")})).await.0);
    }
    let list = format!("{PROJECT}/api_keys");
    let first = simulator.get(&list).await;
    assert_eq!(names(&first["data"], "id"), ids[..20]);
    assert_eq!((&first["has_more"], &first["last_id"]), (&json!(true), &json!(ids[19])));

    simulator.admin("DELETE", &format!("{list}/{}", ids[19]), None).await.expect(200);
    let second = simulator.get(&format!("{list}?after={}&limit=100", ids[19])).await;
    assert_eq!(names(&second["data"], "id"), ids[20..]);
    assert_eq!(second["has_more"], false);
    for limit in ["0", "101", "many"] {
        let refused = simulator.admin("GET", &format!("{list}?limit={limit}"), None).await.expect(400);
        assert_eq!(refused["error"]["param"], "limit");
    }
    simulator.control("settings", json!({"page_size_max": 3})).await;
    assert_eq!(simulator.get(&format!("{list}?limit=100")).await["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn keys_of_an_account_without_a_role_are_hidden_unless_asked_for() {
    let simulator = Simulator::start();
    let only = json!({"name": "idle", "create_service_account_only": true});
    let account = simulator.post(&format!("{PROJECT}/service_accounts"), only).await;
    assert_eq!((&account["role"], &account["api_key"]), (&json!("none"), &Value::Null));
    let path = format!("{PROJECT}/service_accounts/{}", text(&account["id"]));
    let key = simulator.post(&format!("{path}/api_keys"), json!({"name": "hidden"})).await;
    simulator.asks_openai(&text(&key["value"])).await.expect(200);
    let list = format!("{PROJECT}/api_keys");
    for (query, shown) in [
        ("", 0),
        ("?owner_project_access=active", 0),
        ("?owner_project_access=inactive", 1),
        ("?owner_project_access=any", 1),
    ] {
        let listed = simulator.get(&format!("{list}{query}")).await;
        assert_eq!(listed["data"].as_array().unwrap().len(), shown, "{query}");
    }
    simulator.post(&path, json!({"role": "member"})).await;
    assert_eq!(names(&simulator.get(&list).await["data"], "name"), ["hidden"]);
}

#[tokio::test]
async fn openai_expiry_follows_the_clock_and_an_update_moves_it() {
    let simulator = Simulator::start();
    let (id, secret) = simulator.openai_key(json!({"expires_in_seconds": 60})).await;
    let path = format!("{PROJECT}/api_keys/{id}");
    let before = simulator.get(&path).await["expires_at"].as_i64().unwrap();
    simulator.control("settings", json!({"clock_offset_seconds": 50})).await;
    let moved = simulator.post(&path, json!({"expires_in_seconds": 60})).await["expires_at"].as_i64().unwrap();
    assert!((49..=51).contains(&(moved - before)), "{before} {moved}");
    simulator.control("settings", json!({"clock_offset_seconds": 100})).await;
    simulator.asks_openai(&secret).await.expect(200);
    simulator.control("settings", json!({"clock_offset_seconds": 120})).await;
    simulator.asks_openai(&secret).await.expect(401);
    simulator.admin("POST", &path, Some(json!({"expires_in_seconds": 60}))).await.expect(400);
    simulator.admin("DELETE", &path, None).await.expect(200);
}

#[tokio::test]
async fn scopes_narrow_an_openai_key_and_an_empty_list_does_not() {
    let simulator = Simulator::start();
    for (scopes, status) in [(json!([]), 200), (json!(["model.request"]), 200), (json!(["api.files.read"]), 401)] {
        let (_, secret) = simulator.openai_key(json!({"scopes": scopes})).await;
        simulator.asks_openai(&secret).await.expect(status);
    }
    let (_, secret) = simulator.openai_key(json!({})).await;
    let refused = simulator.complete(BASE, "no-such-model", &secret).await.expect(404);
    assert_eq!(refused["error"]["code"], "model_not_found");
}

#[tokio::test]
async fn openai_refuses_bodies_that_its_specification_does_not_know() {
    let simulator = Simulator::start();
    let accounts = format!("{PROJECT}/service_accounts");
    for (path, body, param, code) in [
        (ACCOUNT_KEYS, json!({"bogus": 1}), "bogus", "unknown_parameter"),
        (ACCOUNT_KEYS, json!({"name": 5}), "name", "invalid_type"),
        (ACCOUNT_KEYS, json!({"scopes": "api.all"}), "scopes", "invalid_type"),
        (ACCOUNT_KEYS, json!({"expires_in_seconds": 0}), "expires_in_seconds", "integer_below_min_value"),
        (ACCOUNT_KEYS, json!({"expires_in_seconds": 31_536_001}), "expires_in_seconds", "integer_above_max_value"),
        (ACCOUNT_KEYS, json!({"expires_in_seconds": 1.5}), "expires_in_seconds", "invalid_type"),
        (&accounts, json!({}), "name", "missing_required_parameter"),
        (&accounts, json!({"name": "x", "scopes": []}), "scopes", "unknown_parameter"),
        (
            &accounts,
            json!({"name": "x", "create_service_account_only": true, "expires_in_seconds": 9}),
            "expires_in_seconds",
            "invalid_value",
        ),
        (ADMIN_KEYS, json!({"name": "x", "expires_in_seconds": null}), "expires_in_seconds", "invalid_type"),
    ] {
        let refused = simulator.admin("POST", path, Some(body.clone())).await.expect(400);
        let error = &refused["error"];
        assert_eq!((&error["param"], &error["code"]), (&json!(param), &json!(code)), "{path} {body}");
        assert_eq!(error["type"], "invalid_request_error");
    }
    let state = simulator.get("/_control/state").await;
    assert_eq!(state["openai"]["keys"]["created_count"], 0);
}

#[tokio::test]
async fn openai_keeps_ordinary_keys_and_strangers_off_the_admin_surface() {
    let simulator = Simulator::start();
    let (_, secret) = simulator.openai_key(json!({})).await;
    for (key, code) in [("", Value::Null), ("sk-admin-wrong", json!("invalid_api_key")), (secret.as_str(), Value::Null)]
    {
        let refused = simulator.call("GET", ADMIN_KEYS, key, None).await.expect(401);
        assert_eq!(refused["error"]["code"], code, "{key}");
    }
    simulator.asks_openai(OPENAI).await.expect(401);
    simulator.asks_openai("sk-unknown").await.expect(401);
    simulator.admin("GET", "/openai/v1/organization/projects/proj_none", None).await.expect(404);
    simulator.admin("GET", "/openai/v1/no/such/route", None).await.expect(404);
}

#[tokio::test]
async fn an_admin_key_is_rotated_by_its_successor() {
    let simulator = Simulator::start();
    let successor = simulator.post(ADMIN_KEYS, json!({"name": "new", "expires_in_seconds": 600})).await;
    let secret = text(&successor["value"]);
    let listed = simulator.get(&format!("{ADMIN_KEYS}?order=desc&limit=1")).await;
    assert_eq!((&listed["data"][0]["id"], &listed["has_more"]), (&successor["id"], &json!(true)));
    simulator.call("DELETE", &format!("{ADMIN_KEYS}/key_sim_admin"), &secret, None).await.expect(200);
    simulator.admin("GET", ADMIN_KEYS, None).await.expect(401);
    simulator.call("GET", ADMIN_KEYS, &secret, None).await.expect(200);
    simulator.control("settings", json!({"clock_offset_seconds": 601})).await;
    simulator.call("GET", ADMIN_KEYS, &secret, None).await.expect(401);
}

#[tokio::test]
async fn an_archived_project_has_no_service_accounts() {
    let simulator = Simulator::start();
    let (_, secret) = simulator.openai_key(json!({})).await;
    let archived = simulator.admin("POST", &format!("{PROJECT}/archive"), None).await.expect(200);
    assert_eq!(archived["status"], "archived");
    simulator.asks_openai(&secret).await.expect(401);
    simulator.admin("DELETE", &format!("{PROJECT}/service_accounts/svc_sim1"), None).await.expect(400);
    simulator.admin("POST", ACCOUNT_KEYS, Some(json!({}))).await.expect(400);
    let projects = "/openai/v1/organization/projects";
    assert_eq!(names(&simulator.get(projects).await["data"], "id"), ["proj_sim2"]);
    let all = simulator.get(&format!("{projects}?include_archived=true")).await;
    assert_eq!(names(&all["data"], "id"), ["proj_sim1", "proj_sim2"]);
}
