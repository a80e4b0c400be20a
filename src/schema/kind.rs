use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::parse_duration;
use crate::base::bounded;

/// What a field takes. A closed list: Vault's own field types, less those that nothing here needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Text that is written and never read back.
    Secret,
    /// A name in a path: letters, digits, `_`, and `.` `-` inside.
    Name,
    /// An id of a vendor's: it enters URL paths, so `[A-Za-z0-9_.:-]{1,128}`, not `.` nor `..`.
    VendorId,
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    /// An amount of money, not negative.
    Amount,
    /// Seconds, or `1h30m`.
    Duration,
    /// A list, or text separated by commas.
    TextList,
    /// An object whose values are text.
    TextMap,
    Choice(Arc<[String]>),
    /// Where an account's credential, or keys made with it, are sent: whoever changes it must know the credential.
    Url,
    /// A JSON object, or its text, which is kept as it was written; it says where credentials go, like `Url`.
    Definition,
}

/// Longest text of a field, and of all texts of a list or a map together, in bytes: a certificate chain fits.
const TEXT_LIMIT: usize = 64 * 1024;
/// Most entries of a list or a map.
const ENTRY_LIMIT: usize = 1000;
/// Longest name, in characters: it becomes part of a storage key and of a lease id.
const NAME_LIMIT: usize = 128;

impl Kind {
    /// One of these texts.
    pub fn choice(choices: &[&str]) -> Self {
        Self::Choice(choices.iter().map(|&choice| choice.to_owned()).collect())
    }

    /// The value in its canonical form: durations as whole seconds, lists as arrays, numbers as numbers.
    /// The error says what is expected, and shows what came unless that may be a secret.
    pub fn parse(&self, value: &Value) -> Result<Value, String> {
        self.canonical(value).ok_or_else(|| {
            let got = match (self, value) {
                (Self::Secret | Self::Definition, _) => return format!("expected {}", self.expectation()),
                (_, Value::String(text)) => format!("{:?}", bounded(text, 40)),
                (_, other) => bounded(&other.to_string(), 40),
            };
            format!("expected {}, got {got}", self.expectation())
        })
    }

    fn canonical(&self, value: &Value) -> Option<Value> {
        match self {
            Self::Text | Self::Secret | Self::Url => text(value).map(Value::from),
            Self::Definition => match value {
                Value::Object(_) => Some(value.to_string()).filter(|text| text.len() <= TEXT_LIMIT).map(Value::from),
                value => value.as_str().filter(|text| text.len() <= TEXT_LIMIT).map(Value::from),
            },
            Self::Name => text(value).filter(|text| is_name(text)).map(Value::from),
            Self::VendorId => text(value).filter(|text| is_vendor_id(text)).map(Value::from),
            Self::Choice(choices) => text(value).filter(|text| choices.contains(text)).map(Value::from),
            Self::Boolean => match value {
                Value::Bool(_) => Some(value.clone()),
                Value::String(text) => match text.to_ascii_lowercase().as_str() {
                    "true" | "1" => Some(true.into()),
                    "false" | "0" => Some(false.into()),
                    _ => None,
                },
                _ => None,
            },
            Self::Integer { min, max } => {
                let number = match value {
                    Value::Number(number) => number.as_i64()?,
                    Value::String(text) => text.trim().parse().ok()?,
                    _ => return None,
                };
                (*min..=*max).contains(&number).then(|| number.into())
            }
            Self::Amount => {
                let number = match value {
                    Value::Number(number) => number.as_f64()?,
                    Value::String(text) => text.trim().parse().ok()?,
                    _ => return None,
                };
                (number.is_finite() && number >= 0.0).then(|| number.into())
            }
            Self::Duration => {
                let duration = match value {
                    Value::Number(number) => parse_duration(number.to_string().trim_end_matches(".0"))?,
                    // Vault's own engines take an empty text for "not set", which is 0.
                    Value::String(text) if text.trim().is_empty() => Duration::ZERO,
                    Value::String(text) => parse_duration(text)?,
                    _ => return None,
                };
                Some(duration.as_secs().into())
            }
            Self::TextList => text_list(value),
            Self::TextMap => text_map(value),
        }
    }

    /// Whether it says where a credential is sent.
    pub const fn is_route(&self) -> bool {
        matches!(self, Self::Url | Self::Definition)
    }

