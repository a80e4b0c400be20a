use tonic::{Request, Response, Status};

use super::proto::multiplexing::plugin_multiplexing_server::PluginMultiplexing;
use super::proto::multiplexing::{MultiplexingSupportRequest, MultiplexingSupportResponse};

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
