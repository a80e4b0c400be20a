//! A declarative backend: a table of paths, each with its operations, their typed arguments and their handlers.
//! Dispatch, warnings, existence checks, help and OpenAPI are loops over that table. Names no vendor.

mod backend;
mod help;
mod locks;
mod openapi;
mod page;
mod path;
mod pattern;
mod table;
mod ttl;

pub use backend::{Backend, Mount};
pub use locks::Locks;
pub use page::{ListArgs, page};
pub use path::{Call, Path, unrecognized};
pub use table::Table;
pub use ttl::{Cap, capped};
