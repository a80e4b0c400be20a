//! OpenRouter: API keys, workspaces and inference. Guardrails are in `guardrails.rs`.

use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::book::{Book, Record, random, sha256_hex};
use crate::clock::{Moment, rfc3339};
use crate::federation::Federation;
use crate::fields::{self, Field, ID, Kind, NAME, Problem, Unknown, Wrong, nullable, optional, required};
use crate::guardrails::{self, Guardrail};
use crate::inference;
use crate::openrouter_federation as federation;
use crate::request::{Body, Call, Request};
use crate::router::{self, Access, Answer, Found, Outcome, Route, Seen, Vendor, admin, key, open};

pub const PREFIX: &str = "/openrouter/api/v1";
pub const DEFAULT_WORKSPACE: &str = "0b7f4c1e-8f0a-4d7e-9a51-000000000001";
const OTHER_WORKSPACE: &str = "0b7f4c1e-8f0a-4d7e-9a51-000000000002";
pub const OFFSET: Field = nullable("offset", Kind::Whole(0, i64::MAX));
pub const LIMIT: Field = optional("limit", Kind::Whole(1, 100));
pub const WORKSPACE: Field = optional("workspace_id", ID);
pub const INTERVAL: Kind = Kind::OneOf(&["daily", "weekly", "monthly"]);
const KEYS_PER_PAGE: usize = 100;
/// Shortest secret that a caller may bring along.
const OWN_SECRET_MIN: usize = 32;
const MODELS: &[&str] =
    &["openai/gpt-4o", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4.5", "google/gemini-2.5-flash"];

const ROUTES: &[Route<OpenRouter>] = &[
    key("GET", "/key", OpenRouter::current_key),
    admin("GET", "/keys", OpenRouter::list_keys),
    admin("POST", "/keys", OpenRouter::create_key),
    admin("GET", "/keys/{hash}", OpenRouter::get_key),
    admin("PATCH", "/keys/{hash}", OpenRouter::update_key),
    admin("DELETE", "/keys/{hash}", OpenRouter::delete_key),
    admin("GET", "/guardrails", guardrails::list),
    admin("POST", "/guardrails", guardrails::create),
    admin("GET", "/guardrails/{id}", guardrails::get),
    admin("DELETE", "/guardrails/{id}", guardrails::delete),
    admin("GET", "/guardrails/{id}/assignments/keys", guardrails::list_keys),
    admin("POST", "/guardrails/{id}/assignments/keys", guardrails::assign_keys),
    admin("POST", "/guardrails/{id}/assignments/keys/remove", guardrails::unassign_keys),
    admin("GET", "/workspaces", OpenRouter::list_workspaces),
    open("POST", "/oauth/token", federation::exchange),
    key("POST", "/chat/completions", OpenRouter::complete),
    key("GET", "/models", OpenRouter::models),
];

pub struct OpenRouter {
    management_key: String,
    pub keys: Book<KeyLimits>,
    pub guardrails: Vec<Guardrail>,
    pub federation: Federation,
    workspaces: Vec<(&'static str, &'static str)>,
    started: i64,
}

pub struct KeyLimits {
    workspace: String,
    disabled: bool,
    limit: Option<f64>,
    limit_reset: Value,
    include_byok_in_limit: bool,
    creator_user_id: Value,
    usage: f64,
    updated: Option<i64>,
}

impl OpenRouter {
    pub fn seeded(management_key: &str, at: Moment) -> Self {
        Self {
            management_key: management_key.into(),
            keys: Book::default(),
            guardrails: Vec::new(),
            federation: Federation::default(),
            workspaces: vec![(DEFAULT_WORKSPACE, "default"), (OTHER_WORKSPACE, "other")],
            started: at.ms,
        }
    }

    fn current_key(&mut self, call: &Call) -> Outcome {
        let is_management_key = self.manages(secret(call)?, call.at);
        let mut shown = if is_management_key {
            let limits = KeyLimits::new(&Map::new(), DEFAULT_WORKSPACE);
            show(&Record::new("", "", &self.management_key, call.at, limits))
        } else {
            show(self.caller(call)?)
        };
        shown["is_free_tier"] = json!(false);
        shown["is_management_key"] = json!(is_management_key);
        shown["is_provisioning_key"] = json!(is_management_key);
        shown["rate_limit"] = json!({"requests": -1, "interval": "10s", "note": "This field is deprecated."});
        if let Some(shown) = shown.as_object_mut() {
            shown.retain(|name, _| {
                !["hash", "name", "disabled", "created_at", "updated_at", "workspace_id"].contains(&name.as_str())
            });
        }
        Ok(Answer::ok(json!({"data": shown})))
    }

    fn list_keys(&mut self, call: &Call) -> Outcome {
        let flag = |name| optional(name, Kind::Text(0, 10));
        let known = [OFFSET, WORKSPACE, flag("include_disabled"), flag("include_expired")];
        let query = call.checked_query(&known).map_err(refuse)?;
        let asked = |name: &str| query.get(name).and_then(Value::as_str) == Some("true");
        let workspace = self.workspace(&query)?;
        let listed = self.keys.listed(call.at).filter(|record| {
            record.more.workspace == workspace
                && (!record.more.disabled || asked("include_disabled"))
                && (!record.expired(call.at) || asked("include_expired"))
        });
        let page = listed.skip(offset(&query)).take(call.at.page_size(KEYS_PER_PAGE));
        Ok(Answer::ok(json!({"data": page.map(show).collect::<Vec<_>>()})))
    }

    fn create_key(&mut self, call: &Call) -> Outcome {
        let known = [
            required("name", NAME),
            nullable("limit", Kind::Number),
            nullable("limit_reset", INTERVAL),
            optional("include_byok_in_limit", Kind::Flag),
            nullable("expires_at", ID),
            nullable("creator_user_id", ID),
            WORKSPACE,
            optional("external", Kind::Object),
        ];
        let body = body(call, &known)?;
        let workspace = self.workspace(&body)?;
        let expires = body.get("expires_at").and_then(Value::as_str).map(|text| expiry(text, call.at)).transpose()?;
        let own = body.get("external").and_then(|external| external.get("api_key")).and_then(Value::as_str);
        if own.is_some_and(|own| own.len() < OWN_SECRET_MIN) {
            return Err(error(400, &format!("external.api_key: must have at least {OWN_SECRET_MIN} characters")));
        }
        let secret = own.map_or_else(|| random("sk-or-v1-"), str::to_owned);
        let hash = sha256_hex(&secret);
        if self.keys.get(&hash).is_some() {
            return Err(error(400, "external.api_key: this key exists already"));
        }
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        let mut record = Record::new(&hash, name, &secret, call.at, KeyLimits::new(&body, &workspace));
        record.expires = expires;
        let record = self.keys.add(record);
        Ok(Answer::new(201, json!({"key": record.secret, "data": show(record)})))
    }

    fn get_key(&mut self, call: &Call) -> Outcome {
        let record = self.keys.get(call.param(0)).ok_or_else(|| not_found("API key"))?;
        Ok(Answer::ok(json!({"data": show(record)})))
    }

    /// The vendor has no `expires_at` here: a key's end is fixed when it is made.
    fn update_key(&mut self, call: &Call) -> Outcome {
        let known = [
            optional("name", NAME),
            optional("disabled", Kind::Flag),
            nullable("limit", Kind::Number),
            nullable("limit_reset", INTERVAL),
            optional("include_byok_in_limit", Kind::Flag),
            WORKSPACE,
        ];
        let body = body(call, &known)?;
        let workspace = self.workspace(&body)?;
        let record = self.keys.get_mut(call.param(0)).ok_or_else(|| not_found("API key"))?;
        for (name, value) in &body {
            match name.as_str() {
                "name" => record.name = value.as_str().map(str::to_owned),
                "disabled" => record.more.disabled = value == &Value::Bool(true),
                "limit" => record.more.limit = value.as_f64(),
                "limit_reset" => record.more.limit_reset = value.clone(),
                "include_byok_in_limit" => record.more.include_byok_in_limit = value == &Value::Bool(true),
                "workspace_id" => record.more.workspace.clone_from(&workspace),
                _ => {}
            }
        }
        record.more.updated = Some(call.at.ms);
        Ok(Answer::ok(json!({"data": show(record)})))
    }

    fn delete_key(&mut self, call: &Call) -> Outcome {
        if !self.delete_by_hand(call.param(0), call.at) {
            return Err(not_found("API key"));
        }
        Ok(Answer::ok(json!({"deleted": true})))
    }

    fn list_workspaces(&mut self, call: &Call) -> Outcome {
        let shown = self.workspaces.iter().map(|(id, slug)| {
            json!({
                "id": id, "default_guardrail_id": id, "name": slug, "slug": slug, "description": null,
                "default_text_model": null, "default_image_model": null, "default_provider_sort": null,
                "is_observability_io_logging_enabled": false, "is_observability_broadcast_enabled": false,
                "is_data_discount_logging_enabled": false, "io_logging_sampling_rate": 1, "io_logging_api_key_ids": null,
                "created_at": rfc3339(self.started), "updated_at": null, "created_by": null,
            })
        });
        page(call, shown.collect())
    }

    fn models(&mut self, call: &Call) -> Outcome {
        Ok(Answer::ok(inference::models(MODELS, "openrouter", call.at)))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let token = self.federation.holder(secret(call)?, call.at).is_some_and(|token| token.scope == "inference");
        let hash = if token { String::new() } else { self.caller(call)?.id.clone() };
        let model = inference::asked_model(call).map_err(refuse)?;
        if !MODELS.contains(&model) {
            return Err(error(400, &format!("{model} is not a valid model ID")));
        }
        if self.guardrails.iter().any(|guardrail| guardrail.refuses(&hash, model)) {
            return Err(error(404, "No endpoints available matching your guardrail restrictions and data policy."));
        }
        if token {
            return Ok(Answer::ok(inference::completion(model, call.at)));
        }
        let record = self.caller(call)?;
        if record.more.limit.is_some_and(|limit| record.more.usage + inference::COST > limit) {
            return Err(error(403, "Key limit exceeded (total limit)."));
        }
        record.more.usage += inference::COST;
        record.last_used = Some(call.at.ms);
        Ok(Answer::ok(inference::completion(model, call.at)))
    }

    /// The vendor says the same of an unknown, an expired and a deleted key.
    fn caller(&mut self, call: &Call) -> Result<&mut Record<KeyLimits>, Answer> {
        let secret = secret(call)?;
        if self.manages(secret, call.at) {
            return Err(error(403, "Management keys can't be used for completions."));
        }
        let holder = self.keys.holder(secret, call.at);
        let works = holder.filter(|record| !record.more.disabled && !record.expired(call.at));
        works.ok_or_else(|| error(401, "User not found."))
    }

    /// The management key, or a token that stands for one.
    fn manages(&self, secret: &str, at: Moment) -> bool {
        secret == self.management_key
            || self.federation.holder(secret, at).is_some_and(|token| token.scope == "management")
    }

    pub fn workspace(&self, given: &Map<String, Value>) -> Result<String, Answer> {
        let asked = given.get(WORKSPACE.name).and_then(Value::as_str).unwrap_or(DEFAULT_WORKSPACE);
        let found = self.workspaces.iter().any(|(id, _)| *id == asked);
        found.then(|| asked.to_owned()).ok_or_else(|| error(400, "workspace_id: no such workspace"))
    }
}

impl Vendor for OpenRouter {
    fn seen(&self, method: &str, path: &str) -> Option<Seen> {
        router::seen(ROUTES, method, path)
    }

    fn respond(&mut self, request: &Request, path: &str, at: Moment) -> Answer {
        let segments = router::segments(path);
        let (route, params) = match router::find(ROUTES, &request.method, &segments) {
            Found::Route(route, params) => (route, params),
            Found::WrongMethod => return error(405, "Method Not Allowed"),
            Found::Nothing => return not_found("Route"),
        };
        let call = Call { request, params, at };
        let outcome = match secret(&call) {
            _ if route.access == Access::Open => (route.run)(self, &call),
            Ok(secret) if route.access == Access::Key || self.manages(secret, at) => (route.run)(self, &call),
            Ok(_) => Err(error(401, "Invalid management key.")),
            Err(answer) => Err(answer),
        };
        outcome.unwrap_or_else(|answer| answer)
    }

    fn refusal(&self, _: &str, status: u16, message: &str) -> Answer {
        error(status, message)
    }

    fn snapshot(&mut self, at: Moment) -> Value {
        let guardrails: Vec<_> = self.guardrails.iter().map(Guardrail::show).collect();
        json!({
            "keys": self.keys.snapshot(at), "guardrails": {"live": guardrails}, "tokens": self.federation.snapshot(at),
        })
    }

    fn federation(&mut self) -> Option<&mut Federation> {
        Some(&mut self.federation)
    }

    fn examples(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("-federated", federation::example(url))]
    }

    fn delete_by_hand(&mut self, id: &str, at: Moment) -> bool {
        for guardrail in &mut self.guardrails {
            guardrail.keys.retain(|assigned| assigned.hash != id);
        }
        self.keys.delete(id, at)
    }
}

