//! The mount as an OpenID Connect issuer: it signs short-lived assertions about who asks for a credential, and a vendor
//! that was told to trust it exchanges them for tokens. No path hands an assertion out: only a vendor's exchange gets one.
//!
//! ```text
//! identity/config   who this mount says that it is, and how its keys change
//! identity/keys     the public keys, for vendors that take a copy
//! identity/rotate   publish -> (activate_after, or a second write) -> sign -> retired, published 48 h more -> dropped
//! .well-known/      the same for whoever asks, without a token
//! ```

mod assertion;
mod config;
mod issuer;
mod key_set;
mod keys;
mod pair;
mod rotate;
mod signer;
mod well_known;

pub use rotate::tend;
pub use signer::{AssertionSigner, Signing};
pub use well_known::{PublishedCache, UNAUTHENTICATED};

use super::mount::AiMount;
use crate::framework::Path;

pub fn paths() -> Vec<Path<AiMount>> {
    [config::paths(), keys::paths(), rotate::paths(), well_known::paths()].into_iter().flatten().collect()
}
