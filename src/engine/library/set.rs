use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::OwnedRwLockReadGuard;

use super::super::accounts::Account;
use super::super::config;
use super::super::lease_limits::LeaseLimits;
use super::super::mount::AiMount;
use super::super::record;
use super::super::roles::not_allowed;
use crate::logical::{Error, Result};
use crate::providers::Source;
use crate::schema::Invalid;

/// `library/sets/<name>` in storage: keys that are lent under the same rules.
#[derive(Clone, Serialize, Deserialize)]
pub struct LibrarySet {
    /// The account whose keys these are; none for keys that no vendor switches.
    pub config: Option<String>,
    /// Seconds.
    pub ttl: Option<u64>,
    /// Seconds.
    pub max_ttl: Option<u64>,
    /// Whether anybody may check in what somebody else has checked out.
    pub disable_check_in_enforcement: bool,
}

pub fn set_key(name: &str) -> String {
    format!("library/sets/{name}")
}

impl LibrarySet {
    /// Of a new set.
    pub const NO_LIMITS: LeaseLimits =
        LeaseLimits { ttl: None, max_ttl: None, called: ["the set's ttl", "the set's max_ttl"] };

    pub async fn get(mount: &AiMount, name: &str) -> Result<Option<Self>> {
        record::get(mount.storage.as_ref(), &set_key(name)).await
    }

    /// # Errors
    /// Where there is no such set.
    pub async fn need(mount: &AiMount, name: &str) -> Result<Self> {
        let set = Self::get(mount, name).await?;
        set.ok_or_else(|| Error::NotFound(format!("library set {name:?} does not exist")))
    }

    pub fn limits(&self) -> LeaseLimits {
        let [ttl, max_ttl] = [self.ttl, self.max_ttl].map(|seconds| seconds.map(Duration::from_secs));
        LeaseLimits { ttl, max_ttl, ..Self::NO_LIMITS }
    }

    /// Held from before the account is read until a row of it is stored. Taken behind the set's own lock.
    pub async fn lock_config(&self, mount: &AiMount) -> Option<OwnedRwLockReadGuard<()>> {
        match &self.config {
            Some(config) => Some(mount.config_locks.read(config).await),
            None => None,
        }
    }

    /// The account that switches its keys, where one does and lets the set use it.
    pub async fn account(&self, mount: &AiMount, name: &str) -> Result<Option<Arc<Account>>> {
        let Some(config) = &self.config else { return Ok(None) };
        let account = mount.accounts.current(mount.storage.as_ref(), config).await?;
        let account = account
            .ok_or_else(|| Invalid::new("config", format!("config {config:?} does not exist: write it first")))?;
        if !config::allows(&account.config, name) {
            return Err(not_allowed(config, name));
        }
        let about = account.vendor.about();
        if about.can.source != Source::Activate {
            let problem = format!(
                "is an account at {}, where keys cannot be switched on and off: use a role, or a set without config",
                about.title
            );
            return Err(Invalid::new("config", problem).into());
        }
        Ok(Some(account))
    }
}
