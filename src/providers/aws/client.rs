use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::endpoint::{Endpoint, Service};
use super::sigv4::pair;
use super::{Credentials, Signer, xml};
use crate::base::{Secret, redacted};
use crate::providers::answer::{Answer, Failure, Said};
use crate::providers::http::{Broken, Unread};
use crate::providers::retry::{parse_retry_after, wait_before_retry};
use crate::providers::talk::{BUDGET, TEXT_LIMIT, TRY_LIMIT, UNDO};
use crate::providers::{Cx, Fault, FaultKind};

/// One operation at AWS's Query APIs (IAM, STS): its calls share the credentials, a budget of time, and the secrets that
/// no text may show. Each try is signed anew, for a signature is good for minutes only.
pub(super) struct Client<'a> {
    pub(super) cx: &'a Cx<'a>,
    title: &'static str,
    credentials: Credentials,
    secrets: Vec<Secret>,
    deadline: Instant,
}

/// One call: what to do, with what. No `Debug`, as `Call`.
pub(super) struct Query {
    service: Service,
    pub(super) action: &'static str,
    params: Vec<(String, String)>,
    /// Sending it twice does no more than sending it once.
    repeatable: bool,
    /// It changes nothing, so an error proves nothing about what there is.
    reads: bool,
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

impl Query {
    /// Reads; repeatable.
    pub(super) fn read(service: Service, action: &'static str) -> Self {
        Self { reads: true, ..Self::change(service, action).repeatable() }
    }

    /// Creates or changes; not repeatable unless said so.
    pub(super) fn change(service: Service, action: &'static str) -> Self {
        Self { service, action, params: Vec::new(), repeatable: false, reads: false }
    }

    pub(super) fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }

    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.params.push((name.to_owned(), value.to_string()));
        self
    }

    fn form(&self) -> String {
        let fixed = [pair("Action", self.action), pair("Version", self.service.version())];
        let params = self.params.iter().map(|(name, value)| pair(name, value));
        fixed.into_iter().chain(params).collect::<Vec<_>>().join("&")
    }
}

impl<'a> Client<'a> {
    /// `title` is the vendor's, for the log.
    pub(super) fn new(cx: &'a Cx<'a>, title: &'static str) -> Result<Self, Fault> {
        let unfit = || Fault::new(FaultKind::Refused, "was not called: the credential is not one of AWS's");
        let credentials = Credentials::of(cx.account).ok_or_else(unfit)?;
        let secrets = credentials.secrets();
        Ok(Self { cx, title, credentials, secrets, deadline: Instant::now() + BUDGET })
    }

    /// The same operation with time to undo what it has made.
    pub(super) fn undo(&self) -> Self {
        Self {
            cx: self.cx,
            title: self.title,
            credentials: self.credentials.clone(),
            secrets: self.secrets.clone(),
            deadline: Instant::now() + UNDO,
        }
    }

    /// Whether something can still be waited for.
    pub(super) fn has_time(&self, wait: Duration) -> bool {
        Instant::now() + wait < self.deadline
    }

