//! `provider=custom`: a vendor that nobody here knows, out of the definition that a config brings along.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::{Error, Operation};

use crate::support::bench::{Bench, Mounted, eventually};
use crate::support::simulator::try_key;
use crate::vendors::script::Script;

const XAI: &str = include_str!("../../../src/providers/definitions/xai.json");
const MINUTE: Duration = Duration::from_secs(60);

/// A config of xAI's as somebody would write it who has to define it.
async fn config(bench: &Bench) -> Value {
    let mut config = bench.simulator.get("/_control/examples").await["xai"]["config"].clone();
    config["provider"] = "custom".into();
    config["definition"] = XAI.into();
    config
}

async fn mounted(bench: &Bench) -> Mounted {
    let mount = bench.mount().await;
    mount.write("config/main", config(bench).await).await.expect("a config");
    let role = json!({"config": "main", "endpoints": "chat", "models": "grok-4", "ttl": "10m", "max_ttl": "1h"});
    mount.write("roles/dev", role).await.expect("a role");
    mount
}

#[tokio::test]
async fn a_vendor_of_ones_own_definition_leases_renews_and_revokes() {
    let bench = Bench::new();
    let mount = mounted(&bench).await;
    let issued = mount.creds().await.expect("a key");
    let (key, url) = (issued.text("api_key").to_owned(), issued.text("base_url").to_owned());
    assert_eq!(issued.text("provider"), "custom");
    assert_eq!(try_key(&url, &key, "grok-4").await, 200);
    assert_eq!(try_key(&url, &key, "grok-3").await, 403);
    bench.advance(9 * MINUTE).await;
    mount.renew(&issued, Duration::ZERO).await.expect("renewed");
    mount.revoke(&issued).await.expect("revoked");
    assert_eq!(try_key(&url, &key, "grok-4").await, 401);
    assert!(bench.rows().await.is_empty());
}

#[tokio::test]
async fn a_key_whose_answer_was_lost_is_found_at_a_vendor_of_ones_own() {
    let bench = Bench::new();
    let mount = mounted(&bench).await;
    bench.simulator.faults(json!({"vendor": "xai", "method": "POST", "kind": "drop_after", "times": -1})).await;
    mount.creds().await.map(drop).expect_err("lost");
    bench.simulator.faults(json!([])).await;
    assert_eq!((bench.simulator.live("xai").await.len(), bench.rows().await.len()), (1, 1));
    bench.advance(3 * MINUTE).await;
    mount.tick().await;
    eventually("the key is ended", async || bench.simulator.live("xai").await.is_empty()).await;
}

#[tokio::test]
async fn the_definitions_fields_are_the_configs_and_the_roles() {
    let bench = Bench::new();
    let mount = mounted(&bench).await;
    let shown = mount.read("config/main").await.expect("a config").data.expect("data");
    assert_eq!((&shown["team_id"], &shown["definition"]), (&json!("team-simulator-1"), &json!(XAI)));
    assert!(!shown.contains_key("management_key"));
    let role = mount.read("roles/dev").await.expect("a role").data.expect("data");
    assert_eq!((&role["models"], &role["provider"]), (&json!(["grok-4"]), &json!("custom")));

    let refused = |error: Error, says: &str| assert!(error.to_string().contains(says), "{error}");
    refused(mount.write("roles/dev", json!({"qps": "many"})).await.expect_err("no number"), "field \"qps\"");
    refused(mount.write("roles/dev", json!({"models": ""})).await.expect_err("empty"), "field \"models\"");
    refused(mount.write("roles/other", json!({"config": "main"})).await.expect_err("required"), "field \"endpoints\"");
    let warned = mount.write("roles/dev", json!({"colour": "red"})).await.expect("ignored");
    assert!(warned.warnings.iter().any(|warning| warning.contains("[colour]")), "{:?}", warned.warnings);
    let warned = mount.write("config/main", json!({"colour": "red"})).await.expect("ignored");
    assert!(warned.warnings.iter().any(|warning| warning.contains("[colour]")), "{:?}", warned.warnings);
}

#[tokio::test]
async fn another_definition_must_bring_the_credential_and_is_another_account() {
    let bench = Bench::new();
    let mount = mounted(&bench).await;
    let issued = mount.creds().await.expect("a key");
    let generation =
        async || mount.read("config/main").await.expect("a config").data.expect("data")["generation"].clone();
    let before = generation().await;
    // It would send the stored key as another header, to another path.
    let changed = XAI.replace(
        "\"bearer\": \"management_key\"",
        "\"header\": {\"name\": \"x-mine\", \"secret\": \"management_key\"}",
    );
    for operation in [Operation::Update, Operation::Patch] {
        let error = mount.send(operation, "config/main", json!({"definition": changed})).await.expect_err("refused");
        assert!(matches!(&error, Error::Invalid(text) if text.contains("management_key")), "{error}");
    }
    let longer = XAI.replace("\"longest_name\": 100", "\"longest_name\": 90");
    let mut config = config(&bench).await;
    config["definition"] = longer.into();
    mount.write("config/main", config).await.expect("written");
    assert_ne!(generation().await, before);
    mount.revoke(&issued).await.expect("the retired definition ends its keys");
    assert!(bench.simulator.live("xai").await.is_empty());
}

