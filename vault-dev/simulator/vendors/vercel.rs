//! Vercel's AI Gateway keys, after its SDK 1.28.35 and the calls of its CLI 64.0.2.

use serde_json::{Map, Value, json};

use crate::book::{Book, Record, random};
use crate::fields::{self, ID, Kind, NAME, Unknown, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, works};
use crate::request::{Body, Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "vercel-simulator-token-0001";
const TEAM: &str = "team_simulator1";
const CHAT: &str = "/vercel/gateway/v1/chat/completions";
/// What an answer of that many tokens costs: a dollar.
const TOKENS_PER_DOLLAR: i64 = 1000;

const ROUTES: &[Route<Vercel>] = &[
    admin("POST", "/v1/api-keys", Vercel::create),
    admin("GET", "/v1/api-keys", Vercel::list),
    admin("DELETE", "/v1/api-keys/{id}", Vercel::delete),
    key("POST", "/gateway/v1/chat/completions", Vercel::complete),
    key("GET", "/gateway/v1/credits", Vercel::credits),
];

#[derive(Default)]
pub struct Vercel {
    keys: Book<Limits>,
}

pub struct Limits {
    project: Value,
    quota: Value,
    /// In tokens.
    spent: i64,
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
        let limits = Limits { project, quota, spent: 0 };
        let mut record = Record::new(&random("ak_"), text(&body, "name"), &secret, call.at, limits);
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

    /// The vendor lets the request that passes the quota finish, and refuses the next with a status that is not documented;
    /// here one request shows it.
    fn complete(&mut self, call: &Call) -> Outcome {
        let asked = match &call.request.body {
            Body::Json(body) => body["max_tokens"].as_i64().unwrap_or_default(),
            _ => 0,
        };
        let limits = &mut self.caller(call.request.bearer.as_deref(), call.at)?.more;
        let spent = limits.spent + asked;
        if limits.quota["limitAmount"].as_i64().is_some_and(|quota| spent > quota * TOKENS_PER_DOLLAR) {
            return Err(Self::error(402, "Quota exceeded"));
        }
        limits.spent = spent;
        works()
    }

    fn credits(&mut self, call: &Call) -> Outcome {
        let unknown = |_| {
            let error = json!({"type": "authentication_error", "message": "Authentication failed."});
            Answer::new(401, json!({"error": error}))
        };
        self.caller(call.request.bearer.as_deref(), call.at).map_err(unknown)?;
        Ok(Answer::ok(json!({"balance": "100.00", "total_used": "0.00"})))
    }
}

impl Plain for Vercel {
    type Key = Limits;

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
            402 => "insufficient_funds",
            404 => "not_found",
            429 => "rate_limited",
            _ => "internal_server_error",
        };
        Answer::new(status, json!({"error": {"code": code, "message": message}}))
    }

    fn keys(&mut self) -> &mut Book<Limits> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let attempt = Attempt::chat(CHAT, "openai/gpt-4o-mini", None);
        let mut costly = attempt.body.clone();
        costly["max_tokens"] = 60_000.into();
        Example {
            config: json!({
                "token": ADMIN, "team_id": TEAM, "api_url": format!("{url}/vercel"),
                "base_url": format!("{url}/vercel/gateway/v1"),
            }),
            role: json!({"quota": 50, "quota_period": "monthly"}),
            attempt: attempt.but_not(Beyond { method: "POST", path: CHAT, body: costly, status: 402 }),
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

fn show(record: &Record<Limits>) -> Value {
    json!({
        "id": record.id, "name": record.name, "partialKey": "abcd", "teamId": TEAM, "purpose": "ai-gateway",
        "projectId": record.more.project, "expiresAt": record.expires, "activeAt": record.created, "createdAt": record.created,
        "createdBy": "simulator", "leakedAt": null, "leakedUrl": null, "createdByAppId": null, "quota": record.more.quota,
    })
}
