use crate::base::Secret;
use crate::schema::{Field, Invalid, Kind, Values};

/// What requests to AWS are signed with. `Debug` hides the secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::providers) struct Credentials {
    pub(in crate::providers) access_key_id: String,
    pub(in crate::providers) secret_access_key: Secret,
    /// Of temporary credentials only.
    pub(in crate::providers) session_token: Option<Secret>,
}

/// Between the parts of a sealed set: `read` lets no part hold it.
const SEPARATOR: char = '\n';
/// Ids of IAM users' access keys and of temporary ones begin so (IAM User Guide, "Unique identifiers").
const LONG_TERM: &str = "AKIA";
const TEMPORARY: &str = "ASIA";

impl Credentials {
    /// Fields of a config.
    pub(in crate::providers) fn fields() -> [Field; 3] {
        [
            Field::new("access_key_id", Kind::VendorId, "Id of the access key that signs (AKIA…, or ASIA…).")
                .required(),
            Field::new("secret_access_key", Kind::Secret, "Secret of that access key.").required(),
            Field::new(
                "session_token",
                Kind::Secret,
                "Session token of temporary credentials (ASIA…); null clears it.",
            ),
        ]
    }

    /// Reads the fields of a config.
    ///
    /// # Errors
    /// Where a part holds what no header can carry, and where the kind of the access key does not go with
    /// `session_token`: a write keeps the stored one unless it says otherwise, and AWS would only call it invalid.
    pub(in crate::providers) fn read(values: &Values) -> Result<Self, Invalid> {
        let plain = |field: &str, text: &str| match text.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(()),
            false => {
                Err(Invalid::new(field, "holds white space or characters that no key has: was a line end pasted?"))
            }
        };
        let access_key_id = values.need("access_key_id")?;
        let secret_access_key = values.need("secret_access_key")?;
        let session_token = values.text("session_token").filter(|token| !token.is_empty());
        plain("access_key_id", access_key_id)?;
        plain("secret_access_key", secret_access_key)?;
        match session_token {
            None if access_key_id.starts_with(TEMPORARY) => {
                return Err(Invalid::new("session_token", "is required: an access key ASIA… is a temporary one"));
            }
            Some(_) if access_key_id.starts_with(LONG_TERM) => {
                return Err(Invalid::new("session_token", "must be null: an access key AKIA… has none"));
            }
            Some(token) => plain("session_token", token)?,
            None => {}
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            secret_access_key: secret_access_key.into(),
            session_token: session_token.map(Secret::from),
        })
    }

    /// All parts as one secret, the credential of an `Account`: they change together, and only together are they one.
    pub(in crate::providers) fn seal(&self) -> Secret {
        let token = self.session_token.as_ref().map_or("", Secret::expose);
        let parts = [&self.access_key_id, self.secret_access_key.expose(), token];
        parts.join(&SEPARATOR.to_string()).into()
    }

    /// The parts of what `seal` made; none where it did not.
    pub(in crate::providers) fn unseal(sealed: &Secret) -> Option<Self> {
        let mut parts = sealed.expose().split(SEPARATOR);
        let (id, secret, token) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            access_key_id: id.to_owned(),
            secret_access_key: secret.into(),
            session_token: Some(token).filter(|token| !token.is_empty()).map(Secret::from),
        })
    }

    /// What no text may show. The id of the access key is none: AWS and its logs show it.
    pub(in crate::providers) fn secrets(&self) -> Vec<Secret> {
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
    fn what_was_sealed_comes_back() {
        for token in [json!(null), json!("token/+=")] {
            let id = if token.is_null() { "AKIAIOSFODNN7EXAMPLE" } else { "ASIAIOSFODNN7EXAMPLE" };
            let body = json!({"access_key_id": id, "secret_access_key": "a/b+c=", "session_token": token});
            let read = read(body).expect("valid");
            assert_eq!(Credentials::unseal(&read.seal()), Some(read));
        }
        assert_eq!(Credentials::unseal(&"AKIA".into()), None);
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
