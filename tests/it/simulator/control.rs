use serde_json::json;

use super::{OPENAI, Simulator, names, text};

const KEYS: &str = "/openrouter/api/v1/keys";

#[tokio::test]
async fn a_deleted_key_may_linger_and_a_fresh_one_may_be_late_in_lists() {
    let simulator = Simulator::start();
    simulator.control("settings", json!({"revocation_lag_seconds": 30, "list_lag_seconds": 30})).await;
    let made = simulator.admin("POST", KEYS, Some(json!({"name": "late"}))).await.expect(201);
    let (hash, secret) = (text(&made["data"]["hash"]), text(&made["key"]));
    assert!(names(&simulator.get(KEYS).await["data"], "name").is_empty());
    simulator.get(&format!("{KEYS}/{hash}")).await;
    simulator.control("settings", json!({"clock_offset_seconds": 31})).await;
    assert_eq!(names(&simulator.get(KEYS).await["data"], "name"), ["late"]);

    simulator.admin("DELETE", &format!("{KEYS}/{hash}"), None).await.expect(200);
    let ask = || simulator.complete("/openrouter/api/v1", "openai/gpt-4o", &secret);
    ask().await.expect(200);
    simulator.control("settings", json!({"clock_offset_seconds": 62})).await;
    ask().await.expect(401);
    simulator.call("POST", "/_control/settings", "", Some(json!({"clock": 1}))).await.expect(400);
}

#[tokio::test]
async fn the_state_counts_keys_and_admin_requests() {
    let simulator = Simulator::start();
    let made = simulator.post("/litellm/key/generate", json!({"key_alias": "seen"})).await;
    let token = text(&made["token"]);
    let state = simulator.get("/_control/state").await;
    assert_eq!(state["litellm"]["keys"]["live"][0]["name"], "seen");
    assert_eq!(state["requests"]["POST /litellm/key/generate"], 1);

    let deleted = simulator.control("delete_key", json!({"vendor": "litellm", "id": token})).await;
    assert_eq!(deleted["deleted"], true);
    let keys = &simulator.get("/_control/state").await["litellm"]["keys"];
    assert_eq!(
        (&keys["live_count"], &keys["deleted_count"], &keys["created_count"]),
        (&json!(0), &json!(1), &json!(1))
    );
    let state = simulator.control("reset", json!({})).await;
    assert_eq!((&state["litellm"]["keys"]["created_count"], &state["requests"]), (&json!(0), &json!({})));
}

#[tokio::test]
async fn recorded_requests_keep_their_shape_and_lose_their_secrets() {
    let simulator = Simulator::start();
    let own = "sk-client-chosen-00000001";
    simulator.post("/litellm/key/generate", json!({"key": own, "key_alias": "seen"})).await;
    simulator.get(&format!("/litellm/key/info?key={own}")).await;
    simulator.complete("/litellm", "fake-small", own).await.expect(200);
    simulator.admin("GET", "/openai/v1/no/such", None).await.expect(404);
    let recorded = simulator.get("/_control/requests").await;
    let requests = recorded["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 3, "inference is not recorded");
    assert_eq!(requests[0]["body"], json!({"key": "(kept out)", "key_alias": "seen"}));
    assert_eq!(requests[1]["query"], json!({"key": "(kept out)"}));
    assert_eq!((&requests[2]["route"], &requests[2]["status"]), (&json!("GET /openai/v1(no route)"), &json!(404)));
    assert!(!recorded.to_string().contains(own) && !recorded.to_string().contains(OPENAI));
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_vendor-simulator"));
    let ended = command.args(["--listen", "0.0.0.0:0"]).output().await.unwrap();
    assert!(!ended.status.success() && ended.stdout.is_empty());
}
