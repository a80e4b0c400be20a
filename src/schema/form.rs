use std::time::Duration;

use serde_json::Value;

use super::{Field, Invalid, Kind, Values};
use crate::base::Secret;

/// The arguments of a handler: a struct whose fields document, parse and validate themselves. Made by `form!`.
pub trait Form: Sized + Send {
    fn fields() -> Vec<Field>;
    fn parse(values: &Values) -> Result<Self, Invalid>;
}

/// No arguments.
impl Form for () {
    fn fields() -> Vec<Field> {
        Vec::new()
    }

    fn parse(_: &Values) -> Result<Self, Invalid> {
        Ok(())
    }
}

/// A type that a field of a form can have. `Option` means that the field may be absent.
pub trait Argument: Sized {
    const REQUIRED: bool;
    fn kind() -> Kind;
    /// `value` is canonical; none where the field is absent, null where null was sent.
    fn take(value: Option<&Value>) -> Option<Self>;
}

/// A name as it stands in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

/// A field of an update: absent keeps what is stored, null clears it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    Keep,
    Clear,
    Set(T),
}

impl<T> Change<T> {
    /// What holds after the change.
    pub fn apply(self, stored: Option<T>) -> Option<T> {
        match self {
            Self::Keep => stored,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

macro_rules! argument {
    ($type:ty, $kind:expr, required $required:literal, |$value:ident| $take:expr) => {
        impl Argument for $type {
            const REQUIRED: bool = $required;

            fn kind() -> Kind {
                $kind
            }

            fn take($value: Option<&Value>) -> Option<Self> {
                $take
            }
        }
    };
}

argument!(String, Kind::Text, required true, |value| value?.as_str().map(str::to_owned));
argument!(Name, Kind::Name, required true, |value| value?.as_str().map(|name| Self(name.to_owned())));
argument!(Secret, Kind::Secret, required true, |value| value?.as_str().map(Self::from));
argument!(Duration, Kind::Duration, required true, |value| value?.as_u64().map(Self::from_secs));
argument!(bool, Kind::Boolean, required false, |value| Some(value.and_then(Value::as_bool).unwrap_or(false)));
argument!(i64, Kind::Integer { min: Self::MIN, max: Self::MAX }, required true, |value| value?.as_i64());
argument!(Vec<String>, Kind::TextList, required true, |value| {
    Some(value?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
});

impl<T: Argument> Argument for Option<T> {
    const REQUIRED: bool = false;

    fn kind() -> Kind {
        T::kind()
    }

    fn take(value: Option<&Value>) -> Option<Self> {
        match value {
            None | Some(Value::Null) => Some(None),
            value => T::take(value).map(Some),
        }
    }
}

impl<T: Argument> Argument for Change<T> {
    const REQUIRED: bool = false;

    fn kind() -> Kind {
        T::kind()
    }

    fn take(value: Option<&Value>) -> Option<Self> {
        Some(match value {
            None => Self::Keep,
            Some(Value::Null) => Self::Clear,
            value => Self::Set(T::take(value)?),
        })
    }
}

/// Declares a handler's arguments. The doc comment of a field is its help, its type its validation.
#[macro_export]
macro_rules! form {
    ($(#[$meta:meta])* $vis:vis struct $form:ident {
        $($(#[doc = $doc:literal])+ $(#[default($default:literal)])? $field:ident: $type:ty,)*
    }) => {
        $(#[$meta])*
        $vis struct $form {
            $($(#[doc = $doc])+ pub $field: $type,)*
        }

        impl $crate::schema::Form for $form {
            fn fields() -> Vec<$crate::schema::Field> {
                vec![$({
                    let mut field = $crate::schema::Field::new(
                        stringify!($field),
                        <$type as $crate::schema::Argument>::kind(),
                        concat!($($doc),+).trim_ascii(),
                    );
                    field.required = <$type as $crate::schema::Argument>::REQUIRED;
                    $(field = field.default($default);)?
                    field
                }),*]
            }

            fn parse(values: &$crate::schema::Values) -> Result<Self, $crate::schema::Invalid> {
                Ok(Self {
                    $($field: <$type as $crate::schema::Argument>::take(values.sent(stringify!($field)))
                        .ok_or_else(|| $crate::schema::Invalid::new(stringify!($field), "is required"))?,)*
                })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    form! {
        struct Example {
            /// Must be there.
            name: Name,
            /// A flag that may be absent.
            verify: Option<bool>,
            /// A flag.
            #[default("false")]
            force: bool,
            /// Changes.
            ttl: Change<Duration>,
        }
    }

    fn example(body: Value) -> Result<Example, Invalid> {
        let body = body.as_object().expect("an object").clone();
        Example::parse(&Values::parse(&Example::fields(), &body)?.0)
    }

    #[test]
    fn absent_null_and_false_are_told_apart() {
        let absent = example(json!({"name": "a"})).expect("valid");
        assert_eq!((absent.verify, absent.force, absent.ttl), (None, false, Change::Keep));
        let null = example(json!({"name": "a", "verify": null, "ttl": null})).expect("valid");
        assert_eq!((null.verify, null.ttl), (None, Change::Clear));
        let set = example(json!({"name": "a", "verify": false, "force": true, "ttl": "1m"})).expect("valid");
        assert_eq!((set.verify, set.force, set.ttl), (Some(false), true, Change::Set(Duration::from_secs(60))));
        assert_eq!(set.name, Name("a".into()));
    }

    #[test]
    fn what_is_required_is_named() {
        assert_eq!(example(json!({})).map(|_| ()).expect_err("no name"), Invalid::new("name", "is required"));
    }

    #[test]
    fn the_doc_comment_is_the_help() {
        let fields = Example::fields();
        assert_eq!((fields[0].help.as_ref(), fields[0].required), ("Must be there.", true));
        assert_eq!(fields[2].default.as_deref(), Some("false"));
    }
}
