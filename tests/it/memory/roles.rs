use std::sync::atomic::Ordering;

use serde_json::json;
use vault_plugin_secrets_ai::logical::{Error, Operation};

use crate::support::bench::Bench;
use crate::support::case::Case;

#[tokio::test]
async fn a_role_reads_back_what_was_written() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    let data = mount.read("roles/dev").await.expect("a role").data.expect("data");
    assert_eq!(data["config"], "main");
    assert_eq!((&data["ttl"], &data["max_ttl"]), (&json!(600), &json!(3600)));
    assert_eq!(data["scopes"], json!(["api.model.request"]));
    assert_eq!(data["name_template"], "{{role}}");
    assert!(mount.read("roles/none").await.expect("no error").data.is_none());
}

#[tokio::test]
async fn a_scope_that_would_mean_everything_is_refused() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    for body in [json!({"scopes": []}), json!({"scopes": null})] {
        let error = mount.write("roles/dev", body).await.expect_err("refused");
        assert!(matches!(&error, Error::Invalid(text) if text.contains("allow_unscoped")), "{error}");
    }
    mount.write("roles/dev", json!({"scopes": null, "allow_unscoped": true})).await.expect("said on purpose");
}

#[tokio::test]
async fn what_a_role_writer_gets_wrong_is_named() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    for (body, names) in [
        (json!({"ttl": "2h"}), "max_ttl"),
        (json!({"ttl": "soon"}), "\"ttl\""),
        (json!({"config": "nowhere"}), "does not exist"),
        (json!({"name_template": "{{token}}"}), "{{role}}"),
        (json!({"service_account_id": "../x"}), "\"service_account_id\""),
        (json!({"max_budget": 5}), "\"max_budget\""),
    ] {
        let error = mount.write("roles/dev", body.clone()).await.expect_err("refused");
        assert!(matches!(&error, Error::Invalid(text) if text.contains(names)), "{body}: {error}");
    }
    let error = mount.write("roles/new", json!({})).await.expect_err("refused");
    assert!(error.to_string().contains("\"config\""), "{error}");
}

#[tokio::test]
async fn a_config_lets_in_only_the_roles_it_allows() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    mount.send(Operation::Patch, "config/main", json!({"allowed_roles": "prod-*"})).await.expect("patched");
    assert!(matches!(mount.creds().await, Err(Error::Denied(_))));
    let error = mount.write("roles/dev", json!({"ttl": "5m"})).await.expect_err("denied");
    assert!(error.to_string().contains("allowed_roles"), "{error}");
}

#[tokio::test]
async fn a_template_names_the_caller_in_the_keys_name() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    mount.write("roles/dev", json!({"name_template": "{{role}}-{{display_name}}"})).await.expect("written");
    let issued = mount.creds().await.expect("a key");
    assert!(issued.text("key_name").starts_with("vault-0a1b2c3d-dev-token-test-"), "{}", issued.text("key_name"));
}

// A standby that answered this as read-only made every write to it a 500, where it is to be forwarded.
#[tokio::test]
async fn a_standby_says_whether_a_role_exists_and_forwards_the_write() {
    let bench = Bench::new();
    bench.mount_with(&Case::named("openai")).await;
    bench.system.replication.store(24576, Ordering::SeqCst);
    let standby = bench.mount().await;
    assert_eq!(standby.exists("roles/dev").await.expect("an answer"), Some(true));
    assert_eq!(standby.exists("config/none").await.expect("an answer"), Some(false));
    let written = standby.write("roles/dev", json!({"ttl": "5m"})).await;
    assert!(matches!(written, Err(Error::ReadOnly)), "the host forwards it");
}
