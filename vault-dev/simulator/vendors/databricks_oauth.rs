//! The token endpoint of a Databricks workspace for service principals, and its serving endpoints; after databricks-sdk
//! 0.162.0, which names no error but those of RFC 6749.

use serde_json::json;

use super::oauth2::{client, field, refusal};
use crate::book::{Book, Record, random};
use crate::plain::{Attempt, Example, Plain, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const CLIENT: &str = "5dba0000-0000-4000-8000-000000000001";
const SECRET: &str = "dose-simulator-0001";
const SCOPES: [&str; 2] = ["all-apis", "serving.serving-endpoints"];
const LIFE_SECONDS: i64 = 3600;

const ROUTES: &[Route<Databricks>] = &[
    admin("POST", "/oidc/v1/token", Databricks::token),
    key("POST", "/serving-endpoints/chat/completions", Databricks::complete),
];

#[derive(Default)]
pub struct Databricks {
    tokens: Book<()>,
}

impl Databricks {
    fn token(&mut self, call: &Call) -> Outcome {
        let asked = field(call.request, "scope").unwrap_or_default();
        if !asked.split(' ').all(|scope| SCOPES.contains(&scope)) {
            return Err(refusal(400, "invalid_scope", "the scope is not valid"));
        }
        let secret = format!("eyJraWQiOiJ4In0.{}.{}", random(""), random(""));
        let mut record = Record::new(&random("tok_"), "token", &secret, call.at, ());
        record.expires = Some(call.at.after_seconds(LIFE_SECONDS));
        self.tokens.add(record);
        let answer =
            json!({"access_token": secret, "scope": asked, "token_type": "Bearer", "expires_in": LIFE_SECONDS});
        Ok(Answer::ok(answer))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for Databricks {
    type Key = ();

    const LIFE_IS_CHOSEN: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        client(request) == Some((CLIENT.into(), SECRET.into()))
    }

    fn error(status: u16, message: &str) -> Answer {
        refusal(status, if status == 401 { "invalid_client" } else { "invalid_request" }, message)
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.tokens
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "workspace_url": format!("{url}/databricks-oauth"), "client_id": CLIENT, "client_secret": SECRET,
            }),
            role: json!({}),
            attempt: Attempt::chat("/databricks-oauth/serving-endpoints/chat/completions", "dbrx", None),
        }
    }
}
