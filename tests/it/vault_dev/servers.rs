//! The files of vault-dev/server, each with a server of its own and nothing added. `cluster` starts the three of a
//! cluster.

use std::process::Command;

use serde_json::{Value, json};

use super::{read, root};
use crate::support::case::Case;
use crate::support::node::{BINARY, Node, PLUGIN};
use crate::support::raft::RaftServer;
use crate::support::server::{Server, text};
use crate::support::simulator::{Simulator, try_key};

#[tokio::test]
async fn a_dev_server_with_dev_hcl_leases_a_key() {
    let server = Server::start_from(&read("vault-dev/server/dev.hcl")).await;
    leases_a_key(&server).await;
    let metrics = server.call("GET", "sys/metrics?format=prometheus", Value::Null).await;
    assert_eq!(metrics.status, 200, "{}", metrics.body);
}

#[tokio::test]
async fn a_server_with_raft_hcl_leases_a_key() {
    let Some(server) = RaftServer::start().await else { return };
    leases_a_key(&server).await;
}

/// The plugin registered by the script, and a key used. An audit device is made as the files allow it.
async fn leases_a_key(server: &Node) {
    server.write("sys/audit/file", json!({"type": "file", "options": {"file_path": "audit.log"}})).await;
    let said = register(server);
    assert!(said.contains("Registered plugin") && said.contains("Enabled"), "{said}");
    let again = register(server);
    assert!(again.contains("ai/ is enabled already"), "{again}");
    let simulator = Simulator::start();
    let case = Case::named("litellm");
    server.configure("ai", &case, &simulator.url).await;
    let lease = server.read("ai/creds/litellm").await;
    assert_eq!(try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await, 200);
    assert!(server.folder.path().join("audit.log").exists(), "relative to the directory of the server");
}

/// With the shell that the servers' images have, where there is one.
fn register(server: &Node) -> String {
    let busybox = Command::new("busybox").arg("true").status().is_ok_and(|status| status.success());
    let mut command = Command::new(if busybox { "busybox" } else { "sh" });
    let output = command
        .args(if busybox { &["sh"][..] } else { &[] })
        .arg(root().join("vault-dev/register.sh"))
        .arg(server.folder.path().join("plugins").join(PLUGIN))
        .envs([("VAULT_ADDR", &server.url), ("VAULT_TOKEN", &server.client.token)])
        // An address of somebody else, which the script must not take.
        .env("BAO_ADDR", "http://127.0.0.1:1")
        .env("VAULT_BIN", &*BINARY)
        .output()
        .expect("a shell");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_three_files_of_a_cluster_differ_in_node_and_ports_only() {
    let files = [1, 2, 3].map(|node| {
        let mut file = read(&format!("vault-dev/server/raft-node{node}.hcl"));
        let own = 8198 + 2 * node;
        let others: Vec<i32> = [8200, 8202, 8204].into_iter().filter(|port| *port != own).collect();
        for (port, name) in [(own, "OWN"), (own + 1, "CLUSTER"), (others[0], "ONE"), (others[1], "OTHER")] {
            file = file.replace(&format!(":{port}\""), &format!(":{name}\""));
        }
        file.replace(&format!("node{node}"), "NODE").replace(&format!("Node {node}"), "NODE")
    });
    assert_eq!(files[0], files[1]);
    assert_eq!(files[1], files[2]);
}
