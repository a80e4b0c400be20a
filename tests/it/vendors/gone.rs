//! "Not there" in an answer that is about something else than the key: never taken for a key that is gone.

use std::fs;
use std::path::Path;

use serde_json::json;
use vault_plugin_secrets_ai::providers::Gone;
use vault_plugin_secrets_ai::schema::Kind;

use super::stage::Stage;

/// Whether a vendor is a JSON document.
fn is_declared(name: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/providers/definitions");
    fs::exists(folder.join(format!("{name}.json"))).expect("readable")
}

#[tokio::test]
async fn a_key_is_not_gone_because_its_project_is_not_found() {
    Stage::each(Stage::all().await, async |mut stage| {
        let fields = stage.vendor.about().account.iter();
        let ids: Vec<String> =
            fields.filter(|field| field.kind == Kind::VendorId).map(|field| field.name.to_string()).collect();
        for field in ids {
            let (_, issued) = stage.issue().await;
            let before = stage.account.identity.get(&field).cloned();
            stage.account.identity.insert(&field, "elsewhere-1".into());
            let ended = stage.end(&issued.key).await;
            assert_ne!(ended, Ok(Gone::Already), "{} {field}", stage.label);
            stage.account.identity.insert(&field, before.unwrap_or_default());
            if ended.is_err() {
                assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{} {field}", stage.label);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_404_of_the_vendors_own_proves_nothing_while_the_key_is_listed() {
    let stages = Stage::all().await.into_iter().filter(|stage| is_declared(&stage.name)).collect();
    Stage::each(stages, async |stage| {
        let (_, issued) = stage.issue().await;
        // The deletion is the next request; a token for it is there.
        stage.fail_all(json!({"kind": "error_before", "status": 404})).await;
        let ended = stage.end(&issued.key).await;
        assert!(ended.is_err(), "{}: {ended:?}", stage.label);
        assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
        assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_key_whose_deletion_is_only_ordered_is_not_gone() {
    let stages = Stage::all().await.into_iter().filter(|stage| stage.ends == Gone::Later).collect();
    Stage::each(stages, async |stage| {
        stage.simulator().settings(json!({"deletion_delay_seconds": 60})).await;
        let (name, issued) = stage.issue().await;
        for _ in 0..2 {
            assert_eq!(stage.end(&issued.key).await, Ok(Gone::Later), "{}", stage.label);
            assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
            assert_eq!(stage.named(&name).await.len(), 1, "{}", stage.label);
        }
        stage.move_clock(61).await;
        assert_eq!(stage.try_key(&issued).await, 401, "{}", stage.label);
        assert!(stage.named(&name).await.is_empty(), "{}", stage.label);
        assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already), "{}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn an_error_with_a_status_of_success_lists_no_keys() {
    Stage::each(Stage::all().await, async |stage| {
        stage.issue().await;
        stage.fail_all(json!({"kind": "hostile", "status": 200, "times": -1})).await;
        let listed = stage.list(&stage.tag).await.map(|(found, _)| found.len());
        assert!(listed.is_err(), "{}: {listed:?}", stage.label);
    })
    .await;
}
