//! `identity/config`: who this mount says that it is, and how its keys change.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::mount::AiMount;
use super::super::record;
use super::super::times::{ACTIVATE_AFTER, SHORTEST_ACTIVATE_AFTER, SHORTEST_ROTATION};
use super::issuer::Issuer;
use super::key_set::KeySet;
use super::pair::{ALGORITHMS, Algorithm};
use super::rotate::new_key;
use crate::form;
use crate::framework::{Call, Path};
use crate::logical::{Error, Object, Operation, Response, Result, Storage};
use crate::schema::{Argument, Change, Invalid, Kind, Values, format_duration};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("identity/config", "Make this mount an OpenID Connect issuer.")
            .describe(
                "A vendor that was told to trust this mount as an issuer exchanges its assertions for tokens, so that no key of the\nvendor's has to be stored. The first write makes the first key; the vendor then gets issuer and keys: an uploaded\ncopy of identity/keys, or by discovery, where it can reach <issuer>/.well-known/openid-configuration.\nWithout an issuer nothing is signed.",
            )
            .write("Write the issuer.", exists, write)
            .on(Operation::Patch, "Change some fields of the issuer; null clears one.", write)
            .on(Operation::Read, "Read the issuer.", read),
    ]
}

/// `identity/config` in storage.
#[derive(Clone, Serialize, Deserialize)]
pub struct Config {
    pub issuer: Option<Issuer>,
    pub algorithm: Algorithm,
    pub distribution: Distribution,
    /// Seconds; none rotates by hand only.
    rotation_period: Option<u64>,
    /// Seconds.
    activate_after: u64,
}

/// How a vendor comes by the public keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Somebody uploads each new key before it signs.
    #[default]
    Uploaded,
    /// The vendor reads `.well-known/` whenever it meets a key that it does not know.
    Discovery,
}

impl Argument for Algorithm {
    const REQUIRED: bool = true;

    fn kind() -> Kind {
        Kind::choice(ALGORITHMS)
    }

    fn take(value: Option<&Value>) -> Option<Self> {
        Self::named(value?.as_str()?)
    }
}

impl Argument for Distribution {
    const REQUIRED: bool = true;

    fn kind() -> Kind {
        Kind::choice(&["uploaded", "discovery"])
    }

    fn take(value: Option<&Value>) -> Option<Self> {
        match value?.as_str()? {
            "uploaded" => Some(Self::Uploaded),
            "discovery" => Some(Self::Discovery),
            _ => None,
        }
    }
}

form! {
    /// What makes the mount an issuer.
    pub struct ConfigArgs {
        /// The issuer's URL, to the letter as vendors are told: https, without a slash at the end. For discovery it must lead to this mount, such as https://vault.example.com/v1/ai. Required at first.
        issuer: Change<String>,
        /// How new keys sign. The key that signs goes on until identity/rotate.
        #[default("ES256")]
        algorithm: Change<Algorithm>,
        /// How vendors come by the keys: uploaded (somebody gives them a copy) or discovery (they read .well-known/).
        #[default("uploaded")]
        distribution: Change<Distribution>,
        /// How long a key signs before the next one takes over by itself, at least a day; 0 for never. Only with distribution=discovery.
        #[default("0")]
        rotation_period: Change<Duration>,
        /// How long a key is published before it signs.
        #[default("24h")]
        activate_after: Change<Duration>,
    }
}

const STORED: &str = "identity/config";

impl Config {
    pub async fn stored(storage: &dyn Storage) -> Result<Option<Self>> {
        record::get(storage, STORED).await
    }

    /// The issuer, for whoever cannot go on without.
    pub async fn issuing(storage: &dyn Storage) -> Result<(Self, Issuer)> {
        let config = Self::stored(storage).await?;
        let issuing = config.and_then(|config| config.issuer.clone().map(|issuer| (config, issuer)));
        issuing.ok_or_else(|| {
            Error::Invalid("this mount is not an issuer yet: write identity/config with issuer=https://…".into())
        })
    }

    pub const fn activate_after(&self) -> Duration {
        Duration::from_secs(self.activate_after)
    }

    /// How long a key signs before the next one is published by itself; none where nobody but the operator rotates.
    pub fn publishes_after(&self) -> Option<Duration> {
        let period = self.rotation_period.filter(|_| self.distribution == Distribution::Discovery)?;
        self.issuer.as_ref().map(|_| Duration::from_secs(period).saturating_sub(self.activate_after()))
    }

    fn changed(stored: Option<&Self>, change: ConfigArgs) -> Result<Self, Invalid> {
        let issuer = match change.issuer {
            Change::Set(text) if text.is_empty() => None,
            Change::Set(text) => Some(Issuer::parse(&text)?),
            Change::Clear => None,
            Change::Keep => stored.and_then(|stored| stored.issuer.clone()),
        };
        let period = change.rotation_period.apply(stored.and_then(|stored| stored.rotation_period()));
        let activate_after = change.activate_after.apply(stored.map(Self::activate_after)).unwrap_or(ACTIVATE_AFTER);
        Ok(Self {
            issuer,
            algorithm: change.algorithm.apply(stored.map(|stored| stored.algorithm)).unwrap_or_default(),
            distribution: change.distribution.apply(stored.map(|stored| stored.distribution)).unwrap_or_default(),
            rotation_period: period.map(|period| period.as_secs()).filter(|seconds| *seconds > 0),
            activate_after: activate_after.as_secs(),
        })
    }