    /// A word for `path-help`.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Text | Self::VendorId => "string",
            Self::Url => "url",
            Self::Definition => "JSON object",
            Self::Secret => "string, write only",
            Self::Name => "name",
            Self::Boolean => "bool",
            Self::Integer { .. } => "int",
            Self::Amount => "number",
            Self::Duration => "duration",
            Self::TextList => "list",
            Self::TextMap => "map",
            Self::Choice(_) => "choice",
        }
    }

    fn expectation(&self) -> String {
        match self {
            Self::Text | Self::Secret => "text".into(),
            Self::Url => "a URL".into(),
            Self::Definition => format!("a JSON object of at most {} KiB", TEXT_LIMIT / 1024),
            Self::Name => format!("a name of at most {NAME_LIMIT} letters, digits and _ (. and - inside)"),
            Self::VendorId => format!("an id of 1 to {NAME_LIMIT} letters, digits and _ . : -"),
            Self::Boolean => "true or false".into(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Amount => "a number that is not negative".into(),
            Self::Duration => "a duration such as 30m, 1h30m or a number of seconds".into(),
            Self::TextList => format!("a list of at most {ENTRY_LIMIT} texts, or text separated by commas"),
            Self::TextMap => format!("an object of at most {ENTRY_LIMIT} texts"),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
        }
    }

    pub(super) fn schema(&self) -> Map<String, Value> {
        let schema = match self {
            Self::Text | Self::Secret | Self::Name | Self::VendorId | Self::Url => json!({"type": "string"}),
            // Its text is taken too; a client that sends an object finds this.
            Self::Definition => json!({"type": "object"}),
            Self::Boolean => json!({"type": "boolean"}),
            Self::Integer { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Self::Amount => json!({"type": "number", "minimum": 0}),
            Self::Duration => json!({"type": "string", "format": "duration"}),
            Self::TextList => json!({"type": "array", "items": {"type": "string"}}),
            Self::TextMap => json!({"type": "object", "additionalProperties": {"type": "string"}}),
            Self::Choice(choices) => json!({"type": "string", "enum": choices[..]}),
        };
        match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        }
    }
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        // The CLI sends what looks like a number as text, but a JSON client may not.
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (text.len() <= TEXT_LIMIT).then_some(text)
}

fn text_list(value: &Value) -> Option<Value> {
    let items: Vec<String> = match value {
        Value::Array(items) => items.iter().map(text).collect::<Option<_>>()?,
        other => text(other)?.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect(),
    };
    let length: usize = items.iter().map(String::len).sum();
    (items.len() <= ENTRY_LIMIT && length <= TEXT_LIMIT).then(|| items.into())
}

fn text_map(value: &Value) -> Option<Value> {
    let parsed: Value;
    let map = match value {
        Value::Object(map) => map,
        // `vault write metadata='{"team":"a"}'`, or `metadata=team=a`.
        Value::String(text) => {
            parsed = serde_json::from_str(text).ok().or_else(|| {
                let (key, value) = text.split_once('=')?;
                Some(json!({key: value}))
            })?;
            parsed.as_object()?
        }
        _ => return None,
    };
    let texts: Map<String, Value> =
        map.iter().map(|(key, value)| Some((key.clone(), Value::from(text(value)?)))).collect::<Option<_>>()?;
    let length: usize = texts.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    (texts.len() <= ENTRY_LIMIT && length <= TEXT_LIMIT).then(|| texts.into())
}

fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= NAME_LIMIT
        && text.starts_with(word)
        && text.ends_with(word)
        && text.chars().all(|c| word(c) || c == '-' || c == '.')
}

fn is_vendor_id(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    (1..=NAME_LIMIT).contains(&text.len()) && text != "." && text != ".." && text.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_text_and_read_the_same() {
        let integer = Kind::Integer { min: 0, max: 10 };
        assert_eq!(integer.parse(&json!("7")), Ok(json!(7)));
        assert_eq!(integer.parse(&json!(7)), Ok(json!(7)));
        assert_eq!(Kind::Boolean.parse(&json!("true")), Ok(json!(true)));
        assert_eq!(Kind::Duration.parse(&json!("1h")), Ok(json!(3600)));
        assert_eq!(Kind::TextList.parse(&json!("a, b,")), Ok(json!(["a", "b"])));
        assert_eq!(Kind::TextMap.parse(&json!("team=a")), Ok(json!({"team": "a"})));
    }

    #[test]
    fn an_error_names_what_is_expected_and_never_shows_a_secret() {
        let error = Kind::Integer { min: 1, max: 3 }.parse(&json!(9)).expect_err("out of range");
        assert_eq!(error, "expected a whole number from 1 to 3, got 9");
        let error = Kind::Secret.parse(&json!(["sk-1"])).expect_err("not text");
        assert!(!error.contains("sk-1"));
    }

    #[test]
    fn ids_cannot_climb_out_of_a_url_path() {
        for bad in ["..", ".", "", "a/b", "%2e%2e", "a b", "a?b", "é"] {
            assert!(Kind::VendorId.parse(&json!(bad)).is_err(), "{bad}");
        }
        assert!(Kind::VendorId.parse(&json!("proj_a.b:c-1")).is_ok());
    }

    #[test]
    fn names_are_the_ones_vault_takes() {
        for bad in ["-a", "a-", "a/b", "", "a b", &"a".repeat(129)] {
            assert!(Kind::Name.parse(&json!(bad)).is_err(), "{bad}");
        }
        for good in ["a", "team-a.prod", "_x_"] {
            assert!(Kind::Name.parse(&json!(good)).is_ok(), "{good}");
        }
    }
}
