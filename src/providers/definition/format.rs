//! The format of a definition, as it is written.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use super::super::answer::{Envelope, Shape};
use super::auth::Auth;
use super::source::Source;
use super::template::{Target, Template};
use super::term::Term;
use crate::schema::{Field, Kind, parse_duration};

/// Longest name of a key that a definition may promise, in characters.
pub(super) const LONGEST_NAME: usize = 200;

/// A vendor's declaration and its calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    /// As in `provider=…`; a custom one is called `custom` whatever it says.
    pub(super) name: String,
    pub(super) title: String,
    /// Where its facts are from, and of when. For the reader.
    #[serde(default, rename = "sources")]
    _sources: Vec<String>,
    /// Base of the admin API. Without one a config must name it.
    pub(super) api_url: Option<String>,
    /// What clients set as their base URL, where that is not `api_url`.
    pub(super) base_url: Option<BaseUrl>,
    /// Fields of a config.
    pub(super) account: Vec<FieldSpec>,
    /// Whether those that are not secret name one account, and the calls that end a key name it too: another account's
    /// credential would say of a key that it is gone.
    #[serde(default)]
    pub(super) identity_is_complete: bool,
    pub(super) auth: Auth,
    /// Headers that every call carries.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Headers that a client must send beside its key.
    #[serde(default)]
    pub(super) client_headers: BTreeMap<String, String>,
    /// Where the vendor's errors are; the first that fits.
    pub(super) errors: Vec<Shape>,
    /// Fields of a role.
    #[serde(default)]
    pub(super) role: Vec<FieldSpec>,
    /// Longest name of a key, in characters.
    pub(super) longest_name: usize,
    /// The id of a key where we choose it.
    pub(super) id: Option<Template>,
    #[serde(default)]
    pub(super) expiry: ExpirySpec,
    /// What can be limited per key.
    #[serde(default)]
    pub(super) limits: Vec<String>,
    /// What the vendor's API has and this engine does not use.
    #[serde(default)]
    pub(super) unused: Vec<String>,
    /// How fast a revoked key is refused.
    pub(super) revocation: String,
    /// What the vendor's documents do not say, a sentence each.
    #[serde(default)]
    pub(super) unproven: Vec<String>,
    /// Asked when a config is checked, before the listing.
    #[serde(default)]
    pub(super) check: Vec<Step>,
    #[serde(default)]
    pub(super) create: Vec<Step>,
    /// Makes another credential of the account's own, where the vendor's API does: found and ended as other keys are.
    pub(super) admin: Option<AdminSpec>,
    /// Moves the vendor's expiry.
    pub(super) extend: Option<Step>,
    /// Ends a key; the first step's answer says how it went. None: the key ends by its expiry only.
    #[serde(default)]
    pub(super) delete: Vec<Step>,
    /// How a fresh key is tried before a static role serves it.
    #[serde(rename = "try")]
    pub(super) trial: Option<Trial>,
    /// Values of fixed slots, at a vendor whose API makes no keys: in place of `create` and `delete`.
    pub(super) slots: Option<SlotsSpec>,
    /// How existing keys are switched on and off, at a vendor whose API makes none: in place of `create` and `delete`.
    pub(super) switch: Option<SwitchSpec>,
    pub(super) list: Option<Listing>,
}

impl Definition {
    /// The forms of the vendor's errors.
    pub(super) fn envelope(&self) -> Envelope<'_> {
        Envelope::Declared(&self.errors)
    }
}

/// What clients set as their base URL.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum BaseUrl {
    /// This one, unless a config names another.
    Default(String),
    /// Each account has its own, so that a config must name it: the field's help.
    Asked { ask: String },
}

/// A field of a config or a role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSpec {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: KindSpec,
    pub(super) help: String,
    #[serde(default)]
    pub(super) required: bool,
    /// What holds where it is absent; for the reader only.
    pub(super) default: Option<String>,
    /// Of a choice.
    #[serde(default)]
    pub(super) choices: Vec<String>,
    /// Of an int.
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
    /// Another field that must be there too.
    pub(super) needs: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindSpec {
    Text,
    Secret,
    Id,
    Bool,
    Int,
    Amount,
    Duration,
    List,
    Map,
    Choice,
}

impl FieldSpec {
    pub(super) fn field(&self) -> Field {
        let kind = match self.kind {
            KindSpec::Text => Kind::Text,
            KindSpec::Secret => Kind::Secret,
            KindSpec::Id => Kind::VendorId,
            KindSpec::Bool => Kind::Boolean,
            KindSpec::Int => Kind::Integer { min: self.min.unwrap_or(0), max: self.max.unwrap_or(i64::MAX) },
            KindSpec::Amount => Kind::Amount,
            KindSpec::Duration => Kind::Duration,
            KindSpec::List => Kind::TextList,
            KindSpec::Map => Kind::TextMap,
            KindSpec::Choice => Kind::Choice(self.choices.iter().cloned().collect()),
        };
        Field {
            name: self.name.clone().into(),
            kind,
            help: self.help.clone().into(),
            required: self.required,
            default: self.default.clone().map(Into::into),
        }
    }
}

