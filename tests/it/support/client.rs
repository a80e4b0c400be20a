//! The HTTP API of one server.

use std::path::PathBuf;

use reqwest::Method;
use serde_json::{Value, json};

use super::case::Case;
use super::simulator::{Reply, plain_builder, plain_client};

/// One server's API, and the token that is used where a test names none.
#[derive(Clone)]
pub struct Client {
    pub url: String,
    pub token: String,
    http: reqwest::Client,
}

impl Client {
    pub fn new(url: String, token: &str) -> Self {
        Self { url, token: token.to_owned(), http: plain_client() }
    }

    /// An API behind a Unix socket, without a token.
    pub fn at_socket(socket: PathBuf) -> Self {
        let http = plain_builder().unix_socket(socket).build().expect("a client");
        Self { url: "http://localhost".into(), token: String::new(), http }
    }

    /// Any request, with any token and headers; fails where the server gives no answer.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> reqwest::Result<Reply> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        // A proxy has calls of its own beside the server's.
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/v1/{path}") };
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.header("X-Vault-Token", token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = body.iter().fold(request, |request, body| request.json(body));
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap_or_default();
        Ok(Reply { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Reply {
        let reply = self.try_send(method, path, token, headers, body).await;
        reply.unwrap_or_else(|error| panic!("{method} {path} at {}: {error:?}", self.url))
    }

    pub async fn call(&self, method: &str, path: &str, body: Value) -> Reply {
        self.send(method, path, &self.token, &[], (!body.is_null()).then_some(body)).await
    }

    #[track_caller]
    fn succeeded(what: &str, reply: Reply) -> Value {
        assert!((200..300).contains(&reply.status), "{what}: {} {}", reply.status, reply.body);
        reply.body
    }

    pub async fn read(&self, path: &str) -> Value {
        Self::succeeded(path, self.call("GET", path, Value::Null).await)
    }

    pub async fn list(&self, path: &str) -> Vec<String> {
        let reply = self.call("LIST", path, Value::Null).await;
        serde_json::from_value(reply.body["data"]["keys"].clone()).unwrap_or_default()
    }

    pub async fn write(&self, path: &str, body: Value) -> Value {
        Self::succeeded(path, self.call("POST", path, body).await)
    }

    pub async fn delete(&self, path: &str) -> Value {
        Self::succeeded(path, self.call("DELETE", path, Value::Null).await)
    }

    pub async fn revoke(&self, lease: &Value) -> Reply {
        self.call("POST", "sys/leases/revoke", json!({"lease_id": lease["lease_id"], "sync": true})).await
    }

    pub async fn renew(&self, lease: &Value, increment: u64) -> Reply {
        self.call("POST", "sys/leases/renew", json!({"lease_id": lease["lease_id"], "increment": increment})).await
    }

    /// Restarts the plugin of a mount. A new instance sweeps at once.
    pub async fn reload(&self, mount: &str) {
        self.write("sys/plugins/reload/backend", json!({"mounts": mount})).await;
    }

    /// The vendor's account and role in a mount: `config/<provider>`, `roles/<provider>`.
    pub async fn configure(&self, mount: &str, case: &Case, simulator_url: &str) {
        let name = case.provider;
        self.write(&format!("{mount}/config/{name}"), case.config(simulator_url)).await;
        let mut role = case.role(name);
        role["ttl"] = "10m".into();
        role["max_ttl"] = "1h".into();
        self.write(&format!("{mount}/roles/{name}"), role).await;
    }

    /// Whether this server can do what not every one can: namespaces, a path of its API, …
    pub async fn can(&self, method: &str, path: &str, body: Value) -> bool {
        (200..300).contains(&self.call(method, path, body).await.status)
    }

    /// What the server says of its own health; none where it gives no answer. 501 before it is initialised, 503
    /// while it is sealed, 200 where it is active.
    pub async fn health(&self) -> Option<u16> {
        self.try_send("GET", "sys/health", "", &[], None).await.ok().map(|reply| reply.status)
    }
}
