//! Google's API Keys API v2 with Gemini as the service, after Google's discovery document of revision 20260818: operations
//! that take their time, an id of the caller's, a value that is asked for by itself.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::google_account;
use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{ID, Kind, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, works};
use crate::request::Call;
use crate::router::{Answer, Outcome, Route, admin, key, open};
use crate::tokens::Tokens;

const PROJECT: &str = "simulator-project";
const SERVICE: &str = "generativelanguage.googleapis.com";
/// Another of Google's that takes API keys.
const OTHER_SERVICE: &str = "translate.googleapis.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long making a key takes.
const TAKES_MS: i64 = 300;

const ROUTES: &[Route<Gemini>] = &[
    // Where the real one is has a host of its own: oauth2.googleapis.com.
    open("POST", "/token", |gemini, call| google_account::token(&mut gemini.tokens, call, SCOPE)),
    admin("GET", "/v2/projects/{project}/locations/global/keys", Gemini::list),
    admin("POST", "/v2/projects/{project}/locations/global/keys", Gemini::create),
    admin("GET", "/v2/projects/{project}/locations/global/keys/{key}/keyString", Gemini::key_string),
    admin("DELETE", "/v2/projects/{project}/locations/global/keys/{key}", Gemini::delete),
    admin("GET", "/v2/operations/{operation}", Gemini::operation),
    key("POST", "/v1beta/models/{model}", Gemini::generate),
    key("GET", "/v1beta/models", Gemini::models),
    // Where the real one is has a host of its own: translation.googleapis.com.
    key("POST", "/language/translate/v2", Gemini::translate),
];

#[derive(Default)]
pub struct Gemini {
    keys: Book<Value>,
    tokens: Tokens,
    /// When an operation is done, and what its answer is then.
    operations: HashMap<String, (i64, Value)>,
}

impl Gemini {
    fn create(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let known = [
            optional("displayName", Kind::Text(0, 63)),
            optional("restrictions", Kind::Object),
            optional("annotations", Kind::Object),
            optional("serviceAccountEmail", ID),
        ];
        let body = Self::body(call, &known)?;
        check_restrictions(body.get("restrictions"))?;
        let id = call.query("keyId").map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        if call.query("keyId").is_some_and(|id| !is_key_id(id)) {
            return Err(Self::error(400, "Invalid key id."));
        }
        // An id stays taken while its key can be brought back.
        if self.keys.place(&id).is_some() {
            return Err(Self::error(409, "Requested entity already exists"));
        }
        let more = json!({
            "restrictions": body.get("restrictions"), "annotations": body.get("annotations"),
            "serviceAccountEmail": body.get("serviceAccountEmail"),
        });
        let secret = format!("AIza{}", &random("Sy")[..33]);
        let shown = show(self.keys.add(Record::new(&id, text(&body, "displayName"), &secret, call.at, more)));
        Ok(self.begin(call, shown))
    }

    /// An operation that answers with this once it is done.
    fn begin(&mut self, call: &Call, response: Value) -> Answer {
        let id = random("akmf.p7-");
        self.operations.insert(id.clone(), (call.at.ms + TAKES_MS, response));
        Answer::ok(json!({"name": format!("operations/{id}")}))
    }

    fn operation(&mut self, call: &Call) -> Outcome {
        let id = call.param(0);
        let (done, response) = self.operations.get(id).ok_or_else(not_found)?;
        let name = format!("operations/{id}");
        // What is false is left out.
        Ok(Answer::ok(if *done <= call.at.ms {
            json!({"name": name, "done": true, "response": response})
        } else {
            json!({"name": name})
        }))
    }

