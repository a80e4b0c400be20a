//! AWS Signature Version 4 as AWS checks it (IAM User Guide, "Create a signed AWS API request"), in headers and in a
//! presigned query.

use std::fmt::Write as _;

use chrono::NaiveDateTime;
use ring::{digest, hmac};

use super::{ACCESS_KEYS, AccessKey};
use crate::clock::Moment;
use crate::request::Request;

/// How far a signature's moment may be from ours.
const SKEW_MS: i64 = 15 * 60 * 1000;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Why a signature is not taken.
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn mismatch(message: &str) -> Self {
        Self::new(403, "SignatureDoesNotMatch", message)
    }
}

/// What a credential is scoped to: `<access key id>/<date>/<region>/<service>/aws4_request`.
pub struct Scope<'a> {
    pub key_id: &'a str,
    text: &'a str,
    pub region: &'a str,
    pub service: &'a str,
}

impl<'a> Scope<'a> {
    pub fn parse(credential: &'a str) -> Option<Self> {
        let (key_id, text) = credential.split_once('/')?;
        let parts: Vec<&str> = text.split('/').collect();
        let &[_, region, service, "aws4_request"] = parts.as_slice() else { return None };
        Some(Self { key_id, text, region, service })
    }

    /// The signature over a canonical request of the moment `stamp`.
    pub fn signature(&self, secret: &str, stamp: &str, canonical: &str) -> String {
        let text = format!("{ALGORITHM}\n{stamp}\n{}\n{}", self.text, hash(canonical.as_bytes()));
        let first = format!("AWS4{secret}").into_bytes();
        let key = self.text.split('/').fold(first, |key, part| mac(&key, part));
        hex(&mac(&key, &text))
    }

    /// The key that signed, if its date is the moment's.
    pub fn key(&self, stamp: &str) -> Result<&'static AccessKey, Refusal> {
        let key = ACCESS_KEYS.iter().find(|key| key.id == self.key_id);
        let key = key.ok_or_else(|| {
            Refusal::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        })?;
        if !self.text.starts_with(stamp.get(..8).unwrap_or("?")) {
            return Err(Refusal::mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version."));
        }
        Ok(key)
    }
}

/// Whose request this is.
pub fn caller(request: &Request, service: &str, at: Moment) -> Result<&'static AccessKey, Refusal> {
    let missing = || Refusal::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
    let incomplete = |what: &str| Refusal::new(400, "IncompleteSignature", format!("{what} is missing or malformed"));
    let authorization = request.header("authorization").ok_or_else(missing)?;
    let fields = authorization.strip_prefix(ALGORITHM).ok_or_else(|| incomplete("AWS4-HMAC-SHA256"))?;
    let field = |name: &str| {
        let mut fields = fields.split(',').map(str::trim).filter_map(|field| field.split_once('='));
        fields.find(|(known, _)| *known == name).map(|(_, value)| value).ok_or_else(|| incomplete(name))
    };
    let (credential, names, signature) = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    let scope = Scope::parse(credential).ok_or_else(|| incomplete("Credential"))?;
    let stamp = request.header("x-amz-date").ok_or_else(|| incomplete("X-Amz-Date"))?;
    let key = scope.key(stamp)?;
    if scope.service != service || scope.region != "us-east-1" {
        let message = format!("Credential should be scoped to a valid region and to correct service: '{service}'.");
        return Err(Refusal::mismatch(&message));
    }
    let names: Vec<&str> = names.split(';').collect();
    let mut wanted = vec!["host", "x-amz-date"];
    wanted.extend(request.header("x-amz-security-token").map(|_| "x-amz-security-token"));
    if !names.is_sorted() || wanted.iter().any(|name| !names.contains(name)) {
        return Err(incomplete("SignedHeaders"));
    }
    let headers = names.iter().map(|name| Some((*name, request.header(name)?))).collect::<Option<Vec<_>>>();
    let headers = headers.ok_or_else(|| incomplete("a signed header"))?;
    let canonical = canonical(&request.method, &request.path, &request.query, &headers, &request.bytes);
    if request.header("x-amz-security-token") != key.session_token {
        return Err(Refusal::new(403, "InvalidClientTokenId", "The security token included in the request is invalid"));
    }
    if scope.signature(key.secret, stamp, &canonical) != signature {
        return Err(Refusal::mismatch(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ));
    }
    let signed = moment(stamp).ok_or_else(|| incomplete("X-Amz-Date"))?;
    if (signed - at.ms).abs() > SKEW_MS {
        return Err(Refusal::mismatch("Signature expired or not yet current: its date is more than 15 min from ours."));
    }
    Ok(key)
}

/// The request in the form that both sides hash.
pub fn canonical(
    method: &str,
    path: &str,
    query: &[(String, String)],
    headers: &[(&str, &str)],
    body: &[u8],
) -> String {
    let mut pairs: Vec<_> = query.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let path: Vec<String> = path.split('/').map(encoded).collect();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    format!("{method}\n{}\n{}\n{lines}\n{}\n{}", path.join("/"), pairs.join("&"), names.join(";"), hash(body))
}

/// When a signature counts from, in milliseconds.
pub fn moment(stamp: &str) -> Option<i64> {
    Some(NaiveDateTime::parse_from_str(stamp, "%Y%m%dT%H%M%SZ").ok()?.and_utc().timestamp_millis())
}

/// Whether a presigned request is good now: from its moment on, which may be a little ahead of ours.
pub fn is_current(signed: i64, seconds: i64, at: Moment) -> bool {
    signed <= at.ms + SKEW_MS && at.ms < signed + seconds * 1000
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
