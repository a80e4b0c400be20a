//! One run of the plugin's program: its environment, its handshake, its stderr, its connection, its end.

use std::io;
use std::net::Shutdown;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use vault_plugin_secrets_ai::go_plugin::proto::plugin::ConnInfo;
use vault_plugin_secrets_ai::go_plugin::proto::plugin::Empty;
use vault_plugin_secrets_ai::go_plugin::proto::plugin::grpc_broker_client::GrpcBrokerClient;
use vault_plugin_secrets_ai::go_plugin::proto::plugin::grpc_controller_client::GrpcControllerClient;
use vault_plugin_secrets_ai::go_plugin::proto::plugin::grpc_stdio_client::GrpcStdioClient;

use super::certificate::HostCertificate;

const START_LIMIT: Duration = Duration::from_secs(20);
const END_LIMIT: Duration = Duration::from_secs(10);
/// What go-plugin's host gives a plugin between its Shutdown and its kill.
pub const SHUTDOWN_LIMIT: Duration = Duration::from_secs(2);

/// Bytes that a plugin wrote to stderr, over all of its runs.
pub type Captured = Arc<Mutex<Vec<u8>>>;

/// The connection itself, to cut it.
type Wire = Arc<Mutex<Option<std::os::unix::net::UnixStream>>>;

/// What to start, and in which surroundings.
pub struct Launch<'a> {
    pub program: &'a Path,
    pub arguments: &'a [String],
    pub environment: &'a [(String, Option<String>)],
    /// For the plugin's sockets, and nothing else.
    pub socket_folder: &'a Path,
    pub stderr: Captured,
}

impl Launch<'_> {
    /// The environment that OpenBao 2.7.2 gives a plugin, with the test's own changes.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .env("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20")
            .env("PLUGIN_PROTOCOL_VERSIONS", "5")
            .env("PLUGIN_CLIENT_CERT", HostCertificate::fixture().pem())
            .env("PLUGIN_MIN_PORT", "10000")
            .env("PLUGIN_MAX_PORT", "25000")
            .env("VAULT_VERSION", "2.7.2")
            .env("BAO_VERSION", "2.7.2")
            .env("VAULT_PLUGIN_METADATA_MODE", "false")
            .env("TMPDIR", self.socket_folder)
            .env_remove("PLUGIN_UNIX_SOCKET_DIR")
            .env_remove("PLUGIN_UNIX_SOCKET_GROUP")
            .env_remove("PLUGIN_MULTIPLEX_GRPC")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (name, value) in self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }
}

pub struct Process {
    child: Child,
    pub line: String,
    pub socket: PathBuf,
    pub certificate: CertificateDer<'static>,
    pub channel: Channel,
    wire: Wire,
    announce: mpsc::Sender<ConnInfo>,
    /// Read the streams that a host keeps open; dropped, they close them.
    streams: JoinSet<()>,
}

impl Process {
    /// Starts the program and connects to it.
    ///
    /// # Errors
    /// The program's exit, where it ends instead of serving.
    pub async fn start(launch: Launch<'_>) -> Result<Self, ExitStatus> {
        let mut child = launch.command().spawn().expect("the program starts");
        capture(child.stderr.take().unwrap(), Arc::clone(&launch.stderr));
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let Some(line) = timeout(START_LIMIT, handshake(stdout)).await.expect("a handshake in time") else {
            return Err(timeout(END_LIMIT, child.wait()).await.expect("an end in time").unwrap());
        };
        let fields: Vec<&str> = line.split('|').collect();
        assert_eq!((fields[0], fields[1], fields[2], fields[4]), ("1", "5", "unix", "grpc"), "{line}");
        let socket = PathBuf::from(fields[3]);
        let certificate = CertificateDer::from(STANDARD_NO_PAD.decode(fields[5]).expect("base64 without padding"));
        let wire = Wire::default();
        let connected = connect(socket.clone(), &certificate, Arc::clone(&wire)).await;
        let channel = connected.expect("the plugin accepts its host");
        let (announce, streams) = hold_streams(&channel).await;
        Ok(Self { child, line, socket, certificate, channel, wire, announce, streams })
    }

