//! How a static role's key is replaced; the same steps as for a config's credential (`root`).

use std::sync::Arc;
use std::time::Duration;

use super::super::accounts::Account;
use super::super::keys::ledger::RowKind;
use super::super::mount::AiMount;
use super::super::roles::not_allowed;
use super::super::step::step;
use super::super::times::{PROOF_LIMIT, UNASKED_PROOF, VENDOR_BUDGET};
use super::super::{config, record, upstream};
use super::held::{self, Wanted};
use super::proof::{Patience, Progress, Proof};
use super::slots::{self, check_are_settled, check_is_alone, slots_lock, slots_of};
use super::static_role::{StaticKey, StaticRole, Superseded};
use crate::base::Secret;
use crate::logical::{Error, Result};
use crate::providers::Purpose;
use crate::schema::Values;

pub fn static_key(name: &str) -> String {
    format!("static/{name}")
}

pub async fn stored(mount: &AiMount, name: &str) -> Result<Option<StaticRole>> {
    record::get(mount.storage.as_ref(), &static_key(name)).await
}

pub async fn store(mount: &AiMount, name: &str, role: &StaticRole) -> Result<()> {
    record::put(mount.storage.as_ref(), static_key(name), role, true).await
}

/// Replaces a role's key, or goes on with that. To be called with the role's lock held. `patience` is how long the vendor
/// may take to know the new key, before this returns and the sweep goes on; `overlap` is how long the key before goes on
/// working, where that is less than the role says.
pub async fn replace(
    mount: &AiMount,
    name: &str,
    mut role: StaticRole,
    patience: Duration,
    overlap: Option<Duration>,
) -> Result<Progress> {
    if let Some(overlap) = overlap {
        let asked = role.asked_overlap.unwrap_or(u64::MAX);
        role.asked_overlap = Some(asked.min(overlap.as_secs()));
        if role.pending.is_some() {
            store(mount, name, &role).await?;
        }
    }
    if role.pending.is_none() {
        role = create(mount, name, role).await?;
    }
    finish(mount, name, role, patience).await
}

async fn create(mount: &AiMount, name: &str, mut role: StaticRole) -> Result<StaticRole> {
    let slots = slots_of(&*account(mount, name, &role).await?);
    // Until the role is stored.
    let _slots_lock = match &slots {
        Some(slots) => Some(mount.rotation_locks.write(&slots_lock(slots)).await),
        None => None,
    };
    let config_lock = mount.config_locks.read(&role.config).await;
    let account = account(mount, name, &role).await?;
    // The account may have changed since the role was written.
    let scope = account.vendor.scope(&account.parsed, &Values::from(role.scope.clone()))?;
    let until = expiry(&account, mount);
    if slots_of(&account) != slots {
        return Err(Error::Conflict(format!("config {:?} was written meanwhile: try again", role.config)));
    }
    let keeps = match slots {
        Some(slots) => {
            check_is_alone(mount, name, &slots, &role).await?;
            check_are_settled(mount, &slots, &role).await?;
            slots::kept(mount, &slots, &role).await?
        }
        None => None,
    };
    let wanted = Wanted {
        kind: RowKind::Static,
        purpose: Purpose::Static,
        role: name,
        middle: name,
        scope: &scope,
        until,
        keeps: keeps.as_ref(),
    };
    let made = mount.clock.now();
    held::make(mount, &account, config_lock, &wanted, async |row, issued| {
        let parts = issued.parts.iter().map(|(name, part)| (name.clone(), part.expose().to_owned())).collect();
        role.begun = true;
        role.pending = Some(StaticKey {
            row: Some(row.id.clone()),
            provider: account.config.provider.clone(),
            config: row.config.clone(),
            generation: row.generation.clone(),
            name: row.name.clone(),
            secret: issued.secret.expose().to_owned(),
            parts,
            headers: issued.headers,
            key: Some(issued.key.into()),
            base_url: account.parsed.client_url.clone(),
            made,
            refused: None,
            expires: issued.expires,
        });
        store(mount, name, &role).await?;
        Ok(role)
    })
    .await
}

/// The account that makes a role's keys now, where it lets the role use it still.
async fn account(mount: &AiMount, name: &str, role: &StaticRole) -> Result<Arc<Account>> {
    let account = mount.accounts.current(mount.storage.as_ref(), &role.config).await?;
    let account = account.ok_or_else(|| Error::Invalid(format!("config {:?} does not exist", role.config)))?;
    if account.config.provider != role.provider {
        return Err(Error::Invalid(format!(
            "the static role was written for provider {}, and config {:?} is {} now: write the role again",
            role.provider, role.config, account.config.provider
        )));
    }
    if !config::allows(&account.config, name) {
        return Err(not_allowed(&role.config, name));
    }
    Ok(account)
}

