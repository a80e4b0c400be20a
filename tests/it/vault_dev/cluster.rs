//! `vault-dev/cluster`: made, kept, put up again, ended.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::client::Client;
use crate::support::cluster::{exported, pid, script};
use crate::support::node::free_ports;
use crate::support::process::{is_running, kill};
use crate::support::server::text;
use crate::support::simulator::{Simulator, try_key};

/// A folder for the script, whose servers end with the test.
struct Scripted {
    port: u16,
    folder: PathBuf,
    _temporary: TempDir,
}

impl Scripted {
    fn new() -> Self {
        let temporary = tempfile::Builder::new().prefix("vault-ai-").tempdir().expect("a folder");
        Self { port: free_ports(6), folder: temporary.path().join("cluster"), _temporary: temporary }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        script(self.port, &[arguments, &[self.folder.to_str().expect("text")]].concat())
    }

    /// What it exports; None, with a line that says so, where this server has no raft storage.
    fn up(&self) -> Option<Output> {
        let output = self.run(&["up"]);
        let said = said(&output);
        if said.contains("Unknown storage type") {
            println!("SKIPPED: this server has no raft storage, and so no cluster of its own: {said}");
            return None;
        }
        assert!(output.status.success(), "{said}");
        Some(output)
    }

    fn pids(&self) -> [u32; 3] {
        [1, 2, 3].map(|node| pid(&self.folder.join(format!("node{node}"))))
    }

