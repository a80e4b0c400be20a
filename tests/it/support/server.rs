//! A real server in dev mode with the real plugin binary.

use serde_json::Value;

use super::case::Case;
use super::client::Client;
use super::node::{Node, VERSION, free_port};
use super::simulator::Simulator;

pub const ROOT: &str = "root-canary-token";

/// One server by itself, in dev mode.
pub type Server = Node;

/// A server with the plugin at ai/, and vendors.
pub struct Stage {
    pub server: Server,
    pub simulator: Simulator,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with_settings("").await
    }

    pub async fn with_settings(settings: &str) -> Self {
        let stage = Self { server: Server::start_with(settings).await, simulator: Simulator::start() };
        stage.server.register(VERSION).await;
        stage.server.enable("ai").await;
        stage
    }

    /// A server, and the vendor's account and role: `config/<provider>`, `roles/<provider>`.
    pub async fn with(case: &Case) -> Self {
        let stage = Self::new().await;
        stage.configure("ai", case).await;
        stage
    }

    pub async fn configure(&self, mount: &str, case: &Case) {
        self.server.configure(mount, case, &self.simulator.url).await;
    }

    pub async fn creds(&self, case: &Case) -> Value {
        self.server.read(&format!("ai/creds/{}", case.provider)).await
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// With more lines in its settings: its own storage, say.
    pub async fn start_with(settings: &str) -> Self {
        Self::start_by(Self::spawn, settings).await
    }

    /// With this file and nothing else.
    pub async fn start_from(file: &str) -> Self {
        Self::start_by(Self::spawn_with, file).await
    }

    async fn start_by(spawn: fn(Client, &str, &[String]) -> Self, settings: &str) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let arguments = [
            "-dev".to_owned(),
            "-dev-no-store-token".to_owned(),
            format!("-dev-root-token-id={ROOT}"),
            format!("-dev-listen-address={address}"),
        ];
        let mut server = spawn(Client::new(format!("http://{address}"), ROOT), settings, &arguments);
        assert!(server.comes_up(&[200]).await, "the server ended:\n{}", server.log());
        server
    }
}

pub fn text<'a>(lease: &'a Value, field: &str) -> &'a str {
    lease["data"][field].as_str().unwrap_or_else(|| panic!("no {field} in {lease}"))
}
