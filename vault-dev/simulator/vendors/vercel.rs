//! Vercel's AI Gateway keys, after its SDK 1.28.35 and the calls of its CLI 64.0.2.

use serde_json::{Map, Value, json};

use crate::book::{Book, Record, random};
use crate::fields::{self, ID, Kind, NAME, Unknown, optional, required};
use crate::plain::{Attempt, Example, Plain, text, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "vercel-simulator-token-0001";
const TEAM: &str = "team_simulator1";

const ROUTES: &[Route<Vercel>] = &[
    admin("POST", "/v1/api-keys", Vercel::create),
    admin("GET", "/v1/api-keys", Vercel::list),
    admin("DELETE", "/v1/api-keys/{id}", Vercel::delete),
    key("POST", "/gateway/v1/chat/completions", Vercel::complete),
];

#[derive(Default)]
pub struct Vercel {
    /// With the project and the quota.
    keys: Book<(Value, Value)>,
}

impl Vercel {
    fn create(&mut self, call: &Call) -> Outcome {
        of_team(call)?;
        let known = [
            required("purpose", NAME),
            optional("projectId", ID),
            optional("name", NAME),
            optional("expiresAt", Kind::Whole(0, i64::MAX)),
            optional("aiGatewayQuota", Kind::Object),
            optional("metadata", Kind::Object),
        ];
        let body = Self::body(call, &known)?;
        if text(&body, "purpose") != "ai-gateway" {
            return Err(Self::error(400, "Invalid request: `purpose` is not supported"));
        }
        let quota = quota(&body)?;
        let expires = body.get("expiresAt").and_then(Value::as_i64);
        if call.at.past(expires) {
            return Err(Self::error(400, "Invalid request: `expiresAt` must be in the future"));
        }
        let secret = random("vck_");
        let project = body.get("projectId").cloned().unwrap_or_default();
        let mut record = Record::new(&random("ak_"), text(&body, "name"), &secret, call.at, (project, quota));
        record.expires = expires;
        let record = self.keys.add(record);
        Ok(Answer::ok(json!({"apiKeyString": secret, "apiKey": show(record)})))
    }

    /// The newest first; `next` is a time at the vendor, and a place here: keys of one millisecond must not be lost.
    fn list(&mut self, call: &Call) -> Outcome {
        of_team(call)?;
        let size = call.at.page_size(Self::number(call, "limit", 20)?.clamp(1, 100));
        let until = Self::number(call, "until", usize::MAX)?;
        let before = |record: &&Record<_>| self.keys.place(&record.id).is_some_and(|place| place < until);
        let mut page: Vec<_> = self.keys.listed(call.at).rev().filter(before).take(size + 1).collect();
        let more = page.len() > size;
        page.truncate(size);
        let next = page.last().filter(|_| more).and_then(|last| self.keys.place(&last.id));
        let pagination = json!({"count": page.len(), "next": next, "prev": null});
        let keys: Vec<_> = page.iter().map(|record| show(record)).collect();
        Ok(Answer::ok(json!({"apiKeys": keys, "pagination": pagination})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        of_team(call)?;
        if !self.keys.delete(call.param(0), call.at) {
            return Err(Self::error(404, "API key not found"));
        }
        Ok(Answer::ok(json!({"id": call.param(0)})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for Vercel {
    type Key = (Value, Value);

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            400 => "bad_request",
            401 | 403 => "forbidden",
            404 => "not_found",
            429 => "rate_limited",
            _ => "internal_server_error",
        };
        Answer::new(status, json!({"error": {"code": code, "message": message}}))
    }

    fn keys(&mut self) -> &mut Book<(Value, Value)> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "token": ADMIN, "team_id": TEAM, "api_url": format!("{url}/vercel"),
                "base_url": format!("{url}/vercel/gateway/v1"),
            }),
            role: json!({"quota": 50, "quota_period": "monthly"}),
            attempt: Attempt::chat("/vercel/gateway/v1/chat/completions", "openai/gpt-4o-mini", None),
        }
    }
}

fn of_team(call: &Call) -> Result<(), Answer> {
    if call.query("teamId") == Some(TEAM) { Ok(()) } else { Err(Vercel::error(403, "Not authorized")) }
}

fn quota(body: &Map<String, Value>) -> Result<Value, Answer> {
    let Some(Value::Object(quota)) = body.get("aiGatewayQuota") else { return Ok(Value::Null) };
    let known = [
        required("limitAmount", Kind::Whole(1, i64::MAX)),
        optional("includeByokInQuota", Kind::Flag),
        optional("refreshPeriod", Kind::OneOf(&["daily", "weekly", "monthly", "none"])),
        optional("alertThresholds", Kind::List),
    ];
    fields::check(quota, &known, Unknown::Refuse)
        .map_err(|wrong| Vercel::error(400, &format!("Invalid request: `aiGatewayQuota.{}`", wrong.field)))?;
    Ok(json!(quota))
}

fn show(record: &Record<(Value, Value)>) -> Value {
    json!({
        "id": record.id, "name": record.name, "partialKey": "abcd", "teamId": TEAM, "purpose": "ai-gateway",
        "projectId": record.more.0, "expiresAt": record.expires, "activeAt": record.created, "createdAt": record.created,
        "createdBy": "simulator", "leakedAt": null, "leakedUrl": null, "createdByAppId": null, "quota": record.more.1,
    })
}
