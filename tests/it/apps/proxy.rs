//! The server's own caching proxy in front of the engine.

use serde_json::{Value, json};
use tempfile::TempDir;

use super::scene::Scene;
use super::{read, vault_dev};
use crate::support::agent::Agent;
use crate::support::bench::eventually;
use crate::support::client::Client;
use crate::support::node::free_port;
use crate::support::simulator::{plain_client, try_key};

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
    let bare = proxy.send("GET", "ai/creds/app-dev", "", &[], None).await;
    assert!(bare.status >= 400, "a request without the header: {}", bare.body);

    scene.renewed_since(Value::Null).await;
    assert_eq!(ask(&proxy).await["lease_id"], first["lease_id"], "renewed, and the same");
    eventually("max_ttl brings a new key", async || ask(&proxy).await["lease_id"] != first["lease_id"]).await;

    // A revoked lease stays in the cache until the proxy would renew it. Whoever is refused can have it dropped.
    scene.role("10m", "1h").await;
    forget(&proxy, &ask(&proxy).await).await;
    let revoked = ask(&proxy).await;
    scene.server.revoke(&revoked).await;
    assert_eq!(try_key(url, &key(&revoked), "gpt-4o-mini").await, 401);
    assert_eq!(ask(&proxy).await["lease_id"], revoked["lease_id"]);
    forget(&proxy, &revoked).await;
    let next = ask(&proxy).await;
    assert_ne!(next["lease_id"], revoked["lease_id"]);
    assert_eq!(try_key(url, &key(&next), "gpt-4o-mini").await, 200);
}

const HEADER: (&str, &str) = ("X-Vault-Request", "true");

async fn ask(proxy: &Client) -> Value {
    proxy.send("GET", "ai/creds/app-dev", "", &[HEADER], None).await.expect(200)
}

/// Has the proxy drop a lease from its cache.
async fn forget(proxy: &Client, lease: &Value) {
    let request = plain_client().post(format!("{}/proxy/v1/cache-clear", proxy.url)).header(HEADER.0, HEADER.1);
    let request = request.json(&json!({"type": "lease", "value": lease["lease_id"]}));
    assert_eq!(request.send().await.expect("an answer").status(), 200);
}

/// A proxy that listens elsewhere than its file says, and its API.
async fn start(scene: &Scene) -> (Client, Agent, TempDir) {
    let folder = scene.folder().await;
    let address = format!("127.0.0.1:{}", free_port());
    let config = read(&vault_dev().join("agent/proxy.hcl")).replace("\"127.0.0.1:8100\"", &format!("{address:?}"));
    std::fs::write(folder.path().join("proxy.hcl"), config).expect("written");
    let process = Agent::start("proxy", &scene.server, folder.path(), "proxy.hcl");
    let client = Client::new(format!("http://{address}"), "");
    eventually("the proxy answers", async || client.health().await.is_some()).await;
    (client, process, folder)
}
