//! The contract of Vault and OpenBao as plain types: what a backend is asked, what it answers, what it may
//! use. Uses schema for nothing yet but JSON; knows no protobuf and no vendor.

mod backend;
mod error;
mod memory;
mod request;
mod response;
mod storage;
mod system;

pub use backend::{Backend, Factory, Setup, SpecialPaths};
pub use error::{Error, Report, Result, Wire};
pub use memory::MemoryStorage;
pub use request::{Operation, Request};
pub use response::{Lease, Raw, Response};
pub use storage::{Entry, Storage};
pub use system::{Alias, Entity, ReplicationState, System};

/// A JSON object: the body of a request or of a response.
pub type Object = serde_json::Map<String, serde_json::Value>;
