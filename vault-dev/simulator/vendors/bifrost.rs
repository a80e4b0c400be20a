//! Bifrost's virtual keys, after the vendor's OpenAPI document and source of 2026-11: what a key does not name, it may not use.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{self, Field, ID, Kind, NAME, Unknown, nullable, optional, required};
use crate::plain::{Attempt, Example, Plain, asked_model, text, texts, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const USER: &str = "simulator";
const PASSWORD: &str = "Simulator-Password-0001!";

const ROUTES: &[Route<Bifrost>] = &[
    admin("POST", "/api/governance/virtual-keys", Bifrost::create),
    admin("GET", "/api/governance/virtual-keys", Bifrost::list),
    admin("DELETE", "/api/governance/virtual-keys/{vk_id}", Bifrost::delete),
    key("POST", "/v1/chat/completions", Bifrost::complete),
];

const LIMIT: [Field; 4] = [
    optional("token_max_limit", Kind::Whole(1, i64::MAX)),
    optional("token_reset_duration", ID),
    optional("request_max_limit", Kind::Whole(1, i64::MAX)),
    optional("request_reset_duration", ID),
];

#[derive(Default)]
pub struct Bifrost {
    /// With the body that made it.
    keys: Book<Map<String, Value>>,
}

impl Bifrost {
    fn create(&mut self, call: &Call) -> Outcome {
        let known = [
            required("name", NAME),
            optional("description", NAME),
            optional("provider_configs", Kind::List),
            optional("mcp_configs", Kind::List),
            optional("team_id", ID),
            optional("customer_id", ID),
            optional("budgets", Kind::List),
            optional("rate_limit", Kind::Object),
            optional("is_active", Kind::Flag),
            optional("calendar_aligned", Kind::Flag),
        ];
        let body = Self::body(call, &known)?;
        parts(&body)?;
        let name = text(&body, "name").to_owned();
        if self.keys.existing().any(|record| record.name.as_deref() == Some(name.as_str())) {
            return Err(Self::error(400, "a virtual key with this name already exists"));
        }
        let secret = random("sk-bf-");
        let record = self.keys.add(Record::new(&Uuid::new_v4().to_string(), &name, &secret, call.at, body));
        Ok(Answer::ok(json!({"message": "Virtual key created successfully", "virtual_key": show(record)})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        let (offset, limit) = (Self::number(call, "offset", 0)?, Self::number(call, "limit", 25)?.min(100));
        let part = call.query("search").unwrap_or_default().to_lowercase();
        let named = |record: &&Record<_>| record.name.as_deref().unwrap_or_default().to_lowercase().contains(&part);
        let all: Vec<_> = self.keys.listed(call.at).filter(named).collect();
        let size = call.at.page_size(limit);
        let page: Vec<_> = all.iter().skip(offset).take(size).map(|record| show(record)).collect();
        Ok(Answer::ok(json!({
            "count": page.len(), "virtual_keys": page, "total_count": all.len(), "limit": limit, "offset": offset,
        })))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        if !self.keys.delete(call.param(0), call.at) {
            return Err(Self::error(404, "Virtual key not found"));
        }
        Ok(Answer::ok(json!({"message": "Virtual key deleted successfully"})))
    }

    /// A model is asked for as `provider/model`.
    fn complete(&mut self, call: &Call) -> Outcome {
        let asked = asked_model(call);
        let (provider, model) = asked.split_once('/').unwrap_or(("", &asked));
        let record = self.caller(call.request.bearer.as_deref(), call.at)?;
        let permits = |config: &Value| {
            let models = texts(config.get("allowed_models"));
            let keys = texts(config.get("key_ids"));
            config["provider"] == provider && !keys.is_empty() && models.iter().any(|name| name == "*" || name == model)
        };
        if !record
            .more
            .get("provider_configs")
            .and_then(Value::as_array)
            .is_some_and(|configs| configs.iter().any(permits))
        {
            return Err(Self::error(403, "model is not allowed for this virtual key"));
        }
        works()
    }
}

impl Plain for Bifrost {
    type Key = Map<String, Value>;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.basic().is_some_and(|(user, password)| user == USER && password == PASSWORD)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"is_bifrost_error": false, "status_code": status, "error": {"message": message}}))
    }

    fn keys(&mut self) -> &mut Book<Map<String, Value>> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"admin_username": USER, "admin_password": PASSWORD, "api_url": format!("{url}/bifrost")}),
            role: json!({
                "providers": ["openai"], "models": ["gpt-4o-mini"], "budget": 5, "budget_period": "1d", "rpm": 60,
                "tpm": 100_000,
            }),
            attempt: Attempt::chat("/bifrost/v1/chat/completions", "openai/gpt-4o-mini", Some("openai/gpt-4o")),
        }
    }
}

/// What the parts of a body must hold.
fn parts(body: &Map<String, Value>) -> Result<(), Answer> {
    let check = |value: &Value, known: &[Field]| {
        let given = value.as_object().cloned().unwrap_or_default();
        fields::check(&given, known, Unknown::Refuse)
            .map_err(|wrong| Bifrost::error(400, &format!("{} is invalid", wrong.field)))
    };
    let config = [
        required("provider", ID),
        nullable("weight", Kind::Number),
        optional("allowed_models", Kind::Texts),
        optional("key_ids", Kind::Texts),
    ];
    let each = |name: &str, known: &[Field]| {
        let items = body.get(name).and_then(Value::as_array).into_iter().flatten();
        items.map(|item| check(item, known)).collect::<Result<Vec<()>, _>>().map(drop)
    };
    each("provider_configs", &config)?;
    each("budgets", &[required("max_limit", Kind::Number), required("reset_duration", ID)])?;
    body.get("rate_limit").map_or(Ok(()), |limit| check(limit, &LIMIT))?;
    if body.contains_key("team_id") && body.contains_key("customer_id") {
        return Err(Bifrost::error(400, "a virtual key belongs to a team or to a customer"));
    }
    Ok(())
}

/// The vendor lists the values too.
fn show(record: &Record<Map<String, Value>>) -> Value {
    let mut shown = json!({
        "id": record.id, "name": record.name, "value": record.secret, "is_active": true, "mcp_configs": [],
        "calendar_aligned": false, "config_hash": "simulator", "created_at": rfc3339(record.created),
        "updated_at": rfc3339(record.created),
    });
    for name in ["provider_configs", "budgets", "rate_limit", "team_id"] {
        if let Some(value) = record.more.get(name) {
            shown[name] = value.clone();
        }
    }
    shown
}
