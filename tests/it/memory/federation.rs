//! Accounts without a stored credential, as their writers and their callers meet them.

use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::{Error, Operation, Storage};

use crate::support::bench::{Bench, Mounted, UUID};

/// A mount that is an issuer, with the vendor's config `main` and role `dev`; the vendor trusts this subject of it.
async fn mounted(bench: &Bench, example: &Value, provider: &str, subject: &str) -> Mounted {
    let mount = bench.mount().await;
    mount.write("identity/config", json!({"issuer": "https://vault.example.com/v1/ai"})).await.expect("written");
    let keys = mount.read("identity/keys").await.expect("keys").data.expect("data");
    let mut trust = example["trust"].clone();
    trust["issuer"] = "https://vault.example.com/v1/ai".into();
    trust["jwks"] = keys["jwks"].clone();
    trust["subject"] = format!("{UUID}:{subject}").into();
    if provider == "openrouter" {
        trust["scope"] = "management".into();
    }
    bench.simulator.control("federation", trust).await;
    let mut config = example["config"].clone();
    config["provider"] = provider.into();
    mount.write("config/main", config).await.expect("a config");
    mount.write("roles/dev", json!({"config": "main", "ttl": "10m", "max_ttl": "1h"})).await.expect("a role");
    mount
}

async fn example(bench: &Bench, name: &str) -> Value {
    bench.simulator.get("/_control/examples").await[name].clone()
}

#[tokio::test]
async fn the_way_of_an_assertion_is_no_writers_choice() {
    for (name, provider) in [
        ("anthropic", "anthropic"),
        ("openai-federated", "openai-federated"),
        ("openrouter-federated", "openrouter-federated"),
        ("openrouter-federated", "openrouter"),
    ] {
        let bench = Bench::new();
        let subject = if provider == "openrouter" { "config:main" } else { "dev" };
        let mount = mounted(&bench, &example(&bench, name).await, provider, subject).await;
        let stored = bench.storage.get("config/main").await.expect("read").map(|text| text.expose().to_owned());
        for (field, value) in [
            ("api_url", "https://evil.example/v1"),
            ("audience", "https://api.anthropic.com"),
            ("proxy_url", "http://127.0.0.1:9"),
            ("ca_cert", "-----BEGIN CERTIFICATE-----"),
        ] {
            for operation in [Operation::Update, Operation::Patch] {
                let change = json!({field: value, "verify": false, "allow_http": true});
                let error = mount.send(operation, "config/main", change).await.expect_err(field);
                assert!(matches!(&error, Error::Invalid(text) if text.contains(field)), "{provider}: {error}");
            }
        }
        let now = bench.storage.get("config/main").await.expect("read").map(|text| text.expose().to_owned());
        assert_eq!(stored, now, "{provider}");
        mount.creds().await.expect(provider);
    }
}

#[tokio::test]
async fn a_token_is_the_callers_and_a_key_is_the_accounts() {
    let bench = Bench::new();
    let anthropic = example(&bench, "anthropic").await;
    let mount = mounted(&bench, &anthropic, "anthropic", "config:main").await;
    let Err(error) = mount.creds().await else { panic!("a role was taken for a config") };
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(bench.rows().await.is_empty(), "nothing was made");
    let bench = Bench::new();
    let openrouter = example(&bench, "openrouter-federated").await;
    let mount = mounted(&bench, &openrouter, "openrouter", "config:main").await;
    let issued = mount.creds().await.expect("a key");
    assert_eq!(issued.data["revocable"], true);
    mount.revoke(&issued).await.expect("revoked");
    assert!(bench.simulator.live("openrouter").await.is_empty());
}

#[tokio::test]
async fn a_token_of_unknown_outcome_is_told_as_one() {
    let bench = Bench::new();
    let anthropic = example(&bench, "anthropic").await;
    let mount = mounted(&bench, &anthropic, "anthropic", "dev").await;
    bench.simulator.faults(json!({"vendor": "anthropic", "kind": "drop_after"})).await;
    let Err(error) = mount.creds().await else { panic!("no answer came") };
    assert!(matches!(&error, Error::OutcomeUnknown(text) if text.contains("ends by itself")), "{error}");
    assert_eq!(bench.rows().await.len(), 1, "it may be out");
}
