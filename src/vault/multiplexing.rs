use tonic::{Request, Response, Status};

use super::r#gen::multiplexing::plugin_multiplexing_server::PluginMultiplexing;
use super::r#gen::multiplexing::{MultiplexingSupportRequest, MultiplexingSupportResponse};

/// Says that one process serves all mounts of this plugin. Asked before each mount.
pub(super) struct Multiplexing;

#[tonic::async_trait]
impl PluginMultiplexing for Multiplexing {
    async fn multiplexing_support(
        &self,
        _request: Request<MultiplexingSupportRequest>,
    ) -> Result<Response<MultiplexingSupportResponse>, Status> {
        Ok(Response::new(MultiplexingSupportResponse { supported: true }))
    }
}
