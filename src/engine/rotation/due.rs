//! What is due by itself, on the node that writes, once a tick.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;

use super::super::accounts::{Account, config_key};
use super::super::keys::ledger::{RowKind, State, retry};
use super::super::mount::AiMount;
use super::super::times::{AGE_LOGGED_EVERY, LONGEST_PENDING_WAIT, STATIC_TICK};
use super::proof::Progress;
use super::replace::{self, replace, static_key, stored};
use super::root::{current, end_previous, rotate};
use crate::base::Clock;
use crate::logical::Result;

/// Accounts that are rotated at the same time.
const CONCURRENCY: usize = 4;
/// Static roles that are rotated at the same time; the accounts' own limits come below this.
const STATIC_CONCURRENCY: usize = 8;

/// What this instance remembers of rotations: when to try again what has failed.
#[derive(Default)]
pub struct Rotations(Mutex<HashMap<String, Seen>>);

#[derive(Clone, Default)]
struct Seen {
    tries: u32,
    /// Not to be tried by itself before, on the monotonic clock.
    next: Duration,
    /// Why it has failed, or why it is not done yet.
    why: Option<String>,
    /// When the log was told of the credential's age.
    told: Option<Duration>,
}

impl Rotations {
    /// Why the last rotation of what is stored at this key came to nothing.
    pub fn failure(&self, name: &str) -> Option<String> {
        self.map().get(name)?.why.clone()
    }

    pub fn succeeded(&self, name: &str) {
        if let Some(seen) = self.map().get_mut(name) {
            *seen = Seen { told: seen.told, ..Seen::default() };
        }
    }

    fn failed(&self, name: &str, why: String, clock: &dyn Clock) {
        self.again(name, why, Duration::MAX, clock);
    }

    /// Not yet done: looked at again soon, however often it had failed before.
    fn waits(&self, name: &str, why: String, clock: &dyn Clock) {
        self.again(name, why, LONGEST_PENDING_WAIT, clock);
    }

    fn again(&self, name: &str, why: String, longest: Duration, clock: &dyn Clock) {
        let mut map = self.map();
        let seen = map.entry(name.to_owned()).or_default();
        seen.tries += 1;
        seen.next = clock.monotonic() + retry(seen.tries).min(longest);
        seen.why = Some(why);
    }

    fn may_try(&self, name: &str, clock: &dyn Clock) -> bool {
        self.map().get(name).is_none_or(|seen| clock.monotonic() >= seen.next)
    }

