use std::time::Duration;

use chrono::DateTime;

use super::FaultKind;
use crate::base::{Rng, Time};

/// Most tries of one call.
pub(super) const TRIES: u32 = 3;
/// First wait between two tries; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// Longest `Retry-After` that is waited for within a call; beyond it the caller is told.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long to wait before a call is sent again; none where it must not be.
/// A call that is not repeatable is sent again only where the vendor certainly did nothing and may do it next time.
pub(super) fn wait_before_retry(repeatable: bool, kind: &FaultKind, tries: u32, rng: &dyn Rng) -> Option<Duration> {
    if tries >= TRIES {
        return None;
    }
    match kind {
        FaultKind::Busy { after: Some(after) } => (*after <= LONGEST_WAIT).then_some(*after),
        FaultKind::Busy { after: None } | FaultKind::Unreachable => Some(backoff(tries, rng)),
        FaultKind::Unknown if repeatable => Some(backoff(tries, rng)),
        FaultKind::Unknown | FaultKind::Invalid { .. } | FaultKind::Refused => None,
    }
}

/// A wait, or the one that the vendor asks for in its place; none where that is too long to be waited for.
pub(super) fn as_told(wait: Option<Duration>, told: Option<Duration>) -> Option<Duration> {
    match told {
        Some(told) => wait.and((told <= LONGEST_WAIT).then_some(told)),
        None => wait,
    }
}

/// The value of `Retry-After`: seconds, or a date.
pub(super) fn parse_retry_after(value: &str, now: Time) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value.trim()).ok()?;
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

/// Between half of the wait and all of it, so that many who failed together do not come back together.
fn backoff(tries: u32, rng: &dyn Rng) -> Duration {
    let mut byte = [0];
    rng.fill(&mut byte);
    let wait = FIRST_WAIT * 2u32.pow(tries.saturating_sub(1).min(8));
    wait / 2 + wait / 2 * u32::from(byte[0]) / 255
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SystemRng;

    fn wait(repeatable: bool, kind: FaultKind, tries: u32) -> Option<Duration> {
        wait_before_retry(repeatable, &kind, tries, &SystemRng)
    }

    #[test]
    fn what_may_have_happened_is_repeated_only_where_that_is_safe() {
        assert!(wait(true, FaultKind::Unknown, 1).is_some());
        assert_eq!(wait(false, FaultKind::Unknown, 1), None);
        assert!(wait(false, FaultKind::Unreachable, 1).is_some());
        assert_eq!(wait(true, FaultKind::Refused, 1), None);
        assert_eq!(wait(true, FaultKind::Unknown, TRIES), None);
    }

    #[test]
    fn the_vendors_own_wait_is_kept_unless_it_is_too_long() {
        let busy = |seconds| FaultKind::Busy { after: Some(Duration::from_secs(seconds)) };
        assert_eq!(wait(false, busy(2), 1), Some(Duration::from_secs(2)));
        assert_eq!(wait(false, busy(60), 1), None);
    }

    #[test]
    fn a_vendor_that_cannot_now_says_when_to_come_again() {
        let own = wait(true, FaultKind::Unknown, 1);
        assert_eq!(as_told(own, Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(as_told(own, Some(Duration::from_secs(60))), None);
        assert_eq!(as_told(own, None), own);
        assert_eq!(as_told(None, Some(Duration::from_secs(3))), None, "not repeatable");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = DateTime::from_timestamp(1_795_522_087, 0).expect("a time");
        assert_eq!(parse_retry_after("3", now), Some(Duration::from_secs(3)));
        assert_eq!(parse_retry_after("Tue, 24 Nov 2026 12:08:12 GMT", now), Some(Duration::from_secs(5)));
        assert_eq!(parse_retry_after("Tue, 24 Nov 2026 12:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("-1", now), None);
    }

    #[test]
    fn waits_grow_and_differ() {
        let second = wait(true, FaultKind::Unknown, 2).expect("a wait");
        assert!(second >= FIRST_WAIT && second <= FIRST_WAIT * 2, "{second:?}");
    }
}
