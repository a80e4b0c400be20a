use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::answer::{Answer, Envelope, Failure, Said, Shape};
use super::call::Call;
use super::http::{Body, Broken, Raw};
use super::retry::{as_told, parse_retry_after, wait_before_retry};
use super::{Cx, Fault, FaultKind};
use crate::base::{Secret, redacted};
use crate::schema::Invalid;

/// All calls of one operation, tries and waits included. With `UNDO` it stays under the 30 s that a mint may take.
pub(super) const BUDGET: Duration = Duration::from_secs(20);
/// What undoing may take after the budget is used up.
pub(super) const UNDO: Duration = Duration::from_secs(8);
/// One try of a call that may be tried again. A call that may not has all that is left of the budget.
pub(super) const TRY_LIMIT: Duration = Duration::from_secs(8);
/// Longest text of a vendor that is shown, in characters.
pub(super) const TEXT_LIMIT: usize = 200;
/// Longest name of a vendor's field, in bytes.
const FIELD_LIMIT: usize = 64;

/// One operation at a vendor: its calls share a credential, a budget of time, and the secrets that no text may show.
/// Time is the runtime's and not the injected clock: it is spent waiting for a network.
pub(super) struct Talk<'a> {
    pub(super) cx: &'a Cx<'a>,
    pub(super) title: &'a str,
    headers: HeaderMap,
    secrets: Vec<Secret>,
    pub(super) deadline: Instant,
    envelope: Envelope<'a>,
    url_field: &'a str,
    /// The token that is presented, where the account's `Http` holds it for others too.
    held: Option<Secret>,
}

impl<'a> Talk<'a> {
    /// An operation that presents the account's credential as a bearer token. `title` is the vendor's, for the log.
    pub(super) fn new(cx: &'a Cx<'a>, title: &'a str) -> Result<Self, Fault> {
        let none = || Fault::new(FaultKind::Refused, "was not called: the account has no credential");
        Self::bare(cx, title)?.bearer(cx.account.credential().ok_or_else(none)?)
    }

    /// An operation that presents nothing yet. The account's secrets are hidden in its texts.
    pub(super) fn bare(cx: &'a Cx<'a>, title: &'a str) -> Result<Self, Fault> {
        cx.http.check(&cx.account.endpoint).map_err(|problem| Fault::invalid(format!("was not called: {problem}")))?;
        let secrets = cx.account.secrets.values().cloned().collect();
        let (headers, deadline) = (HeaderMap::new(), Instant::now() + BUDGET);
        Ok(Self { cx, title, headers, secrets, deadline, envelope: Envelope::Common, url_field: "api_url", held: None })
    }

    /// Reads the vendor's errors out of another envelope.
    pub(super) fn with_envelope(self, envelope: Envelope<'a>) -> Self {
        Self { envelope, ..self }
    }

