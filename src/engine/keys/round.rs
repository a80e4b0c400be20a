use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::sync::OnceCell;

use super::super::accounts::Owner;
use super::super::mount::AiMount;
use super::super::rotation;
use super::super::times::{LIVE_GRACE, LOOKS, SETTLE, TIDY_BUDGET};
use super::super::upstream;
use super::at_vendor::{end, end_by_name, fenced, is_settled, list};
use super::ledger::{AccountId, Held, KeyRecord, Row, RowKind, State};
use crate::base::Time;
use crate::logical::{Error, Result};
use crate::providers::{Fault, FaultKind, Find, Found, KeyName};

/// One pass of the sweep over the rows: one listing an account at the most, and no more tries at an account that is out.
pub struct Round<'a> {
    mount: &'a AiMount,
    pass: Pass,
    listings: Mutex<HashMap<AccountId, Arc<Listing>>>,
    out: Mutex<HashSet<AccountId>>,
    /// Failures that may be about one key only, by account.
    failures: Mutex<HashMap<AccountId, u32>>,
}

/// Why there is a round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// The host's tick.
    Tick,
    /// The mount is being disabled or moved: what is unsettled is due now.
    Drain,
    /// The mount goes away: everything is due, and no later round will look again.
    Final,
}

/// What an account's listing gave in this round, its failure included.
type Listing = OnceCell<std::result::Result<Vec<Found>, Fault>>;

/// So many keys of one account that the vendor refuses, or of unknown outcome, make an outage.
const OUTAGE: u32 = 3;

impl<'a> Round<'a> {
    pub fn new(mount: &'a AiMount, pass: Pass) -> Self {
        Self { mount, pass, listings: Mutex::default(), out: Mutex::default(), failures: Mutex::default() }
    }

    /// Whether there may be something to do about a row.
    pub fn is_due(&self, id: &str, held: &Held) -> bool {
        let now = self.mount.clock.monotonic();
        match held.state {
            State::Minting if self.mount.running.contains(id) => false,
            State::Expiring => self.mount.clock.now() > held.deadline && now >= held.next,
            State::Minting | State::Revoking => self.pass != Pass::Tick || now >= held.next,
            State::Live if !held.kind.has_deadline() => self.pass == Pass::Final,
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
        // A row that we stumble over must not keep the others from being settled.
        let settled = AssertUnwindSafe(self.try_settle(&id)).catch_unwind().await;
        if let Err(error) = settled.unwrap_or_else(|_| Err(Error::internal("settling it panicked"))) {
            self.mount.ledger.failed(&id);
            tracing::warn!(mount = self.mount.tag, id, %error, "a key could not be settled yet");
        }
    }

    async fn try_settle(&self, id: &str) -> Result<()> {
        let ledger = &self.mount.ledger;
        let _lock = ledger.locks.write(id).await;
        let Some(mut row) = ledger.get(id).await? else {
            ledger.forget_row(id);
            return Ok(());
        };
        ledger.found(&row);
        if row.state == State::Expiring {
            // Nothing that could be asked about: there is only its life.
            let ended = self.pass == Pass::Final || self.mount.clock.now() > row.deadline;
            return if ended { ledger.delete(id).await } else { Ok(()) };
        }
        if row.state == State::Minting
            && self.pass != Pass::Final
            && rotation::holder(self.mount, &row).await?.is_some()
        {
            // Its maker was cut off, and whoever holds the key goes on from there.
            return Ok(());
        }
        let over = row.kind.has_deadline() && self.mount.clock.now() > row.deadline + LIVE_GRACE;
        let early = row.state == State::Live && !over;
        if early && self.pass != Pass::Final {
            return Ok(());
        }
        if self.pass != Pass::Final && rotation::keep_taken(self.mount, &row).await? {
            return Ok(());
        }
        if !row.has_account() {
            return ledger.delete(id).await;
        }
        // The vendor itself has ended what it granted until then.
        let ended = row.key.is_some() && self.is_past(row.vendor_expiry);
        let account_id = row.account();
        if lock(&self.out).contains(&account_id) {
            return Ok(());
        }
        let owner = match self.mount.owner(&account_id).await {
            Err(error) if ended => return self.drop_ended(&row, &error.to_string()).await,
            owner => owner?,
        };
        if row.kind == RowKind::Library {
            row = fenced(self.mount, row).await?;
        }
        let whole = |key: &KeyRecord| owner.account.vendor.expires_whole(&key.clone().into());
        let whole = ended && row.key.as_ref().is_some_and(whole);
        let settled = match row.key.clone() {
            Some(key) => end(self.mount, &owner, &key.into(), None).await.map(|gone| {
                let settled = self.pass == Pass::Final || is_settled(self.mount, &owner.account, &row, gone);
                if !settled {
                    ledger.failed(id);
                }
                settled
            }),
            None => self.look(&row, &owner, &account_id).await,
        };
        match settled {
            Ok(true) => ledger.delete(id).await,
            Ok(false) => Ok(()),
            Err(fault) if whole && fault.kind == FaultKind::Refused => self.drop_ended(&row, &fault.text).await,
            Err(fault) => {
                self.note(&account_id, &fault);
                if row.state == State::Live {
                    // From here on its tries follow the backoff, in every instance.
                    row.state = State::Revoking;
                    ledger.put(&row).await?;
                }
                Err(upstream::error(owner.account.vendor.as_ref(), fault, None))
            }
        }
    }

    /// A row whose key nobody can ask about any more, and which has ended by itself.
    async fn drop_ended(&self, row: &Row, why: &str) -> Result<()> {
        tracing::warn!(mount = self.mount.tag, id = row.id, name = row.name, why, "a key ended by its vendor's expiry");
        self.mount.ledger.delete(&row.id).await
    }

    fn is_past(&self, expiry: Option<Time>) -> bool {
        // A vendor's time may be any.
        expiry.is_some_and(|expiry| expiry < self.mount.clock.now() - LIVE_GRACE)
    }

    /// Looks for the key of a row that does not know whether it was made. True: nothing of it is left for certain.
    async fn look(&self, row: &Row, owner: &Owner, account_id: &AccountId) -> std::result::Result<bool, Fault> {
        // What was asked for, perhaps not what was granted: it only ends the looking.
        let expired = self.is_past(row.vendor_expiry);
        match owner.account.vendor.about().can.find {
            Find::Never => return Ok(expired),
            // Its request has ended by now, and what it made is with nobody.
            Find::Unneeded => return Ok(true),
            Find::ByName { .. } | Find::ByOurId => {}
        }
        let listing = lock(&self.listings).entry(account_id.clone()).or_default().clone();
        let listed =
            listing.get_or_init(|| list(self.mount, owner, TIDY_BUDGET)).await.as_ref().map_err(Fault::clone)?;
        if end_by_name(self.mount, owner, &KeyName(row.name.clone()), listed).await? > 0 {
            return Ok(true);
        }
        // Not found proves nothing: the listing lags, or the request is in flight.
        let looks = self.mount.ledger.looked(&row.id);
        Ok(self.pass != Pass::Final && (looks >= LOOKS.len() || (expired && looks > 1)))
    }

    /// Whether an account is out, so that its other keys need not be tried in this round.
    fn note(&self, account_id: &AccountId, fault: &Fault) {
        let out = match fault.kind {
            FaultKind::Busy { .. } | FaultKind::Unreachable => true,
            FaultKind::Refused | FaultKind::Unknown => {
                let mut failures = lock(&self.failures);
                let count = failures.entry(account_id.clone()).or_default();
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
