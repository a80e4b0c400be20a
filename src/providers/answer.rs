use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Fault, FaultKind};
use crate::base::{Secret, Time};
use crate::schema::Kind;

/// A vendor's success, parsed.
pub(super) struct Answer {
    json: Value,
}

/// Hides all of it: it may hold a key.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer(hidden)")
    }
}

impl Answer {
    pub(super) const fn new(json: Value) -> Self {
        Self { json }
    }

    pub(super) const fn body(&self) -> &Value {
        &self.json
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

    /// An id that must be there and that a URL can hold: the key could not be ended by another.
    pub(super) fn need_id(&self, pointer: &str) -> Result<&str, Fault> {
        self.at(pointer).and_then(as_id).ok_or_else(|| self.lacks_id(pointer))
    }

    /// A secret that must be there.
    pub(super) fn need_secret(&self, pointer: &str) -> Result<Secret, Fault> {
        self.need(pointer).map(Secret::from)
    }

    /// A list that must be there.
    pub(super) fn need_list(&self, pointer: &str) -> Result<&[Value], Fault> {
        self.at(pointer).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| self.lacks(pointer))
    }

    /// A life in seconds at the pointer: a number, whole or not, or its text, as vendors write it.
    pub(super) fn seconds(&self, pointer: &str) -> Option<Duration> {
        self.at(pointer).and_then(parse_seconds)
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

    pub(super) fn lacks_id(&self, pointer: &str) -> Fault {
        Fault::unknown(format!("sent an answer without an id that can be used as {}", pointer.trim_start_matches('/')))
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
    /// The body was empty.
    pub(super) bare: bool,
    /// How long the vendor asks to wait, whatever its status.
    pub(super) after: Option<Duration>,
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

    /// The vendor's error has this code.
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.said.as_ref().is_some_and(|said| said.code == code)
    }

    /// What the vendor says of the key that asked: false where it does not know it, true where the key may not do this.
    /// None where it speaks of something else: what is known of such a call may be wrong, and no rotation should wait for
    /// that. A fault where the vendor has not spoken, or says "not now".
    pub(super) fn about_key(self) -> Result<Option<bool>, Fault> {
        match self.status.filter(|_| self.said.is_some()) {
            Some(401) => Ok(Some(false)),
            Some(403) => Ok(Some(true)),
            Some(408 | 409 | 425 | 429) => Err(self.fault),
            Some(400..=499) => Ok(None),
            _ => Err(self.fault),
        }
    }

    /// The vendor itself refuses the credential.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self.fault.kind, FaultKind::Refused) && self.said.is_some()
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        failure.fault
    }
}

/// Where a vendor's errors are in its answers.
#[derive(Clone, Copy)]
pub(super) enum Envelope<'a> {
    /// `{"error": {message, type, code, param}}`.
    Common,
    /// That, and `{"detail": …}` as FastAPI writes it, so LiteLLM's validation.
    CommonOrDetail,
    /// `{"error": "invalid_client", "error_description": …}` (RFC 6749, section 5.2), or the first of these that fits.
    OAuth(&'a [Shape]),
    /// The first of these that fits.
    Declared(&'a [Shape]),
}

/// One form of error, as a definition declares it: JSON pointers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The vendor's words: text. What has none is no error of the vendor's.
    pub message: String,
    /// The vendor's code.
    pub code: Option<String>,
    /// The name of the field that the vendor blames.
    pub field: Option<String>,
}

/// A vendor's error, out of the envelopes that vendors use. Raw: to compare with, never to show. Vendors echo keys.
#[derive(Default)]
pub(super) struct Said {
    pub(super) message: String,
    pub(super) code: String,
    /// The field that the vendor blames.
    pub(super) param: Option<String>,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Said(hidden)")
    }
}

impl Said {
    /// Reads an error out of its envelope; none where the body has no such envelope: it may be a proxy's then.
    pub(super) fn parse(body: &Value, envelope: Envelope<'_>) -> Option<Self> {
        match envelope {
            Envelope::Common => Self::common(body, false),
            Envelope::CommonOrDetail => Self::common(body, true),
            Envelope::OAuth(shapes) => Self::oauth(body).or_else(|| Self::any(body, shapes)),
            Envelope::Declared(shapes) => Self::any(body, shapes),
        }
    }

    fn oauth(body: &Value) -> Option<Self> {
        let code = body.get("error")?.as_str()?;
        let words = body.get("error_description").and_then(Value::as_str);
        let message = words.map_or_else(|| code.to_owned(), |words| format!("{code}: {words}"));
        Some(Self { message, code: code.to_owned(), param: None })
    }

    fn any(body: &Value, shapes: &[Shape]) -> Option<Self> {
        shapes.iter().find_map(|shape| Self::declared(body, shape))
    }

    fn declared(body: &Value, shape: &Shape) -> Option<Self> {
        let at = |pointer: &Option<String>| pointer.as_ref().and_then(|pointer| body.pointer(pointer));
        let message = body.pointer(&shape.message).filter(|message| message.is_string())?;
        let field = at(&shape.field).and_then(Value::as_str).map(str::to_owned);
        Some(Self { message: plain(Some(message)), code: plain(at(&shape.code)), param: field })
    }

