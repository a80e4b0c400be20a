use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

type Route = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The gRPC services of one listener, found by the first segment of the request's path.
#[derive(Clone, Default)]
pub struct Services {
    routes: HashMap<&'static str, Route>,
}

impl Services {
    /// Adds a service that `tonic` generated. Its message limits are its own: see `MESSAGE_LIMIT`.
    pub fn add<S>(&mut self, service: S) -> &mut Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + NamedService,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        let route = move |request| {
            let mut service = service.clone();
            async move { service.call(request).await.unwrap_or_else(|never| match never {}) }.boxed()
        };
        self.routes.insert(S::NAME, Arc::new(route));
        self
    }

    /// Answers one call. An unknown service is unimplemented, which hosts take for an absent feature. A
    /// panic is an internal error: the host would see a bare reset of the stream, for which it has no words.
    pub(super) async fn call(&self, request: Request<Body>) -> Response<Body> {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        let Some(route) = self.routes.get(name) else {
            return Status::unimplemented("unknown service").into_http();
        };
        let answer = AssertUnwindSafe(async { route(request).await }).catch_unwind().await;
        answer.unwrap_or_else(|_| Status::internal("internal error").into_http())
    }
}

#[cfg(test)]
mod tests {
    use super::super::proto::health::HealthCheckRequest;
    use super::super::proto::health::health_server::{Health, HealthServer};
    use super::*;

    struct Broken;

    #[tonic::async_trait]
    impl Health for Broken {
        async fn check(
            &self,
            _request: tonic::Request<HealthCheckRequest>,
        ) -> Result<tonic::Response<super::super::proto::health::HealthCheckResponse>, Status> {
            panic!("broken")
        }
    }

    async fn status_of(path: &str) -> String {
        let mut services = Services::default();
        services.add(HealthServer::new(Broken));
        let empty_message = http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5]));
        let request = Request::builder().method("POST").uri(path).body(Body::new(empty_message)).unwrap();
        let response = services.call(request).await;
        response.headers()["grpc-status"].to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn what_is_unknown_is_unimplemented() {
        for path in ["/grpc.reflection.v1.ServerReflection/Info", "/", "/grpc.health.v1.Health/Watch"] {
            assert_eq!(status_of(path).await, "12", "{path}");
        }
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(status_of("/grpc.health.v1.Health/Check").await, "13");
    }
}
