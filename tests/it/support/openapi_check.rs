//! Holds requests and answers against a vendor's OpenAPI document: statuses, required fields and JSON types, through every reference.
//!
//! Small on purpose: what the two documents in use need of JSON Schema, and no more.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::simulator::Simulator;
use serde_json::{Map, Value};

/// Deeper than any schema in use; a document that refers to itself must not hang a test.
const DEPTH_MAX: usize = 40;

pub struct Spec {
    document: Value,
    /// What the vendor takes by now although the document is older: (method, path, name of a body or query field).
    newer_fields: BTreeSet<(String, String, String)>,
    /// Whole operations that the document lacks, with the fields their answers must have.
    newer_operations: Vec<(String, String, Vec<String>)>,
}

/// Where the vendors' documents are: `VENDOR_SPECS`, or a folder beside the repository. They are not part of it; where
/// there are none, that is said.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("VENDOR_SPECS").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/specs");
    let folder = named.or(Some(beside)).filter(|folder| folder.is_dir());
    if folder.is_none() {
        println!("SKIPPED: no folder with the vendors' documents; name one in VENDOR_SPECS");
    }
    folder
}

/// OpenAI's document of August 2026, brought up to date by what was derived from a newer SDK.
pub fn openai(folder: &Path) -> Spec {
    let mut spec = Spec::new(read(&folder.join("openai-admin.openapi.json")));
    let derived = read(&folder.join("derived/openai-admin.sdk-3.54.0.json"));
    for operation in derived["operations"].as_array().unwrap() {
        spec.add_from_sdk(operation);
    }
    spec
}

/// OpenRouter's document, with the fields that SDK 1.3.84 has and the document lacks.
pub fn openrouter(folder: &Path) -> Spec {
    let mut spec = Spec::new(read(&folder.join("openrouter-management.openapi.json")));
    spec.also("GET", "/keys", "include_expired");
    spec.also("POST", "/keys", "external");
    spec.also("PATCH", "/keys/{hash}", "workspace_id");
    spec
}

/// A vendor's OpenAPI document, as it is.
pub fn document(folder: &Path, file: &str) -> Spec {
    Spec::new(read(&folder.join(file)))
}

/// A document of Swagger 2, put into the places where OpenAPI 3 has the same.
pub fn swagger(folder: &Path, file: &str) -> Spec {
    let mut document = read(&folder.join(file));
    let operations = document["paths"].as_object_mut().unwrap().values_mut();
    for operation in operations.flat_map(|operations| operations.as_object_mut().unwrap().values_mut()) {
        for response in operation["responses"].as_object_mut().unwrap().values_mut() {
            let schema = response["schema"].take();
            response["content"]["application/json"]["schema"] = schema;
        }
        let parameters = operation["parameters"].take();
        let (bodies, mut others): (Vec<Value>, Vec<Value>) =
            parameters.as_array().cloned().unwrap_or_default().into_iter().partition(|one| one["in"] == "body");
        for parameter in &mut others {
            parameter["schema"]["type"] = parameter["type"].clone();
        }
        if let Some(body) = bodies.first() {
            operation["requestBody"]["required"] = body["required"].clone();
            operation["requestBody"]["content"]["application/json"]["schema"] = body["schema"].clone();
        }
        operation["parameters"] = others.into();
    }
    Spec::new(document)
}

impl Spec {
    pub fn new(document: Value) -> Self {
        Self { document, newer_fields: BTreeSet::new(), newer_operations: Vec::new() }
    }

    pub fn also(&mut self, method: &str, path: &str, field: &str) {
        self.newer_fields.insert((method.into(), path.into(), field.into()));
    }

    /// What is wrong with an answer; nothing when the list is empty. `path` is without the base URL and without a query.
    pub fn check_answer(&self, method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
        let mut problems = Problems::new(self, false);
        let Some((template, operation)) = self.operation(method, path) else {
            return self.check_newer_answer(method, path, status, body);
        };
        match self.answer_schema(operation, status) {
            Some(schema) => problems.check(schema, body, "body", 0),
            None => problems.add("status", &format!("{status} is not documented for {method} {template}")),
        }
        problems.list
    }