    /// What else a body says may be a proxy's, `{"error": "…"}` too: none of these vendors writes that.
    fn common(body: &Value, details: bool) -> Option<Self> {
        let body = body.as_object()?;
        match (body.get("error"), body.get("detail").filter(|_| details)) {
            (Some(Value::Object(error)), _) => Some(Self {
                message: plain(error.get("message")),
                code: Some(plain(error.get("code")))
                    .filter(|code| !code.is_empty())
                    .unwrap_or_else(|| plain(error.get("type"))),
                param: error.get("param").and_then(Value::as_str).filter(|param| *param != "None").map(str::to_owned),
            }),
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

/// An id of a vendor's that can be part of a URL.
pub(super) fn as_id(value: &Value) -> Option<&str> {
    value.as_str().filter(|_| Kind::VendorId.parse(value).is_ok())
}

/// The name of a listed entry, where it may be ours.
pub(super) fn as_name<'a>(value: &'a Value, prefix: &str) -> Option<&'a str> {
    /// Ours have 200 characters at the most: `About::name_limit`.
    const LONGEST: usize = 256;
    value.as_str().filter(|name| name.len() <= LONGEST && name.starts_with(prefix))
}

/// A moment in any form that a vendor writes: seconds or milliseconds since 1970, RFC 3339, `2026-11-24T12:00+0000`, RFC
/// 3339 without a zone, then UTC, or a date, then its first moment in UTC.
pub(super) fn parse_time(value: &Value) -> Option<Time> {
    /// The end of the year 9999: what is added to a time must not overflow, and no vendor means what is beyond.
    const LATEST: i64 = 253_402_300_799;
    let time = match value {
        Value::Number(number) => match number.as_i64()? {
            // Later than the year 5000 as seconds.
            milliseconds @ 100_000_000_000.. => DateTime::from_timestamp_millis(milliseconds),
            seconds => DateTime::from_timestamp(seconds, 0),
        },
        Value::String(text) => DateTime::parse_from_rfc3339(text)
            .map(|time| time.to_utc())
            .ok()
            .or_else(|| Some(DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%z").ok()?.to_utc()))
            .or_else(|| Some(text.parse::<NaiveDateTime>().ok()?.and_utc()))
            .or_else(|| Some(text.parse::<NaiveDate>().ok()?.and_time(NaiveTime::MIN).and_utc())),
        _ => None,
    };
    time.filter(|time| (0..=LATEST).contains(&time.timestamp()))
}

/// Seconds as a number or its text; whole, rounded down, and no more than 100 years: they are added to dates.
pub(super) fn parse_seconds(value: &Value) -> Option<Duration> {
    const LONGEST: u64 = 100 * 366 * 24 * 3600;
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (seconds >= 0.0 && seconds.is_finite()).then(|| Duration::from_secs((seconds as u64).min(LONGEST)))
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
        let said = Said::parse(&openai, Envelope::Common).expect("an error");
        assert_eq!((said.code.as_str(), said.param.as_deref()), ("invalid_request_error", Some("scopes")));
        let openrouter =
            Said::parse(&json!({"error": {"code": 404, "message": "gone"}}), Envelope::Common).expect("an error");
        assert_eq!((openrouter.code.as_str(), openrouter.message.as_str()), ("404", "gone"));
        let fastapi =
            json!({"detail": [{"type": "float_parsing", "loc": ["body", "max_budget"], "msg": "not a number"}]});
        assert_eq!(
            Said::parse(&fastapi, Envelope::CommonOrDetail).expect("an error").param.as_deref(),
            Some("max_budget")
        );
        assert!(
            Said::parse(&json!({"detail": "Not Found"}), Envelope::CommonOrDetail)
                .expect("an error")
                .mentions("not found")
        );
        assert!(Said::parse(&json!({"detail": "Not Found"}), Envelope::Common).is_none(), "another vendor's");
        for other in [json!({"message": "x"}), json!("x"), json!([]), json!({"error": null}), json!({"error": "x"})] {
            assert!(Said::parse(&other, Envelope::CommonOrDetail).is_none(), "{other}");
        }
    }

    #[test]
    fn no_debug_output_shows_what_a_vendor_wrote() {
        let answer = Answer::new(json!({"key": "sk-1"}));
        let fault = Fault::unknown("failed");
        let said = Said::parse(&json!({"error": {"message": "bad sk-1"}}), Envelope::Common).map(Box::new);
        let failure = Failure { fault, status: Some(500), said, bare: false, after: None, doubtful: false };
        assert!(!format!("{answer:?} {failure:?}").contains("sk-1"));
    }

    #[test]
    fn times_are_read_in_every_form() {
        for text in ["2026-11-24T12:08:07.803037Z", "2026-11-24T12:08:07.803+00:00", "2026-11-24T12:08:07.803"] {
            let time = parse_time(&json!(text)).expect("a time");
            assert_eq!(time.timestamp(), 1_795_522_087, "{text}");
        }
        assert_eq!(parse_time(&json!(1_795_522_087)).expect("a time").timestamp(), 1_795_522_087);
        assert_eq!(parse_time(&json!(1_795_522_087_000_i64)).expect("a time").timestamp(), 1_795_522_087);
        assert_eq!(parse_time(&json!("2026-11-25")).expect("a time").to_rfc3339(), "2026-11-25T00:00:00+00:00");
        let minute = parse_time(&json!("2026-11-24T12:08+0000")).expect("a time");
        assert_eq!(minute.timestamp(), 1_795_522_080);
        for none in [json!("soon"), json!(8_210_266_876_799_000_i64), json!(-1), json!("+012345-01-01T00:00:00Z")] {
            assert_eq!(parse_time(&none), None, "{none}");
        }
    }

    #[test]
    fn seconds_are_a_number_or_its_text() {
        for (told, seconds) in
            [(json!(3600), 3600), (json!("3599"), 3599), (json!(29.9), 29), (json!(1e300), 3_162_240_000)]
        {
            assert_eq!(parse_seconds(&told), Some(Duration::from_secs(seconds)), "{told}");
        }
        for none in [json!(-1), json!("soon"), json!({}), json!(""), json!("NaN"), json!("inf"), json!(null)] {
            assert_eq!(parse_seconds(&none), None, "{none}");
        }
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
