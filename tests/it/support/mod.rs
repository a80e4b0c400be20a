//! What the tests stand on: the vendor simulator, a mount in memory, a real server, a cluster of three.

pub mod agent;
pub mod authorization_server;
pub mod bench;
pub mod case;
pub mod client;
pub mod cluster;
pub mod console_keys;
pub mod deps;
pub mod fault_proxy;
pub mod issuer;
pub mod node;
pub mod openapi_check;
pub mod process;
pub mod raft;
pub mod server;
pub mod simulator;
pub mod verifier;
