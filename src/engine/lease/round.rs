use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::super::accounts::Account;
use super::super::mount::AiMount;
use super::super::times::{LIVE_GRACE, LOOKS, SETTLE, TIDY_BUDGET};
use super::super::upstream;
use super::at_vendor::{end, end_by_name, is_young, list};
use super::ledger::{AccountId, Held, Row, State};
use crate::logical::Result;
use crate::providers::{Fault, FaultKind, Find, Found, Gone, KeyName};

/// One pass of the sweep over the rows: one listing an account at the most, and no more tries at an account that is out.
pub struct Round<'a> {
    mount: &'a AiMount,
    /// The mount goes away: whatever is left is due now.
    last: bool,
    listings: Mutex<HashMap<AccountId, Arc<Listing>>>,
    out: Mutex<HashSet<AccountId>>,
    /// Unknown outcomes by account.
    unknown: Mutex<HashMap<AccountId, u32>>,
}

/// What an account's listing gave in this round, its failure included.
type Listing = OnceCell<std::result::Result<Vec<Found>, Fault>>;

/// So many keys of one account with an unknown outcome make an outage.
const OUTAGE: u32 = 3;

impl<'a> Round<'a> {
    pub fn new(mount: &'a AiMount, last: bool) -> Self {
        Self { mount, last, listings: Mutex::default(), out: Mutex::default(), unknown: Mutex::default() }
    }

    /// Whether there may be something to do about a row.
    pub fn is_due(&self, id: &str, held: &Held) -> bool {
        let now = self.mount.clock.monotonic();
        match held.state {
            State::Minting if self.mount.running.contains(id) => false,
            State::Minting | State::Revoking => self.last || now >= held.next,
            State::Live => {
                // A wall clock that was set forward must not end what this instance knows to be younger.
                self.mount.clock.now() > held.deadline + LIVE_GRACE
                    && held.ends.is_none_or(|ends| now > ends + LIVE_GRACE)
                    && self.mount.uptime() >= SETTLE
                    && now >= held.next
            }
        }
    }

    pub async fn settle(&self, id: String) {
        if let Err(error) = self.try_settle(&id).await {
            self.mount.ledger.failed(&id);
            tracing::warn!(mount = self.mount.tag, id, %error, "a key could not be settled yet");
        }
    }

    async fn try_settle(&self, id: &str) -> Result<()> {
        let ledger = &self.mount.ledger;
        let _lock = ledger.locks.write(id).await;
        let Some(mut row) = ledger.get(id).await? else { return Ok(()) };
        if !self.last && row.state == State::Live && self.mount.clock.now() <= row.deadline + LIVE_GRACE {
            return Ok(());
        }
        let account_id = row.account();
        if lock(&self.out).contains(&account_id) {
            return Ok(());
        }
        let account = self.mount.account_of(&account_id).await?;
        let settled = match row.key.clone() {
            Some(key) => end(self.mount, &account, &key.into())
                .await
                .map(|gone| self.last || gone != Gone::Already || !is_young(self.mount, &account, &row)),
            None => self.look(&row, &account, &account_id).await,
        };
        match settled {
            Ok(true) => ledger.delete(id).await,
            Ok(false) => Ok(()),
            Err(fault) => {
                self.note(&account_id, &fault);
                if row.state == State::Live {
                    // From here on its tries follow the backoff, in every instance.
                    row.state = State::Revoking;
                    ledger.put(&row).await?;
                }
                Err(upstream::error(account.vendor, fault, None))
            }
        }
    }

    /// Looks for the key of a row that does not know whether it was made. True: nothing of it is left for certain.
    async fn look(&self, row: &Row, account: &Account, account_id: &AccountId) -> std::result::Result<bool, Fault> {
        let expired = row.vendor_expiry.is_some_and(|expiry| self.mount.clock.now() > expiry + LIVE_GRACE);
        if account.vendor.about().can.find == Find::Never {
            return Ok(expired);
        }
        let listing = lock(&self.listings).entry(account_id.clone()).or_default().clone();
        let listed = match listing.get_or_init(|| list(self.mount, account, TIDY_BUDGET)).await {
            Ok(listed) => listed,
            // What cannot be found any more has ended by itself.
            Err(_) if expired => return Ok(true),
            Err(fault) => return Err(fault.clone()),
        };
        if end_by_name(self.mount, account, &KeyName(row.name.clone()), listed).await? > 0 {
            return Ok(true);
        }
        // Not found proves nothing: the listing lags, or the request is in flight.
        let looks = self.mount.ledger.looked(&row.id);
        Ok(expired || (!self.last && looks >= LOOKS.len()))
    }

    /// Whether an account is out, so that its other keys need not be tried in this round.
    fn note(&self, account_id: &AccountId, fault: &Fault) {
        let out = match fault.kind {
            FaultKind::Refused | FaultKind::Busy { .. } | FaultKind::Unreachable => true,
            FaultKind::Unknown => {
                let mut unknown = lock(&self.unknown);
                let count = unknown.entry(account_id.clone()).or_default();
                *count += 1;
                *count >= OUTAGE
            }
            // About this one key.
            FaultKind::Invalid { .. } => false,
        };
        if out {
            lock(&self.out).insert(account_id.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
