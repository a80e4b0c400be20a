//! xAI's ephemeral tokens, after docs.x.ai of 2026-06: as OpenAI's, without a session and without an anchor.

use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::unix;
use crate::fields::{self, Kind, Unknown, required};
use crate::plain::{Attempt, Example, Plain, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const KEY: &str = "xai-simulator-realtime-0001";

const ROUTES: &[Route<XaiRealtime>] = &[
    admin("POST", "/v1/realtime/client_secrets", XaiRealtime::create),
    // A handshake at the vendor.
    key("POST", "/v1/realtime", XaiRealtime::connect),
];

#[derive(Default)]
pub struct XaiRealtime {
    tokens: Book<()>,
}

impl XaiRealtime {
    fn create(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &[required("expires_after", Kind::Object)])?;
        let after = body["expires_after"].as_object().cloned().unwrap_or_default();
        fields::check(&after, &[required("seconds", Kind::Whole(1, i64::from(i32::MAX)))], Unknown::Refuse)
            .map_err(|wrong| Self::error(400, &format!("expires_after.{} is not supported", wrong.field)))?;
        if body.contains_key("session") {
            return Err(Self::error(400, "session is not supported"));
        }
        let seconds = after.get("seconds").and_then(Value::as_i64).unwrap_or_default();
        let expires = unix(call.at.after_seconds(seconds));
        let value = random("xai-realtime-client-secret-");
        let mut record = Record::new(&random(""), "", &value, call.at, ());
        record.expires = Some(expires * 1000);
        self.tokens.add(record);
        Ok(Answer::ok(json!({"value": value, "expires_at": expires})))
    }

    fn connect(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for XaiRealtime {
    type Key = ();

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(KEY)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"code": format!("error {status}"), "error": message}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.tokens
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"api_key": KEY, "api_url": format!("{url}/xai-realtime/v1")}),
            role: json!({}),
            attempt: Attempt {
                method: "POST",
                path: "/xai-realtime/v1/realtime",
                header: ("authorization", "Bearer {key}"),
                body: json!({}),
                beyond: None,
            },
        }
    }
}
