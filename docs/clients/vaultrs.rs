//! Reads a key with vaultrs, uses it, renews and revokes its lease: vaultrs ROLE [TTL]
//!
//! Takes VAULT_ADDR and VAULT_TOKEN, and VAULT_NAMESPACE and MODEL where they are set.

#![allow(clippy::print_stdout, clippy::print_stderr)] // that is all it does

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use rustify::endpoint::Endpoint;
use rustify::enums::{RequestMethod, RequestType, ResponseType};
use serde::Deserialize;
use serde_json::{Value, json};
use vaultrs::api::{self, EndpointResult};
use vaultrs::client::{Client, VaultClient, VaultClientSettingsBuilder};
use vaultrs::error::ClientError;

const MOUNT: &str = "ai";
/// The server gives up after 90 s; who hangs up before that gets no key, and the engine revokes what it made. Without
/// this vaultrs waits for ever.
const TIMEOUT: Duration = Duration::from_secs(100);
/// Longest wait, in seconds, that a vendor may ask for before this program gives up.
const PATIENCE: u64 = 30;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A key. Without `Debug`, so that no log shows it.
#[derive(Deserialize)]
struct Key {
    api_key: String,
    base_url: String,
    key_name: String,
}

/// A request to any path, answered with all that the server says: what vaultrs brings for other engines gives out `data`
/// alone, and logs the warnings.
struct Call {
    method: RequestMethod,
    path: String,
    query: Option<String>,
    body: Value,
}

impl Endpoint for Call {
    type Response = EndpointResult<Key>;
    const REQUEST_BODY_TYPE: RequestType = RequestType::JSON;
    const RESPONSE_BODY_TYPE: ResponseType = ResponseType::JSON;

    fn path(&self) -> String {
        self.path.clone()
    }

    fn method(&self) -> RequestMethod {
        self.method.clone()
    }

    fn query(&self) -> std::result::Result<Option<String>, rustify::errors::ClientError> {
        Ok(self.query.clone())
    }

    fn body(&self) -> std::result::Result<Option<Vec<u8>>, rustify::errors::ClientError> {
        Ok((!self.body.is_null()).then(|| self.body.to_string().into_bytes()))
    }
}

impl Call {
    fn put(path: &str, body: Value) -> Self {
        Self { method: RequestMethod::PUT, path: path.to_owned(), query: None, body }
    }
}

/// A client; with `wrap_ttl` one whose answers are wrapped. vaultrs's own `wrap` knows ten minutes only.
fn connect(wrap_ttl: Option<&str>) -> Result<VaultClient> {
    // VAULT_ADDR and VAULT_TOKEN are taken by default, the namespace is not.
    let mut settings = VaultClientSettingsBuilder::default();
    settings.timeout(Some(TIMEOUT)).namespace(env::var("VAULT_NAMESPACE").ok());
    let mut client = VaultClient::new(settings.build()?)?;
    client.middle.wrap = wrap_ttl.map(str::to_owned);
    Ok(client)
}

/// Asks again where that may help. That is safe: the engine finds and deletes what a lost answer made.
async fn read_key(
    vault: &VaultClient,
    role: &str,
    ttl: Option<&str>,
) -> std::result::Result<EndpointResult<Key>, ClientError> {
    let mut waits = [1, 2, 4].into_iter();
    loop {
        let call = Call {
            method: RequestMethod::GET,
            path: format!("{MOUNT}/creds/{role}"),
            query: ttl.map(|ttl| format!("ttl={ttl}")),
            body: Value::Null,
        };
        match api::exec_with_no_result(vault, call).await {
            Ok(answer) => {
                for warning in answer.warnings.iter().flatten() {
                    println!("warning: {warning}");
                }
                return Ok(answer);
            }
            Err(error) => {
                let asked = asked_wait(&error);
                let Some(wait) =
                    waits.next().filter(|_| is_transient(&error) && asked.is_none_or(|asked| asked <= PATIENCE))
                else {
                    return Err(error);
                };
                println!("trying again: {}", problem(&error));
                // Many programs that failed together should not come back together: add chance to this wait.
                tokio::time::sleep(Duration::from_secs(asked.unwrap_or(wait))).await;
            }
        }
    }
}

/// A vendor that is out for long is 400 here too: go on with the key while it lasts, try again, and read a new one before it
/// ends.
async fn renew(
    vault: &VaultClient,
    lease_id: &str,
    increment: &str,
) -> std::result::Result<EndpointResult<Key>, ClientError> {
    let body = json!({"lease_id": lease_id, "increment": increment});
    api::exec_with_no_result(vault, Call::put("sys/leases/renew", body)).await
}

