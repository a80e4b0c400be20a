use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;

use super::broker::Broker;
use super::controller::Controller;
use super::error::{Error, Result};
use super::handshake::{Handshake, announce};
use super::health::Health;
use super::proto::health::health_server::HealthServer;
use super::proto::plugin::grpc_broker_server::GrpcBrokerServer;
use super::proto::plugin::grpc_controller_server::GrpcControllerServer;
use super::proto::plugin::grpc_stdio_server::GrpcStdioServer;
use super::services::Services;
use super::socket::Socket;
use super::stdio::Stdio;
use super::tls::Tls;

/// How long the first connection may take after the handshake. A host dials at once; one that died between
/// the two never does.
const FIRST_CONNECTION_LIMIT: Duration = Duration::from_secs(60);

/// How long the process stays when its last connection has closed. A host does not come back to a plugin
/// that it has lost, but a second is cheap.
const LINGER: Duration = Duration::from_secs(1);

/// How long a connection may take for its TLS handshake, which a host does at once.
const TLS_LIMIT: Duration = Duration::from_secs(5);

/// From the wish to end to the end: the host kills what is still there after two seconds.
const END_LIMIT: Duration = Duration::from_millis(1500);

/// Connections at once. A host needs one, and this machine's user can open more.
const CONNECTIONS_LIMIT: usize = 64;

/// Calls at once on a connection: one host sends all requests of all its mounts over a single one, and
/// revokes up to 200 leases side by side.
const CALLS_LIMIT: u32 = 4096;

/// Calls that may be cancelled before they are looked at. The default of 20 is a defence against strangers who
/// flood a server with resets; here it would end the only connection, and with it the plugin, when as many clients hang up.
const RESETS_LIMIT: usize = 65_536;

/// Pause after a failed accept, which is most likely a want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A plugin's server: listening, not yet announced.
pub struct Server {
    handshake: Handshake,
    tls: Tls,
    socket: Socket,
    broker: Broker,
    ending: CancellationToken,
}

/// Why the server ended. None of them is a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The host asked for it.
    Shutdown,
    /// A signal asked for it.
    Terminated,
    /// The host's last connection closed, or none was ever made.
    HostGone,
}

impl Server {
    /// Makes the certificate and listens. Needs a Tokio runtime.
    ///
    /// # Errors
    /// Where the host's certificate is unfit, or its socket folder or group.
    pub fn bind(handshake: Handshake) -> Result<Self> {
        let tls = Tls::new(handshake.host_certificate.clone())?;
        let socket = Socket::bind(&handshake.socket_folder, handshake.socket_group.as_deref())?;
        let ending = CancellationToken::new();
        let broker = Broker::new(tls.clone(), ending.clone());
        Ok(Self { handshake, tls, socket, broker, ending })
    }

    /// The way back to the host, for services that need it.
    pub const fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Announces itself and serves until the host, a signal or the loss of the host ends it. Then no new
    /// call is taken, running ones may finish, and `last_words` are heard, all within 1.5 s; the socket's
    /// file is gone when this returns.
    ///
    /// # Errors
    /// Where signals cannot be received or stdout cannot be written.
    pub async fn run(self, services: Services, last_words: impl Future<Output = ()>) -> Result<End> {
        // Before the handshake: from then on the host may send signals.
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        // Ctrl-C reaches a whole process group. The host decides what it means; receiving it is ignoring it.
        let _interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        if self.handshake.answers_multiplexing {
            tracing::error!(
                "the host wants the broker multiplexed over one connection, as for plugins in containers: \
                 run this plugin as a process"
            );
        }
        let Self { handshake, tls, socket, broker, ending } = self;
        let (hosts, hosts_seen) = watch::channel(0);
        let connections = Connections {
            services: with_own_services(services, broker, &ending),
            tls,
            hosts,
            tasks: TaskTracker::new(),
            ending: ending.clone(),
        };
        announce(&handshake.line(socket.path(), connections.tls.certificate()))?;
        let end = tokio::select! {
            () = connections.accept_all(&socket) => End::HostGone, // never: it loops
            () = ending.cancelled() => End::Shutdown,
            _ = terminate.recv() => End::Terminated,
            () = host_gone(hosts_seen) => End::HostGone,
        };
        tracing::debug!(reason = ?end, "ending");
        drop(socket);
        ending.cancel();
        connections.tasks.close();
        let finished = async { tokio::join!(connections.tasks.wait(), last_words) };
        if timeout(END_LIMIT, finished).await.is_err() {
            tracing::warn!("calls were still running at the end");
        }
        Ok(end)
    }
}

