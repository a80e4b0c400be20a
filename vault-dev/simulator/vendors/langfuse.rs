//! Langfuse's keys of a project, after the vendor's OpenAPI document and source of 2026-08: a key has two parts, presented
//! as user and password.

use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{Kind, NAME, nullable};
use crate::plain::{Attempt, Example, Plain, text, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const PUBLIC: &str = "pk-lf-simulator-organization-0001";
const SECRET: &str = "sk-lf-simulator-organization-0001";
const PROJECT: &str = "simulator-project-1";

const ROUTES: &[Route<Langfuse>] = &[
    admin("POST", "/api/public/projects/{projectId}/apiKeys", Langfuse::create),
    admin("GET", "/api/public/projects/{projectId}/apiKeys", Langfuse::list),
    admin("DELETE", "/api/public/projects/{projectId}/apiKeys/{apiKeyId}", Langfuse::delete),
    key("POST", "/api/public/ingestion", Langfuse::ingest),
];

#[derive(Default)]
pub struct Langfuse {
    /// With the public key.
    keys: Book<String>,
}

impl Langfuse {
    fn create(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let known = [nullable("note", NAME), nullable("publicKey", NAME), nullable("secretKey", NAME)];
        let body = Self::body(call, &known)?;
        let given = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let (public, secret) = match (given("publicKey"), given("secretKey")) {
            (None, None) => (random("pk-lf-"), random("sk-lf-")),
            (Some(public), Some(secret)) if public.starts_with("pk-lf-") && secret.starts_with("sk-lf-") => {
                (public, secret)
            }
            _ => return Err(Self::error(400, "Both publicKey and secretKey must be provided")),
        };
        let record = Record::new(&random("c"), text(&body, "note"), &secret, call.at, public);
        let record = self.keys.add(record);
        let mut answer = show(record);
        answer["secretKey"] = json!(secret);
        Ok(Answer::ok(answer))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        let keys: Vec<_> = self.keys.listed(call.at).map(show).collect();
        Ok(Answer::ok(json!({"apiKeys": keys})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        of_project(call)?;
        if !self.keys.delete(call.param(1), call.at) {
            return Err(Self::error(404, "API key not found"));
        }
        Ok(Answer::ok(json!({"success": true})))
    }

    fn ingest(&mut self, call: &Call) -> Outcome {
        let (public, secret) = call.request.basic().unwrap_or_default();
        if self.caller(Some(&secret), call.at)?.more != public {
            return Err(Self::error(401, "Invalid credentials"));
        }
        Self::body(call, &[crate::fields::required("batch", Kind::List)])?;
        works()
    }
}

impl Plain for Langfuse {
    type Key = String;

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.basic().is_some_and(|(user, password)| user == PUBLIC && password == SECRET)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"message": message}))
    }

    fn keys(&mut self) -> &mut Book<String> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "public_key": PUBLIC, "secret_key": SECRET, "project_id": PROJECT, "api_url": format!("{url}/langfuse"),
            }),
            role: json!({}),
            attempt: Attempt {
                method: "POST",
                path: "/langfuse/api/public/ingestion",
                header: ("authorization", "Basic {public_key:key}"),
                body: json!({"batch": []}),
                beyond: None,
            },
        }
    }
}

fn of_project(call: &Call) -> Result<(), Answer> {
    let mine = call.param(0) == PROJECT;
    if mine { Ok(()) } else { Err(Langfuse::error(404, "Project not found or you don't have access to it")) }
}

fn show(record: &Record<String>) -> Value {
    json!({
        "id": record.id, "createdAt": rfc3339(record.created), "expiresAt": null, "lastUsedAt": null, "note": record.name,
        "publicKey": record.more, "displaySecretKey": "sk-lf-...0001",
    })
}