/// The vendor's own expiry of a key.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ExpirySpec {
    #[default]
    None,
    /// Set when the key is made.
    Fixed(Bounds),
    /// Moved by `extend`.
    Movable(Bounds),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bounds {
    pub(super) shortest: Span,
    pub(super) longest: Span,
}

/// A duration as `15m` or `90d`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Span(pub(super) Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text).map(Self).ok_or_else(|| format!("{text:?} is not a duration such as 15m or 90d"))
    }
}

/// How a credential of the account's own is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminSpec {
    /// Fields of the account without which none can be made.
    #[serde(default)]
    pub(super) needs: Vec<String>,
    pub(super) create: Vec<Step>,
}

/// A call at no cost that a key makes itself, below what clients set as their base URL.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trial {
    pub(super) call: Target,
    #[serde(default)]
    pub(super) query: BTreeMap<String, Term>,
    /// What carries the key.
    #[serde(default)]
    pub(super) header: KeyHeader,
    /// What the answer says of a key that works.
    #[serde(default)]
    pub(super) expect: Vec<Expect>,
    /// Errors that the vendor sends of a key that it does not know; where none is named, 401.
    #[serde(default)]
    pub(super) refused: Vec<ErrorRule>,
    /// Errors that only a key gets that it knows, beside 403.
    #[serde(default)]
    pub(super) known: Vec<ErrorRule>,
}

/// A header with a key in it: `Authorization: Bearer …` unless it is another one.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyHeader {
    pub(super) name: String,
    #[serde(default)]
    pub(super) prefix: String,
}

/// An error of the vendor's own: all that is named must fit.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorRule {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    /// Part of the message, whatever its case.
    pub(super) says: Option<String>,
}

impl Default for KeyHeader {
    fn default() -> Self {
        Self { name: "Authorization".into(), prefix: "Bearer ".into() }
    }
}

/// Fixed slots, each with a value that can be made anew.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotsSpec {
    /// As the vendor calls them; `{id}` in the calls.
    pub(super) names: Vec<String>,
    /// Where the value of each is, in the answers of both calls.
    pub(super) values: Vec<Pick>,
    pub(super) regenerate: Step,
    pub(super) read: Step,
}

/// How existing keys are switched on and off.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchSpec {
    /// Asks how a key stands: takes its `state`, in the vendor's word, and perhaps `hint`, what is shown of its value.
    pub(super) look: Step,
    /// The state of a key that works.
    pub(super) is_on: Value,
    /// The state of one that does not, and that can be switched on.
    pub(super) is_off: Value,
    /// Those of keys that never will work again.
    #[serde(default)]
    pub(super) is_dead: Vec<Value>,
    pub(super) on: Step,
    pub(super) off: Step,
}

/// One call and what becomes of its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) call: Target,
    #[serde(default)]
    pub(super) query: BTreeMap<String, Term>,
    pub(super) body: Option<Term>,
    /// The body is a form, not JSON.
    #[serde(default)]
    pub(super) form: bool,
    /// Sent only where this is there.
    pub(super) when: Option<When>,
    /// Sending it twice does no more than sending it once. GET, PUT and DELETE are.
    #[serde(default)]
    pub(super) repeatable: bool,
    /// What is taken from the answer: `id`, `secret`, `expires` (a time) or `expires_in` (seconds from now), `identity`, and
    /// what later steps need as `key.…`; where a key is looked at, `state` and `hint`.
    #[serde(default)]
    pub(super) take: BTreeMap<String, Pick>,
    /// What the lease's answer shows beside the key.
    #[serde(default)]
    pub(super) show: BTreeMap<String, Pick>,
    /// What the answer must say; else nobody knows what was done.
    pub(super) expect: Option<Expect>,
    /// Sent again until the answer says so.
    pub(super) poll: Option<Poll>,
    /// Undoes this step where a later one fails and there is no key to delete yet.
    pub(super) undo: Option<Box<Step>>,
    /// Errors that say that what is deleted is gone already.
    #[serde(default)]
    pub(super) gone: Vec<GoneRule>,
    /// The vendor only takes the order to delete.
    #[serde(default)]
    pub(super) later: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct When(pub(super) Source);

impl TryFrom<String> for When {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self)
    }
}

