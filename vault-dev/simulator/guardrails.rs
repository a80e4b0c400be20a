//! OpenRouter's guardrails: what narrows a key to certain models, in a second step after the key is made.

use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::fields::{Field, Kind, nullable, optional, required};
use crate::openrouter::{INTERVAL, OpenRouter, WORKSPACE, body, error, label, not_found, page, refuse};
use crate::request::Call;
use crate::router::{Answer, Outcome};

pub struct Guardrail {
    id: String,
    workspace: String,
    created: i64,
    /// What the caller sent, checked: the simulator enforces the two lists of models, the rest is kept and shown.
    given: Map<String, Value>,
    pub keys: Vec<Assigned>,
}

pub struct Assigned {
    id: String,
    pub hash: String,
    created: i64,
}

pub fn list(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    let query = call.checked_query(&[WORKSPACE]).map_err(refuse)?;
    let asked = query.get(WORKSPACE.name).and_then(Value::as_str);
    let wanted =
        openrouter.guardrails.iter().filter(|guardrail| asked.is_none_or(|asked| guardrail.workspace == asked));
    page(call, wanted.map(Guardrail::show).collect())
}

pub fn create(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    let list = |name| nullable(name, Kind::SomeTexts);
    let flag = |name| nullable(name, Kind::Flag);
    let known: [Field; 19] = [
        required("name", Kind::Text(1, 200)),
        nullable("description", Kind::Text(0, 1000)),
        list("allowed_models"),
        list("ignored_models"),
        list("allowed_providers"),
        list("ignored_providers"),
        nullable("limit_usd", Kind::Number),
        nullable("reset_interval", INTERVAL),
        optional("include_byok_in_budgets", Kind::Flag),
        flag("enforce_zdr"),
        flag("enforce_zdr_anthropic"),
        flag("enforce_zdr_openai"),
        flag("enforce_zdr_google"),
        flag("enforce_zdr_xai"),
        flag("enforce_zdr_other"),
        flag("enable_free_model_publication"),
        flag("enable_free_model_training"),
        flag("enable_paid_model_training"),
        WORKSPACE,
    ];
    let mut given = body(call, &known)?;
    let set = |name: &str| given.get(name).is_some_and(|value| !value.is_null());
    if set("limit_usd") != set("reset_interval") {
        return Err(error(400, "limit_usd and reset_interval must be set together"));
    }
    let workspace = openrouter.workspace(&given)?;
    given.retain(|name, _| known.iter().any(|field| field.name == name.as_str()));
    let id = uuid::Uuid::new_v4().to_string();
    let guardrail = Guardrail { id, workspace, created: call.at.ms, given, keys: Vec::new() };
    let shown = guardrail.show();
    openrouter.guardrails.push(guardrail);
    Ok(Answer::new(201, json!({"data": shown})))
}

pub fn get(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    find(openrouter, call).map(|guardrail| Answer::ok(json!({"data": guardrail.show()})))
}

pub fn delete(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    let id = find(openrouter, call)?.id.clone();
    openrouter.guardrails.retain(|guardrail| guardrail.id != id);
    Ok(Answer::ok(json!({"deleted": true})))
}

pub fn list_keys(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    let guardrail = find(openrouter, call)?;
    let (id, assigned) = (&guardrail.id, &guardrail.keys);
    let shown = assigned.iter().filter_map(|assigned| {
        let record = openrouter.keys.get(&assigned.hash)?;
        Some(json!({
            "id": assigned.id, "key_hash": assigned.hash, "guardrail_id": id, "key_name": record.name,
            "key_label": label(&record.secret), "assigned_by": null, "created_at": rfc3339(assigned.created),
        }))
    });
    page(call, shown.collect())
}

pub fn assign_keys(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    let hashes = hashes(openrouter, call)?;
    if hashes.iter().any(|hash| openrouter.keys.get(hash).is_none()) {
        return Err(error(400, "key_hashes: no such API key"));
    }
    let guardrail = find_mut(openrouter, call)?;
    let before = guardrail.keys.len();
    for hash in hashes {
        if guardrail.keys.iter().all(|assigned| assigned.hash != hash) {
            guardrail.keys.push(Assigned { id: uuid::Uuid::new_v4().to_string(), hash, created: call.at.ms });
        }
    }
    Ok(Answer::ok(json!({"assigned_count": guardrail.keys.len() - before})))
}

pub fn unassign_keys(openrouter: &mut OpenRouter, call: &Call) -> Outcome {
    let hashes = hashes(openrouter, call)?;
    let guardrail = find_mut(openrouter, call)?;
    let before = guardrail.keys.len();
    guardrail.keys.retain(|assigned| !hashes.contains(&assigned.hash));
    Ok(Answer::ok(json!({"unassigned_count": before - guardrail.keys.len()})))
}

impl Guardrail {
    pub fn refuses(&self, hash: &str, model: &str) -> bool {
        let names = |list: &str| self.given.get(list).and_then(Value::as_array);
        let holds = |list: &Vec<Value>| list.iter().any(|name| name == model);
        self.keys.iter().any(|assigned| assigned.hash == hash)
            && (names("allowed_models").is_some_and(|list| !holds(list)) || names("ignored_models").is_some_and(holds))
    }

    pub fn show(&self) -> Value {
        let mut shown = self.given.clone();
        shown.entry("include_byok_in_budgets").or_insert(Value::Bool(false));
        shown.insert("id".into(), json!(self.id));
        shown.insert("workspace_id".into(), json!(self.workspace));
        shown.insert("created_at".into(), json!(rfc3339(self.created)));
        shown.insert("updated_at".into(), Value::Null);
        Value::Object(shown)
    }
}

fn find<'a>(openrouter: &'a OpenRouter, call: &Call) -> Result<&'a Guardrail, Answer> {
    let found = openrouter.guardrails.iter().find(|guardrail| guardrail.id == call.param(0));
    found.ok_or_else(|| not_found("Guardrail"))
}

fn find_mut<'a>(openrouter: &'a mut OpenRouter, call: &Call) -> Result<&'a mut Guardrail, Answer> {
    let found = openrouter.guardrails.iter_mut().find(|guardrail| guardrail.id == call.param(0));
    found.ok_or_else(|| not_found("Guardrail"))
}

fn hashes(openrouter: &OpenRouter, call: &Call) -> Result<Vec<String>, Answer> {
    find(openrouter, call)?;
    let body = body(call, &[required("key_hashes", Kind::SomeTexts)])?;
    let hashes = body.get("key_hashes").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Ok(hashes.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
