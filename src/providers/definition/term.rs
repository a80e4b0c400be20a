use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::source::{Scene, Source};
use super::template::Template;
use crate::base::Time;
use crate::schema::{Values, format_duration};

/// A JSON value with sources in it. What is made of an absent source is left out of its object or list.
///
/// ```text
/// "text with {account.team}"                                text
/// {"$": "role.tpm", "as": "text", "or": null}               a value, in a form of its own, with what stands for an absent one
/// {"$each": "role.groups", "do": {"id": {"$": "item"}}}     a list made of a list
/// {"$join": [[…], […]], "or": null}                        the lists as one; left out where it is empty, or what stands for that
/// {"$if": "role.rpm", "then": {…}}                          only where the source is there
/// {"$first": [{"$": "role.scope"}, {…}]}                    the first that is there
/// {"$some": {"in": …, "not_in": …}}                         the object; left out where nothing is in it
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub(super) enum Term {
    Plain(Value),
    Text(Template),
    Of { source: Source, form: Form, or: Option<Value> },
    Each { source: Source, make: Box<Term> },
    If { source: Source, then: Box<Term> },
    First(Vec<Term>),
    Some(Box<Term>),
    Join { lists: Vec<Term>, or: Option<Value> },
    List(Vec<Term>),
    Object(Vec<(Template, Term)>),
}

/// How a source is written. Times are rounded up, so that a key outlives its lease rather than the other way round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// As it is; durations are seconds.
    #[default]
    Same,
    /// As text.
    Text,
    /// A duration as `1h30m`.
    Duration,
    /// A list as text separated by commas.
    Csv,
    /// `2026-11-24T12:00:00Z`.
    Rfc3339,
    /// `2026-11-24T12:00+0000`.
    Minute,
    /// `2026-11-24`.
    Date,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMs,
    /// Seconds from now.
    Seconds,
    /// `3600s`: seconds from now.
    SecondsText,
    /// Days from now.
    Days,
}

impl Form {
    /// Whether it is a form of a time.
    pub(super) const fn is_time(self) -> bool {
        !matches!(self, Self::Same | Self::Text | Self::Duration | Self::Csv)
    }

    fn write(self, value: Value) -> Value {
        match (self, value) {
            (Self::Text, Value::String(text)) => text.into(),
            (Self::Text, other) => other.to_string().into(),
            (Self::Duration, Value::Number(seconds)) => {
                let seconds = std::time::Duration::from_secs(seconds.as_u64().unwrap_or(0));
                format_duration(seconds).into()
            }
            (Self::Csv, Value::Array(items)) => {
                items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",").into()
            }
            (_, value) => value,
        }
    }

    fn write_time(self, until: Time, now: Time) -> Option<Value> {
        const DAY: i64 = 24 * 3600;
        let up = |unit: i64| {
            let whole = until.timestamp() + i64::from(until.timestamp_subsec_nanos() > 0);
            chrono::DateTime::from_timestamp(whole + (-whole).rem_euclid(unit), 0)
        };
        let left = |unit: i64| {
            let milliseconds = (until - now).num_milliseconds().max(1);
            milliseconds / (unit * 1000) + i64::from(milliseconds % (unit * 1000) > 0)
        };
        Some(match self {
            Self::Rfc3339 => up(1)?.to_rfc3339_opts(SecondsFormat::Secs, true).into(),
            Self::Minute => up(60)?.format("%Y-%m-%dT%H:%M+0000").to_string().into(),
            Self::Date => up(DAY)?.format("%Y-%m-%d").to_string().into(),
            Self::Unix => up(1)?.timestamp().into(),
            Self::UnixMs => up(1)?.timestamp_millis().into(),
            Self::Seconds => left(1).into(),
            Self::SecondsText => format!("{}s", left(1)).into(),
            Self::Days => left(DAY).into(),
            Self::Same | Self::Text | Self::Duration | Self::Csv => return None,
        })
    }
}

impl Term {
    /// The value; none where it is made of what is absent.
    pub(super) fn fill(&self, scene: &Scene<'_>) -> Option<Value> {
        match self {
            Self::Plain(value) => Some(value.clone()),
            Self::Text(template) => template.fill(scene).map(Value::from),
            Self::Of { source: Source::Until, form, or } => {
                scene.until.and_then(|until| form.write_time(until, scene.now)).or_else(|| or.clone())
            }
            Self::Of { source, form, or } => scene.value(source).map(|value| form.write(value)).or_else(|| or.clone()),
            Self::Each { source, make } => {
                let list = scene.value(source)?;
                let made = |item: &Value| make.fill(&Scene { item: Some(item), ..*scene });
                Some(list.as_array()?.iter().filter_map(made).collect())
            }
            Self::If { source, then } => scene.has(source).then(|| then.fill(scene)).flatten(),
            Self::First(terms) => terms.iter().find_map(|term| term.fill(scene)),
            Self::Some(term) => {
                term.fill(scene).filter(|value| value.as_object().is_some_and(|fields| !fields.is_empty()))
            }
            Self::Join { lists, or } => {
                let lists = lists.iter().filter_map(|term| term.fill(scene));
                let items = lists.flat_map(|list| list.as_array().cloned().unwrap_or_else(|| vec![list]));
                let items = Some(items.collect::<Vec<_>>()).filter(|items| !items.is_empty());
                items.map(Value::Array).or_else(|| or.clone())
            }
            Self::List(terms) => Some(terms.iter().filter_map(|term| term.fill(scene)).collect()),
            Self::Object(entries) => {
                let filled = entries.iter().filter_map(|(name, term)| Some((name.fill(scene)?, term.fill(scene)?)));
                Some(Value::Object(filled.collect()))
            }
        }
    }

