//! Weaviate's users of its database and their roles, after the vendor's OpenAPI document of 1.40.

use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::rfc3339;
use crate::fields::{Kind, optional};
use crate::plain::{Attempt, Beyond, Example, Plain, texts, works};
use crate::request::{Body, Call, Request};
use crate::router::{Answer, Outcome, Route, admin, key};

const ADMIN: &str = "weaviate-simulator-admin-0001";
/// The role, and the collection that it may read.
const ROLE: (&str, &str) = ("reader", "Docs");

const ROUTES: &[Route<Weaviate>] = &[
    key("GET", "/v1/users/own-info", Weaviate::own_info),
    admin("GET", "/v1/users/db", Weaviate::list),
    admin("POST", "/v1/users/db/{user_id}", Weaviate::create),
    admin("DELETE", "/v1/users/db/{user_id}", Weaviate::delete),
    admin("POST", "/v1/authz/users/{id}/assign", Weaviate::assign),
    key("POST", "/v1/graphql", Weaviate::query),
];

#[derive(Default)]
pub struct Weaviate {
    /// With the names of the user's roles.
    users: Book<Vec<String>>,
}

impl Weaviate {
    /// Needs no role.
    fn own_info(&mut self, call: &Call) -> Outcome {
        let (name, roles) = if Self::is_admin(call.request) {
            ("simulator".to_owned(), vec!["root".to_owned()])
        } else {
            let user = self.caller(call.request.bearer.as_deref(), call.at)?;
            (user.id.clone(), user.more.clone())
        };
        let roles: Vec<Value> = roles.iter().map(|role| json!({"name": role, "permissions": []})).collect();
        Ok(Answer::ok(json!({"username": name, "roles": roles, "groups": []})))
    }

    fn create(&mut self, call: &Call) -> Outcome {
        let id = call.param(0);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_@.".contains(c);
        if !id.starts_with(|c: char| c.is_ascii_alphabetic()) || !id.chars().all(plain) || id.len() > 128 {
            return Err(Self::error(422, "invalid user name"));
        }
        if !matches!(call.request.body, Body::None | Body::Json(Value::Object(_))) {
            return Err(Self::error(400, "malformed request"));
        }
        if self.users.get(id).is_some() {
            return Err(Self::error(409, &format!("user {id} already exists")));
        }
        let secret = random("");
        self.users.add(Record::new(id, id, &secret, call.at, Vec::new()));
        Ok(Answer::new(201, json!({"apikey": secret})))
    }

    fn assign(&mut self, call: &Call) -> Outcome {
        let known = [optional("roles", Kind::SomeTexts), optional("userType", Kind::OneOf(&["db", "oidc"]))];
        let body = Self::body(call, &known)?;
        let roles = texts(body.get("roles"));
        if let Some(unknown) = roles.iter().find(|role| *role != ROLE.0) {
            return Err(Self::error(404, &format!("role {unknown} not found")));
        }
        let user = self.users.get_mut(call.param(0)).ok_or_else(|| Self::error(404, "user not found"))?;
        user.more = roles;
        Ok(Answer::ok(Value::Null))
    }

    fn list(&mut self, call: &Call) -> Outcome {
        let show = |record: &Record<Vec<String>>| {
            json!({
                "userId": record.id, "dbUserType": "db_user", "roles": record.more, "active": true,
                "createdAt": rfc3339(record.created), "apiKeyFirstLetters": record.secret[..3],
            })
        };
        Ok(Answer::ok(self.users.listed(call.at).map(show).collect()))
    }

    /// The document names no body for either answer.
    fn delete(&mut self, call: &Call) -> Outcome {
        let status = if self.users.delete(call.param(0), call.at) { 204 } else { 404 };
        Ok(Answer::new(status, Value::Null))
    }

    /// Reads the collection that the query names.
    fn query(&mut self, call: &Call) -> Outcome {
        let asked = match &call.request.body {
            Body::Json(body) => body["query"].as_str().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
        let user = self.caller(call.request.bearer.as_deref(), call.at)?;
        if !user.more.iter().any(|role| role == ROLE.0) || !asked.contains(ROLE.1) {
            return Err(Self::error(403, "authorization, forbidden action: read data"));
        }
        works()
    }
}

impl Plain for Weaviate {
    type Key = Vec<String>;

    const PAGED: bool = false;

    fn routes() -> &'static [Route<Self>] {
        ROUTES
    }

    fn is_admin(request: &Request) -> bool {
        request.bearer.as_deref() == Some(ADMIN)
    }

    /// A wrong credential is answered by the server's framework, in a form of its own.
    fn error(status: u16, message: &str) -> Answer {
        let body = match status {
            401 => json!({"code": 401, "message": format!("unauthorized: {message}")}),
            _ => json!({"error": [{"message": message}]}),
        };
        Answer::new(status, body)
    }

    fn keys(&mut self) -> &mut Book<Vec<String>> {
        &mut self.users
    }

    fn example(url: &str) -> Example {
        let query = |collection: &str| json!({"query": format!("{{ Get {{ {collection} {{ title }} }} }}")});
        let path = "/weaviate/v1/graphql";
        Example {
            config: json!({"admin_key": ADMIN, "api_url": format!("{url}/weaviate")}),
            role: json!({"roles": [ROLE.0]}),
            attempt: Attempt {
                method: "POST",
                path,
                header: ("authorization", "Bearer {key}"),
                body: query(ROLE.1),
                beyond: Some(Beyond { method: "POST", path, body: query("Salaries"), status: 403 }),
            },
        }
    }
}
