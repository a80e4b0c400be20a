//! One server with the file vault-dev/server/raft.hcl: it keeps its data, so it can be started again.

use std::ops::{Deref, DerefMut};

use serde_json::{Value, json};

use super::bench::eventually;
use super::client::Client;
use super::node::{Node, free_port};

const FILE: &str = include_str!("../../../vault-dev/server/raft.hcl");

pub struct RaftServer {
    node: Node,
    share: Value,
}

impl RaftServer {
    /// Initialised and unsealed. None, with a line that says so, where this server has no raft storage.
    pub async fn start() -> Option<Self> {
        let port = free_port();
        let file = FILE.replace(":8200\"", &format!(":{port}\"")).replace(":8201\"", &format!(":{}\"", port + 1));
        let mut node = Node::spawn_with(Client::new(format!("http://127.0.0.1:{port}"), ""), &file, &[]);
        if !node.comes_up(&[501]).await {
            let log = node.log();
            assert!(log.contains("Unknown storage type"), "the server ended:\n{log}");
            println!("SKIPPED: this server has no raft storage: it says {log:?}");
            return None;
        }
        let shares = json!({"secret_shares": 1, "secret_threshold": 1});
        let init = node.call("PUT", "sys/init", shares).await.expect(200);
        init["root_token"].as_str().expect("a token").clone_into(&mut node.client.token);
        let server = Self { node, share: init["keys"][0].clone() };
        server.unseal().await;
        Some(server)
    }

    /// What a power failure does, and the start after it.
    pub async fn restart(&mut self) {
        self.kill_with_plugin();
        self.start_again();
        assert!(self.comes_up(&[503]).await, "the server ended:\n{}", self.log());
        self.unseal().await;
    }

    async fn unseal(&self) {
        self.call("PUT", "sys/unseal", json!({"key": self.share})).await.expect(200);
        eventually("the server is active", async || self.health().await == Some(200)).await;
    }
}

impl Deref for RaftServer {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.node
    }
}

impl DerefMut for RaftServer {
    fn deref_mut(&mut self) -> &mut Node {
        &mut self.node
    }
}
