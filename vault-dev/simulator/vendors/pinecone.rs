//! Pinecone's admin API, after the vendor's OpenAPI document of version 2026-04: the credential is exchanged for a token, a
//! deletion is an order, and nothing says when a key was made.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::book::{Book, Record, random};
use crate::fields::{Kind, NAME, optional, required};
use crate::plain::{Attempt, Beyond, Example, Plain, text, texts};
use crate::request::Call;
use crate::router::{Answer, Outcome, Route, admin, key, open};
use crate::tokens::Tokens;

const CLIENT_ID: &str = "simulator-client-1";
const CLIENT_SECRET: &str = "pinecone-client-secret-simulator-0001";
const TOKEN_SECONDS: i64 = 1800;
const PROJECT: &str = "6a1c0d52-7a4e-4a53-9d0e-000000000001";
const VERSION: &str = "x-pinecone-api-version";
const ROLES: [&str; 6] = [
    "ProjectEditor",
    "ProjectViewer",
    "ControlPlaneEditor",
    "ControlPlaneViewer",
    "DataPlaneEditor",
    "DataPlaneViewer",
];

const ROUTES: &[Route<Pinecone>] = &[
    // Where the real one is has a host of its own: login.pinecone.io.
    open("POST", "/oauth/token", Pinecone::token),
    admin("GET", "/admin/projects/{project_id}/api-keys", Pinecone::list),
    admin("POST", "/admin/projects/{project_id}/api-keys", Pinecone::create),
    admin("DELETE", "/admin/api-keys/{api_key_id}", Pinecone::delete),
    key("GET", "/indexes", Pinecone::indexes),
    key("POST", "/indexes", Pinecone::make_index),
];

#[derive(Default)]
pub struct Pinecone {
    keys: Book<Vec<String>>,
    tokens: Tokens,
}

impl Pinecone {
    fn token(&mut self, call: &Call) -> Outcome {
        let known = ["grant_type", "client_id", "client_secret", "audience"].map(|name| required(name, NAME));
        let body = Self::body(call, &known)?;
        if text(&body, "grant_type") != "client_credentials" || text(&body, "audience") != "https://api.pinecone.io/" {
            return Err(oauth(403, "access_denied", "Service not enabled within domain"));
        }
        if text(&body, "client_id") != CLIENT_ID || text(&body, "client_secret") != CLIENT_SECRET {
            return Err(oauth(401, "access_denied", "Unauthorized"));
        }
        let token = self.tokens.give("eyJhbGciOiJub25lIn0.pinecone-", TOKEN_SECONDS, call.at);
        Ok(Answer::ok(json!({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})))
    }

    fn create(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let body = Self::body(call, &[required("name", Kind::Text(1, 80)), optional("roles", Kind::Texts)])?;
        let roles = match body.get("roles") {
            None => vec!["ProjectEditor".to_owned()],
            given => texts(given),
        };
        if let Some(odd) = roles.iter().find(|role| !ROLES.contains(&role.as_str())) {
            return Err(Self::error(400, &format!("{odd} is no role")));
        }
        let secret = format!("pckey_{}_{}", random("")[..6].to_owned(), random(""));
        let id = Uuid::new_v4().to_string();
        let record = self.keys.add(Record::new(&id, text(&body, "name"), &secret, call.at, roles));
        Ok(Answer::new(201, json!({"key": show(record), "value": secret})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        Ok(Answer::ok(json!({"data": self.keys.listed(call.at).map(show).collect::<Vec<_>>()})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        versioned(call)?;
        if !self.keys.order_deletion(call.param(0), call.at) {
            return Err(Self::error(404, "API key not found."));
        }
        Ok(Answer::new(202, Value::Null))
    }

    fn indexes(&mut self, call: &Call) -> Outcome {
        self.check_role(call, &["ProjectEditor", "ProjectViewer", "ControlPlaneEditor", "ControlPlaneViewer"])?;
        Ok(Answer::ok(json!({"indexes": []})))
    }

    fn make_index(&mut self, call: &Call) -> Outcome {
        self.check_role(call, &["ProjectEditor", "ControlPlaneEditor"])?;
        let known = [required("name", NAME), required("dimension", Kind::Whole(1, 20_000))];
        let body = Self::body(call, &known)?;
        Ok(Answer::new(201, json!({"name": body["name"], "dimension": body["dimension"]})))
    }

    fn check_role(&mut self, call: &Call, wanted: &[&str]) -> Result<(), Answer> {
        let record = self.caller(call.request.header("api-key"), call.at)?;
        if record.more.iter().any(|role| wanted.contains(&role.as_str())) {
            Ok(())
        } else {
            Err(Self::error(403, "The key's roles do not permit this."))
        }
    }
}

impl Plain for Pinecone {
    type Key = Vec<String>;

    const PAGED: bool = false;
    const DATED: bool = false;
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
            403 => "FORBIDDEN",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            _ => "UNKNOWN",
        };
        Answer::new(status, json!({"status": status, "error": {"code": code, "message": message}}))
    }

    fn keys(&mut self) -> &mut Book<Vec<String>> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "project_id": PROJECT,
                "api_url": format!("{url}/pinecone"), "token_url": format!("{url}/pinecone/oauth/token"),
            }),
            role: json!({"roles": ["ControlPlaneViewer"]}),
            attempt: Attempt {
                method: "GET",
                path: "/pinecone/indexes",
                header: ("api-key", "{key}"),
                body: Value::Null,
                beyond: Some(Beyond {
                    method: "POST",
                    path: "/pinecone/indexes",
                    body: json!({"name": "docs", "dimension": 8}),
                    status: 403,
                }),
            },
        }
    }
}

fn oauth(status: u16, error: &str, description: &str) -> Answer {
    Answer::new(status, json!({"error": error, "error_description": description}))
}

fn versioned(call: &Call) -> Result<(), Answer> {
    let given = call.request.header(VERSION).is_some();
    if given { Ok(()) } else { Err(Pinecone::error(400, "X-Pinecone-Api-Version is required")) }
}

fn of_project(call: &Call) -> Result<(), Answer> {
    versioned(call)?;
    if call.param(0) == PROJECT { Ok(()) } else { Err(Pinecone::error(404, "Project not found.")) }
}

fn show(record: &Record<Vec<String>>) -> Value {
    json!({"id": record.id, "name": record.name, "project_id": PROJECT, "roles": record.more})
}