/// As late as the vendor goes: a rotation that stalls must not end the key that is served.
fn expiry(account: &Account, mount: &AiMount) -> Option<crate::base::Time> {
    account.vendor.about().can.expiry.limits().map(|limits| mount.clock.now() + limits.longest)
}

async fn finish(mount: &AiMount, name: &str, mut role: StaticRole, patience: Duration) -> Result<Progress> {
    let Some(pending) = role.pending.clone() else { return Ok(Progress::Switched(())) };
    let (Some(row), Some(key)) = (&pending.row, &pending.key) else { return Ok(Progress::Switched(())) };
    if !held::adopt(mount, row, key, pending.expires).await? {
        role.pending = None;
        store(mount, name, &role).await?;
        return Err(Error::Unavailable("the new key was ended before it was served: another one is made".into()));
    }
    match prove(mount, &role, &pending, patience).await? {
        Proof::Taken => {}
        Proof::Refused(_) if pending.refused.is_some_and(|since| mount.clock.now() > since + PROOF_LIMIT) => {
            mount.ledger.let_go(row, None).await?;
            step("rotate.after-letting-go").await;
            role.pending = None;
            store(mount, name, &role).await?;
            return Err(Error::Refused(
                "the vendor does not take the new key: it is deleted, and another is made".into(),
            ));
        }
        Proof::Refused(why) => {
            if let Some(pending) = role.pending.as_mut().filter(|pending| pending.refused.is_none()) {
                pending.refused = Some(mount.clock.now());
                store(mount, name, &role).await?;
            }
            return Ok(Progress::Pending(why));
        }
        Proof::Unknown(why) | Proof::Waits(why) => return Ok(Progress::Pending(why)),
    }
    step("rotate.proven").await;
    if mount.running.draining() {
        return Err(Error::Unavailable("this mount is being disabled".into()));
    }
    let now = mount.clock.now();
    role.switch(now);
    store(mount, name, &role).await?;
    step("rotate.after-switch").await;
    end_previous(mount, name, role).await?;
    Ok(Progress::Switched(()))
}

/// Whether the vendor takes the new key, asked with the key itself. Where that cannot be asked it is taken in time, sooner
/// if there is nothing else to serve; unless the vendor has refused it once, which only the vendor can take back.
async fn prove(mount: &AiMount, role: &StaticRole, key: &StaticKey, patience: Duration) -> Result<Proof> {
    let owner = mount.owner(&key.account()).await?;
    let account = &owner.account;
    let secret = Secret::from(key.secret.as_str());
    let now = mount.clock.now();
    let age = (now - key.made).to_std().unwrap_or_default();
    let alone = !role.serves(now);
    let mut refused = key.refused.is_some();
    let mut patience = Patience::of(patience);
    loop {
        let signer = account.signer(mount);
        let cx = account.cx(mount, &signer);
        let proof = match tokio::time::timeout(VENDOR_BUDGET, account.vendor.takes(&cx, &secret)).await {
            Ok(Ok(Some(true))) => Proof::Taken,
            Ok(Ok(Some(false))) => Proof::Refused("the vendor does not take the new key yet".into()),
            Ok(Ok(None)) => Proof::Waits("the vendor is given time to know the new key".into()),
            Ok(Err(fault)) => Proof::Unknown(upstream::text(account.vendor.as_ref(), &fault)),
            Err(_) => Proof::Unknown("the vendor did not answer in time".into()),
        };
        refused |= matches!(proof, Proof::Refused(_));
        let proof = match proof {
            Proof::Unknown(why) | Proof::Waits(why) if refused => Proof::Refused(why),
            Proof::Waits(_) if alone || age >= UNASKED_PROOF => Proof::Taken,
            Proof::Unknown(_) if age >= if alone { UNASKED_PROOF } else { PROOF_LIMIT } => Proof::Taken,
            proof => proof,
        };
        if !proof.may_change() || !patience.lasts().await {
            return Ok(proof);
        }
    }
}

/// Lets go of the keys whose overlap is over; the role without them.
pub async fn end_previous(mount: &AiMount, name: &str, mut role: StaticRole) -> Result<StaticRole> {
    let now = mount.clock.now();
    let (over, previous): (Vec<_>, Vec<_>) = role.previous.into_iter().partition(|previous| previous.ends <= now);
    role.previous = previous;
    if over.is_empty() {
        return Ok(role);
    }
    for Superseded { key, .. } in &over {
        let_go(mount, key).await?;
    }
    step("rotate.after-letting-go").await;
    store(mount, name, &role).await?;
    Ok(role)
}

/// Has the sweep end a key.
pub async fn let_go(mount: &AiMount, key: &StaticKey) -> Result<()> {
    held::let_go(mount, RowKind::Static, &key.account(), key.row.as_deref(), key.key.as_ref()).await.map(drop)
}
