//! The server's own caching proxy in front of the engine.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::scene::Scene;
use super::{read, vault_dev};
use crate::support::agent::Agent;
use crate::support::bench::eventually;
use crate::support::client::Client;
use crate::support::simulator::try_key;

#[tokio::test]
async fn a_proxy_gives_the_same_key_until_its_lease_ends() {
    let Some(scene) = Scene::new().await else { return };
    scene.role("6s", "12s").await;
    let (proxy, _process, _folder) = start(&scene).await;
    let first = ask(&proxy).await;
    let key = |lease: &Value| lease["data"]["api_key"].as_str().expect("a key").to_owned();
    let url = first["data"]["base_url"].as_str().expect("a URL");
    assert_eq!(try_key(url, &key(&first), "gpt-4o-mini").await, 200);
    assert_eq!(ask(&proxy).await["lease_id"], first["lease_id"], "one lease for all who ask");
    assert_eq!(scene.simulator.created("openai").await, 1);

    scene.renewed_since(Value::Null).await;
    assert_eq!(ask(&proxy).await["lease_id"], first["lease_id"], "renewed, and the same");
    eventually("max_ttl brings a new key", async || ask(&proxy).await["lease_id"] != first["lease_id"]).await;

    // A revoked lease stays in the cache until the proxy would renew it. Whoever is refused can have it dropped.
    scene.role("10m", "1h").await;
    let revoked = forget(&proxy, &ask(&proxy).await).await;
    scene.server.revoke(&revoked).await;
    assert_eq!(try_key(url, &key(&revoked), "gpt-4o-mini").await, 401);
    assert_eq!(ask(&proxy).await["lease_id"], revoked["lease_id"]);
    let next = forget(&proxy, &revoked).await;
    assert_eq!(try_key(url, &key(&next), "gpt-4o-mini").await, 200);
}

async fn ask(proxy: &Client) -> Value {
    proxy.read("ai/creds/app-dev").await
}

/// Has the proxy drop a lease from its cache, which it does a moment after its answer. The lease that takes its place.
async fn forget(proxy: &Client, lease: &Value) -> Value {
    proxy.write("/proxy/v1/cache-clear", json!({"type": "lease", "value": lease["lease_id"]})).await;
    eventually("the lease is dropped", async || ask(proxy).await["lease_id"] != lease["lease_id"]).await;
    ask(proxy).await
}

/// A proxy, and its API.
async fn start(scene: &Scene) -> (Client, Agent, TempDir) {
    let folder = scene.folder().await;
    std::fs::write(folder.path().join("proxy.hcl"), read(&vault_dev().join("agent/proxy.hcl"))).expect("written");
    std::fs::create_dir(folder.path().join("run")).expect("made");
    let process = Agent::start("proxy", &scene.server, folder.path(), "proxy.hcl");
    let socket = folder.path().join("run/proxy.sock");
    let client = Client::at_socket(socket.clone());
    // It answers before it has logged in, and passes on what it is asked without a token.
    let logged_in = async || {
        let asked = client.try_send("GET", "auth/token/lookup-self", "", &[], None).await;
        asked.is_ok_and(|reply| reply.status == 200)
    };
    eventually("the proxy has logged in", logged_in).await;
    let mode = socket.metadata().expect("a socket").permissions().mode();
    assert_eq!(mode & 0o022, 0, "nobody else may connect, which takes the right to write");
    (client, process, folder)
}