impl KeyLimits {
    fn new(body: &Map<String, Value>, workspace: &str) -> Self {
        let value = |name| body.get(name).cloned().unwrap_or(Value::Null);
        Self {
            workspace: workspace.into(),
            disabled: false,
            limit: body.get("limit").and_then(Value::as_f64),
            limit_reset: value("limit_reset"),
            include_byok_in_limit: value("include_byok_in_limit") == Value::Bool(true),
            creator_user_id: value("creator_user_id"),
            usage: 0.0,
            updated: None,
        }
    }
}

pub fn label(secret: &str) -> String {
    let ends = |from, to| secret.get(from..to).unwrap_or_default();
    format!("{}...{}", ends(0, 12.min(secret.len())), ends(secret.len().saturating_sub(3), secret.len()))
}

/// An offset page with the total, as guardrails, assignments and workspaces have it.
pub fn page(call: &Call, items: Vec<Value>) -> Outcome {
    let query = call.checked_query(&[OFFSET, LIMIT]).map_err(refuse)?;
    let asked = query.get(LIMIT.name).and_then(Value::as_u64).unwrap_or(50);
    let size = call.at.page_size(usize::try_from(asked).unwrap_or(usize::MAX));
    let total = items.len();
    let shown: Vec<_> = items.into_iter().skip(offset(&query)).take(size).collect();
    Ok(Answer::ok(json!({"data": shown, "total_count": total})))
}

