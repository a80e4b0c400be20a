use serde_json::{Value, json};

use super::{LITELLM, Reply, Simulator, names, text};

const BASE: &str = "/litellm";
const OWN: &str = "sk-client-chosen-00000001";

impl Simulator {
    async fn litellm_key(&self, body: Value) -> Value {
        self.post("/litellm/key/generate", body).await
    }

    async fn asks_litellm(&self, key: &str) -> Reply {
        self.complete(BASE, "fake-small", key).await
    }

    async fn litellm_list(&self, query: &str) -> Value {
        self.get(&format!("/litellm/key/list{query}")).await
    }
}

#[tokio::test]
async fn a_litellm_key_works_until_it_is_deleted() {
    let simulator = Simulator::start();
    let key = simulator.litellm_key(json!({"key_alias": "mine", "duration": "30m"})).await;
    assert_eq!((&key["duration"], &key["token"]), (&Value::Null, &key["token_id"]));
    assert!(key["expires"].is_string());
    let (secret, hash) = (text(&key["key"]), text(&key["token"]));
    simulator.asks_litellm(&secret).await.expect(200);
    simulator.complete("/litellm/v1", "fake-big", &secret).await.expect(200);
    for name in [&secret, &hash] {
        let info = simulator.get(&format!("/litellm/key/info?key={name}")).await;
        assert_eq!((&info["info"]["key_alias"], &info["info"]["status"]), (&json!("mine"), &json!("active")));
    }
    let deleted = simulator.post("/litellm/key/delete", json!({"keys": [hash]})).await;
    assert_eq!(deleted, json!({"deleted_keys": [hash]}));
    let refused = simulator.asks_litellm(&secret).await.expect(401);
    assert_eq!(refused["error"]["type"], "token_not_found_in_db");
    let again = simulator.admin("POST", "/litellm/key/delete", Some(json!({"keys": [secret]}))).await.expect(404);
    assert_eq!(again["error"]["message"], "{'error': 'No keys found'}");
    assert_eq!(again["error"]["code"], "404");
    simulator.admin("GET", &format!("/litellm/key/info?key={secret}"), None).await.expect(404);
}

#[tokio::test]
async fn a_second_generate_of_the_same_key_answers_200_and_changes_nothing() {
    let simulator = Simulator::start();
    let first = simulator.litellm_key(json!({"key": OWN, "key_alias": "first", "models": ["fake-small"]})).await;
    let second = simulator.litellm_key(json!({"key": OWN, "key_alias": "second", "models": ["fake-big"]})).await;
    assert_eq!((&second["key_alias"], &second["token"]), (&json!("second"), &first["token"]));
    let info = simulator.get(&format!("/litellm/key/info?key={OWN}")).await;
    assert_eq!((&info["info"]["key_alias"], &info["info"]["models"]), (&json!("first"), &json!(["fake-small"])));
    assert_eq!(simulator.litellm_list("").await["total_count"], 1);
    let taken = simulator.admin("POST", "/litellm/key/generate", Some(json!({"key_alias": "first"}))).await.expect(400);
    assert_eq!(taken["error"]["param"], "key_alias");
}

#[tokio::test]
async fn litellm_deletes_what_it_finds_and_names_what_it_was_asked() {
    let simulator = Simulator::start();
    simulator.litellm_key(json!({"key": OWN, "key_alias": "one"})).await;
    let missing = "sk-missing-0000000000";
    let deleted = simulator.post("/litellm/key/delete", json!({"keys": [OWN, missing]})).await;
    assert_eq!(deleted["deleted_keys"], json!([OWN, missing]));
    simulator.asks_litellm(OWN).await.expect(401);
    simulator.litellm_key(json!({"key": OWN, "key_alias": "one"})).await;
    simulator.asks_litellm(OWN).await.expect(200);
    simulator.post("/litellm/key/delete", json!({"key_aliases": ["one"]})).await;
    for (body, status) in [(json!({"key_aliases": ["one"]}), 404), (json!({}), 422), (json!({"keys": "x"}), 422)] {
        simulator.admin("POST", "/litellm/key/delete", Some(body)).await.expect(status);
    }
}

