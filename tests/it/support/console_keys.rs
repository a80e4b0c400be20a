//! The keys of Anthropic's console in the vendor simulator: there from the start, none of them on.

use serde_json::{Value, json};

use super::simulator::{Simulator, plain_client};

pub const ADMIN: &str = "sk-ant-admin01-simulator-0001";

/// The account of the console.
pub fn config(simulator: &Simulator) -> Value {
    let api_url = format!("{}/anthropic-console", simulator.url);
    json!({"provider": "anthropic-console", "admin_key": ADMIN, "api_url": api_url})
}

pub fn id(number: usize) -> String {
    format!("apikey_01sim{number:04}")
}

pub fn secret(number: usize) -> String {
    format!("sk-ant-api03-sim{number:04}-AAAA{number:04}")
}

/// Ids of the keys that are on.
pub async fn active(simulator: &Simulator) -> Vec<String> {
    let state = simulator.state().await;
    let active = state["anthropic-console"]["active"].as_array().expect("a list").clone();
    active.iter().map(|id| id.as_str().expect("an id").to_owned()).collect()
}

/// What somebody does in the console.
pub async fn by_hand(simulator: &Simulator, number: usize, status: &str) {
    let url = format!("{}/anthropic-console/v1/organizations/api_keys/{}", simulator.url, id(number));
    let request = plain_client().post(url).header("x-api-key", ADMIN).json(&json!({"status": status}));
    assert!(request.send().await.expect("an answer").status().is_success());
}

/// The vendor's status for a key at inference.
pub async fn try_key(simulator: &Simulator, key: &str) -> u16 {
    let url = format!("{}/anthropic-console/v1/messages", simulator.url);
    let request = plain_client().post(url).header("x-api-key", key).header("anthropic-version", "2023-06-01");
    request.json(&json!({})).send().await.expect("an answer").status().as_u16()
}
