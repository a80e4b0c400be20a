//! xAI's management API, after docs.x.ai of 2026-09: no `/v1`, ids and secrets told once, a key without ACLs can do nothing.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{Field, ID, Kind, NAME, optional, required};
use crate::plain::{Attempt, Example, Plain, asked_model, text, texts, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "xai-token-simulator-management-0001";
const TEAM: &str = "team-simulator-1";

const ROUTES: &[Route<Xai>] = &[
    admin("GET", "/auth/management-keys/validation", Xai::validation),
    admin("POST", "/auth/teams/{team}/api-keys", Xai::create),
    admin("GET", "/auth/teams/{team}/api-keys", Xai::list),
    admin("PUT", "/auth/api-keys/{id}", Xai::update),
    admin("DELETE", "/auth/api-keys/{id}", Xai::delete),
    key("POST", "/v1/chat/completions", Xai::complete),
    key("GET", "/v1/api-key", Xai::about_itself),
];

const LIMITS: [Field; 5] = [
    optional("acls", Kind::Texts),
    optional("qps", Kind::Whole(1, i64::MAX)),
    optional("qpm", Kind::Whole(1, i64::MAX)),
    // The vendor writes and takes it as text.
    optional("tpm", ID),
    optional("expireTime", ID),
];

#[derive(Default)]
pub struct Xai {
    keys: Book<Limits>,
}

pub struct Limits {
    acls: Vec<String>,
    shown: Value,
}

impl Xai {
    fn validation(&mut self, _: &Call) -> Outcome {
        Ok(Answer::ok(json!({"name": "simulator", "teamId": TEAM, "scope": "SCOPE_TEAM"})))
    }

    fn create(&mut self, call: &Call) -> Outcome {
        of_team(call)?;
        let [acls, qps, qpm, tpm, expire_time] = LIMITS;
        let body = Self::body(call, &[required("name", NAME), acls, qps, qpm, tpm, expire_time])?;
        let secret = random("xai-");
        let shown = json!({"qps": body.get("qps"), "qpm": body.get("qpm"), "tpm": body.get("tpm")});
        let limits = Limits { acls: texts(body.get("acls")), shown };
        let mut record = Record::new(&random("key-"), text(&body, "name"), &secret, call.at, limits);
        record.expires = expiry(&body)?;
        let record = self.keys.add(record);
        let mut answer = show(record);
        answer["apiKey"] = json!(secret);
        Ok(Answer::ok(answer))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_team(call)?;
        let size = call.at.page_size(Self::number(call, "pageSize", 50)?);
        let start = call.query("paginationToken").and_then(|token| self.keys.place(token)).map_or(0, |place| place + 1);
        let after = |record: &&Record<Limits>| self.keys.place(&record.id).is_some_and(|place| place >= start);
        let mut page: Vec<_> = self.keys.listed(call.at).filter(after).take(size + 1).collect();
        let more = page.len() > size;
        page.truncate(size);
        let mut answer = json!({"apiKeys": page.iter().map(|record| show(record)).collect::<Vec<_>>()});
        if let Some(last) = page.last().filter(|_| more) {
            answer["paginationToken"] = json!(last.id);
        }
        Ok(Answer::ok(answer))
    }

    /// Only what the mask names is changed.
    fn update(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &[required("apiKey", Kind::Object), required("fieldMask", NAME)])?;
        let given = body["apiKey"].as_object().cloned().unwrap_or_default();
        let expires = expiry(&given)?;
        let record = self.keys.get_mut(call.param(0)).ok_or_else(unknown)?;
        if text(&body, "fieldMask").split(',').any(|field| field == "expireTime") {
            record.expires = expires;
        }
        Ok(Answer::ok(show(record)))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        if !self.keys.delete(call.param(0), call.at) {
            return Err(unknown());
        }
        Ok(Answer::ok(json!({})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let model = asked_model(call);
        let record = self.caller(call.request.bearer.as_deref(), call.at)?;
        let allows = |kind: &str, name: &str| {
            let wanted = [format!("api-key:{kind}:*"), format!("api-key:{kind}:{name}")];
            record.more.acls.iter().any(|acl| wanted.contains(acl))
        };
        if !allows("endpoint", "chat") || !allows("model", &model) {
            return Err(Self::error(403, "API key does not have access to this model or endpoint"));
        }
        works()
    }

    fn about_itself(&mut self, call: &Call) -> Outcome {
        let unknown = |_| {
            let error = "Incorrect API key provided. You can obtain an API key from the console.";
            Answer::new(400, json!({"code": "invalid-argument", "error": error}))
        };
        let record = self.caller(call.request.bearer.as_deref(), call.at).map_err(unknown)?;
        Ok(Answer::ok(json!({
            "api_key_id": record.id, "name": record.name, "team_id": TEAM, "acls": record.more.acls,
            "api_key_disabled": false, "api_key_blocked": false, "team_blocked": false,
        })))
    }
}

impl Plain for Xai {
    type Key = Limits;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"code": status, "message": message, "details": []}))
    }

    fn keys(&mut self) -> &mut Book<Limits> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "management_key": ADMIN, "team_id": TEAM, "api_url": format!("{url}/xai"), "base_url": format!("{url}/xai/v1"),
            }),
            role: json!({"endpoints": ["chat"], "models": ["grok-4"], "qpm": 60, "tpm": 100_000}),
            attempt: Attempt::chat("/xai/v1/chat/completions", "grok-4", Some("grok-3")),
        }
    }
}

fn of_team(call: &Call) -> Result<(), Answer> {
    if call.param(0) == TEAM { Ok(()) } else { Err(Xai::error(404, "Team not found")) }
}

/// The words are recorded, the status is not.
fn unknown() -> Answer {
    Xai::error(404, "Cannot find API key")
}

fn expiry(body: &serde_json::Map<String, Value>) -> Result<Option<i64>, Answer> {
    let Some(given) = body.get("expireTime").and_then(Value::as_str) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(given).map_err(|_| Xai::error(400, "expireTime is not a timestamp"))?;
    Ok(Some(time.timestamp_millis()))
}

fn show(record: &Record<Limits>) -> Value {
    let mut shown = json!({
        "apiKeyId": record.id, "name": record.name, "redactedApiKey": "xai-...", "teamId": TEAM, "userId": "user-1",
        "aclStrings": record.more.acls, "createTime": rfc3339(record.created), "modifyTime": rfc3339(record.created),
        "disabled": false, "expireTime": record.expires.map(rfc3339),
    });
    for (name, value) in record.more.shown.as_object().into_iter().flatten() {
        shown[name] = value.clone();
    }
    shown
}
