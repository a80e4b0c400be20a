//! Keys that somebody else made: how they stand, switched on, switched off, and what a vendor may say in between.

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{FaultKind, Gone, Ref, Switch};

use super::script::Script;
use super::stage::Stage;
use crate::support::console_keys;

fn key(id: &str) -> Ref {
    Ref { id: id.to_owned(), extra: serde_json::Map::new() }
}

/// The keys that the simulator has from the start.
async fn stage() -> Stage {
    let mut stages = Stage::switched().await;
    assert_eq!(stages.len(), 1, "one built-in vendor switches keys");
    stages.remove(0)
}

/// The same vendor, that answers what is written.
fn scripted(script: &Script) -> Stage {
    Stage::at("anthropic-console", &json!({"admin_key": "sk-ant-admin-1", "api_url": script.url}), &json!({}))
}

fn stands(status: &str) -> (u16, Value) {
    (200, json!({"id": "apikey_1", "name": "a", "status": status, "partial_key_hint": "sk-ant-api03-abc...wxyz"}))
}

fn missing() -> (u16, Value) {
    (404, json!({"type": "error", "error": {"type": "not_found_error", "message": "not found"}}))
}

fn page(ids: &[&str]) -> (u16, Value) {
    let data: Vec<_> =
        ids.iter().map(|id| json!({"id": id, "name": id, "created_at": "2026-01-01T00:00:00Z"})).collect();
    (200, json!({"data": data, "has_more": false, "first_id": null, "last_id": null}))
}

#[tokio::test]
async fn a_key_is_on_between_its_activation_and_its_end() {
    let stage = stage().await;
    let one = key(&console_keys::id(1));
    let works = async || console_keys::try_key(stage.simulator(), &console_keys::secret(1)).await == 200;
    let standing = stage.standing(&one).await.expect("an answer");
    assert_eq!((standing.switch, standing.hint.as_deref()), (Switch::Off, Some("sk-ant-api03-sim...0001")));
    for _ in 0..2 {
        stage.activate(&one).await.expect("on");
        assert!(works().await);
        assert_eq!(stage.standing(&one).await.expect("an answer").switch, Switch::On);
    }
    assert_eq!(stage.end(&one).await, Ok(Gone::Now));
    assert!(!works().await);
    assert_eq!(stage.end(&one).await, Ok(Gone::Already));
    assert_eq!(stage.standing(&key("apikey_none")).await.expect("an answer").switch, Switch::Missing);
    assert_eq!(stage.end(&key("apikey_none")).await, Ok(Gone::Already));
    let probe = stage.probe().await.expect("an answer");
    assert!(probe.missing.is_empty() && probe.warnings.is_empty(), "{probe:?}");
    let (_, issued) = stage.try_issue().await;
    assert!(issued.is_err_and(|fault| fault.text.contains("makes no keys")));
}

#[tokio::test]
async fn what_cannot_be_switched_on_is_told_and_never_touched() {
    for (status, expected) in [
        ("archived", Switch::Dead("archived".into())),
        ("expired", Switch::Dead("expired".into())),
        ("frozen", Switch::Strange("frozen".into())),
    ] {
        let script = Script::of([stands(status), stands(status)]).await;
        let stage = scripted(&script);
        assert_eq!(stage.standing(&key("apikey_1")).await.expect("an answer").switch, expected);
        let ended = stage.end(&key("apikey_1")).await;
        // Of a state that nobody knows, nobody knows whether the key works.
        assert_eq!(ended.is_ok(), matches!(expected, Switch::Dead(_)), "{status}: {ended:?}");
        assert!(script.seen().iter().all(|seen| seen.starts_with("GET ")), "{:?}", script.seen());
    }
}

#[tokio::test]
async fn an_answer_that_does_not_say_that_it_was_done_proves_nothing() {
    let script = Script::of([stands("inactive")]).await;
    let fault = scripted(&script).activate(&key("apikey_1")).await.expect_err("it is still off");
    assert_eq!(fault.kind, FaultKind::Unknown, "{fault}");
    let script = Script::of([stands("active"), stands("active")]).await;
    let fault = scripted(&script).end(&key("apikey_1")).await.expect_err("it is still on");
    assert_eq!(fault.kind, FaultKind::Unknown, "{fault}");
    // Neither does an answer without a status, or with the credential as one.
    let script = Script::of([(200, json!({"id": "apikey_1"})), stands("sk-ant-admin-1")]).await;
    let stage = scripted(&script);
    assert!(stage.standing(&key("apikey_1")).await.is_err());
    let standing = stage.standing(&key("apikey_1")).await.expect("an answer");
    assert!(!format!("{standing:?}").contains("sk-ant-admin-1"), "{standing:?}");
}

#[tokio::test]
async fn a_key_is_missing_only_where_the_list_does_not_show_it() {
    let script = Script::of([missing(), page(&["apikey_2"]), missing(), page(&["apikey_2"])]).await;
    let stage = scripted(&script);
    assert_eq!(stage.standing(&key("apikey_1")).await.expect("an answer").switch, Switch::Missing);
    assert_eq!(stage.end(&key("apikey_1")).await, Ok(Gone::Already));
    let script = Script::of([missing(), page(&["apikey_1"]), missing(), page(&["apikey_1"])]).await;
    let stage = scripted(&script);
    assert!(stage.standing(&key("apikey_1")).await.is_err());
    assert!(stage.end(&key("apikey_1")).await.is_err(), "it may be on");
}