    fn key_string(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let record = self.keys.get(call.param(1)).ok_or_else(not_found)?;
        Ok(Answer::ok(json!({"keyString": record.secret})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let size = call.at.page_size(Self::number(call, "pageSize", 50)?);
        let start = Self::number(call, "pageToken", 0)?;
        let total = self.keys.listed(call.at).count();
        let page: Vec<_> = self.keys.listed(call.at).skip(start).take(size).map(show).collect();
        let end = start + page.len();
        // What is empty is left out.
        let mut answer = if page.is_empty() { json!({}) } else { json!({"keys": page}) };
        if end < total {
            answer["nextPageToken"] = json!(end.to_string());
        }
        Ok(Answer::ok(answer))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let usage = call.query("checkExistingUsage").unwrap_or("SKIP");
        if !["CHECK_EXISTING_USAGE_UNSPECIFIED", "SKIP", "CHECK"].contains(&usage) {
            return Err(Self::error(400, "Invalid value at 'check_existing_usage'"));
        }
        if !self.keys.order_deletion(call.param(1), call.at) {
            return Err(not_found());
        }
        Ok(self.begin(call, json!({"@type": "type.googleapis.com/google.api.apikeys.v2.Key"})))
    }

    fn generate(&mut self, call: &Call) -> Outcome {
        let method = call.param(0).rsplit_once(':').map_or("", |(_, method)| method).to_lowercase();
        self.serve(call, SERVICE, &method)
    }

    fn models(&mut self, call: &Call) -> Outcome {
        self.serve(call, SERVICE, "listmodels")
    }

    fn translate(&mut self, call: &Call) -> Outcome {
        self.serve(call, OTHER_SERVICE, "translatetext")
    }

    fn serve(&mut self, call: &Call, service: &str, method: &str) -> Outcome {
        let invalid = |_| Self::error(400, "API key not valid. Please pass a valid API key.");
        let record = self.caller(call.request.header("x-goog-api-key"), call.at).map_err(invalid)?;
        let targets = record.more["restrictions"]["apiTargets"].as_array().cloned().unwrap_or_default();
        if !targets.is_empty() && !targets.iter().any(|target| permits(target, service, method)) {
            return Err(Self::error(403, "Requests to this API are blocked."));
        }
        works()
    }
}

impl Plain for Gemini {
    type Key = Value;

    const REFUSED: u16 = 400;
    const LATER: bool = true;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn tokens(&self) -> Option<&Tokens> {
        Some(&self.tokens)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            400 => "INVALID_ARGUMENT",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            409 => "ALREADY_EXISTS",
            429 => "RESOURCE_EXHAUSTED",
            _ => "INTERNAL",
        };
        Answer::new(status, json!({"error": {"code": status, "message": message, "status": code}}))
    }

    fn keys(&mut self) -> &mut Book<Value> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        let base = format!("{url}/gemini");
        Example {
            config: json!({
                "credentials": google_account::key_file(), "project": PROJECT, "api_url": base, "base_url": base,
                "token_url": format!("{base}/token"),
            }),
            role: json!({
                "methods": ["GenerateContent", "Count*"], "allowed_ips": ["127.0.0.1"], "annotations": {"by": "vault"},
            }),
            attempt: Attempt {
                method: "POST",
                path: "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
                header: ("x-goog-api-key", "{key}"),
                body: json!({"contents": [{"parts": [{"text": "hello"}]}]}),
                beyond: Some(Beyond {
                    method: "POST",
                    path: "/gemini/language/translate/v2",
                    body: json!({"q": "hello", "target": "de"}),
                    status: 403,
                }),
            },
        }
    }
}

fn not_found() -> Answer {
    Gemini::error(404, "Requested entity was not found.")
}

/// Google does not tell who has no right to know whether a project exists.
fn of_project(call: &Call) -> Result<(), Answer> {
    if call.param(0) == PROJECT { Ok(()) } else { Err(Gemini::error(403, "The caller does not have permission")) }
}

/// `[a-z]([a-z0-9-]{0,61}[a-z0-9])?`
fn is_key_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&id.len())
        && id.chars().all(plain)
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && !id.ends_with('-')
}

fn check_restrictions(restrictions: Option<&Value>) -> Result<(), Answer> {
    let Some(restrictions) = restrictions.and_then(Value::as_object) else { return Ok(()) };
    Gemini::checked(
        restrictions,
        &[optional("apiTargets", Kind::List), optional("serverKeyRestrictions", Kind::Object)],
    )?;
    for target in restrictions.get("apiTargets").and_then(Value::as_array).into_iter().flatten() {
        let target = target.as_object().ok_or_else(|| Gemini::error(400, "a target must be an object"))?;
        Gemini::checked(target, &[required("service", ID), optional("methods", Kind::Texts)])?;
    }
    if let Some(server) = restrictions.get("serverKeyRestrictions").and_then(Value::as_object) {
        Gemini::checked(server, &[optional("allowedIps", Kind::Texts)])?;
    }
    Ok(())
}

/// Whether a target permits a method of a service, whatever the case; a `*` stands for the end of a name.
fn permits(target: &Value, service: &str, method: &str) -> bool {
    let methods = target["methods"].as_array().cloned().unwrap_or_default();
    let fits = |pattern: &Value| {
        let pattern = pattern.as_str().unwrap_or_default().to_lowercase();
        pattern.strip_suffix('*').map_or(pattern == method, |start| method.starts_with(start))
    };
    target["service"] == service && (methods.is_empty() || methods.iter().any(fits))
}

fn show(record: &Record<Value>) -> Value {
    let mut shown = json!({
        "name": format!("projects/1234567890/locations/global/keys/{}", record.id), "uid": uuid::Uuid::nil().to_string(),
        "displayName": record.name, "createTime": rfc3339(record.created), "updateTime": rfc3339(record.created),
        "etag": "W/\"simulator\"",
    });
    for (name, value) in record.more.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        shown[name] = value.clone();
    }
    shown
}