/// What every go-plugin process serves, beside the application's own.
fn with_own_services(mut services: Services, broker: Broker, ending: &CancellationToken) -> Services {
    services
        .add(HealthServer::new(Health))
        .add(GrpcBrokerServer::new(broker))
        .add(GrpcControllerServer::new(Controller { ending: ending.clone() }))
        .add(GrpcStdioServer::new(Stdio { ending: ending.clone() }));
    services
}

/// Everything that a connection needs.
#[derive(Clone)]
struct Connections {
    services: Services,
    tls: Tls,
    /// How many connections have proved to be the host's.
    hosts: watch::Sender<usize>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Connections {
    async fn accept_all(&self, socket: &Socket) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_LIMIT));
        loop {
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match socket.listener.accept().await {
                Ok((stream, _)) => {
                    let connections = self.clone();
                    self.tasks.spawn(async move {
                        connections.serve(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(&self, stream: UnixStream) {
        let stream = match timeout(TLS_LIMIT, self.tls.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::warn!(%error, "a connection was refused"),
            Err(_) => return tracing::warn!("a connection was refused: it said nothing"),
        };
        self.hosts.send_modify(|hosts| *hosts += 1);
        let services = self.services.clone();
        let handler = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let services = services.clone();
            async move { Ok::<_, std::convert::Infallible>(services.call(request.map(Body::new)).await) }
        });
        let mut connection = pin!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(CALLS_LIMIT)
                .max_pending_accept_reset_streams(RESETS_LIMIT)
                .max_local_error_reset_streams(RESETS_LIMIT)
                .serve_connection(TokioIo::new(stream), handler)
        );
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.ending.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        // A host closes without ado, so an error here is usual and of no interest.
        tracing::debug!(error = ended.err().map(tracing::field::display), "a connection ended");
        self.hosts.send_modify(|hosts| *hosts -= 1);
    }
}

/// Ends when no connection of the host is left, or none came at all. A host that was killed cannot ask its
/// plugins to end: they would stay for ever.
async fn host_gone(mut hosts: watch::Receiver<usize>) {
    let mut patience = FIRST_CONNECTION_LIMIT;
    loop {
        // Waiting fails only where no sender is left, which is the end as well.
        let came = timeout(patience, hosts.wait_for(|hosts| *hosts > 0)).await.is_ok_and(|seen| seen.is_ok());
        if !came || hosts.wait_for(|hosts| *hosts == 0).await.is_err() {
            return;
        }
        patience = LINGER;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_that_never_comes_is_gone_after_a_minute() {
        let (_hosts, seen) = watch::channel(0);
        let start = Instant::now();
        host_gone(seen).await;
        assert_eq!(start.elapsed(), FIRST_CONNECTION_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_connection_is_the_one_that_counts() {
        let (hosts, seen) = watch::channel(0);
        let gone = tokio::spawn(host_gone(seen));
        for count in [1, 2, 1, 0, 1] {
            hosts.send_replace(count);
            tokio::time::sleep(LINGER / 2).await;
        }
        assert!(!gone.is_finished(), "the host came back in time");
        hosts.send_replace(0);
        tokio::time::sleep(LINGER * 2).await;
        assert!(gone.is_finished());
    }
}