    /// The three nodes, as an `up` says that they are.
    fn nodes(&self, up: &Output) -> [Client; 3] {
        let token = exported(up, "VAULT_TOKEN");
        [0, 2, 4].map(|offset| Client::new(format!("http://127.0.0.1:{}", self.port + offset), &token))
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.run(&["down"]);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn up_makes_a_cluster_keeps_it_and_puts_up_what_was_killed() {
    let scripted = Scripted::new();
    let Some(first) = scripted.up() else { return };
    let pids = scripted.pids();
    let nodes = scripted.nodes(&first);
    assert_eq!(exported(&first, "VAULT_ADDR"), nodes[0].url);
    assert!(String::from_utf8_lossy(&first.stdout).lines().all(|line| line.starts_with("export ")));
    let keys = std::fs::metadata(scripted.folder.join("init.json")).expect("the keys");
    assert_eq!(keys.permissions().mode() & 0o777, 0o600);

    let simulator = Simulator::start();
    let case = Case::named("litellm");
    nodes[0].configure("ai", &case, &simulator.url).await;

    let second = scripted.up().expect("raft storage");
    assert_eq!(second.stdout, first.stdout, "nothing changed");
    assert_eq!(scripted.pids(), pids);
    assert!(!said(&second).contains("starting"), "{}", said(&second));

    kill(&[pids[0]]);
    let third = scripted.up().expect("raft storage");
    assert_eq!(scripted.pids()[1..], pids[1..], "these ran on");
    assert_ne!(scripted.pids()[0], pids[0]);
    assert_ne!(exported(&third, "VAULT_ADDR"), nodes[0].url, "another node is active");
    let active = Client::new(exported(&third, "VAULT_ADDR"), &exported(&third, "VAULT_TOKEN"));
    let voters = active.read("sys/storage/raft/configuration").await;
    let voters = voters["data"]["config"]["servers"].as_array().expect("servers").clone();
    assert_eq!(voters.iter().filter(|server| server["voter"] == true).count(), 3, "{voters:?}");
    // The one that was killed forwards to the new leader, once it knows it.
    eventually("all nodes lease keys", async || {
        let reply = nodes[0].call("GET", "ai/creds/litellm", Value::Null).await;
        reply.status == 200
            && try_key(text(&reply.body, "base_url"), text(&reply.body, "api_key"), case.model).await == 200
    })
    .await;

    let other_ports = script(scripted.port + 1, &["up", scripted.folder.to_str().expect("text")]);
    assert!(said(&other_ports).contains("has the ports from"), "{}", said(&other_ports));

    let running = scripted.pids();
    assert!(scripted.run(&["down"]).status.success());
    assert!(running.iter().all(|pid| !is_running(*pid)), "down returns when they have ended");
    let fourth = scripted.up().expect("raft storage");
    assert_eq!(exported(&fourth, "VAULT_TOKEN"), exported(&first, "VAULT_TOKEN"), "the same cluster");
    let active = Client::new(exported(&fourth, "VAULT_ADDR"), &exported(&fourth, "VAULT_TOKEN"));
    assert_eq!(active.read("ai/roles/litellm").await["data"]["config"], "litellm");

    let running = scripted.pids();
    assert!(scripted.run(&["down", "--delete"]).status.success());
    assert!(running.iter().all(|pid| !is_running(*pid)));
    assert!(!scripted.folder.exists());
}

#[test]
fn up_names_the_port_that_is_taken_before_anything_is_made() {
    let scripted = Scripted::new();
    let taken = scripted.port + 3;
    let _other = TcpListener::bind(("127.0.0.1", taken)).expect("free until now");
    let output = scripted.run(&["up"]);
    assert!(!output.status.success());
    assert!(
        said(&output).contains(&format!("something listens on 127.0.0.1:{taken}, which node2 needs")),
        "{}",
        said(&output)
    );
    assert!(!scripted.folder.exists(), "or it would stick to these ports");
}

#[test]
fn neither_verb_touches_a_folder_of_something_else() {
    let scripted = Scripted::new();
    std::fs::create_dir(&scripted.folder).expect("made");
    std::fs::write(scripted.folder.join("thesis.txt"), "all of it").expect("written");
    for arguments in [&["up"][..], &["down"], &["down", "--delete"]] {
        let output = scripted.run(arguments);
        assert!(!output.status.success());
        assert!(said(&output).contains("is not a cluster's"), "{}", said(&output));
    }
    assert!(scripted.folder.join("thesis.txt").exists());
}

#[test]
fn down_ends_no_process_that_has_got_the_id_of_a_node() {
    let scripted = Scripted::new();
    let mut other = Command::new("sleep").arg("600").spawn().expect("sleep");
    let node = scripted.folder.join("node1");
    std::fs::create_dir_all(&node).expect("made");
    std::fs::write(scripted.folder.join(".vault-dev-cluster"), scripted.port.to_string()).expect("written");
    std::fs::write(node.join("server.pid"), other.id().to_string()).expect("written");
    let output = scripted.run(&["down", "--delete"]);
    let runs = is_running(other.id());
    other.kill().expect("killed");
    other.wait().expect("waited");
    assert!(output.status.success(), "{}", said(&output));
    assert!(runs);
}

/// However the folder is written, and whatever part of it was made when an earlier `up` was killed.
#[test]
fn up_completes_a_folder_and_down_finds_its_servers_by_another_name_of_it() {
    let scripted = Scripted::new();
    std::fs::create_dir_all(scripted.folder.join("node1/plugins")).expect("made");
    std::fs::write(scripted.folder.join(".vault-dev-cluster"), scripted.port.to_string()).expect("written");
    if scripted.up().is_none() {
        return;
    }
    let running = scripted.pids();
    let folder = scripted.folder.to_str().expect("text");
    let output = script(scripted.port, &["down", "--delete", &format!("{folder}/../cluster/./")]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(running.iter().all(|pid| !is_running(*pid)), "{}", said(&output));
    assert!(!scripted.folder.exists());
}

#[test]
fn down_deletes_nothing_while_a_port_of_the_cluster_is_taken() {
    let scripted = Scripted::new();
    std::fs::create_dir(&scripted.folder).expect("made");
    std::fs::write(scripted.folder.join(".vault-dev-cluster"), scripted.port.to_string()).expect("written");
    let other = TcpListener::bind(("127.0.0.1", scripted.port + 4)).expect("free until now");
    let output = scripted.run(&["down", "--delete"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("nothing is deleted"), "{}", said(&output));
    assert!(scripted.folder.exists());
    drop(other);
    assert!(scripted.run(&["down", "--delete"]).status.success());
    assert!(!scripted.folder.exists());
}

#[test]
fn two_at_once_do_not_work_on_one_folder() {
    let scripted = Scripted::new();
    std::fs::create_dir(&scripted.folder).expect("made");
    std::fs::write(scripted.folder.join(".vault-dev-cluster"), scripted.port.to_string()).expect("written");
    let lock = scripted.folder.with_extension("lock");
    std::os::unix::fs::symlink(std::process::id().to_string(), &lock).expect("linked");
    for arguments in [&["up"][..], &["down"]] {
        let output = scripted.run(arguments);
        assert!(!output.status.success());
        assert!(said(&output).contains("another vault-dev/cluster"), "{}", said(&output));
    }
    let mut ended = Command::new("true").spawn().expect("true");
    ended.wait().expect("waited");
    std::fs::remove_file(&lock).expect("removed");
    std::os::unix::fs::symlink(ended.id().to_string(), &lock).expect("linked");
    assert!(scripted.run(&["down"]).status.success(), "the lock of a process that ended holds nobody up");
    assert!(std::fs::symlink_metadata(&lock).is_err());
}

#[test]
fn an_unknown_verb_or_flag_is_told_the_usage() {
    for arguments in [&["restart"][..], &[], &["up", "--delete"], &["up", "one", "two"]] {
        let output = script(1, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said(&output).contains("usage: vault-dev/cluster"), "{}", said(&output));
    }
}

#[test]
fn a_plugin_that_is_not_there_is_named_before_anything_is_made() {
    let scripted = Scripted::new();
    let output = Command::new(super::root().join("vault-dev/cluster"))
        .args(["up".as_ref(), scripted.folder.as_os_str()])
        .envs([("PLUGIN_BIN", "/nowhere/plugin"), ("PORT", &scripted.port.to_string())])
        .output()
        .expect("it runs");
    assert!(said(&output).contains("PLUGIN_BIN=/nowhere/plugin is not an executable file"), "{}", said(&output));
    assert!(!scripted.folder.exists());
}
