use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream, StreamExt, stream};
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::Notify;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tower_service::Service;

use super::proto::plugin::ConnInfo;
use super::proto::plugin::grpc_broker_server::GrpcBroker;
use super::tls::Tls;

/// How long a listener may take to be announced: the announcement and the call that names it race
/// (go-plugin itself waits five seconds).
const ANNOUNCEMENT_LIMIT: Duration = Duration::from_secs(5);

/// How long the host may take to accept a connection. A socket on the same machine answers at once or never.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long one call over a brokered connection may take: below the 90 s that a host gives a whole request,
/// and far above the few milliseconds of a storage write.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Listeners that are announced and not forgotten. A host announces one per instance; beyond this number it
/// has lost count, and the newer ones are refused.
const LISTENERS_LIMIT: usize = 4096;

/// Connections back to the host: it announces listeners by number, and whoever is told a number dials it.
#[derive(Clone)]
pub struct Broker(Arc<Shared>);

struct Shared {
    listeners: Mutex<HashMap<u32, ConnInfo>>,
    announced: Notify,
    announcement_limit: Duration,
    tls: Tls,
    ending: CancellationToken,
}

/// Why the host cannot be reached through the broker.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The host named the listener, but never said where it is.
    #[error("the host has not announced its listener {0}")]
    NotAnnounced(u32),
    /// A kind of network that this plugin does not dial.
    #[error("the host listens on {0:?}, which is not a Unix socket")]
    Network(String),
    /// Nobody listens there any more, or not with the host's certificate.
    #[error("the host's listener {id} does not answer: {source}")]
    Unreachable {
        /// The listener's number.
        id: u32,
        /// What went wrong on the way.
        source: tonic::transport::Error,
    },
}

impl Broker {
    pub(super) fn new(tls: Tls, ending: CancellationToken) -> Self {
        Self::with_limit(tls, ending, ANNOUNCEMENT_LIMIT)
    }

    /// One to which nothing is ever announced, for tests of what does not use it.
    #[cfg(test)]
    pub(crate) fn unused() -> Self {
        let host = super::host_certificate::HostCertificate::fixture().der();
        Self::with_limit(Tls::new(host).unwrap(), CancellationToken::new(), Duration::from_millis(1))
    }

    fn with_limit(tls: Tls, ending: CancellationToken, announcement_limit: Duration) -> Self {
        let listeners = Mutex::default();
        Self(Arc::new(Shared { listeners, announced: Notify::new(), announcement_limit, tls, ending }))
    }

    /// Connects to the listener that the host calls `id`, at any time after it told the number. The channel
    /// connects again by itself; each call over it ends within a minute.
    ///
    /// # Errors
    /// `NotAnnounced` after 5 s without the listener's address, the others where it cannot be dialed.
    pub async fn dial(&self, id: u32) -> Result<Channel, DialError> {
        let announcement = tokio::time::timeout(self.0.announcement_limit, self.announcement(id));
        let listener = announcement.await.map_err(|_| DialError::NotAnnounced(id))?;
        if listener.network != "unix" {
            return Err(DialError::Network(listener.network));
        }
        Endpoint::from_static("http://localhost") // TLS is the dialer's business
            .connect_timeout(CONNECT_LIMIT)
            .timeout(CALL_LIMIT)
            .connect_with_connector(Dialer { path: listener.address, tls: self.0.tls.clone() })
            .await
            .map_err(|source| DialError::Unreachable { id, source })
    }

    /// Drops what is known of a listener that will not be dialed again.
    pub fn forget(&self, id: u32) {
        self.listeners().remove(&id);
    }

    async fn announcement(&self, id: u32) -> ConnInfo {
        loop {
            // Made before the look: an announcement between the two wakes it.
            let announced = self.0.announced.notified();
            if let Some(listener) = self.listeners().get(&id) {
                return listener.clone();
            }
            announced.await;
        }
    }

    fn announce(&self, listener: ConnInfo) {
        let mut listeners = self.listeners();
        if listeners.len() >= LISTENERS_LIMIT {
            tracing::warn!(id = listener.service_id, limit = LISTENERS_LIMIT, "too many listeners of the host");
            return;
        }
        listeners.insert(listener.service_id, listener);
        drop(listeners);
        self.0.announced.notify_waiters();
    }

    fn listeners(&self) -> MutexGuard<'_, HashMap<u32, ConnInfo>> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl GrpcBroker for Broker {
    type StartStreamStream = Pin<Box<dyn Stream<Item = Result<ConnInfo, Status>> + Send>>;

