use tonic::{Request, Response, Status};

use super::proto::logical::plugin_version_server::PluginVersion;
use super::proto::logical::{Empty, VersionReply};

/// Tells the host which version this is. The host refuses a registration under any other.
pub(super) struct Version(String);

impl Version {
    /// Hosts want a semantic version with a leading "v", which a bare one is given.
    pub(super) fn new(version: &str) -> Self {
        Self(if version.starts_with('v') { version.to_owned() } else { format!("v{version}") })
    }
}

#[tonic::async_trait]
impl PluginVersion for Version {
    async fn version(&self, _request: Request<Empty>) -> Result<Response<VersionReply>, Status> {
        Ok(Response::new(VersionReply { plugin_version: self.0.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_leads_with_v() {
        assert_eq!(Version::new(env!("CARGO_PKG_VERSION")).0, concat!("v", env!("CARGO_PKG_VERSION")));
        assert_eq!(Version::new("v1.2.3").0, "v1.2.3");
    }
}
