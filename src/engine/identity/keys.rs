//! `identity/keys`: the public keys, printable for vendors that take an uploaded copy.

use std::sync::Arc;

use serde_json::json;

use super::super::mount::AiMount;
use super::config::Config;
use super::issuer::Issuer;
use super::key_set::{KeySet, Shown, jwks};
use crate::base::rfc3339;
use crate::form;
use crate::framework::{Call, Path};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::schema::Name;

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("identity/keys", "Read the issuer's public keys.")
            .describe(
                "jwks is what a vendor takes that keeps a copy, and jwks_json the same as text. A key is next (published, not signing\nyet), signing, or retired (published for what it has signed, until dropped_at).",
            )
            .on(Operation::Read, "Read the public keys.", read),
        Path::new("identity/keys/{kid}", "Withdraw one of the issuer's keys.")
            .describe(
                "Stops publishing a key that does not sign: one that may have leaked, or a next one that is not wanted. Assertions\nthat a retired key has signed are refused from then on, by whoever has no copy of it.",
            )
            .on(Operation::Delete, "Withdraw a key that does not sign.", withdraw),
    ]
}

form! {
    /// The key alone.
    pub struct KeyArgs {
        /// Id of the key, as in identity/keys.
        kid: Name,
    }
}

async fn read(mount: Arc<AiMount>, (): (), _: Call) -> Result<Response> {
    let config = Config::stored(mount.storage.as_ref()).await?;
    let keys = KeySet::stored(mount.storage.as_ref()).await?;
    if keys.is_empty() {
        return Err(Error::NotFound("there are no keys yet: write identity/config with issuer=https://…".into()));
    }
    let now = mount.clock.now();
    let published: Vec<Shown<'_>> = keys.shown(now);
    let jwks = jwks(&published.iter().map(|shown| shown.key.jwk()).collect::<Vec<_>>());
    let mut data = Object::new();
    for (name, value) in [
        ("issuer", json!(config.and_then(|config| config.issuer).as_ref().map(Issuer::as_str))),
        ("signing_kid", json!(keys.signing(now).map(|key| &key.kid))),
        ("next_kid", json!(keys.next(now).map(|key| &key.kid))),
        ("keys", published.iter().map(about).collect()),
        ("jwks_json", jwks.to_string().into()),
        ("jwks", jwks),
    ] {
        data.insert(name.into(), value);
    }
    Ok(Response::data(data))
}

async fn withdraw(mount: Arc<AiMount>, arguments: KeyArgs, _: Call) -> Result<Response> {
    let _lock = mount.identity_lock.lock().await;
    let mut keys = KeySet::stored(mount.storage.as_ref()).await?;
    let now = mount.clock.now();
    // Else one that is over could seem not to be, without the one that took over from it.
    keys.drop_ended(now);
    if !keys.withdraw(&arguments.kid.0, now)? {
        // A write before this one may have gone through though it failed.
        mount.published.forget_all();
        return Ok(Response::default());
    }
    let stored = keys.store(mount.storage.as_ref()).await;
    mount.published.forget_all();
    stored?;
    let warning = "withdraw it where a vendor has a copy, too: verifiers may keep what they have read for five minutes";
    Ok(Response::default().with_warnings([warning.to_owned()]))
}

fn about(shown: &Shown<'_>) -> serde_json::Value {
    json!({
        "kid": shown.key.kid,
        "state": shown.state,
        "algorithm": shown.key.algorithm,
        "created": rfc3339(shown.key.created),
        "activates_at": rfc3339(shown.key.activates_at),
        "retires_at": shown.retires_at.map(rfc3339),
        "dropped_at": shown.dropped_at.map(rfc3339),
    })
}
