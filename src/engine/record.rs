//! Stored records: versioned JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::Secret;
use crate::logical::{Entry, Error, Result, Storage};

/// The format that this version writes, and the newest that it reads.
const VERSION: u64 = 1;

/// Reads a record; none where there is none.
pub async fn get<T: DeserializeOwned>(storage: &dyn Storage, key: &str) -> Result<Option<T>> {
    storage.get(key).await?.map(|text| parse(key, &text)).transpose()
}

/// Parses a record that was read as text.
pub fn parse<T: DeserializeOwned>(key: &str, text: &Secret) -> Result<T> {
    // serde's message may quote the value, so only its place is told.
    let broken = |error: serde_json::Error| {
        Error::internal(format!("record {key} is not readable at column {}", error.column()))
    };
    let mut record: Value = serde_json::from_str(text.expose()).map_err(broken)?;
    let version = record.as_object_mut().and_then(|object| object.remove("v")).and_then(|v| v.as_u64());
    match version {
        Some(version) if version <= VERSION => serde_json::from_value(record).map_err(broken),
        Some(version) => Err(Error::Unavailable(format!(
            "record {key} has format {version}, this plugin reads up to {VERSION}: run the newer plugin version that wrote it"
        ))),
        None => Err(Error::internal(format!("record {key} has no version"))),
    }
}

/// A record as it is stored.
pub fn text<T: Serialize>(record: &T) -> Result<Secret> {
    let mut value = serde_json::to_value(record).map_err(|error| Error::internal(error.to_string()))?;
    value["v"] = VERSION.into();
    Ok(Secret::from(value.to_string()))
}

/// Writes a record. `sealed` ones hold credentials.
pub async fn put<T: Serialize + Sync>(storage: &dyn Storage, key: String, record: &T, sealed: bool) -> Result<()> {
    storage.put(Entry { key, value: text(record)?, seal_wrap: sealed }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_refused_with_the_way_out() {
        let error = parse::<Value>("roles/a", &Secret::from(r#"{"v":2}"#)).expect_err("newer");
        assert!(error.to_string().contains("run the newer plugin version"), "{error}");
    }

    #[test]
    fn a_broken_record_does_not_quote_itself() {
        let Error::Internal { cause, .. } =
            parse::<bool>("config/a", &Secret::from(r#"{"v":1,"k":"sk-1"}"#)).expect_err("broken")
        else {
            panic!()
        };
        assert!(!cause.contains("sk-1"), "{cause}");
    }
}
