use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method};
use reqwest::{Client, Proxy, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::call::{Call, Content};
use super::resolver::{OutOfReach, Resolver, check_host, check_resolved, is_literal, is_loopback};
use super::{About, Account, Fault, FaultKind, Network};
use crate::base::{Secret, Time};
use crate::schema::{Invalid, Kind};

/// Longest wait for a TCP and TLS connection. A vendor that needs longer is down.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Largest answer that is read, in bytes: about a thousand times what one key takes.
const ANSWER_LIMIT: usize = 1024 * 1024;
/// Largest answer to a reading call, in bytes. A page of 100 keys has 40 to 300 KiB, but LiteLLM repeats a team's list of
/// models in each of its keys.
const LISTING_LIMIT: usize = 8 * 1024 * 1024;
/// Most requests of one account at a time. Vault revokes with 200 workers, and vendors answer a burst with 429.
const PARALLEL: usize = 16;
/// A token is not used any more so long before its end: clocks differ, and a call takes its time.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);
/// How long an unused connection is kept. Load balancers close theirs after 60 s or more, and a request on a
/// connection that is being closed has an unknown outcome.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// The HTTP client of one account: its TLS roots, its proxy, its limit of requests at a time.
/// Follows no redirect, reads no proxy from the environment, connects to no address that `reachable` forbids.
pub struct Http {
    client: Client,
    parallel: Semaphore,
    /// A token that stands for the account's credential for a while, where the vendor wants one.
    token: tokio::sync::Mutex<Option<Token>>,
    allow_http: bool,
    proxied: bool,
}

/// A token that the vendor gave for the account's credential.
pub(super) struct Token {
    pub(super) value: Secret,
    /// When it ends.
    pub(super) expires: Time,
}

impl Http {
    /// # Errors
    /// Where `proxy_url` or `ca_cert` cannot be used.
    pub fn new(network: &Network) -> Result<Self, Invalid> {
        let builder = Client::builder()
            .tls_backend_preconfigured(tls(network.ca_cert.as_deref())?)
            .dns_resolver(Resolver)
            .redirect(redirect::Policy::none())
            .referer(false)
            // What is safe to send again is decided in one place, and that is not here.
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE_LIMIT)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));
        let builder = match network.proxy_url.as_deref() {
            Some(url) => builder.proxy(proxy(url)?),
            None => builder.no_proxy(),
        };
        let client = builder.build().map_err(|error| Invalid::new("proxy_url", root_cause(&error)))?;
        let proxied = network.proxy_url.is_some();
        let (parallel, token) = (Semaphore::new(PARALLEL), tokio::sync::Mutex::default());
        Ok(Self { client, parallel, token, allow_http: network.allow_http, proxied })
    }

    /// Whether the account's credential may be sent to this endpoint: HTTPS, or plain HTTP to this machine, or
    /// plain HTTP where the operator allows it; and no address that is out of reach.
    ///
    /// # Errors
    /// Names the field `api_url`.
    pub fn check(&self, url: &Url) -> Result<(), Invalid> {
        let bad = |problem: &str| Err(Invalid::new("api_url", problem));
        // A proxy reads what is plain, and an address says nothing about which machine it is for the proxy. "This
        // machine" behind one is somebody trying things out, who says so.
        let local = is_loopback(url);
        let tried_out = local && self.allow_http;
        let plain_allowed = if self.proxied { tried_out } else { local || self.allow_http };
        if url.scheme() != "https" && !(url.scheme() == "http" && plain_allowed) {
            return match self.proxied {
                true => bad("must be https: nothing goes through a proxy in clear"),
                false => bad("must be https: plain http goes to this machine only, or needs allow_http=true"),
            };
        }
        if self.proxied && (local || is_literal(url)) && !tried_out {
            return bad("must name its host where proxy_url is set: an address is judged by this machine's network");
        }
        check_host(url).or_else(|error| bad(&error.to_string()))
    }

    /// Whether all URLs of an account may be called: those of its fields, and its endpoint.
    ///
    /// # Errors
    /// Names the field; `api_url` where the endpoint is in none.
    pub fn check_account(&self, about: &About, account: &Account) -> Result<(), Invalid> {
        for field in about.account.iter().filter(|field| field.kind == Kind::Url) {
            if let Some(url) = account.identity.text(&field.name).and_then(|text| text.parse().ok()) {
                self.check(&url).map_err(|invalid| Invalid::new(field.name.as_ref(), invalid.problem))?;
            }
        }
        self.check(&account.endpoint)
    }

    /// The token that is held, or a fresh one: one for all who wait for it. Not used any more `TOKEN_MARGIN` before its end.
    ///
    /// # Errors
    /// What `fresh` fails with; `Busy` where there is none before the deadline, however many have failed to get one before.
    pub(super) async fn held_token<F>(
        &self,
        now: Time,
        deadline: Instant,
        fresh: impl FnOnce() -> F,
    ) -> Result<Secret, Fault>
    where
        F: Future<Output = Result<Token, Fault>>,
    {
        let held = async {
            let mut held = self.token.lock().await;
            if let Some(token) = held.as_ref().filter(|token| now + TOKEN_MARGIN < token.expires) {
                return Ok(token.value.clone());
            }
            let token = fresh().await?;
            let value = token.value.clone();
            *held = Some(token);
            Ok(value)
        };
        let late = || Fault::new(FaultKind::Busy { after: None }, "was not called: its token did not come in time");
        timeout_at(deadline, held).await.unwrap_or_else(|_| Err(late()))
    }

    /// Forgets a token that the vendor refuses, where it is still the one that is held.
    pub(super) fn forget_token(&self, refused: &Secret) {
        // Whoever holds the lock is about to replace it.
        if let Ok(mut held) = self.token.try_lock()
            && held.as_ref().is_some_and(|token| token.value.expose() == refused.expose())
        {
            *held = None;
        }
    }

    /// Waits for a turn. None where there was none before the deadline.
    pub(super) async fn turn(&self, deadline: Instant) -> Option<tokio::sync::SemaphorePermit<'_>> {
        timeout_at(deadline, self.parallel.acquire()).await.ok()?.ok()
    }

    /// Sends a call once and reads the whole answer, of whatever status.
    pub(super) async fn once(
        &self,
        call: &Call,
        url: Url,
        headers: HeaderMap,
        deadline: Instant,
    ) -> Result<Raw, Broken> {
        let mut request = self.client.request(call.method.clone(), url.clone()).headers(headers);
        request = match &call.body {
            Some(Content::Json(body)) => request.json(body),
            Some(Content::Form(fields)) => request.form(fields),
            None => request,
        };
        let limit = if call.method == Method::GET { LISTING_LIMIT } else { ANSWER_LIMIT };
        self.exchange(request, &url, limit, deadline).await.map(Raw::from)
    }

    /// Posts a form once, as it was written and signed, and reads the whole answer, of whatever status and format.
    pub(super) async fn post_form(
        &self,
        url: Url,
        headers: HeaderMap,
        form: String,
        deadline: Instant,
    ) -> Result<Unread, Broken> {
        let request = self.client.post(url.clone()).headers(headers).body(form);
        // Such APIs list by POST too.
        self.exchange(request, &url, LISTING_LIMIT, deadline).await
    }

    async fn exchange(
        &self,
        request: reqwest::RequestBuilder,
        url: &Url,
        limit: usize,
        deadline: Instant,
    ) -> Result<Unread, Broken> {
        let exchanged = async {
            // Without a proxy the client's own resolver does this.
            if self.proxied {
                check_resolved(url).await.map_err(|_| Broken::OutOfReach)?;
            }
            exchange(request, limit).await
        };
        timeout_at(deadline, exchanged).await.unwrap_or(Err(Broken::Late))
    }
}

