//! What is due by itself, on the node that writes, once a tick.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;

use super::super::accounts::Account;
use super::super::keys::ledger::retry;
use super::super::mount::AiMount;
use super::super::times::{AGE_LOGGED_EVERY, ROOT_OVERLAP};
use super::root::{Progress, current, end_previous, rotate};
use crate::base::Clock;
use crate::logical::Result;

/// Accounts that are rotated at the same time.
const CONCURRENCY: usize = 4;

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
    /// Why the last try of this config's rotation came to nothing.
    pub fn failure(&self, name: &str) -> Option<String> {
        self.map().get(name)?.why.clone()
    }

    pub fn succeeded(&self, name: &str) {
        if let Some(seen) = self.map().get_mut(name) {
            *seen = Seen { told: seen.told, ..Seen::default() };
        }
    }

    fn failed(&self, name: &str, why: String, clock: &dyn Clock) {
        let mut map = self.map();
        let seen = map.entry(name.to_owned()).or_default();
        seen.tries += 1;
        seen.next = clock.monotonic() + retry(seen.tries);
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
    if is_due(mount, &account) && mount.rotations.may_try(name, mount.clock.as_ref()) {
        let outcome = rotate(mount, name, ROOT_OVERLAP).await;
        match outcome {
            Ok(Progress::Switched { .. }) => mount.rotations.succeeded(name),
            Ok(Progress::Pending(why)) => mount.rotations.failed(name, why, mount.clock.as_ref()),
            Err(error) => {
                mount.rotations.failed(name, error.to_string(), mount.clock.as_ref());
                return Err(error);
            }
        }
    }
    let _alone = mount.rotation_locks.write(&super::super::accounts::config_key(name)).await;
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
    if mount.rotations.tells(&account.name, mount.clock.as_ref()) {
        tracing::warn!(mount = mount.tag, config = account.name, "{warning}");
    }
}
