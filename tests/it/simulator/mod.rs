//! The vendor simulator as a running program, and what it promises.

mod conformance;
mod control;
mod faults;
mod litellm;
mod openai;
mod openrouter;

use serde_json::Value;

pub use crate::support::simulator::{LITELLM, OPENAI, OPENROUTER, Reply, Simulator};

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// The names of what a list shows, in its order.
pub fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| text(&item[field])).collect()
}
