//! The host: one program, one process at a time, any number of mounts.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio_rustls::TlsAcceptor;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;
use vault_plugin_secrets_ai::vault::proto::logical::Empty;
use vault_plugin_secrets_ai::vault::proto::logical::plugin_version_client::PluginVersionClient;
use vault_plugin_secrets_ai::vault::proto::multiplexing::MultiplexingSupportRequest;
use vault_plugin_secrets_ai::vault::proto::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;
use vault_plugin_secrets_ai::vault::proto::pb;
use vault_plugin_secrets_ai::vault::proto::pb::storage_server::StorageServer;
use vault_plugin_secrets_ai::vault::proto::pb::system_view_server::SystemViewServer;

use super::certificate::HostCertificate;
use super::echo;
use super::mount::Mount;
use super::process::{Captured, Launch, Process};
use super::storage::MountStorage;
use super::system::System;

/// What is started, and how.
#[derive(Clone)]
pub struct Options {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, Option<String>)>,
}

impl Options {
    /// The plugin's real program.
    pub fn plugin() -> Self {
        let program = env!("CARGO_BIN_EXE_vault-plugin-secrets-ai").into();
        Self { program, arguments: Vec::new(), environment: Vec::new() }
    }

    /// This test program, which then serves a small backend of its own: see `echo`.
    pub fn echo() -> Self {
        let program = std::env::current_exe().unwrap();
        let arguments = echo::ARGUMENTS.map(str::to_owned).to_vec();
        Self { program, arguments, environment: Vec::new() }.env(echo::VARIABLE, "1")
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.environment.push((name.to_owned(), None));
        self
    }
}

pub struct Host {
    options: Options,
    process: tokio::sync::Mutex<Option<Process>>,
    mounts: Mutex<Vec<Mount>>,
    numbers: AtomicU32,
    stderr: Captured,
    plugin_sockets: TempDir,
    host_sockets: TempDir,
}

impl Host {
    /// Starts the program; no mount yet.
    pub async fn start(options: Options) -> Self {
        Self::try_start(options).await.unwrap_or_else(|(status, stderr)| panic!("{status}: {stderr}"))
    }

    /// The same for a program that may refuse: its exit and what it said on stderr.
    pub async fn try_start(options: Options) -> Result<Self, (ExitStatus, String)> {
        let host = Self {
            options,
            process: tokio::sync::Mutex::default(),
            mounts: Mutex::default(),
            numbers: AtomicU32::new(1),
            stderr: Captured::default(),
            plugin_sockets: tempfile::tempdir().unwrap(),
            host_sockets: tempfile::tempdir().unwrap(),
        };
        match host.spawn().await {
            Ok(()) => Ok(host),
            Err(status) => {
                tokio::time::sleep(Duration::from_millis(50)).await; // the pipe of stderr is read by another task
                Err((status, String::from_utf8(host.stderr()).unwrap()))
            }
        }
    }

    /// A mount with an empty storage: Setup and Initialize.
    pub async fn mount(&self, uuid: &str) -> Mount {
        self.mount_on(uuid, MountStorage::default(), System::default()).await
    }

    /// A mount over a storage that is there already, with values of the system that Initialize shall see.
    pub async fn mount_on(&self, uuid: &str, storage: MountStorage, system: System) -> Mount {
        let mount = Mount::new(uuid, storage, system);
        self.remount(&mount).await;
        self.mounts.lock().unwrap().push(mount.clone());
        mount
    }

    /// Setup and Initialize of a mount that the process does not know (any more).
    pub async fn remount(&self, mount: &Mount) {
        self.setup(mount).await.expect("Setup");
        mount.initialize().await.expect("Initialize");
    }

    /// Setup alone, during which the storage cannot be written.
    pub async fn setup(&self, mount: &Mount) -> Result<(), String> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let process = self.process.lock().await;
        let process = process.as_ref().expect("the plugin runs");
        let support = PluginMultiplexingClient::new(process.channel.clone());
        assert!({ support }.multiplexing_support(MultiplexingSupportRequest {}).await.unwrap().into_inner().supported);

