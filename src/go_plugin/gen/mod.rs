//! Generated from `proto/` (see `tests/it/proto.rs`); never edited by hand.
#![allow(clippy::all, missing_docs, rustdoc::all, unreachable_pub, dead_code)]

#[rustfmt::skip]
#[path = "grpc.health.v1.rs"]
pub mod health;
#[rustfmt::skip]
pub mod plugin;
