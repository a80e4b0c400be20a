//! Databricks' tokens on behalf of service principals, after SDK databricks-sdk 0.162.0: the credential is exchanged for a
//! token with `Authorization: Basic` and a form, times are milliseconds, a token that does not work gets 403.

use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::fields::{ID, Kind, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, texts, works};
use crate::request::Call;
use crate::router::{Answer, Outcome, Route, admin, key, open};
use crate::tokens::Tokens;

const CLIENT_ID: &str = "6d1c0d52-7a4e-4a53-9d0e-00000000000a";
const CLIENT_SECRET: &str = "dose-databricks-client-secret-simulator-0001";
const TOKEN_SECONDS: i64 = 3600;
/// A service principal that may use tokens.
const APPLICATION: &str = "6d1c0d52-7a4e-4a53-9d0e-000000000001";

const ROUTES: &[Route<Databricks>] = &[
    open("POST", "/oidc/v1/token", Databricks::token),
    admin("POST", "/api/2.0/token-management/on-behalf-of/tokens", Databricks::create),
    admin("GET", "/api/2.0/token-management/tokens", Databricks::list),
    admin("DELETE", "/api/2.0/token-management/tokens/{token_id}", Databricks::delete),
    key("POST", "/serving-endpoints/chat/completions", Databricks::complete),
    key("GET", "/api/2.1/clusters/list", Databricks::clusters),
    key("GET", "/api/2.0/preview/scim/v2/Me", Databricks::me),
];

#[derive(Default)]
pub struct Databricks {
    keys: Book<Vec<String>>,
    tokens: Tokens,
}

impl Databricks {
    fn token(&mut self, call: &Call) -> Outcome {
        let request = call.request;
        if request.basic() != Some((CLIENT_ID.to_owned(), CLIENT_SECRET.to_owned())) {
            let body = json!({"error": "invalid_client", "error_description": "Client authentication failed"});
            return Err(Answer::new(401, body));
        }
        if request.form("grant_type") != Some("client_credentials") || request.form("scope") != Some("all-apis") {
            let body = json!({"error": "invalid_request", "error_description": "grant_type or scope is not supported"});
            return Err(Answer::new(400, body));
        }
        let token = self.tokens.give("eyJhbGciOiJub25lIn0.databricks-", TOKEN_SECONDS, call.at);
        Ok(Answer::ok(json!({
            "access_token": token, "expires_in": TOKEN_SECONDS, "scope": "all-apis", "token_type": "Bearer",
        })))
    }

    fn create(&mut self, call: &Call) -> Outcome {
        let known = [
            required("application_id", ID),
            optional("autoscope_enabled", Kind::Flag),
            optional("comment", Kind::Text(0, 1000)),
            optional("lifetime_seconds", Kind::Whole(1, i64::MAX)),
            optional("scopes", Kind::Texts),
        ];
        let body = Self::body(call, &known)?;
        if text(&body, "application_id") != APPLICATION {
            return Err(Self::error(404, "Service principal does not exist."));
        }
        let secret = random("dapi");
        let scopes = texts(body.get("scopes"));
        let mut record = Record::new(&random(""), text(&body, "comment"), &secret, call.at, scopes);
        let life = body.get("lifetime_seconds").and_then(Value::as_i64);
        record.expires = life.map(|seconds| call.at.after_seconds(seconds));
        let record = self.keys.add(record);
        Ok(Answer::ok(json!({"token_value": secret, "token_info": show(record)})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        let infos: Vec<_> = self.keys.listed(call.at).map(show).collect();
        // What is empty is left out.
        Ok(Answer::ok(if infos.is_empty() { json!({}) } else { json!({"token_infos": infos}) }))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        let id = call.param(0);
        if !self.keys.delete(id, call.at) {
            return Err(Self::error(404, &format!("Token with ID {id} does not exist.")));
        }
        Ok(Answer::ok(json!({})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.check_scope(call, "model-serving")?;
        works()
    }

    fn clusters(&mut self, call: &Call) -> Outcome {
        self.check_scope(call, "clusters")?;
        Ok(Answer::ok(json!({"clusters": []})))
    }

    /// Every scope has it.
    fn me(&mut self, call: &Call) -> Outcome {
        let record = self.holder(call)?;
        Ok(Answer::ok(json!({"id": record.id, "active": true})))
    }

    fn holder(&mut self, call: &Call) -> Result<&mut Record<Vec<String>>, Answer> {
        let refused = |_| Self::error(403, "Invalid access token.");
        self.caller(call.request.bearer.as_deref(), call.at).map_err(refused)
    }

    fn check_scope(&mut self, call: &Call, wanted: &str) -> Result<(), Answer> {
        let scopes = &self.holder(call)?.more;
        if scopes.is_empty() || scopes.iter().any(|scope| scope == "all-apis" || scope == wanted) {
            Ok(())
        } else {
            Err(Self::error(403, &format!("Provided token does not have required scopes: {wanted}")))
        }
    }
}

impl Plain for Databricks {
    type Key = Vec<String>;

    const PAGED: bool = false;
    const REFUSED: u16 = 403;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn tokens(&self) -> Option<&Tokens> {
        Some(&self.tokens)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            400 => json!("INVALID_PARAMETER_VALUE"),
            401 => json!("UNAUTHENTICATED"),
            // As recorded: a number.
            403 => json!(403),
            404 => json!("RESOURCE_DOES_NOT_EXIST"),
            429 => json!("REQUEST_LIMIT_EXCEEDED"),
            _ => json!("INTERNAL_ERROR"),
        };
        Answer::new(status, json!({"error_code": code, "message": message}))
    }

    fn keys(&mut self) -> &mut Book<Vec<String>> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "api_url": format!("{url}/databricks"),
            }),
            role: json!({"application_id": APPLICATION, "scopes": ["model-serving"]}),
            attempt: Attempt::chat(
                "/databricks/serving-endpoints/chat/completions",
                "databricks-claude-sonnet-4",
                None,
            )
            .but_not(Beyond {
                method: "GET",
                path: "/databricks/api/2.1/clusters/list",
                body: Value::Null,
                status: 403,
            }),
        }
    }
}

fn show(record: &Record<Vec<String>>) -> Value {
    json!({
        "token_id": record.id, "comment": record.name, "creation_time": record.created,
        "expiry_time": record.expires.unwrap_or(-1), "created_by_id": 1, "created_by_username": CLIENT_ID, "owner_id": 2,
        "scopes": record.more,
    })
}
