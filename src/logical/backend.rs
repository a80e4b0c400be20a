use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Request, Response, Result, Storage, System};

/// What a mount is made from. Made at registration too, where storage and system answer only errors, so
/// a factory touches neither.
pub struct Setup {
    /// Mount options, and `plugin_name`, `plugin_type`, `plugin_version`.
    pub config: BTreeMap<String, String>,
    /// The mount's UUID: the same on every node, after every reload and restart.
    pub uuid: String,
    pub storage: Arc<dyn Storage>,
    pub system: Arc<dyn System>,
}

/// Makes one backend per mount.
pub type Factory = Arc<dyn Fn(Setup) -> Result<Arc<dyn Backend>> + Send + Sync>;

/// One mount, as the host drives it.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Static; read at mount and at reload.
    fn special_paths(&self) -> SpecialPaths;

    /// After mount, unseal and reload. Storage is writable on the active node only. May run more than once.
    async fn initialize(&self) -> Result<()>;

    /// Everything but existence. Runs in a task of its own: a caller who hangs up does not cancel it. Where
    /// nobody waits any more for an answer that carries a lease, that lease comes back as a `Revoke`.
    async fn handle(&self, request: Request) -> Result<Response>;

    /// Whether the addressed thing exists: decides create or update. `None` where the path does not tell them apart.
    async fn exists(&self, request: &Request) -> Result<Option<bool>>;

    /// A stored key was changed by another node.
    fn invalidate(&self, key: &str);

    /// The mount goes away, or is made anew. Storage can still be written.
    async fn cleanup(&self);
}

/// Paths and storage prefixes that the host treats differently.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialPaths {
    /// Need the `sudo` capability.
    pub root: Vec<String>,
    pub unauthenticated: Vec<String>,
    /// Storage that is not replicated to other clusters.
    pub local_storage: Vec<String>,
    /// Storage that the seal's key wraps as well.
    pub seal_wrap_storage: Vec<String>,
}
