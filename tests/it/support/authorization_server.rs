//! A real OAuth 2.0 server, django-oauth-toolkit, as its own process (tests/authorization_server.py); ends with the test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::deps;
use super::node::free_port;
use super::simulator::plain_client;

/// The client that the plugin is; its secret is encoded before it goes into a header.
pub const CLIENT: (&str, &str) = ("vault", "s3cret+/%:canary-0001");
/// The base64 of the service's client, `api:introspects`.
const SERVICE: &str = "YXBpOmludHJvc3BlY3Rz";

pub struct AuthorizationServer {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl AuthorizationServer {
    /// With tokens that live so long.
    pub fn start(life: Duration) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        let wanted = json!({
            "clients": [[CLIENT.0, CLIENT.1], ["api", "introspects"]], "scopes": ["models.read", "models.write"],
            "life": life.as_secs(),
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/authorization_server.py");
        let mut child = Command::new("python3")
            .arg(script)
            .args([&port.to_string(), folder.path().to_str().expect("text"), &wanted.to_string()])
            .env("PATH", &*deps::PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), "ready", "the authorization server does not start");
        Self { child, url: format!("http://127.0.0.1:{port}/o"), _folder: folder }
    }

    /// The body of a config for it.
    pub fn config(&self) -> Value {
        json!({
            "provider": "oauth2", "token_url": format!("{}/token/", self.url),
            "revoke_url": format!("{}/revoke_token/", self.url), "client_id": CLIENT.0, "client_secret": CLIENT.1,
            "base_url": "https://api.example/v1",
        })
    }

    /// What it tells a service of a token (RFC 7662).
    pub async fn introspect(&self, token: &str) -> Value {
        let request = plain_client().post(format!("{}/introspect/", self.url));
        let request = request.header(AUTHORIZATION, format!("Basic {SERVICE}")).form(&[("token", token)]);
        let text = request.send().await.expect("an answer").text().await.expect("a body");
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
