//! Settles what no request will: keys whose creation was cut off, whose lease is gone or whose revocation failed.
//! One task per instance, on the node that writes; woken by the host's tick and after Initialize.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::{Notify, OnceCell};
use tokio::task::JoinHandle;

use super::super::accounts::{Account, retired_key};
use super::super::mount::AiMount;
use super::super::times::{LIVE_GRACE, LOOKS, RETRY, SETTLE, TIDY_BUDGET, UNMOUNT_WAIT};
use super::at_vendor::{end, end_by_name, is_outage, list};
use super::ledger::{AccountId, Held, Row, State};
use crate::logical::{Error, Result};
use crate::providers::{Find, Found, KeyName};

/// Keys ended at the same time; the accounts' own limits come below this.
const CONCURRENCY: usize = 8;

/// The running task; it ends when this is dropped.
pub struct Sweeper {
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Sweeper {
    pub fn start(mount: &Arc<AiMount>) -> Self {
        let wake = Arc::new(Notify::new());
        let task = tokio::spawn(run(Arc::downgrade(mount), wake.clone()));
        Self { wake, task }
    }

    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(mount: Weak<AiMount>, wake: Arc<Notify>) {
    let mut loaded = Loaded::No;
    while let Some(mount) = mount.upgrade() {
        if let Err(error) = tick(&mount, &mut loaded).await {
            tracing::warn!(mount = mount.tag, %error, "the sweep goes on at the next tick");
        }
        drop(mount);
        // A test moves the clock and cannot wait for the host's 60 s.
        #[cfg(feature = "test-build")]
        let _ = tokio::time::timeout(Duration::from_millis(500), wake.notified()).await;
        #[cfg(not(feature = "test-build"))]
        wake.notified().await;
    }
}

/// How much of the ledger the index holds. Whether an account is used is known only where it holds all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loaded {
    No,
    Part,
    All,
}

async fn tick(mount: &AiMount, loaded: &mut Loaded) -> Result<()> {
    if !mount.storage_is_ours().await? {
        *loaded = Loaded::No;
        return Ok(());
    }
    if *loaded == Loaded::No {
        *loaded = if mount.ledger.load().await? { Loaded::All } else { Loaded::Part };
    }
    let draining = mount.running.draining();
    if draining {
        mount.running.idle(UNMOUNT_WAIT).await;
    }
    let round = Round::new(mount, draining);
    let due: Vec<String> =
        mount.ledger.held().into_iter().filter(|(id, held)| round.is_due(id, held)).map(|(id, _)| id).collect();
    futures_util::stream::iter(due).for_each_concurrent(CONCURRENCY, |id| round.settle(id)).await;
    if !draining && *loaded == Loaded::All {
        drop_retired(mount).await?;
    }
    Ok(())
}

/// At the end of an unmount: deletes the key of every row that is left, within `UNMOUNT_WAIT`; names the rest in the log.
pub async fn end_everything(mount: &AiMount) {
    let ended = async {
        mount.running.idle(UNMOUNT_WAIT / 2).await;
        mount.ledger.load().await?;
        let round = Round::new(mount, true);
        let ids: Vec<String> = mount.ledger.held().into_iter().map(|(id, _)| id).collect();
        futures_util::stream::iter(ids).for_each_concurrent(CONCURRENCY, |id| round.settle(id)).await;
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

/// One pass over the rows: one listing an account at the most, and no second try at an account that is out.
struct Round<'a> {
    mount: &'a AiMount,
    /// The mount goes away: whatever is left is due now.
    last: bool,
    listings: Mutex<HashMap<AccountId, Arc<OnceCell<Vec<Found>>>>>,
    out: Mutex<HashSet<AccountId>>,
}

impl<'a> Round<'a> {
    fn new(mount: &'a AiMount, last: bool) -> Self {
        Self { mount, last, listings: Mutex::default(), out: Mutex::default() }
    }

    fn is_due(&self, id: &str, held: &Held) -> bool {
        let age = self.mount.clock.monotonic().saturating_sub(held.seen);
        match held.state {
            State::Minting if self.mount.running.contains(id) => false,
            State::Minting | State::Revoking if self.last => true,
            State::Minting => LOOKS.get(held.tries as usize).is_none_or(|look| age >= *look),
            State::Revoking => age >= backoff(held.tries),
            State::Live => {
                self.mount.clock.now() > held.deadline + LIVE_GRACE
                    && self.mount.uptime() >= SETTLE
                    && (held.tries == 0 || age >= backoff(held.tries))
            }
        }
    }

    async fn settle(&self, id: String) {
        if let Err(error) = self.try_settle(&id).await {
            tracing::warn!(mount = self.mount.tag, id, %error, "a key could not be settled yet");
        }
    }

    async fn try_settle(&self, id: &str) -> Result<()> {
        let ledger = &self.mount.ledger;
        let _lock = ledger.locks.write(id).await;
        let Some(row) = ledger.get(id).await? else { return Ok(()) };
        if !self.last && row.state == State::Live && self.mount.clock.now() <= row.deadline + LIVE_GRACE {
            return Ok(());
        }
        let of = row.account();
        if self.lock(&self.out).contains(&of) {
            return Ok(());
        }
        let accounts = &self.mount.accounts;
        let account = accounts.of_generation(self.mount.storage.as_ref(), &row.config, &row.generation).await?;
        let settled = match row.key.clone() {
            Some(key) => {
                // Counted before it is tried: a failure may end this task.
                ledger.tried(id);
                end(self.mount, &account, &key.into()).await.map(|_| true)
            }
            None => self.look(&row, &account, &of).await,
        };
        match settled {
            Ok(true) => ledger.delete(id).await,
            Ok(false) => Ok(()),
            Err(error) => {
                if is_outage(&error) {
                    self.lock(&self.out).insert(of);
                }
                Err(error)
            }
        }
    }

    /// Looks for the key of a row that does not know whether it was made. True: it is gone for certain.
    async fn look(&self, row: &Row, account: &Account, of: &AccountId) -> Result<bool> {
        let ledger = &self.mount.ledger;
        let expired = row.vendor_expiry.is_some_and(|expiry| self.mount.clock.now() > expiry);
        if account.vendor.about().can.find == Find::Never {
            return Ok(expired);
        }
        let cell = self.lock(&self.listings).entry(of.clone()).or_default().clone();
        let listing = cell.get_or_try_init(|| list(self.mount, account, TIDY_BUDGET)).await?;
        if end_by_name(self.mount, account, &KeyName(row.name.clone()), listing).await? > 0 {
            return Ok(true);
        }
        // Not found proves nothing: the listing lags, or the request is in flight.
        let looks = ledger.tried(&row.id);
        Ok(expired || (!self.last && looks as usize >= LOOKS.len()))
    }

    fn lock<'m, T>(&self, mutex: &'m Mutex<T>) -> std::sync::MutexGuard<'m, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From the first sight of the row to try number `tries`.
fn backoff(tries: u32) -> Duration {
    let (first, longest) = RETRY;
    // The sum of a doubling series, then one try an hour.
    let doubled = first.saturating_mul(2u32.saturating_pow(tries.min(6)).saturating_sub(1));
    doubled + longest.saturating_mul(tries.saturating_sub(6))
}

/// Drops retired accounts that no row needs any more.
async fn drop_retired(mount: &AiMount) -> Result<()> {
    for folder in mount.storage.list("retired/").await? {
        let name = folder.trim_end_matches('/');
        for generation in mount.storage.list(&format!("retired/{folder}")).await? {
            // No mint may be between reading this generation and storing its row.
            let _lock = mount.config_locks.write(name).await;
            let account = AccountId { config: name.to_owned(), generation: generation.clone() };
            if !mount.ledger.uses(&account) {
                let key = retired_key(name, &generation);
                mount.storage.delete(&key).await?;
                mount.accounts.forget(&key);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_ever_later_then_hourly() {
        let minutes: Vec<u64> = (0..9).map(|tries| backoff(tries).as_secs() / 60).collect();
        assert_eq!(minutes, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
    }
}