/// An answer whose body nobody has looked at.
pub(super) struct Unread {
    pub(super) status: u16,
    pub(super) bytes: Vec<u8>,
    pub(super) retry_after: Option<String>,
}

/// An answer as it came.
pub(super) struct Raw {
    pub(super) status: u16,
    pub(super) body: Body,
    pub(super) retry_after: Option<String>,
}

pub(super) enum Body {
    Empty,
    Json(Value),
    /// Not JSON: the page of a proxy, or worse. Nobody needs its text.
    Foreign,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Broken {
    /// No connection, so nothing was sent.
    Unconnected(String),
    /// Nothing was sent: the address must not be reached.
    OutOfReach,
    /// Sent, and then the connection broke.
    Dropped(String),
    /// Sent, and no answer in time.
    Late,
    /// Sent, and the answer is longer than anything that is expected.
    TooLong,
}

impl From<Unread> for Raw {
    fn from(Unread { status, bytes, retry_after }: Unread) -> Self {
        let body = match serde_json::from_slice(&bytes) {
            Ok(json) => Body::Json(json),
            Err(_) if bytes.trim_ascii().is_empty() => Body::Empty,
            Err(_) => Body::Foreign,
        };
        Self { status, body, retry_after }
    }
}

async fn exchange(request: reqwest::RequestBuilder, limit: usize) -> Result<Unread, Broken> {
    let mut response = request.send().await.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(Broken::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Unread { status, bytes, retry_after })
}

fn broken(error: &reqwest::Error) -> Broken {
    let mut source = error.source();
    while let Some(error) = source {
        if error.is::<OutOfReach>() {
            return Broken::OutOfReach;
        }
        source = error.source();
    }
    if error.is_connect() { Broken::Unconnected(root_cause(error)) } else { Broken::Dropped(root_cause(error)) }
}

impl Broken {
    /// What that means for whoever called. `shown` makes text fit to be shown; `url_field` is where the URL is from.
    pub(super) fn fault(&self, url_field: &str, shown: impl Fn(&str) -> String) -> Fault {
        match self {
            Self::Unconnected(cause) => {
                Fault::new(FaultKind::Unreachable, format!("could not be reached: {}", shown(cause)))
            }
            Self::OutOfReach => {
                Fault::invalid(format!("was not called: {url_field} is at an address that may not be reached"))
            }
            Self::Dropped(cause) => Fault::unknown(format!("broke the connection off: {}", shown(cause))),
            Self::Late => Fault::unknown("did not answer in time"),
            Self::TooLong => Fault::unknown("sent an answer that is longer than any that makes sense"),
        }
    }
}

/// The innermost cause: the outer ones say "error sending request", and hold the URL.
fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn tls(ca_cert: Option<&str>) -> Result<ClientConfig, Invalid> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(pem) = ca_cert {
        let bad = |why: &dyn std::fmt::Display| Invalid::new("ca_cert", format!("is not PEM certificates: {why}"));
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.add(certificate.map_err(|error| bad(&error))?).map_err(|error| bad(&error))?;
        }
        if roots.len() == before {
            return Err(bad(&"no certificate in it"));
        }
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Invalid::new("ca_cert", error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A proxy's URL. Plain HTTP is usual here and safe: what goes through it is TLS to the vendor.
fn proxy(url: &str) -> Result<Proxy, Invalid> {
    let bad = |problem: &str| Invalid::new("proxy_url", problem);
    let parsed: Url = url.parse().map_err(|_| bad("is not a URL"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(bad("must be http or https"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(bad("must not hold a user or a password: it is stored and shown in clear"));
    }
    if parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(bad("must be a scheme, a host and a port only"));
    }
    check_host(&parsed).map_err(|error| bad(&error.to_string()))?;
    Proxy::all(parsed).map_err(|_| bad("cannot be used"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Network)) -> Result<Http, Invalid> {
        let mut network = Network::default();
        change(&mut network);
        Http::new(&network)
    }

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn plain_http_goes_to_this_machine_only() {
        let http = with(|_| ()).expect("client");
        for good in ["https://api.example/v1", "http://127.0.0.1:1/v1", "http://localhost:1", "http://[::1]:1"] {
            assert_eq!(http.check(&url(good)), Ok(()), "{good}");
        }
        for bad in ["http://api.example/v1", "http://10.0.0.1", "http://localhost.example", "ftp://127.0.0.1"] {
            assert_eq!(http.check(&url(bad)).expect_err(bad).field, "api_url");
        }
        let allowed = with(|network| network.allow_http = true).expect("client");
        assert_eq!(allowed.check(&url("http://10.0.0.1")), Ok(()));
        let proxied = with(|network| network.proxy_url = Some("http://10.0.0.9:3128".into())).expect("client");
        assert!(proxied.check(&url("http://127.0.0.1:1")).is_err(), "the proxy would read it");
    }

    #[test]
    fn a_proxy_connects_to_names_over_tls() {
        let proxied = |allow_http| {
            with(|network| {
                network.proxy_url = Some("http://10.0.0.9:3128".into());
                network.allow_http = allow_http;
            })
            .expect("client")
        };
        for bad in ["http://api.example", "https://10.0.0.1", "https://[2606:4700::1111]", "https://metadata.goog/v1"] {
            assert!(proxied(true).check(&url(bad)).is_err(), "{bad}");
        }
        for bad in ["https://127.0.0.1:1", "https://localhost"] {
            assert!(proxied(false).check(&url(bad)).is_err(), "{bad}: the proxy's own");
        }
        assert_eq!(proxied(false).check(&url("https://api.example")), Ok(()));
        assert_eq!(proxied(true).check(&url("http://127.0.0.1:1")), Ok(()));
    }

    #[test]
    fn metadata_addresses_are_refused_in_every_spelling() {
        let http = with(|network| network.allow_http = true).expect("client");
        for bad in
            ["https://169.254.169.254", "http://0xa9fea9fe/v1", "http://[::ffff:169.254.169.254]", "http://2852039166"]
        {
            assert!(http.check(&url(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_proxy_is_a_plain_url_without_a_password() {
        for bad in [
            "socks5://a:1",
            "http://u:p@a:1",
            "http://a:1/x",
            "http://169.254.169.254:80",
            "not a url",
            "http://a:1/?x",
        ] {
            let error = with(|network| network.proxy_url = Some(bad.to_owned())).err().expect(bad);
            assert_eq!(error.field, "proxy_url", "{bad}");
        }
        assert!(with(|network| network.proxy_url = Some("http://proxy.internal:3128".into())).is_ok());
    }

    #[test]
    fn a_ca_certificate_must_be_one() {
        for bad in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            let error = with(|network| network.ca_cert = Some(bad.to_owned())).err().expect("refused");
            assert_eq!(error.field, "ca_cert", "{bad}");
        }
    }

    /// A TLS server of one connection that answers `{}`, and its certificate.
    async fn tls_server() -> (std::net::SocketAddr, String) {
        use base64::Engine as _;
        use tokio::io::{AsyncReadExt, AsyncWriteExt};

        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a key");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a connection");
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
                let _ = stream.shutdown().await;
            }
        });
        let body = base64::engine::general_purpose::STANDARD.encode(made.cert.der());
        (at, format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"))
    }

    #[tokio::test]
    async fn a_token_is_waited_for_until_the_deadline_and_forgotten_only_where_it_was_refused() {
        let http = with(|_| ()).expect("client");
        let now: Time = "2026-11-24T12:00:00Z".parse().expect("a time");
        let token = |value: &str| Token { value: value.into(), expires: now + Duration::from_secs(600) };
        let soon = || Instant::now() + Duration::from_millis(20);
        let hangs = http.held_token(now, soon(), std::future::pending::<Result<Token, Fault>>);
        assert_eq!(hangs.await.expect_err("late").kind, FaultKind::Busy { after: None });
        let held = async |fresh: &str| {
            let fresh = token(fresh);
            http.held_token(now, soon(), async || Ok(fresh)).await.expect("a token").expose().to_owned()
        };
        assert_eq!(held("one").await, "one");
        http.forget_token(&"zero".into());
        assert_eq!(held("two").await, "one", "another one was refused");
        http.forget_token(&"one".into());
        assert_eq!(held("two").await, "two");
    }

    #[tokio::test]
    async fn a_certificate_is_trusted_only_where_it_was_given() {
        let deadline = Instant::now() + CONNECT_LIMIT;
        for trusted in [true, false] {
            let (at, pem) = tls_server().await;
            let http = with(|network| network.ca_cert = trusted.then_some(pem)).expect("client");
            let target = url(&format!("https://localhost:{}/", at.port()));
            let outcome = http.once(&Call::get(&[]), target, HeaderMap::new(), deadline).await;
            match outcome {
                Ok(raw) => assert!(trusted && matches!(raw.body, Body::Json(_))),
                Err(Broken::Unconnected(cause)) => assert!(!trusted && cause.contains("UnknownIssuer"), "{cause}"),
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}