/// The request's JSON object, checked; the vendor's schemas leave room for unknown fields, which do nothing.
pub fn body(call: &Call, known: &[Field]) -> Result<Map<String, Value>, Answer> {
    let Body::Json(Value::Object(given)) = &call.request.body else {
        return Err(error(400, "Invalid JSON in request body"));
    };
    fields::check(given, known, Unknown::Ignore).map_err(refuse)?;
    Ok(given.clone())
}

pub fn refuse(wrong: Wrong) -> Answer {
    let field = wrong.field;
    let problem = match wrong.problem {
        Problem::Missing => "is required".to_owned(),
        Problem::Unknown => "is unknown".to_owned(),
        Problem::Type { expected, got } => format!("expected {expected}, received {got}"),
        Problem::Below { least, .. } => format!("must be at least {least}"),
        Problem::Above { most, .. } => format!("must be at most {most}"),
        Problem::Short { least } => format!("must have a length of at least {least}"),
        Problem::Long { most } => format!("must have a length of at most {most}"),
        Problem::Choice { choices, .. } => format!("must be one of {}", choices.join(", ")),
    };
    error(400, &format!("{field}: {problem}"))
}

pub fn not_found(what: &str) -> Answer {
    error(404, &format!("{what} not found"))
}

pub fn error(status: u16, message: &str) -> Answer {
    Answer::new(status, json!({"error": {"code": status, "message": message}}))
}