    /// Holds the requests that the simulator has recorded and let through against the document: how many, and what is
    /// wrong with them.
    pub async fn check_recorded(&self, simulator: &Simulator, base: &str) -> (usize, Vec<String>) {
        let mut count = 0;
        let mut problems = Vec::new();
        for request in simulator.get("/_control/requests").await["requests"].as_array().unwrap() {
            let Some(path) = request["path"].as_str().unwrap().strip_prefix(base) else { continue };
            if request["status"].as_u64().is_some_and(|status| status < 300) {
                count += 1;
                let method = request["method"].as_str().unwrap();
                let found = self.check_request(method, path, request["query"].as_object().unwrap(), &request["body"]);
                problems.extend(found.into_iter().map(|problem| format!("request {method} {path}: {problem}")));
            }
        }
        (count, problems)
    }

    /// What is wrong with a request: unknown path, method, query or body field, missing or mistyped ones.
    pub fn check_request(&self, method: &str, path: &str, query: &Map<String, Value>, body: &Value) -> Vec<String> {
        let Some((template, operation)) = self.operation(method, path) else {
            return self.check_newer_request(method, path, body);
        };
        let mut problems = Problems::new(self, true);
        let parameters =
            operation["parameters"].as_array().into_iter().flatten().map(|parameter| self.resolve(parameter));
        let parameters: Vec<_> = parameters.filter(|parameter| parameter["in"] == "query").collect();
        for (name, text) in query {
            let place = format!("query {name}");
            match parameters.iter().find(|parameter| parameter["name"] == name.as_str()) {
                Some(parameter) => problems.check_query(&parameter["schema"], text, &place),
                None => problems.add(&place, "is unknown"),
            }
        }
        for parameter in parameters.iter().filter(|parameter| parameter["required"] == true) {
            if !query.contains_key(parameter["name"].as_str().unwrap()) {
                problems.add(&format!("query {}", parameter["name"]), "is required");
            }
        }
        let expected = self.resolve(&operation["requestBody"]);
        match &expected["content"]["application/json"]["schema"] {
            Value::Null if body.is_null() => {}
            Value::Null => problems.add("body", "is not expected"),
            _ if body.is_null() && expected["required"] != true => {}
            schema => problems.check(schema, body, "body", 0),
        }
        let newer = self.newer_fields.iter().filter(|(known, path, _)| known == method && path == template);
        let newer: Vec<_> = newer
            .flat_map(|(_, _, name)| ["query ", "body."].map(|place| format!("{place}{name}: is unknown")))
            .collect();
        problems.list.retain(|problem| !newer.contains(problem));
        problems.list
    }

    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let paths = self.document["paths"].as_object()?;
        // Some documents have a path once for each method, with other names of the same placeholders.
        let operations =
            paths.iter().filter(|(template, _)| fits(template, path)).filter_map(|(template, operations)| {
                operations.get(method.to_lowercase()).map(|operation| (template.as_str(), operation))
            });
        // `/keys/mine` would fit `/keys/{id}` too: the fewer placeholders, the better.
        operations.min_by_key(|(template, _)| template.matches('{').count())
    }

    /// OpenAI documents hardly any error status, but one error body for all.
    fn answer_schema<'a>(&'a self, operation: &'a Value, status: u16) -> Option<&'a Value> {
        let documented =
            &self.resolve(&operation["responses"][status.to_string()])["content"]["application/json"]["schema"];
        let general = &self.document["components"]["schemas"]["ErrorResponse"];
        let found = if documented.is_null() && status >= 400 { general } else { documented };
        (!found.is_null()).then_some(found)
    }

    fn add_from_sdk(&mut self, operation: &Value) {
        let (method, path) = (operation["method"].as_str().unwrap(), operation["path"].as_str().unwrap());
        for list in ["body_fields", "query_fields"] {
            for field in operation[list].as_array().unwrap() {
                self.also(method, path, field.as_str().unwrap());
            }
        }
        if self.operation(method, path).is_none() {
            let fields = operation["response_fields"].as_object().into_iter().flatten();
            let required = fields.filter(|(_, field)| field["required"] == true).map(|(name, _)| name.clone());
            self.newer_operations.push((method.into(), path.into(), required.collect()));
        }
    }

    fn newer_operation(&self, method: &str, path: &str) -> Option<&(String, String, Vec<String>)> {
        self.newer_operations.iter().find(|(known, template, _)| known == method && fits(template, path))
    }

    fn check_newer_answer(&self, method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
        let Some((_, _, required)) = self.newer_operation(method, path) else {
            return vec![format!("{method} {path} is in no document")];
        };
        let mut problems = Problems::new(self, false);
        if status >= 400 {
            problems.check(&self.document["components"]["schemas"]["ErrorResponse"], body, "body", 0);
        } else {
            for name in required.iter().filter(|name| body.get(name.as_str()).is_none()) {
                problems.add(name, "is required");
            }
        }
        problems.list
    }

    fn check_newer_request(&self, method: &str, path: &str, body: &Value) -> Vec<String> {
        let Some((_, template, _)) = self.newer_operation(method, path) else {
            return vec![format!("{method} {path} is in no document")];
        };
        let names = body.as_object().into_iter().flatten().map(|(name, _)| name);
        let unknown =
            names.filter(|name| !self.newer_fields.contains(&(method.into(), template.clone(), name.to_string())));
        unknown.map(|name| format!("body.{name}: is unknown")).collect()
    }

    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => self.document.pointer(pointer).unwrap_or(&Value::Null),
            None => value,
        }
    }
}

