//! Static roles whose keys are values of a vendor's slots: the slots of one resource are one role's, and none of them is
//! touched as long as its value is in use, or what was done to it is not certain.

use std::collections::HashMap;

use super::super::accounts::Account;
use super::super::keys::ledger::{AccountId, RowKind, State};
use super::super::mount::AiMount;
use super::replace::stored;
use super::static_role::StaticRole;
use crate::base::rfc3339;
use crate::logical::{Error, Result};
use crate::providers::Ref;
use crate::schema::Invalid;

/// The lock that is held from a look at who uses these slots until the role that is to use them is stored.
pub fn slots_lock(slots: &str) -> String {
    format!("slots/{slots}")
}

/// The slots that an account's keys are values of; none where keys are made.
pub fn slots_of(account: &Account) -> Option<String> {
    account.vendor.slots_of(&account.parsed)
}

/// The slots that a key of this account is a value of; none as well where the account is gone or cannot be opened.
///
/// # Errors
/// Of storage: what cannot be read may be anything.
async fn slots_of_key(mount: &AiMount, of: &AccountId) -> Result<Option<String>> {
    known(mount.owner(of).await.map(|owner| slots_of(&owner.account)))
}

fn known(slots: Result<Option<String>>) -> Result<Option<String>> {
    match slots {
        Err(error @ (Error::Storage(_) | Error::ReadOnly)) => Err(error),
        slots => Ok(slots.ok().flatten()),
    }
}

/// Whether the role has a key in these slots.
async fn is_in(mount: &AiMount, slots: &str, role: &StaticRole) -> Result<bool> {
    for key in role.keys().filter(|key| key.row.is_some()) {
        if slots_of_key(mount, &key.account()).await?.as_deref() == Some(slots) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Fails where another static role has a key in these slots, or is to have one there while this one has none: each would end
/// the other's.
pub async fn check_is_alone(mount: &AiMount, name: &str, slots: &str, role: &StaticRole) -> Result<()> {
    let has_one = is_in(mount, slots, role).await?;
    for other in mount.storage.list("static/").await?.into_iter().filter(|other| other != name) {
        let unread = |error: Error| match error {
            Error::Storage(_) | Error::ReadOnly => error,
            error => {
                Error::Unavailable(format!("static role {other:?} may use the same slots and cannot be read: {error}"))
            }
        };
        let Some(role) = stored(mount, &other).await.map_err(unread)? else { continue };
        let account = mount.accounts.current(mount.storage.as_ref(), &role.config).await;
        let config = known(account.map(|account| account.and_then(|account| slots_of(&account))))?;
        if (!has_one && config.as_deref() == Some(slots)) || is_in(mount, slots, &role).await? {
            let problem =
                format!("has its slots used by static role {other:?}: the slots of a resource are one role's");
            return Err(Invalid::new("config", problem).into());
        }
    }
    Ok(())
}

/// Fails as long as the slot that comes next is in use: its value would end before its time, or the new one with it.
pub async fn check_are_settled(mount: &AiMount, slots: &str, role: &StaticRole) -> Result<()> {
    for previous in &role.previous {
        // One that was made elsewhere takes no place here.
        if slots_of_key(mount, &previous.key.account()).await?.as_deref() != Some(slots) {
            continue;
        }
        return Err(Error::Invalid(format!(
            "the key before goes on working until {}, and the next one takes its slot: wait, or rotate with overlap=0, which ends it now",
            rfc3339(previous.ends)
        )));
    }
    let rows = mount.ledger.all().ok_or_else(|| {
        Error::Unavailable("the ledger was not read as a whole yet, so nobody knows what is done to the slots".into())
    })?;
    let mut known: HashMap<AccountId, Option<String>> = HashMap::new();
    for (id, held) in rows.into_iter().filter(|(_, held)| held.kind == RowKind::Static) {
        if held.state == State::Live && role.holds(&id) {
            continue;
        }
        let of = (*held.account).clone();
        if !known.contains_key(&of) {
            known.insert(of.clone(), slots_of_key(mount, &of).await?);
        }
        if known.get(&of).is_some_and(|here| here.as_deref() == Some(slots)) {
            return Err(Error::Unavailable(format!(
                "what was done to the vendor's slots before is not settled yet, see keys/{id}: it goes on in a few minutes"
            )));
        }
    }
    Ok(())
}

/// The served key, where it is the value of one of these slots: that one must go on working.
///
/// # Errors
/// Where nobody can say.
pub async fn kept(mount: &AiMount, slots: &str, role: &StaticRole) -> Result<Option<Ref>> {
    // One that somebody else made is in no slot of ours.
    let Some(current) = role.current.as_ref().filter(|current| current.row.is_some()) else { return Ok(None) };
    let owner = mount.owner(&current.account()).await?;
    let here = slots_of(&owner.account).as_deref() == Some(slots);
    Ok(current.key.clone().filter(|_| here).map(Into::into))
}
