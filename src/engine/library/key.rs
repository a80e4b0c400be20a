use serde::{Deserialize, Serialize};

use super::super::accounts::Account;
use super::super::keys::at_vendor::{self, end_row};
use super::super::keys::ledger::{KeyRecord, Row, RowKind, State};
use super::super::keys::naming;
use super::super::mount::AiMount;
use super::super::{record, upstream};
use super::set::LibrarySet;
use crate::base::{Secret, Time};
use crate::logical::{Object, Result};
use crate::providers::{Standing, Switch};

/// `library/keys/<set>/<id>` in storage: one key. Holds its secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct LibraryKey {
    /// Its id at the vendor.
    #[serde(skip)]
    pub id: String,
    pub secret: String,
    /// The row of its last check-out. Where that row is gone, the key is back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Quarantine>,
    pub added: Time,
}

/// Why a key is not lent until somebody has looked after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Quarantine {
    pub why: String,
    pub since: Time,
}

/// Where the keys of a set are in storage.
pub fn folder(set: &str) -> String {
    format!("library/keys/{set}/")
}

pub fn key_path(set: &str, id: &str) -> String {
    format!("{}{id}", folder(set))
}

impl LibraryKey {
    pub async fn get(mount: &AiMount, set: &str, id: &str) -> Result<Option<Self>> {
        let key = record::get::<Self>(mount.storage.as_ref(), &key_path(set, id)).await?;
        Ok(key.map(|key| Self { id: id.to_owned(), ..key }))
    }

    pub async fn put(&self, mount: &AiMount, set: &str) -> Result<()> {
        record::put(mount.storage.as_ref(), key_path(set, &self.id), self, true).await
    }

    /// All keys of a set, in the order of their ids.
    pub async fn all(mount: &AiMount, set: &str) -> Result<Vec<Self>> {
        let mut keys = Vec::new();
        for id in mount.storage.list(&folder(set)).await? {
            keys.extend(Self::get(mount, set, &id).await?);
        }
        Ok(keys)
    }

    /// The row that says that it is out, or on its way back; none where it is there.
    pub async fn out(&self, mount: &AiMount) -> Result<Option<Row>> {
        match &self.row {
            Some(row) => mount.ledger.get(row).await,
            None => Ok(None),
        }
    }

    /// Whether it can be lent.
    pub async fn is_free(&self, mount: &AiMount) -> Result<bool> {
        match &self.row {
            _ if self.quarantine.is_some() => Ok(false),
            // A row that cannot be read is one all the same.
            Some(row) => Ok(!mount.ledger.has(row).await?),
            None => Ok(true),
        }
    }

    /// How it stands at the vendor.
    ///
    /// # Errors
    /// What the vendor could not say.
    pub async fn standing(&self, mount: &AiMount, account: &Account) -> Result<Standing> {
        let standing = at_vendor::standing(mount, account, &self.record().into()).await;
        standing.map_err(|fault| upstream::error(account.vendor.as_ref(), fault, None))
    }

    /// Lends it to nobody any more.
    pub async fn quarantine(mount: &AiMount, set: &str, id: &str, why: String) -> Result<()> {
        let _alone = mount.library_locks.write(set).await;
        let Some(key) = Self::get(mount, set, id).await? else { return Ok(()) };
        tracing::warn!(mount = mount.tag, set, key_id = id, why, "a key of a library is quarantined");
        let quarantine = Some(Quarantine { why, since: mount.clock.now() });
        Self { quarantine, ..key }.put(mount, set).await
    }

    /// Has the vendor switch off a key that is on while nobody has it. To be called with the set's lock held. A warning where
    /// the sweep has to go on.
    pub async fn switch_off(mut self, mount: &AiMount, name: &str, set: &LibrarySet) -> Result<Option<String>> {
        let config_lock = set.lock_config(mount).await;
        let Some(account) = set.account(mount, name).await? else { return Ok(None) };
        let id = naming::new_id(mount.rng.as_ref());
        let row = Row::new(id, RowKind::Library, account.id(), mount.clock.now());
        let row = Row { state: State::Revoking, role: name.to_owned(), key: Some(self.record()), ..row };
        // First: a row that no key names would be ended while somebody else has the key.
        self.row = Some(row.id.clone());
        self.put(mount, name).await?;
        mount.ledger.put(&row).await?;
        drop(config_lock);
        let _lock = mount.ledger.locks.write(&row.id).await;
        let ended = end_row(mount, row).await;
        Ok(ended
            .err()
            .map(|error| format!("key {:?} is lent to nobody before the vendor has switched it off: {error}", self.id)))
    }

    /// Why it cannot be changed or taken away now; none where it is there. `row` says where it is.
    pub fn why_not(&self, set: &str, row: Option<&Row>) -> Option<String> {
        let id = &self.id;
        row.map(|row| match row.state {
            State::Revoking => {
                format!("key {id:?} is being switched off: try again, or see keys/{} where that does not end", row.id)
            }
            _ => format!("key {id:?} is checked out: check it in first, see library/manage/{set}/check-in"),
        })
    }

    pub fn secret(&self) -> Secret {
        self.secret.as_str().into()
    }

    /// Where it is at the vendor.
    pub fn record(&self) -> KeyRecord {
        KeyRecord { id: self.id.clone(), extra: Object::new() }
    }
}

/// Why a key that stands so cannot be lent, behind "the key".
pub fn unusable(switch: &Switch) -> Option<String> {
    match switch {
        Switch::On | Switch::Off => None,
        Switch::Dead(state) => Some(format!("is {state} at the vendor, for good")),
        Switch::Missing => Some("is not at the vendor any more".into()),
        Switch::Strange(state) => Some(format!("is {state} at the vendor, of which nothing is known")),
    }
}