struct Problems<'a> {
    spec: &'a Spec,
    /// Unknown fields are a problem in a request; in an answer a vendor may add some.
    strict: bool,
    list: Vec<String>,
}

impl<'a> Problems<'a> {
    fn new(spec: &'a Spec, strict: bool) -> Self {
        Self { spec, strict, list: Vec::new() }
    }

    fn add(&mut self, place: &str, problem: &str) {
        self.list.push(format!("{place}: {problem}"));
    }

    fn check(&mut self, schema: &Value, value: &Value, place: &str, depth: usize) {
        let schema = self.spec.resolve(schema);
        if depth > DEPTH_MAX || (value.is_null() && schema["nullable"] == true) {
            return;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            // Each part knows its own fields only: the whole is what must be strict.
            let strict = std::mem::replace(&mut self.strict, false);
            self.check(part, value, place, depth + 1);
            self.strict = strict;
        }
        for choice in ["anyOf", "oneOf"].iter().filter_map(|choice| schema[*choice].as_array()) {
            self.check_choice(choice, value, place, depth);
        }
        if !has_type(&schema["type"], value) {
            return self.add(place, &format!("must be {}, is {}", schema["type"], name(value)));
        }
        if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
            self.add(place, &format!("{value} is none of {allowed:?}"));
        }
        if schema.get("const").is_some_and(|only| only != value) {
            self.add(place, &format!("must be {}", schema["const"]));
        }
        self.check_limits(schema, value, place);
        match value {
            Value::Object(fields) => self.check_object(schema, fields, place, depth),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{place}[{index}]"), depth + 1);
                }
            }
            _ => {}
        }
    }

    /// What the closest of several choices finds wrong: nothing, when one of them fits.
    fn check_choice(&mut self, choices: &[Value], value: &Value, place: &str, depth: usize) {
        let attempts = choices.iter().map(|choice| self.attempt(choice, value, place, depth + 1));
        let closest = attempts.min_by_key(Vec::len).unwrap_or_default();
        self.list.extend(closest);
    }

    /// A query parameter arrives as text, whatever its type.
    fn check_query(&mut self, schema: &Value, text: &Value, place: &str) {
        let parsed = text.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| text.clone());
        let attempts = [&parsed, text].map(|value| self.attempt(schema, value, place, 0));
        let closest = attempts.into_iter().min_by_key(Vec::len).unwrap_or_default();
        self.list.extend(closest);
    }

    fn attempt(&self, schema: &Value, value: &Value, place: &str, depth: usize) -> Vec<String> {
        let mut attempt = Problems::new(self.spec, self.strict);
        attempt.check(schema, value, place, depth);
        attempt.list
    }

    fn check_limits(&mut self, schema: &Value, value: &Value, place: &str) {
        let bounds = |least: &str, most: &str, size: f64| {
            schema[least].as_f64().is_some_and(|bound| size < bound)
                || schema[most].as_f64().is_some_and(|bound| size > bound)
        };
        let outside = match value {
            Value::Number(number) => bounds("minimum", "maximum", number.as_f64().unwrap()),
            Value::String(text) => bounds("minLength", "maxLength", text.chars().count() as f64),
            Value::Array(items) => bounds("minItems", "maxItems", items.len() as f64),
            _ => false,
        };
        if outside {
            self.add(place, &format!("{value} is out of bounds"));
        }
        let wrong_format = match (schema["format"].as_str(), value) {
            (Some("date-time"), Value::String(text)) => chrono::DateTime::parse_from_rfc3339(text).is_err(),
            (Some("uuid"), Value::String(text)) => uuid::Uuid::parse_str(text).is_err(),
            _ => false,
        };
        if wrong_format {
            self.add(place, &format!("{value} is no {}", schema["format"]));
        }
    }

    fn check_object(&mut self, schema: &Value, fields: &Map<String, Value>, place: &str, depth: usize) {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(required) {
                self.add(&format!("{place}.{required}"), "is required");
            }
        }
        let mut known = BTreeSet::new();
        self.known_fields(schema, &mut known, depth);
        for (name, value) in fields {
            let place = format!("{place}.{name}");
            if let Some(field) = schema["properties"].get(name) {
                self.check(field, value, &place, depth + 1);
            } else if schema["additionalProperties"].is_object() {
                self.check(&schema["additionalProperties"], value, &place, depth + 1);
            } else if self.strict && !known.is_empty() && !known.contains(name) {
                self.add(&place, "is unknown");
            }
        }
    }

    fn known_fields(&self, schema: &'a Value, known: &mut BTreeSet<String>, depth: usize) {
        let schema = self.spec.resolve(schema);
        if depth > DEPTH_MAX {
            return;
        }
        known.extend(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()));
        for part in ["allOf", "anyOf", "oneOf"].iter().filter_map(|choice| schema[*choice].as_array()).flatten() {
            self.known_fields(part, known, depth + 1);
        }
    }
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).expect("the document can be read"))
        .expect("the document is JSON")
}

