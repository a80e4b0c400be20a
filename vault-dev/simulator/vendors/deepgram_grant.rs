//! Deepgram's tokens, after the vendor's OpenAPI document of 2026-07: asked for with a key, presented as a bearer token.

use serde_json::json;

use crate::book::{Book, Record, random};
use crate::fields::{Kind, optional};
use crate::plain::{Attempt, Example, Plain, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const KEY: &str = "deepgram-simulator-key-0001";
const LONGEST_SECONDS: f64 = 3600.0;

const ROUTES: &[Route<DeepgramGrant>] =
    &[admin("POST", "/v1/auth/grant", DeepgramGrant::create), key("POST", "/v1/speak", DeepgramGrant::speak)];

#[derive(Default)]
pub struct DeepgramGrant {
    tokens: Book<()>,
}

impl DeepgramGrant {
    fn create(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &[optional("ttl_seconds", Kind::Number)])?;
        let seconds = body.get("ttl_seconds").and_then(serde_json::Value::as_f64).unwrap_or(30.0);
        if !(1.0..=LONGEST_SECONDS).contains(&seconds) {
            return Err(Self::error(400, "ttl_seconds is out of range"));
        }
        let token = random("eyJ");
        let mut record = Record::new(&random(""), "", &token, call.at, ());
        record.expires = Some(call.at.after_seconds(seconds as i64));
        self.tokens.add(record);
        Ok(Answer::ok(json!({"access_token": token, "expires_in": seconds})))
    }

    fn speak(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for DeepgramGrant {
    type Key = ();

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("authorization").and_then(|value| value.strip_prefix("Token ")) == Some(KEY)
    }

    /// One of the vendor's three forms.
    fn error(status: u16, message: &str) -> Answer {
        let code = if status == 401 { "INVALID_AUTH" } else { "Bad Request" };
        Answer::new(status, json!({"err_code": code, "err_msg": message, "request_id": "simulator"}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.tokens
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"api_key": KEY, "api_url": format!("{url}/deepgram-grant")}),
            role: json!({}),
            attempt: Attempt {
                method: "POST",
                path: "/deepgram-grant/v1/speak",
                header: ("authorization", "Bearer {key}"),
                body: json!({"text": "hello"}),
                beyond: None,
            },
        }
    }
}
