//! AI vendors behind one object-safe trait. Knows nothing of Vault: no lease, no mount, no storage.
//!
//! To add a vendor: one file here with its `about`, one line in `ALL`, and its entry in the vendor simulator.
//! The engine looks at what a vendor declares that it can do, never at its name.

pub mod account;
pub mod fault;
pub mod http;
mod vendor;

mod answer;
mod call;
mod listing;
mod resolver;
mod retry;
mod signer;
mod talk;

mod litellm;
mod openai;
mod openrouter;

pub use account::{Account, Network};
pub use fault::{Fault, FaultKind};
pub use http::Http;
pub use signer::Signer;
pub use vendor::{
    Abilities, About, Cursor, Cx, End, Expiry, Find, Found, Gone, Issued, KeyName, Limits, Order, Page, Probe, Purpose,
    Ref, Scope, Source, Vendor,
};

/// Every vendor, in the order of the README's table.
pub static ALL: &[&dyn Vendor] = &[&openai::OpenAi, &openrouter::OpenRouter, &litellm::LiteLlm];

/// The vendor of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Vendor> {
    ALL.iter().copied().find(|vendor| vendor.about().name == name)
}
