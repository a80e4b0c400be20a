//! OpenRouter's workload identity: the exchange, after its guide and its SDK 1.3.84. Issuers and policies are made in the
//! settings, so here by the control API.

use serde_json::{Value, json};

use crate::openrouter::{OpenRouter, PREFIX};
use crate::plain::{Attempt, Example};
use crate::request::{Body, Call};
use crate::router::{Answer, Outcome};

const LONGEST: i64 = 15 * 60;
const POLICY: &str = "4b2f7d1e-8c3a-4e5f-9a6b-000000000001";

pub fn exchange(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    let Body::Form(fields) = &call.request.body else { return Err(refused("invalid_request", "expected a form")) };
    let text = |name: &str| fields.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value.as_str());
    if text("grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" {
        return Err(refused("unsupported_grant_type", "expected token-exchange"));
    }
    if text("subject_token_type") != "urn:ietf:params:oauth:token-type:jwt" {
        return Err(refused("invalid_request", "subject_token_type is not supported"));
    }
    let accepted = openrouter.federation.accept(text("federation_policy_id"), text("subject_token"), call.at);
    let (policy, left) = accepted.map_err(|_| refused("invalid_grant", "The subject token was not accepted."))?;
    let scope = if policy.scope.is_empty() { "inference" } else { &policy.scope };
    if !["", scope].contains(&text("scope")) {
        return Err(refused("invalid_scope", "The policy grants another scope."));
    }
    let seconds = left.min(LONGEST);
    let token = openrouter.federation.give("eyJ0eXAiOiJhdCtqd3QifQ.", scope, seconds, call.at);
    Ok(Answer::ok(json!({
        "access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": scope,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    })))
}

pub fn example(url: &str) -> Value {
    let api_url = format!("{url}{PREFIX}");
    let example = Example {
        config: json!({"federation_policy_id": POLICY, "api_url": api_url}),
        role: json!({}),
        attempt: Attempt::chat("/openrouter/api/v1/chat/completions", "openai/gpt-4o-mini", None),
    };
    let trust = json!({"vendor": "openrouter", "id": POLICY, "audience": api_url, "scope": "inference"});
    example.shown(url, Some(trust))
}

fn refused(code: &str, words: &str) -> Answer {
    Answer::new(400, json!({"error": code, "error_description": words}))
}
