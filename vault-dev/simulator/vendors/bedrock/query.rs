//! AWS's Query protocol: a form with an action, answered in XML.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::sigv4::Refusal;
use crate::clock::Moment;
use crate::router::Answer;

const IAM: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// The parameters of an action.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    pub form: &'a [(String, String)],
    pub at: Moment,
}

impl<'a> Query<'a> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn need(&self, name: &str) -> Result<&'a str, Refusal> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| invalid(name, "must not be null"))
    }

    /// A whole number within limits.
    pub fn number(&self, name: &str, least: usize, most: usize) -> Result<Option<usize>, Refusal> {
        let parse = |text: &str| text.parse().ok().filter(|number| (least..=most).contains(number));
        let outside = || invalid(name, &format!("must be a number from {least} to {most}"));
        self.get(name).map(|text| parse(text).ok_or_else(outside)).transpose()
    }

    /// A page of a list whose entries have places that only grow; the marker is the place of the last one before.
    pub fn page(&self, name: &str, entries: impl Iterator<Item = (usize, Value)>) -> Result<Value, Refusal> {
        let size = self.at.page_size(self.number("MaxItems", 1, 1000)?.unwrap_or(100));
        let marker = match self.get("Marker") {
            Some(text) => Some(text.strip_prefix("after-").and_then(|place| place.parse::<usize>().ok()))
                .map(|place| place.ok_or_else(|| invalid("Marker", "is not one of ours")))
                .transpose()?,
            None => None,
        };
        let mut page: Vec<_> =
            entries.filter(|(place, _)| marker.is_none_or(|marker| *place > marker)).take(size + 1).collect();
        let more = page.len() > size;
        page.truncate(size);
        let last = page.last().filter(|_| more).map(|(place, _)| format!("after-{place}"));
        let mut result = Map::new();
        result.insert(name.to_owned(), page.into_iter().map(|(_, entry)| entry).collect());
        result.insert("IsTruncated".to_owned(), more.into());
        result.insert("Marker".to_owned(), last.into());
        Ok(result.into())
    }
}

pub fn invalid(name: &str, why: &str) -> Refusal {
    Refusal::new(400, "ValidationError", format!("1 validation error detected: {name} {why}"))
}

/// An action that worked; those without a result have null.
pub fn answer(action: &str, result: &Value) -> Answer {
    let namespace = if action == "GetCallerIdentity" { "https://sts.amazonaws.com/doc/2011-06-15/" } else { IAM };
    let result = element(&format!("{action}Result"), result);
    let id = Uuid::new_v4();
    Answer::xml(
        200,
        format!(
            "<{action}Response xmlns=\"{namespace}\">{result}<ResponseMetadata><RequestId>{id}</RequestId>\
             </ResponseMetadata></{action}Response>\n"
        ),
    )
}

pub fn error(refusal: &Refusal) -> Answer {
    let Refusal { status, code, message } = refusal;
    let (kind, message, id) = (if *status < 500 { "Sender" } else { "Receiver" }, escaped(message), Uuid::new_v4());
    Answer::xml(
        *status,
        format!(
            "<ErrorResponse xmlns=\"{IAM}\"><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message>\
             </Error><RequestId>{id}</RequestId></ErrorResponse>\n"
        ),
    )
}

/// A JSON value as an element; what is null is left out.
fn element(name: &str, value: &Value) -> String {
    let content = match value {
        Value::Null => return String::new(),
        Value::Object(members) => members.iter().map(|(name, value)| element(name, value)).collect(),
        Value::Array(entries) => entries.iter().map(|entry| element("member", entry)).collect(),
        Value::String(text) => escaped(text),
        other => other.to_string(),
    };
    format!("<{name}>{content}</{name}>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
