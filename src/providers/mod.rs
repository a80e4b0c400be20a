//! AI vendors behind one object-safe trait. Knows nothing of Vault: no lease, no mount, no storage.
//!
//! To add a vendor whose API is plain HTTP: its definition in `definitions/`, a line in `DEFINITIONS`, and its entry in the
//! vendor simulator. One that exchanges assertions for tokens: a file in `federation/`. Where signing or more is needed:
//! one file here with its `about`, a line in `ALL`, and that entry.
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
mod federation;
mod listing;
mod resolver;
mod retry;
mod signer;
mod talk;

mod bedrock;
mod bedrock_iam;
mod deepinfra;
mod litellm;
mod oauth2;
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
    let coded: [Arc<dyn Vendor>; 9] = [
        Arc::new(openai::OpenAi),
        Arc::new(openrouter::OpenRouter),
        Arc::new(litellm::LiteLlm),
        Arc::new(bedrock::Bedrock),
        Arc::new(bedrock_iam::BedrockIam),
        Arc::new(oauth2::OAuth2::azure_openai()),
        Arc::new(oauth2::OAuth2::databricks()),
        Arc::new(deepinfra::DeepInfra),
        Arc::new(oauth2::OAuth2::any()),
    ];
    coded
        .into_iter()
        .chain(federation::all())
        .chain(DEFINITIONS.iter().map(|text| definition::built_in(text)))
        .collect()
});

/// The vendors that are data.
const DEFINITIONS: &[&str] = &[
    include_str!("definitions/xai.json"),
    include_str!("definitions/mistral.json"),
    include_str!("definitions/gemini.json"),
    include_str!("definitions/elevenlabs.json"),
    include_str!("definitions/cloudflare.json"),
    include_str!("definitions/deepgram.json"),
    include_str!("definitions/fireworks.json"),
    include_str!("definitions/pinecone.json"),
    include_str!("definitions/databricks.json"),
    include_str!("definitions/portkey.json"),
    include_str!("definitions/baseten.json"),
    include_str!("definitions/langfuse.json"),
    include_str!("definitions/weaviate.json"),
    include_str!("definitions/qdrant.json"),
    include_str!("definitions/scaleway.json"),
    include_str!("definitions/ibm.json"),
    include_str!("definitions/vercel.json"),
    include_str!("definitions/bifrost.json"),
    include_str!("definitions/dashscope.json"),
    include_str!("definitions/openai-realtime.json"),
    include_str!("definitions/xai-realtime.json"),
    include_str!("definitions/deepgram-grant.json"),
];

/// The vendor of that name.
pub fn by_name(name: &str) -> Option<Arc<dyn Vendor>> {
    ALL.iter().find(|vendor| vendor.about().name == name).cloned()
}
