use serde_json::{Value, json};

use super::{OPENROUTER, Reply, Simulator, names, text};

const BASE: &str = "/openrouter/api/v1";
const KEYS: &str = "/openrouter/api/v1/keys";
const GUARDRAILS: &str = "/openrouter/api/v1/guardrails";
const MODEL: &str = "openai/gpt-4o-mini";

impl Simulator {
    async fn openrouter_key(&self, body: Value) -> (String, String) {
        let made = self.admin("POST", KEYS, Some(body)).await.expect(201);
        (text(&made["data"]["hash"]), text(&made["key"]))
    }

    async fn asks_openrouter(&self, key: &str) -> Reply {
        self.complete(BASE, MODEL, key).await
    }
}

#[tokio::test]
async fn an_openrouter_key_works_until_it_is_disabled_or_deleted() {
    let simulator = Simulator::start();
    let (hash, secret) = simulator.openrouter_key(json!({"name": "mine"})).await;
    simulator.asks_openrouter(&secret).await.expect(200);
    let path = format!("{KEYS}/{hash}");
    for (disabled, status) in [(true, 401), (false, 200)] {
        let shown = simulator.admin("PATCH", &path, Some(json!({"disabled": disabled}))).await.expect(200);
        assert_eq!(shown["data"]["disabled"], disabled);
        simulator.asks_openrouter(&secret).await.expect(status);
    }
    assert_eq!(simulator.admin("DELETE", &path, None).await.expect(200), json!({"deleted": true}));
    let refused = simulator.asks_openrouter(&secret).await.expect(401);
    assert_eq!(refused["error"]["code"], 401);
    for method in ["GET", "DELETE"] {
        assert_eq!(simulator.admin(method, &path, None).await.expect(404)["error"]["code"], 404);
    }
}

#[tokio::test]
async fn openrouter_lists_hundred_keys_a_page_and_hides_disabled_expired_and_foreign_ones() {
    let simulator = Simulator::start();
    for number in 0..101 {
        simulator.openrouter_key(json!({"name": format!("key {number}")})).await;
    }
    let (disabled, _) = simulator.openrouter_key(json!({"name": "disabled"})).await;
    simulator.admin("PATCH", &format!("{KEYS}/{disabled}"), Some(json!({"disabled": true}))).await.expect(200);
    let soon = (chrono::Utc::now() + chrono::TimeDelta::minutes(1)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    simulator.openrouter_key(json!({"name": "expired", "expires_at": soon})).await;
    let workspaces = simulator.get(&format!("{BASE}/workspaces")).await;
    let other = text(&workspaces["data"][1]["id"]);
    simulator.openrouter_key(json!({"name": "foreign", "workspace_id": other})).await;
    simulator.control("settings", json!({"clock_offset_seconds": 120})).await;

    for (query, shown) in [
        ("?offset=0".to_owned(), 100),
        ("?offset=100".to_owned(), 1),
        ("?offset=100&include_disabled=true".to_owned(), 2),
        ("?offset=100&include_disabled=true&include_expired=true".to_owned(), 3),
        (format!("?workspace_id={other}"), 1),
    ] {
        let listed = simulator.get(&format!("{KEYS}{query}")).await;
        assert_eq!(listed["data"].as_array().unwrap().len(), shown, "{query}");
    }
}

#[tokio::test]
async fn a_guardrail_narrows_a_key_to_models() {
    let simulator = Simulator::start();
    let (hash, secret) = simulator.openrouter_key(json!({"name": "narrow"})).await;
    let body = json!({"name": "one model", "allowed_models": [MODEL]});
    let made = simulator.admin("POST", GUARDRAILS, Some(body)).await.expect(201);
    let path = format!("{GUARDRAILS}/{}", text(&made["data"]["id"]));
    simulator.complete(BASE, "openai/gpt-4o", &secret).await.expect(200);

    let assign = format!("{path}/assignments/keys");
    let assigned = simulator.post(&assign, json!({"key_hashes": [hash]})).await;
    assert_eq!(assigned, json!({"assigned_count": 1}));
    assert_eq!(names(&simulator.get(&assign).await["data"], "key_name"), ["narrow"]);
    simulator.complete(BASE, "openai/gpt-4o", &secret).await.expect(404);
    simulator.asks_openrouter(&secret).await.expect(200);
    simulator.admin("POST", &assign, Some(json!({"key_hashes": []}))).await.expect(400);
    simulator.admin("POST", &assign, Some(json!({"key_hashes": ["unknown"]}))).await.expect(400);

    simulator.admin("DELETE", &path, None).await.expect(200);
    simulator.complete(BASE, "openai/gpt-4o", &secret).await.expect(200);
    simulator.admin("DELETE", &path, None).await.expect(404);
    let half = json!({"name": "half a budget", "limit_usd": 5});
    simulator.admin("POST", GUARDRAILS, Some(half)).await.expect(400);
}

#[tokio::test]
async fn an_openrouter_key_ends_at_its_limit_and_at_its_expiry() {
    let simulator = Simulator::start();
    let (_, secret) = simulator.openrouter_key(json!({"name": "two calls", "limit": 0.02})).await;
    for status in [200, 200, 403] {
        simulator.asks_openrouter(&secret).await.expect(status);
    }
    let own = simulator.call("GET", &format!("{BASE}/key"), &secret, None).await.expect(200);
    assert_eq!((&own["data"]["limit_remaining"], &own["data"]["is_management_key"]), (&json!(0.0), &json!(false)));

    let end = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let (_, secret) = simulator.openrouter_key(json!({"name": "an hour", "expires_at": end})).await;
    simulator.asks_openrouter(&secret).await.expect(200);
    simulator.control("settings", json!({"clock_offset_seconds": 3601})).await;
    simulator.asks_openrouter(&secret).await.expect(401);
}

#[tokio::test]
async fn openrouter_takes_a_secret_the_caller_brings() {
    let simulator = Simulator::start();
    let own = "sk-or-v1-brought-along-0123456789abcdef";
    let (_, secret) =
        simulator.openrouter_key(json!({"name": "own", "external": {"user": "me", "api_key": own}})).await;
    assert_eq!(secret, own);
    simulator.asks_openrouter(own).await.expect(200);
    let short = json!({"name": "short", "external": {"user": "me", "api_key": "short"}});
    simulator.admin("POST", KEYS, Some(short)).await.expect(400);
    assert!(!simulator.get("/_control/requests").await.to_string().contains(own));
}

#[tokio::test]
async fn openrouter_refuses_what_its_specification_refuses() {
    let simulator = Simulator::start();
    for body in [
        json!({}),
        json!({"name": ""}),
        json!({"name": "x", "limit": "5"}),
        json!({"name": "x", "limit_reset": "hourly"}),
        json!({"name": "x", "expires_at": "2099-01-01T00:00Z"}),
        json!({"name": "x", "expires_at": "2099-01-01T00:00:00+02:00"}),
        json!({"name": "x", "expires_at": 5}),
        json!({"name": "x", "workspace_id": "no-such"}),
    ] {
        let refused = simulator.admin("POST", KEYS, Some(body.clone())).await.expect(400);
        assert_eq!(refused["error"]["code"], 400, "{body}");
    }
    let (_, secret) = simulator.openrouter_key(json!({"name": "ordinary"})).await;
    for key in ["", "sk-or-v1-wrong", secret.as_str()] {
        simulator.call("GET", KEYS, key, None).await.expect(401);
    }
    simulator.asks_openrouter("sk-or-v1-wrong").await.expect(401);
    simulator.asks_openrouter(OPENROUTER).await.expect(403);
}
