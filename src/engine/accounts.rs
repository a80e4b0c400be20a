//! Vendor accounts as the engine uses them: a config of one generation, with its HTTP client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::identity::AssertionSigner;
use super::keys::ledger::AccountId;
use super::mount::AiMount;
use super::rotation::{AdminKey, Schedule};
use super::times::{OLD_CREDENTIAL, VERY_OLD_CREDENTIAL};
use super::{record, vendors};
use crate::base::{Secret, Time};
use crate::logical::{Error, Object, Result, Storage};
use crate::providers::{self, Cx, Http, Network, Signer, Vendor};
use crate::schema::Values;

/// `config/<name>`, and `retired/<name>/<generation>` once it was superseded or deleted.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub provider: String,
    /// New whenever the vendor, the API URL or the account changes; credentials change in place. Random, so that
    /// a name that is deleted and written again never meets its old keys.
    pub generation: String,
    /// The vendor's fields, credential included.
    pub account: Object,
    pub allowed_roles: Vec<String>,
    #[serde(default)]
    pub allow_http: bool,
    #[serde(default)]
    pub proxy_url: Option<String>,
    #[serde(default)]
    pub ca_cert: Option<String>,
    /// When the credential rotates by itself.
    #[serde(default)]
    pub schedule: Schedule,
    /// Seconds that the vendor itself lets a rotated credential live for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_key_ttl: Option<u64>,
    #[serde(default)]
    pub admin: AdminKey,
    pub created: Time,
    pub updated: Time,
}

impl Config {
    pub fn admin_key_ttl(&self) -> Option<Duration> {
        self.admin_key_ttl.map(Duration::from_secs)
    }

    /// Since when the credential is in use here.
    pub fn credential_since(&self) -> Time {
        self.admin.since.unwrap_or(self.updated)
    }

    /// What there is to say of how old the credential is.
    pub fn age_warning(&self, name: &str, now: Time) -> Option<String> {
        let age = (now - self.credential_since()).to_std().ok()?;
        if age < OLD_CREDENTIAL || (self.schedule.is_active() && age < VERY_OLD_CREDENTIAL) {
            return None;
        }
        let urge = if age < VERY_OLD_CREDENTIAL { "rotate it" } else { "rotate it now" };
        let days = age.as_secs() / (24 * 3600);
        Some(format!("the credential of config {name:?} is {days} days old: {urge}, see config/{name}/rotate-root"))
    }

    pub fn network(&self) -> Network {
        Network { allow_http: self.allow_http, proxy_url: self.proxy_url.clone(), ca_cert: self.ca_cert.clone() }
    }
}

/// A config ready for vendor calls.
pub struct Account {
    /// Of its config.
    pub name: String,
    pub config: Config,
    pub vendor: Arc<dyn Vendor>,
    pub parsed: providers::Account,
    http: Http,
}

impl Account {
    /// Parses a config; fails where a field is not valid.
    pub fn open(name: &str, config: Config) -> Result<Self> {
        let vendor = vendors::named(&config.provider, &config.account)?;
        let parsed = vendor.account(&Values::from(config.account.clone()))?;
        let network = config.network();
        parsed.check_network(&network)?;
        let http = Http::new(&network)?;
        http.check_account(vendor.about(), &parsed)?;
        Ok(Self { name: name.to_owned(), config, vendor, parsed, http })
    }

    /// By which its keys know it.
    pub fn id(&self) -> AccountId {
        AccountId { config: self.name.clone(), generation: self.config.generation.clone() }
    }

    /// Whether both are the same account at the same vendor as far as their fields say, whatever their credentials.
    pub fn is_same(&self, other: &Self) -> bool {
        self.config.provider == other.config.provider && self.parsed.is_same(&other.parsed)
    }

    /// For calls that are made for whom this signer signs.
    pub fn cx<'a>(&'a self, mount: &'a AiMount, signer: &'a dyn Signer) -> Cx<'a> {
        Cx { account: &self.parsed, http: &self.http, clock: mount.clock.as_ref(), rng: mount.rng.as_ref(), signer }
    }

    /// Signs for the account's own calls, whoever caused them.
    pub fn signer<'a>(&'a self, mount: &'a AiMount) -> AssertionSigner<'a> {
        AssertionSigner::for_config(mount, &self.name)
    }
}

/// Who can end a key: the account that made it.
pub struct Owner {
    pub account: Arc<Account>,
    /// The present config of that name, where it is the same account as far as its fields say: for when the vendor
    /// refuses the retired credential.
    pub newer: Option<Arc<Account>>,
}

/// Opened accounts. An entry is used only while the stored record is the same to the letter, so nothing here
/// can be stale; dropping an entry only costs a connection.
#[derive(Default)]
pub struct Accounts(Mutex<HashMap<String, (Secret, Arc<Account>)>>);

pub fn config_key(name: &str) -> String {
    format!("config/{name}")
}

pub fn retired_key(name: &str, generation: &str) -> String {
    format!("retired/{name}/{generation}")
}

/// What to do where nobody can ask the vendor about a key any more.
pub fn account_is_gone(of: &AccountId) -> Error {
    Error::Unavailable(format!(
        "the account of config {:?} that made this key is not stored any more: delete the key at the vendor, then its row under keys/ with force=true, and `lease revoke -force -prefix` its lease",
        of.config
    ))
}

impl Accounts {
    /// The account that mints now; none where the config does not exist.
    pub async fn current(&self, storage: &dyn Storage, name: &str) -> Result<Option<Arc<Account>>> {
        self.open(storage, name, config_key(name)).await
    }

    /// The account that a key was made with, retired or not; none where it is not stored any more.
    pub async fn of_generation(&self, storage: &dyn Storage, of: &AccountId) -> Result<Option<Owner>> {
        // A present config that cannot be opened must not stand in the way of older keys.
        let current = self.current(storage, &of.config).await;
        if let Ok(Some(account)) = &current
            && account.config.generation == of.generation
        {
            return Ok(Some(Owner { account: account.clone(), newer: None }));
        }
        let Some(account) = self.open(storage, &of.config, retired_key(&of.config, &of.generation)).await? else {
            return current.map(|_| None);
        };
        let newer = current.ok().flatten().filter(|current| current.is_same(&account));
        Ok(Some(Owner { account, newer }))
    }

    /// Forgets what was opened from this storage key.
    pub fn forget(&self, key: &str) {
        self.map().remove(key);
    }

    pub fn forget_all(&self) {
        self.map().clear();
    }

    async fn open(&self, storage: &dyn Storage, name: &str, key: String) -> Result<Option<Arc<Account>>> {
        let Some(text) = storage.get(&key).await? else {
            self.forget(&key);
            return Ok(None);
        };
        if let Some((opened_from, account)) = self.map().get(&key)
            && *opened_from == text
        {
            return Ok(Some(account.clone()));
        }
        let account = Arc::new(Account::open(name, record::parse(&key, &text)?)?);
        self.map().insert(key, (text, account.clone()));
        Ok(Some(account))
    }

    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Secret, Arc<Account>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