#[tokio::test]
async fn litellm_lists_the_newest_first_and_matches_whole_aliases() {
    let simulator = Simulator::start();
    for number in 0..12 {
        simulator.litellm_key(json!({"key_alias": format!("alias-{number}"), "duration": "1h"})).await;
    }
    let first = simulator.litellm_list("?return_full_object=true").await;
    assert_eq!(names(&first["keys"], "key_alias")[..2], ["alias-11", "alias-10"]);
    assert_eq!((&first["total_count"], &first["total_pages"]), (&json!(12), &json!(2)));
    assert_eq!(simulator.litellm_list("?page=2").await["keys"].as_array().unwrap().len(), 2);
    for (query, found) in [
        ("?key_alias=alias-1", 1),
        ("?key_alias=alias", 0),
        ("?key_alias=ALIAS-1&substring_matching=true", 3),
        ("?status=active", 12),
        ("?status=deleted", 0),
    ] {
        assert_eq!(simulator.litellm_list(query).await["total_count"], found, "{query}");
    }
    for (query, status) in [("size=101", 422), ("size=0", 422), ("page=0", 422), ("status=odd", 400)] {
        simulator.admin("GET", &format!("/litellm/key/list?{query}"), None).await.expect(status);
    }
    simulator.control("settings", json!({"clock_offset_seconds": 3601})).await;
    assert_eq!(simulator.litellm_list("?status=expired").await["total_count"], 12);
    assert_eq!(simulator.litellm_list("").await["total_count"], 12);
}

#[tokio::test]
async fn a_litellm_key_is_narrowed_by_models_rate_and_budget() {
    let simulator = Simulator::start();
    simulator.litellm_key(json!({"key": OWN, "models": ["fake-small"], "rpm_limit": 1})).await;
    let refused = simulator.complete(BASE, "fake-big", OWN).await.expect(403);
    assert_eq!(refused["error"]["type"], "key_model_access_denied");
    assert_eq!(
        names(&simulator.call("GET", "/litellm/v1/models", OWN, None).await.expect(200)["data"], "id"),
        ["fake-small"]
    );
    simulator.asks_litellm(OWN).await.expect(200);
    let limited = simulator.asks_litellm(OWN).await;
    assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (429, "60"));

    let poor = text(&simulator.litellm_key(json!({"max_budget": 0.000_1})).await["key"]);
    simulator.asks_litellm(&poor).await.expect(200);
    assert_eq!(simulator.asks_litellm(&poor).await.expect(422)["error"]["type"], "budget_exceeded");
    let manager = text(&simulator.litellm_key(json!({"key_type": "management"})).await["key"]);
    simulator.asks_litellm(&manager).await.expect(403);
}

#[tokio::test]
async fn a_litellm_key_is_blocked_expires_and_is_brought_back() {
    let simulator = Simulator::start();
    simulator.litellm_key(json!({"key": OWN, "duration": "1h30m"})).await;
    for (verb, status) in [("block", 401), ("unblock", 200)] {
        simulator.post(&format!("/litellm/key/{verb}"), json!({"key": OWN})).await;
        simulator.asks_litellm(OWN).await.expect(status);
    }
    // The proxy reads the hour and ignores the minutes behind it.
    simulator.control("settings", json!({"clock_offset_seconds": 3601})).await;
    assert_eq!(simulator.asks_litellm(OWN).await.expect(401)["error"]["type"], "expired_key");
    simulator.post("/litellm/key/update", json!({"key": OWN, "duration": "10s"})).await;
    simulator.asks_litellm(OWN).await.expect(200);
    let forever = simulator.post("/litellm/key/update", json!({"key": OWN, "duration": "-1"})).await;
    assert_eq!(forever["expires"], Value::Null);
}

#[tokio::test]
async fn litellm_refuses_as_the_recorded_proxy_did() {
    let simulator = Simulator::start();
    for (path, body, status) in [
        ("generate", json!({"key": "abc-0123456789abcdef"}), 400),
        ("generate", json!({"key": "sk-345678901234"}), 400),
        ("generate", json!({"models": "fake-small"}), 422),
        ("generate", json!({"max_budget": -1}), 400),
        ("generate", json!({"duration": "soon"}), 500),
        ("generate", json!({"key_type": "odd"}), 422),
        ("generate", json!({"tags": ["enterprise only"]}), 403),
        ("update", json!({"key": "sk-missing-0000000000", "duration": "1h"}), 404),
        ("update", json!({"duration": "1h"}), 422),
        ("block", json!({"key": "sk-missing-0000000000"}), 404),
    ] {
        simulator.admin("POST", &format!("/litellm/key/{path}"), Some(body.clone())).await.expect(status);
    }
    let ordinary = text(&simulator.litellm_key(json!({})).await["key"]);
    for (key, kind) in
        [("", "auth_error"), ("odd", "auth_error"), ("sk-wrong", "token_not_found_in_db"), (&ordinary, "auth_error")]
    {
        let refused = simulator.call("POST", "/litellm/key/generate", key, Some(json!({}))).await.expect(401);
        assert_eq!((&refused["error"]["type"], &refused["error"]["code"]), (&json!(kind), &json!("401")), "{key}");
    }
    simulator.asks_litellm(LITELLM).await.expect(200);
    assert_eq!(simulator.call("GET", "/litellm/health/liveliness", "", None).await.expect(200), "I'm alive!");
}
