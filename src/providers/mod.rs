//! AI vendors behind one object-safe trait. Knows nothing of Vault: no lease, no mount, no storage.
//!
//! To add a vendor whose API is plain HTTP: its definition in `definitions/`, a line in `listed`, and its entry in the
//! vendor simulator. One that exchanges assertions for tokens: a file in `federation/`. Where signing or more is needed:
//! a file here, or in `aws/`, with its `about`, a line in `listed`, and that entry.
//! The engine looks at what a vendor declares that it can do, never at its name.

pub mod account;
pub mod fault;
pub mod http;
mod vendor;

mod answer;
mod aws;
mod call;
mod definition;
mod federation;
mod listed;
mod listing;
mod resolver;
mod retry;
mod signer;
mod talk;

mod deepinfra;
mod litellm;
mod oauth2;
mod openai;
mod openrouter;

pub use account::{Account, Network};
pub use definition::{CUSTOM, custom, define};
pub use fault::{Fault, FaultKind};
pub use http::Http;
pub use listed::{all, by_name};
pub use signer::Signer;
pub use vendor::{
    Abilities, About, Cursor, Cx, End, Expiry, Find, Found, Gone, Issued, KeyName, Limits, Order, Page, Probe, Purpose,
    Ref, Scope, Source, Standing, Switch, Text, Vendor,
};
