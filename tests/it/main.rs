//! The integration tests, in one binary.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test fails where they do

mod proto;
