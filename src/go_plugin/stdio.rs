use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::proto::plugin::grpc_stdio_server::GrpcStdio;
use super::proto::plugin::{Empty, StdioData};

/// Where the host waits for what the plugin prints. This one prints nothing: the stream is held open,
/// silent, until the end (a host that loses it logs a warning).
pub(super) struct Stdio {
    pub(super) ending: CancellationToken,
}

#[tonic::async_trait]
impl GrpcStdio for Stdio {
    type StreamStdioStream = Pin<Box<dyn Stream<Item = Result<StdioData, Status>> + Send>>;

    async fn stream_stdio(&self, _request: Request<Empty>) -> Result<Response<Self::StreamStdioStream>, Status> {
        let end = self.ending.clone().cancelled_owned();
        Ok(Response::new(Box::pin(stream::pending().take_until(Box::pin(end)))))
    }
}
