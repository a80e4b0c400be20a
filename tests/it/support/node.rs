//! A server process of the test's own, with the plugin in its plugin directory and the test's levers in its folder.

use std::collections::HashSet;
use std::fs::File;
use std::net::TcpListener;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::Client;
use super::process::{Process, kill};

pub const PLUGIN: &str = "vault-plugin-secrets-ai";
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The server's binary: which one is `VAULT_BIN`'s to say, else `scripts/server`'s.
pub static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("VAULT_BIN") {
    Some(path) => path.into(),
    None => {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/server");
        let output = Command::new(script).stderr(Stdio::inherit()).output().expect("scripts/server runs");
        assert!(output.status.success(), "scripts/server found no server");
        String::from_utf8(output.stdout).expect("a path").trim().into()
    }
});

/// A server process and its API; ends with the test.
pub struct Node {
    pub client: Client,
    arguments: Vec<String>,
    process: Process,
    // Goes after the process, which writes to it.
    pub folder: Folder,
}

/// A server's folder: the test's, or a part of it. Goes with the last server in it.
pub struct Folder {
    path: PathBuf,
    temporary: Arc<TempDir>,
}

impl Folder {
    pub fn new() -> Self {
        let temporary = tempfile::Builder::new().prefix("vault-ai-").tempdir().expect("a folder");
        Self { path: temporary.path().to_owned(), temporary: temporary.into() }
    }

