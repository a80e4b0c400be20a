//! One integration binary: the engine in memory over the vendor simulator, and the plugin on a real server.
//! Tests of a vendor's or a server's behaviour are sentences about what users see.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a test fails where they do
#![allow(clippy::print_stdout, clippy::print_stderr)] // a check that cannot run here says so

mod apps;
mod aws;
mod crash;
mod docs;
mod host;
mod kubernetes;
mod memory;
mod proto;
mod real;
mod simulator;
mod support;
mod vault_dev;
mod vendors;
