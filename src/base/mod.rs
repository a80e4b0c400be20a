//! What every room may use: time, randomness, secrets and bounded text.
//! A leaf: it uses no other room.

mod clock;
mod rng;
mod secret;
mod text;

pub use clock::{Clock, SystemClock, Time, rfc3339};
pub use rng::{Rng, SystemRng, random_base32, random_hex};
pub use secret::Secret;
pub use text::{bounded, redacted};
