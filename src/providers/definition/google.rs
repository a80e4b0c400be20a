//! Tokens of Google's for the key file of a service account (RFC 7523, as Google's identity platform documents it).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Fault, FaultKind};
use crate::base::{Secret, Time};

pub(super) const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
/// Life of an assertion, the longest that Google takes.
const LIFE_SECONDS: i64 = 3600;

/// What is used of a key file.
#[derive(Deserialize)]
struct KeyFile {
    client_email: String,
    private_key: String,
    private_key_id: String,
}

/// A signed assertion that the vendor gives a token for.
pub(super) fn assertion(file: &Secret, scope: &str, now: Time) -> Result<Secret, Fault> {
    let bad = |problem: &str| Fault::new(FaultKind::Refused, format!("was not called: the key file {problem}"));
    // serde's message may quote the key.
    let file: KeyFile = serde_json::from_str(file.expose())
        .map_err(|_| bad("is not a service account's, with client_email, private_key and private_key_id"))?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(file.private_key.as_bytes())
        .map_err(|_| bad("has a private_key that is not PEM"))?;
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).map_err(|_| bad("has a private_key that is not RSA"))?;
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(json!({"alg": "RS256", "typ": "JWT", "kid": file.private_key_id}));
    let claims = part(json!({
        "iss": file.client_email, "scope": scope, "aud": TOKEN_URL,
        "iat": now.timestamp(), "exp": now.timestamp() + LIFE_SECONDS,
    }));
    let signed = format!("{header}.{claims}");
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| bad("has a private_key that cannot sign"))?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}
