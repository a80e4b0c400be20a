//! An issuer of a test's own, which says what the test wants.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Utc;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Map, Value, json};
use vault_plugin_secrets_ai::base::Secret;
use vault_plugin_secrets_ai::providers::{Fault, Signer};

pub const SUBJECT: &str = "0a1b2c3d-0000-4000-8000-000000000000:dev";

pub struct TestIssuer {
    key: EcdsaKeyPair,
    kid: String,
    /// Claims in place of the usual ones; null leaves one out.
    pub claims: Map<String, Value>,
    /// Added to the time of signing, in seconds.
    pub skew: i64,
    signed: AtomicU64,
    /// The next assertions are this one.
    pub stuck: Option<String>,
}

impl TestIssuer {
    pub const URL: &str = "https://vault.example.com/v1/ai";

    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).expect("a key");
        Self {
            key,
            kid: uuid::Uuid::new_v4().to_string(),
            claims: Map::new(),
            skew: 0,
            signed: AtomicU64::new(0),
            stuck: None,
        }
    }

    pub fn jwks(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..65]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.kid, "x": x, "y": y}]})
    }

    /// How many assertions were signed.
    pub fn signed(&self) -> u64 {
        self.signed.load(Ordering::SeqCst)
    }

    pub fn assertion(&self, audience: &str, life: Duration) -> String {
        self.signed.fetch_add(1, Ordering::SeqCst);
        let now = Utc::now().timestamp() + self.skew;
        let mut claims = json!({
            "iss": Self::URL, "sub": SUBJECT, "aud": audience, "iat": now, "nbf": now - 60,
            "exp": now + i64::try_from(life.as_secs()).expect("short"), "jti": uuid::Uuid::new_v4().to_string(),
            "role": "dev",
        });
        for (name, value) in &self.claims {
            claims[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&json!({"alg": "ES256", "kid": self.kid, "typ": "JWT"})), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[async_trait::async_trait]
impl Signer for TestIssuer {
    async fn sign(&self, audience: &str, life: Duration) -> Result<Secret, Fault> {
        Ok(self.stuck.clone().unwrap_or_else(|| self.assertion(audience, life)).into())
    }
}
