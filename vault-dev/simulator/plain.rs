//! What most vendors are: one admin credential, a book of keys, errors in an envelope, and something that asks for a key.
//! A file in `vendors/` says the rest.

use serde_json::{Map, Value, json};

use crate::book::{Book, Record};
use crate::clock::Moment;
use crate::federation::Federation;
use crate::fields::{self, Field, Problem, Unknown, Wrong};
use crate::request::{Body, Call, Request};
use crate::router::{self, Access, Answer, Found, Outcome, Route, Seen, Vendor};
use crate::tokens::Tokens;

/// One such vendor.
pub trait Plain: Send + Sized + 'static {
    /// What the simulator keeps of a key beside its name, its secret and its times.
    type Key: Send;

    /// Whether a token is made without a request: signed by whoever has the parent key.
    const OFFLINE: bool = false;
    /// Whether the life of a token can be asked for.
    const LIFE_IS_CHOSEN: bool = true;
    /// Whether the listing has pages.
    const PAGED: bool = true;
    /// Whether it says when a key was made.
    const DATED: bool = true;
    /// How coarse a key's expiry is.
    const EXPIRY_STEP_SECONDS: i64 = 1;
    /// Whether the vendor only takes the order to delete a key.
    const LATER: bool = false;
    /// The status that a key gets once it does not work any more.
    const REFUSED: u16 = 401;
    /// The status of an answer to a request that is not as the documents say.
    const INVALID: u16 = 400;

    fn routes() -> &'static [Route<Self>];
    /// Whether the request presents the admin credential as this vendor wants it.
    fn is_admin(_: &Request) -> bool {
        false
    }
    /// Whether it presents one that was made here.
    fn is_made_admin(&mut self, _: &Request, _: Moment) -> bool {
        false
    }
    /// What the admin credential is exchanged for, where a request presents that in its place.
    fn tokens(&self) -> Option<&Tokens> {
        None
    }
    /// The vendor's error envelope.
    fn error(status: u16, message: &str) -> Answer;
    fn keys(&mut self) -> &mut Book<Self::Key>;
    /// How a client is set up to use this vendor here, `url` being the simulator's.
    fn example(url: &str) -> Example;
    /// Whom it trusts, where it exchanges assertions.
    fn federation(&mut self) -> Option<&mut Federation> {
        None
    }
    /// What `POST /_control/federation` wants beside issuer, keys and subject, where it does.
    fn trust(_url: &str) -> Option<Value> {
        None
    }
    /// What else its state shows.
    fn more(&self, _: Moment) -> Map<String, Value> {
        Map::new()
    }

    /// The record whose secret this is, if it works.
    fn caller(&mut self, secret: Option<&str>, at: Moment) -> Result<&mut Record<Self::Key>, Answer> {
        let holder = secret.and_then(|secret| self.keys().holder(secret, at)).filter(|record| !record.expired(at));
        holder.ok_or_else(|| Self::error(401, "Invalid credentials"))
    }

    /// The JSON object of a request, checked. A field that is not known is refused, whatever the vendor does: it would be a limit that nobody keeps.
    fn body(call: &Call, known: &[Field]) -> Result<Map<String, Value>, Answer> {
        let Body::Json(Value::Object(given)) = &call.request.body else {
            return Err(Self::error(Self::INVALID, "expected a JSON object"));
        };
        Self::checked(given, known)?;
        Ok(given.clone())
    }

    /// The same for an object within it.
    fn checked(given: &Map<String, Value>, known: &[Field]) -> Result<(), Answer> {
        fields::check(given, known, Unknown::Refuse).map_err(|wrong| Self::error(Self::INVALID, &sentence(&wrong)))
    }

    /// An integer of the query, or what stands for an absent one.
    fn number(call: &Call, name: &str, otherwise: usize) -> Result<usize, Answer> {
        let parse =
            |text: &str| text.parse().map_err(|_| Self::error(Self::INVALID, &format!("{name} is not a number")));
        call.query(name).map_or(Ok(otherwise), parse)
    }
}

/// How to use a vendor here: a config and a role as the engine takes them, and the request that tries a key.
pub struct Example {
    pub config: Value,
    pub role: Value,
    /// `POST /path` below the simulator, and a header with `{key}` in it.
    pub attempt: Attempt,
}

pub struct Attempt {
    pub method: &'static str,
    pub path: &'static str,
    pub header: (&'static str, &'static str),
    pub body: Value,
    /// What the role of the example does not permit; none where a key has no limits here.
    pub beyond: Option<Beyond>,
}

/// A request with the same header, and the status that the vendor refuses it with.
pub struct Beyond {
    pub method: &'static str,
    pub path: &'static str,
    pub body: Value,
    pub status: u16,
}

