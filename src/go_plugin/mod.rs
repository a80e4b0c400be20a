//! The plugin's side of go-plugin, HashiCorp's way to run a plugin as a process of its own and to speak
//! gRPC with it: the handshake on stdout, mutual TLS with one-time certificates (AutoMTLS), the services
//! that every plugin serves, connections back to the host (the broker), and log lines on stderr that the
//! host understands. Knows nothing of Vault. Wire facts are go-plugin's (core protocol 1, measured with the
//! 1.8 line) unless a comment says otherwise.
//!
//! ```no_run
//! # use vault_plugin_secrets_ai::go_plugin::{Error, Handshake, Protocol, Server, Services};
//! # async fn example() -> Result<(), Error> {
//! const PROTOCOL: Protocol = Protocol { cookie_name: "MY_PLUGIN", cookie_value: "d5b7...", versions: &[1] };
//!
//! let handshake = Handshake::from_environment(&PROTOCOL)?;
//! let server = Server::bind(handshake)?;
//! let mut services = Services::default();
//! // services.add(MyServiceServer::new(MyService::new(server.broker().clone())));
//! server.run(services, async { /* last words, within a second */ }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Not here, on purpose: plain connections without TLS, net/rpc, TCP listeners (Windows), and the broker's
//! multiplexing over one connection (the handshake answers `false` where a host asks for it).

mod broker;
mod controller;
mod error;
mod handshake;
pub mod hclog;
mod health;
#[path = "gen/mod.rs"]
pub mod proto;
mod server;
mod services;
mod socket;
mod stdio;
mod tls;
mod verifier;

pub use broker::{Broker, DialError};
pub use error::{Error, Result};
pub use handshake::{Handshake, Protocol};
pub use server::{End, Server};
pub use services::Services;

/// Largest gRPC message in bytes, in both directions. The host itself sends up to 2 GiB, but a secrets
/// engine's request is an HTTP body of at most 32 MiB that is JSON text; 16 MiB is far beyond any that makes
/// sense, and memory that a large message took is not given back.
pub const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// The certificate of a test's host, shared with the integration tests.
#[cfg(test)]
#[path = "../../tests/it/host/certificate.rs"]
pub(crate) mod host_certificate;
