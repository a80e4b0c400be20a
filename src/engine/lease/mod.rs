//! Keys as leases: `creds/<role>`, renewal and revocation.

mod creds;
mod internal;
mod life;
mod renew;
mod revoke;

pub use creds::paths;
pub use renew::renew;
pub use revoke::revoke;
