//! Settles what no request will: keys whose creation was cut off, whose lease is gone or whose revocation failed.
//! One task per instance, on the node that writes; woken by the host's tick and after Initialize.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::super::accounts::retired_key;
use super::super::identity;
use super::super::mount::AiMount;
use super::super::rotation;
use super::super::times::UNMOUNT_WAIT;
use super::ledger::{AccountId, RowKind, State};
use super::round::{Pass, Round};
use crate::logical::{Error, Result};

/// Keys ended at the same time; the accounts' own limits come below this.
const CONCURRENCY: usize = 8;

/// The running task; it ends when this is dropped.
pub struct Sweeper {
    wake: Arc<Notify>,
    ending: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Sweeper {
    pub fn start(mount: &Arc<AiMount>) -> Self {
        let (wake, ending) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(run(Arc::downgrade(mount), wake.clone(), ending.clone()));
        Self { wake, ending, task }
    }

    /// Has it end what it is at, for `limit` at the most: it may be making a key.
    pub async fn end(mut self, limit: Duration) {
        self.ending.store(true, Ordering::SeqCst);
        self.wake.notify_one();
        let _ = tokio::time::timeout(limit, &mut self.task).await;
    }

    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// False after a panic.
    pub fn is_running(&self) -> bool {
        !self.task.is_finished()
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mount: Weak<AiMount>, wake: Arc<Notify>, ending: Arc<AtomicBool>) {
    while let Some(mount) = mount.upgrade().filter(|_| !ending.load(Ordering::SeqCst)) {
        if let Err(error) = tick(&mount).await {
            tracing::warn!(mount = mount.tag, %error, "the sweep goes on at the next tick");
        }
        drop(mount);
        // A test moves the clock and cannot wait for the host's 60 s.
        #[cfg(feature = "test-build")]
        let _ = tokio::time::timeout(std::time::Duration::from_millis(500), wake.notified()).await;
        #[cfg(not(feature = "test-build"))]
        wake.notified().await;
    }
}

async fn tick(mount: &AiMount) -> Result<()> {
    if !mount.storage_is_ours().await? {
        return Ok(());
    }
    if !mount.ledger.is_loaded() {
        mount.ledger.load().await?;
    }
    let draining = mount.running.draining();
    if draining {
        mount.running.idle(UNMOUNT_WAIT).await;
        return settle(mount, Pass::Drain).await;
    }
    // Side by side: a vendor that does not answer holds up nothing but what waits for it.
    let (issuer, rotations, settled) =
        tokio::join!(identity::tend(mount), rotation::tend(mount), settle(mount, Pass::Tick));
    for (what, outcome) in [("the issuer's keys", issuer), ("the rotations", rotations)] {
        if let Err(error) = outcome {
            tracing::warn!(mount = mount.tag, %error, what, "looked at again at the next tick");
        }
    }
    settled?;
    drop_retired(mount).await
}

/// Settles the rows that are due.
async fn settle(mount: &AiMount, pass: Pass) -> Result<()> {
    let round = Round::new(mount, pass);
    let held = mount.ledger.held().into_iter();
    let mut due: Vec<_> = held.filter(|(id, held)| round.is_due(id, held)).map(|(id, held)| (held.tries, id)).collect();
    // What has failed often must not keep the others waiting.
    due.sort();
    futures_util::stream::iter(due).for_each_concurrent(CONCURRENCY, |(_, id)| round.settle(id)).await;
    Ok(())
}

/// Settles these rows at once; returns how many are left to be tried again.
pub async fn settle_now(mount: &AiMount, ids: &[String]) -> Result<usize> {
    let round = Round::new(mount, Pass::Tick);
    let mut left = 0;
    for id in ids {
        round.settle(id.clone()).await;
        left += usize::from(mount.ledger.has(id).await?);
    }
    Ok(left)
}

/// At the end of an unmount: deletes the key of every row that is left, within `UNMOUNT_WAIT`; names the rest in the log.
pub async fn end_everything(mount: &AiMount) {
    let ended = async {
        mount.running.idle(UNMOUNT_WAIT / 2).await;
        mount.ledger.load().await?;
        let round = Round::new(mount, Pass::Final);
        let held = mount.ledger.held();
        let (credentials, keys): (Vec<_>, Vec<_>) = held.into_iter().partition(|(_, held)| held.kind == RowKind::Admin);
        let ids = keys.into_iter().map(|(id, _)| id);
        futures_util::stream::iter(ids).for_each_concurrent(CONCURRENCY, |id| round.settle(id)).await;
        // A credential in use is what the others are ended with, and ends itself.
        for id in rotation::in_use_last(mount, credentials.into_iter().map(|(id, _)| id)).await {
            round.settle(id).await;
        }
        Ok::<_, Error>(())
    };
    match tokio::time::timeout(UNMOUNT_WAIT, ended).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(mount = mount.tag, %error, "the ledger could not be read at unmount"),
        Err(_) => tracing::error!(mount = mount.tag, "the unmount left keys behind: out of time"),
    }
    for (id, held) in mount.ledger.held() {
        let name = mount.ledger.get(&id).await.ok().flatten().map(|row| row.name);
        tracing::error!(mount = mount.tag, id, state = ?held.state, name, "a key may be left at the vendor");
    }
}

/// Drops retired accounts that no row needs any more.
async fn drop_retired(mount: &AiMount) -> Result<()> {
    for folder in mount.storage.list("retired/").await? {
        let name = folder.trim_end_matches('/');
        for generation in mount.storage.list(&format!("retired/{folder}")).await? {
            // No mint may be between reading this generation and storing its row.
            let _lock = mount.config_locks.write(name).await;
            let account = AccountId { config: name.to_owned(), generation: generation.clone() };
            let Some(rows) = mount.ledger.made_with(&account) else { continue };
            // The credential itself may be a key of ours: it goes last, by its own hand, unless another account has it too.
            if rows.iter().all(|(_, held)| held.kind == RowKind::Admin && held.state == State::Live)
                && !rotation::is_needed(mount, &account).await?
            {
                let ids = rotation::in_use_last(mount, rows.iter().map(|(id, _)| id.clone())).await;
                let first = if ids.len() > 1 { &ids[..ids.len() - 1] } else { &ids[..] };
                for id in first {
                    mount.ledger.let_go(id, None).await?;
                }
            }
            // Asked last: an unmount may have begun, and emptied the index, since this round did.
            if rows.is_empty() && !mount.running.draining() {
                let key = retired_key(name, &generation);
                mount.storage.delete(&key).await?;
                mount.accounts.forget(&key);
            }
        }
    }
    Ok(())
}