    /// Reads announcements for as long as the host keeps the stream. The plugin announces nothing, so the
    /// answering stream is silent, but it must stay: without it, OpenBao's Cleanup waits forever.
    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let broker = self.clone();
        let mut announcements = request.into_inner();
        let reading = async move {
            while let Ok(Some(listener)) = announcements.message().await {
                broker.announce(listener);
            }
        };
        let until_the_end = stream::once(reading).filter_map(|()| std::future::ready(None));
        let end = self.0.ending.clone().cancelled_owned();
        Ok(Response::new(Box::pin(until_the_end.take_until(Box::pin(end)))))
    }
}

/// Opens a connection to one socket of the host, whatever address is asked for.
struct Dialer {
    path: String,
    tls: Tls,
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TlsStream<UnixStream>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _address: Uri) -> Self::Future {
        let (path, tls) = (self.path.clone(), self.tls.clone());
        async move { Ok(TokioIo::new(tls.connect(UnixStream::connect(path).await?).await?)) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::path::Path;

    use hyper::service::service_fn;
    use hyper_util::rt::TokioExecutor;
    use tokio::net::UnixListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::body::Body;

    use super::super::health::Health;
    use super::super::host_certificate::HostCertificate;
    use super::super::proto::health::HealthCheckRequest;
    use super::super::proto::health::health_client::HealthClient;
    use super::super::proto::health::health_server::HealthServer;
    use super::super::proto::plugin::grpc_broker_client::GrpcBrokerClient;
    use super::super::proto::plugin::grpc_broker_server::GrpcBrokerServer;
    use super::super::services::Services;
    use super::*;

    fn broker() -> Broker {
        let tls = Tls::new(HostCertificate::fixture().der()).unwrap();
        Broker::with_limit(tls, CancellationToken::new(), Duration::from_millis(300))
    }

    fn listener(id: u32, path: &Path) -> ConnInfo {
        let address = path.to_str().unwrap().to_owned();
        ConnInfo { service_id: id, network: "unix".to_owned(), address, knock: None }
    }

    /// A listener of the host, on which it serves its health.
    fn host_listens(path: &Path, broker: &Broker) {
        let config = HostCertificate::fixture().server_config(broker.0.tls.certificate());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let socket = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            let (stream, _) = socket.accept().await.unwrap();
            let stream = acceptor.accept(stream).await.unwrap();
            let mut services = Services::default();
            services.add(HealthServer::new(Health));
            let handler = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let services = services.clone();
                async move { Ok::<_, Infallible>(services.call(request.map(Body::new)).await) }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.serve_connection(TokioIo::new(stream), handler).await
        });
    }

    #[tokio::test]
    async fn a_listener_may_be_announced_after_it_is_dialed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host");
        let broker = broker();
        host_listens(&path, &broker);
        let (announce, announcements) = tokio::sync::mpsc::channel(1);
        let mut client = GrpcBrokerClient::new(GrpcBrokerServer::new(broker.clone()));
        let mut answers = client.start_stream(ReceiverStream::new(announcements)).await.unwrap().into_inner();
        let reading = tokio::spawn(async move { answers.message().await });
        let dialing = tokio::spawn({
            let broker = broker.clone();
            async move { broker.dial(7).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        announce.send(listener(7, &path)).await.unwrap();
        let channel = dialing.await.unwrap().unwrap();
        let request = HealthCheckRequest { service: "plugin".to_owned() };
        assert_eq!(HealthClient::new(channel).check(request).await.unwrap().into_inner().status, 1);
        assert!(!reading.is_finished(), "the stream is held open");
        broker.0.ending.cancel();
        assert_eq!(reading.await.unwrap().unwrap(), None, "and ends with the process");
    }

    #[tokio::test]
    async fn what_cannot_be_dialed_says_why() {
        let broker = broker();
        assert!(matches!(broker.dial(1).await, Err(DialError::NotAnnounced(1))));
        broker.announce(listener(2, Path::new("/no/such/socket")));
        assert!(matches!(broker.dial(2).await, Err(DialError::Unreachable { id: 2, .. })));
        broker.announce(ConnInfo { network: "tcp".to_owned(), ..listener(3, Path::new("x")) });
        assert!(matches!(broker.dial(3).await, Err(DialError::Network(_))));
        broker.forget(3);
        assert!(matches!(broker.dial(3).await, Err(DialError::NotAnnounced(3))));
    }

    #[tokio::test]
    async fn announcements_are_bounded() {
        let broker = broker();
        for id in 0..=u32::try_from(LISTENERS_LIMIT).unwrap() {
            broker.announce(listener(id, Path::new("x")));
        }
        assert_eq!(broker.listeners().len(), LISTENERS_LIMIT);
    }
}