impl Attempt {
    /// A chat completion with a bearer token.
    pub fn chat(path: &'static str, model: &str, beyond: Option<&str>) -> Self {
        let body = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
        let header = ("authorization", "Bearer {key}");
        let beyond = beyond.map(|model| Beyond { method: "POST", path, body: body(model), status: 403 });
        Self { method: "POST", path, header, body: body(model), beyond }
    }

    /// The same where the role does not permit this request.
    pub fn but_not(self, beyond: Beyond) -> Self {
        Self { beyond: Some(beyond), ..self }
    }
}

impl<V: Plain> Vendor for V {
    fn seen(&self, method: &str, path: &str) -> Option<Seen> {
        router::seen(V::routes(), method, path)
    }

    fn respond(&mut self, request: &Request, path: &str, at: Moment) -> Answer {
        self.keys().carry_out(at);
        let segments = router::segments(path);
        let (route, params) = match router::find(V::routes(), &request.method, &segments) {
            Found::Route(route, params) => (route, params),
            Found::WrongMethod => return V::error(405, "Method Not Allowed"),
            Found::Nothing => return V::error(404, "no such route"),
        };
        let is_admin = match self.tokens() {
            Some(tokens) => tokens.holds(request.bearer.as_deref(), at),
            None => V::is_admin(request) || self.is_made_admin(request, at),
        };
        if route.access == Access::Admin && !is_admin {
            return V::error(401, "Invalid admin credential");
        }
        (route.run)(self, &Call { request, params, at }).unwrap_or_else(|answer| answer)
    }

    fn refusal(&self, _: &str, status: u16, message: &str) -> Answer {
        V::error(status, message)
    }

    fn snapshot(&mut self, at: Moment) -> Value {
        self.keys().carry_out(at);
        let mut shown = Map::from_iter([("keys".to_owned(), self.keys().snapshot(at))]);
        shown.extend(self.more(at));
        shown.into()
    }

    fn delete_by_hand(&mut self, id: &str, at: Moment) -> bool {
        self.keys().delete(id, at)
    }

    fn federation(&mut self) -> Option<&mut Federation> {
        Plain::federation(self)
    }

    fn examples(&self, url: &str) -> Vec<(&'static str, Value)> {
        let mut shown = V::example(url).shown(url, V::trust(url));
        for (name, value) in [
            ("paged", V::PAGED),
            ("dated", V::DATED),
            ("later", V::LATER),
            ("offline", V::OFFLINE),
            ("life_is_chosen", V::LIFE_IS_CHOSEN),
        ] {
            shown[name] = json!(value);
        }
        shown["expiry_step_seconds"] = V::EXPIRY_STEP_SECONDS.into();
        shown["attempt"]["refused"] = json!(V::REFUSED);
        vec![("", shown)]
    }
}

impl Example {
    /// As `GET /_control/examples` has it.
    pub fn shown(self, url: &str, trust: Option<Value>) -> Value {
        let Self { config, role, attempt } = self;
        let beyond = attempt.beyond.map(|Beyond { method, path, body, status }| {
            json!({"method": method, "url": format!("{url}{path}"), "body": body, "status": status})
        });
        json!({
            "config": config, "role": role, "trust": trust,
            "attempt": {
                "method": attempt.method, "url": format!("{url}{}", attempt.path), "header": attempt.header.0,
                "value": attempt.header.1, "body": attempt.body, "beyond": beyond,
            },
        })
    }
}

/// The text of a field that is checked already.
pub fn text<'a>(body: &'a Map<String, Value>, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of a list.
pub fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The model that a chat request asks for.
pub fn asked_model(call: &Call) -> String {
    match &call.request.body {
        Body::Json(body) => body["model"].as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// A fixed answer of a data plane.
pub fn works() -> Outcome {
    Ok(Answer::ok(json!({"ok": true, "text": "This is the vendor simulator."})))
}

fn sentence(wrong: &Wrong) -> String {
    let field = &wrong.field;
    match &wrong.problem {
        Problem::Missing => format!("{field} is required"),
        Problem::Unknown => format!("{field} is unknown"),
        Problem::Type { expected, got } => format!("{field} must be {expected}, not {got}"),
        Problem::Below { least, .. } => format!("{field} must be at least {least}"),
        Problem::Above { most, .. } => format!("{field} must be at most {most}"),
        Problem::Short { least } => format!("{field} must have a length of at least {least}"),
        Problem::Long { most } => format!("{field} must have a length of at most {most}"),
        Problem::Choice { choices, .. } => format!("{field} must be one of {}", choices.join(", ")),
    }
}
