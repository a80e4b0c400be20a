use super::super::accounts::{Account, Owner};
use super::super::keys::ledger::{AccountId, State};
use super::super::mount::AiMount;
use super::super::record;
use super::super::roles::{Role, role_key};
use super::super::rotation;
use super::super::step::step;
use super::super::times::VENDOR_BUDGET;
use super::internal::Internal;
use super::life::vendor_end;
use super::term::Term;
use crate::base::{Time, rfc3339};
use crate::logical::{Error, Lease, Object, Response, Result};
use crate::providers::{Expiry, Fault, Ref};

/// Extends a lease: the row first, then the vendor's expiry where it moves. The answer replaces the stored lease
/// whole. The host takes the caller's increment before our ttl, so only `max_ttl` can shorten what it grants.
pub async fn renew(mount: &AiMount, mut internal: Internal, lease: Lease, mut data: Object) -> Result<Response> {
    mount.must_write().await?;
    let role = record::get::<Role>(mount.storage.as_ref(), &role_key(&internal.role)).await?.ok_or_else(|| {
        Error::Invalid(format!("role {:?} does not exist any more: the lease ends at its ttl", internal.role))
    })?;
    let of = AccountId { config: internal.config.clone(), generation: internal.generation.clone() };
    let Owner { account, newer } = mount.owner(&of).await?;
    // The present credential, where the account is certain to be the same; the retired one may be refused by now.
    let account = newer.filter(|newer| newer.vendor.about().identity_is_complete).unwrap_or(account);
    let _lock = mount.ledger.locks.write(&internal.id).await;
    let mut row = mount
        .ledger
        .get(&internal.id)
        .await?
        .filter(|row| row.state == State::Live)
        .ok_or_else(|| Error::Invalid("the key of this lease has been ended: read creds/<role> again".into()))?;
    if row.taken_by.is_some() && rotation::holder(mount, &row).await?.is_some() {
        return Err(Error::Invalid("the key of this lease is a static role's now: read static-creds/ for it".into()));
    }
    let expiry = account.vendor.about().can.expiry;
    let mut term = Term::of(mount, &role.limits(), &lease, expiry, row.vendor_expiry).await?;
    // Never earlier: until the host has our answer it keeps the older, perhaps longer, lease.
    row.deadline = row.deadline.max(term.end());
    // A key that the vendor made without an expiry has none to move.
    let moves = match (expiry, row.key.clone(), row.vendor_expiry) {
        (Expiry::Movable(limits), Some(key), Some(before)) => {
            let until = vendor_end(term.now, term.ttl, limits).max(before);
            row.vendor_expiry = Some(until);
            Some((key, until))
        }
        _ => None,
    };
    mount.ledger.put(&row).await?;
    step("renew.after-row").await;
    let mut warning = None;
    if let Some((key, until)) = moves {
        let extended = extend(mount, &account, key.into(), until).await;
        step("renew.after-vendor").await;
        // The vendor may have taken its time, and the host counts from our answer.
        term.restart(mount.clock.now())?;
        match extended {
            Ok(granted) => {
                term.bound_by(granted)?;
                internal.expires = Some(granted);
                if granted < until {
                    row.vendor_expiry = Some(granted);
                    // For the inventory only: a row that says a later one harms nothing.
                    let _ = mount.ledger.put(&row).await;
                }
            }
            Err(fault) => warning = Some(term.without_vendor(mount, &account, &internal, fault)?),
        }
    }
    data.insert("expires_at".into(), rfc3339(term.end()).into());
    let lease = Lease { ttl: term.ttl, max_ttl: term.max_ttl, renewable: true, internal: internal.object()?, ..lease };
    Ok(Response { lease: Some(lease), ..Response::data(data) }.with_warnings(warning))
}

/// Has the vendor move a key's expiry; when it ends the key then.
async fn extend(mount: &AiMount, account: &Account, key: Ref, until: Time) -> Result<Time, Fault> {
    let signer = account.signer(mount);
    let cx = account.cx(mount, &signer);
    let extended = tokio::time::timeout(VENDOR_BUDGET, account.vendor.extend(&cx, &key, until)).await;
    extended.unwrap_or_else(|_| Err(Fault::unknown("did not answer in time")))
}
