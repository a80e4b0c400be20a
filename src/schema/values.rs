use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Field;
use crate::base::Secret;

/// A field that cannot be taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field:?}: {problem}")]
pub struct Invalid {
    pub field: String,
    pub problem: String,
}

impl Invalid {
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// Fields in canonical form. A null that was sent is kept: in an update it clears the field.
#[derive(Clone, Default, PartialEq)]
pub struct Values(BTreeMap<String, Value>);

impl Values {
    /// Reads the known fields out of a body; the second part names what no field is called.
    pub fn parse(fields: &[Field], body: &Map<String, Value>) -> Result<(Self, Vec<String>), Invalid> {
        let mut values = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, value) in body {
            let Some(field) = fields.iter().find(|field| field.name == name.as_str()) else {
                unknown.push(name.clone());
                continue;
            };
            let value = match value {
                Value::Null => Value::Null,
                value => field.kind.parse(value).map_err(|problem| Invalid::new(name, problem))?,
            };
            values.insert(name.clone(), value);
        }
        Ok((Self(values), unknown))
    }

    /// The value; none where it is absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The value as it was sent, null included.
    pub fn sent(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::from)
    }

    pub fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.get(name)?.as_i64()
    }

    pub fn duration(&self, name: &str) -> Option<Duration> {
        self.get(name)?.as_u64().map(Duration::from_secs)
    }

    /// A list; none where it is absent, which is not the same as empty.
    pub fn list(&self, name: &str) -> Option<Vec<String>> {
        let items = self.get(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Text that must be there.
    pub fn need(&self, name: &str) -> Result<&str, Invalid> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| Invalid::new(name, "is required"))
    }

    pub fn insert(&mut self, name: impl Into<String>, value: Value) {
        self.0.insert(name.into(), value);
    }

    /// Only the fields named, absent ones left out.
    pub fn only(&self, fields: &[Field]) -> Self {
        let named = |name: &str| fields.iter().any(|field| field.name == name);
        Self(self.0.iter().filter(|(name, _)| named(name)).map(|(n, v)| (n.clone(), v.clone())).collect())
    }

    /// These values with those of `change` put over them: an absent one keeps, a null one clears.
    pub fn merged(&self, change: &Self) -> Self {
        let mut merged = self.0.clone();
        for (name, value) in &change.0 {
            if value.is_null() {
                merged.remove(name)
            } else {
                merged.insert(name.clone(), value.clone())
            };
        }
        Self(merged)
    }

    /// Fails where a required field is absent.
    pub fn check_required(&self, fields: &[Field]) -> Result<(), Invalid> {
        match fields.iter().find(|field| field.required && self.get(&field.name).is_none()) {
            Some(field) => Err(Invalid::new(field.name.as_ref(), format!("is required: {}", field.help))),
            None => Ok(()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// As JSON: a record's part, or what a read shows. Secret fields go too, so call `only` first.
    pub fn to_object(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

impl From<Map<String, Value>> for Values {
    /// For values that are canonical already, such as a stored record's.
    fn from(map: Map<String, Value>) -> Self {
        Self(map.into_iter().collect())
    }
}

impl std::fmt::Debug for Values {
    /// Names only: a value may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Kind;

    fn values(body: Value) -> Values {
        let fields = [Field::new("a", Kind::Text, ""), Field::new("n", Kind::Duration, "")];
        Values::parse(&fields, body.as_object().expect("object")).expect("valid").0
    }

    #[test]
    fn absent_keeps_and_null_clears() {
        let stored = values(json!({"a": "x", "n": "1m"}));
        assert_eq!(stored.merged(&values(json!({"a": "y"}))), values(json!({"a": "y", "n": 60})));
        assert_eq!(stored.merged(&values(json!({"a": null}))), values(json!({"n": 60})));
    }

    #[test]
    fn an_error_names_the_field() {
        let fields = [Field::new("ttl", Kind::Duration, "")];
        let error = Values::parse(&fields, json!({"ttl": "soon"}).as_object().expect("object")).expect_err("bad");
        assert!(error.to_string().starts_with("field \"ttl\": expected a duration"), "{error}");
    }
}
