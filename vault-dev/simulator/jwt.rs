//! A signed JWT as a vendor verifies it: with a key of a JWKS, by its `kid`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde_json::{Map, Value};

/// Longest assertion that vendors take, in bytes.
const LONGEST: usize = 16 * 1024;

/// The claims, once the signature holds.
pub fn verify(jwt: &str, keys: &[Value]) -> Result<Map<String, Value>, &'static str> {
    if jwt.len() > LONGEST {
        return Err("the assertion is too long");
    }
    let parts: Vec<&str> = jwt.split('.').collect();
    let [header, claims, signature] = parts[..] else { return Err("the assertion is no JWT") };
    let message = &jwt.as_bytes()[..header.len() + 1 + claims.len()];
    let (header, claims) = (object(header)?, object(claims)?);
    let signature = decode(signature)?;
    let kid = header.get("kid").and_then(Value::as_str).ok_or("the assertion has no kid")?;
    let key = keys.iter().find(|key| key["kid"] == kid).ok_or("the key is unknown")?;
    let algorithm = header.get("alg").and_then(Value::as_str).unwrap_or_default();
    if key["alg"] != algorithm {
        return Err("the key is for another algorithm");
    }
    let member = |name: &str| decode(key[name].as_str().unwrap_or_default());
    let holds = match algorithm {
        "ES256" => {
            let point = [vec![4], member("x")?, member("y")?].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &signature)
        }
        "RS256" => {
            let key = RsaPublicKeyComponents { n: member("n")?, e: member("e")? };
            key.verify(&RSA_PKCS1_2048_8192_SHA256, message, &signature)
        }
        _ => return Err("the algorithm is not supported"),
    };
    holds.map_err(|_| "the signature is wrong")?;
    Ok(claims)
}

fn object(part: &str) -> Result<Map<String, Value>, &'static str> {
    serde_json::from_slice(&decode(part)?).map_err(|_| "the assertion is no JWT")
}

fn decode(part: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "the assertion is no JWT")
}
