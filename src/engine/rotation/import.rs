//! A new static role's first key, where that exists already: somebody else's, or one that a lease holds.

use tokio::sync::OwnedRwLockWriteGuard;

use super::super::accounts::Account;
use super::super::keys::is_plain;
use super::super::keys::ledger::{Row, RowKind, State};
use super::super::mount::AiMount;
use super::super::upstream;
use super::slots::slots_of;
use super::static_role::StaticKey;
use crate::base::Secret;
use crate::logical::Result;
use crate::schema::{Invalid, Name};

/// A key that was given for a role.
pub struct Imported {
    pub key: StaticKey,
    /// What could not be seen of it.
    pub doubt: Option<String>,
    /// Held until the role is stored: its lease must not end the key in between.
    _row: Option<OwnedRwLockWriteGuard<()>>,
}

/// How a key is given.
pub struct Given {
    pub api_key: Option<Secret>,
    /// Id of its row.
    pub take_over: Option<Name>,
    /// Whether it is served as it is until the first rotation.
    pub stays: bool,
}

/// The key that is given for a new role; one that the vendor refuses is not taken.
pub async fn imported(
    mount: &AiMount,
    account: &Account,
    role: &str,
    is_new: bool,
    given: Given,
) -> Result<Option<Imported>> {
    let Some(secret) = given.api_key else {
        return match given.take_over {
            Some(_) => Err(Invalid::new("api_key", "is required with take_over: no key is kept here").into()),
            None => Ok(None),
        };
    };
    let invalid = |problem: &str| Err(Invalid::new("api_key", problem).into());
    if !is_new {
        return invalid("is taken only when the role is made: rotate-role replaces the key");
    }
    if slots_of(account).is_some() {
        return invalid(
            "is not taken where keys are values of slots: leave it out, and name the slot that nothing uses",
        );
    }
    if !is_plain(&secret) {
        return invalid("holds white space or characters that no key has: was a line end pasted?");
    }
    let signer = account.signer(mount);
    let vendor = account.vendor.as_ref();
    let doubt = match vendor.takes(&account.cx(mount, &signer), &secret).await {
        Ok(Some(false)) => return invalid("is refused by the vendor"),
        Ok(Some(true)) => None,
        Ok(None) if vendor.about().can.tries_keys => Some(format!("{} says nothing of it", vendor.about().title)),
        Ok(None) => Some("it cannot be asked at no cost".into()),
        Err(fault) => Some(upstream::text(vendor, &fault)),
    };
    let doubt = doubt.map(|why| format!("it could not be seen whether the vendor takes api_key ({why})"));
    let key = StaticKey {
        row: None,
        provider: account.config.provider.clone(),
        config: account.name.clone(),
        generation: account.config.generation.clone(),
        key: None,
        name: String::new(),
        secret: secret.expose().to_owned(),
        parts: Default::default(),
        headers: Default::default(),
        base_url: account.parsed.client_url.clone(),
        made: mount.clock.now(),
        refused: None,
        expires: None,
    };
    let Some(id) = given.take_over else { return Ok(Some(Imported { key, doubt, _row: None })) };
    let lock = mount.ledger.locks.write(&id.0).await;
    let row = leased(mount, account, &id.0, &secret).await?;
    if given.stays && row.vendor_expiry.is_some() {
        let problem = "cannot be with take_over here: the vendor ends that key by itself, so it is replaced at once";
        return Err(Invalid::new("skip_import_rotation", problem).into());
    }
    // A pointer to the role, whose record decides: what is cut off here leaves the key with its lease.
    let row = Row { taken_by: Some(role.to_owned()), ..row };
    mount.ledger.put(&row).await?;
    let key = StaticKey {
        row: Some(row.id),
        key: row.key,
        name: row.name,
        made: row.created,
        expires: row.vendor_expiry,
        ..key
    };
    Ok(Some(Imported { key, doubt, _row: Some(lock) }))
}

/// The row of this very key, which a lease holds and which was made with this account: another's would be deleted with the
/// role.
async fn leased(mount: &AiMount, account: &Account, id: &str, secret: &Secret) -> Result<Row> {
    let invalid = |problem: String| Invalid::new("take_over", problem);
    let row = mount.ledger.get(id).await?.ok_or_else(|| invalid(format!("no key {id:?}: see keys/")))?;
    if row.kind != RowKind::Lease || row.state != State::Live || row.key.is_none() {
        return Err(invalid(format!("key {id:?} is none that a lease holds")).into());
    }
    if row.config != account.name || row.generation != account.config.generation {
        return Err(invalid(format!("key {id:?} was made with another account, config {:?}", row.config)).into());
    }
    if row.print != Some(secret.print()) {
        return Err(invalid(format!("key {id:?} is another one than api_key, as far as its row can tell")).into());
    }
    match super::holder(mount, &row).await? {
        Some(holder) => Err(invalid(format!("key {id:?} is {holder}")).into()),
        None => Ok(row),
    }
}
