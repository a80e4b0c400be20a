use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

/// Admin credentials that no text may show: tests look for them.
pub const ANTHROPIC: &str = "sk-ant-oat01-simulator-org-admin-0001";
pub const OPENAI: &str = "sk-admin-canary-openai-0001";
pub const OPENROUTER: &str = "sk-or-v1-management-canary-0001";
pub const LITELLM: &str = "sk-master-canary-litellm-0001";

/// The vendor simulator as its own process; ends with the test.
pub struct Simulator {
    child: Child,
    pub url: String,
    pub http: reqwest::Client,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Value,
    pub headers: reqwest::header::HeaderMap,
}

impl Simulator {
    pub fn start() -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vendor-simulator"))
            .args(["--openai-admin-key", OPENAI, "--openrouter-admin-key", OPENROUTER, "--litellm-admin-key", LITELLM])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the simulator starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a first line");
        let url = line.trim().strip_prefix("listening on ").expect("the address").to_owned();
        Self { child, url, http: plain_client() }
    }

    pub fn request(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.url));
        let request = if key.is_empty() { request } else { request.bearer_auth(key) };
        body.iter().fold(request, |request, body| request.json(body))
    }

    pub async fn call(&self, method: &str, path: &str, key: &str, body: Option<Value>) -> Reply {
        let response = self.request(method, path, key, body).send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Reply { status, headers, body: serde_json::from_str(&text).expect("JSON") }
    }

    /// Which vendor a path belongs to decides whose admin credential is sent.
    pub async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let key = match path {
            path if path.starts_with("/openai") => OPENAI,
            path if path.starts_with("/openrouter") => OPENROUTER,
            _ => LITELLM,
        };
        self.call(method, path, key, body).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.admin("GET", path, None).await.expect(200)
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.admin("POST", path, Some(body)).await.expect(200)
    }

    pub async fn control(&self, path: &str, body: Value) -> Value {
        self.call("POST", &format!("/_control/{path}"), "", Some(body)).await.expect(200)
    }

    pub async fn faults(&self, faults: Value) {
        self.control("faults", faults).await;
    }

    pub async fn settings(&self, settings: Value) {
        self.control("settings", settings).await;
    }

    pub async fn state(&self) -> Value {
        self.get("/_control/state").await
    }

    /// Names of whatever lives at a vendor that Vault made, each once: a key and what was made for it share one.
    pub async fn live(&self, vendor: &str) -> BTreeSet<String> {
        let state = self.state().await;
        let kinds = state[vendor].as_object().cloned().unwrap_or_default();
        let live = kinds.values().flat_map(|kind| kind["live"].as_array().cloned().unwrap_or_default());
        live.filter_map(|object| object["name"].as_str().map(str::to_owned))
            .filter(|name| name.starts_with("vault-"))
            .collect()
    }

    /// How many keys a vendor has ever created.
    pub async fn created(&self, vendor: &str) -> u64 {
        self.state().await[vendor]["keys"]["created_count"].as_u64().expect("a count")
    }

    pub async fn delete_by_hand(&self, vendor: &str, id: &str) {
        let answer = self.control("delete_key", json!({"vendor": vendor, "id": id})).await;
        assert_eq!(answer["deleted"], true, "{vendor} has no key {id}");
    }

    /// A completion at a base URL below this simulator's.
    pub async fn complete(&self, base: &str, model: &str, key: &str) -> Reply {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
        self.call("POST", &format!("{base}/chat/completions"), key, Some(body)).await
    }
}

impl Reply {
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    #[track_caller]
    pub fn expect_success(self) {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
    }
}

/// Tries a key as a client would; the status of a completion.
pub async fn try_key(base_url: &str, key: &str, model: &str) -> u16 {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let request = plain_client().post(format!("{base_url}/chat/completions")).bearer_auth(key).json(&body);
    request.send().await.expect("an answer").status().as_u16()
}

/// A client for loopback that follows no redirect.
pub fn plain_client() -> reqwest::Client {
    plain_builder().build().expect("a client")
}

pub fn plain_builder() -> reqwest::ClientBuilder {
    // reqwest asks for a process-wide provider even where no TLS is spoken.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none())
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
