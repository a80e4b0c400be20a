//! An authorization server of OAuth 2.0, client credentials only, after RFC 6749, RFC 7009 and RFC 8707; and a service
//! that takes its tokens, with a scope for each model.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::book::{Book, Record, random};
use crate::plain::{Attempt, Example, Plain, asked_model, works};
use crate::request::{Body, Call, Request, decode};
use crate::router::{Answer, Outcome, Route, admin, key};

const CLIENT: &str = "vault";
const SECRET: &str = "oauth2-client-secret-simulator-0001";
const SCOPES: [&str; 2] = ["models.small", "models.big"];
const LIFE_SECONDS: i64 = 3600;

const ROUTES: &[Route<OAuth2>] = &[
    admin("POST", "/o/token/", OAuth2::token),
    admin("POST", "/o/revoke_token/", OAuth2::revoke),
    key("POST", "/v1/chat/completions", OAuth2::complete),
];

#[derive(Default)]
pub struct OAuth2 {
    tokens: Book<Vec<String>>,
}

impl OAuth2 {
    fn token(&mut self, call: &Call) -> Outcome {
        if field(call.request, "grant_type") != Some("client_credentials") {
            return Err(refusal(400, "unsupported_grant_type", "only client_credentials"));
        }
        let asked = field(call.request, "scope").unwrap_or("models.small");
        let scopes: Vec<String> = asked.split(' ').map(str::to_owned).collect();
        if scopes.iter().any(|scope| !SCOPES.contains(&scope.as_str())) {
            return Err(refusal(400, "invalid_scope", "no such scope"));
        }
        if field(call.request, "resource").is_some_and(|resource| !resource.starts_with("https://")) {
            return Err(refusal(400, "invalid_target", "no such resource"));
        }
        let secret = random("oat_");
        let mut record = Record::new(&random("tok_"), "token", &secret, call.at, scopes);
        record.expires = Some(call.at.after_seconds(LIFE_SECONDS));
        self.tokens.add(record);
        let answer =
            json!({"access_token": secret, "token_type": "Bearer", "expires_in": LIFE_SECONDS, "scope": asked});
        Ok(Answer::ok(answer).with("cache-control", "no-store".into()))
    }

    /// A token that is not known is no error.
    fn revoke(&mut self, call: &Call) -> Outcome {
        let Some(token) = field(call.request, "token") else {
            return Err(Self::error(400, "token is missing"));
        };
        self.tokens.delete_where(call.at, |record| record.secret == token);
        Ok(Answer::ok(json!({})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let model = format!("models.{}", asked_model(call));
        let record = self.caller(call.request.bearer.as_deref(), call.at)?;
        if !record.more.contains(&model) {
            return Err(refusal(403, "insufficient_scope", "the token is not for this model"));
        }
        works()
    }
}

impl Plain for OAuth2 {
    type Key = Vec<String>;

    const LIFE_IS_CHOSEN: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        client(request) == Some((CLIENT.into(), SECRET.into()))
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            401 => "invalid_client",
            403 => "access_denied",
            429 | 500.. => "temporarily_unavailable",
            _ => "invalid_request",
        };
        refusal(status, code, message)
    }

    fn keys(&mut self) -> &mut Book<Vec<String>> {
        &mut self.tokens
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "token_url": format!("{url}/oauth2/o/token/"), "revoke_url": format!("{url}/oauth2/o/revoke_token/"),
                "client_id": CLIENT, "client_secret": SECRET, "base_url": format!("{url}/oauth2/v1"),
            }),
            role: json!({"scopes": ["models.small"]}),
            attempt: Attempt::chat("/oauth2/v1/chat/completions", "small", Some("big")),
        }
    }
}

/// An error as RFC 6749, section 5.2, has it.
pub fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(status, json!({"error": code, "error_description": message}))
}

/// A field of a form.
pub fn field<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let Body::Form(fields) = &request.body else { return None };
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// Id and secret of the client, out of the header or the form.
pub fn client(request: &Request) -> Option<(String, String)> {
    let Some(pair) = request.header("authorization").and_then(|value| value.strip_prefix("Basic ")) else {
        return Some((field(request, "client_id")?.to_owned(), field(request, "client_secret")?.to_owned()));
    };
    let pair = String::from_utf8(STANDARD.decode(pair).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((decode(&id.replace('+', " ")), decode(&secret.replace('+', " "))))
}
