//! Keys as leases: `creds/<role>`, renewal and revocation.

mod creds;
mod internal;
mod life;
mod renew;
mod revoke;
mod term;

pub use creds::{API_KEY, paths};
pub use internal::{Internal, SecretType};
pub use life::Life;
pub use renew::renew;
pub use revoke::revoke;
pub use term::Term;
