//! A real LiteLLM proxy, where `LITELLM_URL` and `LITELLM_MASTER_KEY` name one with the models fake-small and fake-big.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bench::eventually;
use crate::support::fault_proxy::FaultProxy;
use crate::support::node::VERSION;
use crate::support::server::{Server, text};
use crate::support::simulator::{plain_client, try_key};

pub struct Proxy {
    pub url: String,
    pub master_key: String,
}

impl Proxy {
    /// None where there is none, which is said.
    pub fn named() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let proxy = Some(Self { url: variable("LITELLM_URL")?, master_key: variable("LITELLM_MASTER_KEY")? });
        proxy.filter(|proxy| !proxy.url.is_empty())
    }

    async fn stage(&self, api_url: &str) -> Server {
        let server = Server::start().await;
        server.register(VERSION).await;
        server.enable("ai").await;
        let config = json!({"provider": "litellm", "api_url": api_url, "master_key": self.master_key});
        server.write("ai/config/proxy", config).await;
        let role = json!({"config": "proxy", "models": ["fake-small"], "max_budget": 5, "ttl": "10m", "max_ttl": "1h"});
        server.write("ai/roles/app", role).await;
        server
    }

    async fn call(&self, path: &str, body: Option<Value>) -> Value {
        let client = plain_client();
        let request = match body {
            Some(body) => client.post(format!("{}{path}", self.url)).json(&body),
            None => client.get(format!("{}{path}", self.url)),
        };
        request.bearer_auth(&self.master_key).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Aliases that carry a mount's tag.
    async fn live(&self, tag: &str) -> Vec<String> {
        let path = format!("/key/list?size=100&return_full_object=true&substring_matching=true&key_alias={tag}");
        let keys = self.call(&path, None).await["keys"].as_array().cloned().unwrap_or_default();
        keys.iter().filter_map(|key| key["key_alias"].as_str().map(str::to_owned)).collect()
    }
}

async fn tag(server: &Server) -> String {
    server.read("ai/info").await["data"]["tag"].as_str().expect("a tag").to_owned()
}

/// The proxy; where there is none the test ends here, and says so.
macro_rules! proxy_or_skip {
    () => {
        match $crate::real::litellm::Proxy::named() {
            Some(proxy) => proxy,
            None => {
                println!("SKIPPED: LITELLM_URL and LITELLM_MASTER_KEY name no real LiteLLM proxy");
                return;
            }
        }
    };
}
pub(crate) use proxy_or_skip;

#[tokio::test]
async fn a_real_proxy_takes_the_key_until_its_lease_is_revoked() {
    let proxy = proxy_or_skip!();
    let server = proxy.stage(&proxy.url).await;
    let lease = server.read("ai/creds/app").await;
    let (key, url) = (text(&lease, "api_key"), text(&lease, "base_url"));
    assert_eq!(try_key(url, key, "fake-small").await, 200, "the allowed model");
    assert_eq!(try_key(url, key, "fake-big").await, 403, "another model");

    let expires = async || {
        let info = proxy.call(&format!("/key/info?key={}", text(&lease, "key_id")), None).await;
        info["info"]["expires"].as_str().expect("an expiry").to_owned()
    };
    let before = expires().await;
    let renewed = server.renew(&lease, 3000).await.expect(200);
    assert_eq!(renewed["lease_duration"], 3000);
    assert!(expires().await > before, "the proxy's expiry follows");

    // What a key of ours must never do.
    for (path, body) in
        [("/key/generate", json!({})), ("/key/delete", json!({"keys": [key]})), ("/user/new", json!({}))]
    {
        let request = plain_client().post(format!("{}{path}", proxy.url)).bearer_auth(key).json(&body);
        let status = request.send().await.expect("an answer").status();
        assert!(status.is_client_error(), "{path}: {status}");
    }
    assert!(server.revoke(&lease).await.status < 300);
    assert_eq!(try_key(url, key, "fake-small").await, 401, "revoked");
}

#[tokio::test]
async fn a_key_deleted_by_hand_at_a_real_proxy_is_revoked_without_complaint() {
    let proxy = proxy_or_skip!();
    let server = proxy.stage(&proxy.url).await;
    let lease = server.read("ai/creds/app").await;
    proxy.call("/key/delete", Some(json!({"keys": [text(&lease, "key_id")]}))).await;
    let revoked = server.revoke(&lease).await;
    assert!(revoked.status < 300, "{}", revoked.body);
    assert!(server.list("ai/keys").await.is_empty());
}

#[tokio::test]
async fn an_answer_of_a_real_proxy_that_is_lost_leaves_no_key() {
    let proxy = proxy_or_skip!();
    let faults = FaultProxy::before(&proxy.url).await;
    let server = proxy.stage(&faults.url).await;
    let tag = tag(&server).await;
    // One lost answer: the same key value is sent again, and the proxy makes no second key.
    faults.lose_answers(1);
    let lease = server.read("ai/creds/app").await;
    assert_eq!(proxy.live(&tag).await.len(), 1);
    assert!(server.revoke(&lease).await.status < 300);
    // Every answer lost: the sweep finds the key by its name.
    faults.lose_answers(100);
    let lost = server.call("GET", "ai/creds/app", Value::Null).await;
    assert_eq!(lost.status, 502, "{}", lost.body);
    assert_eq!(proxy.live(&tag).await.len(), 1, "made all the same");
    faults.lose_answers(0);
    server.set_clock(Duration::from_secs(180));
    eventually("the key is deleted", async || proxy.live(&tag).await.is_empty()).await;
    eventually("its row is gone", async || server.list("ai/keys").await.is_empty()).await;
}

#[tokio::test]
async fn a_disabled_mount_leaves_no_key_at_a_real_proxy() {
    let proxy = proxy_or_skip!();
    let server = proxy.stage(&proxy.url).await;
    let tag = tag(&server).await;
    for _ in 0..3 {
        server.read("ai/creds/app").await;
    }
    assert_eq!(proxy.live(&tag).await.len(), 3);
    server.delete("sys/mounts/ai").await;
    assert!(proxy.live(&tag).await.is_empty());
}
