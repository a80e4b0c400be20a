//! Whether a credential that is to be deleted is another account's too: two configs may hold one, and a retired account
//! needs its own until its last key has gone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

use super::super::accounts::{Config, retired_key};
use super::super::keys::ledger::AccountId;
use super::super::mount::AiMount;
use super::super::record;
use crate::logical::{Object, Result};

/// The digest of what an account holds in this field.
pub fn digest_of(account: &Object, field: Option<&String>) -> String {
    let secret = field.and_then(|field| account.get(field)).and_then(|secret| secret.as_str());
    secret.map(fingerprint).unwrap_or_default()
}

fn fingerprint(secret: &str) -> String {
    STANDARD.encode(digest(&SHA256, secret.as_bytes()))
}

/// Whether the credential of a retired account is another's too.
pub async fn is_needed(mount: &AiMount, retired: &AccountId) -> Result<bool> {
    let owner = mount.owner(retired).await?;
    let digest = digest_of(&owner.account.config.account, owner.account.parsed.credential_field.as_ref());
    is_used(mount, &digest, &retired_key(&retired.config, &retired.generation)).await
}

/// Whether an account, other than that stored at `except`, holds the credential of this digest.
pub async fn is_used(mount: &AiMount, of: &str, except: &str) -> Result<bool> {
    if of.is_empty() {
        return Ok(false);
    }
    let storage = mount.storage.as_ref();
    let mut keys: Vec<String> =
        storage.list("config/").await?.into_iter().map(|name| format!("config/{name}")).collect();
    for folder in storage.list("retired/").await? {
        let generations = storage.list(&format!("retired/{folder}")).await?.into_iter();
        keys.extend(generations.map(|generation| format!("retired/{folder}{generation}")));
    }
    for key in keys.into_iter().filter(|key| key != except) {
        let Some(config) = record::get::<Config>(storage, &key).await? else { continue };
        if config.account.values().filter_map(|value| value.as_str()).any(|text| fingerprint(text) == of) {
            return Ok(true);
        }
    }
    Ok(false)
}
