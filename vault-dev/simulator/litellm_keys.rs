//! LiteLLM's `/key` routes.

use serde_json::{Map, Value, json};

use crate::book::{Record, random, sha256_hex};
use crate::clock::{Moment, rfc3339};
use crate::fields::{Field, ID, Kind, nullable, optional, required};
use crate::litellm::{LiteLlm, body, detail, refusal, refuse};
use crate::request::Call;
use crate::router::{Answer, Outcome};

const SECRET_MIN: usize = 16;
const PAGE_SIZE: u64 = 10;
const KEY_TYPES: &[&str] = &["llm_api", "management", "read_only", "default"];
/// The proxy takes a negative limit without a word.
const COUNT: Kind = Kind::Whole(i64::MIN, i64::MAX);
const STATUSES: &[&str] = &["active", "expired", "revoked", "deleted"];

/// What generate and update both take, and the value a field has when nobody set it.
const SETTABLE: &[(Field, &str)] = &[
    (nullable("models", Kind::Texts), "[]"),
    (nullable("max_budget", Kind::Number), "null"),
    (nullable("budget_duration", ID), "null"),
    (nullable("rpm_limit", COUNT), "null"),
    (nullable("tpm_limit", COUNT), "null"),
    (nullable("max_parallel_requests", COUNT), "null"),
    (nullable("metadata", Kind::Object), "{}"),
    (nullable("team_id", ID), "null"),
    (nullable("user_id", ID), "null"),
    (nullable("allowed_routes", Kind::Texts), "[]"),
    (nullable("model_max_budget", Kind::Object), "{}"),
    (nullable("permissions", Kind::Object), "{}"),
];

pub struct VirtualKey {
    pub key_name: String,
    key_type: String,
    fields: Map<String, Value>,
    pub blocked: bool,
    pub spend: f64,
    pub minute: i64,
    pub in_minute: u64,
    updated: i64,
}

pub fn generate(litellm: &mut LiteLlm, call: &Call) -> Outcome {
    let mut known = settable();
    known.extend([
        nullable("key", ID),
        nullable("key_alias", Kind::Text(0, 1000)),
        nullable("duration", Kind::Text(0, 100)),
        nullable("tags", Kind::Texts),
        optional("key_type", Kind::OneOf(KEY_TYPES)),
    ]);
    let given = body(call, &known)?;
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    if given.get("tags").and_then(Value::as_array).is_some_and(|tags| !tags.is_empty()) {
        let message = "{'error': 'This feature is only available for LiteLLM Enterprise users: tags.'}";
        return Err(refusal(403, "internal_server_error", None, message));
    }
    if let Some(budget) = given.get("max_budget").and_then(Value::as_f64).filter(|budget| *budget < 0.0) {
        let message = format!("{{'error': 'max_budget must be a non-negative finite number. Received: {budget:?}'}}");
        return Err(refusal(400, "internal_server_error", None, &message));
    }
    if let Some(duration) = text("budget_duration").filter(|duration| expiry(duration, call.at).is_err()) {
        let message = format!(
            "{{'error': \"Invalid budget_duration '{duration}'. Use a format like '1h', '24h', '7d', or '30d'.\"}}"
        );
        return Err(refusal(400, "internal_server_error", None, &message));
    }
    if let Some(alias) = text("key_alias") {
        alias_must_be_free(litellm, alias, None)?;
    }
    let secret = text("key").map_or_else(|| random("sk-"), str::to_owned);
    own_secret_must_fit(&secret)?;
    let expires = text("duration").map(|duration| expiry(duration, call.at)).transpose();
    let expires = expires.map_err(|message| refusal(500, "internal_server_error", None, message))?;

    let key_type = text("key_type").unwrap_or("default");
    let more = VirtualKey::new(&given, &secret, key_type, call.at);
    let mut record = Record::new(&sha256_hex(&secret), "", &secret, call.at, more);
    record.name = text("key_alias").map(str::to_owned);
    record.expires = expires;
    let mut shown = show(&record);
    shown["key"] = json!(record.secret);
    shown["token_id"] = json!(record.id);
    shown["duration"] = Value::Null;
    shown["tags"] = Value::Null;
    // A key the caller chose may exist already: the proxy answers as if it had made it and changes nothing.
    match litellm.keys.get(&record.id) {
        Some(existing) => shown["created_at"] = json!(rfc3339(existing.created)),
        None => {
            litellm.keys.add(record);
        }
    }
    Ok(Answer::ok(shown))
}

