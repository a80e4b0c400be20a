//! Checks a JSON object against a table of fields. What is wrong is a value: each vendor words it in its own way.

use serde_json::{Map, Value};

#[derive(Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub kind: Kind,
    need: Need,
}

#[derive(Clone, Copy)]
pub enum Kind {
    /// Shortest and longest length in characters.
    Text(usize, usize),
    /// Smallest and largest value.
    Whole(i64, i64),
    Number,
    Flag,
    Texts,
    /// A list of at least one text.
    SomeTexts,
    OneOf(&'static [&'static str]),
    Object,
    List,
    /// Of a sort that whoever reads it tells.
    Any,
}

#[derive(Clone, Copy, PartialEq)]
enum Need {
    Required,
    Optional,
    Nullable,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Unknown {
    Refuse,
    Ignore,
}

#[derive(Debug)]
pub struct Wrong {
    pub field: String,
    pub problem: Problem,
}

#[derive(Debug)]
pub enum Problem {
    Missing,
    Unknown,
    Type { expected: &'static str, got: &'static str },
    Below { least: i64, got: String },
    Above { most: i64, got: String },
    Short { least: usize },
    Long { most: usize },
    Choice { choices: &'static [&'static str], got: String },
}

pub const NAME: Kind = Kind::Text(1, 1000);
pub const ID: Kind = Kind::Text(1, 256);

pub const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, need: Need::Required }
}

pub const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, need: Need::Optional }
}

/// Optional, and `null` means the same as leaving it out.
pub const fn nullable(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, need: Need::Nullable }
}

pub fn check(given: &Map<String, Value>, known: &[Field], unknown: Unknown) -> Result<(), Wrong> {
    let stranger = given.keys().find(|name| known.iter().all(|field| field.name != name.as_str()));
    if let (Some(name), Unknown::Refuse) = (stranger, unknown) {
        return Err(Wrong { field: name.clone(), problem: Problem::Unknown });
    }
    for field in known {
        let problem = match given.get(field.name) {
            None if field.need == Need::Required => Some(Problem::Missing),
            None => None,
            Some(Value::Null) if field.need == Need::Nullable => None,
            Some(value) => field.kind.problem(value),
        };
        if let Some(problem) = problem {
            return Err(Wrong { field: field.name.to_owned(), problem });
        }
    }
    Ok(())
}

impl Kind {
    fn problem(self, value: &Value) -> Option<Problem> {
        let fits = match (self, value) {
            (Self::Text(..) | Self::OneOf(_), Value::String(_)) => true,
            (Self::Whole(..), Value::Number(number)) => number.as_i64().is_some(),
            (Self::Texts | Self::SomeTexts, Value::Array(items)) => items.iter().all(Value::is_string),
            (Self::Number, Value::Number(_)) | (Self::Flag, Value::Bool(_)) => true,
            (Self::Object, Value::Object(_)) | (Self::List, Value::Array(_)) | (Self::Any, _) => true,
            _ => false,
        };
        if !fits {
            return Some(Problem::Type { expected: self.noun(), got: noun(value) });
        }
        match (self, value) {
            (Self::Text(least, _), Value::String(text)) if text.chars().count() < least => {
                Some(Problem::Short { least })
            }
            (Self::Text(_, most), Value::String(text)) if text.chars().count() > most => Some(Problem::Long { most }),
            (Self::SomeTexts, Value::Array(items)) if items.is_empty() => Some(Problem::Short { least: 1 }),
            (Self::Whole(least, most), Value::Number(number)) => {
                let got = number.as_i64()?;
                if got < least {
                    Some(Problem::Below { least, got: got.to_string() })
                } else if got > most {
                    Some(Problem::Above { most, got: got.to_string() })
                } else {
                    None
                }
            }
            (Self::OneOf(choices), Value::String(text)) if !choices.contains(&text.as_str()) => {
                Some(Problem::Choice { choices, got: text.clone() })
            }
            _ => None,
        }
    }

    /// A query parameter has no type of its own.
    pub fn parse(self, text: &str) -> Value {
        let parsed = match self {
            Self::Whole(..) => text.parse::<i64>().ok().map(Value::from),
            Self::Flag => text.parse::<bool>().ok().map(Value::from),
            _ => None,
        };
        parsed.unwrap_or_else(|| Value::from(text))
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Text(..) | Self::OneOf(_) => "a string",
            Self::Whole(..) => "an integer",
            Self::Number => "a number",
            Self::Flag => "a boolean",
            Self::Texts | Self::SomeTexts => "an array of strings",
            Self::Object => "an object",
            Self::List => "an array",
            Self::Any => "anything",
        }
    }
}

fn noun(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
