//! Acme, which does not exist: the vendor of the worked examples in `docs/definitions.md`. Keys at `/v1/keys` for an admin
//! key, and tokens at `/v1/tokens` for an access token that a client id and its secret are exchanged for.

use chrono::DateTime;
use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{Field, ID, Kind, NAME, optional, required};
use crate::plain::{Attempt, Example, Plain, asked_model, text, texts, works};
use crate::request::{Body, Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key, open};

const ADMIN: &str = "acme-admin-simulator-0001";
const CLIENT: (&str, &str) = ("acme-client", "acme-client-secret-0001");
const ACCESS_TOKEN: &str = "acme-access-token-0001";
const TEAM: &str = "team-1";

const ROUTES: &[Route<Acme>] = &[
    admin("GET", "/v1/me", Acme::me),
    admin("POST", "/v1/teams/{team}/keys", Acme::create),
    admin("GET", "/v1/teams/{team}/keys", Acme::list),
    admin("PATCH", "/v1/keys/{id}", Acme::update),
    admin("DELETE", "/v1/keys/{id}", Acme::delete),
    open("POST", "/oauth/token", Acme::access_token),
    key("POST", "/v1/tokens", Acme::token),
    key("POST", "/v1/chat/completions", Acme::complete),
    key("GET", "/v1/models", Acme::models),
];

#[derive(Default)]
pub struct Acme {
    keys: Book<Vec<String>>,
}

impl Acme {
    fn me(&mut self, _: &Call) -> Outcome {
        Ok(Answer::ok(json!({"name": "platform team", "team": TEAM})))
    }

    fn create(&mut self, call: &Call) -> Outcome {
        of_team(call)?;
        let known = [
            required("label", NAME),
            optional("models", Kind::SomeTexts),
            optional("rpm", Kind::Whole(1, 100_000)),
            EXPIRES,
        ];
        let body = Self::body(call, &known)?;
        let secret = random("acme-");
        let mut record =
            Record::new(&random("key_"), text(&body, "label"), &secret, call.at, texts(body.get("models")));
        record.expires = expiry(&body)?;
        let record = self.keys.add(record);
        Ok(Answer::new(201, json!({"key": show(record), "secret": secret})))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        of_team(call)?;
        let size = call.at.page_size(Self::number(call, "limit", 20)?);
        let start = call.query("cursor").and_then(|id| self.keys.place(id)).map_or(0, |place| place + 1);
        let after = |record: &&Record<Vec<String>>| self.keys.place(&record.id).is_some_and(|place| place >= start);
        let mut page: Vec<_> = self.keys.listed(call.at).filter(after).take(size + 1).collect();
        let more = page.len() > size;
        page.truncate(size);
        let next = page.last().filter(|_| more).map(|record| record.id.clone());
        Ok(Answer::ok(json!({"keys": page.into_iter().map(show).collect::<Vec<_>>(), "next": next})))
    }

    fn update(&mut self, call: &Call) -> Outcome {
        let body = Self::body(call, &[EXPIRES])?;
        let expires = expiry(&body)?;
        let record = self.keys.get_mut(call.param(0)).ok_or_else(|| Self::error(404, "no such key"))?;
        record.expires = expires.or(record.expires);
        Ok(Answer::ok(json!({"key": show(record)})))
    }

    fn delete(&mut self, call: &Call) -> Outcome {
        if !self.keys.delete(call.param(0), call.at) {
            return Err(Self::error(404, "no such key"));
        }
        Ok(Answer::ok(json!({"deleted": true})))
    }

    /// Client credentials (RFC 6749, section 4.4), with the secret in the body.
    fn access_token(&mut self, call: &Call) -> Outcome {
        let Body::Form(fields) = &call.request.body else { return Err(oauth_error("invalid_request")) };
        let field = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if field("grant_type") != Some("client_credentials") {
            return Err(oauth_error("unsupported_grant_type"));
        }
        if (field("client_id"), field("client_secret")) != (Some(CLIENT.0), Some(CLIENT.1)) {
            return Err(oauth_error("invalid_client"));
        }
        Ok(Answer::ok(json!({"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3600})))
    }

    fn token(&mut self, call: &Call) -> Outcome {
        if call.request.bearer.as_deref() != Some(ACCESS_TOKEN) {
            return Err(Self::error(401, "invalid access token"));
        }
        let body =
            Self::body(call, &[required("seconds", Kind::Whole(60, 3600)), required("models", Kind::SomeTexts)])?;
        let secret = random("acme-t-");
        let mut record = Record::new(&random("tok_"), "", &secret, call.at, texts(body.get("models")));
        record.expires = body["seconds"].as_i64().map(|seconds| call.at.after_seconds(seconds));
        let record = self.keys.add(record);
        Ok(Answer::ok(json!({"token": secret, "expires_at": record.expires.map(rfc3339)})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let model = asked_model(call);
        let record = self.caller(call.request.bearer.as_deref(), call.at)?;
        if !record.more.is_empty() && !record.more.contains(&model) {
            return Err(Self::error(403, "this key may not use this model"));
        }
        works()
    }

    fn models(&mut self, call: &Call) -> Outcome {
        let models = self.caller(call.request.bearer.as_deref(), call.at)?.more.clone();
        Ok(Answer::ok(json!({"models": models})))
    }
}

impl Plain for Acme {
    type Key = Vec<String>;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.header("x-acme-key") == Some(ADMIN)
    }

    fn error(status: u16, message: &str) -> Answer {
        Answer::new(status, json!({"error": {"message": message}}))
    }

    fn keys(&mut self) -> &mut Book<Vec<String>> {
        &mut self.keys
    }

    fn example(url: &str) -> Example {
        Example {
            config: json!({"admin_key": ADMIN, "team": TEAM, "api_url": format!("{url}/acme")}),
            role: json!({"models": ["acme-small"]}),
            attempt: Attempt::chat("/acme/v1/chat/completions", "acme-small", Some("acme-large")),
        }
    }
}

const EXPIRES: Field = optional("expires_at", ID);

fn of_team(call: &Call) -> Result<(), Answer> {
    if call.param(0) == TEAM { Ok(()) } else { Err(Acme::error(404, "no such team")) }
}

fn oauth_error(code: &str) -> Answer {
    let status = if code == "invalid_client" { 401 } else { 400 };
    Answer::new(status, json!({"error": code}))
}

fn expiry(body: &serde_json::Map<String, Value>) -> Result<Option<i64>, Answer> {
    let Some(given) = body.get("expires_at").and_then(Value::as_str) else { return Ok(None) };
    let time = DateTime::parse_from_rfc3339(given).map_err(|_| Acme::error(400, "expires_at is not a timestamp"))?;
    Ok(Some(time.timestamp_millis()))
}

fn show(record: &Record<Vec<String>>) -> Value {
    json!({
        "id": record.id, "label": record.name, "models": record.more, "created_at": rfc3339(record.created),
        "expires_at": record.expires.map(rfc3339),
    })
}
