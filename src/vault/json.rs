use serde_json::Value;

use crate::logical::{Error, Object, Result};

/// From here on, a number without a fraction may be another one than was written.
const FIRST_INEXACT: f64 = 9_007_199_254_740_992.0; // 2^53

/// The object that a JSON text holds. The empty text and `null` are an empty one.
///
/// # Errors
/// `Invalid` where the text is something else, or holds a number that does not fit 64 bits: it would be
/// another number when it is written again.
pub(super) fn object(text: &str) -> Result<Object> {
    if text.is_empty() {
        return Ok(Object::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Null) => Ok(Object::new()),
        Ok(Value::Object(object)) if object.values().all(is_exact) => Ok(object),
        Ok(Value::Object(_)) => Err(Error::Invalid("a number is too large to be exact: give it as a string".into())),
        // The parser's own text would quote what it was given, credentials perhaps.
        Ok(_) | Err(_) => Err(Error::Invalid("the data is not a JSON object".into())),
    }
}

/// The JSON text of an object. Never empty, which the host takes for an error.
pub(super) fn text(object: &Object) -> String {
    // Serializing a map with text keys into memory does not fail; `{}` is still right for the host.
    serde_json::to_string(object).unwrap_or_else(|_| "{}".to_owned())
}

fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_i64()
                || number.is_u64()
                || number.as_f64().is_some_and(|float| float.abs() < FIRST_INEXACT || float.fract() != 0.0)
        }
        Value::Array(values) => values.iter().all(is_exact),
        Value::Object(object) => object.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_an_empty_object() {
        for nothing in ["", "null", "{}", " { } "] {
            assert!(object(nothing).unwrap().is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let numbers = r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":0.1,"d":[1.5e3]}"#;
        let written = text(&object(numbers).unwrap());
        assert_eq!(written, r#"{"a":18446744073709551615,"b":-9223372036854775808,"c":0.1,"d":[1500.0]}"#);
        for inexact in [r#"{"a":18446744073709551616}"#, r#"{"a":{"b":[1e300]}}"#] {
            assert!(matches!(object(inexact), Err(Error::Invalid(_))), "{inexact}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused_without_being_quoted() {
        let deep = "[".repeat(100_000);
        for wrong in ["[]", "3", "\"sk-secret\"", "{sk-secret", deep.as_str()] {
            let error = object(wrong).unwrap_err();
            assert_eq!(error.to_string(), "the data is not a JSON object");
        }
    }
}
