//! A service account as Google has them: its key file, and the exchange of a signed assertion for a token (RFC 7523).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::clock::unix;
use crate::request::Call;
use crate::router::{Answer, Outcome};
use crate::tokens::Tokens;

const EMAIL: &str = "vault@simulator.iam.gserviceaccount.com";
const KEY_ID: &str = "0123456789abcdef0123456789abcdef01234567";
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// Half of what Google's have, so that a test's clock can pass one's end while an assertion is still good.
const TOKEN_SECONDS: i64 = 1800;
const LONGEST_SECONDS: i64 = 3600;
/// An RSA key in PKCS #8 that is used here and nowhere else.
const KEY: [&str; 15] = [
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQClNw5SA2TX0Z5Y18odwuIU66vVu9lIBpCfesmqKy522gC5Mo3jmcoDeAEkUbGW",
    "pYIiz+v3yu0UeXOziHixB6H+BLfgKi5qSL4DM5IFb8l76Z4xSQkpUtAf4qe/eQLr8kdQAwnutS7Vo15sJ0z7q2xMpJPRiTu+vaYa4TguC+XwQTcB",
    "UUh1euW1tsGYBo9gCAd8ZSZEFWATzAAUocHTIGbI2yUmiJdapI0H4WBJXG6xnEEOHVjbaqsHaZSL1kzZAOBvUxMuGy6Gwm1Rc24xe9h2g6bKDvQj",
    "+aCHdySMoL/jlw4g41Z4Qd8l5emGJuKkBUMf0R7tYRUHDqHnrt3Vt7mrAgMBAAECggEAB94LTIexpNiFvDodlQIGvUBLunqetvm5Dh8Z8B4f5E3I",
    "fKLJQIe+QVQIAEnzm8NESZJ+uU05S1RNPvgss+4zhJXs7tVgLtqv60i1ZC58LCGZat3NFeHfqOUK+YJlsgUJ6E5Jif7bia8+rwYs4EvvDrQRMruT",
    "0/PSYrOyEF9FeWwauevp2D4wZ1au/b+YTUlmBpk+FWSPX/Sn1Ufd4tOCKJ2EY+HUStog9Q3CZ5O87gjoKE7/HwVs+BPan0/GbR4WywCGkHbgmCYO",
    "muBtPMap4RZIH6E33EmOaaZG40CJS9mbrE5Fx424AD8YVNYH94WKTi8XDYaMly4VK1w1uLM44QKBgQDgbLU0aNGkzYG817iF/1eMkUf6BAaMoTi3",
    "NLrf2vPPjhtbr/0xsIl9wTWbmhuv+iBJJGhMmxKcLB9m4rv8DEp4OLmH6yPrw5ucAfOJ4ZAOdgMG4hAzn5ePvh6hQHSIPleUx9EXei1GL9KhLIFM",
    "Rr/gDPdCDgP/f7Si9ZEZNII+DwKBgQC8db8kDIbx1fkLNmnCO/9JHCEvgxsZsFNAtaoeDqJvx3la9+eVtgwtuiTCFMtu1oFNDx3lf7EtLtPVVU0I",
    "JWTov0kGnpcZoVWk8Ae5ff9S+ulC9PG8D/sTm51fzPmCsBml4YqPoEdtW1eMzUec/wrU43y0yo+Bu4AYSiLt5fimpQKBgFn6u9w7enJ9AttYEl+H",
    "NO7jANy46HdR3I930MUX4FEDROzJ7tYRVc7ZvEiazScNPgyVUEwGkLuU5TI3De/Mbb8t3xUjrc9FKgqurZpGmZ9yqVwFH0HTZsz3CQjV8uL9O9gn",
    "FSo4jhZp7iU41s5iP2PxTuFpBSlXZnE/y+EzMFT5AoGBAJxJlWrCzMIPLYoD5O7ELLAnmMm7EyVZmaEHRn3IqyLBrL0o6y+3mh/tx4AAGLjhQLdz",
    "+toQ7BDJTbkUFV7VC/sMbvYDXNFPfyPaPr2wZKYfGISDd1j7c79OBNOmu6CKg6qSAQOc6r8gydklf+cNhqEHyqpvdVUj9lWuXYsmdO9VAoGAZT5W",
    "4CnEcbXgXGynVYDFe4XkKcUXYVfDntEA5ffQUcsqIg61JpLvzb1/ORpFqeGhTY6FpWoHOIzDcoLH2yF33wt3mP67WjUTM3xFM1gdiQMP11ApLzqY",
    "L3PHL38AUfPZRNFgD9tBSEn7ySOa1BfCoeHYSnTxMKWnakCF2lASryM=",
];

/// The key file, as Google's console gives it out.
pub fn key_file() -> String {
    let frame = |end: &str| format!("-----{end} PRIVATE KEY-----\n");
    let pem = format!("{}{}\n{}", frame("BEGIN"), KEY.join("\n"), frame("END"));
    let file = json!({
        "type": "service_account", "project_id": "simulator", "private_key_id": KEY_ID, "private_key": pem,
        "client_email": EMAIL, "client_id": "1", "token_uri": AUDIENCE,
    });
    format!("{file:#}")
}

/// `POST /token`.
pub fn token(tokens: &mut Tokens, call: &Call, scope: &str) -> Outcome {
    if call.request.form("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        return Err(refusal("unsupported_grant_type", "Invalid grant_type"));
    }
    let assertion = call.request.form("assertion").unwrap_or_default();
    let claims = verified(assertion).ok_or_else(|| refusal("invalid_grant", "Invalid JWT Signature."))?;
    let (issued, ends) = (claims["iat"].as_i64().unwrap_or_default(), claims["exp"].as_i64().unwrap_or_default());
    if claims["iss"] != EMAIL || claims["aud"] != AUDIENCE {
        return Err(refusal("invalid_grant", "Invalid grant: account not found"));
    }
    if ends <= unix(call.at.ms) || ends - issued > LONGEST_SECONDS {
        return Err(refusal("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)"));
    }
    if !claims["scope"].as_str().unwrap_or_default().split(' ').any(|given| given == scope) {
        return Err(refusal("invalid_scope", "Invalid OAuth scope or ID token audience provided."));
    }
    let token = tokens.give("ya29.", TOKEN_SECONDS, call.at);
    Ok(Answer::ok(json!({"access_token": token, "expires_in": TOKEN_SECONDS, "token_type": "Bearer"})))
}

/// Google's status is 400, whatever is wrong.
fn refusal(error: &str, description: &str) -> Answer {
    Answer::new(400, json!({"error": error, "error_description": description}))
}

/// The claims of an assertion that the key has signed.
fn verified(assertion: &str) -> Option<Value> {
    let (signed, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let part = |text: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    let header = part(header)?;
    if header["alg"] != "RS256" || header["kid"] != KEY_ID {
        return None;
    }
    let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(KEY.concat()).ok()?).ok()?;
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    public.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    part(claims)
}
