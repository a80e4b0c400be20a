//! OpenAI's workload identity: providers, rules and the exchange, after its SDK 3.54.0. The exchange is at another host there.

use serde_json::{Map, Value, json};

use crate::book::random;
use crate::clock::unix;
use crate::federation::Rule;
use crate::fields::{ID, Kind, NAME, optional, required};
use crate::openai::{OpenAi, PREFIX, body, error, not_found, text};
use crate::plain::{Attempt, Example};
use crate::request::{Body, Call};
use crate::router::{Answer, Outcome};

/// The longest life of a token here. The vendor's is not documented.
const LONGEST: i64 = 3600;
const PROVIDER: &str = "idp_sim1";
const ACCOUNT: &str = "svc_sim1";

pub struct Provider {
    id: String,
    issuer: String,
    audience: String,
    jwks: Value,
}

pub fn create_provider(openai: &mut OpenAi, call: &Call) -> Outcome {
    let kind = Kind::OneOf(&["oidc"]);
    let known = [
        required("name", NAME),
        required("type", kind),
        required("issuer", NAME),
        required("audience", NAME),
        required("verification", Kind::Object),
        optional("description", NAME),
        optional("enabled", Kind::Flag),
    ];
    let body = body(call, &known)?;
    let provider = Provider {
        id: random("idp_"),
        issuer: text(&body, "issuer"),
        audience: text(&body, "audience"),
        jwks: uploaded(&body)?,
    };
    let shown = show(&provider, call);
    openai.providers.push(provider);
    Ok(Answer::ok(shown))
}

/// Other keys for all rules of the provider.
pub fn update_provider(openai: &mut OpenAi, call: &Call) -> Outcome {
    let body = body(call, &[required("verification", Kind::Object)])?;
    let jwks = uploaded(&body)?;
    let found = openai.providers.iter_mut().find(|provider| provider.id == call.param(0));
    let provider = found.ok_or_else(|| not_found("workload identity provider", call.param(0)))?;
    openai.federation.replace_keys(&provider.issuer, jwks["keys"].as_array().map_or(&[], Vec::as_slice));
    provider.jwks = jwks;
    Ok(Answer::ok(show(provider, call)))
}

pub fn create_rule(openai: &mut OpenAi, call: &Call) -> Outcome {
    let known = [
        required("project_id", ID),
        required("service_account_id", ID),
        required("attribute_matchers", Kind::Object),
        optional("name", NAME),
        optional("description", NAME),
        optional("enabled", Kind::Flag),
        optional("permissions", Kind::Object),
    ];
    let body = body(call, &known)?;
    let account = text(&body, "service_account_id");
    let exists = openai.accounts.get(&account).is_some_and(|found| found.more.project == text(&body, "project_id"));
    if !exists {
        return Err(not_found("service account", &account));
    }
    let found = openai.providers.iter().find(|provider| provider.id == call.param(0));
    let provider = found.ok_or_else(|| not_found("workload identity provider", call.param(0)))?;
    let scopes = body.get("permissions").and_then(|permissions| permissions["scopes"].as_array());
    let scopes: Vec<_> = scopes.into_iter().flatten().filter_map(Value::as_str).collect();
    let rule = json!({
        "id": rule_id(&provider.id, &account), "issuer": provider.issuer, "audience": provider.audience,
        "jwks": provider.jwks, "claims": body["attribute_matchers"], "max_jwt_lifetime_seconds": 86_400,
        "scope": scopes.join(" "), "target": account,
    });
    openai.federation.trust(Rule::read(&rule, "").map_err(|problem| error(400, &problem, None, None))?);
    Ok(Answer::ok(json!({
        "id": random("idprule_"), "object": "organization.workload_identity_federation_rule",
        "workload_identity_provider_id": provider.id, "project_id": body["project_id"], "service_account_id": account,
        "attribute_matchers": body["attribute_matchers"], "enabled": true, "name": body.get("name"),
        "permissions": body.get("permissions").cloned().unwrap_or_else(|| json!({"type": "service_account_default"})),
        "created_at": unix(call.at.ms), "updated_at": unix(call.at.ms),
    })))
}

pub fn exchange(openai: &mut OpenAi, call: &Call) -> Outcome {
    let Body::Json(Value::Object(body)) = &call.request.body else {
        return Err(refused(400, "invalid_request", "expected a JSON object"));
    };
    if text(body, "grant_type") != "urn:ietf:params:oauth:grant-type:token-exchange" {
        return Err(refused(400, "unsupported_grant_type", "expected token-exchange"));
    }
    if text(body, "subject_token_type") != "urn:ietf:params:oauth:token-type:jwt" {
        return Err(refused(400, "invalid_request", "subject_token_type is not supported"));
    }
    let rule = rule_id(&text(body, "identity_provider_id"), &text(body, "service_account_id"));
    let accepted = openai.federation.accept(&rule, &text(body, "subject_token"), call.at);
    let (rule, left) =
        accepted.map_err(|_| refused(401, "invalid_subject_token", "The subject token is not accepted."))?;
    let seconds = left.min(LONGEST);
    let token = openai.federation.give("oai-wif-", &rule.scope, seconds, call.at);
    Ok(Answer::ok(json!({
        "access_token": token, "token_type": "Bearer", "expires_in": seconds,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
    })))
}

pub fn example(url: &str) -> Value {
    let api_url = format!("{url}{PREFIX}");
    let example = Example {
        config: json!({"identity_provider_id": PROVIDER, "service_account_id": ACCOUNT, "api_url": api_url}),
        role: json!({}),
        attempt: Attempt::chat("/openai/v1/chat/completions", "gpt-4o-mini", None),
    };
    let trust = json!({
        "vendor": "openai", "id": rule_id(PROVIDER, ACCOUNT), "audience": api_url, "scope": "api.model.request",
        "max_jwt_lifetime_seconds": 86_400,
    });
    example.shown(url, Some(trust))
}

/// An exchange names a provider and a service account.
fn rule_id(provider: &str, account: &str) -> String {
    format!("{provider}/{account}")
}

/// The keys of a provider that has them uploaded; the simulator fetches nothing.
fn uploaded(body: &Map<String, Value>) -> Result<Value, Answer> {
    let verification = &body["verification"];
    let jwks =
        verification.get("jwks").filter(|jwks| verification["type"] == "uploaded_jwks" && jwks["keys"].is_array());
    jwks.cloned()
        .ok_or_else(|| error(400, "Only uploaded_jwks is supported.", Some("verification"), Some("invalid_value")))
}

fn refused(status: u16, code: &str, words: &str) -> Answer {
    Answer::new(status, json!({"error": code, "error_description": words}))
}

fn show(provider: &Provider, call: &Call) -> Value {
    json!({
        "id": provider.id, "object": "organization.workload_identity_provider", "type": "oidc", "name": "simulated",
        "issuer": provider.issuer, "audience": provider.audience, "enabled": true, "attribute_transformations": [],
        "verification": {"type": "uploaded_jwks", "jwks": provider.jwks},
        "created_at": unix(call.at.ms), "updated_at": unix(call.at.ms),
    })
}
