//! A host in this process: starts a real plugin program as Vault and OpenBao do, speaks go-plugin's client
//! side with it (P-521 certificate, broker, multiplexing), and lends its mounts a storage and a view of the
//! system that tests look into, hold up and break.
//!
//! ```ignore
//! let host = Host::start(Options::plugin().env("AI_TEST_CLOCK", path)).await;
//! let ai = host.mount("uuid-1").await;
//! ai.write("config/x", json!({"vendor": "openai"})).await.expect(204);
//! let put = ai.storage.hold(Verb::Put, "ledger/");       // the next Put there waits
//! let minting = ai.spawn("read", "creds/app", json!({})); // abort() is a client that hangs up
//! put.reached().await;
//! host.kill9().await;
//! host.restart().await;                                   // the same mounts over the same storage
//! ```
#![allow(dead_code, unused_imports)] // a tool: the tests do not use all of it at any time

mod api;
pub mod certificate;
mod echo;
mod lease;
mod mount;
mod process;
mod reply;
mod storage;
mod system;
#[cfg(test)]
mod tests;

pub use api::{Host, Options};
pub use lease::HostLease;
pub use mount::Mount;
pub use reply::Reply;
pub use storage::{Fault, Hold, MountStorage, Verb};
pub use system::{System, SystemValues};
