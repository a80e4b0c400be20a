//! IBM Cloud's IAM: API keys of a service ID, and the tokens that they are exchanged for, after the SDK
//! ibm-platform-services 0.77.1.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::unix;
use crate::fields::{ID, Kind, NAME, nullable, optional, required};
use crate::plain::{Attempt, Example, Plain, text};
use crate::request::Call;
use crate::router::{Answer, Outcome, Route, admin, open};
use crate::tokens::Tokens;

const ADMIN: &str = "ibm-simulator-admin-api-key-0000000000001";
const ACCOUNT: &str = "100abcde100a41abc100aza678abc0zz";
const SERVICE: &str = "iam-ServiceId-simulator-0001";
const GRANT: &str = "urn:ibm:params:oauth:grant-type:apikey";
/// Whose tokens are these; the simulator tells them apart by their beginning, as the vendor by a claim.
const ADMIN_TOKEN: &str = "admin.";
const TOKEN_SECONDS: i64 = 3600;

const ROUTES: &[Route<Ibm>] = &[
    open("POST", "/identity/token", Ibm::exchange),
    admin("POST", "/v1/apikeys", Ibm::create),
    admin("GET", "/v1/apikeys", Ibm::list),
    admin("DELETE", "/v1/apikeys/{id}", Ibm::delete),
];

#[derive(Default)]
pub struct Ibm {
    keys: Book<String>,
    /// Deleting a key ends none.
    tokens: Tokens,
}

impl Ibm {
    fn exchange(&mut self, call: &Call) -> Outcome {
        if call.request.form("grant_type") != Some(GRANT) {
            return Err(told(400, "BXNIM0106E", "Property missing or empty: grant_type"));
        }
        let given = call.request.form("apikey").unwrap_or_default();
        let prefix = match given {
            ADMIN => ADMIN_TOKEN,
            given if self.caller(Some(given), call.at).is_ok() => "service.",
            _ => return Err(told(400, "BXNIM0415E", "Provided API key could not be found.")),
        };
        let token = self.tokens.give(prefix, TOKEN_SECONDS, call.at);
        let ends = call.at.after_seconds(TOKEN_SECONDS);
        Ok(Answer::ok(json!({
            "access_token": token, "refresh_token": "not_supported", "token_type": "Bearer", "expires_in": TOKEN_SECONDS,
            "expiration": unix(ends), "scope": "ibm openid",
        })))
    }

    fn create(&mut self, call: &Call) -> Outcome {
        self.check_token(call)?;
        let known = [
            required("name", NAME),
            required("iam_id", ID),
            nullable("description", NAME),
            optional("account_id", ID),
            optional("apikey", Kind::Text(32, 1000)),
            optional("store_value", Kind::Flag),
            optional("support_sessions", Kind::Flag),
            optional("action_when_leaked", Kind::OneOf(&["none", "disable", "delete"])),
            optional("expires_at", ID),
        ];
        let body = Self::body(call, &known)?;
        if text(&body, "iam_id") != SERVICE {
            return Err(Self::error(404, "Provided IAM ID is not found"));
        }
        let secret = body.get("apikey").and_then(Value::as_str).map_or_else(|| random(""), str::to_owned);
        let action = body.get("action_when_leaked").and_then(Value::as_str).unwrap_or("none").to_owned();
        let mut record = Record::new(&random("ApiKey-"), text(&body, "name"), &secret, call.at, action);
        if let Some(given) = body.get("expires_at").and_then(Value::as_str) {
            let time = DateTime::parse_from_str(given, "%Y-%m-%dT%H:%M%z");
            let time = time.map_err(|_| Self::error(400, "expires_at is not of the form yyyy-MM-ddTHH:mm+0000"))?;
            record.expires = Some(time.timestamp_millis());
        }
        let record = self.keys.add(record);
        let mut answer = show(record);
        answer["apikey"] = json!(secret);
        Ok(Answer::new(201, answer))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        self.check_token(call)?;
        let size = Self::number(call, "pagesize", 20)?;
        if !(1..=100).contains(&size) {
            return Err(Self::error(400, "pagesize must be from 1 to 100"));
        }
        let size = call.at.page_size(size);
        let start = call.query("pagetoken").and_then(|token| self.keys.place(token)).map_or(0, |place| place + 1);
        let mine = call.query("iam_id").is_none_or(|id| id == SERVICE);
        let after = |record: &&Record<String>| self.keys.place(&record.id).is_some_and(|place| mine && place >= start);
        let mut page: Vec<_> = self.keys.listed(call.at).filter(after).take(size + 1).collect();
        let more = page.len() > size;
        page.truncate(size);
        let link = "https://iam.cloud.ibm.com/v1/apikeys?iam_id=x&pagetoken=";
        let mut answer = json!({
            "limit": size, "first": "https://iam.cloud.ibm.com/v1/apikeys?iam_id=x",
            "apikeys": page.iter().map(|record| show(record)).collect::<Vec<_>>(),
        });
        if let Some(last) = page.last().filter(|_| more) {
            answer["next"] = format!("{link}{}&pagesize={size}", last.id).into();
        }
        Ok(Answer::ok(answer))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        self.check_token(call)?;
        if !self.keys.delete(call.param(0), call.at) {
            return Err(Self::error(404, "API key is not found"));
        }
        Ok(Answer::new(204, Value::Null))
    }

