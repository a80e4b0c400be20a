//! DeepInfra's scoped JWTs, after the vendor's page on them: it keeps none, and knows one by its signature.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::{Value, json};

use crate::book::Book;
use crate::clock::unix;
use crate::plain::{Attempt, Example, Plain, asked_model, texts, works};
use crate::request::{Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const API_KEY: &str = "deepinfra-api-key-simulator-0001";
const KEY_NAME: &str = "auto";
const USER: &str = "di:1000000000000";
const WEEK_SECONDS: i64 = 7 * 24 * 3600;
/// What a completion costs here, in USD.
const PRICE: f64 = 0.4;

const ROUTES: &[Route<DeepInfra>] = &[
    admin("GET", "/v1/scoped-jwt", DeepInfra::inspect),
    key("POST", "/v1/openai/chat/completions", DeepInfra::complete),
];

#[derive(Default)]
pub struct DeepInfra {
    none: Book<()>,
    spent: HashMap<String, f64>,
}

impl DeepInfra {
    fn inspect(&mut self, call: &Call) -> Outcome {
        let claims = read(call.query("jwtoken").unwrap_or_default(), call)?;
        let models = models(&claims);
        Ok(Answer::ok(json!({
            "expires_at": claims["exp"], "models": models, "spending_limit": claims["spending_limit"],
        })))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let token = call.request.bearer.as_deref().unwrap_or_default();
        let claims = read(token, call)?;
        if models(&claims).is_some_and(|models| !models.contains(&asked_model(call))) {
            return Err(Self::error(403, "The token is not for this model"));
        }
        let spent = self.spent.entry(token.to_owned()).or_default();
        if claims["spending_limit"].as_f64().is_some_and(|limit| *spent >= limit) {
            return Err(Self::error(402, "The token's spending limit is reached"));
        }
        *spent += PRICE;
        works()
    }
}

impl Plain for DeepInfra {
    type Key = ();

    const OFFLINE: bool = true;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(API_KEY)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"detail": {"error": message}}))
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.none
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"api_key": API_KEY, "user_id": USER, "api_url": format!("{url}/deepinfra")}),
            role: json!({"models": ["deepseek-ai/DeepSeek-R1"]}),
            attempt: Attempt::chat(
                "/deepinfra/v1/openai/chat/completions",
                "deepseek-ai/DeepSeek-R1",
                Some("meta-llama/Meta-Llama-3-8B-Instruct"),
            ),
        }
    }
}

/// The claims of a token of the account's, if it works.
fn read(token: &str, call: &Call) -> Result<Value, Answer> {
    let claims = verified(token).ok_or_else(|| DeepInfra::error(401, "Invalid scoped JWT"))?;
    let left = claims["exp"].as_i64().unwrap_or_default() - unix(call.at.ms);
    if !(1..=WEEK_SECONDS).contains(&left) {
        return Err(DeepInfra::error(401, "The scoped JWT has expired, or lives for more than a week"));
    }
    Ok(claims)
}

fn verified(token: &str) -> Option<Value> {
    let (text, signature) = token.strip_prefix("jwt:")?.rsplit_once('.')?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, API_KEY.as_bytes()), text.as_bytes(), &signature).ok()?;
    let (header, claims) = text.split_once('.')?;
    let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    let (header, claims) = (part(header)?, part(claims)?);
    let kid = format!("{USER}:{}", STANDARD.encode(KEY_NAME));
    (header["alg"] == "HS256" && header["kid"] == kid && claims["sub"] == USER).then_some(claims)
}

/// None where all are allowed.
fn models(claims: &Value) -> Option<Vec<String>> {
    let one = claims["model"].as_str().map(|model| vec![model.to_owned()]);
    one.or_else(|| claims.get("models").map(|models| texts(Some(models))))
}
