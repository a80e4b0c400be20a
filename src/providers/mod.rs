//! AI vendors behind one object-safe trait. Knows nothing of Vault: no lease, no mount, no storage.
//!
//! To add a vendor whose API is plain HTTP: its definition in `definitions/`, a line in `DEFINITIONS`, and its entry in the
//! vendor simulator. Where signing or more is needed: one file here with its `about`, a line in `ALL`, and that entry.
//! The engine looks at what a vendor declares that it can do, never at its name.

use std::sync::{Arc, LazyLock};

pub mod account;
pub mod fault;
pub mod http;
mod vendor;

mod answer;
mod aws;
mod call;
mod definition;
mod listing;
mod resolver;
mod retry;
mod signer;
mod talk;

mod bedrock;
mod bedrock_iam;
mod litellm;
mod openai;
mod openrouter;

pub use account::{Account, Network};
pub use definition::{CUSTOM, custom, define};
pub use fault::{Fault, FaultKind};
pub use http::Http;
pub use signer::Signer;
pub use vendor::{
    Abilities, About, Cursor, Cx, End, Expiry, Find, Found, Gone, Issued, KeyName, Limits, Order, Page, Probe, Purpose,
    Ref, Scope, Source, Text, Vendor,
};

/// Every vendor, in the order of the README's table.
pub static ALL: LazyLock<Vec<Arc<dyn Vendor>>> = LazyLock::new(|| {
    let coded: [Arc<dyn Vendor>; 3] =
        [Arc::new(openai::OpenAi), Arc::new(openrouter::OpenRouter), Arc::new(litellm::LiteLlm)];
    let at_aws: [Arc<dyn Vendor>; 2] = [Arc::new(bedrock::Bedrock), Arc::new(bedrock_iam::BedrockIam)];
    coded.into_iter().chain(DEFINITIONS.iter().map(|text| definition::built_in(text))).chain(at_aws).collect()
});

/// The vendors that are data.
const DEFINITIONS: &[&str] = &[include_str!("definitions/xai.json"), include_str!("definitions/mistral.json")];

/// The vendor of that name.
pub fn by_name(name: &str) -> Option<Arc<dyn Vendor>> {
    ALL.iter().find(|vendor| vendor.about().name == name).cloned()
}
