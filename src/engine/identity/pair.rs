//! Key pairs of the issuer: made, stored, and signed with. A private half is seen by nobody but the signature.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::{CryptoRng, RngCore};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::base::{Rng, Secret};
use crate::logical::{Error, Result};

/// How assertions are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[default]
    ES256,
    RS256,
}

/// As `identity/config` takes them.
pub const ALGORITHMS: &[&str] = &["ES256", "RS256"];

/// Every verifier takes 2048 bits, NIST allows them to 2030 and longer, and a key here lives for weeks. At 4096 it takes
/// ten times as long to make and each assertion is 340 characters longer.
const RSA_BITS: usize = 2048;

impl Algorithm {
    pub const fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
        }
    }

    /// The algorithm of a name out of `ALGORITHMS`.
    pub fn named(name: &str) -> Option<Self> {
        [Self::ES256, Self::RS256].into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// A private key, PKCS#8 in base64. No `Debug`; written to sealed records only.
#[derive(Clone)]
pub struct PrivateKey(Secret);

impl Serialize for PrivateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for PrivateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// A public key: the members of its JWK that depend on its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    #[serde(rename = "EC")]
    P256 { x: String, y: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

impl PublicKey {
    /// The key as a member of a JWKS.
    pub fn jwk(&self, kid: &str, algorithm: Algorithm) -> Value {
        let mut jwk = match self {
            Self::P256 { x, y } => json!({"kty": "EC", "crv": "P-256", "x": x, "y": y}),
            Self::Rsa { n, e } => json!({"kty": "RSA", "n": n, "e": e}),
        };
        for (name, value) in [("use", "sig"), ("alg", algorithm.name()), ("kid", kid)] {
            jwk[name] = value.into();
        }
        jwk
    }
}

/// Makes a key pair. An RSA key takes a while, so this is not called on a thread that serves others.
pub fn generate(algorithm: Algorithm, rng: &dyn Rng) -> Result<(PrivateKey, PublicKey)> {
    let pkcs8 = match algorithm {
        // ring takes no generator but its own, which is the operating system's.
        Algorithm::ES256 => {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
            Zeroizing::new(made.map_err(unusable)?.as_ref().to_vec())
        }
        Algorithm::RS256 => {
            let made = RsaPrivateKey::new(&mut Source(rng), RSA_BITS).map_err(unusable)?;
            Zeroizing::new(made.to_pkcs8_der().map_err(unusable)?.as_bytes().to_vec())
        }
    };
    let public = public(algorithm, &pkcs8)?;
    Ok((PrivateKey(STANDARD.encode(pkcs8).into()), public))
}

/// The signature of `message` as a JWT has it.
pub fn sign(algorithm: Algorithm, key: &PrivateKey, message: &[u8]) -> Result<Vec<u8>> {
    let pkcs8 = Zeroizing::new(STANDARD.decode(key.0.expose()).map_err(|_| unusable("not base64"))?);
    let random = SystemRandom::new();
    match algorithm {
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &random);
            let signature = pair.map_err(unusable)?.sign(&random, message).map_err(unusable)?;
            Ok(signature.as_ref().to_vec())
        }
        Algorithm::RS256 => {
            let pair = RsaKeyPair::from_pkcs8(&pkcs8).map_err(unusable)?;
            let mut signature = vec![0; pair.public().modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(unusable)?;
            Ok(signature)
        }
    }
}

fn public(algorithm: Algorithm, pkcs8: &[u8]) -> Result<PublicKey> {
    match algorithm {
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new());
            let pair = pair.map_err(unusable)?;
            // SEC 1: 4, then x and y of 32 bytes each.
            let point = pair.public_key().as_ref();
            let part = |from, to| point.get(from..to).map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
            let (x, y) = part(1, 33).zip(part(33, 65)).ok_or_else(|| unusable("a short point"))?;
            Ok(PublicKey::P256 { x, y })
        }
        Algorithm::RS256 => {
            let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(unusable)?;
            let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
            Ok(PublicKey::Rsa { n: URL_SAFE_NO_PAD.encode(n), e: URL_SAFE_NO_PAD.encode(e) })
        }
    }
}

/// Says which step failed; the errors of both libraries hold nothing of the key.
fn unusable(why: impl std::fmt::Display) -> Error {
    Error::internal(format!("a key of the issuer cannot be made or used: {why}"))
}

/// Our randomness, as the library that makes RSA keys takes it.
struct Source<'a>(&'a dyn Rng);

impl CryptoRng for Source<'_> {}

impl RngCore for Source<'_> {
    fn next_u32(&mut self) -> u32 {
        rsa::rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rsa::rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> std::result::Result<(), rsa::rand_core::Error> {
        self.0.fill(buffer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;
    use crate::base::SystemRng;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn what_is_signed_is_verified_with_the_published_half() {
        for algorithm in [Algorithm::ES256, Algorithm::RS256] {
            let (private, public) = generate(algorithm, &SystemRng).unwrap();
            let signature = sign(algorithm, &private, b"message").unwrap();
            let verified = |message: &[u8]| match &public {
                PublicKey::P256 { x, y } => {
                    let point = [vec![4], bytes(x), bytes(y)].concat();
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, &signature)
                }
                PublicKey::Rsa { n, e } => RsaPublicKeyComponents { n: bytes(n), e: bytes(e) }.verify(
                    &RSA_PKCS1_2048_8192_SHA256,
                    message,
                    &signature,
                ),
            };
            assert!(verified(b"message").is_ok() && verified(b"another").is_err(), "{algorithm:?}");
        }
    }

    #[test]
    fn a_published_key_has_nothing_private() {
        for algorithm in [Algorithm::ES256, Algorithm::RS256] {
            let (_, public) = generate(algorithm, &SystemRng).unwrap();
            let jwk = public.jwk("k1", algorithm);
            assert_eq!(
                (&jwk["alg"], &jwk["kid"], &jwk["use"]),
                (&algorithm.name().into(), &"k1".into(), &"sig".into())
            );
            for part in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(jwk.get(part).is_none(), "{jwk}");
            }
            if let PublicKey::Rsa { n, .. } = &public {
                assert_eq!(bytes(n).len() * 8, RSA_BITS);
            }
        }
    }
}