    /// The forms of errors that the vendor's definition declares.
    pub(super) const fn shapes(&self) -> &'a [Shape] {
        match self.envelope {
            Envelope::Declared(shapes) | Envelope::OAuth(shapes) => shapes,
            Envelope::Common | Envelope::CommonOrDetail => &[],
        }
    }

    /// Says which field of the account the URL is from, for texts that ask to look at it.
    pub(super) fn with_url_field(self, url_field: &'a str) -> Self {
        Self { url_field, ..self }
    }

    /// Presents this as a bearer token.
    pub(super) fn bearer(self, credential: &Secret) -> Result<Self, Fault> {
        self.secret_header(AUTHORIZATION, &format!("Bearer {}", credential.expose()))
    }

    /// Presents a token that the account's `Http` holds, until the vendor refuses it.
    pub(super) fn held(mut self, token: Secret) -> Result<Self, Fault> {
        self.hide(&token);
        let talk = self.bearer(&token)?;
        Ok(Self { held: Some(token), ..talk })
    }

    /// Presents a user and a password (RFC 7617).
    pub(super) fn basic(mut self, user: &str, password: &str) -> Result<Self, Fault> {
        let pair = Secret::from(STANDARD.encode(format!("{user}:{password}")));
        self.hide(&pair);
        self.secret_header(AUTHORIZATION, &format!("Basic {}", pair.expose()))
    }

    /// Adds a header that holds a credential.
    pub(super) fn secret_header(mut self, name: HeaderName, value: &str) -> Result<Self, Fault> {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            Fault::new(FaultKind::Refused, "was not called: the credential holds characters that no key has")
        })?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Adds a header to every call. What no header can carry is left out.
    pub(super) fn header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Hides one more secret in all texts.
    pub(super) fn hide(&mut self, secret: &Secret) {
        self.secrets.push(secret.clone());
    }

    /// The same operation with time to undo what it has made.
    pub(super) fn undo(&self) -> Self {
        Self {
            cx: self.cx,
            title: self.title,
            headers: self.headers.clone(),
            secrets: self.secrets.clone(),
            deadline: Instant::now() + UNDO,
            envelope: self.envelope,
            url_field: self.url_field,
            held: self.held.clone(),
        }
    }

    /// Sends a call, again where that is safe, and tells success from failure.
    pub(super) async fn send(&self, call: Call) -> Result<Answer, Failure> {
        self.send_to(&self.cx.account.endpoint, call).await
    }

    /// The same at another endpoint of the account's, as where tokens come from.
    pub(super) async fn send_to(&self, endpoint: &Url, call: Call) -> Result<Answer, Failure> {
        self.cx.http.check(endpoint).map_err(|why| {
            let why = Invalid::new(self.url_field, why.problem);
            self.unsent(Fault::invalid(format!("was not called: {why}")))
        })?;
        let url = call.url(endpoint).map_err(|fault| self.unsent(fault))?;
        // Held while waiting too: what the vendor slows down should not be joined by others.
        let _turn = self.cx.http.turn(self.deadline).await.ok_or_else(|| {
            self.unsent(Fault::new(
                FaultKind::Busy { after: None },
                "was not called: too many requests of this account are under way",
            ))
        })?;
        let mut tries = 0;
        let mut doubtful = false;
        loop {
            tries += 1;
            let deadline = if call.repeatable { self.deadline.min(Instant::now() + TRY_LIMIT) } else { self.deadline };
            let outcome = self.cx.http.once(&call, url.clone(), self.headers.clone(), deadline).await;
            let mut failure = match self.judge(&call, outcome) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // Not after a 403: such a token is good, and may not do this.
            if let Some(token) = self.held.as_ref().filter(|_| failure.vendor_said(401)) {
                self.cx.http.forget_token(token);
            }
            debug!(vendor = self.title, method = %call.method, path = self.shown(&call.path()), tries, fault = %failure.fault, "a call failed");
            let wait = wait_before_retry(call.repeatable, &failure.fault.kind, tries, self.cx.rng);
            let wait = as_told(wait, failure.after);
            match wait.filter(|wait| Instant::now() + *wait < self.deadline) {
                Some(wait) => {
                    doubtful |= failure.fault.kind == FaultKind::Unknown;
                    sleep(wait).await;
                }
                None => {
                    failure.doubtful = doubtful;
                    if doubtful && failure.fault.kind.made_nothing() && call.method != Method::GET {
                        // This try did nothing, but one before it may have.
                        failure.fault.kind = FaultKind::Unknown;
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// Whether the vendor takes a key, by a call that every key may make.
    pub(super) async fn takes(mut self, key: &Secret, path: &[&str]) -> Result<Option<bool>, Fault> {
        self.hide(key);
        let asked = self.bearer(key)?.send(Call::get(path)).await;
        asked.map_or_else(Failure::about_key, |_| Ok(Some(true)))
    }

    /// Whether so long a wait leaves time for another call.
    pub(super) fn has_time_for(&self, wait: Duration) -> bool {
        Instant::now() + wait < self.deadline
    }

    /// Text of a vendor, fit to be shown.
    pub(super) fn shown(&self, text: &str) -> String {
        let secrets: Vec<&Secret> = self.secrets.iter().collect();
        redacted(text, &secrets, TEXT_LIMIT)
    }

    /// Whether what a vendor blames is the name of a field: no other text, and no secret that looks like one.
    fn is_field(&self, param: &str) -> bool {
        let in_name = |c: char| c.is_ascii_alphanumeric() || "_.[]-".contains(c);
        (1..=FIELD_LIMIT).contains(&param.len()) && param.chars().all(in_name) && self.shown(param) == param
    }

    fn judge(&self, call: &Call, outcome: Result<Raw, Broken>) -> Result<Answer, Failure> {
        let fault = match outcome {
            Ok(Raw { status: 200..=299, body: Body::Json(json), .. }) => return Ok(Answer::new(json)),
            Ok(Raw { status: 200..=299, body: Body::Empty, .. }) => return Ok(Answer::new(Value::Null)),
            Ok(Raw { status: 200..=299, .. }) if call.bodiless => return Ok(Answer::new(Value::Null)),
            Ok(raw) => return Err(self.failure(call, &raw)),
            Err(broken) => broken.fault(self.url_field, |text| self.shown(text)),
        };
        Err(self.unsent(fault))
    }

    fn failure(&self, call: &Call, raw: &Raw) -> Failure {
        let said = match &raw.body {
            Body::Json(json) => Said::parse(json, self.envelope).map(Box::new),
            Body::Empty | Body::Foreign => None,
        };
        let status = raw.status;
        let param = said.as_ref().and_then(|said| said.param.clone()).filter(|param| self.is_field(param));
        let after = raw.retry_after.as_deref().and_then(|value| parse_retry_after(value, self.cx.clock.now()));
        let redirect = format!("sent a redirect, which is not followed: check {}", self.url_field);
        let foreign = format!("sent an error that is not the vendor's own: check {}", self.url_field);
        let (kind, what) = match status {
            200..=299 => (FaultKind::Unknown, "sent an answer that is not JSON"),
            300..=399 => (FaultKind::Invalid { field: None }, redirect.as_str()),
            401 => (FaultKind::Refused, "refuses the credential"),
            402 | 403 => (FaultKind::Refused, "does not permit this"),
            429 => (FaultKind::Busy { after }, "asks to slow down"),
            // The vendors' own SDKs send again after these: they are no word about what was done.
            408 | 409 | 425 => (FaultKind::Unknown, "cannot answer now"),
            400..=499 if said.is_none() => (FaultKind::Unknown, foreign.as_str()),
            400..=499 => (FaultKind::Invalid { field: param }, "refuses the request"),
            _ => (FaultKind::Unknown, "failed"),
        };
        // A proxy's page, or a redirect, says nothing about what the vendor behind it did.
        let proven = call.method == Method::GET || (said.is_some() && status >= 400);
        let kind = if proven { kind } else { FaultKind::Unknown };
        let text = match &said {
            Some(said) if !said.message.is_empty() => format!("{what} ({status}): {}", self.shown(&said.message)),
            None if matches!(status, 401..=403 | 429) => format!("{what} ({status}), in words that are not its own"),
            _ => format!("{what} ({status})"),
        };
        let bare = matches!(raw.body, Body::Empty);
        Failure { fault: Fault::new(kind, text), status: Some(status), said, bare, after, doubtful: false }
    }

    pub(super) const fn unsent(&self, fault: Fault) -> Failure {
        Failure { fault, status: None, said: None, bare: false, after: None, doubtful: false }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::base::{SystemClock, SystemRng};
    use crate::providers::{Account, Http, Network};
    use crate::schema::Values;

    /// These calls need no assertion.
    struct NoIssuer;

    #[async_trait::async_trait]
    impl crate::providers::Signer for NoIssuer {
        async fn sign(&self, _: &str, _: Duration) -> Result<Secret, Fault> {
            Err(Fault::invalid("has no issuer"))
        }
    }

    /// What a server does with one connection, of which each carries one request.
    enum Act {
        Send(String),
        Drop,
    }

    /// A server that does one act after the other and keeps the requests' first lines.
    struct Server {
        at: SocketAddr,
        seen: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        async fn with(acts: Vec<Act>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let at = listener.local_addr().expect("an address");
            let seen = Arc::new(Mutex::new(Vec::new()));
            let lines = Arc::clone(&seen);
            tokio::spawn(async move {
                for act in acts {
                    let (mut stream, _) = listener.accept().await.expect("a connection");
                    let mut request = vec![0; 8192];
                    let read = stream.read(&mut request).await.expect("a request");
                    let text = String::from_utf8_lossy(&request[..read]).into_owned();
                    lines.lock().expect("no panic").push(text.lines().next().unwrap_or_default().to_owned());
                    if let Act::Send(answer) = act {
                        // The client may have had enough of it.
                        let _ = stream.write_all(answer.as_bytes()).await;
                    }
                }
            });
            Self { at, seen }
        }

        fn seen(&self) -> Vec<String> {
            self.seen.lock().expect("no panic").clone()
        }

        async fn ask(&self, call: Call) -> Result<Answer, Failure> {
            ask(&format!("http://{}/v1", self.at), call).await
        }
    }

    async fn ask(url: &str, call: Call) -> Result<Answer, Failure> {
        ask_over(&Network { allow_http: true, ..Network::default() }, url, call).await
    }

    async fn ask_over(network: &Network, url: &str, call: Call) -> Result<Answer, Failure> {
        let account = Account {
            apart: Vec::new(),
            endpoint: url.parse().expect("a URL"),
            client_url: url.to_owned(),
            identity: Values::default(),
            secrets: BTreeMap::from([("key".into(), "admin-credential-1".into())]),
            credential_field: Some("key".into()),
        };
        let http = Http::new(network).expect("a client");
        let cx =
            Cx { account: &account, http: &http, clock: &SystemClock::default(), rng: &SystemRng, signer: &NoIssuer };
        match Talk::new(&cx, "Acme") {
            Ok(talk) => talk.send(call).await,
            Err(fault) => Err(Failure { fault, status: None, said: None, bare: false, after: None, doubtful: false }),
        }
    }

    fn answer(status: u16, headers: &str, body: &str) -> Act {
        let length = body.len();
        Act::Send(format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
        ))
    }

    fn create() -> Call {
        Call::post(&["keys"], json!({"name": "a"}))
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let server = Server::with(vec![answer(307, "location: http://127.0.0.1:1/\r\n", "")]).await;
        let failure = server.ask(Call::get(&["keys"])).await.expect_err("a redirect");
        assert_eq!(failure.fault.kind, FaultKind::Invalid { field: None });
        assert_eq!(server.seen().len(), 1);
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let server = Server::with(vec![answer(200, "", &" ".repeat(1_100_000))]).await;
        let failure = server.ask(create()).await.expect_err("too long");
        assert_eq!(failure.fault, Fault::unknown("sent an answer that is longer than any that makes sense"));
    }

    #[tokio::test]
    async fn a_request_to_slow_down_is_followed_even_for_a_creation() {
        let busy = r#"{"error":{"message":"slow"}}"#;
        let server =
            Server::with(vec![answer(429, "retry-after: 1\r\n", busy), answer(200, "", r#"{"id":"k_1"}"#)]).await;
        let started = Instant::now();
        let answer = server.ask(create()).await.expect("created");
        assert_eq!(answer.text("/id"), Some("k_1"));
        assert!(started.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_long_wait_is_told_and_not_waited_for() {
        let server = Server::with(vec![answer(429, "retry-after: 60\r\n", r#"{"error":{"message":"slow"}}"#)]).await;
        let failure = server.ask(create()).await.expect_err("busy");
        assert_eq!(failure.fault.kind, FaultKind::Busy { after: Some(Duration::from_secs(60)) });
    }

    #[tokio::test]
    async fn a_vendor_that_cannot_now_is_asked_again_when_it_says() {
        let cannot = |after: u32| answer(503, &format!("retry-after: {after}\r\n"), r#"{"error":{"message":"no"}}"#);
        let server = Server::with(vec![cannot(1), answer(200, "", "{}")]).await;
        let started = Instant::now();
        server.ask(create().repeatable()).await.expect("done");
        assert!(started.elapsed() >= Duration::from_secs(1));
        let server = Server::with(vec![cannot(60)]).await;
        let failure = server.ask(create().repeatable()).await.expect_err("too long a wait");
        assert_eq!((failure.fault.kind, server.seen().len()), (FaultKind::Unknown, 1));
        let server = Server::with(vec![cannot(1)]).await;
        let failure = server.ask(create()).await.expect_err("it may have been done");
        assert_eq!((failure.fault.kind, server.seen().len()), (FaultKind::Unknown, 1));
    }

    #[tokio::test]
    async fn a_creation_is_not_sent_again_after_a_drop_and_a_deletion_is() {
        let server = Server::with(vec![Act::Drop, answer(200, "", "{}")]).await;
        let failure = server.ask(create()).await.expect_err("dropped");
        assert_eq!(failure.fault.kind, FaultKind::Unknown);
        assert_eq!(server.seen(), ["POST /v1/keys HTTP/1.1"]);
        let server = Server::with(vec![Act::Drop, answer(503, "", "busy"), answer(200, "", "{}")]).await;
        assert!(server.ask(Call::delete(&["keys", "k_1"])).await.is_ok());
        assert_eq!(server.seen().len(), 3);
    }

    #[tokio::test]
    async fn doubt_stays_where_a_later_try_did_nothing() {
        let refusal = r#"{"error":{"message":"taken"}}"#;
        let server = Server::with(vec![Act::Drop, answer(400, "", refusal)]).await;
        let failure = server.ask(create().repeatable()).await.expect_err("refused");
        assert_eq!((failure.fault.kind, failure.doubtful), (FaultKind::Unknown, true));
    }

    #[tokio::test]
    async fn a_page_of_a_proxy_is_no_answer_and_is_never_quoted() {
        let page = "<html><body>{\"@level\":5}\n404</body></html>";
        for status in [200, 302, 401, 402, 403, 404, 409, 413, 429] {
            let server = Server::with(vec![answer(status, "content-type: text/html\r\n", page)]).await;
            let failure = server.ask(create()).await.expect_err("a page");
            assert_eq!((failure.fault.kind, server.seen().len()), (FaultKind::Unknown, 1), "{status}");
            assert!(failure.said.is_none() && !failure.fault.text.contains("level"), "{}", failure.fault.text);
        }
        let server = Server::with(vec![answer(403, "content-type: text/html\r\n", page)]).await;
        let failure = server.ask(Call::get(&["keys"])).await.expect_err("a page");
        assert_eq!(failure.fault.kind, FaultKind::Refused, "reading changes nothing");
        assert!(!failure.is_refusal() && failure.fault.text.contains("not its own"), "{}", failure.fault.text);
    }

    #[tokio::test]
    async fn nothing_listens_so_nothing_was_done() {
        let failure = ask("http://127.0.0.1:1/v1", create()).await.expect_err("no server");
        assert_eq!(failure.fault.kind, FaultKind::Unreachable);
        let failure = ask("http://no-such-host.invalid/v1", create()).await.expect_err("no such host");
        assert_eq!(failure.fault.kind, FaultKind::Unreachable);
    }

    #[tokio::test]
    async fn the_accounts_proxy_carries_its_calls() {
        let proxy = Server::with(vec![answer(200, "", "{}")]).await;
        let network =
            Network { allow_http: true, proxy_url: Some(format!("http://{}", proxy.at)), ..Network::default() };
        assert!(ask_over(&network, "http://localhost:9/v1", Call::get(&["keys"])).await.is_ok());
        assert_eq!(proxy.seen(), ["GET http://localhost:9/v1/keys HTTP/1.1"]);
    }

    #[tokio::test]
    async fn link_local_addresses_are_not_called() {
        let failure = ask("http://169.254.169.254/latest", create()).await.expect_err("refused");
        assert_eq!(failure.fault.kind, FaultKind::Invalid { field: None });
    }

    #[tokio::test]
    async fn no_secret_and_no_new_line_is_in_a_fault() {
        let body =
            json!({"error": {"message": "bad admin-credential-1\n{\"@level\":5} sk-other-key-123 \u{7}".repeat(20)}});
        let server = Server::with(vec![answer(401, "", &body.to_string())]).await;
        let text = server.ask(create()).await.expect_err("refused").fault.text;
        assert!(text.starts_with("refuses the credential (401): bad [redacted] {\"@level\":5} [redacted]"), "{text}");
        assert!(!text.contains("admin-credential-1") && !text.contains('\n') && text.chars().count() < 250, "{text}");
    }
}