    /// Every list of a role that is gone through, and about how many bytes that makes.
    pub(super) fn lists(&self, role: &Values) -> Vec<(&str, usize)> {
        match self {
            Self::Plain(_) | Self::Text(_) | Self::Of { .. } => Vec::new(),
            Self::Each { source: Source::Role(name), make } => {
                let entries = role.list(name).map_or(0, |list| list.len());
                vec![(name, entries.saturating_mul(make.size(role)))]
            }
            Self::Each { .. } => Vec::new(),
            Self::If { then, .. } | Self::Some(then) => then.lists(role),
            Self::First(terms) | Self::Join { lists: terms, .. } | Self::List(terms) => {
                terms.iter().flat_map(|term| term.lists(role)).collect()
            }
            Self::Object(entries) => entries.iter().flat_map(|(_, term)| term.lists(role)).collect(),
        }
    }

    /// About how many bytes it makes of a role's values.
    fn size(&self, role: &Values) -> usize {
        let sum = |terms: &[Self]| terms.iter().map(|term| term.size(role)).sum();
        let of = |source: &Source| match source {
            Source::Role(name) => role.get(name).map_or(0, |value| value.to_string().len()),
            _ => 0,
        };
        match self {
            Self::Plain(value) => value.to_string().len(),
            Self::Of { source, .. } => of(source),
            Self::Text(template) => template.sources().map(of).sum(),
            Self::Each { .. } => 0,
            Self::If { then, .. } | Self::Some(then) => then.size(role),
            Self::First(terms) | Self::Join { lists: terms, .. } | Self::List(terms) => sum(terms),
            Self::Object(entries) => entries.iter().map(|(_, term)| term.size(role)).sum(),
        }
    }

    /// Every source in it, with its form where it stands for a value.
    pub(super) fn sources(&self) -> Vec<(&Source, Option<Form>)> {
        let plain = |source| (source, None);
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(template) => template.sources().map(plain).collect(),
            Self::Of { source, form, .. } => vec![(source, Some(*form))],
            Self::Each { source, make } => std::iter::once((source, Some(Form::Same))).chain(make.sources()).collect(),
            Self::If { source, then } => {
                let condition = (source, Some(if *source == Source::Until { Form::Unix } else { Form::Same }));
                std::iter::once(condition).chain(then.sources()).collect()
            }
            Self::Some(term) => term.sources(),
            Self::First(terms) | Self::Join { lists: terms, .. } | Self::List(terms) => {
                terms.iter().flat_map(Self::sources).collect()
            }
            Self::Object(entries) => entries
                .iter()
                .flat_map(|(name, term)| {
                    name.sources().map(plain).collect::<Vec<_>>().into_iter().chain(term.sources())
                })
                .collect(),
        }
    }
}

impl TryFrom<Value> for Term {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) if text.contains(['{', '}']) => text.parse().map(Self::Text),
            Value::Array(items) => items.into_iter().map(Self::try_from).collect::<Result<_, _>>().map(Self::List),
            Value::Object(entries) => Self::of_object(entries),
            plain => Ok(Self::Plain(plain)),
        }
    }
}