    /// Tells the plugin where the host listens under a number.
    pub async fn announce(&self, id: u32, path: &Path) {
        let address = path.to_str().unwrap().to_owned();
        let listener = ConnInfo { service_id: id, network: "unix".to_owned(), address, knock: None };
        self.announce.send(listener).await.expect("the broker's stream is open");
    }

    /// Asks it to end and waits; gives the time that this took.
    pub async fn shutdown(mut self) -> Duration {
        let start = Instant::now();
        GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await.expect("an answer to Shutdown");
        let status = self.ended().await;
        assert!(status.success(), "{status}");
        start.elapsed()
    }

    /// Closes the connection as a host does that was killed, and waits for the plugin's end.
    pub async fn abandon(mut self) -> Duration {
        let start = Instant::now();
        self.wire.lock().unwrap().as_ref().unwrap().shutdown(Shutdown::Both).unwrap();
        let status = self.ended().await;
        assert!(status.success(), "{status}");
        start.elapsed()
    }

    pub async fn kill9(mut self) {
        self.child.start_kill().unwrap();
        let status = self.ended().await;
        assert_eq!(status.signal(), Some(9));
    }

    /// Sends a signal by name: `TERM`, `STOP`.
    pub async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().await.unwrap().success());
    }

    /// The exit, where it comes in time.
    pub async fn exit_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        timeout(limit, self.child.wait()).await.ok().map(Result::unwrap)
    }

    async fn ended(&mut self) -> ExitStatus {
        timeout(END_LIMIT, self.child.wait()).await.expect("an end in time").unwrap()
    }
}

/// The first line that is a handshake; none where the program ends without one. A test program that is
/// started as a plugin may have said something before.
async fn handshake(mut stdout: BufReader<tokio::process::ChildStdout>) -> Option<String> {
    let mut line = String::new();
    while stdout.read_line(&mut line).await.unwrap() > 0 {
        if let Some(start) = line.find("1|5|") {
            let line = line[start..].trim_end().to_owned();
            tokio::spawn(async move { tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await });
            return Some(line);
        }
        line.clear();
    }
    None
}

fn capture(mut stderr: tokio::process::ChildStderr, captured: Captured) {
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
            captured.lock().unwrap().extend_from_slice(&buffer[..read]);
        }
    });
}

async fn connect(
    socket: PathBuf,
    plugin: &CertificateDer<'static>,
    wire: Wire,
) -> Result<Channel, tonic::transport::Error> {
    let connector = TlsConnector::from(Arc::new(HostCertificate::fixture().client_config(plugin)));
    let dial = tower_service_fn(move |_| {
        let (socket, connector, wire) = (socket.clone(), connector.clone(), Arc::clone(&wire));
        async move {
            let stream = UnixStream::connect(socket).await?.into_std()?;
            *wire.lock().unwrap() = Some(stream.try_clone()?);
            let name = ServerName::try_from("localhost").unwrap();
            Ok::<_, io::Error>(TokioIo::new(connector.connect(name, UnixStream::from_std(stream)?).await?))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector(dial).await
}

/// Opens the streams that a host keeps: the broker's and stdio's.
async fn hold_streams(channel: &Channel) -> (mpsc::Sender<ConnInfo>, JoinSet<()>) {
    let mut streams = JoinSet::new();
    let (announce, announcements) = mpsc::channel(16);
    let mut broker = GrpcBrokerClient::new(channel.clone());
    let mut answers = broker.start_stream(ReceiverStream::new(announcements)).await.unwrap().into_inner();
    streams.spawn(async move { while let Ok(Some(_)) = answers.message().await {} });
    let mut stdio = GrpcStdioClient::new(channel.clone()).stream_stdio(Empty {}).await.unwrap().into_inner();
    streams.spawn(async move { while let Ok(Some(_)) = stdio.message().await {} });
    (announce, streams)
}

/// A tower service made of a function.
fn tower_service_fn<F>(function: F) -> ServiceFn<F> {
    ServiceFn(function)
}

#[derive(Clone)]
struct ServiceFn<F>(F);

impl<F, Fut, R, T, E> tower_service::Service<R> for ServiceFn<F>
where
    F: FnMut(R) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    type Response = T;
    type Error = E;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), E>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Fut {
        (self.0)(request)
    }
}
