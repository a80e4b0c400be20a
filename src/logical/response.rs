use std::time::Duration;

use serde_json::Value;

use super::Object;
use crate::base::Time;

/// What a backend answers. `Response::default()` (no data, no lease) is an empty success: 204 on a write.
#[derive(Clone, Default)]
pub struct Response {
    pub data: Option<Object>,
    pub lease: Option<Lease>,
    /// Shown to the caller beside the data.
    pub warnings: Vec<String>,
    /// An answer that is not JSON; excludes a lease.
    pub raw: Option<Raw>,
}

/// A body that the host passes through as it is.
#[derive(Clone, Debug)]
pub struct Raw {
    /// 200, 201, 204, 302 or 418: others are not passed through.
    pub status: u16,
    pub content_type: String,
    /// The `Cache-Control` header; none leaves it to the host, which forbids all caching.
    pub cache_control: Option<String>,
    pub body: Vec<u8>,
}

/// A lease as the host stores it. A renewal's answer replaces the stored one whole, `data` included.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    pub ttl: Duration,
    pub max_ttl: Duration,
    pub renewable: bool,
    /// What the caller of a renewal asked for; zero where it asked for nothing.
    pub increment: Duration,
    /// When the lease was first issued; none in a new one (the host sets it).
    pub issue_time: Option<Time>,
    /// What renew and revoke need. Kept as the host gave it. Never the credential itself.
    pub internal: Object,
}

impl std::fmt::Debug for Response {
    /// Names of the data only: a value may be a credential.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("data", &self.data.as_ref().map(|data| data.keys().collect::<Vec<_>>()))
            .field("lease", &self.lease)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// Data and nothing else.
    pub fn data(data: Object) -> Self {
        Self { data: Some(data), ..Self::default() }
    }

    /// The answer to a list: `keys`, and `key_info` where there is something to tell of each.
    pub fn list(keys: Vec<String>, info: Object) -> Self {
        let mut data = Object::new();
        data.insert("keys".into(), keys.into());
        if !info.is_empty() {
            data.insert("key_info".into(), Value::Object(info));
        }
        Self::data(data)
    }

    pub fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}
