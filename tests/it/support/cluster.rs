//! Three real servers with the real plugin, as one raft cluster on loopback: the one that `vault-dev/cluster` makes.
//! Each has a folder, levers and a process of the plugin of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use super::bench::eventually;
use super::case::Case;
use super::client::Client;
use super::node::{BINARY, Folder, Node, free_ports, plugin_binary};
use super::simulator::Simulator;

/// A cluster with the plugin at ai/, and vendors.
pub struct Cluster {
    pub nodes: Vec<Node>,
    pub simulator: Simulator,
}

impl Cluster {
    /// Three voters, the plugin mounted, the vendor's account and role written, and every node up to date.
    /// None, with a line that says so, where this server has no raft storage.
    pub async fn with(case: &Case) -> Option<Self> {
        let folder = Folder::new();
        let port = free_ports(6);
        let output = script(port, &["up", folder.path().to_str().expect("text")]);
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            script(port, &["down", folder.path().to_str().expect("text")]);
            assert!(said.contains("Unknown storage type"), "{said}");
            println!("SKIPPED: this server has no raft storage, and so no cluster of its own: {said}");
            return None;
        }
        let token = exported(&output, "VAULT_TOKEN");
        let nodes = (0..3).map(|number| {
            let folder = folder.part(&format!("node{}", number + 1));
            let client = Client::new(format!("http://127.0.0.1:{}", port + 2 * number), &token);
            let pid = pid(folder.path());
            Node::of_process(client, folder, pid)
        });
        let cluster = Self { nodes: nodes.collect(), simulator: Simulator::start() };
        cluster.nodes[cluster.active().await].configure("ai", case, &cluster.simulator.url).await;
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
    /// How many requests for a path the node itself has answered, by its audit log. One that is forwarded is in the
    /// log of the node that answers.
    pub fn answered(&self, operation: &str, path: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("audit.log")).unwrap_or_default();
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

/// `vault-dev/cluster` with the server and the plugin of the tests, and their levers in the folder of each node.
pub fn script(port: u16, arguments: &[&str]) -> Output {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("vault-dev/cluster"));
    command.args(arguments).envs([("PLUGIN_BIN", plugin_binary()), ("VAULT_BIN", BINARY.clone())]);
    command.envs([("AI_TEST_CLOCK", "clock"), ("AI_TEST_STEPS", "steps"), ("VAULT_LOG_LEVEL", "debug")]);
    command.env("PORT", port.to_string()).output().expect("vault-dev/cluster runs")
}

/// The process of a node of the script's.
pub fn pid(node: &Path) -> u32 {
    let pid = std::fs::read_to_string(node.join("server.pid")).expect("a process");
    pid.trim().parse().expect("a number")
}

/// What `eval "$(vault-dev/cluster up)"` gives a variable.
pub fn exported(output: &Output, name: &str) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let value = text.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}
