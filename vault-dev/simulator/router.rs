//! The small shared vocabulary of the vendors: a table of routes, and the answer a route gives.

use serde_json::Value;

use crate::clock::Moment;
use crate::federation::Federation;
use crate::request::{Call, Request, decode};

/// One vendor: its state and its way to refuse.
pub trait Vendor: Send {
    /// Which route of the vendor's table this is, for the records; `path` is without the vendor's prefix.
    fn seen(&self, method: &str, path: &str) -> Option<Seen>;
    fn respond(&mut self, request: &Request, path: &str, at: Moment) -> Answer;
    /// The vendor's error envelope at that path for trouble that is not about the request: a limit, an outage.
    fn refusal(&self, path: &str, status: u16, message: &str) -> Answer;
    fn snapshot(&mut self, at: Moment) -> Value;
    /// Somebody deletes a key in the vendor's dashboard.
    fn delete_by_hand(&mut self, id: &str, at: Moment) -> bool;
    /// Whom it trusts, where it exchanges assertions.
    fn federation(&mut self) -> Option<&mut Federation> {
        None
    }
    /// How the engine and a client are set up for it, `url` being the simulator's, by what comes after its name; none where
    /// the README says it.
    fn examples(&self, _url: &str) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

pub struct Route<V: 'static> {
    pub method: &'static str,
    pub path: &'static str,
    pub access: Access,
    pub run: Run<V>,
}

pub type Run<V> = fn(&mut V, &Call) -> Outcome;

/// `Err` is an answer too: it lets a handler leave with `?`.
pub type Outcome = Result<Answer, Answer>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Admin,
    /// Any key, and the route itself finds out whose: inference, and questions about oneself.
    Key,
    Open,
}

#[derive(Clone, Copy)]
pub struct Seen {
    pub path: &'static str,
    pub access: Access,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Content,
    pub headers: Vec<(&'static str, String)>,
}

/// What an answer says.
#[derive(Clone, Debug)]
pub enum Content {
    Json(Value),
    /// A whole document.
    Xml(String),
}

/// How it is written: what takes the place of an answer is written alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Xml,
}

pub enum Found<'a, V: 'static> {
    Route(&'static Route<V>, Vec<&'a str>),
    WrongMethod,
    Nothing,
}

pub const fn admin<V>(method: &'static str, path: &'static str, run: Run<V>) -> Route<V> {
    Route { method, path, access: Access::Admin, run }
}

pub const fn key<V>(method: &'static str, path: &'static str, run: Run<V>) -> Route<V> {
    Route { method, path, access: Access::Key, run }
}

pub const fn open<V>(method: &'static str, path: &'static str, run: Run<V>) -> Route<V> {
    Route { method, path, access: Access::Open, run }
}

impl Content {
    pub const fn format(&self) -> Format {
        match self {
            Self::Json(_) => Format::Json,
            Self::Xml(_) => Format::Xml,
        }
    }

    pub fn text(&self) -> String {
        match self {
            // No vendor answers with a bare null; some have nothing to say.
            Self::Json(Value::Null) => String::new(),
            Self::Json(body) => body.to_string(),
            Self::Xml(document) => document.clone(),
        }
    }
}

impl Format {
    /// As `Content-Type` has it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml => "text/xml",
        }
    }
}

impl Answer {
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, body: Content::Json(body), headers: Vec::new() }
    }

    pub fn xml(status: u16, document: String) -> Self {
        Self { status, body: Content::Xml(document), headers: Vec::new() }
    }

    pub fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub fn with(mut self, header: &'static str, value: String) -> Self {
        self.headers.push((header, value));
        self
    }
}

/// The segments must be decoded already: see [`segments`].
pub fn find<'a, V>(routes: &'static [Route<V>], method: &str, segments: &'a [String]) -> Found<'a, V> {
    let mut answer = Found::Nothing;
    for route in routes {
        let Some(params) = fit(route.path, segments) else { continue };
        if route.method == method {
            return Found::Route(route, params);
        }
        answer = Found::WrongMethod;
    }
    answer
}

pub fn seen<V>(routes: &'static [Route<V>], method: &str, path: &str) -> Option<Seen> {
    match find(routes, method, &segments(path)) {
        Found::Route(route, _) => Some(Seen { path: route.path, access: route.access }),
        Found::WrongMethod | Found::Nothing => None,
    }
}

/// Decoded after splitting, so that an encoded slash stays inside its segment.
pub fn segments(path: &str) -> Vec<String> {
    path.trim_start_matches('/').split('/').map(decode).collect()
}

fn fit<'a>(pattern: &str, segments: &'a [String]) -> Option<Vec<&'a str>> {
    let mut params = Vec::new();
    let mut given = segments.iter();
    for part in pattern.trim_start_matches('/').split('/') {
        let segment = given.next()?;
        if part.starts_with('{') {
            params.push(segment.as_str());
        } else if part != segment {
            return None;
        }
    }
    given.next().is_none().then_some(params)
}
