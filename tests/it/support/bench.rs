//! One mount in memory over the vendor simulator, with a clock that tests move.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::Utc;
use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::{Clock, Secret, SystemRng, Time};
use vault_plugin_secrets_ai::engine::factory_with;
use vault_plugin_secrets_ai::logical::{
    Alias, Backend, Entity, Entry, Error, Lease, MemoryStorage, Object, Operation, ReplicationState, Request, Response,
    Result, Setup, Storage, System,
};

use super::case::Case;
use super::simulator::Simulator;

/// A condition that is not true after so long never will be, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a write lets others go on; a read does so once.
const PUT_YIELDS: u32 = 8;

pub const UUID: &str = "0a1b2c3d-0000-4000-8000-000000000000";

/// What outlives a plugin process: storage, clock, vendor.
pub struct Bench {
    pub simulator: Simulator,
    pub storage: Arc<FaultyStorage>,
    pub system: Arc<TestSystem>,
    pub clock: Arc<TestClock>,
}

/// A mount as one process sees it.
pub struct Mounted {
    backend: Arc<dyn Backend>,
    clock: Arc<TestClock>,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            simulator: Simulator::start(),
            storage: Arc::new(FaultyStorage::default()),
            system: Arc::new(TestSystem::default()),
            clock: Arc::new(TestClock { start: Instant::now(), offset: AtomicU64::new(0) }),
        }
    }

    /// A new process: the same storage, nothing else kept.
    pub async fn mount(&self) -> Mounted {
        let setup = Setup {
            config: Default::default(),
            uuid: UUID.into(),
            storage: self.storage.clone(),
            system: self.system.clone(),
        };
        let backend = factory_with(self.clock.clone(), Arc::new(SystemRng))(setup).expect("a backend");
        backend.initialize().await.expect("initialized");
        Mounted { backend, clock: self.clock.clone() }
    }

    /// A mount with one vendor's config `main` and role `dev`.
    pub async fn mount_with(&self, case: &Case) -> Mounted {
        let mount = self.mount().await;
        mount.write("config/main", case.config(&self.simulator.url)).await.expect("a config");
        let mut role = case.role("main");
        role["ttl"] = "10m".into();
        role["max_ttl"] = "1h".into();
        mount.write("roles/dev", role).await.expect("a role");
        mount
    }

    /// Moves both clocks, ours and the vendor's.
    pub async fn advance(&self, by: Duration) {
        self.clock.offset.fetch_add(by.as_secs(), Ordering::SeqCst);
        let offset = self.clock.offset.load(Ordering::SeqCst);
        self.simulator.settings(json!({"clock_offset_seconds": offset})).await;
    }

    /// What is stored below a folder.
    pub async fn storage_list(&self, folder: &str) -> Vec<String> {
        self.storage.list(folder).await.expect("listed")
    }

    /// Ids of the rows in the ledger.
    pub async fn rows(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for shard in self.storage.list("ledger/").await.expect("listed") {
            ids.extend(self.storage.list(&format!("ledger/{shard}")).await.expect("listed"));
        }
        ids
    }
}

impl Mounted {
    pub async fn send(&self, operation: Operation, path: &str, data: Value) -> Result<Response> {
        self.send_as(&Caller::default(), operation, path, data).await
    }

    pub async fn send_as(&self, caller: &Caller, operation: Operation, path: &str, data: Value) -> Result<Response> {
        let mut request = Request::new(operation, path);
        request.data = data.as_object().cloned().unwrap_or_default();
        request.display_name = "token-test".into();
        caller.accessor.clone_into(&mut request.accessor);
        caller.entity.clone_into(&mut request.entity_id);
        self.backend.handle(request).await
    }

    pub async fn read(&self, path: &str) -> Result<Response> {
        self.send(Operation::Read, path, Value::Null).await
    }

    pub async fn write(&self, path: &str, data: Value) -> Result<Response> {
        self.send(Operation::Update, path, data).await
    }

    pub async fn delete(&self, path: &str) -> Result<Response> {
        self.send(Operation::Delete, path, Value::Null).await
    }

    /// Whether a write to this path would change something or make it, as the host asks before each.
    pub async fn exists(&self, path: &str) -> Result<Option<bool>> {
        self.backend.exists(&Request::new(Operation::Create, path)).await
    }

    /// A credential as the host would store it.
    pub async fn creds(&self) -> Result<Issued> {
        Ok(self.stored(self.read("creds/dev").await?))
    }

    /// A key of a library as the host would store it.
    pub async fn check_out(&self, caller: &Caller, set: &str, data: Value) -> Result<Issued> {
        let path = format!("library/{set}/check-out");
        Ok(self.stored(self.send_as(caller, Operation::Update, &path, data).await?))
    }

    fn stored(&self, response: Response) -> Issued {
        let mut lease = response.lease.expect("a lease");
        lease.issue_time = Some(self.clock.now());
        Issued { lease, data: response.data.expect("data"), warnings: response.warnings }
    }

    pub async fn renew(&self, issued: &Issued, increment: Duration) -> Result<Response> {
        let mut request = Request::new(Operation::Renew, "creds/dev");
        request.lease = Some(Lease { increment, ..issued.lease.clone() });
        request.data = issued.data.clone();
        self.backend.handle(request).await
    }

