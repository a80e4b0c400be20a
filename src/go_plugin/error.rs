use std::path::PathBuf;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a plugin does not start, or ends before its host asks it to. All of it is for whoever runs the host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment does not hold the cookie: a person, or the host of another kind of plugin, ran us.
    #[error("this program is a plugin: it is started by its host, not by hand ({name} is not set as a host sets it)")]
    NotStartedByHost { name: &'static str },
    #[error("PLUGIN_PROTOCOL_VERSIONS={0:?} is not a list of numbers")]
    Versions(String),
    /// A host that is too old, or that only wants the plugin's metadata, offers no certificate.
    #[error("the host offers no mutual TLS (PLUGIN_CLIENT_CERT is empty): it is too old for this plugin")]
    NoMutualTls,
    #[error("PLUGIN_CLIENT_CERT is unfit: {0}")]
    HostCertificate(&'static str),
    #[error("the one-time certificate cannot be made: {0}")]
    OwnCertificate(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the socket {path:?}: {source}")]
    Socket { path: PathBuf, source: std::io::Error },
    #[error("PLUGIN_UNIX_SOCKET_GROUP={0:?} is no group of this machine")]
    Group(String),
    #[error("the handshake cannot be written: {0}")]
    Announce(std::io::Error),
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}
