//! Keys that were a lease's and then a static role's, and that are nobody's any more: `kept/<row>`. A revocation of the lease
//! that the host repeats finds no row, and must not end them.

use serde::{Deserialize, Serialize};

use super::super::mount::AiMount;
use super::super::record;
use crate::base::Time;
use crate::logical::Result;

#[derive(Serialize, Deserialize)]
struct Kept {
    since: Time,
}

fn key(row: &str) -> String {
    format!("kept/{row}")
}

/// Has the key of this row outlive every lease.
pub async fn keep(mount: &AiMount, row: &str) -> Result<()> {
    record::put(mount.storage.as_ref(), key(row), &Kept { since: mount.clock.now() }, false).await
}

/// Whether it does.
pub async fn is_kept(mount: &AiMount, row: &str) -> Result<bool> {
    Ok(record::get::<Kept>(mount.storage.as_ref(), &key(row)).await?.is_some())
}
