use serde::{Deserialize, Serialize};

use super::super::keys::ledger::{KeyRecord, Row};
use super::super::mount::AiMount;
use super::super::record;
use crate::base::{Secret, Time};
use crate::logical::{Object, Result};

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

    pub fn secret(&self) -> Secret {
        self.secret.as_str().into()
    }

    /// Where it is at the vendor.
    pub fn record(&self) -> KeyRecord {
        KeyRecord { id: self.id.clone(), extra: Object::new() }
    }
}
