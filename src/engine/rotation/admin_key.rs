use serde::{Deserialize, Serialize};

use super::super::keys::ledger::KeyRecord;
use crate::base::Time;
use crate::logical::Object;

/// What is known of a config's credential and of those beside it while it is replaced. Part of the config's record, so
/// that a new credential, and what becomes of the old one, are one write.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AdminKey {
    /// Row of the credential in use; none where somebody else made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Since when it is in use here; none for configs from before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// When the vendor itself ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// When it was rotated last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated: Option<Time>,
    /// Made, and not in use yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Not in use any more, and not let go yet: calls in flight finish with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub previous: Vec<Previous>,
}

/// A credential that the vendor has made and that has yet to be seen at work.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    pub row: String,
    pub key: KeyRecord,
    /// The account's fields that it takes the place of. Secret.
    pub fields: Object,
    pub made: Time,
    pub expires: Option<Time>,
    /// Seconds for which the one in use goes on working once this takes its place; none where nobody has asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<u64>,
    /// Where the credential in use is at the vendor, where it has no row and the vendor told.
    pub replaces: Option<KeyRecord>,
}

/// A credential that was in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Previous {
    /// Its row; none where somebody else made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    /// Where it is at the vendor, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyRecord>,
    /// When it is deleted, if nothing else uses it then.
    pub ends: Time,
    /// A digest of the credential, to know it by in other records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
}

impl AdminKey {
    /// Of a credential that somebody has written.
    pub fn written(now: Time) -> Self {
        Self { since: Some(now), ..Self::default() }
    }

    /// What becomes of this where somebody writes another credential: what we made is deleted, at `ends` where it was in
    /// use. `digest` is of the credential that was in use.
    pub fn replaced_by_hand(self, now: Time, ends: Time, digest: String) -> Self {
        let mut previous = self.previous;
        previous.extend(self.row.map(|row| Previous { row: Some(row), key: None, ends, digest }));
        let pending = self.pending;
        previous.extend(pending.map(|pending| Previous {
            row: Some(pending.row),
            key: Some(pending.key),
            ends: now,
            digest: String::new(),
        }));
        Self { previous, ..Self::written(now) }
    }

    /// Puts the pending credential into use; returns its fields. The one that was in use, of that digest, is deleted at `ends`.
    pub fn switch(&mut self, now: Time, ends: Time, digest: String) -> Option<Object> {
        let pending = self.pending.take()?;
        self.previous.push(Previous { row: self.row.take(), key: pending.replaces, ends, digest });
        self.row = Some(pending.row);
        self.expires = pending.expires;
        self.since = Some(now);
        self.rotated = Some(now);
        Some(pending.fields)
    }

    /// Whether it is about the key of this row.
    pub fn holds(&self, row: &str) -> bool {
        self.row.as_deref() == Some(row) || self.pending.as_ref().is_some_and(|pending| pending.row == row)
    }
}
