use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{LITELLM, Simulator};

const GENERATE: &str = "/litellm/key/generate";

impl Simulator {
    async fn keys_made(&self) -> u64 {
        self.get("/_control/state").await["litellm"]["keys"]["created_count"].as_u64().unwrap()
    }

    async fn generate(&self) -> reqwest::Result<reqwest::Response> {
        self.request("POST", GENERATE, LITELLM, Some(json!({}))).send().await
    }
}

#[tokio::test]
async fn a_fault_before_the_effect_leaves_no_key_and_one_after_it_does() {
    let simulator = Simulator::start();
    let mut made = 0;
    for (fault, status, effect) in [
        (json!({"kind": "rate_limit", "retry_after_seconds": 7}), Some(429), false),
        (json!({"kind": "error_before", "status": 503}), Some(503), false),
        (json!({"kind": "error_after", "status": 500}), Some(500), true),
        (json!({"kind": "drop_before"}), None, false),
        (json!({"kind": "drop_after"}), None, true),
        (json!({"kind": "html", "status": 502}), Some(502), false),
        (json!({"kind": "html_after", "status": 403}), Some(403), true),
        (json!({"kind": "hostile"}), Some(400), false),
        (json!({"kind": "redirect", "to": "http://127.0.0.1:1/"}), Some(307), false),
        (json!({"kind": "latency", "ms": 1}), Some(200), true),
        (json!({"kind": "slow_body", "ms": 10}), Some(200), true),
        (json!({"kind": "truncated"}), Some(200), true),
    ] {
        simulator.control("faults", fault.clone()).await;
        let answered = simulator.generate().await.ok().map(|response| response.status().as_u16());
        assert_eq!(answered, status, "{fault}");
        made += u64::from(effect);
        assert_eq!(simulator.keys_made().await, made, "{fault}");
        assert_eq!(simulator.generate().await.unwrap().status(), 200, "{fault} must be used up");
        made += 1;
    }
}

#[tokio::test]
async fn faults_hit_what_they_match_in_their_order() {
    let simulator = Simulator::start();
    let faults = json!([
        {"kind": "latency", "ms": 60, "times": -1, "path_contains": "/key/"},
        {"kind": "error_before", "status": 500, "vendor": "openai"},
        {"kind": "error_before", "status": 501, "vendor": "litellm", "method": "post"},
        {"kind": "error_before", "status": 502, "path_contains": "/key/generate", "times": 2},
    ]);
    simulator.control("faults", faults).await;
    let start = Instant::now();
    assert_eq!(simulator.admin("GET", "/litellm/key/list", None).await.status, 200);
    for status in [501, 502, 502, 200] {
        assert_eq!(simulator.generate().await.unwrap().status().as_u16(), status);
    }
    assert!(start.elapsed() >= Duration::from_millis(300));
    let left = simulator.get("/_control/faults").await;
    assert_eq!((&left["faults"][1]["times"], &left["faults"][2]["times"]), (&json!(1), &json!(0)));
    simulator.call("DELETE", "/_control/faults", "", None).await.expect(200);
    simulator.admin("GET", "/openai/v1/organization/projects", None).await.expect(200);
}

#[tokio::test]
async fn a_rate_limit_wears_the_vendors_envelope() {
    let simulator = Simulator::start();
    for (path, code) in [
        ("/openai/v1/organization/projects", json!("rate_limit_exceeded")),
        ("/openrouter/api/v1/keys", json!(429)),
        ("/litellm/key/list", json!("429")),
    ] {
        simulator.control("faults", json!({"kind": "rate_limit", "retry_after_seconds": 7})).await;
        let limited = simulator.admin("GET", path, None).await;
        assert_eq!((limited.status, limited.headers["retry-after"].to_str().unwrap()), (429, "7"));
        assert_eq!(limited.body["error"]["code"], code);
    }
}

#[tokio::test]
async fn a_hostile_body_gives_the_secret_back_on_a_log_readers_line() {
    let simulator = Simulator::start();
    simulator.control("faults", json!({"kind": "hostile", "status": 500})).await;
    let body = simulator.generate().await.unwrap().text().await.unwrap();
    assert!(body.lines().any(|line| line == r#"{"@level":5}"#));
    let decoded: Value = serde_json::from_str(&body).unwrap();
    let message = decoded["error"]["message"].as_str().unwrap();
    assert!(message.lines().any(|line| line == r#"{"@level":5}"#));
    assert!(message.contains(LITELLM) && message.contains('\u{1b}') && message.contains('\0'));
}

#[tokio::test]
async fn bodies_are_slow_short_or_too_large_on_demand() {
    let simulator = Simulator::start();
    simulator.control("faults", json!({"kind": "slow_body", "ms": 300})).await;
    let start = Instant::now();
    let response = simulator.generate().await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(250), "the headers come at once");
    response.json::<Value>().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));

    simulator.control("faults", json!({"kind": "truncated"})).await;
    assert!(simulator.generate().await.unwrap().bytes().await.is_err());

    simulator.control("faults", json!({"kind": "oversized"})).await;
    assert!(simulator.generate().await.unwrap().bytes().await.unwrap().len() > 50_000_000);
}

#[tokio::test]
async fn a_misspelt_fault_is_refused() {
    let simulator = Simulator::start();
    for fault in
        [json!({"kind": "odd"}), json!({"kind": "latency"}), json!({"kind": "drop_after", "path_contain": "/keys"})]
    {
        simulator.call("POST", "/_control/faults", "", Some(fault)).await.expect(400);
    }
}
