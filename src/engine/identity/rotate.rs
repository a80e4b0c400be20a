//! `identity/rotate`, and the rotation that comes by itself: a key is published, later signs, and is retired.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use super::super::keys::naming;
use super::super::mount::AiMount;
use super::super::times::SHORTEST_ACTIVATE_AFTER;
use super::config::{Config, Distribution};
use super::key_set::{Key, KeySet, State};
use super::pair::{Algorithm, generate};
use crate::base::Time;
use crate::base::rfc3339;
use crate::form;
use crate::framework::{Call, Path};
use crate::logical::{Error, Object, Operation, Response, Result};

/// Most keys that are published at a time: verifiers read them all, and every rotation adds one for two days.
const KEYS_LIMIT: usize = 10;

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("identity/rotate", "Publish the issuer's next key, or sign with it.")
            .describe(
                "The first write publishes the next key. It starts to sign after activate_after, or with a second write; a second\nwrite with activate_after moves the moment. The key before it stays published until its last assertion is over for\na day, and its private half is dropped at once.\nWith distribution=uploaded, give vendors the new jwks of identity/keys before the new key signs.",
            )
            .on(Operation::Update, "Publish the next key, or sign with it.", rotate),
    ]
}

form! {
    /// How fast.
    pub struct RotateArgs {
        /// When the next key starts to sign, from now on.
        #[default("that of identity/config, and 0 where the next key is published already")]
        activate_after: Option<Duration>,
    }
}

async fn rotate(mount: Arc<AiMount>, arguments: RotateArgs, _: Call) -> Result<Response> {
    let _lock = mount.identity_lock.lock().await;
    let (config, _) = Config::issuing(mount.storage.as_ref()).await?;
    let mut keys = KeySet::stored(mount.storage.as_ref()).await?;
    let now = mount.clock.now();
    keys.drop_ended(now);
    if keys.next(now).is_some() {
        keys.activate_next(now, later(now, arguments.activate_after.unwrap_or_default()));
    } else {
        if let Some(free) = keys.full_until(now, KEYS_LIMIT) {
            let free = rfc3339(free);
            return Err(Error::Conflict(format!("{KEYS_LIMIT} keys are published still: the oldest goes at {free}")));
        }
        let after = arguments.activate_after.unwrap_or(config.activate_after());
        keys.publish(new_key(&mount, config.algorithm, now, later(now, after)).await?);
    }
    keys.drop_ended(now);
    // A write that fails may have gone through all the same.
    let stored = keys.store(mount.storage.as_ref()).await;
    mount.published.forget_all();
    stored?;
    answer(&config, &keys, now)
}

/// What time alone brings, on the node that writes: drops what has ended, and publishes the next key where keys rotate
/// by themselves.
pub async fn tend(mount: &AiMount) -> Result<()> {
    let _lock = mount.identity_lock.lock().await;
    let Some(config) = Config::stored(mount.storage.as_ref()).await? else { return Ok(()) };
    let mut keys = KeySet::stored(mount.storage.as_ref()).await?;
    let now = mount.clock.now();
    let mut changed = keys.drop_ended(now);
    let signing_since = keys.signing(now).map(|key| key.activates_at);
    if let (Some(since), Some(after)) = (signing_since, config.publishes_after())
        && keys.next(now).is_none()
        && keys.full_until(now, KEYS_LIMIT).is_none()
        && now >= later(since, after)
    {
        keys.publish(new_key(mount, config.algorithm, now, later(now, config.activate_after())).await?);
        changed = true;
    }
    if changed {
        let stored = keys.store(mount.storage.as_ref()).await;
        mount.published.forget_all();
        stored?;
    }
    Ok(())
}

/// A new key of the mount.
pub async fn new_key(mount: &AiMount, algorithm: Algorithm, created: Time, activates_at: Time) -> Result<Key> {
    let kid = naming::new_id(mount.rng.as_ref());
    let rng = mount.rng.clone();
    let made = tokio::task::spawn_blocking(move || generate(algorithm, rng.as_ref())).await;
    let (private, public) = made.map_err(Error::internal)??;
    Ok(Key { kid, algorithm, public, private: Some(private), created, activates_at })
}

fn answer(config: &Config, keys: &KeySet, now: Time) -> Result<Response> {
    let shown = keys.shown(now);
    let newest = shown.last().ok_or_else(|| Error::internal("no key after a rotation"))?;
    let (kid, at) = (&newest.key.kid, rfc3339(newest.key.activates_at));
    let soon = newest.key.activates_at < later(now, SHORTEST_ACTIVATE_AFTER);
    let warning = match (config.distribution, newest.state) {
        (Distribution::Uploaded, State::Next) => Some(format!(
            "key {kid} signs from {at} on: give every vendor with an uploaded copy the new jwks of identity/keys before that"
        )),
        (Distribution::Uploaded, _) => Some(format!(
            "key {kid} signs from now on: a vendor whose uploaded copy lacks it refuses the mount's assertions"
        )),
        (Distribution::Discovery, _) if soon => Some(format!(
            "a vendor that has not read the keys since key {kid} was published may refuse the mount's assertions for a while"
        )),
        (Distribution::Discovery, _) => None,
    };
    let mut data = Object::new();
    for (name, value) in [
        ("kid", json!(kid)),
        ("state", json!(newest.state)),
        ("algorithm", json!(newest.key.algorithm)),
        ("activates_at", json!(at)),
    ] {
        data.insert(name.into(), value);
    }
    Ok(Response::data(data).with_warnings(warning))
}

fn later(time: Time, after: Duration) -> Time {
    // A century at most, so it does not overflow; see schema's durations.
    TimeDelta::from_std(after).map_or(time, |after| time + after)
}
