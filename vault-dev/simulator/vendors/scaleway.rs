//! Scaleway's IAM API keys, after its SDK 2.12.0.

use chrono::DateTime;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::clock::{Moment, rfc3339};
use crate::fields::{ID, Kind, nullable, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "7b2d0c52-7a4e-4a53-9d0e-000000000001";
const ORGANIZATION: &str = "7b2d0c52-7a4e-4a53-9d0e-000000000002";
/// The default project has the organization's id.
const PROJECT: &str = ORGANIZATION;
/// Bears the admin credential.
const ADMIN_APPLICATION: &str = "7b2d0c52-7a4e-4a53-9d0e-000000000004";
const APPLICATION: &str = "7b2d0c52-7a4e-4a53-9d0e-000000000003";

const ROUTES: &[Route<Scaleway>] = &[
    admin("POST", "/iam/v1alpha1/api-keys", Scaleway::create),
    admin("GET", "/iam/v1alpha1/api-keys", Scaleway::list),
    admin("PATCH", "/iam/v1alpha1/api-keys/{access_key}", Scaleway::update),
    admin("DELETE", "/iam/v1alpha1/api-keys/{access_key}", Scaleway::delete),
    key("POST", "/v1/chat/completions", Scaleway::complete),
    // A path with a project is not in the SDK, as the one without.
    key("POST", "/{project_id}/v1/chat/completions", Scaleway::complete_in),
];

#[derive(Default)]
pub struct Scaleway {
    keys: Book<Bearer>,
}

pub struct Bearer {
    application: String,
    /// The default project.
    project: String,
}

impl Scaleway {
    fn create(&mut self, call: &Call) -> Outcome {
        let known = [
            optional("application_id", ID),
            optional("user_id", ID),
            required("description", Kind::Text(0, 200)),
            nullable("expires_at", ID),
            optional("default_project_id", ID),
        ];
        let body = Self::body(call, &known)?;
        let application = text(&body, "application_id").to_owned();
        if body.contains_key("user_id") || ![APPLICATION, ADMIN_APPLICATION].contains(&&*application) {
            return Err(Self::error(400, "invalid argument(s): application_id does not exist"));
        }
        let project = body.get("default_project_id").and_then(Value::as_str).unwrap_or(PROJECT).to_owned();
        let secret = Uuid::new_v4().to_string();
        let access_key = format!("SCW{}", random("")[..17].to_uppercase());
        let mut record =
            Record::new(&access_key, text(&body, "description"), &secret, call.at, Bearer { application, project });
        record.expires = expiry(&body, call)?;
        let record = self.keys.add(record);
        let mut answer = show(record);
        answer["secret_key"] = json!(secret);
        Ok(Answer::ok(answer))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        let size = Self::number(call, "page_size", 20)?;
        let page = Self::number(call, "page", 1)?;
        if !(1..=100).contains(&size) || page == 0 {
            return Err(Self::error(400, "invalid argument(s): page or page_size is out of range"));
        }
        if call.query("organization_id").is_some_and(|organization| organization != ORGANIZATION) {
            return Err(Self::error(403, "insufficient permissions"));
        }
        let size = call.at.page_size(size);
        let wanted = |record: &&Record<Bearer>| {
            call.query("expired").is_none_or(|expired| (expired == "true") == record.expired(call.at))
        };
        let listed: Vec<_> = self.keys.listed(call.at).filter(wanted).collect();
        let keys: Vec<_> = listed.iter().skip((page - 1) * size).take(size).map(|record| show(record)).collect();
        Ok(Answer::ok(json!({"api_keys": keys, "total_count": listed.len()})))
    }

    fn update(&mut self, call: &Call) -> Outcome {
        let known = [
            optional("description", Kind::Text(0, 200)),
            optional("default_project_id", ID),
            nullable("expires_at", ID),
        ];
        let body = Self::body(call, &known)?;
        let expires = expiry(&body, call)?;
        let record = self.keys.get_mut(call.param(0)).ok_or_else(unknown)?;
        record.expires = expires.or(record.expires);
        Ok(Answer::ok(show(record)))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        if !self.keys.delete(call.param(0), call.at) {
            return Err(unknown());
        }
        Ok(Answer::new(204, Value::Null))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }

    /// The application's policy is about one project.
    fn complete_in(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        if call.param(0) != PROJECT {
            return Err(Self::error(403, "insufficient permissions"));
        }
        works()
    }
}

impl Plain for Scaleway {
    type Key = Bearer;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("x-auth-token") == Some(ADMIN)
    }

    fn is_made_admin(&mut self, request: &Request, at: Moment) -> bool {
        self.caller(request.header("x-auth-token"), at).is_ok_and(|record| record.more.application == ADMIN_APPLICATION)
    }

    fn error(status: u16, message: &str) -> Answer {
        let kind = match status {
            400 => "invalid_arguments",
            401 => "denied_authentication",
            403 => "permissions_denied",
            404 => "not_found",
            429 => "too_many_requests",
            _ => "internal_error",
        };
        Answer::new(status, json!({"type": kind, "message": message}))
    }

    fn keys(&mut self) -> &mut Book<Bearer> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let attempt = Attempt::chat("/scaleway/v1/chat/completions", "llama-3.3-70b-instruct", None);
        let path = "/scaleway/7b2d0c52-7a4e-4a53-9d0e-000000000009/v1/chat/completions";
        let body = attempt.body.clone();
        Example {
            config: json!({
                "secret_key": ADMIN, "organization_id": ORGANIZATION, "admin_application_id": ADMIN_APPLICATION,
                "api_url": format!("{url}/scaleway"), "base_url": format!("{url}/scaleway/v1"),
            }),
            role: json!({"application_id": APPLICATION}),
            attempt: attempt.but_not(Beyond { method: "POST", path, body, status: 403 }),
        }
    }
}

fn unknown() -> Answer {
    Scaleway::error(404, "resource is not found")
}

fn expiry(body: &Map<String, Value>, call: &Call) -> Result<Option<i64>, Answer> {
    let Some(given) = body.get("expires_at").and_then(Value::as_str) else { return Ok(None) };
    let time =
        DateTime::parse_from_rfc3339(given).map_err(|_| Scaleway::error(400, "expires_at is not a timestamp"))?;
    let expires = time.timestamp_millis();
    if expires <= call.at.ms {
        return Err(Scaleway::error(400, "invalid argument(s): expires_at must be in the future"));
    }
    Ok(Some(expires))
}

fn show(record: &Record<Bearer>) -> Value {
    json!({
        "access_key": record.id, "secret_key": null, "application_id": record.more.application, "description": record.name,
        "created_at": rfc3339(record.created), "updated_at": rfc3339(record.created),
        "expires_at": record.expires.map(rfc3339), "default_project_id": record.more.project, "editable": true, "deletable": true,
        "managed": false, "creation_ip": "203.0.113.1",
    })
}
