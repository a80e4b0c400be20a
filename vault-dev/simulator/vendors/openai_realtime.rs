//! OpenAI's client secrets for its Realtime API, after the vendor's OpenAPI document of 2026-08.

use serde_json::{Map, Value, json};

use crate::book::{Book, Record, random};
use crate::clock::unix;
use crate::fields::{self, Field, Kind, NAME, Unknown, optional, required};
use crate::plain::{Attempt, Example, Plain, works};
use crate::request::{Body, Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const KEY: &str = "sk-proj-simulator-realtime-0001";

const ROUTES: &[Route<OpenAiRealtime>] = &[
    admin("POST", "/v1/realtime/client_secrets", OpenAiRealtime::create),
    key("POST", "/v1/realtime/calls", OpenAiRealtime::call),
];

#[derive(Default)]
pub struct OpenAiRealtime {
    secrets: Book<()>,
}

impl OpenAiRealtime {
    fn create(&mut self, call: &Call) -> Outcome {
        // A body may be empty: everything in it has a default.
        let body = match &call.request.body {
            Body::None => Map::new(),
            _ => Self::body(call, &[optional("expires_after", Kind::Object), optional("session", Kind::Object)])?,
        };
        let after = part(
            &body,
            "expires_after",
            &[optional("anchor", Kind::OneOf(&["created_at"])), optional("seconds", Kind::Whole(10, 7200))],
        )?;
        let session = part(
            &body,
            "session",
            &[
                required("type", Kind::OneOf(&["realtime", "transcription"])),
                optional("model", NAME),
                optional("instructions", Kind::Text(0, 100_000)),
            ],
        )?;
        let seconds = after.get("seconds").and_then(Value::as_i64).unwrap_or(600);
        let expires = unix(call.at.after_seconds(seconds));
        let value = random("ek_");
        let mut record = Record::new(&random("sess_"), "", &value, call.at, ());
        record.expires = Some(expires * 1000);
        let record = self.secrets.add(record);
        let mut shown =
            json!({"type": "realtime", "object": "realtime.session", "id": record.id, "model": "gpt-realtime"});
        for (name, value) in session {
            shown[name] = value;
        }
        Ok(Answer::ok(json!({"value": value, "expires_at": expires, "session": shown})))
    }

    fn call(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for OpenAiRealtime {
    type Key = ();

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(KEY)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = if status == 401 { "invalid_api_key".into() } else { Value::Null };
        let error = json!({"message": message, "type": "invalid_request_error", "param": null, "code": code});
        Answer::new(status, json!({"error": error}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.secrets
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"api_key": KEY, "api_url": format!("{url}/openai-realtime/v1")}),
            role: json!({"model": "gpt-realtime", "instructions": "Be brief."}),
            attempt: Attempt {
                method: "POST",
                path: "/openai-realtime/v1/realtime/calls",
                header: ("authorization", "Bearer {key}"),
                body: json!({"sdp": "v=0"}),
                beyond: None,
            },
        }
    }
}

/// An object of the body, checked.
fn part(body: &Map<String, Value>, name: &str, known: &[Field]) -> Result<Map<String, Value>, Answer> {
    let Some(Value::Object(given)) = body.get(name) else { return Ok(Map::new()) };
    fields::check(given, known, Unknown::Ignore)
        .map_err(|wrong| OpenAiRealtime::error(400, &format!("Invalid value: '{name}.{}'.", wrong.field)))?;
    Ok(given.clone())
}
