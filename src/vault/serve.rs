use std::thread::available_parallelism;

use tokio::runtime::Builder;
use tracing::Level;

use super::backend::Backend;
use super::instances::Instances;
use super::multiplexing::Multiplexing;
use super::proto::logical::plugin_version_server::PluginVersionServer;
use super::proto::multiplexing::plugin_multiplexing_server::PluginMultiplexingServer;
use super::proto::pb::backend_server::BackendServer;
use super::version::Version;
use crate::go_plugin::{self, Handshake, MESSAGE_LIMIT, Protocol, Server, Services, hclog};
use crate::logical::Factory;

/// How Vault (1.12 and newer) and OpenBao start a secrets engine. OpenBao has no cookie of its own.
const PROTOCOL: Protocol = Protocol {
    cookie_name: "VAULT_BACKEND_PLUGIN",
    cookie_value: "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
    versions: &[5],
};

/// Threads of the runtime: the work is waiting for the host and for vendors, not computing.
const THREADS_LIMIT: usize = 4;

/// Set to `debug` (or another level) to see more than the host is told by default. Nothing is logged for a
/// request that succeeds, at any level above.
const LOG_LEVEL: &str = "AI_PLUGIN_LOG";

/// Why a plugin does not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A person ran the program: who has yet to be told what it is. Everything else is in the log.
    #[error("started by hand, not by a host")]
    ByHand,
    /// The transport does not start, or ended by itself.
    #[error(transparent)]
    Transport(#[from] go_plugin::Error),
    /// The system gives no threads.
    #[error("the runtime does not start: {0}")]
    Runtime(std::io::Error),
}

/// Serves `factory`'s backends until the host ends it. `version` is what the host is told: a semantic version,
/// equal to the `-version` of the registration where that gives one.
///
/// # Errors
/// `ByHand`, or whatever keeps the server from starting, which the log is told as well.
pub fn serve(version: &str, factory: Factory) -> Result<(), Error> {
    let handshake = Handshake::from_environment(&PROTOCOL);
    if let Err(go_plugin::Error::NotStartedByHost { .. }) = handshake {
        return Err(Error::ByHand);
    }
    let level = std::env::var(LOG_LEVEL).ok().and_then(|level| level.parse().ok()).unwrap_or(Level::INFO);
    hclog::install(level, env!("CARGO_CRATE_NAME"));
    let served = handshake.map_err(Error::from).and_then(|handshake| run(handshake, version, factory));
    served.inspect_err(|error| tracing::error!(%error, "the plugin does not serve"))
}

fn run(handshake: Handshake, version: &str, factory: Factory) -> Result<(), Error> {
    let threads = available_parallelism().map_or(1, usize::from).min(THREADS_LIMIT);
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(Error::Runtime)?;
    let served = runtime.block_on(async {
        let server = Server::bind(handshake)?;
        let instances = Instances::default();
        let services = services(version, Backend::new(instances.clone(), server.broker().clone(), factory));
        server.run(services, async { instances.settle().await }).await
    });
    // Not dropped: that would wait for what cannot be interrupted, and the host kills in a moment.
    runtime.shutdown_background();
    served?;
    Ok(())
}

fn services(version: &str, backend: Backend) -> Services {
    let backend =
        BackendServer::new(backend).max_decoding_message_size(MESSAGE_LIMIT).max_encoding_message_size(MESSAGE_LIMIT);
    let mut services = Services::default();
    services
        .add(backend)
        .add(PluginVersionServer::new(Version::new(version)))
        .add(PluginMultiplexingServer::new(Multiplexing));
    services
}