/// With `sync` the answer says whether the vendor could be reached.
async fn revoke(vault: &VaultClient, lease_id: &str) -> Result<()> {
    let body = json!({"lease_id": lease_id, "sync": true});
    api::exec_with_empty(vault, Call::put("sys/leases/revoke", body)).await?;
    println!("revoked its lease");
    Ok(())
}

/// `vaultrs::sys::wrapping::unwrap` would drop the lease.
async fn unwrap(vault: &VaultClient, token: &str) -> std::result::Result<EndpointResult<Key>, ClientError> {
    api::exec_with_no_result(vault, Call::put("sys/wrapping/unwrap", json!({"token": token}))).await
}

/// The vendor's status for one completion.
async fn try_key(key: &Key) -> Result<u16> {
    let model = env::var("MODEL").unwrap_or_else(|_| "gpt-4o-mini".to_owned());
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
    let request = client.post(format!("{}/chat/completions", key.base_url)).bearer_auth(&key.api_key).json(&body);
    Ok(request.send().await?.status().as_u16())
}

/// The server's status; none where there was no answer.
fn status(error: &ClientError) -> Option<u16> {
    match error {
        ClientError::APIError { code, .. } => Some(*code),
        // The body was no list of errors: a proxy's page, say.
        ClientError::RestClientError { source: rustify::errors::ClientError::ServerResponseError { code, .. } } => {
            Some(*code)
        }
        _ => None,
    }
}

fn is_transient(error: &ClientError) -> bool {
    let no_answer = matches!(
        error,
        ClientError::RestClientError {
            source: rustify::errors::ClientError::RequestError { .. }
                | rustify::errors::ClientError::ResponseError { .. }
        }
    );
    no_answer || matches!(status(error), Some(429 | 502 | 503))
}

/// The text of an error leaves the server's list out. Never log one with `{:?}`: of an answer that could not be parsed it
/// holds the body, and with that the key.
fn problem(error: &ClientError) -> String {
    let text = match error {
        ClientError::APIError { code, errors } => format!("{code} {}", errors.join(" ")),
        _ => match status(error) {
            Some(status) => status.to_string(),
            None if is_transient(error) => "no answer".to_owned(),
            None => error.to_string(),
        },
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many seconds the vendor asks to wait.
fn asked_wait(error: &ClientError) -> Option<u64> {
    problem(error).split_once("try again in ")?.1.split(' ').next()?.parse().ok()
}

async fn advice(vault: &VaultClient, error: &ClientError) -> &'static str {
    match status(error) {
        _ if is_transient(error) => "try again later",
        Some(400 | 404 | 405) => "fix the request: asking again will not help",
        // Vault says the same of a token that has ended and of one that may not; whether it can look at itself tells.
        Some(403) if vault.lookup().await.is_ok() => "ask whoever owns the policy",
        Some(403) => "log in again",
        _ => "search the server's log",
    }
}

async fn story(vault: &VaultClient, role: &str, ttl: Option<&str>) -> Result<()> {
    let answer = read_key(vault, role, ttl).await?;
    let (lease, key) = (answer.lease_id, answer.data.ok_or("no key in the answer")?);
    println!("read a key: {}, good for {} s", key.key_name, answer.lease_duration);
    println!("used it: HTTP {}", try_key(&key).await?);
    println!("renewed its lease: good for {} s", renew(vault, &lease, "30m").await?.lease_duration);
    revoke(vault, &lease).await?;
    println!("used it again: HTTP {}", try_key(&key).await?);
    if let Err(error) = renew(vault, &lease, "30m").await {
        println!("renewed it again: {}", problem(&error));
    }

    let wrapped = read_key(&connect(Some("60s"))?, role, ttl).await?;
    let token = wrapped.wrap_info.ok_or("the answer is not wrapped")?.token;
    let answer = unwrap(vault, &token).await?;
    println!("unwrapped another key: {}", answer.data.ok_or("no key in the answer")?.key_name);
    if let Err(error) = unwrap(vault, &token).await {
        println!("unwrapped it again: {}", problem(&error));
    }
    revoke(vault, &answer.lease_id).await
}

#[tokio::main]
async fn main() -> ExitCode {
    // Where vaultrs and reqwest have their default features they bring their own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = env::args().skip(1);
    let Some(role) = arguments.next() else {
        eprintln!("usage: vaultrs ROLE [TTL]");
        return ExitCode::from(2);
    };
    let failed = match connect(None) {
        Ok(vault) => match story(&vault, &role, arguments.next().as_deref()).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => match error.downcast_ref::<ClientError>() {
                Some(error) => format!("{}: {}", problem(error), advice(&vault, error).await),
                None => error.to_string(),
            },
        },
        Err(error) => error.to_string(),
    };
    eprintln!("error: {failed}");
    ExitCode::FAILURE
}