    fn rotation_period(&self) -> Option<Duration> {
        self.rotation_period.map(Duration::from_secs)
    }

    fn check(&self) -> Result<(), Invalid> {
        let Some(period) = self.rotation_period() else { return Ok(()) };
        let invalid = |field: &str, problem: String| Err(Invalid::new(field, problem));
        let [shown, shortest] = [period, SHORTEST_ROTATION].map(format_duration);
        if self.distribution == Distribution::Uploaded {
            let problem = "needs distribution=discovery: a vendor with an uploaded copy refuses a key that came by itself; or write rotation_period=0";
            return invalid("rotation_period", problem.into());
        }
        if period < SHORTEST_ROTATION {
            return invalid("rotation_period", format!("must be at least {shortest}, or 0 for never"));
        }
        let after = format_duration(self.activate_after());
        if self.activate_after() > period {
            return invalid("activate_after", format!("{after} is more than rotation_period, {shown}"));
        }
        if self.activate_after() < SHORTEST_ACTIVATE_AFTER {
            let shortest = format_duration(SHORTEST_ACTIVATE_AFTER);
            return invalid(
                "activate_after",
                format!(
                    "must be at least {shortest} where keys rotate by themselves: vendors keep the keys that they have read for a while"
                ),
            );
        }
        Ok(())
    }
}

async fn exists(mount: Arc<AiMount>, _: Values) -> Result<bool> {
    Ok(Config::stored(mount.storage.as_ref()).await?.is_some())
}

async fn read(mount: Arc<AiMount>, (): (), _: Call) -> Result<Response> {
    let Some(config) = Config::stored(mount.storage.as_ref()).await? else { return Ok(Response::default()) };
    let mut data = Object::new();
    for (name, value) in [
        ("issuer", json!(config.issuer)),
        ("algorithm", json!(config.algorithm)),
        ("distribution", json!(config.distribution)),
        ("rotation_period", json!(config.rotation_period.unwrap_or(0))),
        ("activate_after", json!(config.activate_after)),
        ("discovery_url", json!(config.issuer.as_ref().map(Issuer::discovery_url))),
        ("jwks_url", json!(config.issuer.as_ref().map(Issuer::jwks_url))),
        ("mount_uuid", json!(mount.uuid())),
    ] {
        data.insert(name.into(), value);
    }
    Ok(Response::data(data))
}

async fn write(mount: Arc<AiMount>, change: ConfigArgs, call: Call) -> Result<Response> {
    let _lock = mount.identity_lock.lock().await;
    let storage = mount.storage.as_ref();
    let stored = Config::stored(storage).await?;
    if stored.is_none() {
        if call.request.operation == Operation::Patch {
            return Err(Error::NotFound("identity/config is not written yet".into()));
        }
        if !matches!(&change.issuer, Change::Set(issuer) if !issuer.is_empty()) {
            let problem = "is required: the https URL that vendors are told, such as https://vault.example.com/v1/ai";
            return Err(Invalid::new("issuer", problem).into());
        }
    }
    let config = Config::changed(stored.as_ref(), change)?;
    config.check()?;
    let now = mount.clock.now();
    let mut keys = KeySet::stored(storage).await?;
    // First the key: an issuer without one could not sign.
    if keys.is_empty() {
        keys.publish(new_key(&mount, config.algorithm, now, now).await?);
        keys.store(storage).await?;
    }
    let written = record::put(storage, STORED.into(), &config, true).await;
    mount.published.forget_all();
    written?;
    let warnings = warnings(&config, stored.as_ref(), &keys, &mount, &call.request.mount_point);
    Ok(Response::default().with_warnings(warnings))
}

fn warnings(
    config: &Config,
    before: Option<&Config>,
    keys: &KeySet,
    mount: &AiMount,
    mount_point: &str,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let Some(issuer) = &config.issuer else {
        return vec!["without an issuer nothing is signed and .well-known/ answers 404; the keys are kept".into()];
    };
    if let Some(old) = before.and_then(|before| before.issuer.as_ref()).filter(|old| *old != issuer) {
        warnings.push(format!(
            "assertions are signed as {:?} from now on: a vendor that trusts {:?} refuses them until it is told",
            issuer.as_str(),
            old.as_str()
        ));
    }
    if let Some(key) = keys.signing(mount.clock.now()).filter(|key| key.algorithm != config.algorithm) {
        warnings.push(format!(
            "key {} goes on signing with {}: identity/rotate publishes one of {}",
            key.kid,
            key.algorithm.name(),
            config.algorithm.name()
        ));
    }
    let next = keys.next(mount.clock.now());
    if let Some(key) = next.filter(|_| config.distribution == Distribution::Uploaded) {
        warnings.push(format!(
            "key {} signs by itself once it is active: upload identity/keys to every vendor before, or delete identity/keys/{0}",
            key.kid
        ));
    }
    if config.distribution == Distribution::Discovery {
        if issuer.is_local() {
            warnings.push("no vendor can reach a loopback issuer: discovery is for tests only".into());
        } else if !mount_point.is_empty() && !issuer.leads_to(mount_point) {
            warnings.push(format!(
                "this mount answers below /v1/{mount_point} of the server: see that {} leads there",
                issuer.discovery_url()
            ));
        }
    }
    warnings
}
