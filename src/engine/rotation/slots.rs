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

/// The lock that is held from a look at who uses which slots until the role that is to use them is stored.
pub const SLOTS: &str = "slots";

/// The slots that an account's keys are values of; none where keys are made.
pub fn slots_of(account: &Account) -> Option<String> {
    account.vendor.slots_of(&account.parsed)
}

/// The slots that a key of this account is a value of; none as well where nobody can say.
async fn slots_of_key(mount: &AiMount, of: &AccountId) -> Option<String> {
    slots_of(&mount.owner(of).await.ok()?.account)
}

/// Fails where another static role has its keys in these slots, or is to have them there: each would end the other's.
pub async fn check_is_alone(mount: &AiMount, name: &str, slots: &str) -> Result<()> {
    for other in mount.storage.list("static/").await?.into_iter().filter(|other| other != name) {
        let Some(role) = stored(mount, &other).await? else { continue };
        let account = mount.accounts.current(mount.storage.as_ref(), &role.config).await.ok().flatten();
        let mut used = account.and_then(|account| slots_of(&account));
        for key in role.keys().filter(|key| key.row.is_some()) {
            if used.as_deref() != Some(slots) {
                used = slots_of_key(mount, &key.account()).await;
            }
        }
        if used.as_deref() == Some(slots) {
            let problem =
                format!("has its slots used by static role {other:?}: the slots of a resource are one role's");
            return Err(Invalid::new("config", problem).into());
        }
    }
    Ok(())
}

/// Fails as long as the slot that comes next is in use: its value would end before its time, or the new one with it.
pub async fn check_are_settled(mount: &AiMount, slots: &str, role: &StaticRole) -> Result<()> {
    if let Some(previous) = role.previous.last() {
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
            known.insert(of.clone(), slots_of_key(mount, &of).await);
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
    let Some(current) = &role.current else { return Ok(None) };
    let owner = mount.owner(&current.account()).await?;
    let here = slots_of(&owner.account).as_deref() == Some(slots);
    Ok(current.key.clone().filter(|_| here).map(Into::into))
}