fn fits(template: &str, path: &str) -> bool {
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(&path).all(|(part, given)| part.starts_with('{') || part == given)
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let one = |wanted: &str| match wanted {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => other == name(value),
    };
    match wanted {
        Value::String(wanted) => one(wanted),
        Value::Array(any) => any.iter().filter_map(Value::as_str).any(one),
        _ => true,
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let spec = Spec::new(serde_json::json!({
        "paths": {"/things/{id}": {"post": {
            "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}},
            "responses": {"200": {"content": {"application/json": {"schema": {"allOf": [
                {"$ref": "#/components/schemas/Thing"}, {"type": "object", "required": ["id"]},
            ]}}}}},
        }}},
        "components": {"schemas": {"Thing": {
            "type": "object", "required": ["name"],
            "properties": {"name": {"type": ["string", "null"]}, "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]}},
        }}},
    }));
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let answer = |status, body: &str| spec.check_answer("POST", "/things/1", status, &json(body)).join("; ");
    assert_eq!(answer(200, r#"{"name": null, "size": 3, "id": "x", "more": 1}"#), "");
    assert_eq!(
        answer(200, r#"{"name": 5}"#),
        r#"body.name: must be ["string","null"], is number; body.id: is required"#
    );
    assert_eq!(answer(200, r#"{"name": "x", "id": 1, "size": "big"}"#), r#"body.size: must be "integer", is string"#);
    assert_eq!(answer(404, "{}"), "status: 404 is not documented for POST /things/{id}");

    let request = |query: &str, body: &str| {
        spec.check_request("POST", "/things/1", json(query).as_object().unwrap(), &json(body)).join("; ")
    };
    assert_eq!(request(r#"{"limit": "5"}"#, r#"{"name": "x"}"#), "");
    assert_eq!(request(r#"{"limit": "500"}"#, r#"{"name": "x"}"#), "query limit: 500 is out of bounds");
    assert_eq!(
        request(r#"{"page": "5"}"#, r#"{"name": "x", "bogus": 1}"#),
        "query page: is unknown; body.bogus: is unknown"
    );
    assert_eq!(request("{}", "null"), r#"body: must be "object", is null"#);
}
