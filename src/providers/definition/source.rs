use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::super::{Account, Ref};
use crate::base::Time;
use crate::schema::Values;

/// What a text or a value of a definition is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A field of the account that is not secret.
    Account(String),
    /// A field of the role.
    Role(String),
    /// A secret of the account: in the auth block only.
    Secret(String),
    /// The name of the key that is made.
    Name,
    /// What the names of all keys of this mount start with.
    Prefix,
    /// When the vendor should end the key.
    Until,
    /// The vendor's id of the key.
    Id,
    /// What else a step took from an answer.
    Key(String),
    /// The entry of a list that `$each` goes through.
    Item,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let source = match text.split_once('.') {
            Some(("account", name)) => named(name).map(Self::Account),
            Some(("role", name)) => named(name).map(Self::Role),
            Some(("secret", name)) => named(name).map(Self::Secret),
            Some(("key", name)) => named(name).map(Self::Key),
            Some(_) => None,
            None => match text {
                "name" => Some(Self::Name),
                "prefix" => Some(Self::Prefix),
                "until" => Some(Self::Until),
                "id" => Some(Self::Id),
                "item" => Some(Self::Item),
                _ => None,
            },
        };
        source.ok_or_else(|| {
            format!(
                "{text:?} is not known: expected account.FIELD, role.FIELD, secret.FIELD, key.TAKEN, name, prefix, until, id or item"
            )
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(f, "account.{name}"),
            Self::Role(name) => write!(f, "role.{name}"),
            Self::Secret(name) => write!(f, "secret.{name}"),
            Self::Key(name) => write!(f, "key.{name}"),
            Self::Name => f.write_str("name"),
            Self::Prefix => f.write_str("prefix"),
            Self::Until => f.write_str("until"),
            Self::Id => f.write_str("id"),
            Self::Item => f.write_str("item"),
        }
    }
}

/// The values that stand for sources in one call.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) account: &'a Account,
    /// Whether `secret.…` may be looked at.
    pub(super) secrets: bool,
    pub(super) role: Option<&'a Values>,
    pub(super) name: Option<&'a str>,
    pub(super) prefix: Option<&'a str>,
    pub(super) key: Option<&'a Ref>,
    pub(super) until: Option<Time>,
    pub(super) now: Time,
    pub(super) item: Option<&'a Value>,
}

impl<'a> Scene<'a> {
    /// Only the account is there.
    pub(super) const fn new(account: &'a Account, now: Time) -> Self {
        Self { account, secrets: false, role: None, name: None, prefix: None, key: None, until: None, now, item: None }
    }

    /// The value of a source; none where it is absent. A time has no value by itself: its form makes one.
    pub(super) fn value(&self, source: &Source) -> Option<Value> {
        match source {
            Source::Account(name) => self.account.identity.get(name).cloned(),
            Source::Role(name) => self.role?.get(name).cloned(),
            Source::Secret(name) if self.secrets => self.account.secrets.get(name).map(|secret| secret.expose().into()),
            Source::Secret(_) | Source::Until => None,
            Source::Name => self.name.map(Value::from),
            Source::Prefix => self.prefix.map(Value::from),
            Source::Id => self.key.map(|key| key.id.as_str()).filter(|id| !id.is_empty()).map(Value::from),
            Source::Key(name) => self.key?.text(name).map(Value::from),
            Source::Item => self.item.cloned(),
        }
    }

    /// Whether it is there.
    pub(super) fn has(&self, source: &Source) -> bool {
        match source {
            Source::Until => self.until.is_some(),
            source => self.value(source).is_some(),
        }
    }
}
