use std::time::Duration;

use super::super::lease_limits::LeaseLimits;
use super::super::mount::AiMount;
use super::super::times::{DEFAULT_TTL, EXPIRY_GRACE};
use crate::base::{Time, rfc3339};
use crate::framework::{Cap, capped};
use crate::logical::{Error, Result};
use crate::providers::{Abilities, Expiry, Limits, Source};
use crate::schema::{Invalid, format_duration};

/// How long a lease, and the key itself, will live.
pub struct Life {
    pub ttl: Duration,
    pub max_ttl: Duration,
    pub end: Time,
    /// The vendor's own expiry to ask for.
    pub until: Option<Time>,
    pub warnings: Vec<String>,
}

impl Life {
    pub async fn of(
        mount: &AiMount,
        source: Source,
        expiry: Expiry,
        limits: &LeaseLimits,
        asked: Option<Duration>,
    ) -> Result<Self> {
        if asked.is_some_and(|ttl| ttl.is_zero()) {
            return Err(Invalid::new("ttl", "must be at least 1s").into());
        }
        let mount_max = mount.system.max_lease_ttl().await?;
        let mut caps = vec![Cap { limit: mount_max, of: "the mount's max_lease_ttl" }];
        let [ttl_called, max_ttl_called] = limits.called;
        match (limits.max_ttl, limits.ttl) {
            (Some(limit), _) => caps.push(Cap { limit, of: max_ttl_called }),
            // A caller may ask for less than the role gives, not for more.
            (None, limit) => caps.push(Cap { limit: limit.unwrap_or(DEFAULT_TTL), of: ttl_called }),
        }
        caps.extend(expiry.limits().map(|limits| Cap { limit: limits.longest, of: "the vendor's longest expiry" }));
        let wanted = asked.or(limits.ttl);
        let (mut ttl, mut warnings) = capped(wanted.unwrap_or(DEFAULT_TTL), &caps);
        if wanted.is_none() {
            // Nobody asked for the default, so nobody misses what was cut.
            warnings.clear();
        }
        // A token cannot be ended before its own end, so its lease is as long.
        if let Some(shortest) = expiry.limits().map(|limits| limits.shortest).filter(|_| source == Source::Token)
            && ttl < shortest
        {
            warnings.push(format!(
                "a ttl of {} is less than the shortest life of a token of {}, which this one gets",
                format_duration(ttl),
                format_duration(shortest)
            ));
            ttl = shortest;
        }
        let mut max_ttl = limits.max_ttl.map_or(mount_max, |limit| limit.min(mount_max));
        // A movable expiry limits each renewal, a fixed one the whole life.
        if let Expiry::Fixed(limits) = expiry {
            max_ttl = max_ttl.min(limits.longest);
        }
        let now = mount.clock.now();
        let until = match expiry {
            Expiry::Never => None,
            Expiry::Fixed(_) if source == Source::Token => Some(now + ttl),
            Expiry::Fixed(limits) => Some(vendor_end(now, max_ttl, limits)),
            Expiry::Movable(limits) => Some(vendor_end(now, ttl, limits)),
        };
        Ok(Self { ttl, max_ttl, end: now + ttl, until, warnings })
    }

    /// A vendor that granted less than was asked for bounds the lease. Fails where it granted nothing: a ttl of 0 would
    /// be the mount's default to the host.
    pub async fn granted(&mut self, mount: &AiMount, expires: Option<Time>, can: &Abilities) -> Result<()> {
        let Some(expires) = expires.filter(|_| can.expiry != Expiry::Never) else { return Ok(()) };
        let left = whole_seconds(expires - mount.clock.now());
        if left.is_zero() {
            return Err(Error::Unavailable(
                "the vendor made a key that has expired already, and it was deleted: compare the clocks".into(),
            ));
        }
        if left < self.ttl {
            self.ttl = left;
            self.end = expires;
        }
        if can.source == Source::Token && left > self.ttl {
            // The lease is as long as the token lives, as far as the mount goes.
            let longest = mount.system.max_lease_ttl().await?;
            if left > longest {
                self.warnings.push(format!(
                    "the token itself lives until {}: the vendor gives no shorter one",
                    rfc3339(expires)
                ));
            }
            self.ttl = left.min(longest);
            self.max_ttl = self.ttl;
            self.end = expires;
        }
        if let Expiry::Fixed(_) = can.expiry {
            self.max_ttl = self.max_ttl.min(left);
        }
        Ok(())
    }
}

/// When the vendor should end a key whose lease ends in `life`: a grace later, as far as the vendor goes.
pub fn vendor_end(now: Time, life: Duration, limits: Limits) -> Time {
    now + (life + EXPIRY_GRACE).clamp(limits.shortest, limits.longest)
}

/// Rounded down; nothing where it is negative.
pub fn whole_seconds(span: chrono::TimeDelta) -> Duration {
    Duration::from_secs(u64::try_from(span.num_seconds()).unwrap_or(0))
}