    pub fn part(&self, name: &str) -> Self {
        Self { path: self.path.join(name), temporary: self.temporary.clone() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Node {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Node {
    /// Starts a server with these settings, and what every server of the tests needs.
    pub fn spawn(client: Client, settings: &str, arguments: &[String]) -> Self {
        // The second line is OpenBao's, whose audit devices are otherwise declared in the file only.
        let common = "plugin_directory = \"plugins\"\nunsafe_allow_api_audit_creation = true\n";
        Self::spawn_with(client, &format!("{common}{settings}"), arguments)
    }

    /// Starts a server with this file of settings. Its working directory is its own folder, which has the plugin in
    /// `plugins`, and `raft` for a storage.
    pub fn spawn_with(client: Client, file: &str, arguments: &[String]) -> Self {
        let folder = Folder::new();
        let at = |name: &str| folder.path().join(name);
        for name in ["plugins", "steps", "raft"] {
            std::fs::create_dir(at(name)).expect("made");
        }
        install(&at("plugins"), PLUGIN);
        std::fs::write(at("config.hcl"), file).expect("written");
        let process = launch(&folder, arguments);
        Self { client, folder, arguments: arguments.to_vec(), process }
    }

    /// Starts a server that was killed, with the same settings in the same folder.
    pub fn start_again(&mut self) {
        self.process = launch(&self.folder, &self.arguments);
    }

    /// One that runs already. Its plugin's levers are `clock` and `steps` in its folder.
    pub fn of_process(client: Client, folder: Folder, pid: u32) -> Self {
        std::fs::create_dir(folder.path().join("steps")).expect("made");
        Self { client, folder, arguments: Vec::new(), process: Process::of_pid(pid) }
    }

    /// Waits until the server says one of these of its health. False where the process ends before that.
    pub async fn comes_up(&mut self, wanted: &[u16]) -> bool {
        for _ in 0..600 {
            if self.client.health().await.is_some_and(|status| wanted.contains(&status)) {
                return true;
            }
            if self.process.has_ended() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server did not come up:\n{}", self.log());
    }

    /// Registers the plugin, which will say that it is of this version.
    pub async fn register(&self, version: &str) {
        let digest = digest(&self.folder.path().join("plugins").join(PLUGIN));
        let env = [format!("AI_TEST_VERSION={version}")];
        let body = json!({"sha256": digest, "command": PLUGIN, "version": version, "env": env});
        self.write(&format!("sys/plugins/catalog/secret/{PLUGIN}"), body).await;
    }

    pub async fn enable(&self, path: &str) {
        self.write(&format!("sys/mounts/{path}"), json!({"type": PLUGIN})).await;
    }

    /// Moves the plugin's clock to so many seconds from the real one.
    pub fn set_clock(&self, offset: Duration) {
        std::fs::write(self.folder.path().join("clock"), offset.as_secs().to_string()).expect("written");
    }

    /// The plugin will stop at the next of these steps.
    pub fn hold_at(&self, step: &str) {
        std::fs::write(self.folder.path().join("steps").join(step), "").expect("written");
    }

    /// Waits until the plugin has stopped at the step.
    pub async fn held_at(&self, step: &str) {
        let reached = self.folder.path().join("steps").join(format!("{step}.reached"));
        super::bench::eventually(step, async || reached.exists()).await;
    }

    pub fn let_go(&self, step: &str) {
        std::fs::remove_file(self.folder.path().join("steps").join(format!("{step}.reached"))).expect("was held");
    }

    /// Process ids of the plugin: the server's children.
    pub fn plugin_pids(&self) -> Vec<u32> {
        self.process.children()
    }

    /// What kill -9 does to the plugin's processes; the server lives. Returns once the server has started the plugin
    /// again: its first calls may still meet the dead process.
    pub async fn kill_plugin(&self) {
        assert!(kill(&self.plugin_pids()));
        super::bench::eventually("a new process", async || {
            self.call("GET", "ai/info", Value::Null).await.status == 200
        })
        .await;
    }

    /// kill -9 of the server. Its plugin finds itself alone.
    pub fn kill(&mut self) {
        assert!(kill(&[self.process.id()]));
        self.process.wait();
    }

    /// What a machine that loses its power does to the server and its plugin.
    pub fn kill_with_plugin(&mut self) {
        let mut pids = self.plugin_pids();
        pids.insert(0, self.process.id());
        assert!(kill(&pids));
        self.process.wait();
    }

    /// Whether a process of the plugin has a connection to this port of loopback. It keeps one for 30 s after a
    /// request.
    pub fn plugin_is_connected_to(&self, port: u16) -> bool {
        self.plugin_pids().into_iter().any(|pid| connected(pid, port))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).expect("a log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The folder goes, and the log with it.
            let log = std::fs::read_to_string(self.folder.path().join("server.log")).unwrap_or_default();
            let failures = log.lines().filter(|line| line.contains("[WARN]") || line.contains("[ERROR]"));
            println!("--- {} ---\n{}", self.client.url, failures.collect::<Vec<_>>().join("\n"));
        }
    }
}

fn launch(folder: &Folder, arguments: &[String]) -> Process {
    let at = |name: &str| folder.path().join(name);
    let log = File::options().create(true).append(true).open(at("server.log")).expect("opened");
    let child = Command::new(&*BINARY)
        .args(["server", "-log-level=debug", "-config=config.hcl"])
        .args(arguments)
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("AI_TEST_CLOCK", at("clock"))
        .env("AI_TEST_STEPS", at("steps"))
        .stdout(log.try_clone().expect("cloned"))
        .stderr(log)
        .spawn();
    Process::of_child(child.expect("the server starts"))
}

/// From /proc: the process's sockets, and the table of TCP connections, which holds remote port and socket of each.
fn connected(pid: u32, port: u16) -> bool {
    let sockets: HashSet<String> = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    let remote = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.len() > 9 && columns[2].ends_with(&remote) && sockets.contains(columns[9])
    })
}

/// The plugin's binary: the one that `PLUGIN_BIN` names, so that a release is measured as it is, else the one that
/// was built with the tests.
pub fn plugin_binary() -> PathBuf {
    std::env::var_os("PLUGIN_BIN").map_or_else(|| env!("CARGO_BIN_EXE_vault-plugin-secrets-ai").into(), PathBuf::from)
}

/// Puts the plugin's binary into a plugin directory: a link where the file system allows it.
pub fn install(plugins: &Path, name: &str) {
    let binary = plugin_binary();
    let target = plugins.join(name);
    if std::fs::hard_link(&binary, &target).is_err() {
        std::fs::copy(binary, &target).expect("copied");
    }
}

pub fn digest(file: &Path) -> String {
    static DIGEST: LazyLock<Mutex<Option<String>>> = LazyLock::new(Mutex::default);
    let mut digest = DIGEST.lock().expect("not poisoned");
    digest
        .get_or_insert_with(|| {
            let output = Command::new("sha256sum").arg(file).output().expect("sha256sum runs");
            String::from_utf8(output.stdout).expect("text").split_whitespace().next().expect("a digest").to_owned()
        })
        .clone()
}

/// A port that is free, like the one above it, which a server takes for its cluster.
pub fn free_port() -> u16 {
    free_ports(2)
}

/// The first of so many ports in a row that are free. Never the same twice in this process, and below the range that
/// the kernel takes for outgoing connections: one of those, of any test, could take it before the server does.
pub fn free_ports(count: u16) -> u16 {
    const FIRST: u16 = 20_000;
    const PORTS: u32 = 12_000;
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id().wrapping_mul(194)));
    let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
    for _ in 0..PORTS / u32::from(count) {
        let at = NEXT.fetch_add(count.into(), Ordering::SeqCst) % PORTS;
        let first = FIRST + u16::try_from(at).expect("below 12,000");
        if (first..first + count).all(free) {
            return first;
        }
    }
    panic!("no {count} ports in a row are free");
}
