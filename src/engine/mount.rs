use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

use super::accounts::{Accounts, Owner, account_is_gone};
use super::identity::PublishedCache;
use super::keys::ledger::AccountId;
use super::keys::sweep::{self, Sweeper};
use super::keys::{Ledger, Running, naming};
use super::lease::{self, Internal, SecretType};
use super::library;
use super::record;
use super::rotation::Rotations;
use super::times::{TAINTED_WAIT, UNMOUNT_WAIT};
use crate::base::{Clock, Rng};
use crate::framework::{Locks, Mount};
use crate::logical::{Error, Lease, Object, Operation, Response, Result, Setup, Storage, System};

/// The state of one mount in this process.
pub struct AiMount {
    uuid: String,
    /// First part of the name of every key that this mount makes.
    pub tag: String,
    pub storage: Arc<dyn Storage>,
    pub system: Arc<dyn System>,
    pub clock: Arc<dyn Clock>,
    pub rng: Arc<dyn Rng>,
    pub accounts: Accounts,
    /// A mint reads, whoever changes or drops an account writes.
    pub config_locks: Locks,
    pub role_locks: Locks,
    /// What the issuer publishes, kept so that strangers cause no work.
    pub published: PublishedCache,
    /// Held by whoever changes the issuer or its keys.
    pub identity_lock: tokio::sync::Mutex<()>,
    /// Held by whoever replaces a key, by the storage key of what holds it.
    pub rotation_locks: Locks,
    pub rotations: Rotations,
    /// Held by whoever lends a key of a set or changes its keys, by the set's name; by no name whoever adds a key.
    pub library_locks: Locks,
    pub ledger: Ledger,
    pub running: Running,
    /// Tainted was seen: the mount is being disabled or moved, and storage may be another's by now.
    suspect: AtomicBool,
    /// How often Tainted was seen, so that an answer from before the last time clears nothing.
    taints: AtomicU64,
    writer: OnceCell<bool>,
    sweeper: Mutex<Option<Sweeper>>,
    /// Held by the one tidy that may run.
    pub tidying: tokio::sync::Mutex<()>,
    started: Duration,
}

/// `meta` in storage: whose storage this is. Missing after a move across namespaces, of which the host tells nobody.
#[derive(Serialize, Deserialize)]
struct Meta {
    mount_uuid: String,
}

const META: &str = "meta";

impl AiMount {
    pub fn new(setup: Setup, clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        Self {
            tag: naming::tag(&setup.uuid),
            uuid: setup.uuid,
            ledger: Ledger::new(setup.storage.clone(), clock.clone()),
            storage: setup.storage,
            system: setup.system,
            accounts: Accounts::default(),
            config_locks: Locks::default(),
            role_locks: Locks::default(),
            published: PublishedCache::default(),
            identity_lock: tokio::sync::Mutex::default(),
            rotation_locks: Locks::default(),
            rotations: Rotations::default(),
            library_locks: Locks::default(),
            running: Running::default(),
            suspect: AtomicBool::new(false),
            taints: AtomicU64::new(0),
            writer: OnceCell::new(),
            sweeper: Mutex::default(),
            tidying: tokio::sync::Mutex::default(),
            started: clock.monotonic(),
            clock,
            rng,
        }
    }

    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// How long this instance has been there.
    pub fn uptime(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    /// Whether this node writes the mount's storage. Fixed for an instance: a promotion makes a new one.
    pub async fn is_writer(&self) -> Result<bool> {
        let asked = || async {
            let state = self.system.replication_state().await?;
            Ok(state.writes(self.system.local_mount().await?))
        };
        self.writer.get_or_try_init(asked).await.copied()
    }

    /// Fails with `ReadOnly` on a node that does not write; the host then forwards the request.
    pub async fn must_write(&self) -> Result<()> {
        if self.is_writer().await? { Ok(()) } else { Err(Error::ReadOnly) }
    }

    /// Whether storage is still this mount's.
    pub async fn storage_is_ours(&self) -> Result<bool> {
        let meta = record::get::<Meta>(self.storage.as_ref(), META).await?;
        Ok(meta.is_some_and(|meta| meta.mount_uuid == self.uuid))
    }

    /// The account that a key was made with.
    pub async fn owner(&self, of: &AccountId) -> Result<Owner> {
        let owner = self.accounts.of_generation(self.storage.as_ref(), of).await?;
        owner.ok_or_else(|| account_is_gone(of))
    }

    fn sweeper(&self) -> std::sync::MutexGuard<'_, Option<Sweeper>> {
        self.sweeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the sweep look at once, where it runs.
    pub fn wake_sweep(&self) {
        if let Some(sweeper) = &*self.sweeper() {
            sweeper.wake();
        }
    }

    /// Starts the sweep on the node that writes, or wakes it. Initialize may have failed, and a task may have panicked.
    async fn sweep(self: &Arc<Self>) -> Result<()> {
        if !self.is_writer().await? {
            return Ok(());
        }
        if let Some(sweeper) = self.sweeper().as_ref().filter(|sweeper| sweeper.is_running()) {
            sweeper.wake();
            return Ok(());
        }
        let meta = Meta { mount_uuid: self.uuid.clone() };
        match record::put(self.storage.as_ref(), META.into(), &meta, false).await {
            // A standby of a host that did not say so: nothing to do here.
            Err(Error::ReadOnly) => return Ok(()),
            written => written?,
        }
        let sweeper = Sweeper::start(self);
        *self.sweeper() = Some(sweeper);
        Ok(())
    }

    /// After Tainted was seen nothing works until it is gone and storage is still ours; but leases are revoked.
    async fn admit_suspect(&self, operation: &Operation) -> Result<()> {
        let taints = self.taints.load(Ordering::SeqCst);
        let tainted = self.system.tainted().await?;
        if !self.storage_is_ours().await? {
            return Err(Error::Unavailable(
                "this mount's storage was moved: run `vault write sys/plugins/reload/backend mounts=<path>` with the mount's new path".into(),
            ));
        }
        if !tainted && taints == self.taints.load(Ordering::SeqCst) {
            self.suspect.store(false, Ordering::SeqCst);
            self.running.set_draining(false);
            return Ok(());
        }
        match operation {
            Operation::Revoke => Ok(()),
            _ => Err(Error::Unavailable("this mount is being disabled or moved".into())),
        }
    }
}

#[async_trait]
impl Mount for AiMount {
    fn label(&self) -> &str {
        &self.tag
    }

