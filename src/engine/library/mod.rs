//! Keys that somebody else made, lent to one borrower at a time: for vendors whose API makes none. Where the vendor can
//! switch a key on and off, it is on only while it is checked out.
//!
//! A key that is out has a row in the ledger, and that row is what makes it taken: the key's record names the row before the
//! row is there, and the key is free again when the vendor has confirmed that it is off and the row is dropped.

mod check_in;
mod check_out;
mod key;
mod keys;
mod leases;
mod set;
mod sets;
mod status;

pub use key::{LibraryKey, folder, unusable};
pub use leases::{renew, revoke};
pub use set::LibrarySet;

use super::mount::AiMount;
use crate::framework::Path;

pub fn paths() -> Vec<Path<AiMount>> {
    // Of two paths that match the first counts: no set may be called `manage`.
    let mut paths = check_in::paths();
    paths.extend(check_out::paths());
    paths.extend(status::paths());
    paths.extend(keys::paths());
    paths.extend(sets::paths());
    paths
}
