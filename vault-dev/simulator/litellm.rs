//! A LiteLLM proxy: authentication, refusals and inference as LiteLLM 1.106 answered when it was recorded.
//! The key routes are in `litellm_keys.rs`.

use serde_json::{Map, Value, json};

use crate::book::{Book, Record, sha256_hex};
use crate::clock::{Moment, rfc3339};
use crate::fields::{self, Field, Problem, Unknown, Wrong};
use crate::inference;
use crate::litellm_keys::{self as keys, VirtualKey};
use crate::request::{Body, Call, Request};
use crate::router::{self, Access, Answer, Found, Outcome, Route, Seen, Vendor, admin, key, open};

pub const PREFIX: &str = "/litellm";
const MODELS: &[&str] = &["fake-small", "fake-big"];
const MINUTE_MS: i64 = 60_000;

const ROUTES: &[Route<LiteLlm>] = &[
    admin("POST", "/key/generate", keys::generate),
    admin("POST", "/key/update", keys::update),
    admin("POST", "/key/delete", keys::delete),
    admin("POST", "/key/block", keys::block),
    admin("POST", "/key/unblock", keys::unblock),
    admin("GET", "/key/info", keys::info),
    admin("GET", "/key/list", keys::list),
    open("GET", "/health/liveliness", |_, _| Ok(Answer::ok(json!("I'm alive!")))),
    open("GET", "/health/readiness", |_, _| Ok(Answer::ok(json!({"status": "healthy", "db": "connected"})))),
    key("GET", "/models", LiteLlm::models),
    key("GET", "/v1/models", LiteLlm::models),
    key("POST", "/chat/completions", LiteLlm::complete),
    key("POST", "/v1/chat/completions", LiteLlm::complete),
];

pub struct LiteLlm {
    master_key: String,
    pub keys: Book<VirtualKey>,
}

impl LiteLlm {
    pub fn seeded(master_key: &str) -> Self {
        Self { master_key: master_key.into(), keys: Book::default() }
    }

    fn models(&mut self, call: &Call) -> Outcome {
        let allowed: Vec<_> = match self.caller(call)? {
            None => MODELS.to_vec(),
            Some(record) => MODELS.iter().copied().filter(|model| record.more.allows(model)).collect(),
        };
        Ok(Answer::ok(inference::models(&allowed, "openai", call.at)))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let record = self.caller(call)?;
        let given = match &call.request.body {
            Body::Json(body) => body["model"].as_str(),
            Body::None | Body::Malformed | Body::Form(_) => None,
        };
        let model = given.unwrap_or("None");
        if record.as_ref().is_some_and(|record| !record.more.allows(model)) {
            let message = format!(
                "The requested model '{model}' is not available for this API key, or the model name is invalid."
            );
            return Err(refusal(403, "key_model_access_denied", Some("model"), &message));
        }
        if !MODELS.contains(&model) {
            let message = format!("/chat/completions: Invalid model name passed in model={model}.");
            return Err(refusal(400, "invalid_request_error", None, &message));
        }
        if let Some(record) = record {
            spend(record, call.at)?;
        }
        Ok(Answer::ok(inference::completion(model, call.at)))
    }

    /// The virtual key that asks; `None` is the master key, which may do everything.
    fn caller(&mut self, call: &Call) -> Result<Option<&mut Record<VirtualKey>>, Answer> {
        let secret = secret(call)?;
        if secret == self.master_key {
            return Ok(None);
        }
        let record = self.keys.holder(secret, call.at).ok_or_else(|| unknown_key(secret))?;
        if record.more.blocked {
            return Err(refusal(401, "auth_error", Some("None"), "Authentication Error, Key is blocked."));
        }
        if let Some(expires) = record.expires.filter(|_| record.expired(call.at)) {
            let message = format!("Authentication Error - Expired Key. Key Expiry time {}", rfc3339(expires));
            return Err(refusal(401, "expired_key", Some(&record.more.key_name), &message));
        }
        let path = call.request.path.strip_prefix(PREFIX).unwrap_or_default();
        if !record.more.may_call(path) {
            let message = format!("Virtual key is not allowed to call this route. Tried to call route: {path}");
            return Err(Answer::new(403, json!({"detail": message})));
        }
        Ok(Some(record))
    }

    /// Only the master key manages here; a virtual key is refused in the two ways the proxy has.
    fn admit(&mut self, call: &Call) -> Result<(), Answer> {
        if self.caller(call)?.is_none() {
            return Ok(());
        }
        let path = call.request.path.strip_prefix(PREFIX).unwrap_or_default();
        if path == "/key/list" {
            let message =
                "You are not authorized to access this endpoint. No 'user_id' is associated with your API key.";
            return Err(refusal(403, "bad_request_error", Some("user_id"), message));
        }
        let message = format!(
            "Authentication Error, Only proxy admin can be used to generate, delete, update info for new keys/users/teams. Route={path}."
        );
        Err(refusal(401, "auth_error", Some("None"), &message))
    }
}

impl Vendor for LiteLlm {
    fn seen(&self, method: &str, path: &str) -> Option<Seen> {
        router::seen(ROUTES, method, path)
    }

