//! Every key that this mount has made, whoever holds it: made behind a row of the ledger, and in the ledger until the
//! vendor has confirmed it gone.

pub mod at_vendor;
pub mod ledger;
pub mod naming;
pub mod sweep;

mod mint;
mod round;
mod running;

pub use ledger::Ledger;
pub use mint::{Asked, Mint, check_plain, is_plain};
pub use running::Running;
