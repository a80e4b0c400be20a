//! The injector's template, rendered by the server's own agent.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::worker::Worker;
use super::{INJECTOR, Manifest, PATH};
use crate::support::agent::Agent;
use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::client::Client;
use crate::support::node::free_port;
use crate::support::server::{Stage, text};

const TTL: Duration = Duration::from_secs(8);

/// In the server's folder.
fn start(stage: &Stage, settings: &Value) -> Agent {
    let folder = stage.server.folder.path();
    std::fs::write(folder.join("agent.json"), settings.to_string()).expect("written");
    Agent::start("agent", &stage.server, folder, "agent.json")
}

/// A server with a role of short leases at the path that the manifests read, and a policy for it.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    let case = Case::named("openai");
    stage.server.write("ai/config/openai", case.config(&stage.simulator.url)).await;
    let mut role = case.role("openai");
    role["ttl"] = json!(TTL.as_secs());
    role["max_ttl"] = json!("20s");
    stage.server.write("ai/roles/dev", role).await;
    let policy = format!("path \"{PATH}\" {{ capabilities = [\"read\"] }}");
    stage.server.write("sys/policies/acl/worker", json!({"policy": policy})).await;
    stage
}

#[tokio::test]
async fn the_injector_s_worker_gets_a_key_that_works_and_a_new_one_after_it() {
    let stage = stage().await;
    let token = stage.server.write("auth/token/create", json!({"policies": ["worker"], "ttl": "1h"})).await;
    let manifest = Manifest::read(INJECTOR);
    let worker = Worker::new(&manifest, &["/vault/secrets"]);
    assert!(worker.is_alive(), "the probe kills the worker that waits for the file");
    // What the injector would write for its agent, but for the login.
    let token_file = stage.server.folder.path().join("token");
    std::fs::write(&token_file, token["auth"]["client_token"].as_str().expect("a token")).expect("written");
    let template = manifest.annotation("agent-inject-template-ai.env");
    let agent = start(
        &stage,
        &json!({
            "vault": {"address": stage.server.url},
            "auto_auth": [{"method": [{"type": "token_file", "config": [{"token_file_path": token_file}]}]}],
            "template": [{"contents": template, "destination": worker.file("/vault/secrets/ai.env")}],
            "template_config": {"exit_on_retry_failure": true},
        }),
    );

    // Waits for the file by itself.
    let (key, url) = worker.start();
    let begun = Instant::now();
    assert_eq!(url, format!("{}/openai/v1", stage.simulator.url));
    works(&stage, &key).await;
    assert!(worker.is_alive());
    assert_eq!(stage.server.list("ai/keys").await.len(), 1, "one pod, one key");

    eventually("a new key, since the lease went on to its max_ttl", async || !worker.is_alive()).await;
    assert!(begun.elapsed() > TTL, "the agent does not renew the lease");
    let (second, _) = worker.start();
    assert_ne!(second, key);
    works(&stage, &second).await;
    drop(agent);
}

/// As the one beside the CSI provider, which logs in and reads through it.
#[tokio::test]
async fn an_agent_s_cache_gives_one_key_for_many_reads_and_renews_it() {
    let stage = stage().await;
    stage.server.write("sys/auth/userpass", json!({"type": "userpass"})).await;
    let user = json!({"password": "some-password", "token_policies": "worker", "token_ttl": "1h"});
    stage.server.write("auth/userpass/users/provider", user).await;
    let address = format!("127.0.0.1:{}", free_port());
    let agent = start(
        &stage,
        &json!({
            "vault": {"address": stage.server.url},
            "cache": {},
            "listener": [{"tcp": {"address": address, "tls_disable": true}}],
        }),
    );
    let cache = Client::new(format!("http://{address}"), "");
    eventually("the agent", async || cache.health().await.is_some()).await;
    let login = cache.write("auth/userpass/login/provider", json!({"password": "some-password"})).await;
    let provider = Client::new(cache.url.clone(), login["auth"]["client_token"].as_str().expect("a token"));

    let begun = Instant::now();
    let first = provider.read(PATH).await;
    let mut reads = 1;
    while begun.elapsed() < TTL + Duration::from_secs(1) {
        assert_eq!(provider.read(PATH).await["lease_id"], first["lease_id"], "read {reads}");
        reads += 1;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    works(&stage, text(&first, "api_key")).await;
    eventually("a new key", async || provider.read(PATH).await["lease_id"] != first["lease_id"]).await;
    drop(agent);
}

async fn works(stage: &Stage, key: &str) {
    let models = stage.simulator.call("GET", "/openai/v1/models", key, None).await;
    assert_eq!(models.status, 200, "{}", models.body);
}

#[tokio::test]
async fn the_fields_that_the_manifests_take_are_in_a_lease() {
    let case = Case::named("openai");
    let stage = Stage::with(&case).await;
    let lease = stage.creds(&case).await;
    for field in super::FIELDS {
        assert!(!text(&lease, field).is_empty());
    }
}