/// Text out of an answer: at a JSON pointer, or a part of what is there.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "PickForm")]
pub(super) struct Pick {
    pub(super) at: String,
    before: Option<String>,
    after_last: Option<String>,
    /// The value of this parameter of the URL that is there.
    parameter: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PickForm {
    At(String),
    #[serde(rename_all = "snake_case")]
    Part {
        at: String,
        before: Option<String>,
        after_last: Option<String>,
        parameter: Option<String>,
    },
}

impl From<PickForm> for Pick {
    fn from(form: PickForm) -> Self {
        match form {
            PickForm::At(at) => Self { at, before: None, after_last: None, parameter: None },
            PickForm::Part { at, before, after_last, parameter } => Self { at, before, after_last, parameter },
        }
    }
}

impl Pick {
    /// The text; numbers are written out.
    pub(super) fn text(&self, answer: &Value) -> Option<String> {
        let text = match answer.pointer(&self.at)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let text = match &self.parameter {
            Some(name) => query_value(&text, name)?,
            None => text,
        };
        let text = match &self.before {
            Some(mark) => text.split_once(mark.as_str())?.0.to_owned(),
            None => text,
        };
        let text = match &self.after_last {
            Some(mark) => text.rsplit_once(mark.as_str()).map_or(text.clone(), |(_, last)| last.to_owned()),
            None => text,
        };
        Some(text).filter(|text| !text.is_empty())
    }

    /// The value itself, for a time.
    pub(super) fn value<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        answer.pointer(&self.at).filter(|value| !value.is_null())
    }
}

/// Vendors write links with and without their host.
fn query_value(link: &str, name: &str) -> Option<String> {
    let url = Url::parse("https://localhost").ok()?.join(link).ok()?;
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// What is at a pointer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    pub(super) at: String,
    pub(super) is: Value,
}

impl Expect {
    pub(super) fn holds(&self, answer: &Value) -> bool {
        answer.pointer(&self.at).unwrap_or(&Value::Null) == &self.is
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Poll {
    pub(super) until: Expect,
    pub(super) every: Span,
    /// Where the answer says that it has failed: text.
    pub(super) failed: Option<String>,
}

/// An error that says "not there": all that is named must fit. The body must be the vendor's own, unless `bare`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoneRule {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    /// Part of the message, whatever its case.
    pub(super) says: Option<String>,
    /// The vendor sends no body with it.
    #[serde(default)]
    pub(super) bare: bool,
    /// It may be about something else than the key, so that the listing has to say that the key is gone. So it is of every
    /// rule that names a status alone.
    #[serde(default)]
    pub(super) unlisted: bool,
}

impl GoneRule {
    /// Whether an answer that fits is about the key for certain.
    pub(super) const fn is_certain(&self) -> bool {
        !self.unlisted && (self.code.is_some() || self.says.is_some() || self.bare)
    }
}

/// How the vendor's keys are listed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    pub(super) call: Target,
    #[serde(default)]
    pub(super) query: BTreeMap<String, Term>,
    /// Where the entries are. Null or absent is none, where `absent_is_empty` and the answer is no error.
    pub(super) items: String,
    /// What an answer that lists keys says.
    #[serde(default)]
    pub(super) expect: Option<Expect>,
    #[serde(default)]
    pub(super) absent_is_empty: bool,
    /// `id`, `name`, `created`, and what deleting needs as `key.…`.
    pub(super) entry: BTreeMap<String, Pick>,
    #[serde(default)]
    pub(super) pages: Pages,
    /// How long a fresh key may be missing.
    pub(super) lag: Span,
}

/// How a listing goes on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Pages {
    /// All on one page.
    #[default]
    None,
    /// The answer has a cursor, sent as a parameter; without one it is the last page.
    Cursor { at: Pick, parameter: String },
    /// The id of the last entry is sent as a parameter, as long as the answer says that there is more.
    After { parameter: String, more: Expect },
    /// The number of entries seen so far; ends with an empty page.
    Offset { parameter: String },
    /// The page's number, from `first`; ends with an empty page.
    Number { parameter: String, first: u32 },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_of_a_text_is_picked() {
        let pick = |form: Value| serde_json::from_value::<Pick>(form).expect("a pick");
        let answer = json!({
            "key": "abc.def", "path": "a/b/c", "number": 5,
            "next": "https://a.example/keys?pagesize=2&token=x%2Fy", "relative": "/keys?token=z",
        });
        for (form, text) in [
            (json!("/key"), Some("abc.def")),
            (json!("/number"), Some("5")),
            (json!("/none"), None),
            (json!({"at": "/key", "before": "."}), Some("abc")),
            (json!({"at": "/path", "after_last": "/"}), Some("c")),
            (json!({"at": "/next", "parameter": "token"}), Some("x/y")),
            (json!({"at": "/relative", "parameter": "token"}), Some("z")),
            (json!({"at": "/next", "parameter": "other"}), None),
        ] {
            assert_eq!(pick(form.clone()).text(&answer).as_deref(), text, "{form}");
        }
    }
}
