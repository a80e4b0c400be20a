use serde::{Deserialize, Serialize};

use super::super::keys::ledger::{KeyRecord, Row, RowKind};
use super::super::record;
use crate::base::{Secret, Time};
use crate::logical::{Error, Object, Result};

/// What a lease carries for renew and revoke, which must work after role, config and row are gone. Never the key.
#[derive(Serialize, Deserialize)]
pub struct Internal {
    /// Vault's own engines tell their leases apart by this name.
    pub secret_type: SecretType,
    pub id: String,
    pub name: String,
    /// Or the library set.
    pub role: String,
    pub config: String,
    pub generation: String,
    pub key: KeyRecord,
    /// The vendor's own expiry, as the vendor has last confirmed it to whoever stored this lease; it never moves back.
    /// A row's may be later: it covers what was asked for, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// Which path gave the lease.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretType {
    /// `creds/<role>`
    ApiKey,
    /// `library/<set>/check-out`
    Library,
}

impl Internal {
    pub fn of(row: &Row, key: KeyRecord) -> Self {
        Self {
            secret_type: if row.kind == RowKind::Library { SecretType::Library } else { SecretType::ApiKey },
            id: row.id.clone(),
            name: row.name.clone(),
            role: row.role.clone(),
            config: row.config.clone(),
            generation: row.generation.clone(),
            key,
            expires: row.vendor_expiry,
        }
    }

    pub fn read(object: &Object) -> Result<Self> {
        let text = serde_json::to_string(object).map_err(Error::internal)?;
        record::parse("internal_data of a lease", &Secret::from(text))
    }

    pub fn object(&self) -> Result<Object> {
        serde_json::from_str(record::text(self)?.expose()).map_err(Error::internal)
    }
}
