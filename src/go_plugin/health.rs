use tonic::{Request, Response, Status};

use super::proto::health::health_check_response::ServingStatus;
use super::proto::health::health_server;
use super::proto::health::{HealthCheckRequest, HealthCheckResponse};

/// The name that go-plugin's `Ping` asks about.
const SERVICE: &str = "plugin";

/// Answers go-plugin's `Ping`: who can answer, serves.
pub(super) struct Health;

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "" | SERVICE => Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() })),
            _ => Err(Status::not_found("unknown service")),
        }
    }
}