    fn respond(&mut self, request: &Request, path: &str, at: Moment) -> Answer {
        let segments = router::segments(path);
        let outcome = match router::find(ROUTES, &request.method, &segments) {
            Found::Route(route, params) => {
                let call = Call { request, params, at };
                let admitted = if route.access == Access::Admin { self.admit(&call) } else { Ok(()) };
                admitted.and_then(|()| (route.run)(self, &call))
            }
            Found::WrongMethod => Err(Answer::new(405, json!({"detail": "Method Not Allowed"}))),
            Found::Nothing => Err(Answer::new(404, json!({"detail": "Not Found"}))),
        };
        outcome.unwrap_or_else(|answer| answer)
    }

    fn refusal(&self, _: &str, status: u16, message: &str) -> Answer {
        let kind = if status == 429 { "throttling_error" } else { "internal_server_error" };
        refusal(status, kind, None, message)
    }

    fn snapshot(&mut self, at: Moment) -> Value {
        json!({"keys": self.keys.snapshot(at)})
    }

    fn delete_by_hand(&mut self, id: &str, at: Moment) -> bool {
        self.keys.delete(id, at)
    }
}

/// The proxy's `ProxyException`: the code is the status, as text.
pub fn refusal(status: u16, kind: &str, param: Option<&str>, message: &str) -> Answer {
    Answer::new(
        status,
        json!({"error": {"message": message, "type": kind, "param": param, "code": status.to_string()}}),
    )
}

/// The request's JSON object, checked as FastAPI does it: 422 with a list, and unknown fields do nothing.
pub fn body(call: &Call, known: &[Field]) -> Result<Map<String, Value>, Answer> {
    let given = match &call.request.body {
        Body::Json(Value::Object(given)) => given,
        Body::Json(_) => return Err(refusal(500, "internal_server_error", None, "Internal server error")),
        Body::None => return Err(detail("missing", &json!(["body"]), "Field required")),
        Body::Malformed | Body::Form(_) => {
            return Err(detail("json_invalid", &json!(["body", 0]), "JSON decode error"));
        }
    };
    fields::check(given, known, Unknown::Ignore).map_err(|wrong| refuse("body", wrong))?;
    Ok(given.clone())
}

pub fn refuse(place: &str, wrong: Wrong) -> Answer {
    let (kind, message) = match wrong.problem {
        Problem::Missing | Problem::Unknown => ("missing", "Field required".to_owned()),
        Problem::Type { expected, .. } => ("value_type", format!("Input should be {expected}")),
        Problem::Below { least, .. } => {
            ("greater_than_equal", format!("Input should be greater than or equal to {least}"))
        }
        Problem::Above { most, .. } => ("less_than_equal", format!("Input should be less than or equal to {most}")),
        Problem::Short { least } => ("too_short", format!("Input should have at least {least} items")),
        Problem::Long { most } => ("too_long", format!("Input should have at most {most} items")),
        Problem::Choice { choices, .. } => ("enum", format!("Input should be '{}'", choices.join("', '"))),
    };
    detail(kind, &json!([place, wrong.field]), &message)
}

pub fn detail(kind: &str, place: &Value, message: &str) -> Answer {
    Answer::new(422, json!({"detail": [{"type": kind, "loc": place, "msg": message}]}))
}

fn secret<'a>(call: &Call<'a>) -> Result<&'a str, Answer> {
    let missing = "Authentication Error, Malformed API Key passed in. Ensure Key has `Bearer ` prefix.";
    let bearer = call.request.bearer.as_deref().filter(|bearer| !bearer.is_empty());
    let secret = bearer.ok_or_else(|| refusal(401, "auth_error", Some("None"), missing))?;
    if !secret.starts_with("sk-") {
        let message = "LiteLLM Virtual Key expected. Received=****, expected to start with 'sk-'.";
        return Err(refusal(401, "auth_error", Some("None"), message));
    }
    Ok(secret)
}

fn unknown_key(secret: &str) -> Answer {
    let message = format!(
        "Authentication Error, Invalid proxy server token passed. Received API Key = {}, Key Hash (Token) ={}. \
         Unable to find token in cache or `LiteLLM_VerificationTokenTable`",
        keys::key_name(secret),
        sha256_hex(secret),
    );
    refusal(401, "token_not_found_in_db", Some("key"), &message)
}

/// Requests count by the minute of the clock; the budget is checked before a call and charged after it, as the proxy does.
fn spend(record: &mut Record<VirtualKey>, at: Moment) -> Result<(), Answer> {
    let more = &mut record.more;
    if let Some(limit) = more.number("rpm_limit") {
        let minute = at.ms.div_euclid(MINUTE_MS);
        let used = if more.minute == minute { more.in_minute } else { 0 };
        if used as f64 >= limit {
            let message = format!(
                "Rate limit exceeded for api_key: {}. Limit type: requests. Current limit: {limit}, Remaining: 0.",
                record.id
            );
            return Err(refusal(429, "throttling_error", None, &message).with("retry-after", "60".into()));
        }
        (more.minute, more.in_minute) = (minute, used + 1);
    }
    if let Some(budget) = more.number("max_budget").filter(|budget| more.spend >= *budget) {
        let message = format!(
            "Budget has been exceeded! Key=key ({}) Current cost: {}, Max budget: {budget}",
            more.key_name, more.spend
        );
        return Err(refusal(422, "budget_exceeded", None, &message));
    }
    more.spend += inference::COST;
    record.last_used = Some(at.ms);
    Ok(())
}
