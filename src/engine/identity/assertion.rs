use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::times::{ASSERTION_LIFE_LIMIT, CLOCK_MARGIN};
use super::issuer::Issuer;
use super::key_set::Key;
use super::pair;
use crate::base::{Rng, Secret, Time};
use crate::logical::{Alias, Entity, Error, Result};

/// What an assertion says, but for the issuer's part.
pub struct Assertion<'a> {
    pub mount_uuid: &'a str,
    pub subject: Subject<'a>,
    pub audience: &'a str,
    pub life: Duration,
}

/// Whom an assertion is about. A name has no `:`, so no role's subject is a config's.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// A role, on behalf of whoever asked for a credential.
    Role { role: &'a str, caller: &'a Caller },
    /// An account's own use.
    Config(&'a str),
}

/// Who asked, as the host knows it.
#[derive(Default)]
pub struct Caller {
    pub display_name: String,
    /// Empty where the token has none, as root's.
    pub entity_id: String,
    pub entity: Option<Entity>,
}

/// Longest audience, in bytes.
const AUDIENCE_LIMIT: usize = 1024;
/// Longest text about the caller, in bytes as JSON. What is longer is left out, and never cut or mended: a vendor's rule
/// compares it, and a shortened name could be somebody else's.
const TEXT_LIMIT: usize = 512;
/// All aliases together, in bytes as JSON; those that do not fit are left out. Vendors take assertions of 16 KiB.
const ALIASES_LIMIT: usize = 4096;

