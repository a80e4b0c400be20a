use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use tracing::Level;

use crate::base::{bounded, redacted};

/// The host splits longer lines and logs the parts raw (the buffer of go-plugin's reader).
const LINE_LIMIT: usize = 64 * 1024;

/// Characters of a message.
const MESSAGE_LIMIT: usize = 2000;

/// Characters of a value, and of a key.
const VALUE_LIMIT: usize = 1000;
const KEY_LIMIT: usize = 64;

/// Fields of a line; what comes after is dropped.
const FIELDS_LIMIT: usize = 12;

/// Bytes that a character takes at most once it is JSON: control characters are replaced before, the others
/// are escaped with one byte more or are UTF-8.
const CHARACTER_BYTES: usize = 4;

/// Bytes for the keys of hclog, the time, the level and all punctuation.
const FRAME_BYTES: usize = 1024;

const _: () = assert!(
    CHARACTER_BYTES * (MESSAGE_LIMIT + KEY_LIMIT + FIELDS_LIMIT * (VALUE_LIMIT + KEY_LIMIT)) + FRAME_BYTES < LINE_LIMIT,
    "the longest line fits"
);

/// One line of the log, being built.
pub(super) struct Line {
    level: Level,
    module: String,
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    pub(super) fn new(level: Level, module: &str) -> Self {
        Self { level, module: bounded(module, KEY_LIMIT), message: String::new(), fields: Map::new() }
    }

    /// Line breaks become spaces: the host's own log is often plain text, where they would begin a line.
    /// What looks like a key is hidden, as in every value: a last net under the rule that no secret is logged.
    pub(super) fn message(&mut self, text: &str) {
        self.message = redacted(text, &[], MESSAGE_LIMIT);
    }

    /// Adds a field; a later one of the same name replaces it.
    pub(super) fn field(&mut self, key: &str, value: Value) {
        let key = plain_key(key);
        if self.fields.len() >= FIELDS_LIMIT && !self.fields.contains_key(&key) {
            return;
        }
        let value = match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
            Value::String(text) => redacted(&text, &[], VALUE_LIMIT).into(),
            nested @ (Value::Array(_) | Value::Object(_)) => redacted(&nested.to_string(), &[], VALUE_LIMIT).into(),
        };
        self.fields.insert(key, value);
    }

    /// The line with its line break.
    pub(super) fn finish(self) -> String {
        self.finish_at(Utc::now())
    }

    fn finish_at(mut self, time: DateTime<Utc>) -> String {
        let reserved = [
            ("@level", self.level.as_str().to_ascii_lowercase()),
            ("@message", self.message),
            ("@module", self.module),
            // Exactly six fractional digits: another number of them makes the whole line raw text.
            ("@timestamp", time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
        ];
        for (key, text) in reserved {
            self.fields.insert(key.to_owned(), text.into());
        }
        format!("{}\n", Value::Object(self.fields))
    }
}

/// A key that the host cannot take for one of its own, all of which start with `@`.
fn plain_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let key: String = key.chars().take(KEY_LIMIT).map(|c| if plain(c) { c } else { '_' }).collect();
    if key.is_empty() { "_".to_owned() } else { key }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn parsed(line: &str) -> Map<String, Value> {
        assert_eq!(line.matches('\n').count(), 1, "one line: {line:?}");
        assert!(line.ends_with('\n'));
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_line_looks_as_hclog_writes_it() {
        let mut line = Line::new(Level::WARN, "engine");
        line.message("it is late");
        line.field("mount", "ai/".into());
        line.field("tries", 3.into());
        let time = Utc.with_ymd_and_hms(2026, 11, 23, 20, 44, 0).unwrap() + chrono::TimeDelta::microseconds(754_000);
        assert_eq!(
            line.finish_at(time),
            "{\"@level\":\"warn\",\"@message\":\"it is late\",\"@module\":\"engine\",\
             \"@timestamp\":\"2026-11-23T20:44:00.754000Z\",\"mount\":\"ai/\",\"tries\":3}\n"
        );
    }

    #[test]
    fn no_value_makes_a_line_or_a_level_of_its_own() {
        let evil = "x\n{\"@level\":5}\r\n[ERROR] forged\u{2028}\u{0}";
        let mut line = Line::new(Level::INFO, evil);
        line.message(evil);
        line.field("@level", 5.into());
        line.field("@message", Value::Null);
        line.field("a\n@timestamp", evil.into());
        line.field("", serde_json::json!({"@level": 5}));
        let map = parsed(&line.finish());
        for reserved in ["@level", "@message", "@module", "@timestamp"] {
            assert!(map[reserved].is_string(), "{reserved}");
        }
        assert_eq!(map.keys().filter(|key| key.starts_with('@')).count(), 4);
        assert_eq!(map["_level"], 5);
        assert_eq!(map["_"], "{\"@level\":5}");
        assert!(map.values().all(|value| !value.is_object()));
        assert!(map.values().filter_map(Value::as_str).all(|text| !text.contains('\n')));
    }

    #[test]
    fn the_longest_line_is_read_whole() {
        for character in ["\"", "\\", "\u{10ffff}", "\u{1}", "é"] {
            let long = character.repeat(50_000);
            let mut line = Line::new(Level::INFO, &long);
            line.message(&long);
            for number in 0..100 {
                line.field(&format!("field{number}{long}"), long.as_str().into());
            }
            let line = line.finish();
            assert!(line.len() < LINE_LIMIT, "{} bytes of {character:?}", line.len());
            parsed(&line);
        }
    }

    #[test]
    fn what_looks_like_a_key_is_hidden() {
        let mut line = Line::new(Level::INFO, "x");
        line.message("refused sk-proj-0123456789");
        line.field("error", "Bearer eyJhbGciOiJIUzI1NiJ9".into());
        let line = line.finish();
        assert!(!line.contains("0123") && !line.contains("eyJh"), "{line}");
    }
}
