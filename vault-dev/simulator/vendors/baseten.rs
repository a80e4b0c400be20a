//! Baseten's management API, after its SDK 0.13.1: a key is told once and named by what is before its full stop.

use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{ID, Kind, NAME, nullable, required};
use crate::plain::{Attempt, Example, Plain, asked_model, text, texts, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "simadmin.management-key-0001";
const TYPES: [&str; 6] = [
    "PERSONAL",
    "ROUTES",
    "WORKSPACE_MANAGE_ALL",
    "WORKSPACE_EXPORT_METRICS",
    "WORKSPACE_INVOKE",
    "WORKSPACE_MANAGE_API_KEYS",
];

const ROUTES: &[Route<Baseten>] = &[
    admin("POST", "/v1/api_keys", Baseten::create),
    admin("GET", "/v1/api_keys", Baseten::list),
    admin("DELETE", "/v1/api_keys/{prefix}", Baseten::delete),
    key("POST", "/inference/v1/chat/completions", Baseten::complete),
];

#[derive(Default)]
pub struct Baseten {
    keys: Book<Scope>,
}

pub struct Scope {
    kind: String,
    models: Option<Vec<String>>,
}

impl Baseten {
    fn create(&mut self, call: &Call) -> Outcome {
        let known = [
            nullable("name", NAME),
            required("type", Kind::OneOf(&TYPES)),
            nullable("model_ids", Kind::Texts),
            nullable("team_id", ID),
        ];
        let body = Self::body(call, &known)?;
        let kind = text(&body, "type").to_owned();
        let models = body.get("model_ids").filter(|models| !models.is_null()).map(|models| texts(Some(models)));
        if models.is_some() && !["WORKSPACE_EXPORT_METRICS", "WORKSPACE_INVOKE"].contains(&kind.as_str()) {
            return Err(Self::error(400, "model_ids are not supported for this type"));
        }
        if body.contains_key("team_id") && ["PERSONAL", "WORKSPACE_MANAGE_API_KEYS"].contains(&kind.as_str()) {
            return Err(Self::error(400, "team_id is not supported for this type"));
        }
        let prefix = random("")[..8].to_owned();
        let secret = format!("{prefix}.{}", random(""));
        self.keys.add(Record::new(&prefix, text(&body, "name"), &secret, call.at, Scope { kind, models }));
        Ok(Answer::ok(json!({"api_key": secret})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        let of_type = |record: &&Record<Scope>| call.query("type").is_none_or(|kind| kind == record.more.kind);
        let keys: Vec<_> = self.keys.listed(call.at).filter(of_type).map(show).collect();
        Ok(Answer::ok(json!({"keys": keys})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        let prefix = call.param(0);
        if !self.keys.delete(prefix, call.at) {
            return Err(Self::error(404, "API key not found"));
        }
        Ok(Answer::ok(json!({"prefix": prefix})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let model = asked_model(call);
        let record = self.caller(call.request.bearer.as_deref(), call.at)?;
        let permitted = record.more.models.as_ref().is_none_or(|models| models.contains(&model));
        if record.more.kind != "WORKSPACE_INVOKE" || !permitted {
            return Err(Self::error(403, "This API key may not call this model"));
        }
        works()
    }
}

impl Plain for Baseten {
    type Key = Scope;

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"error": message}))
    }

    fn keys(&mut self) -> &mut Book<Scope> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "management_key": ADMIN, "api_url": format!("{url}/baseten"),
                "base_url": format!("{url}/baseten/inference/v1"),
            }),
            role: json!({"models": ["model01"]}),
            attempt: Attempt::chat("/baseten/inference/v1/chat/completions", "model01", Some("model02")),
        }
    }
}

fn show(record: &Record<Scope>) -> Value {
    json!({
        "prefix": record.id, "name": record.name, "type": record.more.kind, "model_ids": record.more.models,
        "team_name": "simulator", "created_at": rfc3339(record.created), "last_used_at": null,
    })
}
