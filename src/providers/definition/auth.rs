use std::collections::BTreeMap;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderName, Method};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::super::answer::Envelope;
use super::super::call::{Call, Content};
use super::super::http::Token;
use super::super::talk::Talk;
use super::super::{Cx, Fault, FaultKind};
use super::google;
use super::source::{Scene, Source};
use super::template::Template;
use super::term::Term;
use crate::base::{Secret, Time};

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
        let secret = |name: &str| account.secret(name);
        match self {
            Self::Bearer(name) => talk.secret_header(AUTHORIZATION, &format!("Bearer {}", secret(name))),
            Self::Header { name, secret: field, prefix } => {
                let name = HeaderName::try_from(name.as_str()).map_err(|_| Fault::invalid("has no such header"))?;
                talk.secret_header(name, &format!("{prefix}{}", secret(field)))
            }
            Self::Basic { user, password } => talk.basic(secret(user), secret(password)),
            Self::Token { .. } | Self::GoogleServiceAccount { .. } => {
                let token = self.token(&talk).await?;
                talk.held(token)
            }
        }
    }

    async fn token(&self, talk: &Talk<'_>) -> Result<Secret, Fault> {
        let now = talk.cx.clock.now();
        talk.cx.http.held_token(now, talk.deadline, || self.fresh_token(talk, now)).await
    }

    async fn fresh_token(&self, talk: &Talk<'_>, now: Time) -> Result<Token, Fault> {
        let cx = talk.cx;
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
                asking = asking.basic(
                    &pair.user.fill(&scene).unwrap_or_default(),
                    &pair.password.fill(&scene).unwrap_or_default(),
                )?;
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
        let life = answer.seconds("/expires_in").unwrap_or(UNTOLD);
        Ok(Token { value: answer.need_secret("/access_token")?, expires: now + life })
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
                Ok(Content::form(&[("grant_type", grant), ("assertion", assertion.expose())]))
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
