//! A request as the vendors' handlers see it: decoded, its body read, its secret taken out of the header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::request::Parts;
use serde_json::{Map, Value};

use crate::clock::Moment;
use crate::control;
use crate::fields::{self, Field, Unknown, Wrong};

pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub bearer: Option<String>,
    headers: HeaderMap,
    pub body: Body,
    /// The body as it was sent: a signature covers every byte.
    pub bytes: Vec<u8>,
}

pub enum Body {
    None,
    Malformed,
    Json(Value),
    Form(Vec<(String, String)>),
}

/// A request at its route: the names in the path are filled in.
pub struct Call<'a> {
    pub request: &'a Request,
    pub params: Vec<&'a str>,
    pub at: Moment,
}

impl Request {
    pub fn new(parts: &Parts, body: &[u8]) -> Self {
        let bearer = parts.headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let form = parts
            .headers
            .get(http::header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"))
            // What curl -d says of everything that it posts; the simulator's own API takes JSON only.
            && !parts.uri.path().starts_with(control::PREFIX);
        let bytes = body.to_vec();
        let body = match body {
            [] => Body::None,
            bytes if form => Body::Form(pairs(&String::from_utf8_lossy(bytes))),
            bytes => serde_json::from_slice(bytes).map_or(Body::Malformed, Body::Json),
        };
        Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: pairs(parts.uri.query().unwrap_or_default()),
            headers: parts.headers.clone(),
            bearer: bearer.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
            body,
            bytes,
        }
    }
}

impl Request {
    /// Whatever of the headers may be a credential.
    pub fn credentials(&self) -> String {
        let secret = |name: &str| name == "authorization" || name.contains("key") || name.contains("token");
        let values =
            self.headers.iter().filter(|(name, _)| secret(name.as_str())).filter_map(|(_, value)| value.to_str().ok());
        values.collect::<Vec<_>>().join(" ")
    }

    /// The user and the password of `Authorization: Basic …`.
    pub fn basic(&self) -> Option<(String, String)> {
        let pair = STANDARD.decode(self.header("authorization")?.strip_prefix("Basic ")?).ok()?;
        let (user, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// A field of a form.
    pub fn form(&self, name: &str) -> Option<&str> {
        let Body::Form(fields) = &self.body else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Call<'_> {
    pub fn param(&self, place: usize) -> &str {
        self.params.get(place).copied().unwrap_or_default()
    }

    pub fn query(&self, name: &str) -> Option<&str> {
        self.request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The query as typed values, checked like a body; a query parameter nobody knows is ignored, as the vendors do.
    pub fn checked_query(&self, known: &[Field]) -> Result<Map<String, Value>, Wrong> {
        let typed = known
            .iter()
            .filter_map(|field| self.query(field.name).map(|text| (field.name.to_owned(), field.kind.parse(text))));
        let query = typed.collect();
        fields::check(&query, known, Unknown::Ignore)?;
        Ok(query)
    }
}

/// A query or a form, decoded.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
}

/// Undoes percent-encoding; what is not valid UTF-8 afterwards can match no name here.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        let hex = bytes.get(place + 1..place + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[place] == b'%' => {
                decoded.push(byte);
                place += 3;
            }
            _ => {
                decoded.push(bytes[place]);
                place += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}
