use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::proto::plugin::Empty;
use super::proto::plugin::grpc_controller_server::GrpcController;

/// Takes the host's wish that the process ends. The answer comes first: a connection that is ending lets
/// the calls on it finish.
pub(super) struct Controller {
    pub(super) ending: CancellationToken,
}

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.ending.cancel();
        Ok(Response::new(Empty {}))
    }
}
