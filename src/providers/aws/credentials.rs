use std::collections::BTreeMap;

use crate::base::Secret;
use crate::providers::Account;
use crate::schema::{Field, Invalid, Kind, Values};

/// What requests to AWS are signed with. `Debug` hides the secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Secret,
    /// Of temporary credentials only.
    pub(super) session_token: Option<Secret>,
}

const ACCESS_KEY_ID: &str = "access_key_id";
pub(super) const SECRET_ACCESS_KEY: &str = "secret_access_key";
const SESSION_TOKEN: &str = "session_token";
/// Ids of IAM users' access keys and of temporary ones begin so (IAM User Guide, "Unique identifiers").
const LONG_TERM: &str = "AKIA";
const TEMPORARY: &str = "ASIA";

impl Credentials {
    /// Fields of a config.
    pub(super) fn fields() -> [Field; 3] {
        [
            Field::new(ACCESS_KEY_ID, Kind::VendorId, "Id of the access key that signs (AKIA…, or ASIA…).").required(),
            Field::new(SECRET_ACCESS_KEY, Kind::Secret, "Secret of that access key.").required(),
            Field::new(SESSION_TOKEN, Kind::Secret, "Session token of temporary credentials (ASIA…); null clears it."),
        ]
    }

    /// Reads the fields of a config.
    ///
    /// # Errors
    /// Where a part holds what no header can carry, and where the kind of the access key does not go with
    /// `session_token`: a write keeps the stored one unless it says otherwise, and AWS would only call it invalid.
    pub(super) fn read(values: &Values) -> Result<Self, Invalid> {
        let plain = |field: &str, text: &str| match text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(()),
            false => {
                Err(Invalid::new(field, "holds white space or characters that no key has: was a line end pasted?"))
            }
        };
        let access_key_id = values.need(ACCESS_KEY_ID)?;
        let secret_access_key = values.need(SECRET_ACCESS_KEY)?;
        let session_token = values.text(SESSION_TOKEN).filter(|token| !token.is_empty());
        plain(SECRET_ACCESS_KEY, secret_access_key)?;
        match session_token {
            None if access_key_id.starts_with(TEMPORARY) => {
                return Err(Invalid::new(SESSION_TOKEN, "is required: an access key ASIA… is a temporary one"));
            }
            Some(_) if access_key_id.starts_with(LONG_TERM) => {
                return Err(Invalid::new(SESSION_TOKEN, "must be null: an access key AKIA… has none"));
            }
            Some(token) => plain(SESSION_TOKEN, token)?,
            None => {}
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.into(),
            session_token: session_token.map(Secret::from),
        })
    }

    /// The parts by the names of their fields.
    pub(super) fn into_secrets(self) -> BTreeMap<String, Secret> {
        let parts = [
            (ACCESS_KEY_ID, Some(self.access_key_id.into())),
            (SECRET_ACCESS_KEY, Some(self.secret_access_key)),
            (SESSION_TOKEN, self.session_token),
        ];
        parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))).collect()
    }

    /// Those of an account; none where it has others.
    pub(super) fn of(account: &Account) -> Option<Self> {
        let part = |name: &str| account.secrets.get(name).cloned();
        Some(Self {
            access_key_id: part(ACCESS_KEY_ID)?.expose().to_owned(),
            secret_access_key: part(SECRET_ACCESS_KEY)?,
            session_token: part(SESSION_TOKEN),
        })
    }

    /// What no text may show. The id of the access key is none: AWS and its logs show it.
    pub(super) fn secrets(&self) -> Vec<Secret> {
        [Some(&self.secret_access_key), self.session_token.as_ref()].into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: serde_json::Value) -> Result<Credentials, String> {
        let fields = Credentials::fields();
        let values = Values::parse(&fields, body.as_object().expect("an object")).expect("valid").0;
        Credentials::read(&values).map_err(|invalid| invalid.field)
    }

    #[test]
    fn a_session_token_goes_with_temporary_credentials_only() {
        let with = |id: &str, token: &str| {
            read(json!({"access_key_id": id, "secret_access_key": "s", "session_token": token})).map(drop)
        };
        assert_eq!(with("AKIAIOSFODNN7EXAMPLE", "t"), Err("session_token".into()));
        assert_eq!(with("ASIAIOSFODNN7EXAMPLE", ""), Err("session_token".into()));
        assert_eq!(with("an-emulators-own", "t"), Ok(()));
        assert_eq!(with("an-emulators-own", ""), Ok(()));
    }

    #[test]
    fn a_pasted_line_end_is_named_and_not_shown() {
        for (field, secret, token) in
            [("secret_access_key", "hunter22\n", "t"), ("session_token", "hunter22", "hunter23\r")]
        {
            let body = json!({"access_key_id": "ASIA1", "secret_access_key": secret, "session_token": token});
            assert_eq!(read(body).expect_err("refused"), field);
        }
        let body = json!({"access_key_id": "ASIA1", "secret_access_key": "hunter22", "session_token": "hunter23"});
        assert!(!format!("{:?}", read(body)).contains("hunter"));
    }
}
