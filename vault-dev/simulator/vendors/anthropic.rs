//! Anthropic: issuers, rules, the exchange and messages, after its SDK 2.12.0. There is no call that makes a key.

use serde_json::{Map, Value, json};

use crate::book::{Book, random};
use crate::clock::Moment;
use crate::federation::{Federation, Rule};
use crate::fields::{Field, ID, Kind, NAME, optional, required};
use crate::plain::{Attempt, Example, Plain, text, works};
use crate::request::{Body, Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key, open};

/// A token of scope `org:admin`: an admin key manages no federation.
const ADMIN: &str = "sk-ant-oat01-simulator-org-admin-0001";
const ORGANIZATION: &str = "00000000-0000-4000-8000-00000000a001";
const SERVICE_ACCOUNT: &str = "svac_sim1";
const RULE: &str = "fdrl_sim1";
const AUDIENCE: &str = "/anthropic";
const BETA: &str = "oauth-2025-04-20";
const FEDERATION_BETA: &str = "oidc-federation-2026-04-01";

const ROUTES: &[Route<Anthropic>] = &[
    admin("POST", "/v1/organizations/federation_issuers", Anthropic::create_issuer),
    admin("POST", "/v1/organizations/federation_issuers/{id}", Anthropic::update_issuer),
    admin("POST", "/v1/organizations/federation_rules", Anthropic::create_rule),
    open("POST", "/v1/oauth/token", Anthropic::exchange),
    key("POST", "/v1/messages", Anthropic::message),
];

const ISSUER: [Field; 4] = [
    required("issuer_url", NAME),
    required("name", NAME),
    required("jwks", Kind::Object),
    optional("max_jwt_lifetime_seconds", Kind::Whole(1, 176_400)),
];

const RULE_FIELDS: [Field; 6] = [
    required("issuer_id", ID),
    required("name", NAME),
    required("match", Kind::Object),
    required("oauth_scope", NAME),
    required("target", Kind::Object),
    optional("token_lifetime_seconds", Kind::Whole(60, 86_400)),
];

#[derive(Default)]
pub struct Anthropic {
    /// None is ever in it.
    keys: Book<()>,
    issuers: Vec<(String, Map<String, Value>)>,
    federation: Federation,
}

