//! A real server in dev mode with the real plugin binary. Which server is `VAULT_BIN`'s to say, else `scripts/server`'s.

use std::collections::HashSet;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::case::Case;
use super::simulator::{Reply, Simulator, plain_client};

pub const ROOT: &str = "root-canary-token";
pub const PLUGIN: &str = "vault-plugin-secrets-ai";
pub const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The server's binary.
pub static BINARY: LazyLock<PathBuf> = LazyLock::new(|| match std::env::var_os("VAULT_BIN") {
    Some(path) => path.into(),
    None => {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/server");
        let output = Command::new(script).stderr(Stdio::inherit()).output().expect("scripts/server runs");
        assert!(output.status.success(), "scripts/server found no server");
        String::from_utf8(output.stdout).expect("a path").trim().into()
    }
});

/// A server process; ends with the test.
pub struct Server {
    child: Child,
    pub url: String,
    pub folder: TempDir,
    http: reqwest::Client,
}

impl Server {
    /// With more lines in its settings: its own storage, say.
    pub async fn start(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("vault-ai-").tempdir().expect("a folder");
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).expect("made");
        install(&plugins, PLUGIN);
        for name in ["steps", "raft"] {
            std::fs::create_dir(folder.path().join(name)).expect("made");
        }
        let config = folder.path().join("config.hcl");
        // The second line is OpenBao's, whose audit devices are otherwise declared in the file only.
        let text = format!("plugin_directory = {plugins:?}\nunsafe_allow_api_audit_creation = true\n");
        std::fs::write(&config, text + settings).expect("written");
        let address = format!("127.0.0.1:{}", free_port());
        let log = File::create(folder.path().join("server.log")).expect("made");
        let child = Command::new(&*BINARY)
            .args(["server", "-dev", "-dev-no-store-token", "-log-level=debug"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={address}"))
            .arg(format!("-config={}", config.display()))
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdout(log.try_clone().expect("cloned"))
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let server = Self { child, url: format!("http://{address}"), folder, http: plain_client() };
        server.wait_until_up().await;
        server
    }

    /// Registers the plugin with the test's clock and steps in its environment.
    pub async fn register(&self, version: &str) {
        let folder = self.folder.path();
        let digest = digest(&folder.join("plugins").join(PLUGIN));
        let env = [
            format!("AI_TEST_CLOCK={}", folder.join("clock").display()),
            format!("AI_TEST_STEPS={}", folder.join("steps").display()),
            format!("AI_TEST_VERSION={version}"),
        ];
        let body = json!({"sha256": digest, "command": PLUGIN, "version": version, "env": env});
        self.write(&format!("sys/plugins/catalog/secret/{PLUGIN}"), body).await;
    }

    pub async fn enable(&self, path: &str) {
        self.write(&format!("sys/mounts/{path}"), json!({"type": PLUGIN})).await;
    }

    /// Any request, with any token and headers.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, format!("{}/v1/{path}", self.url));
        if !token.is_empty() {
            request = request.header("X-Vault-Token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = body.iter().fold(request, |request, body| request.json(body));
        let response = request.send().await.expect("the server answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap_or_default();
        Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send(method, path, ROOT, &[], (!body.is_null()).then_some(body)).await
    }

    #[track_caller]
    fn succeeded(what: &str, reply: Reply) -> Value {
        assert!((200..300).contains(&reply.status), "{what}: {} {}", reply.status, reply.body);
        reply.body
    }

    pub async fn read(&self, path: &str) -> Value {
        Self::succeeded(path, self.call("GET", path, Value::Null).await)
    }

    pub async fn list(&self, path: &str) -> Vec<String> {
        let reply = self.call("LIST", path, Value::Null).await;
        serde_json::from_value(reply.body["data"]["keys"].clone()).unwrap_or_default()
    }

    pub async fn write(&self, path: &str, body: Value) -> Value {
        Self::succeeded(path, self.call("POST", path, body).await)
    }

    pub async fn delete(&self, path: &str) -> Value {
        Self::succeeded(path, self.call("DELETE", path, Value::Null).await)
    }

    pub async fn revoke(&self, lease: &Value) -> Reply {
        self.call("POST", "sys/leases/revoke", json!({"lease_id": lease["lease_id"], "sync": true})).await
    }

    pub async fn renew(&self, lease: &Value, increment: u64) -> Reply {
        self.call("POST", "sys/leases/renew", json!({"lease_id": lease["lease_id"], "increment": increment})).await
    }

    /// Restarts the plugin of a mount. A new instance sweeps at once.
    pub async fn reload(&self, mount: &str) {
        self.write("sys/plugins/reload/backend", json!({"mounts": mount})).await;
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

    /// Process ids of the plugin, from the process table: the server's children.
    pub fn plugin_pids(&self) -> Vec<u32> {
        let output = Command::new("ps").args(["-o", "pid=", "--ppid", &self.child.id().to_string()]).output();
        let text = String::from_utf8(output.expect("ps runs").stdout).expect("text");
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
    }

    /// What kill -9 does to the plugin's processes; the server lives.
    pub fn kill_plugin(&self) {
        for pid in self.plugin_pids() {
            let killed = Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill runs");
            assert!(killed.success(), "pid {pid}");
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).expect("a log")
    }

    /// Whether this server can do what not every one can: namespaces, a path of its API, …
    pub async fn can(&self, method: &str, path: &str, body: Value) -> bool {
        (200..300).contains(&self.call(method, path, body).await.status)
    }

    async fn wait_until_up(&self) {
        for _ in 0..300 {
            let health = self.http.get(format!("{}/v1/sys/health", self.url)).send().await;
            if health.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server did not start:\n{}", self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server with the plugin at ai/, and vendors.
pub struct Stage {
    pub server: Server,
    pub simulator: Simulator,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with_settings("").await
    }

    pub async fn with_settings(settings: &str) -> Self {
        let stage = Self { server: Server::start(settings).await, simulator: Simulator::start() };
        stage.server.register(VERSION).await;
        stage.server.enable("ai").await;
        stage
    }

    /// A server, and the vendor's account and role: `config/<provider>`, `roles/<provider>`.
    pub async fn with(case: &Case) -> Self {
        let stage = Self::new().await;
        stage.configure("ai", case).await;
        stage
    }

    pub async fn configure(&self, mount: &str, case: &Case) {
        let name = case.provider;
        self.server.write(&format!("{mount}/config/{name}"), case.config(&self.simulator.url)).await;
        let mut role = case.role(name);
        role["ttl"] = "10m".into();
        role["max_ttl"] = "1h".into();
        self.server.write(&format!("{mount}/roles/{name}"), role).await;
    }

    pub async fn creds(&self, case: &Case) -> Value {
        self.server.read(&format!("ai/creds/{}", case.provider)).await
    }
}

pub fn text<'a>(lease: &'a Value, field: &str) -> &'a str {
    lease["data"][field].as_str().unwrap_or_else(|| panic!("no {field} in {lease}"))
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

/// A port that is free, like the one above it, which a dev server takes too. Never the same twice in this process.
pub fn free_port() -> u16 {
    static GIVEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let port = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("an address").port();
        let both_free = port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok();
        let mut given = GIVEN.lock().expect("not poisoned");
        if both_free && !given.contains(&port) && !given.contains(&(port + 1)) {
            given.extend([port, port + 1]);
            return port;
        }
    }
}
