//! Keys as leases: `creds/<role>`, renewal, revocation, and the ledger that covers every key from before it is
//! created until the vendor has confirmed it gone.

pub mod creds;
pub mod ledger;
pub mod naming;
pub mod sweep;

pub mod at_vendor;
mod internal;
mod renew;
mod revoke;
mod running;

pub use creds::paths;
pub use ledger::Ledger;
pub use renew::renew;
pub use revoke::revoke;
pub use running::Running;
