use serde_json::{Value, json};
use tempfile::TempDir;
use vault_plugin_secrets_ai::base::Time;

use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::node::VERSION;
use crate::support::raft::RaftServer;
use crate::support::simulator::Simulator;

const POLICY: &str = include_str!("../../../vault-dev/policies/app-dev.hcl");

/// A server that keeps its data, with the role app-dev, and a way to log in for an application.
pub struct Scene {
    pub server: RaftServer,
    pub simulator: Simulator,
}

/// The one lease that lives.
pub struct LiveLease {
    pub expires: Time,
    last_renewal: Value,
}

impl Scene {
    /// None, with a line that says so, where this server has no raft storage.
    pub async fn new() -> Option<Self> {
        let scene = Self { server: RaftServer::start().await?, simulator: Simulator::start() };
        scene.prepare().await;
        Some(scene)
    }

    async fn prepare(&self) {
        let server = &self.server;
        server.register(VERSION).await;
        server.enable("ai").await;
        server.write("ai/config/openai", Case::named("openai").config(&self.simulator.url)).await;
        self.role("10m", "1h").await;
        server.write("sys/policies/acl/app-dev", json!({"policy": POLICY})).await;
        server.write("sys/auth/approle", json!({"type": "approle"})).await;
        let login = json!({"token_policies": "app-dev", "token_period": "1h"});
        server.write("auth/approle/role/app-dev", login).await;
    }

    /// A folder for an agent with what an operator gives an application: role id and secret id.
    pub async fn folder(&self) -> TempDir {
        let folder = tempfile::Builder::new().prefix("vault-ai-agent-").tempdir().expect("a folder");
        let role = self.server.read("auth/approle/role/app-dev/role-id").await;
        let secret = self.server.write("auth/approle/role/app-dev/secret-id", json!({})).await;
        for (name, value) in [("role-id", &role["data"]["role_id"]), ("secret-id", &secret["data"]["secret_id"])] {
            std::fs::write(folder.path().join(name), value.as_str().expect(name)).expect("written");
        }
        folder
    }

    pub async fn role(&self, ttl: &str, max_ttl: &str) {
        let mut role = Case::named("openai").role("openai");
        role["ttl"] = ttl.into();
        role["max_ttl"] = max_ttl.into();
        self.server.write("ai/roles/app-dev", role).await;
    }

    /// The newest lease, if there is one; a restart of the agent leaves an older one behind.
    pub async fn lease(&self) -> Option<LiveLease> {
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
        let lease = newest?;
        let expires = lease["expire_time"].as_str().and_then(|time| time.parse().ok()).expect("a time");
        Some(LiveLease { expires, last_renewal: lease["last_renewal"].clone() })
    }

    /// Null before the first one.
    pub async fn last_renewal(&self) -> Value {
        self.lease().await.expect("a lease").last_renewal
    }

    pub async fn renewed_since(&self, before: Value) {
        let renewed = async || self.lease().await.is_some_and(|lease| lease.last_renewal != before);
        eventually("the agent renews", renewed).await;
    }

    /// The admin API answers nothing but 503. Models do.
    pub async fn vendor_fails(&self) {
        let fault = json!({"kind": "error_before", "status": 503, "path_contains": "/organization/", "times": -1});
        self.simulator.faults(fault).await;
    }

    /// Whether a request has met the outage.
    pub async fn vendor_has_failed(&self) -> bool {
        let requests = self.simulator.get("/_control/requests").await["requests"].clone();
        requests.as_array().expect("a list").iter().any(|request| request["status"] == 503)
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
