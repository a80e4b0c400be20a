//! Deepgram's keys of a project, after the vendor's OpenAPI document of 2026-07 and its SDKs: `Authorization: Token`, errors
//! in the old and in the new form.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::clock::{Moment, rfc3339};
use crate::fields::{Kind, NAME, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, texts, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "deepgram-admin-simulator-0001";
const PROJECT: &str = "6f1c0d52-7a4e-4a53-9d0e-000000000001";

const ROUTES: &[Route<Deepgram>] = &[
    admin("GET", "/v1/projects/{project_id}/keys", Deepgram::list),
    admin("POST", "/v1/projects/{project_id}/keys", Deepgram::create),
    admin("DELETE", "/v1/projects/{project_id}/keys/{key_id}", Deepgram::delete),
    key("POST", "/v1/listen", Deepgram::listen),
    key("GET", "/v1/projects", Deepgram::projects),
];

#[derive(Default)]
pub struct Deepgram {
    keys: Book<Grant>,
}

pub struct Grant {
    scopes: Vec<String>,
    tags: Vec<String>,
}

impl Deepgram {
    fn create(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let known = [
            required("comment", NAME),
            required("scopes", Kind::SomeTexts),
            optional("tags", Kind::Texts),
            optional("expiration_date", NAME),
            optional("time_to_live_in_seconds", Kind::Whole(1, i64::MAX)),
        ];
        let body = Self::body(call, &known)?;
        let secret = random("");
        let grant = Grant { scopes: texts(body.get("scopes")), tags: texts(body.get("tags")) };
        let mut record = Record::new(&Uuid::new_v4().to_string(), text(&body, "comment"), &secret, call.at, grant);
        record.expires = match body.get("time_to_live_in_seconds").and_then(Value::as_i64) {
            Some(_) if body.contains_key("expiration_date") => {
                return Err(Self::error(400, "expiration_date and time_to_live_in_seconds exclude each other"));
            }
            Some(seconds) => Some(call.at.after_seconds(seconds)),
            None => expiry(&body)?,
        };
        let record = self.keys.add(record);
        let mut answer = json!({
            "api_key_id": record.id, "key": secret, "comment": record.name, "scopes": record.more.scopes,
            "tags": record.more.tags,
        });
        if let Some(expires) = record.expires {
            answer["expiration_date"] = json!(rfc3339(expires));
        }
        Ok(Answer::ok(answer))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let expired = match call.query("status") {
            None => None,
            Some("active") => Some(false),
            Some("expired") => Some(true),
            Some(_) => return Err(Self::error(400, "status must be active or expired")),
        };
        let wanted = |record: &&Record<Grant>| expired.is_none_or(|expired| record.expired(call.at) == expired);
        let show = |record: &Record<Grant>| {
            json!({
                "member": {"member_id": "member-1", "email": "admin@simulator.example"},
                "api_key": {
                    "api_key_id": record.id, "comment": record.name, "scopes": record.more.scopes,
                    "created": rfc3339(record.created),
                },
            })
        };
        Ok(Answer::ok(json!({"api_keys": self.keys.listed(call.at).filter(wanted).map(show).collect::<Vec<_>>()})))
    }

    /// The documents know no status beside 200 and 400.
    fn delete(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        if !self.keys.delete(call.param(1), call.at) {
            return Err(Self::error(400, "The requested API key was not found"));
        }
        Ok(Answer::ok(json!({"message": "API key successfully deleted."})))
    }

    fn listen(&mut self, call: &Call) -> Outcome {
        self.check_scope(call, "usage:write")?;
        works()
    }

    fn projects(&mut self, call: &Call) -> Outcome {
        self.check_scope(call, "project:read")?;
        Ok(Answer::ok(json!({"projects": [{"project_id": PROJECT, "name": "Simulator"}]})))
    }

    /// Whether the key that asks has the scope, or a role that has it.
    fn check_scope(&mut self, call: &Call, wanted: &str) -> Result<(), Answer> {
        let secret = call.request.header("authorization").and_then(|value| value.strip_prefix("Token "));
        let record = self.caller(secret, call.at)?;
        let fits = |scope: &String| [wanted, "member", "admin", "owner"].contains(&scope.as_str());
        if record.more.scopes.iter().any(fits) {
            Ok(())
        } else {
            Err(Self::error(403, &format!("The key lacks the scope {wanted}")))
        }
    }
}

impl Plain for Deepgram {
    type Key = Grant;

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("authorization").and_then(|value| value.strip_prefix("Token ")) == Some(ADMIN)
    }

    fn is_made_admin(&mut self, request: &Request, at: Moment) -> bool {
        let secret = request.header("authorization").and_then(|value| value.strip_prefix("Token "));
        let writes = |scope: &String| ["keys:write", "admin", "owner"].contains(&scope.as_str());
        self.caller(secret, at).is_ok_and(|record| record.more.scopes.iter().any(writes))
    }

    fn error(status: u16, message: &str) -> Answer {
        let request = Uuid::new_v4().to_string();
        let body = match status {
            401 => json!({"err_code": "INVALID_AUTH", "err_msg": message, "request_id": request}),
            _ => json!({
                "category": "INVALID_REQUEST", "message": message, "details": "See the API reference.",
                "request_id": request,
            }),
        };
        Answer::new(status, body)
    }

    fn keys(&mut self) -> &mut Book<Grant> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"admin_key": ADMIN, "project_id": PROJECT, "api_url": format!("{url}/deepgram")}),
            role: json!({"scopes": ["usage:write"], "tags": ["vault"]}),
            attempt: Attempt {
                method: "POST",
                path: "/deepgram/v1/listen",
                header: ("authorization", "Token {key}"),
                body: json!({"url": "https://static.deepgram.com/examples/interview.wav"}),
                beyond: Some(Beyond { method: "GET", path: "/deepgram/v1/projects", body: Value::Null, status: 403 }),
            },
        }
    }
}

fn of_project(call: &Call) -> Result<(), Answer> {
    if call.param(0) == PROJECT { Ok(()) } else { Err(Deepgram::error(404, "Project not found.")) }
}

fn expiry(body: &Map<String, Value>) -> Result<Option<i64>, Answer> {
    let Some(given) = body.get("expiration_date").and_then(Value::as_str) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(given);
    let time = time.map_err(|_| Deepgram::error(400, "expiration_date is not a timestamp"))?;
    Ok(Some(time.timestamp_millis()))
}