        *mount.connection.lock().unwrap() = Some((process.channel.clone(), format!("multiplex{number}")));
        let path = self.host_sockets.path().join(number.to_string());
        listen(&path, &process.certificate, mount);
        mount.storage.set_setting_up(true);
        let config = mount.config.iter().cloned().collect();
        let setup = pb::SetupArgs { broker_id: number, config, backend_uuid: mount.uuid.clone() };
        let mut backend = mount.backend();
        // The two race, as they do in a real host.
        let (reply, ()) = tokio::join!(backend.setup(mount.call(setup)), process.announce(number, &path));
        mount.storage.set_setting_up(false);
        let err = reply.map_err(|status| status.to_string())?.into_inner().err;
        if err.is_empty() { Ok(()) } else { Err(err) }
    }

    /// What `plugin register` does with the program: Setup of a mount that has nothing, and the version.
    pub async fn register(&self) -> String {
        let mut nothing = Mount::new("", MountStorage::default(), System::default());
        nothing.config.clear();
        nothing.storage.set_absent(true);
        nothing.system.values().absent = true;
        self.setup(&nothing).await.expect("Setup");
        self.version().await
    }

    pub async fn version(&self) -> String {
        let process = self.process.lock().await;
        let mut client = PluginVersionClient::new(process.as_ref().expect("the plugin runs").channel.clone());
        client.version(Empty {}).await.unwrap().into_inner().plugin_version
    }

    /// Asks the plugin to end and waits; the time that this took. The mounts are kept for `restart`.
    pub async fn shutdown(&self) -> Duration {
        self.taken().await.shutdown().await
    }

    /// Closes all connections without a word, as a host does that is killed; the time to the plugin's end.
    pub async fn vanish(&self) -> Duration {
        self.taken().await.abandon().await
    }

    /// Kills the plugin. Calls in flight fail; the mounts are kept for `restart`.
    pub async fn kill9(&self) {
        self.taken().await.kill9().await;
    }

    /// Sends the plugin a signal by name: `TERM`, `STOP`, `CONT`.
    pub async fn signal(&self, name: &str) {
        self.process.lock().await.as_ref().expect("the plugin runs").signal(name).await;
    }

    /// The plugin's exit, where it comes in time.
    pub async fn exit_within(&self, limit: Duration) -> Option<ExitStatus> {
        self.process.lock().await.as_mut().expect("the plugin runs").exit_within(limit).await
    }

    /// A new process (the old one is killed if it still runs), and all mounts in it over their storages.
    pub async fn restart(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.kill9().await;
        }
        self.spawn().await.expect("the plugin starts again");
        let mounts = self.mounts.lock().unwrap().clone();
        for mount in mounts {
            self.remount(&mount).await;
        }
    }

    /// All bytes that the plugin wrote to stderr so far.
    pub fn stderr(&self) -> Vec<u8> {
        self.stderr.lock().unwrap().clone()
    }

    /// The lines of the log, each as strict as the host needs it: anything else could bring it down.
    #[track_caller]
    pub fn log(&self) -> Vec<Map<String, Value>> {
        let stderr = String::from_utf8(self.stderr()).expect("stderr is text");
        stderr.lines().map(log_line).collect()
    }

    /// The handshake's line.
    pub async fn line(&self) -> String {
        self.process.lock().await.as_ref().expect("the plugin runs").line.clone()
    }

    /// Names of the plugin's sockets that exist.
    pub fn plugin_sockets(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.plugin_sockets.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    async fn spawn(&self) -> Result<(), ExitStatus> {
        let launch = Launch {
            program: &self.options.program,
            arguments: &self.options.arguments,
            environment: &self.options.environment,
            socket_folder: self.plugin_sockets.path(),
            stderr: Arc::clone(&self.stderr),
        };
        *self.process.lock().await = Some(Process::start(launch).await?);
        Ok(())
    }

    async fn taken(&self) -> Process {
        let process = self.process.lock().await.take().expect("the plugin runs");
        for mount in self.mounts.lock().unwrap().iter() {
            *mount.connection.lock().unwrap() = None;
        }
        process
    }
}

/// A line that no host stumbles over.
#[track_caller]
pub(super) fn log_line(line: &str) -> Map<String, Value> {
    assert!(line.len() < 64 * 1024, "a line of {} bytes", line.len());
    let Ok(Value::Object(map)) = serde_json::from_str(line) else { panic!("a raw line on stderr: {line}") };
    for key in ["@level", "@message", "@module", "@timestamp"] {
        assert!(map.get(key).is_some_and(Value::is_string), "{key} is no text: {line}");
    }
    assert_eq!(map.keys().filter(|key| key.starts_with('@')).count(), 4, "{line}");
    map
}

/// Serves a mount's storage and view of the system on a socket of the host's.
fn listen(path: &Path, plugin: &CertificateDer<'static>, mount: &Mount) {
    let acceptor = TlsAcceptor::from(Arc::new(HostCertificate::fixture().server_config(plugin)));
    let socket = UnixListener::bind(path).unwrap();
    let storage = StorageServer::new(mount.storage.clone())
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX);
    let system = SystemViewServer::new(mount.system.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            let (acceptor, storage, system) = (acceptor.clone(), storage.clone(), system.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let handler = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let (mut storage, mut system) = (storage.clone(), system.clone());
                    async move {
                        let response: Result<Response<Body>, Infallible> = match request.uri().path() {
                            path if path.starts_with("/pb.Storage/") => storage.call(request).await,
                            path if path.starts_with("/pb.SystemView/") => system.call(request).await,
                            _ => Ok(Status::unimplemented("unknown service").into_http()),
                        };
                        response
                    }
                });
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                _ = server.serve_connection(TokioIo::new(stream), handler).await;
            });
        }
    });
}
