//! Everything that changes, behind the one lock: vendors, faults, settings and the record of admin requests.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clock::{Moment, Settings};
use crate::faults::Faults;
use crate::litellm::{self, LiteLlm};
use crate::openai::{self, OpenAi};
use crate::openrouter::{self, OpenRouter};
use crate::plain::Plain;
use crate::request::{Body, Request};
use crate::router::{Access, Vendor};
use crate::vendors;

/// How many admin requests are kept for `GET /_control/requests`.
const RECORDS_MAX: usize = 2000;

pub struct World {
    pub credentials: Credentials,
    pub vendors: Vec<Mounted>,
    pub settings: Settings,
    pub faults: Faults,
    pub records: Records,
}

#[derive(Clone, Serialize)]
pub struct Credentials {
    pub openai: String,
    pub openrouter: String,
    pub litellm: String,
}

pub struct Mounted {
    pub name: &'static str,
    pub prefix: &'static str,
    pub vendor: Box<dyn Vendor>,
}

impl Mounted {
    pub fn plain<V: Plain + Default>(name: &'static str, prefix: &'static str) -> Self {
        Self { name, prefix, vendor: Box::new(V::default()) }
    }
}

#[derive(Default)]
pub struct Records {
    last: VecDeque<Value>,
    counts: BTreeMap<String, u64>,
}

impl World {
    pub fn new(credentials: Credentials) -> Self {
        let settings = Settings::default();
        let at = settings.now();
        let mut vendors = vec![
            Mounted {
                name: "openai",
                prefix: openai::PREFIX,
                vendor: Box::new(OpenAi::seeded(&credentials.openai, at)),
            },
            Mounted {
                name: "openrouter",
                prefix: openrouter::PREFIX,
                vendor: Box::new(OpenRouter::seeded(&credentials.openrouter, at)),
            },
            Mounted {
                name: "litellm",
                prefix: litellm::PREFIX,
                vendor: Box::new(LiteLlm::seeded(&credentials.litellm)),
            },
        ];
        vendors.extend(vendors::all());
        Self { credentials, vendors, settings, faults: Faults::default(), records: Records::default() }
    }

    pub fn now(&self) -> Moment {
        self.settings.now()
    }

    /// Whose path this is, and what is left of it.
    pub fn mounted<'a>(&self, path: &'a str) -> Option<(usize, &'a str)> {
        self.vendors.iter().enumerate().find_map(|(place, mounted)| {
            let rest = path.strip_prefix(mounted.prefix)?;
            rest.starts_with('/').then_some((place, rest))
        })
    }

    /// Inference is not recorded, and a path no vendor knows is: it may be a client's mistake.
    pub fn record(&mut self, place: usize, rest: &str, request: &Request, status: Option<u16>) {
        let mounted = &self.vendors[place];
        let seen = mounted.vendor.seen(&request.method, rest);
        if seen.is_some_and(|seen| seen.access == Access::Key) {
            return;
        }
        let route = seen.map_or("(no route)", |seen| seen.path);
        let name = format!("{} {}{route}", request.method, mounted.prefix);
        self.records.add(mounted.name, name, request, status);
    }
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            openai: "sk-admin-simulator-openai-0000000000000001".into(),
            openrouter: "sk-or-v1-management-simulator-0000000000000001".into(),
            litellm: "sk-master-simulator-litellm-0000000000000001".into(),
        }
    }
}

impl Records {
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    pub fn last(&self) -> &VecDeque<Value> {
        &self.last
    }

    fn add(&mut self, vendor: &str, route: String, request: &Request, status: Option<u16>) {
        let query = request.query.iter().map(|(name, value)| (name.clone(), without_secrets(name, &json!(value))));
        let body = match &request.body {
            Body::None => Value::Null,
            Body::Malformed => json!("(malformed)"),
            Body::Form(_) => json!("(a form)"),
            Body::Json(body) => without_secrets("", body),
        };
        self.last.push_back(json!({
            "vendor": vendor, "method": request.method, "path": request.path, "route": route,
            "query": query.collect::<Map<_, _>>(), "body": body, "status": status,
        }));
        if self.last.len() > RECORDS_MAX {
            self.last.pop_front();
        }
        *self.counts.entry(route).or_default() += 1;
    }
}

/// Keeps the shape of a body, so that it can still be held against a specification.
fn without_secrets(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with("sk-") || name == "api_key" => json!("(kept out)"),
        Value::Array(items) => items.iter().map(|item| without_secrets(name, item)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), without_secrets(name, value))).collect()
        }
        other => other.clone(),
    }
}
