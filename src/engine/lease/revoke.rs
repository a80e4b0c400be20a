use super::super::mount::AiMount;
use super::super::step::step;
use super::at_vendor::end;
use super::internal::Internal;
use super::ledger::State;
use crate::logical::{Lease, Response, Result};

/// Ends a lease's key. Works from the lease alone: its row may be gone, or never come back from a snapshot.
pub async fn revoke(mount: &AiMount, lease: Lease) -> Result<Response> {
    let internal = Internal::read(&lease.internal)?;
    let _lock = mount.ledger.locks.write(&internal.id).await;
    step("revoke.before-vendor").await;
    let ended = async {
        let account =
            mount.accounts.of_generation(mount.storage.as_ref(), &internal.config, &internal.generation).await?;
        end(mount, &account, &internal.key.into()).await
    };
    if let Err(error) = ended.await {
        keep_for_the_sweep(mount, &internal.id).await;
        return Err(error);
    }
    step("revoke.after-vendor").await;
    mount.ledger.delete(&internal.id).await?;
    step("revoke.after-row").await;
    Ok(Response::default())
}

/// The host gives up after six attempts; the sweep does not.
async fn keep_for_the_sweep(mount: &AiMount, id: &str) {
    let Ok(Some(mut row)) = mount.ledger.get(id).await else { return };
    if row.state != State::Revoking {
        row.state = State::Revoking;
        if let Err(error) = mount.ledger.put(&row).await {
            tracing::warn!(mount = mount.tag, id, %error, "a failed revocation is not noted; its deadline covers it");
        }
    }
}
