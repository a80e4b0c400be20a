use std::time::Duration;

use super::super::accounts::Account;
use super::super::lease_limits::LeaseLimits;
use super::super::mount::AiMount;
use super::super::times::{CLOCK_MARGIN, DEFAULT_TTL};
use super::super::upstream;
use super::internal::Internal;
use super::life::whole_seconds;
use crate::base::{Time, rfc3339};
use crate::logical::{Error, Lease, Result};
use crate::providers::{Expiry, Fault};

/// What a renewal grants.
pub struct Term {
    issued: Time,
    pub now: Time,
    pub ttl: Duration,
    pub max_ttl: Duration,
}

impl Term {
    pub async fn of(
        mount: &AiMount,
        limits: &LeaseLimits,
        lease: &Lease,
        expiry: Expiry,
        vendor_expiry: Option<Time>,
    ) -> Result<Self> {
        let issued = lease.issue_time.ok_or_else(|| Error::Invalid("the lease has no issue time".into()))?;
        let now = mount.clock.now();
        let mount_max = mount.system.max_lease_ttl().await?;
        let mut max_ttl = limits.max_ttl.map_or(mount_max, |limit| limit.min(mount_max));
        if let (Expiry::Fixed(_), Some(expires)) = (expiry, vendor_expiry) {
            max_ttl = max_ttl.min(whole_seconds(expires - issued));
        }
        let left = whole_seconds(issued + max_ttl - now);
        if left.is_zero() {
            return Err(Error::Invalid("the lease is past its max_ttl: ask for another key".into()));
        }
        let wanted = if lease.increment.is_zero() { limits.ttl.unwrap_or(DEFAULT_TTL) } else { lease.increment };
        let mut term = Self { issued, now, ttl: wanted.min(left), max_ttl };
        if let Expiry::Movable(limits) = expiry {
            term.bound_by(now + limits.longest)?;
        }
        Ok(term)
    }

    /// Counts from a later time.
    pub fn restart(&mut self, now: Time) -> Result<()> {
        self.now = now;
        self.bound_by(self.issued + self.max_ttl)
    }

    /// The vendor could not be asked: the lease goes on as far as the key's expiry reaches that it has last confirmed.
    /// A warning, or the error where the vendor has refused or nothing is left.
    pub fn without_vendor(
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

    pub fn end(&self) -> Time {
        self.now + self.ttl
    }

    /// The vendor ends the key at `end`, and so does the lease.
    pub fn bound_by(&mut self, end: Time) -> Result<()> {
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
