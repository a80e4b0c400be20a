use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use serde_json::{Map, Value};

use super::{Fault, FaultKind};
use crate::base::{Secret, Time};

/// A vendor's success, parsed.
#[derive(Debug)]
pub(super) struct Answer {
    json: Value,
}

impl Answer {
    pub(super) const fn new(json: Value) -> Self {
        Self { json }
    }

    /// What is at the pointer; none where it is absent or null.
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        self.json.pointer(pointer).filter(|value| !value.is_null())
    }

    /// Text at the pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// Text that must be there. Without it nobody knows what the call made, so the outcome is unknown.
    pub(super) fn need(&self, pointer: &str) -> Result<&str, Fault> {
        self.text(pointer).filter(|text| !text.is_empty()).ok_or_else(|| self.lacks(pointer))
    }

    /// A secret that must be there.
    pub(super) fn need_secret(&self, pointer: &str) -> Result<Secret, Fault> {
        self.need(pointer).map(Secret::from)
    }

    /// A list that must be there.
    pub(super) fn need_list(&self, pointer: &str) -> Result<&[Value], Fault> {
        self.at(pointer).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| self.lacks(pointer))
    }

    /// A moment at the pointer.
    pub(super) fn time(&self, pointer: &str) -> Option<Time> {
        self.at(pointer).and_then(parse_time)
    }

    /// A moment that must be there.
    pub(super) fn need_time(&self, pointer: &str) -> Result<Time, Fault> {
        self.time(pointer).ok_or_else(|| self.lacks(pointer))
    }

    pub(super) fn lacks(&self, pointer: &str) -> Fault {
        Fault::unknown(format!("sent an answer without {}", pointer.trim_start_matches('/')))
    }
}

/// A call that did not succeed: what it amounts to, and the vendor's own words for whoever knows them better.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    /// The HTTP status of the last answer; none where there was no answer.
    pub(super) status: Option<u16>,
    /// The vendor's error; none where the body was not the vendor's, as that of a proxy in between.
    pub(super) said: Option<Box<Said>>,
    /// The call was sent before, and that may have had its effect.
    pub(super) doubtful: bool,
}

impl Failure {
    /// The vendor itself, not a proxy in between, answered with this status.
    pub(super) fn vendor_said(&self, status: u16) -> bool {
        self.status == Some(status) && self.said.is_some()
    }

    /// The vendor's error has this text, whatever its case.
    pub(super) fn mentions(&self, text: &str) -> bool {
        self.said.as_ref().is_some_and(|said| said.mentions(text))
    }

    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self.fault.kind, FaultKind::Refused)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        failure.fault
    }
}

/// A vendor's error, out of the envelopes that vendors use. Raw: to compare with, never to show.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) code: String,
    /// The field that the vendor blames.
    pub(super) param: Option<String>,
}

impl Said {
    /// Reads `{"error": {message, type, code, param}}` (OpenAI, OpenRouter, LiteLLM), `{"error": "…"}`, and
    /// `{"detail": …}` (FastAPI, so LiteLLM's validation).
    pub(super) fn parse(body: &Value) -> Option<Self> {
        let body = body.as_object()?;
        match (body.get("error"), body.get("detail")) {
            (Some(Value::Object(error)), _) => Some(Self {
                message: plain(error.get("message")),
                code: Some(plain(error.get("code")))
                    .filter(|code| !code.is_empty())
                    .unwrap_or_else(|| plain(error.get("type"))),
                param: error.get("param").and_then(Value::as_str).filter(|param| *param != "None").map(str::to_owned),
            }),
            (Some(error @ Value::String(_)), _) => Some(Self { message: plain(Some(error)), ..Self::default() }),
            (_, Some(Value::Array(problems))) => Some(Self::of_validation(problems)),
            (_, Some(Value::Object(detail))) => {
                Some(Self { message: plain(detail.get("error").or_else(|| detail.get("message"))), ..Self::default() })
            }
            (_, Some(detail @ Value::String(_))) => Some(Self { message: plain(Some(detail)), ..Self::default() }),
            _ => None,
        }
    }

    fn of_validation(problems: &[Value]) -> Self {
        let first = problems.first().and_then(Value::as_object);
        let empty = Map::new();
        let first = first.unwrap_or(&empty);
        let param = first.get("loc").and_then(Value::as_array).and_then(|loc| loc.last()).and_then(Value::as_str);
        Self { message: plain(first.get("msg")), code: plain(first.get("type")), param: param.map(str::to_owned) }
    }

    pub(super) fn mentions(&self, text: &str) -> bool {
        self.message.to_lowercase().contains(&text.to_lowercase())
    }
}

/// A moment in any form that a vendor writes: seconds since 1970, RFC 3339, or the same without a zone, then UTC.
pub(super) fn parse_time(value: &Value) -> Option<Time> {
    match value {
        Value::Number(seconds) => DateTime::from_timestamp(seconds.as_i64()?, 0),
        Value::String(text) => DateTime::parse_from_rfc3339(text)
            .map(|time| time.to_utc())
            .ok()
            .or_else(|| Some(text.parse::<NaiveDateTime>().ok()?.and_utc())),
        _ => None,
    }
}

/// Whole seconds from now until then, rounded up: a key outlives its lease rather than the other way round.
/// At least one, no more than `longest`.
pub(super) fn seconds_until(now: Time, until: Time, longest: Duration) -> u64 {
    let left = (until - now).to_std().unwrap_or_default();
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    seconds.clamp(1, longest.as_secs())
}

fn plain(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_envelope_gives_its_words() {
        let openai =
            json!({"error": {"message": "no", "type": "invalid_request_error", "param": "scopes", "code": null}});
        let said = Said::parse(&openai).expect("an error");
        assert_eq!((said.code.as_str(), said.param.as_deref()), ("invalid_request_error", Some("scopes")));
        let openrouter = Said::parse(&json!({"error": {"code": 404, "message": "gone"}})).expect("an error");
        assert_eq!((openrouter.code.as_str(), openrouter.message.as_str()), ("404", "gone"));
        let fastapi =
            json!({"detail": [{"type": "float_parsing", "loc": ["body", "max_budget"], "msg": "not a number"}]});
        assert_eq!(Said::parse(&fastapi).expect("an error").param.as_deref(), Some("max_budget"));
        assert!(Said::parse(&json!({"detail": "Not Found"})).expect("an error").mentions("not found"));
        for other in [json!({"message": "x"}), json!("x"), json!([]), json!({"error": null})] {
            assert_eq!(Said::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn times_are_read_in_every_form() {
        for text in ["2026-11-24T12:08:07.803037Z", "2026-11-24T12:08:07.803+00:00", "2026-11-24T12:08:07.803"] {
            let time = parse_time(&json!(text)).expect("a time");
            assert_eq!(time.timestamp(), 1_795_522_087, "{text}");
        }
        assert_eq!(parse_time(&json!(1_795_522_087)).expect("a time").timestamp(), 1_795_522_087);
        assert_eq!(parse_time(&json!("soon")), None);
    }

    #[test]
    fn seconds_are_rounded_up_and_kept_in_their_limits() {
        let now = DateTime::from_timestamp(1000, 0).expect("a time");
        let year = Duration::from_secs(31_536_000);
        assert_eq!(seconds_until(now, now + chrono::Duration::milliseconds(1500), year), 2);
        assert_eq!(seconds_until(now, now - chrono::Duration::seconds(5), year), 1);
        assert_eq!(seconds_until(now, now + chrono::Duration::days(1000), year), 31_536_000);
    }
}
