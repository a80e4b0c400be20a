//! Tokens that are signed here: what another library reads in them, and what the vendor does with their limits.

use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::FaultKind;

use super::script::Script;
use super::stage::Stage;
use crate::support::verifier;

const USER: &str = "di:1000000000000";
const KEY: &str = "an-api-key-of-32-characters-0001";

fn at(url: &str, role: Value) -> Stage {
    Stage::at("deepinfra", &json!({"api_key": KEY, "user_id": USER, "api_url": url}), &role)
}

#[tokio::test]
async fn another_library_reads_the_limits_in_a_token() {
    // Nothing listens there: what the vendor's page describes is signed without a call.
    let stage = at("http://127.0.0.1:9", json!({"models": ["a/b"]}));
    let (_, issued) = stage.issue().await;
    let token = issued.secret.expose().strip_prefix("jwt:").expect("the prefix").to_owned();
    let read = verifier::read_hs256(KEY, &token);
    assert_eq!(read["header"], json!({"alg": "HS256", "typ": "JWT", "kid": format!("{USER}:YXV0bw==")}));
    let expires = issued.expires.expect("an end").timestamp();
    assert_eq!(read["claims"], json!({"sub": USER, "model": "a/b", "exp": expires}));
    assert!((599..=601).contains(&(expires - stage.now().timestamp())));
    let read = verifier::read_hs256(&KEY.replace('1', "2"), &token);
    assert!(read["refused"].as_str().expect("refused").contains("InvalidSignature"), "{read}");
}

#[tokio::test]
async fn the_vendor_holds_a_token_to_its_limits_and_its_end() {
    let mut stage = Stage::of_example("deepinfra").await;
    let (_, issued) = stage.issue().await;
    assert_eq!(stage.try_key(&issued).await, 200);
    assert_eq!(stage.try_beyond(&issued).await, Some((403, 403)));
    stage.simulator().settings(json!({"clock_offset_seconds": 602})).await;
    assert_eq!(stage.try_key(&issued).await, 401, "it has ended");
    stage.simulator().settings(json!({"clock_offset_seconds": 0})).await;

    stage.scope.0.insert("models", json!(["deepseek-ai/DeepSeek-R1", "a/b"]));
    stage.scope.0.insert("spending_limit", json!(0.5));
    let (_, issued) = stage.issue().await;
    let answers = [stage.try_key(&issued).await, stage.try_key(&issued).await, stage.try_key(&issued).await];
    assert_eq!(answers, [200, 200, 402], "each costs 0.4");
    let beyond = stage.issue_named("x", Some(stage.now() + Duration::from_secs(8 * 24 * 3600))).await;
    assert!(beyond.is_err(), "the vendor takes no token of more than a week");
}

#[tokio::test]
async fn a_limit_that_the_vendor_does_not_read_is_not_promised() {
    let limits = json!({"models": ["a", "b"], "spending_limit": 2});
    let until = DateTime::from_timestamp(2_000_000_000, 0).expect("a time");
    let read = |expires: i64, models, limit| json!({"expires_at": expires, "models": models, "spending_limit": limit});
    let blamed = |field: Option<&str>| Some(FaultKind::Invalid { field: field.map(str::to_owned) });
    for (read, blamed) in [
        (read(2_000_000_000, json!(["b", "a"]), json!(2)), None),
        (read(2_000_000_000, json!(["a"]), json!(2)), blamed(Some("models"))),
        (read(2_000_000_000, json!(null), json!(2)), blamed(Some("models"))),
        (read(2_000_000_000, json!(["a", "b"]), json!(null)), blamed(Some("spending_limit"))),
        (read(2_000_000_001, json!(["a", "b"]), json!(2)), blamed(None)),
    ] {
        let script = Script::of([(200, read.clone())]).await;
        let issued = at(&script.url, limits.clone()).issue_named("vault-x", Some(until)).await;
        assert_eq!(issued.map(drop).err().map(|fault| fault.kind), blamed, "{read}");
        assert!(script.seen()[0].starts_with("GET /v1/scoped-jwt?jwtoken=jwt%3A"), "{:?}", script.seen());
    }
}

#[tokio::test]
async fn a_probe_finds_a_wrong_key_and_a_wrong_name() {
    let stage = Stage::of_example("deepinfra").await;
    let probe = stage.probe().await.expect("probed");
    assert_eq!((probe.identity.as_deref(), probe.missing.len(), probe.warnings.len()), (Some(USER), 0, 0));
    let fault = stage.with_credential("deepinfra-wrong-canary").probe().await.expect_err("a wrong key");
    let tells = fault.text.contains("user_id") && !fault.text.contains("canary");
    assert!(fault.kind == FaultKind::Refused && tells, "{fault}");
    let script = Script::of([(400, json!({"detail": {"error": "Invalid scoped JWT"}}))]).await;
    let probe = at(&script.url, json!({})).probe().await.expect("probed");
    assert!(probe.missing[0].contains("api_key_name"), "{:?}", probe.missing);
}
