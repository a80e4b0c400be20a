use serde_json::json;
use vault_plugin_secrets_ai::logical::{Error, Operation, Storage};

use crate::support::bench::Bench;
use crate::support::case::{CASES, Case};

#[tokio::test]
async fn a_credential_is_written_and_never_read() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let data = mount.read("config/main").await.expect("a config").data.expect("data");
        let text = serde_json::to_string(&data).expect("JSON");
        assert!(!text.contains(case.admin_key), "{text}");
        assert_eq!(data["provider"], case.provider);
    }
}

#[tokio::test]
async fn a_write_asks_the_vendor_first() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount().await;
        let mut config = case.config(&bench.simulator.url);
        for (_, value) in config.as_object_mut().expect("an object") {
            if *value == case.admin_key {
                *value = "sk-not-the-admin-key".into();
            }
        }
        let error = mount.write("config/main", config.clone()).await.expect_err(case.provider);
        assert!(matches!(&error, Error::Refused(text) if text.contains("verify=false")), "{error}");
        assert!(!error.to_string().contains("sk-not-the"), "{error}");
        config["verify"] = false.into();
        mount.write("config/main", config).await.expect("stored unchecked");
        let Err(error) = mount.read("config/main/check").await else { panic!("refused") };
        assert!(matches!(error, Error::Refused(_)), "{error}");
    }
}

#[tokio::test]
async fn a_check_says_whose_credential_it_is() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let data = mount.read("config/main/check").await.expect("checked").data.expect("data");
        assert_eq!(data["ok"], true, "{}: {data:?}", case.provider);
    }
}

#[tokio::test]
async fn a_stored_credential_is_not_sent_to_a_host_of_the_writers_choice() {
    let case = Case::named("openai");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    for change in [
        json!({"api_url": "https://evil.example/v1"}),
        json!({"proxy_url": "http://127.0.0.1:9"}),
        json!({"allow_http": true}),
        json!({"provider": "openrouter"}),
    ] {
        for operation in [Operation::Update, Operation::Patch] {
            let error = mount.send(operation, "config/main", change.clone()).await.expect_err("refused");
            assert!(matches!(error, Error::Invalid(_)), "{change}: {error}");
        }
    }
}

#[tokio::test]
async fn a_changed_credential_keeps_the_generation_and_a_changed_project_does_not() {
    let case = Case::named("openai");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    let generation =
        async || mount.read("config/main").await.expect("a config").data.expect("data")["generation"].clone();
    let first = generation().await;
    mount.write("config/main", json!({"admin_key": case.admin_key})).await.expect("written");
    assert_eq!(generation().await, first);
    mount.write("config/main", json!({"project_id": "proj_sim2"})).await.expect("written");
    assert_ne!(generation().await, first);
}

#[tokio::test]
async fn a_credential_that_alone_names_the_account_makes_a_generation() {
    let case = Case::named("openrouter");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    let generation =
        async || mount.read("config/main").await.expect("a config").data.expect("data")["generation"].clone();
    let first = generation().await;
    mount.write("config/main", json!({"management_key": case.admin_key})).await.expect("the same again");
    assert_eq!(generation().await, first);
    let other = json!({"management_key": "sk-or-v1-management-of-another-account", "verify": false});
    mount.write("config/main", other).await.expect("another");
    assert_ne!(generation().await, first);
}

#[tokio::test]
async fn null_opens_a_config_to_nobody_by_mistake() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    let error = mount.send(Operation::Patch, "config/main", json!({"allowed_roles": null})).await.expect_err("refused");
    assert!(error.to_string().contains("allowed_roles"), "{error}");
}

#[tokio::test]
async fn a_field_of_another_vendor_is_refused_by_name() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    let error = mount.write("config/main", json!({"management_key": "x"})).await.expect_err("refused");
    assert!(error.to_string().contains("\"management_key\"") && error.to_string().contains("openai"), "{error}");
}

#[tokio::test]
async fn plain_http_and_metadata_addresses_are_refused() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    for url in ["http://api.example.com/v1", "http://169.254.169.254/v1", "ftp://x", "https://user:pw@x/v1", "nonsense"]
    {
        let config =
            json!({"provider": "openai", "admin_key": "sk-x", "project_id": "p", "api_url": url, "verify": false});
        let error = mount.write("config/main", config).await.expect_err(url);
        assert!(matches!(error, Error::Invalid(_)), "{url}: {error}");
    }
}

#[tokio::test]
async fn missing_and_misspelt_fields_are_told() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    for (body, names) in [
        (json!({}), "\"provider\""),
        (json!({"provider": "skynet"}), "openai"),
        (json!({"provider": "openai"}), "is required"),
        (json!({"provider": "openai", "verify": "maybe"}), "\"verify\""),
    ] {
        let error = mount.write("config/main", body).await.expect_err("refused");
        assert!(matches!(&error, Error::Invalid(text) if text.contains(names)), "{error}");
    }
    let response = mount.write("config/main", {
        let mut config = Case::named("openai").config(&bench.simulator.url);
        config["proyect_id"] = "x".into();
        config
    });
    let warnings = response.await.expect("stored").warnings;
    assert!(warnings.iter().any(|text| text.contains("[proyect_id]")), "{warnings:?}");
}

#[tokio::test]
async fn a_patch_of_nothing_is_not_found_and_lists_page() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    let error = mount.send(Operation::Patch, "config/main", json!({"allow_http": true})).await.expect_err("none");
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    for name in ["a", "b", "c"] {
        mount
            .write(&format!("config/{name}"), Case::named("openai").config(&bench.simulator.url))
            .await
            .expect("stored");
    }
    let page = mount.send(Operation::List, "config/", json!({"after": "a", "limit": "1"})).await.expect("a page");
    assert_eq!(page.data.expect("data")["keys"], json!(["b"]));
}

#[tokio::test]
async fn records_are_versioned_and_a_newer_one_is_refused_with_the_way_out() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    let stored = bench.storage.get("roles/dev").await.expect("read").expect("stored");
    let newer = stored.expose().replace("\"v\":1", "\"v\":9");
    assert_ne!(newer, stored.expose(), "a version is in every record");
    let entry =
        vault_plugin_secrets_ai::logical::Entry { key: "roles/dev".into(), value: newer.into(), seal_wrap: false };
    bench.storage.put(entry).await.expect("stored");
    let Err(error) = mount.creds().await else { panic!("refused") };
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("newer plugin version")), "{error}");
}
