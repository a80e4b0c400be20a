//! ElevenLabs' keys of service accounts, after SDK elevenlabs 2.78.0: errors as FastAPI writes them, an expiry of 15 minutes
//! to 90 days, credits counted per key.

use serde_json::{Map, Value, json};

use crate::book::{Book, Record, random};
use crate::clock::{Moment, unix};
use crate::fields::{Field, Kind, NAME, nullable, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, texts, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "sk_simulator_elevenlabs_admin_0001";
const ACCOUNT: &str = "svcacct-simulator-1";
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;
/// Those that the SDK names and that make sense for a key.
const PERMISSIONS: [&str; 16] = [
    "text_to_speech",
    "speech_to_speech",
    "speech_to_text",
    "models_read",
    "voices_read",
    "voices_write",
    "speech_history_read",
    "sound_generation",
    "audio_isolation",
    "dubbing_read",
    "dubbing_write",
    "user_read",
    "convai_read",
    "convai_write",
    "music_generation",
    "workspace_read",
];

const ROUTES: &[Route<ElevenLabs>] = &[
    admin("GET", "/v1/service-accounts/{account}/api-keys", ElevenLabs::list),
    admin("POST", "/v1/service-accounts/{account}/api-keys", ElevenLabs::create),
    admin("PATCH", "/v1/service-accounts/{account}/api-keys/{key_id}", ElevenLabs::update),
    admin("DELETE", "/v1/service-accounts/{account}/api-keys/{key_id}", ElevenLabs::delete),
    key("POST", "/v1/text-to-speech/{voice_id}", ElevenLabs::speak),
    key("GET", "/v1/user", ElevenLabs::user),
];

const LIMITS: [Field; 6] = [
    nullable("character_limit", Kind::Whole(1, i64::MAX)),
    nullable("allowed_ips", Kind::Texts),
    nullable("third_party_disable_allowed", Kind::Flag),
    nullable("tts_concurrency_limit", Kind::Whole(1, i64::MAX)),
    nullable("dubbing_concurrency_limit", Kind::Whole(1, i64::MAX)),
    nullable("music_concurrency_limit", Kind::Whole(1, i64::MAX)),
];

#[derive(Default)]
pub struct ElevenLabs {
    keys: Book<Limits>,
}

pub struct Limits {
    permissions: Vec<String>,
    given: Map<String, Value>,
    used: i64,
}

impl ElevenLabs {
    fn create(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        // A list of permissions, or the word "all".
        let granted = required("permissions", Kind::Any);
        let own = [required("name", NAME), granted, nullable("expires_at_unix", Kind::Whole(0, i64::MAX))];
        let known: Vec<Field> = own.into_iter().chain(LIMITS).collect();
        let body = Self::body(call, &known)?;
        let expires = expiry(&body, call.at)?;
        let limits = Limits { permissions: permissions(&body)?, given: body.clone(), used: 0 };
        let secret = random("sk_");
        let mut record = Record::new(&random(""), text(&body, "name"), &secret, call.at, limits);
        record.expires = expires;
        let record = self.keys.add(record);
        Ok(Answer::ok(json!({"xi-api-key": secret, "key_id": record.id})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        Ok(Answer::ok(json!({"api-keys": self.keys.listed(call.at).map(show).collect::<Vec<_>>()})))
    }

    fn update(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        // The expiry may be a number or the word "clear".
        let own = [optional("is_enabled", Kind::Flag), optional("name", NAME), optional("permissions", Kind::Any)];
        let expiry_or_word = optional("expires_at_unix", Kind::Any);
        let known: Vec<Field> = own.into_iter().chain([expiry_or_word]).chain(LIMITS).collect();
        let body = Self::body(call, &known)?;
        let clear = body.get("expires_at_unix").is_some_and(|given| given == "clear");
        let expires = if clear { None } else { expiry(&body, call.at)? };
        let record = self.keys.get_mut(call.param(1)).ok_or_else(unknown)?;
        if body.contains_key("expires_at_unix") {
            record.expires = expires;
        }
        Ok(Answer::ok(json!({"status": "ok"})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        of_account(call)?;
        if !self.keys.delete(call.param(1), call.at) {
            return Err(unknown());
        }
        Ok(Answer::ok(json!({"status": "ok"})))
    }

    fn speak(&mut self, call: &Call) -> Outcome {
        let known = [required("text", Kind::Text(1, 100_000)), optional("model_id", NAME)];
        let body = Self::body(call, &known)?;
        let record = self.caller(call.request.header("xi-api-key"), call.at)?;
        if !record.more.permissions.iter().any(|permission| permission == "text_to_speech" || permission == "all") {
            return Err(problem(401, "missing_permissions", "The API key is missing the permission text_to_speech"));
        }
        let used = record.more.used + text(&body, "text").chars().count() as i64;
        if record.more.given.get("character_limit").and_then(Value::as_i64).is_some_and(|limit| used > limit) {
            return Err(problem(401, "quota_exceeded", "This request exceeds your API key quota"));
        }
        record.more.used = used;
        works()
    }

    fn user(&mut self, call: &Call) -> Outcome {
        let record = self.caller(call.request.header("xi-api-key"), call.at)?;
        if !record.more.permissions.iter().any(|permission| permission == "user_read" || permission == "all") {
            return Err(problem(401, "missing_permissions", "The API key is missing the permission user_read"));
        }
        Ok(Answer::ok(json!({"user_id": ACCOUNT})))
    }
}

impl Plain for ElevenLabs {
    type Key = Limits;

    const PAGED: bool = false;
    const INVALID: u16 = 422;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("xi-api-key") == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        match status {
            422 => {
                let field = message.split(' ').next().unwrap_or_default();
                let problem = json!({"loc": ["body", field], "msg": message, "type": "value_error"});
                Answer::new(422, json!({"detail": [problem]}))
            }
            401 => problem(401, "invalid_api_key", message),
            _ => problem(status, "error", message),
        }
    }

    fn keys(&mut self) -> &mut Book<Limits> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let path = "/elevenlabs/v1/text-to-speech/voice-1";
        let speech = |text: &str| json!({"text": text, "model_id": "eleven_flash_v2_5"});
        let long = speech(&"hello ".repeat(100));
        Example {
            config: json!({
                "admin_key": ADMIN, "service_account_user_id": ACCOUNT, "api_url": format!("{url}/elevenlabs"),
            }),
            role: json!({
                "permissions": ["text_to_speech"], "character_limit": 500, "allowed_ips": ["127.0.0.0/8"],
                "tts_concurrency_limit": 2,
            }),
            attempt: Attempt {
                method: "POST",
                path,
                header: ("xi-api-key", "{key}"),
                body: speech("hello"),
                beyond: Some(Beyond { method: "POST", path, body: long, status: 401 }),
            },
        }
    }
}

fn problem(status: u16, code: &str, message: &str) -> Answer {
    Answer::new(status, json!({"detail": {"status": code, "message": message}}))
}

fn of_account(call: &Call) -> Result<(), Answer> {
    let known = call.param(0) == ACCOUNT;
    if known { Ok(()) } else { Err(problem(404, "service_account_not_found", "Service account not found")) }
}

/// Neither status nor words are documented.
fn unknown() -> Answer {
    problem(404, "api_key_not_found", "API key not found")
}

/// The word "all", or a list.
fn permissions(body: &Map<String, Value>) -> Result<Vec<String>, Answer> {
    let given = match body.get("permissions") {
        Some(Value::String(all)) if all == "all" => return Ok(vec!["all".to_owned()]),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => texts(body.get("permissions")),
        _ => return Err(ElevenLabs::error(422, "permissions must be all or a list of permissions")),
    };
    match given.iter().find(|name| !PERMISSIONS.contains(&name.as_str())) {
        Some(name) => Err(ElevenLabs::error(422, &format!("permissions must not hold {name}"))),
        None => Ok(given),
    }
}

fn expiry(body: &Map<String, Value>, at: Moment) -> Result<Option<i64>, Answer> {
    let Some(given) = body.get("expires_at_unix").filter(|given| !given.is_null()) else { return Ok(None) };
    let seconds = given.as_i64().ok_or_else(|| ElevenLabs::error(422, "expires_at_unix must be an integer"))?;
    let left = seconds - unix(at.ms);
    if !(15 * MINUTE..=90 * DAY).contains(&left) {
        let message = "expires_at_unix must be at least 15 minutes and at most 90 days in the future";
        return Err(problem(400, "invalid_expiry", message));
    }
    Ok(Some(seconds * 1000))
}

fn show(record: &Record<Limits>) -> Value {
    let given = |name: &str| record.more.given.get(name).cloned().unwrap_or_default();
    json!({
        "name": record.name, "hint": &record.secret[record.secret.len() - 4..], "key_id": record.id,
        "service_account_user_id": ACCOUNT, "created_at_unix": unix(record.created), "is_disabled": false,
        "permissions": record.more.permissions, "disable_reason": null, "hashed_xi_api_key": crate::book::sha256_hex(&record.secret),
        "character_limit": given("character_limit"), "character_count": record.more.used,
        "allowed_ips": given("allowed_ips"), "expires_at_unix": record.expires.map(unix),
    })
}
