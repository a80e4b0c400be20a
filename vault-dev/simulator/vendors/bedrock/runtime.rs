//! What Bedrock's keys are for: inference with a bearer token, which is a long-term key of the book, or a short-term one
//! that is a presigned request in base64 and is verified as such.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::iam::POLICIES;
use super::sigv4::{Scope, canonical, is_current, moment};
use super::{Bedrock, MODEL, REGION};
use crate::clock::Moment;
use crate::plain::works;
use crate::request::{Call, pairs};
use crate::router::{Answer, Outcome};

const PREFIX: &str = "bedrock-api-key-";
const HOST: &str = "bedrock.amazonaws.com";
const LONGEST_SECONDS: i64 = 43_200;

impl Bedrock {
    pub(super) fn infer(&mut self, call: &Call) -> Outcome {
        let bearer = call.request.bearer.as_deref().unwrap_or_default();
        if let Some(token) = bearer.strip_prefix(PREFIX) {
            return if is_good(token, call.at) { works() } else { Err(unauthenticated()) };
        }
        let holder = self.keys.holder(bearer, call.at).filter(|key| !key.expired(call.at));
        let user = &holder.ok_or_else(unauthenticated)?.more.user;
        // A key may do what its user may.
        let policies = self.users.get(user).map(|user| user.more.policies.as_slice()).unwrap_or_default();
        let [full, limited, one_model, _] = POLICIES;
        let permits =
            |arn: &String| [full, limited].contains(&arn.as_str()) || (arn == one_model && call.param(0) == MODEL);
        if !policies.iter().any(permits) {
            return Err(error(403, &format!("User {user} is not authorized to perform: bedrock:InvokeModel")));
        }
        works()
    }
}

/// Whether a short-term key was signed by one of the account's access keys, for this region and this moment.
fn is_good(token: &str, at: Moment) -> bool {
    let decoded = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.and_then(|url| verified(&url, at)).unwrap_or(false)
}

fn verified(url: &str, at: Moment) -> Option<bool> {
    // The version was put behind what was signed.
    let query = url.strip_prefix(HOST)?.strip_prefix("/?")?.strip_suffix("&Version=1")?;
    let query = pairs(query);
    let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let (stamp, signature) = (value("X-Amz-Date")?, value("X-Amz-Signature")?);
    let seconds = value("X-Amz-Expires")?.parse().ok().filter(|seconds| (1..=LONGEST_SECONDS).contains(seconds))?;
    let scope = Scope::parse(value("X-Amz-Credential")?)?;
    let key = scope.key(stamp).ok()?;
    let signed: Vec<_> = query.iter().filter(|(name, _)| name != "X-Amz-Signature").cloned().collect();
    let canonical = canonical("POST", "/", &signed, &[("host", HOST)], b"");
    let fits = value("Action") == Some("CallWithBearerToken")
        && value("X-Amz-Algorithm") == Some("AWS4-HMAC-SHA256")
        && value("X-Amz-SignedHeaders") == Some("host")
        && value("X-Amz-Security-Token") == key.session_token
        && (scope.region, scope.service) == (REGION, "bedrock");
    Some(fits && is_current(moment(stamp)?, seconds, at) && scope.signature(key.secret, stamp, &canonical) == signature)
}

/// As users report it: not a 401.
fn unauthenticated() -> Answer {
    error(403, "Authentication failed: Please make sure your API Key is valid.")
}

pub(super) fn error(status: u16, message: &str) -> Answer {
    Answer::new(status, json!({"Message": message}))
}