impl Anthropic {
    fn create_issuer(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &ISSUER)?;
        inline(&body)?;
        let id = random("fdis_");
        let shown =
            json!({"id": id, "type": "federation_issuer", "issuer_url": body["issuer_url"], "name": body["name"]});
        self.issuers.push((id, body));
        Ok(Answer::ok(shown))
    }

    /// Other keys for all rules of the issuer.
    fn update_issuer(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &[required("jwks", Kind::Object)])?;
        let keys = inline(&body)?;
        let found = self.issuers.iter_mut().find(|(id, _)| id == call.param(0));
        let (id, issuer) = found.ok_or_else(|| Self::error(404, "no such issuer"))?;
        issuer.insert("jwks".into(), body["jwks"].clone());
        self.federation.replace_keys(text(issuer, "issuer_url"), &keys);
        Ok(Answer::ok(json!({"id": id, "type": "federation_issuer"})))
    }

    fn create_rule(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &RULE_FIELDS)?;
        let issuer = self.issuers.iter().find(|(id, _)| id == text(&body, "issuer_id"));
        let (_, issuer) = issuer.ok_or_else(|| Self::error(404, "no such issuer"))?;
        let wanted = &body["match"];
        if wanted["subject_prefix"].as_str().is_none_or(|subject| subject == "*")
            && wanted["claims"].as_object().is_none()
        {
            return Err(Self::error(400, "match: one of subject_prefix, claims and condition is required"));
        }
        if !["workspace:developer", "workspace:inference"].contains(&text(&body, "oauth_scope")) {
            return Err(Self::error(400, "oauth_scope: only workspace:developer and workspace:inference"));
        }
        let default = format!("http://{}{AUDIENCE}", call.request.header("host").unwrap_or_default());
        let rule = json!({
            "issuer": issuer["issuer_url"], "jwks": issuer["jwks"],
            "audience": wanted["audience"].as_str().unwrap_or(&default),
            "subject": wanted["subject_prefix"], "claims": wanted["claims"],
            "lifetime_seconds": body.get("token_lifetime_seconds"), "scope": body["oauth_scope"],
            "max_jwt_lifetime_seconds": issuer.get("max_jwt_lifetime_seconds"),
            "target": body["target"]["service_account_id"],
        });
        let rule = Rule::read(&rule, &random("fdrl_")).map_err(|problem| Self::error(400, &problem))?;
        let shown = json!({"id": rule.id, "type": "federation_rule", "name": body["name"]});
        self.federation.trust(rule);
        Ok(Answer::ok(shown))
    }

    fn exchange(&mut self, call: &Call) -> Outcome {
        let beta = call.request.header("anthropic-beta").unwrap_or_default();
        if ![BETA, FEDERATION_BETA].iter().all(|needed| beta.split(',').any(|given| given.trim() == *needed)) {
            return Err(refused(400, "unsupported_grant_type", "the beta headers are missing"));
        }
        let Body::Json(Value::Object(body)) = &call.request.body else {
            return Err(refused(400, "invalid_request", "expected a JSON object"));
        };
        if text(body, "grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
            return Err(refused(400, "unsupported_grant_type", "expected jwt-bearer"));
        }
        // The vendor's log says more; the answer does not.
        let denied = |_| refused(401, "invalid_grant", "The assertion does not satisfy the federation rule.");
        if text(body, "organization_id") != ORGANIZATION {
            return Err(denied("another organization"));
        }
        let accepted = self.federation.accept(text(body, "federation_rule_id"), text(body, "assertion"), call.at);
        let (rule, left) = accepted.map_err(denied)?;
        if body.get("service_account_id").is_some_and(|id| *id != rule.target.as_str()) {
            return Err(denied("another service account"));
        }
        let seconds = rule.lifetime.min(2 * left).max(60);
        let token = self.federation.give("sk-ant-oat01-", &rule.scope, seconds, call.at);
        let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds, "scope": rule.scope});
        Ok(Answer::ok(answer))
    }

    fn message(&mut self, call: &Call) -> Outcome {
        let token = call.request.bearer.as_deref().and_then(|token| self.federation.holder(token, call.at));
        let beta = call.request.header("anthropic-beta").unwrap_or_default();
        if token.is_none() || !beta.split(',').any(|given| given.trim() == BETA) {
            return Err(Self::error(401, "invalid bearer token"));
        }
        if call.request.header("anthropic-version").is_none() {
            return Err(Self::error(400, "anthropic-version: header is required"));
        }
        works()
    }
}

impl Plain for Anthropic {
    type Key = ();

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        error(status, message)
    }

    fn keys(&mut self) -> &mut Book<()> {
        &mut self.keys
    }

    fn federation(&mut self) -> Option<&mut Federation> {
        Some(&mut self.federation)
    }

    fn more(&self, at: Moment) -> Map<String, Value> {
        Map::from_iter([("tokens".to_owned(), self.federation.snapshot(at))])
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({
                "organization_id": ORGANIZATION, "federation_rule_id": RULE, "service_account_id": SERVICE_ACCOUNT,
                "api_url": format!("{url}{AUDIENCE}"),
            }),
            role: json!({}),
            attempt: Attempt {
                method: "POST",
                path: "/anthropic/v1/messages",
                header: ("authorization", "Bearer {key}"),
                body: json!({"model": "claude-sonnet-4-6", "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]}),
                beyond: None,
            },
        }
    }

    fn trust(url: &str) -> Option<Value> {
        Some(json!({
            "vendor": "anthropic", "id": RULE, "audience": format!("{url}/anthropic"), "target": SERVICE_ACCOUNT,
            "scope": "workspace:inference", "lifetime_seconds": 86_400, "max_jwt_lifetime_seconds": 43_200,
        }))
    }
}

/// The envelope of all of its APIs.
pub fn error(status: u16, message: &str) -> Answer {
    let kind = match status {
        401 => "authentication_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    };
    Answer::new(status, json!({"type": "error", "error": {"type": kind, "message": message}}))
}

/// The keys of an issuer whose JWKS is inline; the simulator fetches nothing.
fn inline(body: &Map<String, Value>) -> Result<Vec<Value>, Answer> {
    let keys = body["jwks"]["keys"].as_array().filter(|_| body["jwks"]["type"] == "inline");
    keys.cloned().ok_or_else(|| Anthropic::error(400, "jwks: only type inline, with keys"))
}

fn refused(status: u16, code: &str, words: &str) -> Answer {
    Answer::new(status, json!({"error": code, "error_description": words}))
}
