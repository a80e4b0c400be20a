//! Vault's plugin protocol 5 over `go_plugin`: turns protobuf into the plain types of `logical` and back, keeps
//! one instance per mount, and lends each of them the host's storage and view of the system. The only room
//! that sees protobuf. Wire facts are measured against OpenBao 2.7.2, or read in Vault's SDK where a comment
//! says so.
//!
//! What it promises a backend:
//! - every call runs in a task of its own, so a caller who hangs up cancels nothing half-way;
//! - an answer with a new lease that nobody waited for comes back as a `Revoke`;
//! - a panic is an internal error, not a broken connection;
//! - an operation that this program does not know never reaches it.

mod backend;
mod instance;
mod instances;
mod json;
mod link;
mod multiplexing;
#[path = "gen/mod.rs"]
pub mod proto;
mod reply;
mod request;
mod serve;
mod storage;
mod system;
mod version;

pub use serve::{Error, serve};
