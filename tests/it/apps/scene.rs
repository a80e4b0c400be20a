use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::Time;

use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::client::Client;
use crate::support::node::{Node, VERSION, free_port};
use crate::support::simulator::Simulator;

const FILE: &str = include_str!("../../../vault-dev/server/raft.hcl");

/// A server that keeps its data, with the role app-dev, and a way to log in for an application.
pub struct Scene {
    pub server: Node,
    pub simulator: Simulator,
    share: String,
}

/// The one lease that lives.
pub struct LiveLease {
    pub expires: Time,
    last_renewal: Value,
}

impl Scene {
    pub async fn new() -> Self {
        let port = free_port();
        let settings = FILE
            .replace("127.0.0.1:8200", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:8201", &format!("127.0.0.1:{}", port + 1));
        let mut server = Node::spawn(Client::new(format!("http://127.0.0.1:{port}"), ""), &settings, &[]);
        assert!(server.comes_up(&[501]).await, "the server ended:\n{}", server.log());
        let init = server.call("PUT", "sys/init", json!({"secret_shares": 1, "secret_threshold": 1})).await.expect(200);
        let share = init["keys"][0].as_str().expect("a share").to_owned();
        init["root_token"].as_str().expect("a token").clone_into(&mut server.client.token);
        let scene = Self { server, simulator: Simulator::start(), share };
        scene.unseal().await;
        scene.prepare().await;
        scene
    }

    async fn prepare(&self) {
        let server = &self.server;
        server.register(VERSION).await;
        server.enable("ai").await;
        server.write("ai/config/openai", Case::named("openai").config(&self.simulator.url)).await;
        self.role("10m", "1h").await;
        let policy = r#"path "ai/creds/app-dev" { capabilities = ["read"] }"#;
        server.write("sys/policies/acl/app-dev", json!({"policy": policy})).await;
        server.write("sys/auth/approle", json!({"type": "approle"})).await;
        let login = json!({"token_policies": "app-dev", "token_period": "1h"});
        server.write("auth/approle/role/app-dev", login).await;
    }

    /// What an operator gives an application: role id and secret id.
    pub async fn login(&self) -> [String; 2] {
        let role = self.server.read("auth/approle/role/app-dev/role-id").await;
        let secret = self.server.write("auth/approle/role/app-dev/secret-id", json!({})).await;
        [(role, "role_id"), (secret, "secret_id")]
            .map(|(body, field)| body["data"][field].as_str().expect(field).into())
    }

    pub async fn role(&self, ttl: &str, max_ttl: &str) {
        let mut role = Case::named("openai").role("openai");
        role["ttl"] = ttl.into();
        role["max_ttl"] = max_ttl.into();
        self.server.write("ai/roles/app-dev", role).await;
    }

    async fn unseal(&self) {
        eventually("the server is active", async || {
            if self.server.health().await == Some(503) {
                self.server.call("PUT", "sys/unseal", json!({"key": self.share})).await;
            }
            self.server.health().await == Some(200)
        })
        .await;
    }

    /// What a power failure does, and the start after it.
    pub async fn restart_server(&mut self) {
        self.server.kill_with_plugin();
        self.server.start_again();
        assert!(self.server.comes_up(&[503]).await, "the server ended:\n{}", self.server.log());
        self.unseal().await;
    }

    /// The newest lease; a restart of the agent leaves an older one behind.
    pub async fn lease(&self) -> LiveLease {
        let mut newest: Option<Value> = None;
        for id in self.server.list("sys/leases/lookup/ai/creds/app-dev").await {
            let lease_id = json!({"lease_id": format!("ai/creds/app-dev/{id}")});
            // It may end in between.
            let found = self.server.call("POST", "sys/leases/lookup", lease_id).await.body["data"].clone();
            let time = |lease: &Value| lease["issue_time"].as_str().map(str::to_owned);
            if time(&found) > newest.as_ref().and_then(time) {
                newest = Some(found);
            }
        }
        let lease = newest.expect("a lease");
        let expires = lease["expire_time"].as_str().and_then(|time| time.parse().ok()).expect("a time");
        LiveLease { expires, last_renewal: lease["last_renewal"].clone() }
    }

    pub async fn last_renewal(&self) -> Value {
        self.lease().await.last_renewal
    }

    pub async fn renewed_since(&self, before: Value) {
        eventually("the agent renews", async || self.last_renewal().await != before).await;
    }

    /// The admin API answers nothing but 503. Models do.
    pub async fn vendor_fails(&self) {
        let fault = json!({"kind": "error_before", "status": 503, "path_contains": "/organization/", "times": -1});
        self.simulator.faults(fault).await;
    }

    pub async fn vendor_answers(&self) {
        self.simulator.faults(json!([])).await;
    }

    pub async fn lives(&self, key_id: &str) -> bool {
        self.key(key_id).await.is_some()
    }

    /// When the vendor made a key.
    pub async fn made(&self, key_id: &str) -> Time {
        let key = self.key(key_id).await.expect("a key");
        key["created"].as_str().and_then(|time| time.parse().ok()).expect("a time")
    }

    async fn key(&self, key_id: &str) -> Option<Value> {
        let state = self.simulator.state().await;
        let live = state["openai"]["keys"]["live"].as_array().expect("a list");
        live.iter().find(|key| key["id"] == key_id).cloned()
    }
}