/// The key may be named by its secret, its hash or its alias; an expired key comes back to life by a new duration.
pub fn update(litellm: &mut LiteLlm, call: &Call) -> Outcome {
    let mut known = settable();
    known.extend([
        nullable("key", ID),
        nullable("key_alias", Kind::Text(0, 1000)),
        nullable("duration", Kind::Text(0, 100)),
        nullable("blocked", Kind::Flag),
    ]);
    let given = body(call, &known)?;
    let text = |name: &str| given.get(name).and_then(Value::as_str);
    let (key, alias) = (text("key"), text("key_alias"));
    let id = match (key, alias) {
        (Some(key), _) => hash(key),
        (None, Some(alias)) => by_alias(litellm, alias).unwrap_or_default(),
        (None, None) => {
            return Err(detail(
                "value_error",
                &json!(["body"]),
                "Value error, either key or key_alias must be provided",
            ));
        }
    };
    litellm.keys.get(&id).ok_or_else(missing)?;
    if let (Some(_), Some(alias)) = (key, alias) {
        alias_must_be_free(litellm, alias, Some(&id))?;
    }
    let expires = match text("duration") {
        Some("-1") => Some(None),
        Some(duration) => Some(Some(expiry(duration, call.at).map_err(|message| {
            refusal(400, "auth_error", Some("None"), &format!("Authentication Error, {message}"))
        })?)),
        None => None,
    };
    let record = litellm.keys.get_mut(&id).ok_or_else(missing)?;
    if let Some(expires) = expires {
        record.expires = expires;
    }
    if let Some(alias) = alias {
        record.name = Some(alias.to_owned());
    }
    if let Some(blocked) = given.get("blocked").and_then(Value::as_bool) {
        record.more.blocked = blocked;
    }
    record.more.set(&given);
    record.more.updated = call.at.ms;
    let mut shown = show(record);
    shown["key"] = json!(key.unwrap_or(&id));
    Ok(Answer::ok(shown))
}

/// Keys that are missing only matter when all are: the recorded proxy answers 200 and names even those it did not find.
pub fn delete(litellm: &mut LiteLlm, call: &Call) -> Outcome {
    let given = body(call, &[nullable("keys", Kind::Texts), nullable("key_aliases", Kind::Texts)])?;
    let names = |field: &str| given.get(field).and_then(Value::as_array).filter(|names| !names.is_empty());
    let (named, ids): (_, Vec<_>) = match (names("keys"), names("key_aliases")) {
        (Some(keys), _) => (keys, keys.iter().filter_map(Value::as_str).map(hash).collect()),
        (None, Some(aliases)) => {
            let ids = aliases.iter().filter_map(Value::as_str).filter_map(|alias| by_alias(litellm, alias));
            (aliases, ids.collect())
        }
        (None, None) => {
            let message = "Value error, At least one of 'keys' or 'key_aliases' must be provided.";
            return Err(detail("value_error", &json!(["body"]), message));
        }
    };
    let deleted = ids.iter().filter(|id| litellm.keys.delete(id, call.at)).count();
    if deleted == 0 {
        return Err(refusal(404, "internal_server_error", None, "{'error': 'No keys found'}"));
    }
    Ok(Answer::ok(json!({"deleted_keys": named})))
}

pub fn block(litellm: &mut LiteLlm, call: &Call) -> Outcome {
    set_blocked(litellm, call, true)
}

pub fn unblock(litellm: &mut LiteLlm, call: &Call) -> Outcome {
    set_blocked(litellm, call, false)
}

pub fn info(litellm: &mut LiteLlm, call: &Call) -> Outcome {
    let key = call.query("key").unwrap_or_default();
    let found = litellm.keys.get(&hash(key));
    let record = found.ok_or_else(|| refusal(404, "not_found_error", Some("key"), "Key not found in database"))?;
    let mut info = show(record);
    info["status"] = json!(status(record, call.at));
    Ok(Answer::ok(json!({"key": key, "info": info})))
}