    pub async fn revoke(&self, issued: &Issued) -> Result<Response> {
        let mut request = Request::new(Operation::Revoke, "creds/dev");
        request.lease = Some(issued.lease.clone());
        request.data = issued.data.clone();
        self.backend.handle(request).await
    }

    /// The host's tick.
    pub async fn tick(&self) {
        self.backend.handle(Request::new(Operation::Rollback, "")).await.expect("a tick");
    }

    /// Another node has changed a stored key.
    pub fn invalidate(&self, key: &str) {
        self.backend.invalidate(key);
    }

    pub async fn cleanup(&self) {
        self.backend.cleanup().await;
    }
}

/// Whose token a request carries; nobody's by default.
#[derive(Clone, Default)]
pub struct Caller {
    pub accessor: String,
    pub entity: String,
}

pub struct Issued {
    pub lease: Lease,
    pub data: Object,
    pub warnings: Vec<String>,
}

impl Issued {
    pub fn text(&self, field: &str) -> &str {
        self.data[field].as_str().expect("text")
    }
}

/// Waits for what a task in the background does; the condition, not the time, decides.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never came true: {what}");
}

/// Lets minutes go by until it is true: what is on its way when the clock is moved is tried again a minute later.
pub async fn ticks_until<F: Future<Output = bool>>(
    bench: &Bench,
    mount: &Mounted,
    what: &str,
    condition: impl Fn() -> F,
) {
    eventually(what, async || {
        bench.advance(Duration::from_secs(60)).await;
        mount.tick().await;
        condition().await
    })
    .await;
}

pub struct TestClock {
    start: Instant,
    offset: AtomicU64,
}

impl TestClock {
    fn offset(&self) -> Duration {
        Duration::from_secs(self.offset.load(Ordering::SeqCst))
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        Utc::now() + self.offset()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed() + self.offset()
    }
}

/// Storage whose writes can be made to fail.
#[derive(Default)]
pub struct FaultyStorage {
    memory: MemoryStorage,
    /// Fails the write number so many from now on, one of that number.
    pub fail_put: Mutex<Option<u32>>,
    pub read_only: AtomicBool,
    /// Reading what ends in this panics.
    pub panics_at: Mutex<Option<String>>,
    /// How often a record of the issuer was read.
    pub identity_reads: AtomicU32,
}

#[async_trait]
impl Storage for FaultyStorage {
    async fn get(&self, key: &str) -> Result<Option<Secret>> {
        if key.starts_with("identity/") {
            self.identity_reads.fetch_add(1, Ordering::SeqCst);
        }
        let panics_at = self.panics_at.lock().expect("not poisoned").clone();
        if panics_at.is_some_and(|end| key.ends_with(&end)) {
            panic!("{key} is read");
        }
        // A host's storage takes its time, and others go on meanwhile.
        tokio::task::yield_now().await;
        self.memory.get(key).await
    }

    async fn put(&self, entry: Entry) -> Result<()> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(Error::ReadOnly);
        }
        {
            let mut left = self.fail_put.lock().expect("not poisoned");
            if let Some(count) = *left {
                *left = count.checked_sub(1);
                if count == 0 {
                    return Err(Error::Storage("disk full".into()));
                }
            }
        }
        // And for longer over a write.
        for _ in 0..PUT_YIELDS {
            tokio::task::yield_now().await;
        }
        self.memory.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        if self.read_only.load(Ordering::SeqCst) {
            return Err(Error::ReadOnly);
        }
        self.memory.delete(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        self.memory.list(prefix).await
    }

    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>> {
        self.memory.list_page(prefix, after, limit).await
    }
}

pub struct TestSystem {
    pub tainted: AtomicBool,
    pub replication: AtomicU64,
    /// Seconds.
    pub max_ttl: AtomicU64,
}

impl Default for TestSystem {
    fn default() -> Self {
        Self {
            tainted: AtomicBool::new(false),
            replication: AtomicU64::new(12288),
            max_ttl: AtomicU64::new(32 * 86400),
        }
    }
}

#[async_trait]
impl System for TestSystem {
    async fn default_lease_ttl(&self) -> Result<Duration> {
        self.max_lease_ttl().await
    }

    async fn max_lease_ttl(&self) -> Result<Duration> {
        Ok(Duration::from_secs(self.max_ttl.load(Ordering::SeqCst)))
    }

    async fn tainted(&self) -> Result<bool> {
        Ok(self.tainted.load(Ordering::SeqCst))
    }

    async fn replication_state(&self) -> Result<ReplicationState> {
        Ok(ReplicationState(self.replication.load(Ordering::SeqCst) as u32))
    }

    async fn local_mount(&self) -> Result<bool> {
        Ok(false)
    }

    async fn entity(&self, id: &str) -> Result<Option<Entity>> {
        let alias = |name: &str| Alias {
            mount_type: "approle".into(),
            mount_accessor: "auth_approle_1".into(),
            name: name.into(),
        };
        Ok((!id.is_empty()).then(|| Entity {
            id: id.into(),
            name: "Alice".into(),
            aliases: vec![alias("alice")],
            ..Entity::default()
        }))
    }

    async fn host_version(&self) -> Result<String> {
        Ok("2.7.2".into())
    }
}
