//! Three real servers with the real plugin, as one raft cluster on loopback. Each has a folder, levers and a process
//! of the plugin of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::bench::eventually;
use super::case::Case;
use super::client::Client;
use super::node::{Node, VERSION, free_port};
use super::simulator::Simulator;

/// The same text on every node, or no other one could take over: relative, in each node's own folder.
const AUDIT: &str = "audit.log";

/// A cluster with the plugin at ai/, and vendors.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub simulator: Simulator,
}

impl Cluster {
    /// Three voters, the plugin mounted, the vendor's account and role written, and every node up to date.
    /// None, with a line that says so, where this server has no raft storage.
    pub async fn with(case: &Case) -> Option<Self> {
        let mut nodes = vec![Node::of_cluster(0)];
        if !nodes[0].comes_up(&[501]).await {
            let log = nodes[0].log();
            assert!(log.contains("Unknown storage type"), "the server ended:\n{log}");
            println!("SKIPPED: this server has no raft storage, and so no cluster of its own: it says {log:?}");
            return None;
        }
        let init = nodes[0].call("PUT", "sys/init", json!({"secret_shares": 1, "secret_threshold": 1})).await;
        let init = init.expect(200);
        let share = init["keys"][0].as_str().expect("a share").to_owned();
        let token = init["root_token"].as_str().expect("a token").to_owned();
        nodes[0].client.token.clone_from(&token);
        nodes[0].unsealed(&share).await;
        // A follower has a vote only after it has been stable for so long; 10 s is the default.
        eventually("autopilot takes a setting", async || {
            let settings = json!({"server_stabilization_time": "1s"});
            nodes[0].can("POST", "sys/storage/raft/autopilot/configuration", settings).await
        })
        .await;
        for number in 1..3 {
            let mut node = Node::of_cluster(number);
            node.client.token.clone_from(&token);
            assert!(node.comes_up(&[501]).await, "the server ended:\n{}", node.log());
            node.write("sys/storage/raft/join", json!({"leader_api_addr": nodes[0].url})).await;
            node.unsealed(&share).await;
            nodes.push(node);
        }
        let cluster = Self { nodes, simulator: Simulator::start() };
        let first = &cluster.nodes[0];
        eventually("all three have a vote", async || {
            let state = first.call("GET", "sys/storage/raft/autopilot/state", Value::Null).await;
            state.body["data"]["voters"].as_array().is_some_and(|voters| voters.len() == 3)
        })
        .await;
        first.write("sys/audit/file", json!({"type": "file", "options": {"file_path": AUDIT}})).await;
        first.register(VERSION).await;
        first.enable("ai").await;
        first.configure("ai", case, &cluster.simulator.url).await;
        for node in &cluster.nodes {
            let role = format!("ai/roles/{}", case.provider);
            eventually("every node has the role", async || node.can("GET", &role, Value::Null).await).await;
        }
        Some(cluster)
    }

    /// Waits until one node says that it is active; its number.
    pub async fn active(&self) -> usize {
        for _ in 0..600 {
            for (number, node) in self.nodes.iter().enumerate() {
                if node.health().await == Some(200) {
                    return number;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no node became active:\n{}", self.nodes[1].log());
    }

    /// The active node and the two others.
    pub async fn roles(&self) -> (&Node, [&Node; 2]) {
        let active = self.active().await;
        (&self.nodes[active], [&self.nodes[(active + 1) % 3], &self.nodes[(active + 2) % 3]])
    }

    pub fn set_clock(&self, offset: Duration) {
        for node in &self.nodes {
            node.set_clock(offset);
        }
    }

    /// Moves every plugin's clock on, step by step, until the condition is true. In one step would not do: a new
    /// instance counts ages from when it first saw a row, and nobody is told when that was.
    pub async fn pass_until(&self, from: Duration, to: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        const STEP: Duration = Duration::from_secs(5 * 60);
        let mut offset = from;
        while offset <= to {
            self.set_clock(offset);
            if condition().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
            offset += STEP;
        }
        panic!("never came true: {what}");
    }

    /// Names at the vendor of the rows in the ledger, by state.
    pub async fn rows(&self, state: &str) -> BTreeSet<String> {
        let node = &self.nodes[self.active().await];
        let mut names = BTreeSet::new();
        for id in node.list("ai/keys").await {
            let row = node.call("GET", &format!("ai/keys/{id}"), Value::Null).await.body;
            if row["data"]["state"] == state {
                names.insert(row["data"]["key_name"].as_str().expect("a name").to_owned());
            }
        }
        names
    }

    pub fn vendor_port(&self) -> u16 {
        self.simulator.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }
}

impl Node {
    fn of_cluster(number: usize) -> Self {
        let port = free_port();
        // The multiplier is that of raft's timeouts, and more by default: nobody here is far away. The intervals decide how soon a follower has a vote; 10 s and 2 s are the defaults. The last line is
        // for HashiCorp's server, which wants to lock its memory, as raft storage must not.
        let settings = format!(
            r#"storage "raft" {{
  path    = "raft"
  node_id = "node{number}"
  performance_multiplier       = "2"
  autopilot_reconcile_interval = "1s"
  autopilot_update_interval    = "1s"
}}
listener "tcp" {{
  address         = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{}"
  tls_disable     = true
}}
api_addr      = "http://127.0.0.1:{port}"
cluster_addr  = "https://127.0.0.1:{}"
disable_mlock = true
"#,
            port + 1,
            port + 1
        );
        Self::spawn(Client::new(format!("http://127.0.0.1:{port}"), ""), &settings, &[])
    }

    /// A node that has just joined takes its share only once the leader's challenge has arrived.
    async fn unsealed(&self, share: &str) {
        let what = format!("{} is unsealed", self.url);
        eventually(&what, async || {
            if matches!(self.health().await, Some(501 | 503)) {
                self.call("PUT", "sys/unseal", json!({"key": share})).await;
            }
            !matches!(self.health().await, None | Some(501 | 503))
        })
        .await;
    }

    /// How many requests for a path the node itself has answered, by its audit log. One that is forwarded is in the
    /// log of the node that answers.
    pub fn answered(&self, operation: &str, path: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join(AUDIT)).unwrap_or_default();
        log.lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|entry| {
                entry["type"] == "response"
                    && entry["request"]["operation"] == operation
                    && entry["request"]["path"] == path
            })
            .count()
    }
}
