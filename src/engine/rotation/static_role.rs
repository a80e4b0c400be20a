use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::keys::ledger::{AccountId, KeyRecord};
use super::super::times::SHORTEST_OVERLAP;
use super::schedule::Schedule;
use crate::base::Time;
use crate::logical::Object;

/// `static/<name>`: one long-lived key for clients that cannot lease, and those beside it while it is replaced. All in one
/// record, so that a new key, and what becomes of the old one, are one write. Holds secrets.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StaticRole {
    pub config: String,
    /// The vendor whose fields `scope` holds. Another vendor would not know its limits.
    pub provider: String,
    /// The vendor's fields.
    pub scope: Object,
    pub schedule: Schedule,
    /// Seconds for which a replaced key goes on working.
    pub overlap: u64,
    /// Served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<StaticKey>,
    /// Made, and not seen at work yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<StaticKey>,
    /// Served as the previous one until they end, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<Superseded>,
    /// Whether a rotation was begun, whatever has become of its key: it goes on until one is switched to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begun: bool,
    /// Seconds for which the served key goes on working once the next one takes its place, where less was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_overlap: Option<u64>,
    /// When the current key was put into use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<Time>,
    pub created: Time,
    pub updated: Time,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StaticKey {
    /// Its row; none where somebody else made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    pub provider: String,
    /// The account that it was made with.
    pub config: String,
    pub generation: String,
    /// Where it is at the vendor, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyRecord>,
    /// Its name at the vendor; empty where somebody else chose it.
    pub name: String,
    pub secret: String,
    /// What belongs to it, by the name of the answer's field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
    /// Headers that a client must send beside it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    pub base_url: String,
    pub made: Time,
    /// Since when the vendor says that it does not know it yet: from then on only its word counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Time>,
    /// When the vendor itself ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// A key that was served.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Superseded {
    pub key: StaticKey,
    /// When it is deleted.
    pub ends: Time,
}

impl StaticKey {
    pub fn account(&self) -> AccountId {
        AccountId { config: self.config.clone(), generation: self.generation.clone() }
    }
}

impl StaticRole {
    pub fn overlap(&self) -> Duration {
        Duration::from_secs(self.overlap)
    }

    /// When it was rotated last, or made.
    pub fn since(&self) -> Time {
        self.rotated.unwrap_or(self.created)
    }

    /// How long a client may keep the key until it reads it again: whoever does has the next one in time, also where
    /// somebody rotates it by hand at any moment. No less than a client can bear while a rotation is late.
    pub fn refresh_after(&self, now: Time) -> Duration {
        let half = self.overlap() / 2;
        let next = self.schedule.next(self.since(), now);
        let expires = self.current.as_ref().and_then(|key| key.expires);
        let left = |until: Time| (until - now).to_std().unwrap_or_default();
        let left = next.into_iter().chain(expires).map(left).min().unwrap_or(half);
        left.clamp(SHORTEST_OVERLAP.min(half), half)
    }

    /// The time between two rotations, of which one is now; that until the next read where nothing rotates by itself.
    pub fn period(&self, now: Time) -> Duration {
        let gap = |next: Time| (next - self.since()).to_std().ok();
        let next = || self.schedule.next(self.since(), now).and_then(gap);
        self.schedule.period().or_else(next).unwrap_or_else(|| self.refresh_after(now))
    }

    /// Whether its key is to be replaced, or that was begun.
    pub fn rotates(&self, now: Time) -> bool {
        let next = self.schedule.next(self.since(), now);
        self.begun || self.ends_too_soon(next, now) || next.is_some_and(|next| next <= now)
    }

    /// Whether the vendor ends the served key before the next rotation: one that a lease had held is replaced at once, and
    /// one whose vendor grants less than was asked for in the middle of its life.
    fn ends_too_soon(&self, next: Option<Time>, now: Time) -> bool {
        let Some(expires) = self.current.as_ref().and_then(|key| key.expires) else { return false };
        match (self.rotated, next) {
            (None, _) => true,
            (Some(rotated), Some(next)) => expires < next && now >= rotated + (expires - rotated) / 2,
            (Some(_), None) => false,
        }
    }

    /// Whether there is a key to serve that the vendor has not ended.
    pub fn serves(&self, now: Time) -> bool {
        self.current.as_ref().is_some_and(|key| key.expires.is_none_or(|expires| now < expires))
    }

    /// Whether the overlap of one of its keys is over.
    pub fn lets_go(&self, now: Time) -> bool {
        self.previous.iter().any(|previous| previous.ends <= now)
    }

    /// Puts the pending key into use; the one that was served goes on working for the overlap.
    pub fn switch(&mut self, now: Time) {
        let Some(pending) = self.pending.take() else { return };
        let asked = self.asked_overlap.take().map(Duration::from_secs);
        let ends = now + asked.unwrap_or(self.overlap()).min(self.overlap());
        let until = |key: &StaticKey| key.expires.map_or(ends, |expires| expires.min(ends));
        self.previous.extend(self.current.replace(pending).map(|key| Superseded { ends: until(&key), key }));
        self.rotated = Some(now);
        self.begun = false;
    }

    /// All its keys.
    pub fn keys(&self) -> impl Iterator<Item = &StaticKey> {
        self.current.iter().chain(&self.pending).chain(self.previous.iter().map(|previous| &previous.key))
    }

    /// Whether it is about the key of this row.
    pub fn holds(&self, row: &str) -> bool {
        self.keys().any(|key| key.row.as_deref() == Some(row))
    }
}
