//! Entra ID's token endpoint for client credentials, in Microsoft's form of errors, and an Azure OpenAI resource that
//! takes its tokens. After Microsoft's documents of the flow and of its error codes.

use serde_json::json;

use super::oauth2::{client, field};
use crate::book::{Book, Record, random};
use crate::plain::{Attempt, Example, Plain, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const TENANT: &str = "6f0e0000-0000-4000-8000-000000000001";
const CLIENT: &str = "6f0e0000-0000-4000-8000-000000000002";
const SECRET: &str = "entra~client.secret-simulator-0001";
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// Between 60 and 90 minutes: no request chooses it.
const LIFE_SECONDS: i64 = 4321;

const ROUTES: &[Route<AzureOpenAi>] = &[
    admin("POST", "/{tenant}/oauth2/v2.0/token", AzureOpenAi::token),
    key("POST", "/openai/v1/chat/completions", AzureOpenAi::complete),
];

#[derive(Default)]
pub struct AzureOpenAi {
    tokens: Book<()>,
}

impl AzureOpenAi {
    fn token(&mut self, call: &Call) -> Outcome {
        if call.param(0) != TENANT {
            return Err(refusal(
                400,
                "invalid_request",
                90002,
                "Tenant not found. Check to make sure you have the correct tenant ID.",
            ));
        }
        if client(call.request).is_none_or(|(id, _)| id != CLIENT) {
            return Err(refusal(400, "unauthorized_client", 700016, "Application was not found in the directory."));
        }
        if field(call.request, "scope") != Some(SCOPE) {
            return Err(refusal(
                400,
                "invalid_scope",
                70011,
                "The provided value for the input parameter 'scope' is not valid.",
            ));
        }
        let secret = format!("eyJ0eXAiOiJKV1QifQ.{}.{}", random(""), random(""));
        let mut record = Record::new(&random("tok_"), "token", &secret, call.at, ());
        record.expires = Some(call.at.after_seconds(LIFE_SECONDS));
        self.tokens.add(record);
        Ok(Answer::ok(json!({
            "token_type": "Bearer", "expires_in": LIFE_SECONDS, "ext_expires_in": LIFE_SECONDS, "access_token": secret,
        })))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.caller(call.request.bearer.as_deref(), call.at)?;
        works()
    }
}

impl Plain for AzureOpenAi {
    type Key = ();

    const LIFE_IS_CHOSEN: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    /// Tenant and client have refusals of their own.
    fn is_admin(request: &Request) -> bool {
        client(request).is_some_and(|(id, secret)| id != CLIENT || secret == SECRET)
    }

    fn error(status: u16, message: &str) -> Answer {
        match status {
            401 => refusal(401, "invalid_client", 7_000_215, "Invalid client secret provided."),
            429 | 500.. => refusal(status, "temporarily_unavailable", 90033, message),
            _ => refusal(status, "invalid_request", 900_144, message),
        }
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.tokens
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET,
                "login_url": format!("{url}/azure-openai"), "base_url": format!("{url}/azure-openai/openai/v1"),
            }),
            role: json!({}),
            attempt: Attempt::chat("/azure-openai/openai/v1/chat/completions", "gpt-4o-mini", None),
        }
    }
}

fn refusal(status: u16, error: &str, code: u64, message: &str) -> Answer {
    let trace = "6f0e0000-0000-4000-8000-0000000000ff";
    Answer::new(
        status,
        json!({
            "error": error,
            "error_description": format!("AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {trace} Timestamp: 2026-11-24 12:00:00Z"),
            "error_codes": [code], "timestamp": "2026-11-24 12:00:00Z", "trace_id": trace, "correlation_id": trace,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        }),
    )
}