    /// Whether the log is to be told of this config's age now.
    fn tells(&self, name: &str, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        let mut map = self.map();
        let seen = map.entry(name.to_owned()).or_default();
        let tells = seen.told.is_none_or(|told| now >= told + AGE_LOGGED_EVERY);
        if tells {
            seen.told = Some(now);
        }
        tells
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes on with what was cut off, rotates what is due, and lets go of what is over.
pub async fn tend(mount: &AiMount) -> Result<()> {
    let (accounts, roles) = tokio::join!(tend_accounts(mount), tend_static_roles(mount));
    accounts.and(roles)
}

/// The static roles that are due, those that have waited longest first, as many as a tick has time for.
async fn tend_static_roles(mount: &AiMount) -> Result<()> {
    let mut due = Vec::new();
    let mut rows = static_rows(mount);
    for name in mount.storage.list("static/").await? {
        // One that cannot be read says so to whoever uses it.
        let Ok(Some(role)) = stored(mount, &name).await else { continue };
        rows.retain(|id| !role.holds(id));
        let now = mount.clock.now();
        let rotates = role.rotates(now) && mount.rotations.may_try(&static_key(&name), mount.clock.as_ref());
        if rotates || role.lets_go(now) {
            // What was begun goes first.
            due.push((!role.begun, role.schedule.next(role.since(), now), name, rotates));
        }
    }
    for id in rows {
        // About one role's record: the others do not wait for it.
        if let Err(error) = let_go_unheld(mount, &id).await {
            tracing::warn!(mount = mount.tag, id, %error, "the key of a static role is left alone");
        }
    }
    due.sort();
    let ends = mount.clock.monotonic() + STATIC_TICK;
    futures_util::stream::iter(due)
        .for_each_concurrent(STATIC_CONCURRENCY, async |(_, _, name, rotates)| {
            if mount.clock.monotonic() < ends {
                tend_static_role(mount, &name, rotates).await;
            }
        })
        .await;
    Ok(())
}

/// Rows of static keys that somebody should hold.
fn static_rows(mount: &AiMount) -> Vec<String> {
    let held = mount.ledger.held().into_iter();
    let live = held
        .filter(|(id, held)| held.kind == RowKind::Static && held.state == State::Live && !mount.running.contains(id));
    live.map(|(id, _)| id).collect()
}

/// A deletion of a role that was cut off leaves keys that nobody holds.
async fn let_go_unheld(mount: &AiMount, id: &str) -> Result<()> {
    let Some(row) = mount.ledger.get(id).await? else { return Ok(()) };
    let _alone = mount.rotation_locks.write(&static_key(&row.role)).await;
    // Looked at again under the lock: it may have been made since.
    match stored(mount, &row.role).await? {
        Some(role) if role.holds(id) => Ok(()),
        _ => mount.ledger.let_go(id, None).await,
    }
}

async fn tend_static_role(mount: &AiMount, name: &str, rotates: bool) {
    let key = static_key(name);
    match replace_due(mount, name, rotates).await {
        Ok(None) => {}
        Ok(Some(Progress::Switched(()))) => mount.rotations.succeeded(&key),
        Ok(Some(Progress::Pending(why))) => mount.rotations.waits(&key, why, mount.clock.as_ref()),
        Err(error) => {
            tracing::warn!(mount = mount.tag, role = name, %error, "a static role's rotation is tried again");
            mount.rotations.failed(&key, error.to_string(), mount.clock.as_ref());
        }
    }
}

/// Lets go of what is over, and rotates the role if that is due and may be tried.
async fn replace_due(mount: &AiMount, name: &str, rotates: bool) -> Result<Option<Progress>> {
    let _alone = mount.rotation_locks.write(&static_key(name)).await;
    // It may have been written or rotated since.
    let Some(role) = stored(mount, name).await? else { return Ok(None) };
    // First: what is over makes place, and does not wait for a vendor that makes nothing now.
    let role = replace::end_previous(mount, name, role).await?;
    if !rotates || !role.rotates(mount.clock.now()) {
        return Ok(None);
    }
    replace(mount, name, role, Duration::ZERO, None).await.map(Some)
}

async fn tend_accounts(mount: &AiMount) -> Result<()> {
    let names = mount.storage.list("config/").await?;
    futures_util::stream::iter(names)
        .for_each_concurrent(CONCURRENCY, async |name| {
            if let Err(error) = tend_one(mount, &name).await {
                tracing::warn!(mount = mount.tag, config = name, %error, "an account's rotation is looked at again");
            }
        })
        .await;
    Ok(())
}

async fn tend_one(mount: &AiMount, name: &str) -> Result<()> {
    // One that cannot be opened says so to whoever uses it.
    let Ok(account) = current(mount, name).await else { return Ok(()) };
    tell_age(mount, &account);
    if is_due(mount, &account) && mount.rotations.may_try(&config_key(name), mount.clock.as_ref()) {
        let outcome = rotate(mount, name, None).await;
        match outcome {
            Ok(Progress::Switched(_)) => mount.rotations.succeeded(&config_key(name)),
            Ok(Progress::Pending(why)) => mount.rotations.waits(&config_key(name), why, mount.clock.as_ref()),
            Err(error) => {
                mount.rotations.failed(&config_key(name), error.to_string(), mount.clock.as_ref());
                return Err(error);
            }
        }
    }
    // As it was before: what a rotation just now has replaced is not over yet.
    if account.config.admin.previous.is_empty() {
        return Ok(());
    }
    let _alone = mount.rotation_locks.write(&config_key(name)).await;
    let Ok(account) = current(mount, name).await else { return Ok(()) };
    end_previous(mount, &account).await.map(drop)
}

fn is_due(mount: &AiMount, account: &Account) -> bool {
    let (config, now) = (&account.config, mount.clock.now());
    let due = || config.schedule.next(config.credential_since(), now).is_some_and(|next| next <= now);
    config.admin.pending.is_some() || due()
}

fn tell_age(mount: &AiMount, account: &Account) {
    let has_credential = account.parsed.credential_field.is_some();
    let Some(warning) = account.config.age_warning(&account.name, mount.clock.now()).filter(|_| has_credential) else {
        return;
    };
    if mount.rotations.tells(&config_key(&account.name), mount.clock.as_ref()) {
        tracing::warn!(mount = mount.tag, config = account.name, "{warning}");
    }
}