/// Newest first. An alias must match as a whole unless `substring_matching` is asked for; expired and blocked keys are in.
pub fn list(litellm: &mut LiteLlm, call: &Call) -> Outcome {
    let flag = |name| optional(name, Kind::Flag);
    let known = [
        optional("page", Kind::Whole(1, i64::MAX)),
        optional("size", Kind::Whole(1, 100)),
        flag("return_full_object"),
        flag("substring_matching"),
    ];
    let query = call.checked_query(&known).map_err(|wrong| refuse("query", wrong))?;
    let number = |name: &str, default| query.get(name).and_then(Value::as_u64).unwrap_or(default);
    let asked = |name: &str| query.get(name) == Some(&Value::Bool(true));
    let wanted = call.query("status");
    if wanted.is_some_and(|status| !STATUSES.contains(&status)) {
        let message = "{'error': \"Invalid status value. Supported: 'active', 'expired', 'revoked', 'deleted'.\"}";
        return Err(refusal(400, "internal_server_error", Some("None"), message));
    }
    let records: Vec<_> = match wanted {
        Some("deleted") => litellm.keys.deleted().rev().collect(),
        _ => litellm.keys.listed(call.at).rev().collect(),
    };
    let matches = |record: &&Record<VirtualKey>| {
        let alias = record.name.as_deref().unwrap_or_default();
        let alias_fits = call.query("key_alias").is_none_or(|wanted| match asked("substring_matching") {
            true => alias.to_lowercase().contains(&wanted.to_lowercase()),
            false => alias == wanted,
        });
        let same = |name: &str, value: Option<&str>| call.query(name).is_none_or(|wanted| value == Some(wanted));
        alias_fits
            && same("key_hash", Some(record.id.as_str()))
            && same("team_id", record.more.fields["team_id"].as_str())
            && same("user_id", record.more.fields["user_id"].as_str())
            && wanted.is_none_or(|wanted| wanted == "deleted" || wanted == status(record, call.at))
    };
    let found: Vec<_> = records.into_iter().filter(matches).collect();
    let size = call.at.page_size(usize::try_from(number("size", PAGE_SIZE)).unwrap_or(usize::MAX));
    let page = number("page", 1);
    let skip = usize::try_from(page - 1).unwrap_or(usize::MAX).saturating_mul(size);
    let shown = found.iter().skip(skip).take(size).map(|record| match asked("return_full_object") {
        true => show(record),
        false => json!(record.id),
    });
    Ok(Answer::ok(json!({
        "keys": shown.collect::<Vec<_>>(), "total_count": found.len(), "current_page": page,
        "total_pages": found.len().div_ceil(size),
    })))
}

/// The last four characters are all the proxy shows of a key.
pub fn key_name(secret: &str) -> String {
    format!("sk-...{}", secret.get(secret.len().saturating_sub(4)..).unwrap_or_default())
}

impl VirtualKey {
    fn new(given: &Map<String, Value>, secret: &str, key_type: &str, at: Moment) -> Self {
        let defaults = SETTABLE
            .iter()
            .map(|(field, value)| (field.name.to_owned(), serde_json::from_str(value).unwrap_or_default()));
        let mut key = Self {
            key_name: key_name(secret),
            key_type: key_type.to_owned(),
            fields: defaults.collect(),
            blocked: false,
            spend: 0.0,
            minute: 0,
            in_minute: 0,
            updated: at.ms,
        };
        key.set(given);
        let routes = match key_type {
            "llm_api" => Some("llm_api_routes"),
            "management" => Some("management_routes"),
            "read_only" => Some("info_routes"),
            _ => None,
        };
        if let Some(routes) = routes {
            key.fields.insert("allowed_routes".into(), json!([routes]));
        }
        key
    }

    fn set(&mut self, given: &Map<String, Value>) {
        for (name, value) in given.iter().filter(|(_, value)| !value.is_null()) {
            if let Some(field) = self.fields.get_mut(name) {
                *field = value.clone();
            }
        }
    }

    pub fn number(&self, name: &str) -> Option<f64> {
        self.fields[name].as_f64()
    }

    pub fn allows(&self, model: &str) -> bool {
        self.names("models").is_none_or(|models| models.iter().any(|name| name == model || name == "all-proxy-models"))
    }

