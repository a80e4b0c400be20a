use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::super::account::base_url;
use super::super::answer::Envelope;
use super::super::call::{Call, Content};
use super::super::http::Token;
use super::super::talk::Talk;
use super::super::{Cx, Fault, FaultKind};
use super::google;
use super::source::{Scene, Source};
use super::template::Template;
use super::term::Term;
use crate::base::Secret;
use crate::schema::Invalid;

/// A token is not used any more so long before its end: clocks differ, and a call takes its time.
const MARGIN: Duration = Duration::from_secs(60);
/// A token is kept no longer, whatever the vendor says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Life of a token where the vendor says none.
const UNTOLD: Duration = Duration::from_secs(300);

/// How a call presents the account's credential. The only place that sees the account's secrets.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Auth {
    /// `Authorization: Bearer …`, of this secret field.
    Bearer(String),
    /// A header of its own.
    Header {
        name: String,
        secret: String,
        #[serde(default)]
        prefix: String,
    },
    /// `Authorization: Basic …`.
    Basic { user: String, password: String },
    /// A token is asked for at another URL and presented as a bearer token, until it ends. A URL that starts with `/` is
    /// below `api_url`.
    Token {
        url: String,
        body: Term,
        /// The request presents this pair as `Authorization: Basic …`.
        basic: Option<Pair>,
        #[serde(default)]
        form: bool,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// A token of Google's, for a service account's key file.
    GoogleServiceAccount { secret: String, scope: String },
}

/// A user and a password, made of the account's fields.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    pub(super) user: Template,
    pub(super) password: Template,
}

impl Pair {
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.password.sources().chain(self.user.sources())
    }

    fn header(&self, scene: &Scene<'_>) -> String {
        let text = |template: &Template| template.fill(scene).unwrap_or_default();
        format!("Basic {}", STANDARD.encode(format!("{}:{}", text(&self.user), text(&self.password))))
    }
}

impl Auth {
    /// The secret fields that it uses, the chief one first.
    pub(super) fn secrets(&self) -> Vec<String> {
        match self {
            Self::Bearer(secret) | Self::Header { secret, .. } | Self::GoogleServiceAccount { secret, .. } => {
                vec![secret.clone()]
            }
            Self::Basic { user, password } => vec![password.clone(), user.clone()],
            Self::Token { body, basic, .. } => {
                let mut secrets = Vec::new();
                let pair = basic.iter().flat_map(Pair::sources);
                for source in pair.chain(body.sources().into_iter().map(|(source, _)| source)) {
                    if let Source::Secret(name) = source {
                        secrets.push(name.clone());
                    }
                }
                secrets
            }
        }
    }

    /// Where tokens come from by default; none where the credential itself is presented.
    pub(super) fn token_url(&self) -> Option<&str> {
        match self {
            Self::Token { url, .. } => Some(url),
            Self::GoogleServiceAccount { .. } => Some(google::TOKEN_URL),
            _ => None,
        }
    }

    /// Has the operation present the credential.
    pub(super) async fn present<'a>(&self, talk: Talk<'a>) -> Result<Talk<'a>, Fault> {
        let account = talk.cx.account;
        let secret = |name: &str| account.secrets.get(name).map(Secret::expose).unwrap_or_default();
        match self {
            Self::Bearer(name) => talk.secret_header(AUTHORIZATION, &format!("Bearer {}", secret(name))),
            Self::Header { name, secret: field, prefix } => {
                let name = HeaderName::try_from(name.as_str()).map_err(|_| Fault::invalid("has no such header"))?;
                talk.secret_header(name, &format!("{prefix}{}", secret(field)))
            }
            Self::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{}:{}", secret(user), secret(password)));
                let mut talk = talk;
                talk.hide(&Secret::from(pair.as_str()));
                talk.secret_header(AUTHORIZATION, &format!("Basic {pair}"))
            }
            Self::Token { .. } | Self::GoogleServiceAccount { .. } => {
                let token = self.token(&talk).await?;
                let mut talk = talk.secret_header(AUTHORIZATION, &format!("Bearer {}", token.expose()))?;
                talk.hide(&token);
                Ok(talk)
            }
        }
    }

    /// Forgets a token that the vendor refuses.
    pub(super) async fn refused(&self, cx: &Cx<'_>) {
        *cx.http.token.lock().await = None;
    }

    /// One token for all who wait for it.
    async fn token(&self, talk: &Talk<'_>) -> Result<Secret, Fault> {
        let cx = talk.cx;
        let mut held = cx.http.token.lock().await;
        let now = cx.clock.now();
        if let Some(token) = held.as_ref().filter(|token| token.until > now) {
            return Ok(token.value.clone());
        }
        let unset = || Fault::invalid("was not called: token_url is not a URL");
        let url: Url = cx.account.identity.text("token_url").and_then(|url| url.parse().ok()).ok_or_else(unset)?;
        let content = self.token_request(cx)?;
        let mut asking = Talk::bare(cx, talk.title)?.with_envelope(Envelope::OAuth(talk.shapes()));
        if let Self::Token { headers, basic, .. } = self {
            for (name, value) in headers {
                asking = asking.header(name, value);
            }
            if let Some(pair) = basic {
                let scene = Scene { secrets: true, ..Scene::new(cx.account, now) };
                let pair = pair.header(&scene);
                asking.hide(&Secret::from(pair.trim_start_matches("Basic ")));
                asking = asking.secret_header(AUTHORIZATION, &pair)?;
            }
        }
        // It makes nothing that would have to be ended.
        let call = Call::new(Method::POST, &[] as &[&str], true).content(content);
        let answer = asking.send_to(&url, call).await.map_err(|failure| {
            let text = format!("gives no token for the credential: it {}", failure.fault);
            // The credential is all that can be wrong in this request, whatever the vendor's status for that is.
            let refused = failure.said.is_some() && matches!(failure.status, Some(400 | 401 | 403));
            Fault::new(if refused { FaultKind::Refused } else { failure.fault.kind }, text)
        })?;
        let value = answer.need_secret("/access_token")?;
        let life = answer.at("/expires_in").and_then(Value::as_u64).map_or(UNTOLD, Duration::from_secs).min(LONGEST);
        *held = Some(Token { value: value.clone(), until: now + life.saturating_sub(MARGIN) });
        Ok(value)
    }

    fn token_request(&self, cx: &Cx<'_>) -> Result<Content, Fault> {
        match self {
            Self::Token { body, form, .. } => {
                let scene = Scene { secrets: true, ..Scene::new(cx.account, cx.clock.now()) };
                let body = body.fill(&scene).unwrap_or_default();
                Ok(if *form { as_form(&body) } else { Content::Json(body) })
            }
            Self::GoogleServiceAccount { secret, scope } => {
                let missing = || Fault::new(FaultKind::Refused, "was not called: there is no key file");
                let file = cx.account.secrets.get(secret).ok_or_else(missing)?;
                let assertion = google::assertion(file, scope, cx.clock.now())?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let fields = [("grant_type", grant), ("assertion", assertion.expose())];
                let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
                Ok(Content::Form(fields.into_iter().map(owned).collect()))
            }
            _ => Err(Fault::invalid("needs no token")),
        }
    }
}

/// A JSON object as the fields of a form.
pub(super) fn as_form(body: &Value) -> Content {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = body.as_object().into_iter().flatten();
    Content::Form(fields.map(|(name, value)| (name.clone(), text(value))).collect())
}

/// A URL of a field or of a definition.
pub(super) fn url(field: &str, text: &str) -> Result<Url, Invalid> {
    base_url(text).map_err(|invalid| Invalid::new(field, invalid.problem))
}
