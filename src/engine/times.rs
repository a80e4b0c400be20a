//! Every wait and limit of the engine that is a time, with its reason.

use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Life of a lease whose role has no ttl: long enough for a job, short enough to be forgotten.
pub const DEFAULT_TTL: Duration = HOUR;
/// The vendor's own expiry comes so long after the lease's end: a revocation that is late must find the key, and
/// clocks differ.
pub const EXPIRY_GRACE: Duration = HOUR;
/// A lease that is renewed without the vendor ends so long before the key: clocks differ.
pub const CLOCK_MARGIN: Duration = MINUTE;
/// From building a row to asking the vendor. Storage that stalls longer may be another leader's by now.
pub const MINT_BUDGET: Duration = Duration::from_secs(10);
/// All of a vendor's steps for one key. The host gives a request 90 s.
pub const VENDOR_BUDGET: Duration = Duration::from_secs(30);
/// Ages of an unresolved row at which the vendor's listing is looked at. A request may be in flight for
/// `MINT_BUDGET` + `VENDOR_BUDGET`, and listings lag.
pub const LOOKS: [Duration; 3] = [Duration::from_secs(120), Duration::from_secs(600), HOUR];
/// A live key is ended so long after its deadline if its lease did not do it: a revocation by the host comes first.
pub const LIVE_GRACE: Duration = HOUR;
/// After a start the host has revocations of its own to catch up with.
pub const SETTLE: Duration = Duration::from_secs(15 * 60);
/// First and longest wait between attempts to end a key whose revocation failed.
pub const RETRY: (Duration, Duration) = (MINUTE, HOUR);
/// An unmount waits so long for running mints, and Cleanup so long for the remaining keys.
pub const UNMOUNT_WAIT: Duration = Duration::from_secs(30);
/// Cleanup asks the host whether the mount is being disabled; a shutdown leaves two seconds in all.
pub const TAINTED_WAIT: Duration = Duration::from_millis(500);
/// A tidy or a sweep's listing ends within so long; the host gives a request 90 s.
pub const TIDY_BUDGET: Duration = MINUTE;
/// Longest life of an assertion; no vendor's token that is exchanged for one lives longer, and a key is published for so
/// long after its last.
pub const ASSERTION_LIFE_LIMIT: Duration = Duration::from_secs(24 * 3600);
/// A retired key is published for so long after its last assertion: verifiers' clocks differ, and some look again later.
pub const RETIRED_GRACE: Duration = Duration::from_secs(24 * 3600);
/// From publishing a key to signing with it, unless the operator says otherwise: time to upload it everywhere.
pub const ACTIVATE_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Shortest such time where keys are read by discovery: verifiers keep what they have read.
pub const SHORTEST_ACTIVATE_AFTER: Duration = HOUR;
/// Shortest time between rotations: each key is published for two days after it has signed.
pub const SHORTEST_ROTATION: Duration = Duration::from_secs(24 * 3600);
/// A credential that was replaced goes on working for so long unless asked otherwise: far beyond the longest
/// call of the engine's own, and time for another node to read the new one.
pub const ROOT_OVERLAP: Duration = Duration::from_secs(600);
/// A static key that was replaced goes on working for so long unless asked otherwise: clients read it anew.
pub const STATIC_OVERLAP: Duration = HOUR;
/// Shortest such time: the tick that a client reads by, or the sweep, comes once a minute.
pub const SHORTEST_OVERLAP: Duration = MINUTE;
/// Shortest time between rotations of a static key.
pub const SHORTEST_STATIC_ROTATION: Duration = Duration::from_secs(2 * 60);
/// A fresh static key is given so long where its vendor cannot be asked whether it takes it.
pub const UNASKED_PROOF: Duration = MINUTE;
/// What one tick may take to begin rotations of static keys; the others wait for the next one.
pub const STATIC_TICK: Duration = Duration::from_secs(40);
/// Shortest time between rotations of a credential by itself: several overlaps.
pub const SHORTEST_ROOT_ROTATION: Duration = HOUR;
/// A vendor may take so long to say how a key of a library stands.
pub const STANDING_BUDGET: Duration = Duration::from_secs(15);
/// A key of a library that is on while nobody has it is looked at again after so long: it may be on its way off.
pub const STANDING_WAIT: Duration = Duration::from_secs(1);
/// A request or a tick waits so long for a vendor to take a credential that it has just made.
pub const PROOF_BUDGET: Duration = Duration::from_secs(10);
/// A key or a credential that its vendor does not take yet is tried again after so long at the most.
pub const LONGEST_PENDING_WAIT: Duration = Duration::from_secs(5 * 60);
/// A new credential that the vendor refuses for so long is given up.
pub const PROOF_LIMIT: Duration = Duration::from_secs(30 * 60);
/// A credential that does not rotate by itself is warned of from this age on.
pub const OLD_CREDENTIAL: Duration = Duration::from_secs(30 * 24 * 3600);
/// And urgently from this one.
pub const VERY_OLD_CREDENTIAL: Duration = Duration::from_secs(90 * 24 * 3600);
/// The log is told of an old credential so often.
pub const AGE_LOGGED_EVERY: Duration = Duration::from_secs(24 * 3600);
/// A credential's own expiry is at least so many of the longest time between rotations: one that stalls must not lock the
/// mount out.
pub const EXPIRY_PERIODS: u32 = 3;