impl Term {
    /// Whether a list is gone through in it.
    fn repeats(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Text(_) | Self::Of { .. } => false,
            Self::Each { .. } => true,
            Self::If { then, .. } | Self::Some(then) => then.repeats(),
            Self::First(terms) | Self::Join { lists: terms, .. } | Self::List(terms) => terms.iter().any(Self::repeats),
            Self::Object(entries) => entries.iter().any(|(_, term)| term.repeats()),
        }
    }

    fn of_object(mut entries: Map<String, Value>) -> Result<Self, String> {
        let source = |value: Value| value.as_str().ok_or("expected the name of a source")?.parse::<Source>();
        let term = if let Some(name) = entries.remove("$") {
            let form = entries.remove("as").map(serde_json::from_value).transpose();
            let form: Form = form.map_err(|_| "\"as\" is not a form that is known")?.unwrap_or_default();
            let or = entries.remove("or");
            Self::Of { source: source(name)?, form, or }
        } else if let Some(name) = entries.remove("$each") {
            let make: Self = entries.remove("do").ok_or("$each needs \"do\"")?.try_into()?;
            if make.repeats() {
                return Err("$each within $each: it would multiply the lists".into());
            }
            Self::Each { source: source(name)?, make: Box::new(make) }
        } else if let Some(lists) = entries.remove("$join") {
            let Value::Array(lists) = lists else { return Err("$join needs a list of lists".into()) };
            let lists = lists.into_iter().map(Self::try_from).collect::<Result<_, _>>()?;
            Self::Join { lists, or: entries.remove("or") }
        } else if let Some(name) = entries.remove("$if") {
            let then = entries.remove("then").ok_or("$if needs \"then\"")?;
            Self::If { source: source(name)?, then: Box::new(then.try_into()?) }
        } else if let Some(terms) = entries.remove("$first") {
            let Value::Array(terms) = terms else { return Err("$first needs a list".into()) };
            Self::First(terms.into_iter().map(Self::try_from).collect::<Result<_, _>>()?)
        } else if let Some(term) = entries.remove("$some") {
            if !term.is_object() {
                return Err("$some needs an object".into());
            }
            Self::Some(Box::new(term.try_into()?))
        } else {
            let entry = |(name, value): (String, Value)| Ok::<_, String>((name.parse()?, Self::try_from(value)?));
            return entries.into_iter().map(entry).collect::<Result<_, _>>().map(Self::Object);
        };
        match entries.keys().next() {
            Some(name) => Err(format!("{name:?} has no meaning beside a source")),
            None => Ok(term),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::providers::Account;

    fn time(text: &str) -> Time {
        chrono::DateTime::parse_from_rfc3339(text).expect("a time").to_utc()
    }

    #[test]
    fn times_are_rounded_up_in_every_form() {
        let (until, now) = (time("2026-11-24T12:30:00.2Z"), time("2026-11-24T12:00:00Z"));
        for (form, written) in [
            (Form::Rfc3339, json!("2026-11-24T12:30:01Z")),
            (Form::Minute, json!("2026-11-24T12:31+0000")),
            (Form::Date, json!("2026-11-25")),
            (Form::Unix, json!(1_795_523_401)),
            (Form::UnixMs, json!(1_795_523_401_000_i64)),
            (Form::Seconds, json!(1801)),
            (Form::SecondsText, json!("1801s")),
            (Form::Days, json!(1)),
        ] {
            assert_eq!(form.write_time(until, now), Some(written), "{form:?}");
        }
        assert_eq!(Form::Date.write_time(time("2026-11-24T00:00:00Z"), now), Some(json!("2026-11-24")));
    }

    #[test]
    fn an_empty_join_is_left_out_or_is_what_stands_for_it() {
        let account = crate::providers::account::Account {
            apart: Vec::new(),
            endpoint: "https://a.example".parse().expect("a URL"),
            client_url: String::new(),
            identity: crate::schema::Values::default(),
            secrets: std::collections::BTreeMap::new(),
            credential_field: None,
        };
        let scene = Scene::new(&account, time("2026-11-24T12:00:00Z"));
        let fill = |term: Value| Term::try_from(term).expect("valid").fill(&scene);
        assert_eq!(fill(json!({"$join": [{"$": "role.a"}]})), None);
        assert_eq!(fill(json!({"$join": [{"$": "role.a"}], "or": ["all"]})), Some(json!(["all"])));
        assert_eq!(fill(json!({"$join": [["a"], {"$": "role.a"}, ["b"]], "or": ["all"]})), Some(json!(["a", "b"])));
    }

    #[test]
    fn what_stands_for_an_absent_value_may_be_made_of_others() {
        let mut account = Account {
            apart: Vec::new(),
            endpoint: "https://a.example".parse().expect("a URL"),
            client_url: String::new(),
            identity: Values::default(),
            secrets: std::collections::BTreeMap::new(),
            credential_field: None,
        };
        account.identity.insert("team", "t-1".into());
        let mut role = Values::default();
        let term = Term::try_from(json!({
            "scope": {"$first": [{"$": "role.scope"}, {"team/{account.team}": "*"}]},
            "ip": {"$some": {"in": {"$": "role.allowed"}, "not_in": {"$": "role.denied"}}},
        }));
        let term = term.expect("valid");
        let now = time("2026-11-24T12:00:00Z");
        let fill = |role: &Values| term.fill(&Scene { role: Some(role), ..Scene::new(&account, now) });
        assert_eq!(fill(&role), Some(json!({"scope": {"team/t-1": "*"}})));
        role.insert("scope", "one".into());
        role.insert("denied", json!(["10.0.0.0/8"]));
        assert_eq!(fill(&role), Some(json!({"scope": "one", "ip": {"not_in": ["10.0.0.0/8"]}})));
        assert_eq!(term.sources().len(), 4);
    }

    #[test]
    fn an_unknown_word_beside_a_source_is_refused() {
        for bad in [
            json!({"$": "role.a", "als": "text"}),
            json!({"$": "role.a", "as": "hex"}),
            json!({"$": 1}),
            json!({"$each": "role.a"}),
            json!({"$if": "role.a"}),
            json!({"$first": "role.a"}),
            json!({"$some": ["role.a"]}),
            json!({"a": "{nobody}"}),
            json!({"$each": "role.a", "do": [{"$each": "role.a", "do": "{item}"}]}),
        ] {
            Term::try_from(bad.clone()).map(|_| ()).expect_err(&bad.to_string());
        }
    }
}
