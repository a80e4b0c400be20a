//! What the engine asks of the vendors, held against the vendors' own documents.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bench::Bench;
use crate::support::case::Case;
use crate::support::openapi_check::{self, Spec};

#[tokio::test]
async fn openai_is_asked_as_its_documents_say() {
    let Some(folder) = openapi_check::folder() else { return };
    let bench = Bench::new();
    let own = json!({"mode": "service_account", "allow_unscoped": true, "scopes": null, "service_account_id": null});
    live(&bench, &Case::named("openai"), &[json!({}), own]).await;
    check(&bench, &openapi_check::openai(&folder), "/openai/v1", 12).await;
}

#[tokio::test]
async fn openrouter_is_asked_as_its_document_says() {
    let Some(folder) = openapi_check::folder() else { return };
    let bench = Bench::new();
    let plain = json!({"allowed_models": null, "limit": null});
    let rich =
        json!({"limit": 3.5, "limit_reset": "daily", "allowed_models": "openai/gpt-4o", "include_byok_in_limit": true});
    live(&bench, &Case::named("openrouter"), &[json!({}), plain, rich]).await;
    check(&bench, &openapi_check::openrouter(&folder), "/openrouter/api/v1", 12).await;
}

/// Everything that a mount asks a vendor in its life, for each change of the role.
async fn live(bench: &Bench, case: &Case, roles: &[Value]) {
    let mount = bench.mount_with(case).await;
    mount.read("config/main/check").await.expect("checked");
    for role in roles {
        mount.write("roles/dev", role.clone()).await.expect("a role");
        let issued = mount.creds().await.expect("a key");
        mount.renew(&issued, Duration::from_secs(1200)).await.expect("renewed");
        mount.write("tidy", json!({})).await.expect("tidied");
        mount.revoke(&issued).await.expect("revoked");
    }
}

async fn check(bench: &Bench, spec: &Spec, base: &str, least: usize) {
    let (count, problems) = spec.check_recorded(&bench.simulator, base).await;
    assert!(count >= least, "only {count} requests");
    assert!(problems.is_empty(), "{problems:#?}");
}
