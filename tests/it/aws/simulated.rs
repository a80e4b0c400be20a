//! What the simulator's inference makes of short-term keys: it verifies them with code of its own.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::{Clock as _, SystemClock};

use super::Stage;
use crate::support::simulator::{Simulator, plain_client};

const HOUR: Duration = Duration::from_secs(3600);

async fn config(simulator: &Simulator) -> Value {
    simulator.get("/_control/examples").await["bedrock"]["config"].clone()
}

async fn key(config: &Value, life: Duration) -> String {
    let stage = Stage::new("bedrock", SystemClock::default().now(), config, &json!({}));
    stage.issue("vault-0a1b2c3d-x", life).await.expect("a key").secret.expose().to_owned()
}

async fn status(simulator: &Simulator, key: &str) -> u16 {
    let mut statuses = Vec::new();
    for path in ["model/amazon.nova-lite-v1:0/converse", "openai/v1/chat/completions"] {
        let request = plain_client().post(format!("{}/bedrock/{path}", simulator.url)).bearer_auth(key);
        statuses.push(request.json(&json!({})).send().await.expect("an answer").status().as_u16());
    }
    assert_eq!(statuses[0], statuses[1], "both APIs take the same keys");
    statuses[0]
}

#[tokio::test]
async fn a_short_term_key_works_until_it_expires() {
    let simulator = Simulator::start();
    let key = key(&config(&simulator).await, HOUR).await;
    for (seconds, expected) in [(0, 200), (3590, 200), (3602, 403), (-600, 200), (-1200, 403)] {
        simulator.settings(json!({"clock_offset_seconds": seconds})).await;
        assert_eq!(status(&simulator, &key).await, expected, "{seconds}");
    }
}

#[tokio::test]
async fn a_short_term_key_of_another_region_or_signer_is_refused() {
    let simulator = Simulator::start();
    let config = config(&simulator).await;
    let changed = |change: Value| {
        let mut config = config.clone();
        config.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        config
    };
    let temporary = json!({
        "access_key_id": "ASIASIMULATOR0000003", "secret_access_key": "simulator/secret+access+key+000000000003",
        "session_token": "simulator/session+token==",
    });
    let mut elsewhere = temporary.clone();
    elsewhere["session_token"] = "another".into();
    for (change, expected) in [
        (json!({}), 200),
        (temporary, 200),
        (elsewhere, 403),
        (json!({"region": "us-east-1"}), 403),
        (json!({"secret_access_key": "another"}), 403),
        (json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE"}), 403),
    ] {
        let key = key(&changed(change.clone()), HOUR).await;
        assert_eq!(status(&simulator, &key).await, expected, "{change}");
    }
}

#[tokio::test]
async fn a_short_term_key_that_was_tampered_with_is_refused() {
    let simulator = Simulator::start();
    let key = key(&config(&simulator).await, HOUR).await;
    let signed = key.strip_prefix("bedrock-api-key-").expect("a short-term key");
    let signed = String::from_utf8(STANDARD.decode(signed).expect("base64")).expect("text");
    for (from, to) in [("X-Amz-Expires=3601", "X-Amz-Expires=43200"), ("3601", "0"), ("Version=1", "Version=2")] {
        let longer = signed.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601").replace(from, to);
        assert_ne!(longer, signed, "{from}");
        let key = format!("bedrock-api-key-{}", STANDARD.encode(longer));
        assert_eq!(status(&simulator, &key).await, 403, "{to}");
    }
    for nonsense in ["", "bedrock-api-key-", "bedrock-api-key-!", "ABSKnobody"] {
        assert_eq!(status(&simulator, nonsense).await, 403, "{nonsense}");
    }
}
