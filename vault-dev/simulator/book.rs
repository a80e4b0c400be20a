//! What a vendor keeps: keys above all, found by id, found by secret, listed, deleted. What differs is in `more`.

use std::collections::HashMap;

use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
use serde_json::{Value, json};

use crate::clock::{Moment, rfc3339};

pub struct Record<D> {
    pub id: String,
    pub name: Option<String>,
    /// Empty for what has none, such as a project.
    pub secret: String,
    pub created: i64,
    pub expires: Option<i64>,
    pub last_used: Option<i64>,
    /// When its deletion was ordered, where the vendor takes its time.
    deletion_ordered: Option<i64>,
    deleted: Option<i64>,
    /// It was there before the simulator started.
    seeded: bool,
    pub more: D,
}

/// Deleted keys stay: a paging cursor may name one, and a revocation may lag.
pub struct Book<D> {
    records: Vec<Record<D>>,
    by_id: HashMap<String, usize>,
    by_secret: HashMap<String, usize>,
    created: u64,
}

impl<D> Record<D> {
    pub fn new(id: &str, name: &str, secret: &str, at: Moment, more: D) -> Self {
        Self {
            id: id.to_owned(),
            name: Some(name.to_owned()),
            secret: secret.to_owned(),
            created: at.ms,
            expires: None,
            last_used: None,
            deletion_ordered: None,
            deleted: None,
            seeded: false,
            more,
        }
    }

    pub fn expired(&self, at: Moment) -> bool {
        at.past(self.expires)
    }

    pub fn exists(&self) -> bool {
        self.deleted.is_none()
    }
}

impl<D> Default for Book<D> {
    fn default() -> Self {
        Self { records: Vec::new(), by_id: HashMap::new(), by_secret: HashMap::new(), created: 0 }
    }
}

impl<D> Book<D> {
    pub fn add(&mut self, record: Record<D>) -> &Record<D> {
        self.created += 1;
        self.keep(record)
    }

    /// A key that was there before the simulator started: not counted as a creation.
    pub fn seed(&mut self, record: Record<D>) -> &Record<D> {
        self.keep(Record { seeded: true, ..record })
    }

    fn keep(&mut self, record: Record<D>) -> &Record<D> {
        let place = self.records.len();
        self.by_id.insert(record.id.clone(), place);
        self.by_secret.insert(record.secret.clone(), place);
        self.records.push(record);
        &self.records[place]
    }

    pub fn get(&self, id: &str) -> Option<&Record<D>> {
        self.by_id.get(id).map(|&place| &self.records[place]).filter(|record| record.exists())
    }

    pub fn get_mut(&mut self, id: &str) -> Option<&mut Record<D>> {
        self.by_id.get(id).map(|&place| &mut self.records[place]).filter(|record| record.exists())
    }

    pub fn delete(&mut self, id: &str, at: Moment) -> bool {
        self.get_mut(id).map(|record| record.deleted = Some(at.ms)).is_some()
    }

    /// Takes the order to delete a key; a second one changes nothing.
    pub fn order_deletion(&mut self, id: &str, at: Moment) -> bool {
        self.get_mut(id).map(|record| record.deletion_ordered.get_or_insert(at.ms)).is_some()
    }

    /// Deletes what was ordered long enough ago.
    pub fn carry_out(&mut self, at: Moment) {
        for record in self.records.iter_mut().filter(|record| record.exists()) {
            record.deleted = record.deletion_ordered.map(|ordered| at.carries_out(ordered)).filter(|&due| due <= at.ms);
        }
    }

    pub fn delete_where(&mut self, at: Moment, doomed: impl Fn(&Record<D>) -> bool) {
        for record in self.records.iter_mut().filter(|record| record.exists() && doomed(record)) {
            record.deleted = Some(at.ms);
        }
    }

    /// Whose secret this is: a deleted key's too while its revocation lags, a fresh one's only once it is known. Expiry is left
    /// to the caller.
    pub fn holder(&mut self, secret: &str, at: Moment) -> Option<&mut Record<D>> {
        let record = &mut self.records[*self.by_secret.get(secret)?];
        let known = record.seeded || !at.refuses_still(record.created);
        (known && record.deleted.is_none_or(|deleted| at.still_answers(deleted))).then_some(record)
    }

    pub fn existing(&self) -> impl DoubleEndedIterator<Item = &Record<D>> {
        self.records.iter().filter(|record| record.exists())
    }

    pub fn listed(&self, at: Moment) -> impl DoubleEndedIterator<Item = &Record<D>> {
        self.existing().filter(move |record| !at.hidden_from_lists(record.created))
    }

    pub fn deleted(&self) -> impl DoubleEndedIterator<Item = &Record<D>> {
        self.records.iter().filter(|record| !record.exists())
    }

    /// Where a cursor points, even when that key is gone by now.
    pub fn place(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub fn snapshot(&self, at: Moment) -> Value {
        let (expired, live): (Vec<_>, Vec<_>) = self.existing().partition(|record| record.expired(at));
        let shown = |records: &[&Record<D>]| -> Vec<Value> {
            let show = |record: &&Record<D>| {
                json!({
                    "id": record.id, "name": record.name, "created": rfc3339(record.created),
                    "expires": record.expires.map(rfc3339),
                })
            };
            records.iter().map(show).collect()
        };
        json!({
            "live": shown(&live), "live_count": live.len(),
            "expired": shown(&expired), "expired_count": expired.len(),
            "deleted_count": self.deleted().count(), "created_count": self.created,
        })
    }
}

/// An identifier that nobody guesses by accident; the simulator's secrets need no more than that.
pub fn random(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::new_v4().simple())
}

/// LiteLLM and OpenRouter name a key by its hash. rustls has the hash at hand, which spares a crate for it.
pub fn sha256_hex(text: &str) -> String {
    let suite = TLS13_AES_128_GCM_SHA256.tls13();
    let hash = suite.map(|suite| suite.common.hash_provider.hash(text.as_bytes()));
    hash.iter().flat_map(|hash| hash.as_ref()).map(|byte| format!("{byte:02x}")).collect()
}
