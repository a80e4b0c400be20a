//! The two keys of an Azure OpenAI resource, after azure-mgmt-cognitiveservices 14.1.0: they are listed, and each gets another
//! value when it is told to. The tokens for that are Entra ID's.

use serde_json::{Map, Value, json};

use super::oauth2::field;
use crate::book::{Book, random};
use crate::clock::{Moment, Settings};
use crate::fields::{Kind, required};
use crate::plain::{Attempt, Example, Plain, text, works};
use crate::request::Call;
use crate::router::{Answer, Outcome, Route, admin, key, open};
use crate::tokens::Tokens;

const TENANT: &str = "6f0e0000-0000-4000-8000-000000000001";
const CLIENT: &str = "6f0e0000-0000-4000-8000-000000000003";
const SECRET: &str = "entra~client.secret-simulator-0002";
const SUBSCRIPTION: &str = "6f0e0000-0000-4000-8000-000000000004";
const GROUP: &str = "group-sim1";
const RESOURCE: &str = "resource-sim1";
const SCOPE: &str = "https://management.azure.com/.default";
const VERSION: &str = "2025-09-01";
const TOKEN_SECONDS: i64 = 3599;
const NAMES: &[&str] = &["Key1", "Key2"];

const ROUTES: &[Route<AzureOpenAiKeys>] = &[
    open("POST", "/{tenant}/oauth2/v2.0/token", AzureOpenAiKeys::token),
    admin(
        "POST",
        "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.CognitiveServices/accounts/{a}/listKeys",
        AzureOpenAiKeys::list,
    ),
    admin(
        "POST",
        "/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.CognitiveServices/accounts/{a}/regenerateKey",
        AzureOpenAiKeys::regenerate,
    ),
    key("POST", "/openai/v1/chat/completions", AzureOpenAiKeys::complete),
    key("GET", "/openai/v1/models", AzureOpenAiKeys::models),
];

pub struct AzureOpenAiKeys {
    /// None is ever in it.
    keys: Book<()>,
    slots: [Slot; 2],
    tokens: Tokens,
}

struct Slot {
    value: String,
    made: i64,
    regenerated: u64,
}

impl Slot {
    fn new(at: Moment, regenerated: u64) -> Self {
        Self { value: random(""), made: at.ms, regenerated }
    }
}

impl Default for AzureOpenAiKeys {
    fn default() -> Self {
        let start = Settings::default().now();
        // Long known.
        let slot = || Slot { made: 0, ..Slot::new(start, 0) };
        Self { keys: Book::default(), slots: [slot(), slot()], tokens: Tokens::default() }
    }
}

impl AzureOpenAiKeys {
    fn token(&mut self, call: &Call) -> Outcome {
        let given = |name: &str| field(call.request, name).unwrap_or_default();
        if call.param(0) != TENANT || given("client_id") != CLIENT || given("client_secret") != SECRET {
            let told = json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."});
            return Err(Answer::new(401, told));
        }
        if given("grant_type") != "client_credentials" || given("scope") != SCOPE {
            return Err(Answer::new(400, json!({"error": "invalid_scope", "error_description": "AADSTS70011: scope"})));
        }
        let token = self.tokens.give("eyJ0eXAiOiJKV1QifQ.", TOKEN_SECONDS, call.at);
        Ok(Answer::ok(json!({"token_type": "Bearer", "expires_in": TOKEN_SECONDS, "access_token": token})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_resource(call)?;
        Ok(Answer::ok(self.shown()))
    }

    fn regenerate(&mut self, call: &Call) -> Outcome {
        of_resource(call)?;
        let body = Self::body(call, &[required("keyName", Kind::OneOf(NAMES))])?;
        let slot = &mut self.slots[usize::from(text(&body, "keyName") == NAMES[1])];
        *slot = Slot::new(call.at, slot.regenerated + 1);
        Ok(Answer::ok(self.shown()))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        self.check_key(call)?;
        works()
    }

    fn models(&mut self, call: &Call) -> Outcome {
        self.check_key(call)?;
        Ok(Answer::ok(json!({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]})))
    }

    fn check_key(&self, call: &Call) -> Result<(), Answer> {
        let key = call.request.header("api-key").unwrap_or_default();
        let known = |slot: &Slot| slot.value == key && !call.at.refuses_still(slot.made);
        match self.slots.iter().any(known) {
            true => Ok(()),
            false => Err(Self::error(401, "Access denied due to invalid subscription key or wrong API endpoint.")),
        }
    }

    fn shown(&self) -> Value {
        json!({"key1": self.slots[0].value, "key2": self.slots[1].value})
    }
}

impl Plain for AzureOpenAiKeys {
    type Key = ();

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn tokens(&self) -> Option<&Tokens> {
        Some(&self.tokens)
    }

    fn error(status: u16, message: &str) -> Answer {
        let code = match status {
            401 => "InvalidAuthenticationToken",
            404 => "ResourceNotFound",
            429 => "TooManyRequests",
            500.. => "InternalServerError",
            _ => "BadRequest",
        };
        Answer::new(status, json!({"error": {"code": code, "message": message}}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.keys
    }

    fn more(&self, _: Moment) -> Map<String, Value> {
        let counts = NAMES.iter().zip(&self.slots).map(|(name, slot)| ((*name).to_owned(), slot.regenerated.into()));
        Map::from_iter([("regenerated".to_owned(), Value::Object(counts.collect()))])
    }

    fn example(url: &str) -> Example {
        let here = format!("{url}/azure-openai-keys");
        Example {
            config: json!({
                "client_secret": SECRET, "client_id": CLIENT, "tenant_id": TENANT, "subscription_id": SUBSCRIPTION,
                "resource_group": GROUP, "resource_name": RESOURCE, "api_url": here,
                "token_url": format!("{here}/{TENANT}/oauth2/v2.0/token"), "base_url": format!("{here}/openai/v1"),
            }),
            role: json!({"slot": NAMES[1]}),
            attempt: Attempt {
                header: ("api-key", "{key}"),
                ..Attempt::chat("/azure-openai-keys/openai/v1/chat/completions", "gpt-4o-mini", None)
            },
        }
    }
}

fn of_resource(call: &Call) -> Result<(), Answer> {
    if call.query("api-version") != Some(VERSION) {
        return Err(AzureOpenAiKeys::error(400, "The api-version is not supported."));
    }
    match (call.param(0), call.param(1), call.param(2)) {
        (SUBSCRIPTION, GROUP, RESOURCE) => Ok(()),
        _ => Err(AzureOpenAiKeys::error(404, "The resource was not found.")),
    }
}
