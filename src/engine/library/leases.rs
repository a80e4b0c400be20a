//! A checked-out key's lease: renewed, and ended.

use super::super::keys::at_vendor::end_row;
use super::super::keys::ledger::State;
use super::super::lease::{Internal, Term};
use super::super::mount::AiMount;
use super::super::step::step;
use super::set::LibrarySet;
use crate::base::rfc3339;
use crate::logical::{Error, Lease, Object, Response, Result};
use crate::providers::Expiry;

pub async fn renew(mount: &AiMount, internal: &Internal, lease: Lease, mut data: Object) -> Result<Response> {
    mount.must_write().await?;
    let set = LibrarySet::get(mount, &internal.role).await?.ok_or_else(|| {
        Error::Invalid(format!("library set {:?} does not exist any more: the lease ends at its ttl", internal.role))
    })?;
    let _lock = mount.ledger.locks.write(&internal.id).await;
    let row = mount.ledger.get(&internal.id).await?.filter(|row| row.state == State::Live);
    let mut row =
        row.ok_or_else(|| Error::Invalid("the key of this lease was checked in: check out another".into()))?;
    let term = Term::of(mount, &set.limits(), &lease, Expiry::Never, None).await?;
    // Never earlier: until the host has our answer it keeps the older, perhaps longer, lease.
    row.deadline = row.deadline.max(term.end());
    mount.ledger.put(&row).await?;
    step("renew.after-row").await;
    data.insert("expires_at".into(), rfc3339(term.end()).into());
    let lease = Lease { ttl: term.ttl, max_ttl: term.max_ttl, renewable: true, ..lease };
    Ok(Response { lease: Some(lease), ..Response::data(data) })
}

/// Takes the key back. Where its row is gone it was checked in before, and may be somebody else's by now.
pub async fn revoke(mount: &AiMount, internal: &Internal) -> Result<Response> {
    let _lock = mount.ledger.locks.write(&internal.id).await;
    if let Some(row) = mount.ledger.get(&internal.id).await? {
        step("revoke.before-vendor").await;
        end_row(mount, row).await?;
    }
    step("revoke.after-row").await;
    Ok(Response::default())
}
