//! Keys as leases: `creds/<role>`, renewal, revocation, and the ledger that covers every key from before it is
//! created until the vendor has confirmed it gone.

pub mod at_vendor;
pub mod creds;
pub mod ledger;
pub mod life;
pub mod naming;
pub mod revoke;
pub mod sweep;

mod internal;
mod renew;
mod round;
mod running;

pub use creds::paths;
pub use ledger::Ledger;
pub use renew::renew;
pub use revoke::revoke;
pub use running::Running;
