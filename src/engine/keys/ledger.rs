use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::record;
use super::super::times::{LOOKS, RETRY};
use super::naming;
use crate::base::{Clock, Time};
use crate::framework::{ListArgs, Locks};
use crate::logical::{Error, Object, Request, Result, Storage};
use crate::providers::Ref;

/// One key, from before it is created until the vendor has confirmed it gone: `ledger/<2 of id>/<id>`. No secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    #[serde(skip)]
    pub id: String,
    pub kind: RowKind,
    pub state: State,
    pub config: String,
    pub generation: String,
    /// Role, static role or library set.
    pub role: String,
    /// Entity of the caller; empty where there is none.
    pub entity: String,
    /// The caller's display name.
    pub caller: String,
    /// Accessor of the caller's token.
    pub accessor: String,
    /// The key's name at the vendor: unique, chosen by us; empty for a key that somebody else made.
    pub name: String,
    /// Where the key is at the vendor; none while it is being made.
    pub key: Option<KeyRecord>,
    pub created: Time,
    /// When the lease ends, where one holds the key.
    pub deadline: Time,
    /// When the vendor itself ends the key.
    pub vendor_expiry: Option<Time>,
    /// A print of a leased key, so that whoever has the key can prove that this is its row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub print: Option<String>,
    /// The static role that the key was given to while a lease held it. It has the key where its record says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowKind {
    /// A key that a lease holds.
    Lease,
    /// A token that a lease holds, made by an exchange or a signature: the vendor keeps nothing that could be listed.
    Token,
    /// A credential of a config, which this mount has made. Its deadline means nothing.
    Admin,
    /// The key of a static role, or one that it has let go. Its deadline means nothing.
    Static,
    /// A key of a library that a lease has checked out. Somebody else made it, and it does not end: it is switched off.
    Library,
}

impl RowKind {
    /// Whether a key of this kind ends at its row's deadline: that of a lease does.
    pub const fn has_deadline(self) -> bool {
        matches!(self, Self::Lease | Self::Token | Self::Library)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The vendor is being asked for it, or was when the process ended.
    Minting,
    /// The caller has it, or may have it.
    Live,
    /// Its revocation failed and is tried again.
    Revoking,
    /// A token: it ends at its deadline by itself, and its row goes then. Only who holds it can end it before, if anybody.
    Expiring,
}

/// A vendor's reference to a key, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyRecord {
    pub id: String,
    #[serde(default, skip_serializing_if = "Object::is_empty")]
    pub extra: Object,
}

impl From<Ref> for KeyRecord {
    fn from(key: Ref) -> Self {
        Self { id: key.id, extra: key.extra }
    }
}

impl From<KeyRecord> for Ref {
    fn from(key: KeyRecord) -> Self {
        Self { id: key.id, extra: key.extra }
    }
}

/// The account that a key was made with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId {
    pub config: String,
    pub generation: String,
}

impl AccountId {
    /// Of keys that no vendor knows of.
    pub const NOBODYS: Self = Self { config: String::new(), generation: String::new() };
}

/// What the index holds of a row: enough to know when it is due. Ages run on the monotonic clock, from when this
/// instance first saw the row in its state.
#[derive(Clone, Debug)]
pub struct Held {
    pub kind: RowKind,
    pub state: State,
    pub account: Arc<AccountId>,
    pub deadline: Time,
    /// The deadline on the monotonic clock, for a row that this instance wrote.
    pub ends: Option<Duration>,
    /// Not to be looked at before.
    pub next: Duration,
    /// How often settling it has failed.
    pub tries: u32,
    seen: Duration,
    /// How often the vendor's listing did not show it.
    looks: usize,
}

/// The rows of a mount, with an index of them in memory on the node that writes.
pub struct Ledger {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    /// One lock per row: whoever acts on a row reads it again under its lock.
    pub locks: Locks,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    rows: BTreeMap<String, Held>,
    /// Each account once, shared by its rows.
    accounts: BTreeSet<Arc<AccountId>>,
    loaded: Loaded,
    /// Counts how often the index was emptied, so that a load which that interrupted does not count.
    epoch: u64,
}

/// How much of the ledger the index holds. That an account is not used is known only where it holds all.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Loaded {
    #[default]
    No,
    Part,
    All,
}

const FOLDER: &str = "ledger/";
/// Characters of the id that name a row's folder.
const SHARD: usize = 2;