fn secret<'a>(call: &Call<'a>) -> Result<&'a str, Answer> {
    call.request.bearer.as_deref().ok_or_else(|| error(401, "No auth credentials found"))
}

fn offset(query: &Map<String, Value>) -> usize {
    query.get(OFFSET.name).and_then(Value::as_u64).and_then(|skip| usize::try_from(skip).ok()).unwrap_or(0)
}

/// UTC and with seconds: the vendor refuses other zones and the short form.
fn expiry(text: &str, at: Moment) -> Result<i64, Answer> {
    let utc = text.ends_with('Z') || text.ends_with("+00:00");
    match DateTime::parse_from_rfc3339(text) {
        Ok(time) if utc && time.timestamp_millis() > at.ms => Ok(time.timestamp_millis()),
        Ok(_) if utc => Err(error(400, "expires_at: must be in the future")),
        _ => Err(error(400, "expires_at: must be an ISO 8601 UTC timestamp with seconds")),
    }
}

fn show(record: &Record<KeyLimits>) -> Value {
    let more = &record.more;
    json!({
        "hash": record.id, "name": record.name, "label": label(&record.secret), "disabled": more.disabled,
        "limit": more.limit, "limit_remaining": more.limit.map(|limit| (limit - more.usage).max(0.0)),
        "limit_reset": more.limit_reset, "include_byok_in_limit": more.include_byok_in_limit,
        "usage": more.usage, "usage_daily": more.usage, "usage_weekly": more.usage, "usage_monthly": more.usage,
        "byok_usage": 0, "byok_usage_daily": 0, "byok_usage_weekly": 0, "byok_usage_monthly": 0,
        "created_at": rfc3339(record.created), "updated_at": more.updated.map(rfc3339),
        "expires_at": record.expires.map(rfc3339), "last_used_at": record.last_used.map(rfc3339),
        "creator_user_id": more.creator_user_id, "workspace_id": more.workspace,
    })
}
