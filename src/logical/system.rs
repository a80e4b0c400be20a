use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::Result;

/// What the host tells of itself and of the mount. Each call is a round trip; none works at registration.
#[async_trait]
pub trait System: Send + Sync {
    /// The mount's default lease TTL, as tuned.
    async fn default_lease_ttl(&self) -> Result<Duration>;
    /// The mount's longest lease TTL, as tuned.
    async fn max_lease_ttl(&self) -> Result<Duration>;
    /// True while the mount is being disabled or moved.
    async fn tainted(&self) -> Result<bool>;
    async fn replication_state(&self) -> Result<ReplicationState>;
    /// True where the mount is not replicated to other clusters.
    async fn local_mount(&self) -> Result<bool>;
    /// None where the id is empty or unknown.
    async fn entity(&self, id: &str) -> Result<Option<Entity>>;
    /// The host's version, `2.7.2`, with its pre-release and metadata (`1.19.0+ent`).
    async fn host_version(&self) -> Result<String>;
}

/// Who a token belongs to.
#[derive(Clone, Debug, Default)]
pub struct Entity {
    pub id: String,
    pub name: String,
    pub metadata: BTreeMap<String, String>,
    /// How each auth mount knows it.
    pub aliases: Vec<Alias>,
}

/// An entity at one auth mount.
#[derive(Clone, Debug, Default)]
pub struct Alias {
    /// `approle`, `kubernetes`, …
    pub mount_type: String,
    /// Names the mount for good: its path may be given to another.
    pub mount_accessor: String,
    pub name: String,
}

/// The bits of `SystemView.ReplicationState` (Vault's `consts.ReplicationState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationState(pub u32);

impl ReplicationState {
    pub const PERFORMANCE_SECONDARY: u32 = 64;
    pub const DR_SECONDARY: u32 = 512;
    pub const PERFORMANCE_STANDBY: u32 = 16384;

    pub const fn has(self, bit: u32) -> bool {
        self.0 & bit != 0
    }

    /// Whether a mount may write its storage here: not on a standby, nor in a DR secondary, nor in a
    /// performance secondary unless the mount is local to it.
    pub const fn writes(self, local_mount: bool) -> bool {
        !(self.has(Self::PERFORMANCE_STANDBY)
            || self.has(Self::DR_SECONDARY)
            || (self.has(Self::PERFORMANCE_SECONDARY) && !local_mount))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_active_node_of_a_primary_writes() {
        assert!(ReplicationState(12288).writes(false), "a single node, measured");
        assert!(!ReplicationState(24576).writes(true), "a raft standby, measured");
        assert!(!ReplicationState(64).writes(false));
        assert!(ReplicationState(64).writes(true));
        assert!(!ReplicationState(512).writes(true));
    }
}
