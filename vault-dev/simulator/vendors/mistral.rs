//! Mistral's admin API, after the vendor's OpenAPI document of 2026-11.

use chrono::{NaiveDate, NaiveTime};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{ID, Kind, nullable, required};
use crate::plain::{Attempt, Example, Plain, text, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "mistral-admin-simulator-0001";
const WORKSPACE: &str = "3f0c0c52-7a4e-4a53-9d0e-000000000001";
const USER: &str = "3f0c0c52-7a4e-4a53-9d0e-000000000002";

const ROUTES: &[Route<Mistral>] = &[
    admin("GET", "/v1/admin/api-keys", Mistral::list),
    admin("POST", "/v1/admin/api-keys", Mistral::create),
    admin("DELETE", "/v1/admin/api-keys/{key_id}", Mistral::delete),
    key("POST", "/v1/chat/completions", Mistral::complete),
    key("GET", "/v1/models", Mistral::models),
];

#[derive(Default)]
pub struct Mistral {
    keys: Book<()>,
}

impl Mistral {
    fn create(&mut self, call: &Call) -> Outcome {
        let known = [
            required("workspace_uuid", ID),
            required("user_id", ID),
            nullable("name", Kind::Text(0, 255)),
            nullable("expiration", ID),
        ];
        let body = Self::body(call, &known)?;
        if text(&body, "workspace_uuid") != WORKSPACE || text(&body, "user_id") != USER {
            return Err(Self::error(404, "Workspace or user not found"));
        }
        let secret = random("");
        let mut record = Record::new(&Uuid::new_v4().to_string(), text(&body, "name"), &secret, call.at, ());
        if let Some(date) = body.get("expiration").and_then(Value::as_str) {
            let date: NaiveDate = date.parse().map_err(|_| Self::error(422, "expiration is not a date"))?;
            record.expires = Some(date.and_time(NaiveTime::MIN).and_utc().timestamp_millis());
        }
        let record = self.keys.add(record);
        let mut answer = show(record);
        answer["key"] = json!(secret);
        Ok(Answer::ok(answer))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        let (offset, limit) = (Self::number(call, "offset", 0)?, Self::number(call, "limit", 100)?);
        let part = call.query("name").unwrap_or_default().to_lowercase();
        let named = self
            .keys
            .listed(call.at)
            .filter(|record| record.name.as_deref().unwrap_or_default().to_lowercase().contains(&part));
        let page = named.skip(offset).take(call.at.page_size(limit));
        Ok(Answer::ok(json!({"keys": page.map(show).collect::<Vec<_>>()})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        if !self.keys.delete(call.param(0), call.at) {
            return Err(Self::error(404, "API key not found"));
        }
        Ok(Answer::ok(json!({"detail": "API key deleted successfully"})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }

    fn models(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        Ok(Answer::ok(json!({"object": "list", "data": [{"id": "mistral-small-latest", "object": "model"}]})))
    }
}

impl Plain for Mistral {
    type Key = ();

    const EXPIRY_STEP_SECONDS: i64 = 24 * 3600;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"detail": message}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "admin_key": ADMIN, "workspace_uuid": WORKSPACE, "user_id": USER,
                "api_url": format!("{url}/mistral"), "base_url": format!("{url}/mistral/v1"),
            }),
            role: json!({}),
            attempt: Attempt::chat("/mistral/v1/chat/completions", "mistral-small-latest", None),
        }
    }
}

fn show(record: &Record<()>) -> Value {
    json!({
        "key_id": record.id, "key": null, "hidden_key": "abcd...wxyz", "name": record.name,
        "created_at": rfc3339(record.created), "expiration_date": record.expires.map(|ms| rfc3339(ms)[..10].to_owned()),
        "last_used": null, "workspace_id": WORKSPACE, "product": "API", "can_delete": true,
        "actions": {"rotate": {"status": "available"}, "delete": {"status": "available"}},
    })
}