    async fn admit(&self, operation: &Operation) -> Result<()> {
        if self.suspect.load(Ordering::SeqCst) {
            self.admit_suspect(operation).await?;
        }
        match operation {
            Operation::Create | Operation::Update | Operation::Patch | Operation::Delete => self.must_write().await,
            _ => Ok(()),
        }
    }

    async fn initialize(self: Arc<Self>) -> Result<()> {
        // A process that starts in the middle of an unmount or a move learns of it here.
        self.clone().rollback().await
    }

    async fn rollback(self: Arc<Self>) -> Result<()> {
        if self.system.tainted().await? {
            self.taints.fetch_add(1, Ordering::SeqCst);
            self.suspect.store(true, Ordering::SeqCst);
            self.running.set_draining(true);
            self.accounts.forget_all();
            self.published.forget_all();
            self.ledger.forget();
            // Storage may not be this mount's any more, so `meta` is not written now; a sweep that runs reads it first.
            self.wake_sweep();
            return Ok(());
        } else if self.suspect.load(Ordering::SeqCst) {
            // Not ours any more: nothing may be written here, least of all the row that says whose it is.
            self.admit_suspect(&Operation::Rollback).await?;
        }
        self.sweep().await
    }

    async fn renew(self: Arc<Self>, lease: Lease, data: Object) -> Result<Response> {
        let internal = Internal::read(&lease.internal)?;
        match internal.secret_type {
            SecretType::ApiKey => lease::renew(&self, internal, lease, data).await,
            SecretType::Library => library::renew(&self, &internal, lease, data).await,
        }
    }

    async fn revoke(self: Arc<Self>, lease: Lease, data: Object) -> Result<Response> {
        let internal = Internal::read(&lease.internal)?;
        match internal.secret_type {
            SecretType::ApiKey => lease::revoke(&self, internal, &data).await,
            SecretType::Library => library::revoke(&self, &internal).await,
        }
    }

    fn invalidate(&self, key: &str) {
        self.accounts.forget(key);
        self.published.forget(key);
    }

    async fn cleanup(&self) {
        let sweeper = self.sweeper().take();
        let suspect = self.suspect.load(Ordering::SeqCst);
        // A host that is going away may not answer.
        let tainted = tokio::time::timeout(TAINTED_WAIT, self.system.tainted()).await;
        let tainted = tainted.ok().and_then(std::result::Result::ok).unwrap_or(suspect);
        if !tainted || !self.is_writer().await.unwrap_or(false) {
            return;
        }
        match self.storage_is_ours().await {
            Ok(true) => {
                self.running.set_draining(true);
                if let Some(sweeper) = sweeper {
                    sweeper.end(UNMOUNT_WAIT / 2).await;
                }
                sweep::end_everything(self).await;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(mount = self.tag, %error, "keys may be left at the vendor: storage does not answer")
            }
        }
    }
}