#[tokio::test]
async fn a_stored_secret_is_no_text_of_another_definition() {
    let bench = Bench::new();
    let mount = mounted(&bench).await;
    let secret = config(&bench).await["management_key"].as_str().expect("text").to_owned();
    let mut definition: Value = serde_json::from_str(XAI).expect("JSON");
    definition["account"][0] = json!({"name": "management_key", "type": "text", "help": "Now shown."});
    let own = json!({"name": "own", "type": "secret", "required": true, "help": "The writer's own."});
    definition["account"].as_array_mut().expect("a list").push(own);
    definition["auth"] = json!({"bearer": "own"});
    definition["list"]["query"]["leak"] = "{account.management_key}".into();
    let body = json!({"definition": definition, "own": "writers-own-key", "verify": false});
    for operation in [Operation::Update, Operation::Patch] {
        // Whether it is taken or not: what was stored as a secret is not in it any more.
        let _ = mount.send(operation, "config/main", body.clone()).await;
        let shown = mount.read("config/main").await.expect("a config").data.expect("data");
        assert!(!serde_json::to_string(&shown).expect("JSON").contains(&secret), "{shown:?}");
    }
}

#[tokio::test]
async fn a_role_does_not_lose_a_limit_to_another_definition() {
    let bench = Bench::new();
    let mount = mounted(&bench).await;
    mount.write("roles/dev", json!({"qpm": 60})).await.expect("a role");
    let mut config = config(&bench).await;
    let mut definition: Value = serde_json::from_str(XAI).expect("JSON");
    definition["role"].as_array_mut().expect("a list").retain(|field| field["name"] != "qpm");
    definition["create"][0]["body"].as_object_mut().expect("an object").remove("qpm");
    config["definition"] = definition;
    mount.write("config/main", config).await.expect("a config");
    let error = mount.creds().await.map(drop).expect_err("it had a limit");
    assert!(
        matches!(&error, Error::Invalid(text) if text.contains("qpm") && text.contains("write the role")),
        "{error}"
    );
    assert!(bench.rows().await.is_empty() && bench.simulator.live("xai").await.is_empty());
    mount.write("roles/dev", json!({"tpm": 1000})).await.expect("written again");
    mount.creds().await.expect("a key");
}

#[tokio::test]
async fn a_base_url_that_clients_are_told_is_not_changed_without_the_credential() {
    let bench = Bench::new();
    let mount = mounted(&bench).await;
    let error = mount.write("config/main", json!({"base_url": "https://evil.example"})).await.expect_err("refused");
    assert!(matches!(&error, Error::Invalid(text) if text.contains("management_key")), "{error}");
}

#[tokio::test]
async fn a_bad_definition_is_refused_with_its_place_and_nothing_is_stored_or_called() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    let before = bench.simulator.state().await["requests"].to_string();
    for (find, put, says) in [
        ("\"call\": \"POST /auth", "\"call\": \"POST https://evil.example/auth", "create[0].call"),
        (
            "\"name\": \"{name}\"",
            "\"name\": \"{secret.management_key}\"",
            "create[0]: secret.management_key is not given",
        ),
        ("\"pageSize\": 100", "\"pageSize\": \"{secret.management_key}\"", "list.query.pageSize"),
        ("\"type\": \"secret\"", "\"type\": \"text\"", "is not a required secret field"),
        ("\"title\": \"xAI\",", "\"title\": \"xAI\", \"shell\": \"id\",", "unknown field `shell`"),
        ("{", "[", "line 2 column"),
    ] {
        let mut config = config(&bench).await;
        config["definition"] = XAI.replacen(find, put, 1).into();
        let error = mount.write("config/main", config).await.expect_err(put);
        assert!(
            matches!(&error, Error::Invalid(text) if text.contains(says) && text.contains("\"definition\"")),
            "{put}: {error}"
        );
    }
    let mut config = config(&bench).await;
    config["definition"] = Value::Null;
    let error = mount.write("config/main", config).await.expect_err("no definition");
    assert!(error.to_string().contains("\"definition\": is required"), "{error}");
    assert!(mount.read("config/main").await.expect("read").data.is_none());
    assert_eq!(bench.simulator.state().await["requests"].to_string(), before);
}

/// What a vendor answers is shown as far as the definition's error shape goes, cut and without secrets.
#[tokio::test]
async fn a_hostile_vendor_shows_no_body_no_secret_and_no_host_but_its_own_is_called() {
    let secret = "mgmt-canary-0123456789";
    let other = Script::of([(200, json!({}))]).await;
    let words = format!("no\n{{\"@level\":5}} {secret} {}", "x".repeat(500));
    let refusal = json!({"message": words, "code": 3, "body-canary": "body-canary-value"});
    let key_as_id = json!({"apiKeyId": "xai-minted-0123456789", "apiKey": "xai-minted-0123456789", "expireTime": null});
    let gone = json!({});
    let script =
        Script::of([(400, refusal), (200, key_as_id), (200, gone), (302, json!({"location": other.url}))]).await;
    let bench = Bench::new();
    let mount = bench.mount().await;
    let config = json!({
        "provider": "custom", "definition": XAI, "management_key": secret, "team_id": "t", "api_url": script.url,
        "verify": false,
    });
    mount.write("config/main", config).await.expect("stored unchecked");
    let role = json!({"config": "main", "endpoints": "chat", "models": "grok-4"});
    mount.write("roles/dev", role).await.expect("a role");
    for says in ["refuses the request (400)", "take the key itself for its id", "redirect"] {
        let text = mount.creds().await.map(drop).expect_err("hostile").to_string();
        assert!(text.contains(says), "{says}: {text}");
        for hidden in [secret, "body-canary", "xai-minted", "\n"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    }
    assert!(other.seen().is_empty());
}
