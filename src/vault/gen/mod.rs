//! Generated from `proto/` (see `tests/it/proto.rs`); never edited by hand.
#![allow(clippy::all, missing_docs, rustdoc::all, unreachable_pub, dead_code)]

#[rustfmt::skip]
pub mod logical;
#[rustfmt::skip]
#[path = "pluginutil.multiplexing.rs"]
pub mod multiplexing;
#[rustfmt::skip]
pub mod pb;
