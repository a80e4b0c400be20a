//! Fields as run-time values: one declaration gives parsing, validation, help and OpenAPI.
//! `form!` declares those of a path that we know when we write it; a vendor's `about` gives the others.
//! A leaf: it uses base only.

mod duration;
mod field;
mod form;
mod kind;
mod values;

pub use duration::{format_duration, parse_duration};
pub use field::Field;
pub use form::{Argument, Change, Form, Name};
pub use kind::Kind;
pub use values::{Invalid, Values};
