use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host::{Host, HostLease, Mount, Options, Reply};
use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::simulator::{Simulator, try_key};

/// The plugin's real process under the test host, one vendor, and a clock that both follow.
pub struct Scene {
    pub case: Case,
    pub simulator: Simulator,
    pub host: Host,
    pub mount: Mount,
    folder: TempDir,
    offset: Duration,
}

impl Scene {
    pub async fn new(case: &Case) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let steps = folder.path().join("steps");
        fs::create_dir(&steps).expect("made");
        let options = Options::plugin()
            .env("AI_TEST_CLOCK", folder.path().join("clock").to_str().expect("UTF-8"))
            .env("AI_TEST_STEPS", steps.to_str().expect("UTF-8"));
        let host = Host::start(options).await;
        let mount = host.mount("0a1b2c3d-0000-4000-8000-000000000000").await;
        let simulator = Simulator::start();
        mount.write("config/main", case.config(&simulator.url)).await.expect(204);
        let mut role = case.role("main");
        role["ttl"] = "10m".into();
        role["max_ttl"] = "1h".into();
        mount.write("roles/dev", role).await.expect(204);
        Self { case: *case, simulator, host, mount, folder, offset: Duration::ZERO }
    }

    pub async fn lease(&self) -> HostLease {
        self.mount.lease("creds/dev").await
    }

    /// Kills the process with SIGKILL while it stands at a step of what `request` made it do; then a new one starts.
    pub async fn crash_at(&self, step: &str, request: impl Future<Output = Reply> + Send + 'static) {
        fs::write(self.step(step), "").expect("written");
        let request = tokio::spawn(request);
        let reached = self.step(&format!("{step}.reached"));
        eventually(step, async || reached.exists()).await;
        self.host.kill9().await;
        let reply = request.await.expect("an end");
        assert!(reply.status >= 500, "{step}: the caller got no answer, not {}", reply.status);
        fs::remove_file(reached).expect("removed");
        self.host.restart().await;
    }

    /// Drops the caller's connection while the plugin stands at a step; the plugin goes on.
    pub async fn hang_up_at(&self, step: &str, request: impl Future<Output = Reply> + Send + 'static) {
        fs::write(self.step(step), "").expect("written");
        let request = tokio::spawn(request);
        let reached = self.step(&format!("{step}.reached"));
        eventually(step, async || reached.exists()).await;
        request.abort();
        // The reset of the stream has to arrive.
        tokio::time::sleep(Duration::from_millis(100)).await;
        fs::remove_file(reached).expect("removed");
        // What it was about to do it has done once the row is not being minted any more.
        let settled = async || self.rows().iter().all(|row| row["state"] != "minting");
        tokio::time::sleep(Duration::from_millis(300)).await;
        eventually("the mint ends", settled).await;
    }

    /// A mint in a task of its own.
    pub fn mint(&self) -> impl Future<Output = Reply> + Send + 'static {
        let mount = self.mount.clone();
        async move { mount.client_request("read", "creds/dev", json!({})).await }
    }

    /// Moves the clock of plugin and vendor; the sweep of a test build looks at it every half second.
    pub async fn advance(&mut self, minutes: u64) {
        // What the new process has to see first, it sees before the clock moves.
        self.swept().await;
        self.offset += Duration::from_secs(60 * minutes);
        fs::write(self.folder.path().join("clock"), self.offset.as_secs().to_string()).expect("written");
        self.simulator.settings(json!({"clock_offset_seconds": self.offset.as_secs()})).await;
        self.swept().await;
    }

    /// Moves the plugin's clock alone, once it is awaited.
    pub fn later(&mut self, minutes: u64) -> impl Future<Output = ()> + Send + 'static {
        self.offset += Duration::from_secs(60 * minutes);
        let (clock, offset) = (self.folder.path().join("clock"), self.offset.as_secs().to_string());
        async move { fs::write(clock, offset).expect("written") }
    }

    /// Waits until a whole sweep has run after now.
    async fn swept(&self) {
        self.mount.rollback().await.expect(204);
        tokio::time::sleep(Duration::from_millis(900)).await;
    }

    pub async fn keys(&self) -> usize {
        self.simulator.live(self.case.provider).await.len()
    }

    pub fn rows(&self) -> Vec<Value> {
        let keys = self.mount.storage.under("ledger/");
        keys.iter().filter_map(|key| self.mount.storage.json(key)).collect()
    }

    pub async fn gone(&self) {
        eventually("no key at the vendor", async || self.keys().await == 0).await;
        eventually("no row", async || self.rows().is_empty()).await;
    }

    /// Through all looks of the sweep: no key after the first, no row after the last at the latest. Where the vendor made
    /// only what goes with a key, nothing proves that no key will show.
    pub async fn found_and_gone(&mut self) {
        self.advance(3).await;
        eventually("no key at the vendor", async || self.keys().await == 0).await;
        for minutes in [10, 55] {
            self.advance(minutes).await;
        }
        self.gone().await;
    }

    pub async fn works(&self, lease: &HostLease) -> bool {
        let text = |field: &str| lease.data[field].as_str().expect("text").to_owned();
        try_key(&text("base_url"), &text("api_key"), self.case.model).await == 200
    }

    fn step(&self, name: &str) -> PathBuf {
        self.folder.path().join("steps").join(name)
    }
}