impl Assertion<'_> {
    /// The signed JWT.
    pub fn sign(&self, issuer: &Issuer, key: &Key, now: Time, rng: &dyn Rng) -> Result<Secret> {
        if self.life.is_zero() || self.life > ASSERTION_LIFE_LIMIT {
            return Err(Error::Invalid("an assertion lives for a second to 24h".into()));
        }
        if self.audience.is_empty() || self.audience.len() > AUDIENCE_LIMIT {
            return Err(Error::Invalid(format!("an audience has 1 to {AUDIENCE_LIMIT} bytes")));
        }
        let private = key.private.as_ref().ok_or_else(|| Error::internal("the signing key has no private half"))?;
        let header = json!({"alg": key.algorithm, "kid": key.kid, "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&self.claims(issuer, now, rng)));
        let signature = pair::sign(key.algorithm, private, message.as_bytes())?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
    }

    fn claims(&self, issuer: &Issuer, now: Time, rng: &dyn Rng) -> Value {
        let now = now.timestamp();
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or_default();
        let mut claims = json!({
            "iss": issuer.as_str(),
            "aud": self.audience,
            "jti": unique(rng),
            "iat": now,
            // A verifier whose clock is behind would refuse it. `iat` stays: some limit the time from it to `exp`.
            "nbf": now - seconds(CLOCK_MARGIN),
            "exp": now + seconds(self.life),
            "mount_uuid": self.mount_uuid,
        });
        match self.subject {
            Subject::Role { role, caller } => {
                claims["sub"] = format!("{}:{role}", self.mount_uuid).into();
                claims["role"] = role.into();
                caller.claim(&mut claims);
            }
            Subject::Config(name) => {
                claims["sub"] = format!("{}:config:{name}", self.mount_uuid).into();
                claims["config"] = name.into();
            }
        }
        claims
    }
}

impl Caller {
    fn claim(&self, claims: &mut Value) {
        let entity_name = self.entity.as_ref().map_or("", |entity| entity.name.as_str());
        for (name, text) in
            [("display_name", self.display_name.as_str()), ("entity_id", &self.entity_id), ("entity_name", entity_name)]
        {
            if !text.is_empty() && size(&text.into()) <= TEXT_LIMIT {
                claims[name] = text.into();
            }
        }
        let mut room = ALIASES_LIMIT;
        let mut aliases = Vec::new();
        for Alias { mount_type, mount_accessor, name } in self.entity.iter().flat_map(|entity| &entity.aliases) {
            let alias = json!({"mount_type": mount_type, "mount_accessor": mount_accessor, "name": name});
            // And the comma.
            let needed = size(&alias) + 1;
            if needed <= room {
                room -= needed;
                aliases.push(alias);
            }
        }
        if !aliases.is_empty() {
            claims["aliases"] = aliases.into();
        }
    }
}

fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Some vendors take each assertion once.
fn unique(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::super::pair::{Algorithm, generate};
    use super::*;
    use crate::base::SystemRng;

    fn issuer() -> Issuer {
        Issuer::parse("https://vault.example.com/v1/ai").unwrap()
    }

    fn signed(subject: Subject<'_>, algorithm: Algorithm) -> (String, Value) {
        let now = Time::UNIX_EPOCH + chrono::TimeDelta::days(20_000);
        let (private, public) = generate(algorithm, &SystemRng).unwrap();
        let key = Key { kid: "k1".into(), algorithm, public, private: Some(private), created: now, activates_at: now };
        let life = Duration::from_secs(60);
        let assertion = Assertion { mount_uuid: "u", subject, audience: "https://vendor.example", life };
        let jwt = assertion.sign(&issuer(), &key, now, &SystemRng).unwrap().expose().to_owned();
        let claims = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
        (jwt, serde_json::from_slice(&claims).unwrap())
    }

    #[test]
    fn a_config_is_no_role_and_has_no_caller() {
        let (_, claims) = signed(Subject::Config("main"), Algorithm::ES256);
        assert_eq!((&claims["sub"], &claims["config"]), (&json!("u:config:main"), &json!("main")));
        assert!(
            claims.get("role").is_none() && claims.get("entity_id").is_none() && claims.get("display_name").is_none()
        );
        let (_, claims) = signed(Subject::Role { role: "config", caller: &Caller::default() }, Algorithm::ES256);
        assert_eq!((&claims["sub"], &claims["role"]), (&json!("u:config"), &json!("config")));
        assert!(claims.get("config").is_none());
    }

    #[test]
    fn an_assertion_lives_as_long_as_it_was_asked_to() {
        let (_, claims) = signed(Subject::Config("main"), Algorithm::ES256);
        let number = |name: &str| claims[name].as_i64().unwrap();
        assert_eq!(number("exp") - number("iat"), 60);
        assert_eq!(number("iat") - number("nbf"), 60);
        let (_, other) = signed(Subject::Config("main"), Algorithm::ES256);
        assert_ne!(claims["jti"], other["jti"]);
    }

    #[test]
    fn whoever_asks_an_assertion_stays_small_and_says_no_half_names() {
        let long = |c: &str| c.repeat(100_000);
        let alias = |name: String| Alias { mount_type: "jwt".into(), mount_accessor: "auth_jwt_1".into(), name };
        let names = ["\u{1}", "é", "a"].map(|c| c.repeat(400));
        let entity = Entity {
            name: long("a"),
            aliases: names.iter().cycle().take(200).cloned().chain([long("b")]).map(alias).collect(),
            ..Entity::default()
        };
        let caller = Caller { display_name: "\u{1}".repeat(80), entity_id: "e1".into(), entity: Some(entity) };
        let (jwt, claims) = signed(Subject::Role { role: &"r".repeat(128), caller: &caller }, Algorithm::RS256);
        assert!(jwt.len() < 12 * 1024, "{}", jwt.len());
        assert!(claims.get("entity_name").is_none());
        assert_eq!(claims["display_name"], caller.display_name);
        for alias in claims["aliases"].as_array().unwrap() {
            assert!(names.iter().any(|name| alias["name"] == name.as_str()), "{alias}");
        }
    }

    #[test]
    fn a_life_or_an_audience_that_no_vendor_means_is_refused() {
        let now = Time::UNIX_EPOCH;
        let (private, public) = generate(Algorithm::ES256, &SystemRng).unwrap();
        let key = Key {
            kid: "k1".into(),
            algorithm: Algorithm::ES256,
            public,
            private: Some(private),
            created: now,
            activates_at: now,
        };
        for (audience, seconds) in [("a", 0), ("a", 86_401), ("", 60), (&*"a".repeat(1025), 60)] {
            let life = Duration::from_secs(seconds);
            let assertion = Assertion { mount_uuid: "u", subject: Subject::Config("main"), audience, life };
            let refused = assertion.sign(&issuer(), &key, now, &SystemRng).map(|_| ());
            assert!(matches!(refused, Err(Error::Invalid(_))), "{seconds} {}", audience.len());
        }
    }
}