    pub fn may_call(&self, path: &str) -> bool {
        let group = if path.starts_with("/key/") { "management_routes" } else { "llm_api_routes" };
        self.names("allowed_routes").is_none_or(|routes| routes.iter().any(|route| route == group || route == path))
    }

    /// An empty list allows everything.
    fn names(&self, list: &str) -> Option<&Vec<Value>> {
        self.fields[list].as_array().filter(|names| !names.is_empty())
    }
}

fn settable() -> Vec<Field> {
    SETTABLE.iter().map(|(field, _)| *field).collect()
}

fn set_blocked(litellm: &mut LiteLlm, call: &Call, blocked: bool) -> Outcome {
    let given = body(call, &[required("key", ID)])?;
    let key = given.get("key").and_then(Value::as_str).unwrap_or_default();
    let record = litellm.keys.get_mut(&hash(key)).ok_or_else(missing)?;
    record.more.blocked = blocked;
    record.more.updated = call.at.ms;
    Ok(Answer::ok(show(record)))
}

/// The proxy takes a secret and its hash for one another wherever a key is named.
fn hash(key: &str) -> String {
    if key.starts_with("sk-") { sha256_hex(key) } else { key.to_owned() }
}

fn by_alias(litellm: &LiteLlm, alias: &str) -> Option<String> {
    litellm.keys.existing().find(|record| record.name.as_deref() == Some(alias)).map(|record| record.id.clone())
}

fn missing() -> Answer {
    refusal(404, "not_found_error", Some("key"), "Key not found.")
}

fn alias_must_be_free(litellm: &LiteLlm, alias: &str, except: Option<&str>) -> Result<(), Answer> {
    match by_alias(litellm, alias) {
        Some(holder) if Some(holder.as_str()) != except => {
            let message =
                format!("Key with alias '{alias}' already exists. Unique key aliases across all keys are required.");
            Err(refusal(400, "bad_request_error", Some("key_alias"), &message))
        }
        _ => Ok(()),
    }
}

fn own_secret_must_fit(secret: &str) -> Result<(), Answer> {
    let problem = if !secret.starts_with("sk-") {
        "must start with 'sk-'."
    } else if secret.len() < SECRET_MIN {
        "must be at least 16 characters long."
    } else {
        return Ok(());
    };
    let message = format!("{{'error': \"Invalid key format. LiteLLM Virtual Key {problem}\"}}");
    Err(refusal(400, "internal_server_error", None, &message))
}

/// `30s`, `30m`, `30h`, `30d`, `1w`, `1mo`. Like the proxy's, this reads the first number and unit and ignores the rest:
/// `1h30m` is one hour.
fn expiry(duration: &str, at: Moment) -> Result<i64, &'static str> {
    let digits = duration.find(|c: char| !c.is_ascii_digit()).unwrap_or(duration.len());
    let number: i64 = duration[..digits].parse().map_err(|_| "Invalid duration format")?;
    let unit = &duration[digits..];
    let seconds = match unit.as_bytes() {
        [b'm', b'o', ..] => 30 * 86_400,
        [b's', ..] => 1,
        [b'm', ..] => 60,
        [b'h', ..] => 3_600,
        [b'd', ..] => 86_400,
        [b'w', ..] => 7 * 86_400,
        _ => return Err("Unsupported duration unit"),
    };
    Ok(at.after_seconds(number.saturating_mul(seconds)))
}

fn status(record: &Record<VirtualKey>, at: Moment) -> &'static str {
    match (record.more.blocked, record.expired(at)) {
        (true, _) => "revoked",
        (false, true) => "expired",
        (false, false) => "active",
    }
}

fn show(record: &Record<VirtualKey>) -> Value {
    let more = &record.more;
    let mut shown = more.fields.clone();
    let rest = json!({
        "token": record.id, "key_name": more.key_name, "key_alias": record.name, "key_type": more.key_type,
        "spend": more.spend, "expires": record.expires.map(rfc3339), "blocked": more.blocked.then_some(true),
        "created_at": rfc3339(record.created), "updated_at": rfc3339(more.updated),
        "last_active": record.last_used.map(rfc3339), "created_by": "default_user_id", "updated_by": "default_user_id",
        "aliases": {}, "config": {}, "organization_id": null, "budget_id": null,
    });
    if let Value::Object(rest) = rest {
        shown.extend(rest);
    }
    Value::Object(shown)
}