    /// Sends a call, again where that is safe. The answer is the content of `<Action>Result`, or null where there is none.
    pub(super) async fn send(&self, query: Query) -> Result<Answer, Failure> {
        let endpoint = Endpoint::of(query.service, &self.cx.account.endpoint);
        let checked = self.cx.http.check(&endpoint.url);
        checked.map_err(|problem| unsent(Fault::invalid(format!("was not called: {problem}"))))?;
        let form = query.form();
        // Held while waiting too: what the vendor slows down should not be joined by others.
        let _turn = self.cx.http.turn(self.deadline).await.ok_or_else(|| {
            unsent(Fault::new(
                FaultKind::Busy { after: None },
                "was not called: too many requests of this account are under way",
            ))
        })?;
        let mut tries = 0;
        let mut doubtful = false;
        loop {
            tries += 1;
            let deadline = if query.repeatable { self.deadline.min(Instant::now() + TRY_LIMIT) } else { self.deadline };
            let headers = self.signed(&endpoint, &form).map_err(unsent)?;
            let outcome = self.cx.http.post_form(endpoint.url.clone(), headers, form.clone(), deadline).await;
            let mut failure = match self.judge(&query, outcome) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            debug!(vendor = self.title, action = query.action, tries, fault = %failure.fault, "a call failed");
            let wait = wait_before_retry(query.repeatable, &failure.fault.kind, tries, self.cx.rng);
            match wait.filter(|wait| self.has_time(*wait)) {
                Some(wait) => {
                    doubtful |= failure.fault.kind == FaultKind::Unknown;
                    sleep(wait).await;
                }
                None => {
                    failure.doubtful = doubtful;
                    if doubtful && failure.fault.kind.made_nothing() && !query.reads {
                        // This try did nothing, but one before it may have.
                        failure.fault.kind = FaultKind::Unknown;
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// Text of the vendor, fit to be shown.
    pub(super) fn shown(&self, text: &str) -> String {
        let secrets: Vec<&Secret> = self.secrets.iter().collect();
        redacted(text, &secrets, TEXT_LIMIT)
    }

    fn signed(&self, endpoint: &Endpoint, form: &str) -> Result<HeaderMap, Fault> {
        let signer = Signer {
            credentials: &self.credentials,
            region: endpoint.region,
            service: endpoint.service.name(),
            at: self.cx.clock.now(),
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(FORM))]);
        for (name, value) in signer.headers("POST", &endpoint.url, &[("content-type", FORM)], form.as_bytes()) {
            let mut value = HeaderValue::from_str(value.expose()).map_err(|_| {
                Fault::new(FaultKind::Refused, "was not called: the credential holds characters that no key has")
            })?;
            value.set_sensitive(name == AUTHORIZATION || name == "x-amz-security-token");
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(headers)
    }

    fn judge(&self, query: &Query, outcome: Result<Unread, Broken>) -> Result<Answer, Failure> {
        let unread = outcome.map_err(|broken| unsent(broken.fault("api_url", |text| self.shown(text))))?;
        let document = xml::parse(&unread.bytes);
        if let (200..=299, Some(document)) = (unread.status, &document)
            && let Some(response) = document.get(format!("{}Response", query.action))
        {
            let result = response.get(format!("{}Result", query.action)).cloned();
            return Ok(Answer::new(result.unwrap_or(Value::Null)));
        }
        Err(self.failure(query, &unread, document.as_ref()))
    }

    fn failure(&self, query: &Query, unread: &Unread, document: Option<&Value>) -> Failure {
        let status = unread.status;
        // AWS's IAM and STS write the first; botocore reads both, as an emulator writes the second.
        let errors = ["/ErrorResponse/Error", "/ErrorResponse/Errors/Error"];
        let said = document.and_then(|document| errors.iter().find_map(|at| document.pointer(at))).and_then(said);
        let (kind, what) = match (status, &said) {
            (200..=299, _) => (FaultKind::Unknown, "sent an answer that is not AWS's own"),
            (300..=399, _) => {
                (FaultKind::Invalid { field: None }, "sent a redirect, which is not followed: check api_url")
            }
            (400..=599, Some(said)) => {
                let after = unread.retry_after.as_deref();
                kind_of(status, said, after.and_then(|text| parse_retry_after(text, self.cx.clock.now())))
            }
            (401..=403, None) => (FaultKind::Refused, "does not permit this"),
            (429, None) => (FaultKind::Busy { after: None }, "asks to slow down"),
            (400..=499, None) => (FaultKind::Unknown, "sent an error that is not the vendor's own: check api_url"),
            _ => (FaultKind::Unknown, "failed"),
        };
        // A proxy's page, or a redirect, says nothing about what the vendor behind it did.
        let proven = query.reads || (said.is_some() && status >= 400);
        let kind = if proven { kind } else { FaultKind::Unknown };
        let text = match &said {
            Some(said) => format!("{what} ({}): {}", self.shown(&said.code), self.shown(&said.message)),
            None => format!("{what} ({status})"),
        };
        Failure {
            fault: Fault::new(kind, text),
            status: Some(status),
            said: said.map(Box::new),
            bare: false,
            after: None,
            doubtful: false,
        }
    }
}

/// The vendor itself, not a proxy in between, answered with this code.
pub(super) fn has_code(failure: &Failure, code: &str) -> bool {
    failure.said.as_ref().is_some_and(|said| said.code == code)
}

const fn unsent(fault: Fault) -> Failure {
    Failure { fault, status: None, said: None, bare: false, after: None, doubtful: false }
}

fn said(error: &Value) -> Option<Said> {
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let said = Said { message: text("Message"), code: text("Code"), param: None };
    Some(said).filter(|said| !said.code.is_empty())
}

const CLOCK: &str = "finds the request's time wrong: compare this machine's clock";

/// What a code means (IAM API Reference, "Common Errors" and the errors of each action; STS has the same). The status says
/// less: a limit of the account, a conflict and a change at the same moment are all 409.
fn kind_of(status: u16, said: &Said, after: Option<Duration>) -> (FaultKind, &'static str) {
    let clock = ["Signature expired", "Signature not yet current"].iter().any(|text| said.message.starts_with(text));
    match said.code.as_str() {
        // No word about the credential, and a clock that is wrong judges expiries too.
        "RequestExpired" | "RequestInTheFuture" => (FaultKind::Invalid { field: None }, CLOCK),
        "SignatureDoesNotMatch" if clock => (FaultKind::Invalid { field: None }, CLOCK),
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            (FaultKind::Busy { after }, "asks to slow down")
        }
        // "Rejected because multiple requests to change this object were submitted simultaneously": not done.
        "ConcurrentModification" => (FaultKind::Busy { after }, "is changing this already"),
        "InvalidClientTokenId"
        | "SignatureDoesNotMatch"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "UnrecognizedClientException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "AuthFailure" => (FaultKind::Refused, "refuses the credential"),
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" | "OptInRequired" | "UnmodifiableEntity" => {
            (FaultKind::Refused, "does not permit this")
        }
        "LimitExceeded" => (FaultKind::Refused, "has reached a limit of the account"),
        // Whoever made it may have been we, in a request that was thought lost.
        "EntityAlreadyExists" => (FaultKind::Unknown, "has one of that name already"),
        "DeleteConflict" => (FaultKind::Invalid { field: None }, "refuses the request"),
        "PriorRequestNotComplete" | "RequestThrottled" | "SlowDown" => (FaultKind::Busy { after }, "asks to slow down"),
        // No word about what was done.
        code if status >= 500 || matches!(status, 408 | 409 | 425) || code.starts_with("RequestTimeout") => {
            (FaultKind::Unknown, "failed")
        }
        _ => (FaultKind::Invalid { field: None }, "refuses the request"),
    }
}

#[cfg(test)]
mod tests {
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

    /// What is made of an answer to `CreateUser`, or to `ListUsers`.
    fn judge(reads: bool, status: u16, body: &str) -> Result<Answer, Failure> {
        let credentials = Credentials {
            access_key_id: "ASIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "hunter22hunter22".into(),
            session_token: Some("session/token+22==".into()),
        };
        let account = Account {
            apart: Vec::new(),
            endpoint: "https://iam.amazonaws.com".parse().expect("a URL"),
            client_url: String::new(),
            identity: Values::default(),
            secrets: credentials.into_secrets(),
            credential_field: None,
        };
        let http = Http::new(&Network::default()).expect("a client");
        let cx =
            Cx { account: &account, http: &http, clock: &SystemClock::default(), rng: &SystemRng, signer: &NoIssuer };
        let client = Client::new(&cx, "Acme").expect("a client");
        let query = match reads {
            true => Query::read(Service::Iam, "ListUsers"),
            false => Query::change(Service::Iam, "CreateUser"),
        };
        client.judge(&query, Ok(Unread { status, bytes: body.as_bytes().to_vec(), retry_after: Some("7".into()) }))
    }

    fn error(code: &str, message: &str) -> String {
        format!("<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>")
    }

    // IAM repeats the signed headers where a signature is wrong, and the session token is one of them.
    #[test]
    fn no_fault_shows_what_aws_echoes() {
        let echo = error(
            "SignatureDoesNotMatch",
            "The Canonical String should have been 'POST x-amz-security-token:session/token+22== hunter22hunter22'",
        );
        let failure = judge(false, 403, &echo).expect_err("refused");
        assert_eq!(failure.fault.kind, FaultKind::Refused);
        let shown = format!("{} {failure:?}", failure.fault);
        assert!(shown.contains("[redacted]") && !shown.contains("22"), "{shown}");
    }

    #[test]
    fn an_error_means_what_its_code_says() {
        let busy = FaultKind::Busy { after: Some(Duration::from_secs(7)) };
        for (status, code, kind) in [
            (400, "Throttling", busy.clone()),
            (409, "ConcurrentModification", busy),
            (409, "LimitExceeded", FaultKind::Refused),
            (409, "EntityAlreadyExists", FaultKind::Unknown),
            (403, "ExpiredToken", FaultKind::Refused),
            (403, "RequestExpired", FaultKind::Invalid { field: None }),
            (400, "MalformedInput", FaultKind::Invalid { field: None }),
            (404, "NoSuchEntity", FaultKind::Invalid { field: None }),
            (500, "ServiceFailure", FaultKind::Unknown),
        ] {
            let failure = judge(false, status, &error(code, "why")).expect_err(code);
            assert_eq!(failure.fault.kind, kind, "{code}");
            assert!(has_code(&failure, code));
        }
    }

    #[test]
    fn a_wrong_clock_is_no_refusal_of_the_credential() {
        for (message, kind) in [
            ("Signature not yet current: 20261124T120000Z is still later than …", FaultKind::Invalid { field: None }),
            ("Signature expired: 20261124T120000Z is now earlier than …", FaultKind::Invalid { field: None }),
            ("The request signature we calculated does not match", FaultKind::Refused),
        ] {
            let failure = judge(false, 403, &error("SignatureDoesNotMatch", message)).expect_err(message);
            assert_eq!(failure.fault.kind, kind, "{message}");
        }
    }

    #[test]
    fn what_is_not_aws_own_proves_nothing() {
        for (status, body) in [
            (200, "<html>hello</html>"),
            (200, "{}"),
            (200, ""),
            (200, "<DeleteUserResponse/>"),
            (302, ""),
            (403, "<html>blocked</html>"),
            (404, "{\"error\": {\"message\": \"no\"}}"),
            (404, "<ErrorResponse><Error><Code></Code></Error></ErrorResponse>"),
            (429, ""),
            (503, ""),
        ] {
            let failure = judge(false, status, body).expect_err(body);
            assert_eq!(failure.fault.kind, FaultKind::Unknown, "{status} {body}");
            assert!(failure.said.is_none());
        }
        let redirect = judge(true, 302, "").expect_err("a redirect");
        assert_eq!(redirect.fault.kind, FaultKind::Invalid { field: None }, "reading changed nothing");
        let made =
            "<CreateUserResponse><CreateUserResult><User><Arn>a</Arn></User></CreateUserResult></CreateUserResponse>";
        assert_eq!(judge(false, 200, made).expect("made").text("/User/Arn"), Some("a"));
    }
}
