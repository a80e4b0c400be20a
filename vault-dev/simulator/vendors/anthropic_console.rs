//! Anthropic's Admin API for the keys that people make in its console, after its SDK 2.12.0: they are looked at, switched on
//! and off, and archived; no call makes one. Twelve are there from the start, none of them active.

use serde_json::{Map, Value, json};

use super::anthropic::error;
use crate::book::{Book, Record};
use crate::clock::{Moment, Settings, rfc3339};
use crate::fields::{Kind, NAME, optional};
use crate::plain::{Attempt, Example, Plain, text, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

/// An organization may have several.
const ADMINS: [&str; 2] = ["sk-ant-admin01-simulator-0001", "sk-ant-admin01-simulator-0002"];
const KEYS: usize = 12;

const ROUTES: &[Route<Console>] = &[
    admin("GET", "/v1/organizations/api_keys", Console::list),
    admin("GET", "/v1/organizations/api_keys/{id}", Console::get),
    admin("POST", "/v1/organizations/api_keys/{id}", Console::update),
    key("POST", "/v1/messages", Console::message),
];

const ACTIVE: &str = "active";
const STATUSES: &[&str] = &[ACTIVE, "inactive", "archived"];

/// A key's status is all that the simulator keeps beside what every key has.
pub struct Console {
    keys: Book<String>,
}

impl Default for Console {
    fn default() -> Self {
        let mut keys = Book::default();
        for number in 1..=KEYS {
            let (id, secret) =
                (format!("apikey_01sim{number:04}"), format!("sk-ant-api03-sim{number:04}-AAAA{number:04}"));
            let name = format!("console-{number}");
            keys.seed(Record::new(&id, &name, &secret, Settings::default().now(), "inactive".to_owned()));
        }
        Self { keys }
    }
}

impl Console {
    fn list(&mut self, call: &Call) -> Outcome {
        let limit = Self::number(call, "limit", 20)?;
        if !(1..=1000).contains(&limit) {
            return Err(Self::error(400, "limit: must be between 1 and 1000"));
        }
        let after = call.query("after_id").and_then(|id| self.keys.place(id)).map_or(0, |place| place + 1);
        let wanted = |record: &&Record<String>| call.query("status").is_none_or(|status| record.more == status);
        let all: Vec<_> = self.keys.listed(call.at).filter(wanted).collect();
        let behind = |record: &&&Record<String>| self.keys.place(&record.id).is_some_and(|place| place >= after);
        let size = call.at.page_size(limit);
        let page: Vec<_> = all.iter().filter(behind).take(size + 1).collect();
        let shown: Vec<_> = page.iter().take(size).map(|record| show(record)).collect();
        let id = |shown: Option<&Value>| shown.map(|key| key["id"].clone());
        Ok(Answer::ok(json!({
            "first_id": id(shown.first()), "last_id": id(shown.last()), "has_more": page.len() > shown.len(), "data": shown,
        })))
    }

    fn get(&mut self, call: &Call) -> Outcome {
        self.keys.get(call.param(0)).map(|record| Answer::ok(show(record))).ok_or_else(unknown)
    }

    fn update(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &[optional("name", NAME), optional("status", Kind::OneOf(STATUSES))])?;
        let record = self.keys.get_mut(call.param(0)).ok_or_else(unknown)?;
        if body.contains_key("name") {
            record.name = Some(text(&body, "name").to_owned());
        }
        if body.contains_key("status") {
            record.more = text(&body, "status").to_owned();
        }
        Ok(Answer::ok(show(record)))
    }

    fn message(&mut self, call: &Call) -> Outcome {
        if self.caller(call.request.header("x-api-key"), call.at)?.more != ACTIVE {
            return Err(Self::error(401, "invalid x-api-key"));
        }
        if call.request.header("anthropic-version").is_none() {
            return Err(Self::error(400, "anthropic-version: header is required"));
        }
        works()
    }
}

impl Plain for Console {
    type Key = String;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("x-api-key").is_some_and(|key| ADMINS.contains(&key))
    }

    fn error(status: u16, message: &str) -> Answer {
        error(status, message)
    }

    fn keys(&mut self) -> &mut Book<String> {
        &mut self.keys
    }

    fn more(&self, _: Moment) -> Map<String, Value> {
        let active = self.keys.existing().filter(|record| record.more == ACTIVE);
        Map::from_iter([("active".to_owned(), active.map(|record| record.id.as_str()).collect())])
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"admin_key": ADMINS[0], "api_url": format!("{url}/anthropic-console")}),
            role: json!({}),
            attempt: Attempt {
                method: "POST",
                path: "/anthropic-console/v1/messages",
                header: ("x-api-key", "{key}"),
                body: json!({"model": "claude-sonnet-4-6", "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]}),
                beyond: None,
            },
        }
    }
}

fn unknown() -> Answer {
    error(404, "API key not found")
}

fn show(record: &Record<String>) -> Value {
    let (secret, length) = (&record.secret, record.secret.len());
    json!({
        "id": record.id, "type": "api_key", "name": record.name, "status": record.more,
        "partial_key_hint": format!("{}...{}", &secret[..16], &secret[length - 4..]),
        "created_at": rfc3339(record.created), "created_by": {"id": "user_sim1", "type": "user"},
        "expires_at": record.expires.map(rfc3339), "workspace_id": null,
    })
}
