//! Portkey's admin API, after the vendor's OpenAPI document of 2026-06.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::clock::{Moment, rfc3339};
use crate::fields::{self, ID, Kind, NAME, Unknown, nullable, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, texts, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "pk-simulator-admin-0001";
/// What a key needs to make others.
const ADMIN_SCOPE: &str = "workspace_service_api_keys.create";
const WORKSPACE: &str = "ws-simulator-1";

const ROUTES: &[Route<Portkey>] = &[
    admin("POST", "/v1/api-keys/{type}/{sub-type}", Portkey::create),
    admin("GET", "/v1/api-keys", Portkey::list),
    admin("PUT", "/v1/api-keys/{id}", Portkey::update),
    admin("DELETE", "/v1/api-keys/{id}", Portkey::delete),
    key("POST", "/v1/chat/completions", Portkey::complete),
    key("GET", "/v1/configs", Portkey::configs),
];

#[derive(Default)]
pub struct Portkey {
    keys: Book<Policy>,
}

pub struct Policy {
    scopes: Vec<String>,
    shown: Map<String, Value>,
}

impl Portkey {
    fn create(&mut self, call: &Call) -> Outcome {
        if (call.param(0), call.param(1)) != ("workspace", "service") {
            return Err(Self::error(400, "only service keys of a workspace are simulated"));
        }
        let known = [
            required("name", NAME),
            required("scopes", Kind::Texts),
            optional("workspace_id", ID),
            nullable("rate_limits", Kind::List),
            optional("usage_limits", Kind::Object),
            optional("defaults", Kind::Object),
            nullable("expires_at", ID),
        ];
        let body = Self::body(call, &known)?;
        if text(&body, "workspace_id") != WORKSPACE {
            return Err(forbidden());
        }
        limits(&body)?;
        let secret = random("");
        let mut shown = body.clone();
        shown.retain(|name, _| ["rate_limits", "usage_limits", "defaults"].contains(&name.as_str()));
        let policy = Policy { scopes: texts(body.get("scopes")), shown };
        let mut record = Record::new(&Uuid::new_v4().to_string(), text(&body, "name"), &secret, call.at, policy);
        record.expires = expiry(&body)?;
        let record = self.keys.add(record);
        Ok(Answer::ok(json!({"id": record.id, "key": secret, "object": "api-key"})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        let size = call.at.page_size(Self::number(call, "page_size", 100)?);
        let page = Self::number(call, "current_page", 0)?;
        let mine = call.query("workspace_id").is_none_or(|workspace| workspace == WORKSPACE);
        let listed: Vec<_> = self.keys.listed(call.at).filter(|_| mine).collect();
        let data: Vec<_> = listed.iter().skip(page * size).take(size).map(|record| show(record)).collect();
        Ok(Answer::ok(json!({"object": "list", "total": listed.len(), "data": data})))
    }

    fn update(&mut self, call: &Call) -> Outcome {
        let known = [optional("name", NAME), optional("scopes", Kind::Texts), nullable("expires_at", ID)];
        let body = Self::body(call, &known)?;
        let expires = expiry(&body)?;
        let record = self.keys.get_mut(call.param(0)).ok_or_else(unknown)?;
        if body.contains_key("expires_at") {
            record.expires = expires;
        }
        Ok(Answer::ok(json!({})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        if !self.keys.delete(call.param(0), call.at) {
            return Err(unknown());
        }
        Ok(Answer::ok(json!({})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.check_scope(call, "completions.write")?;
        works()
    }

    fn configs(&mut self, call: &Call) -> Outcome {
        self.check_scope(call, "configs.list")?;
        Ok(Answer::ok(json!({"success": true, "data": []})))
    }

    fn check_scope(&mut self, call: &Call, wanted: &str) -> Result<(), Answer> {
        let record = self.caller(call.request.header("x-portkey-api-key"), call.at)?;
        if record.more.scopes.iter().any(|scope| scope == wanted) { Ok(()) } else { Err(forbidden()) }
    }
}

impl Plain for Portkey {
    type Key = Policy;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("x-portkey-api-key") == Some(ADMIN)
    }

    fn is_made_admin(&mut self, request: &Request, at: Moment) -> bool {
        let writes = |record: &mut Record<Policy>| record.more.scopes.iter().any(|scope| scope == ADMIN_SCOPE);
        self.caller(request.header("x-portkey-api-key"), at).is_ok_and(writes)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"success": false, "data": {"message": message}}))
    }

    fn keys(&mut self) -> &mut Book<Policy> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let attempt = Attempt::chat("/portkey/v1/chat/completions", "gpt-4o-mini", None).but_not(Beyond {
            method: "GET",
            path: "/portkey/v1/configs",
            body: Value::Null,
            status: 403,
        });
        Example {
            config: json!({
                "admin_key": ADMIN, "workspace_id": WORKSPACE, "admin_scopes": [ADMIN_SCOPE],
                "api_url": format!("{url}/portkey/v1"), "base_url": format!("{url}/portkey/v1"),
            }),
            role: json!({
                "scopes": ["completions.write"], "rpm": 60, "tpm": 100_000,
                "credit_limit": 10, "credit_type": "cost", "credit_reset": "monthly", "config_id": "pc-simulator",
            }),
            attempt: Attempt { header: ("x-portkey-api-key", "{key}"), ..attempt },
        }
    }
}

fn forbidden() -> Answer {
    Portkey::error(403, "You do not have enough permissions to execute this request")
}

fn unknown() -> Answer {
    Portkey::error(404, "Resource not found")
}

/// The limits' own fields.
fn limits(body: &Map<String, Value>) -> Result<(), Answer> {
    const RATE: [fields::Field; 3] = [
        required("type", Kind::OneOf(&["requests", "tokens"])),
        required("unit", Kind::OneOf(&["rpd", "rph", "rpm", "rps", "rpw"])),
        required("value", Kind::Whole(0, i64::MAX)),
    ];
    const USAGE: [fields::Field; 3] = [
        optional("credit_limit", Kind::Whole(1, i64::MAX)),
        optional("type", Kind::OneOf(&["cost", "tokens"])),
        nullable("periodic_reset", Kind::OneOf(&["monthly", "weekly"])),
    ];
    const DEFAULTS: [fields::Field; 3] =
        [optional("metadata", Kind::Object), optional("config_id", ID), optional("allow_config_override", Kind::Flag)];
    let check = |value: &Value, known: &[fields::Field]| {
        let given = value.as_object().cloned().unwrap_or_default();
        fields::check(&given, known, Unknown::Refuse)
            .map_err(|wrong| Portkey::error(400, &format!("{} is invalid", wrong.field)))
    };
    for rate in body.get("rate_limits").and_then(Value::as_array).into_iter().flatten() {
        check(rate, &RATE)?;
    }
    body.get("usage_limits").map_or(Ok(()), |usage| check(usage, &USAGE))?;
    body.get("defaults").map_or(Ok(()), |defaults| check(defaults, &DEFAULTS))
}

fn expiry(body: &Map<String, Value>) -> Result<Option<i64>, Answer> {
    let Some(given) = body.get("expires_at").and_then(Value::as_str) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(given).map_err(|_| Portkey::error(400, "expires_at is not a date-time"))?;
    Ok(Some(time.timestamp_millis()))
}

fn show(record: &Record<Policy>) -> Value {
    let mut shown = json!({
        "id": record.id, "key": "ab*****yz", "name": record.name, "type": "workspace-service",
        "organisation_id": "a1b2c3d4-e5f6-4a5b-8c7d-9e0f1a2b3c4d", "workspace_id": WORKSPACE, "status": "active",
        "created_at": rfc3339(record.created), "last_updated_at": rfc3339(record.created), "creation_mode": "api",
        "scopes": record.more.scopes, "object": "api-key",
    });
    if let Some(expires) = record.expires {
        shown["expires_at"] = rfc3339(expires).into();
    }
    for (name, value) in &record.more.shown {
        shown[name] = value.clone();
    }
    shown
}
