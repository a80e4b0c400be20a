use std::path::PathBuf;

/// A result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a plugin does not start, or ends before its host asks it to. All of it is for whoever runs the host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment does not hold the cookie: a person, or the host of another kind of plugin, ran us.
    #[error("this program is a plugin: it is started by its host, not by hand ({name} is not set as a host sets it)")]
    NotStartedByHost {
        /// The variable that a host sets.
        name: &'static str,
    },
    /// The host's list of versions cannot be read.
    #[error("PLUGIN_PROTOCOL_VERSIONS={0:?} is not a list of numbers")]
    Versions(String),
    /// A host that is too old, or that only wants the plugin's metadata, offers no certificate.
    #[error("the host offers no mutual TLS (PLUGIN_CLIENT_CERT is empty): it is too old for this plugin")]
    NoMutualTls,
    /// The host's certificate cannot be pinned.
    #[error("PLUGIN_CLIENT_CERT is unfit: {0}")]
    HostCertificate(&'static str),
    /// The machine gives no randomness, most likely.
    #[error("the one-time certificate cannot be made: {0}")]
    OwnCertificate(#[from] rcgen::Error),
    /// The TLS library refuses its configuration.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The socket cannot be made, or not be handed to its group: the folder is missing, not writable, or its
    /// name too long (a socket's path has about 100 bytes).
    #[error("the socket {path:?}: {source}")]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The host names a group that this machine does not know.
    #[error("PLUGIN_UNIX_SOCKET_GROUP={0:?} is no group of this machine")]
    Group(String),
    /// Nobody reads stdout.
    #[error("the handshake cannot be written: {0}")]
    Announce(std::io::Error),
    /// The system refuses a signal's handler.
    #[error("signals cannot be received: {0}")]
    Signals(std::io::Error),
}
