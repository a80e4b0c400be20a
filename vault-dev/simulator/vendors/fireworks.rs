//! Fireworks' keys of a user, after SDK fireworks-ai 1.2.30 and recorded answers: deleting is a POST, errors as gRPC
//! gateways write them.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{ID, Kind, NAME, optional, required};
use crate::plain::{Attempt, Example, Plain, text, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "fw_simulator_admin_0001";
const ACCOUNT: &str = "simulator";
const USER: &str = "vault";

const ROUTES: &[Route<Fireworks>] = &[
    admin("GET", "/v1/accounts/{account_id}/users/{user_id}/apiKeys", Fireworks::list),
    admin("POST", "/v1/accounts/{account_id}/users/{user_id}/apiKeys", Fireworks::create),
    admin("POST", "/v1/accounts/{account_id}/users/{user_id}/apiKeys:delete", Fireworks::delete),
    key("POST", "/inference/v1/chat/completions", Fireworks::complete),
];

#[derive(Default)]
pub struct Fireworks {
    keys: Book<()>,
}

impl Fireworks {
    fn create(&mut self, call: &Call) -> Outcome {
        of_user(call)?;
        let body = Self::body(call, &[required("apiKey", Kind::Object)])?;
        let given = body["apiKey"].as_object().cloned().unwrap_or_default();
        Self::checked(&given, &[optional("displayName", NAME), optional("expireTime", ID)])?;
        // The vendor's name for a key without one.
        let name = if given.contains_key("displayName") { text(&given, "displayName") } else { "default" };
        let secret = random("fw_");
        let mut record = Record::new(&random("key_"), name, &secret, call.at, ());
        record.expires = expiry(&given)?;
        let record = self.keys.add(record);
        let mut answer = show(record);
        answer["key"] = json!(secret);
        Ok(Answer::ok(answer))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_user(call)?;
        let size = call.at.page_size(Self::number(call, "pageSize", 50)?.clamp(1, 200));
        let start = Self::number(call, "pageToken", 0)?;
        let total = self.keys.listed(call.at).count();
        let page: Vec<_> = self.keys.listed(call.at).skip(start).take(size).map(show).collect();
        let next = if start + page.len() < total { (start + page.len()).to_string() } else { String::new() };
        Ok(Answer::ok(json!({"apiKeys": page, "nextPageToken": next, "totalSize": total})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        of_user(call)?;
        let body = Self::body(call, &[required("keyId", ID)])?;
        if !self.keys.delete(text(&body, "keyId"), call.at) {
            return Err(Self::error(404, "API key not found"));
        }
        Ok(Answer::ok(json!({})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for Fireworks {
    type Key = ();

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            400 => 3,
            401 => 16,
            403 => 7,
            404 => 5,
            429 => 8,
            _ => 13,
        };
        Answer::new(status, json!({"code": code, "message": message, "details": []}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let base_url = format!("{url}/fireworks/inference/v1");
        Example {
            config: json!({
                "admin_key": ADMIN, "account_id": ACCOUNT, "user_id": USER, "api_url": format!("{url}/fireworks"),
                "base_url": base_url,
            }),
            role: json!({}),
            attempt: Attempt::chat(
                "/fireworks/inference/v1/chat/completions",
                "accounts/fireworks/models/llama-v3p1-8b-instruct",
                None,
            ),
        }
    }
}

fn of_user(call: &Call) -> Result<(), Answer> {
    let known = (call.param(0), call.param(1)) == (ACCOUNT, USER);
    if known { Ok(()) } else { Err(Fireworks::error(404, "user not found")) }
}

fn expiry(given: &Map<String, Value>) -> Result<Option<i64>, Answer> {
    let Some(given) = given.get("expireTime").and_then(Value::as_str) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(given);
    Ok(Some(time.map_err(|_| Fireworks::error(400, "expireTime is not a timestamp"))?.timestamp_millis()))
}

fn show(record: &Record<()>) -> Value {
    json!({
        "keyId": record.id, "displayName": record.name, "prefix": &record.secret[..8], "secure": true,
        "createTime": rfc3339(record.created), "expireTime": record.expires.map(rfc3339),
        "email": "vault@simulator.example",
    })
}