    /// Whether the token that the request presents is an administrator's.
    fn check_token(&self, call: &Call) -> Result<(), Answer> {
        let token = call.request.bearer.as_deref().unwrap_or_default();
        if token.starts_with(ADMIN_TOKEN) { Ok(()) } else { Err(Self::error(403, "You are not authorized")) }
    }
}

impl Plain for Ibm {
    type Key = String;

    const REFUSED: u16 = 400;
    const EXPIRY_STEP_SECONDS: i64 = 60;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    /// Whose token it is, the routes find out.
    fn tokens(&self) -> Option<&Tokens> {
        Some(&self.tokens)
    }

    fn error(status: u16, message: &str) -> Answer {
        let error = json!({"code": format!("error_{status}"), "message": message});
        Answer::new(status, json!({"trace": "simulator", "status_code": status, "errors": [error]}))
    }

    fn keys(&mut self) -> &mut Book<String> {
        &mut self.keys
    }

    /// A key is good for one thing: the exchange.
    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "admin_key": ADMIN, "account_id": ACCOUNT, "iam_id": SERVICE, "api_url": format!("{url}/ibm"),
                "base_url": format!("{url}/ibm"), "token_url": format!("{url}/ibm/identity/token"),
            }),
            role: json!({"action_when_leaked": "disable"}),
            attempt: Attempt {
                method: "POST",
                path: "/ibm/identity/token",
                header: ("accept", "application/json"),
                body: "grant_type=urn%3Aibm%3Aparams%3Aoauth%3Agrant-type%3Aapikey&apikey={key}".into(),
                beyond: None,
            },
        }
    }
}

/// An error of the exchange.
fn told(status: u16, code: &str, message: &str) -> Answer {
    let context = json!({"requestId": "simulator"});
    Answer::new(status, json!({"errorCode": code, "errorMessage": message, "context": context}))
}

/// Whole minutes, and a zone without a colon.
fn minute(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y-%m-%dT%H:%M+0000").to_string()
}

fn show(record: &Record<String>) -> Value {
    let mut shown = json!({
        "id": record.id, "entity_tag": "1-simulator",
        "crn": format!("crn:v1:bluemix:public:iam-identity::a/{ACCOUNT}::apikey:{}", record.id),
        "locked": false, "disabled": false, "created_at": minute(record.created), "created_by": "IBMid-simulator",
        "modified_at": minute(record.created), "name": record.name, "action_when_leaked": record.more,
        "iam_id": SERVICE, "account_id": ACCOUNT, "apikey": "",
    });
    if let Some(expires) = record.expires {
        shown["expires_at"] = minute(expires).into();
    }
    shown
}
