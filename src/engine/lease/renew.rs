use std::time::Duration;

use super::super::accounts::{Account, Owner};
use super::super::keys::ledger::{AccountId, Row, State};
use super::super::mount::AiMount;
use super::super::roles::{Role, role_key};
use super::super::step::step;
use super::super::times::{CLOCK_MARGIN, DEFAULT_TTL, VENDOR_BUDGET};
use super::super::{record, upstream};
use super::internal::Internal;
use super::life::{vendor_end, whole_seconds};
use crate::base::{Time, rfc3339};
use crate::logical::{Error, Lease, Object, Response, Result};
use crate::providers::{Expiry, Fault, Ref};

/// Extends a lease: the row first, then the vendor's expiry where it moves. The answer replaces the stored lease
/// whole. The host takes the caller's increment before our ttl, so only `max_ttl` can shorten what it grants.
pub async fn renew(mount: &AiMount, lease: Lease, mut data: Object) -> Result<Response> {
    mount.must_write().await?;
    let mut internal = Internal::read(&lease.internal)?;
    let role = record::get::<Role>(mount.storage.as_ref(), &role_key(&internal.role)).await?.ok_or_else(|| {
        Error::Invalid(format!("role {:?} does not exist any more: the lease ends at its ttl", internal.role))
    })?;
    let of = AccountId { config: internal.config.clone(), generation: internal.generation.clone() };
    let Owner { account, newer } = mount.owner(&of).await?;
    // The present credential, where the account is certain to be the same; the retired one may be refused by now.
    let account = newer.filter(|newer| newer.vendor.about().identity_is_complete).unwrap_or(account);
    let _lock = mount.ledger.locks.write(&internal.id).await;
    let mut row = mount
        .ledger
        .get(&internal.id)
        .await?
        .filter(|row| row.state == State::Live)
        .ok_or_else(|| Error::Invalid("the key of this lease has been ended: read creds/<role> again".into()))?;
    let expiry = account.vendor.about().can.expiry;
    let mut term = Term::of(mount, &role, &lease, expiry, &row).await?;
    // Never earlier: until the host has our answer it keeps the older, perhaps longer, lease.
    row.deadline = row.deadline.max(term.end());
    // A key that the vendor made without an expiry has none to move.
    let moves = match (expiry, row.key.clone(), row.vendor_expiry) {
        (Expiry::Movable(limits), Some(key), Some(before)) => {
            let until = vendor_end(term.now, term.ttl, limits).max(before);
            row.vendor_expiry = Some(until);
            Some((key, until))
        }
        _ => None,
    };
    mount.ledger.put(&row).await?;
    step("renew.after-row").await;
    let mut warning = None;
    if let Some((key, until)) = moves {
        let extended = extend(mount, &account, key.into(), until).await;
        step("renew.after-vendor").await;
        // The vendor may have taken its time, and the host counts from our answer.
        term.restart(mount.clock.now())?;
        match extended {
            Ok(granted) => {
                term.bound_by(granted)?;
                internal.expires = Some(granted);
                if granted < until {
                    row.vendor_expiry = Some(granted);
                    // For the inventory only: a row that says a later one harms nothing.
                    let _ = mount.ledger.put(&row).await;
                }
            }
            Err(fault) => warning = Some(term.without_vendor(mount, &account, &internal, fault)?),
        }
    }
    data.insert("expires_at".into(), rfc3339(term.end()).into());
    let lease = Lease { ttl: term.ttl, max_ttl: term.max_ttl, renewable: true, internal: internal.object()?, ..lease };
    Ok(Response { lease: Some(lease), ..Response::data(data) }.with_warnings(warning))
}

/// Has the vendor move a key's expiry; when it ends the key then.
async fn extend(mount: &AiMount, account: &Account, key: Ref, until: Time) -> Result<Time, Fault> {
    let signer = account.signer(mount);
    let cx = account.cx(mount, &signer);
    let extended = tokio::time::timeout(VENDOR_BUDGET, account.vendor.extend(&cx, &key, until)).await;
    extended.unwrap_or_else(|_| Err(Fault::unknown("did not answer in time")))
}

/// What a renewal grants.
struct Term {
    issued: Time,
    now: Time,
    ttl: Duration,
    max_ttl: Duration,
}

impl Term {
    async fn of(mount: &AiMount, role: &Role, lease: &Lease, expiry: Expiry, row: &Row) -> Result<Self> {
        let issued = lease.issue_time.ok_or_else(|| Error::Invalid("the lease has no issue time".into()))?;
        let now = mount.clock.now();
        let mount_max = mount.system.max_lease_ttl().await?;
        let mut max_ttl = role.max_ttl().map_or(mount_max, |limit| limit.min(mount_max));
        if let (Expiry::Fixed(_), Some(expires)) = (expiry, row.vendor_expiry) {
            max_ttl = max_ttl.min(whole_seconds(expires - issued));
        }
        let left = whole_seconds(issued + max_ttl - now);
        if left.is_zero() {
            return Err(Error::Invalid("the lease is past its max_ttl: read creds/<role> again".into()));
        }
        let wanted = if lease.increment.is_zero() { role.ttl().unwrap_or(DEFAULT_TTL) } else { lease.increment };
        let mut term = Self { issued, now, ttl: wanted.min(left), max_ttl };
        if let Expiry::Movable(limits) = expiry {
            term.bound_by(now + limits.longest)?;
        }
        Ok(term)
    }

    /// Counts from a later time.
    fn restart(&mut self, now: Time) -> Result<()> {
        self.now = now;
        self.bound_by(self.issued + self.max_ttl)
    }

    /// The vendor could not be asked: the lease goes on as far as the key's expiry reaches that it has last confirmed.
    /// A warning, or the error where the vendor has refused or nothing is left.
    fn without_vendor(
        &mut self,
        mount: &AiMount,
        account: &Account,
        internal: &Internal,
        fault: Fault,
    ) -> Result<String> {
        let covered = internal
            .expires
            .filter(|expires| fault.kind.may_pass() && !whole_seconds(*expires - CLOCK_MARGIN - self.now).is_zero());
        let Some(expires) = covered else { return Err(upstream::error(account.vendor.as_ref(), fault, None)) };
        let fault = upstream::text(account.vendor.as_ref(), &fault);
        tracing::warn!(mount = mount.tag, id = internal.id, fault, "a lease was renewed without the vendor");
        self.bound_by(expires - CLOCK_MARGIN)?;
        Ok(format!("the vendor has not confirmed a later expiry of the key than {}: {fault}", rfc3339(expires)))
    }

    fn end(&self) -> Time {
        self.now + self.ttl
    }

    /// The vendor ends the key at `end`, and so does the lease.
    fn bound_by(&mut self, end: Time) -> Result<()> {
        if end < self.end() {
            self.ttl = whole_seconds(end - self.now);
            self.max_ttl = whole_seconds(end - self.issued);
        }
        if self.ttl.is_zero() {
            // To the host a ttl of 0 is the mount's default.
            let text = "nothing is left of the key's life: compare the clocks, and read creds/<role> again";
            return Err(Error::Unavailable(text.into()));
        }
        Ok(())
    }
}
