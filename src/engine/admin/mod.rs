//! What an operator needs around the leases: the inventory, tidy, what the vendors can do, and what this mount is.

mod info;
mod keys;
mod providers;
mod tidy;

use super::mount::AiMount;
use crate::framework::Path;

pub fn paths() -> Vec<Path<AiMount>> {
    [keys::paths(), tidy::paths(), providers::paths(), info::paths()].into_iter().flatten().collect()
}
