//! `.well-known/openid-configuration` and `.well-known/keys`: what whoever verifies an assertion reads, without a token.
//!
//! Strangers ask, so an answer comes from memory, "no issuer is configured" included: storage is read once after a start
//! or a change, by one request however many wait. Nothing private is in that memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::super::mount::AiMount;
use super::config::Config;
use super::issuer::Issuer;
use super::key_set::{KeySet, jwks};
use super::pair::Algorithm;
use crate::base::Time;
use crate::framework::{Call, Path};
use crate::logical::{Error, Operation, Raw, Response, Result, Storage};

/// To the letter what the host lets in without a token.
pub const UNAUTHENTICATED: [&str; 2] = [".well-known/openid-configuration", ".well-known/keys"];

/// Verifiers may keep an answer for so long. Far below `activate_after`, so that each has seen a key before it signs.
const CACHE_CONTROL: &str = "public, max-age=300";

pub fn paths() -> Vec<Path<AiMount>> {
    let [discovery_path, keys_path] = UNAUTHENTICATED;
    vec![
        Path::new(discovery_path, "The discovery document of the issuer, for everybody.")
            .describe(
                "The OpenID Connect discovery document of this mount as an issuer, without a token. 404 where identity/config has\nno issuer.",
            )
            .on(Operation::Read, "Read the discovery document.", discovery),
        Path::new(keys_path, "The public keys of the issuer, for everybody.")
            .describe(
                "The JWKS with every key that an assertion of this mount can be signed with, without a token: the next one, the\nsigning one, and retired ones until their last assertion is over. 404 where identity/config has no issuer.",
            )
            .on(Operation::Read, "Read the public keys.", keys),
    ]
}

async fn discovery(mount: Arc<AiMount>, (): (), _: Call) -> Result<Response> {
    let published = mount.published.get(mount.storage.as_ref()).await?;
    let issuer = published.issuer()?;
    let mut algorithms: Vec<&str> = published.keys(mount.clock.now()).map(|key| key.algorithm.name()).collect();
    algorithms.sort_unstable();
    algorithms.dedup();
    Ok(everybody(&json!({
        "issuer": issuer.as_str(),
        "jwks_uri": issuer.jwks_url(),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
    })))
}

async fn keys(mount: Arc<AiMount>, (): (), _: Call) -> Result<Response> {
    let published = mount.published.get(mount.storage.as_ref()).await?;
    published.issuer()?;
    Ok(everybody(&jwks(published.keys(mount.clock.now()).map(|key| &key.jwk))))
}

fn everybody(body: &Value) -> Response {
    let raw = Raw {
        status: 200,
        content_type: "application/json".into(),
        cache_control: Some(CACHE_CONTROL.into()),
        body: body.to_string().into_bytes(),
    };
    Response { raw: Some(raw), ..Response::default() }
}

/// What is published, as it was stored when it was last asked for.
#[derive(Default)]
pub struct PublishedCache {
    kept: Mutex<Kept>,
    /// Held by the one that reads storage.
    filling: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    published: Option<Arc<Published>>,
    /// How often it was forgotten: what was read before the last time is not kept.
    forgotten: u64,
}

/// The public part of what is stored.
struct Published {
    issuer: Option<Issuer>,
    keys: Vec<PublishedKey>,
}

struct PublishedKey {
    jwk: Value,
    algorithm: Algorithm,
    dropped_at: Option<Time>,
}

impl PublishedCache {
    /// Another node, or this one, has changed what is stored at a key.
    pub fn forget(&self, key: &str) {
        if key.starts_with("identity/") {
            self.forget_all();
        }
    }

    pub fn forget_all(&self) {
        let mut kept = self.kept();
        kept.published = None;
        kept.forgotten += 1;
    }

    async fn get(&self, storage: &dyn Storage) -> Result<Arc<Published>> {
        if let Some(published) = self.kept().published.clone() {
            return Ok(published);
        }
        let _alone = self.filling.lock().await;
        let (kept, forgotten) = {
            let kept = self.kept();
            (kept.published.clone(), kept.forgotten)
        };
        if let Some(published) = kept {
            return Ok(published);
        }
        let published = Arc::new(Published::stored(storage).await?);
        let mut kept = self.kept();
        if kept.forgotten == forgotten {
            kept.published = Some(published.clone());
        }
        Ok(published)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published {
    async fn stored(storage: &dyn Storage) -> Result<Self> {
        let issuer = Config::stored(storage).await?.and_then(|config| config.issuer);
        let set = KeySet::stored(storage).await?;
        // As of the beginning of time, every key is shown with the moment of its end.
        let keys = set.shown(Time::UNIX_EPOCH).into_iter();
        let keys = keys.map(|shown| PublishedKey {
            jwk: shown.key.jwk(),
            algorithm: shown.key.algorithm,
            dropped_at: shown.dropped_at,
        });
        Ok(Self { issuer, keys: keys.collect() })
    }

    fn issuer(&self) -> Result<&Issuer> {
        self.issuer.as_ref().ok_or_else(|| Error::NotFound("this mount is not an issuer: see identity/config".into()))
    }

    fn keys(&self, now: Time) -> impl Iterator<Item = &PublishedKey> {
        self.keys.iter().filter(move |key| key.dropped_at.is_none_or(|at| now < at))
    }
}