impl Row {
    /// Of a key that is being made with this account, and that nobody has yet.
    pub fn new(id: String, kind: RowKind, of: AccountId, now: Time) -> Self {
        Self {
            id,
            kind,
            state: State::Minting,
            config: of.config,
            generation: of.generation,
            role: String::new(),
            entity: String::new(),
            caller: String::new(),
            accessor: String::new(),
            name: String::new(),
            key: None,
            created: now,
            deadline: now,
            vendor_expiry: None,
            print: None,
            taken_by: None,
        }
    }

    /// For whoever sent this request.
    pub fn asked_by(self, request: &Request) -> Self {
        Self {
            entity: request.entity_id.clone(),
            caller: request.display_name.clone(),
            accessor: request.accessor.clone(),
            ..self
        }
    }

    /// Whether there is a vendor to ask about the key: no vendor knows the keys of a library without a config.
    pub fn has_account(&self) -> bool {
        !self.config.is_empty()
    }

    pub fn account(&self) -> AccountId {
        AccountId { config: self.config.clone(), generation: self.generation.clone() }
    }
}

impl Ledger {
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, locks: Locks::default(), index: Mutex::default() }
    }

    pub async fn get(&self, id: &str) -> Result<Option<Row>> {
        let row = record::get::<Row>(self.storage.as_ref(), &key(id)).await?;
        Ok(row.map(|row| Row { id: id.to_owned(), ..row }))
    }

    /// Whether there is a row, readable or not.
    pub async fn has(&self, id: &str) -> Result<bool> {
        Ok(self.storage.get(&key(id)).await?.is_some())
    }

    pub async fn put(&self, row: &Row) -> Result<()> {
        // Noted first: a write that fails may have gone through all the same.
        let left = (row.deadline - self.clock.now()).to_std().unwrap_or_default();
        self.note(row, Some(self.clock.monotonic() + left));
        record::put(self.storage.as_ref(), key(&row.id), row, false).await
    }

    /// Has the sweep end a key that nobody is to use any more. Repeatable. `key` is where it is, should its row not know.
    pub async fn let_go(&self, id: &str, key: Option<KeyRecord>) -> Result<()> {
        let _lock = self.locks.write(id).await;
        match self.get(id).await? {
            Some(row) if row.state != State::Revoking => {
                self.put(&Row { state: State::Revoking, key: row.key.or(key), ..row }).await
            }
            _ => Ok(()),
        }
    }

    /// Notes that a key's end has failed: the host gives up after six attempts, the sweep does not.
    pub async fn keep_for_the_sweep(&self, mut row: Row) {
        // A token's row is no work for the sweep: only who has the token could end it.
        if row.state != State::Revoking && row.state != State::Expiring {
            row.state = State::Revoking;
            if let Err(error) = self.put(&row).await {
                tracing::warn!(id = row.id, %error, "a failed revocation is not noted; its deadline covers it");
            }
        }
    }

    pub async fn delete(&self, id: &str) -> Result<()> {
        self.storage.delete(&key(id)).await?;
        self.forget_row(id);
        Ok(())
    }

    /// Takes over what is stored: a write that failed was noted all the same. To be called with the row's lock held.
    pub fn found(&self, row: &Row) {
        self.note(row, None);
    }

    /// Forgets a row that is not stored. Only who holds its lock knows that: it may be about to be.
    pub fn forget_row(&self, id: &str) {
        self.index().rows.remove(id);
    }

    /// Ids in order, as a list asks for them; read from storage, so a standby can answer.
    pub async fn ids(&self, arguments: &ListArgs) -> Result<Vec<String>> {
        let after = arguments.after.as_deref().unwrap_or("");
        let limit = arguments.limit().unwrap_or(usize::MAX);
        let mut ids = Vec::new();
        for shard in self.storage.list(FOLDER).await? {
            if ids.len() >= limit {
                break;
            }
            // Every id of an earlier shard comes before `after`.
            if after.get(..SHARD).is_some_and(|first| shard.as_str() < first) {
                continue;
            }
            let wanted = if limit == usize::MAX { 0 } else { limit - ids.len() };
            ids.extend(self.storage.list_page(&format!("{FOLDER}{shard}"), after, wanted).await?);
        }
        Ok(ids)
    }

    /// Reads every row into the index. Rows that come and go meanwhile are noted by whoever does it. A row that cannot
    /// be read (a newer version wrote it) is left alone.
    pub async fn load(&self) -> Result<()> {
        let epoch = self.index().epoch;
        let mut loaded = Loaded::All;
        for id in self.ids(&ListArgs::all()).await? {
            if self.index().rows.contains_key(&id) {
                continue;
            }
            match self.get(&id).await {
                // What was noted meanwhile is newer.
                Ok(Some(row)) if !self.index().rows.contains_key(&id) => self.note(&row, None),
                Ok(_) => {}
                // Storage that fails will fail for the next row too.
                Err(error @ (Error::Storage(_) | Error::ReadOnly)) => return Err(error),
                Err(error) => {
                    tracing::error!(id, %error, "a row of the ledger is left alone");
                    loaded = Loaded::Part;
                }
            }
        }
        let mut index = self.index();
        if index.epoch == epoch {
            index.loaded = loaded;
        }
        Ok(())
    }

    pub fn is_loaded(&self) -> bool {
        self.index().loaded != Loaded::No
    }

    /// What the index holds, in the order of ids.
    pub fn held(&self) -> Vec<(String, Held)> {
        self.index().rows.iter().map(|(id, held)| (id.clone(), held.clone())).collect()
    }

    /// The same, where it holds every row; none else.
    pub fn all(&self) -> Option<Vec<(String, Held)>> {
        let whole = self.index().loaded == Loaded::All;
        whole.then(|| self.held())
    }

    /// Settling the row has failed once more.
    pub fn failed(&self, id: &str) {
        let now = self.clock.monotonic();
        if let Some(held) = self.index().rows.get_mut(id) {
            held.tries += 1;
            held.next = now + retry(held.tries);
        }
    }

    /// The vendor's listing did not show the row's key; returns how often that was.
    pub fn looked(&self, id: &str) -> usize {
        self.index().rows.get_mut(id).map_or(0, |held| {
            held.looks += 1;
            held.next = held.seen + look(held.looks);
            held.looks
        })
    }

    /// The rows that were made with this account; none where that is not certain.
    pub fn made_with(&self, account: &AccountId) -> Option<Vec<(String, Held)>> {
        let mut index = self.index();
        if index.loaded != Loaded::All {
            return None;
        }
        let rows = index.rows.iter().filter(|(_, held)| *held.account == *account);
        let rows: Vec<_> = rows.map(|(id, held)| (id.clone(), held.clone())).collect();
        if rows.is_empty() {
            index.accounts.remove(account);
        }
        Some(rows)
    }

    /// Forgets the index, because storage may not be this mount's any more.
    pub fn forget(&self) {
        let mut index = self.index();
        *index = Index { epoch: index.epoch + 1, ..Index::default() };
    }

    fn note(&self, row: &Row, ends: Option<Duration>) {
        let now = self.clock.monotonic();
        let mut index = self.index();
        let account = row.account();
        let account = match index.accounts.get(&account) {
            Some(known) => known.clone(),
            None => Arc::new(account),
        };
        index.accounts.insert(account.clone());
        let first = if row.state == State::Minting { now + look(0) } else { now };
        let fresh = Held {
            kind: row.kind,
            state: row.state,
            account,
            deadline: row.deadline,
            ends,
            next: first,
            tries: 0,
            seen: now,
            looks: 0,
        };
        let held = match index.rows.get(&row.id).filter(|held| held.state == row.state) {
            Some(known) => Held { kind: row.kind, deadline: row.deadline, ends: ends.or(known.ends), ..known.clone() },
            None => fresh,
        };
        index.rows.insert(row.id.clone(), held);
    }

    fn index(&self) -> std::sync::MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An id that is none of ours has a key that holds no row.
fn key(id: &str) -> String {
    if naming::is_id(id) { format!("{FOLDER}{}/{id}", &id[..SHARD]) } else { format!("{FOLDER}-/-") }
}

/// Age of a row at look number `looks`, from 0: those of `LOOKS`, then one an hour.
fn look(looks: usize) -> Duration {
    let last = LOOKS[LOOKS.len() - 1];
    LOOKS
        .get(looks)
        .copied()
        .unwrap_or_else(|| last + RETRY.1 * u32::try_from(looks + 1 - LOOKS.len()).unwrap_or(u32::MAX))
}

/// Wait after failure number `tries`, from 1: doubling, then one try an hour.
pub fn retry(tries: u32) -> Duration {
    let (first, longest) = RETRY;
    first.saturating_mul(2u32.saturating_pow(tries.saturating_sub(1))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_ever_later_then_hourly() {
        let minutes: Vec<u64> = (1..10).map(|tries| retry(tries).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let minutes: Vec<u64> = (0..5).map(|looks| look(looks).as_secs() / 60).collect();
        assert_eq!(minutes, [2, 10, 60, 120, 180]);
    }
}
