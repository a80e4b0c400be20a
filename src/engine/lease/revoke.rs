use super::super::accounts::account_is_gone;
use super::super::keys::at_vendor::{end, is_settled};
use super::super::keys::ledger::AccountId;
use super::super::mount::AiMount;
use super::super::rotation;
use super::super::step::step;
use super::super::upstream;
use super::creds::API_KEY;
use super::internal::Internal;
use crate::base::Secret;
use crate::logical::{Object, Response, Result};
use crate::providers::End;

/// Ends a lease's key; `data` is what the lease was answered with. Works from the lease alone: its row may be gone, or never come back from a snapshot.
pub async fn revoke(mount: &AiMount, internal: Internal, data: &Object) -> Result<Response> {
    let of = AccountId { config: internal.config, generation: internal.generation };
    let _lock = mount.ledger.locks.write(&internal.id).await;
    let row = mount.ledger.get(&internal.id).await?;
    if let Some(row) = &row
        && rotation::keep_taken(mount, row).await?
    {
        tracing::info!(mount = mount.tag, id = row.id, "a lease was revoked whose key is a static role's");
        return Ok(Response::default());
    }
    if row.is_none() && rotation::is_kept(mount, &internal.id).await? {
        tracing::info!(mount = mount.tag, id = internal.id, "a lease was revoked whose key was left at the vendor");
        return Ok(Response::default());
    }
    step("revoke.before-vendor").await;
    let owner = match (mount.accounts.of_generation(mount.storage.as_ref(), &of).await?, &row) {
        (Some(owner), _) => owner,
        (None, Some(_)) => return Err(account_is_gone(&of)),
        (None, None) => {
            // A row goes when the vendor has confirmed its key gone, and an account goes with its last row.
            tracing::info!(mount = mount.tag, id = internal.id, "revoked a lease whose key was ended before");
            return Ok(Response::default());
        }
    };
    let ends = owner.account.vendor.ends(&owner.account.parsed);
    if ends == End::Expires {
        // It works until its expiry, and so long its row says so.
        tracing::info!(
            mount = mount.tag,
            id = internal.id,
            "a token's lease was revoked; the token ends by its expiry"
        );
        return Ok(Response::default());
    }
    let secret = data.get(API_KEY).and_then(|key| key.as_str()).map(Secret::from);
    match end(mount, &owner, &internal.key.into(), secret.as_ref().filter(|_| ends == End::BySecret)).await {
        Ok(gone) => {
            step("revoke.after-vendor").await;
            match row {
                Some(row) if !is_settled(mount, &owner.account, &row, gone) => {
                    mount.ledger.keep_for_the_sweep(row).await;
                }
                _ => mount.ledger.delete(&internal.id).await?,
            }
        }
        Err(fault) => {
            if let Some(row) = row {
                mount.ledger.keep_for_the_sweep(row).await;
            }
            return Err(upstream::error(owner.account.vendor.as_ref(), fault, None));
        }
    }
    step("revoke.after-row").await;
    Ok(Response::default())
}
