//! `config/<name>`: vendor accounts. A writer is not trusted with the network: see `must_carry_credential`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::accounts::{Account, Config, config_key, retired_key};
use super::mount::AiMount;
use super::rotation::{self, AdminKey, Schedule, ScheduleChange, digest_of};
use super::times::{ROOT_OVERLAP, SHORTEST_ROOT_ROTATION, VENDOR_BUDGET};
use super::{record, upstream, vendors};
use crate::base::{random_base32, rfc3339};
use crate::form;
use crate::framework::{Call, ListArgs, Path, page};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::{About, Fault, Probe};
use crate::schema::{Change, Field, Invalid, Kind, Name, Values, format_duration};

/// Characters of a generation, five bits of randomness each: a name's generations never meet.
const GENERATION_LENGTH: usize = 10;

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("config/", "List the configured vendor accounts.").on(
            Operation::List,
            "List the configured vendor accounts.",
            list,
        ),
        Path::new("config/{name}/check", "Ask the vendor whether an account's credential works.")
            .describe(
                "Calls the vendor with the stored credential and says whose it is and which permission is missing.\nNothing is changed.",
            )
            .on(Operation::Read, "Check an account's credential.", check)
            .on(Operation::Update, "Check an account's credential.", check),
        Path::new("config/{name}", "Manage a vendor account.")
            .describe(
                "An account at an AI vendor and the admin credential that makes keys in it. Credentials are written and\nnever read back. A write asks the vendor whether the credential works and names the permission that is missing;\nverify=false skips that. A write that changes provider, api_url, proxy_url or ca_cert, or sets allow_http, must carry\nthe credential again.",
            )
            .fields(|| vendors::all_fields(account_fields))
            .write("Write a vendor account.", exists, write)
            .on(Operation::Patch, "Change some fields of a vendor account; null clears one.", write)
            .on(Operation::Read, "Read a vendor account, without its credential.", read)
            .on(Operation::Delete, "Delete a vendor account. Its keys live on until their leases end.", delete),
    ]
}

form! {
    /// Fields of every account.
    pub struct ConfigArgs {
        /// Name of the account in this mount.
        name: Name,
        /// The vendor; see providers/. Required when the account is made.
        provider: Change<String>,
        /// Roles that may use this account: names, or patterns with * at the start or end.
        #[default("*")]
        allowed_roles: Change<Vec<String>>,
        /// Allow an api_url with http:// to a host other than loopback.
        #[default("false")]
        allow_http: Change<bool>,
        /// HTTP proxy for this account's requests; proxies of the environment are ignored.
        proxy_url: Change<String>,
        /// PEM certificates to trust beside the public roots.
        ca_cert: Change<String>,
        /// How often the credential is replaced by itself; 0 for never. In place of rotation_schedule.
        rotation_period: Change<Duration>,
        /// When the credential is replaced by itself: cron's five fields (minute hour day month weekday), UTC.
        rotation_schedule: Change<String>,
        /// How long after a time of rotation_schedule a rotation that was missed may still begin; without it, at any time.
        rotation_window: Change<Duration>,
        /// Keep rotation_period or rotation_schedule, and do not follow it.
        #[default("false")]
        disable_automated_rotation: Change<bool>,
        /// Have the vendor itself end each rotated credential after so long, at least three times the longest time between
        /// rotations. Should rotation fail for so long, this mount is locked out of the account.
        #[default("no expiry")]
        admin_key_ttl: Change<Duration>,
        /// Ask the vendor whether the credential works before it is stored.
        #[default("true where the vendor, the account, the credential or the network changes")]
        verify: Option<bool>,
    }
}

form! {
    /// The name alone.
    pub struct ConfigName {
        /// Name of the account in this mount.
        name: Name,
    }
}

fn account_fields(about: &About) -> &Vec<Field> {
    &about.account
}

async fn exists(mount: Arc<AiMount>, values: Values) -> Result<bool> {
    let name = values.need("name")?;
    Ok(mount.storage.get(&config_key(name)).await?.is_some())
}

async fn list(mount: Arc<AiMount>, arguments: ListArgs, _: Call) -> Result<Response> {
    Ok(Response::list(page(mount.storage.as_ref(), "config/", &arguments).await?, Object::new()))
}

async fn read(mount: Arc<AiMount>, arguments: ConfigName, _: Call) -> Result<Response> {
    let key = config_key(&arguments.name.0);
    let Some(config) = record::get::<Config>(mount.storage.as_ref(), &key).await? else {
        return Ok(Response::default());
    };
    let vendor = vendors::named(&config.provider, &config.account)?;
    let shown: Vec<Field> = vendor.about().account.iter().filter(|field| field.kind != Kind::Secret).cloned().collect();
    let mut data = Values::from(config.account.clone()).only(&shown).to_object();
    for (name, value) in [
        ("provider", json!(config.provider)),
        ("generation", json!(config.generation)),
        ("allowed_roles", json!(config.allowed_roles)),
        ("allow_http", json!(config.allow_http)),
        ("proxy_url", json!(config.proxy_url)),
        ("ca_cert", json!(config.ca_cert)),
        ("created", json!(rfc3339(config.created))),
        ("updated", json!(rfc3339(config.updated))),
        ("rotation_failure", json!(mount.rotations.failure(&key))),
    ] {
        data.insert(name.into(), value);
    }
    let now = mount.clock.now();
    let has_credential = vendor.about().account.iter().any(|field| field.kind == Kind::Secret);
    let mut warning = None;
    if has_credential {
        rotation::show(&config, now, &mut data);
        warning = config.age_warning(&arguments.name.0, now);
    }
    Ok(Response::data(data).with_warnings(warning))
}

async fn write(mount: Arc<AiMount>, arguments: ConfigArgs, call: Call) -> Result<Response> {
    let name = arguments.name.0.clone();
    let key = config_key(&name);
    let stored_text = mount.storage.get(&key).await?;
    let stored = stored_text.as_ref().map(|text| record::parse::<Config>(&key, text)).transpose()?;
    if stored.is_none() && call.request.operation == Operation::Patch {
        return Err(Error::NotFound(format!("config {name:?} does not exist")));
    }
    let verify = arguments.verify;
    let (account, ignored) = merged(&mount, stored.as_ref(), arguments, &call.more)?;
    // Not under the lock: a vendor that does not answer must not hold up the mints.
    let verify =
        verify.unwrap_or_else(|| stored.as_ref().is_none_or(|stored| reaches_elsewhere(stored, &account.config)));
    let warnings = if verify { verified(&mount, &account).await? } else { Vec::new() };

    let _lock = mount.config_locks.write(&name).await;
    if mount.storage.get(&key).await? != stored_text {
        return Err(Error::Conflict(format!(
            "config {name:?} was written by somebody else meanwhile: read it and try again"
        )));
    }
    if let Some(mut old) = stored.filter(|old| old.generation != account.config.generation) {
        rotation::retire(&mount, &name, &mut old).await?;
        record::put(mount.storage.as_ref(), retired_key(&name, &old.generation), &old, true).await?;
    }
    record::put(mount.storage.as_ref(), key, &account.config, true).await?;
    let locked_out = account.config.admin_key_ttl().map(|ttl| {
        let ttl = format_duration(ttl);
        format!("each rotated credential ends {ttl} after it was made: should rotations fail for so long, this mount is locked out until another is written")
    });
    Ok(Response::default().with_warnings(ignored).with_warnings(warnings).with_warnings(locked_out))
}

async fn delete(mount: Arc<AiMount>, arguments: ConfigName, _: Call) -> Result<Response> {
    let name = arguments.name.0;
    let _lock = mount.config_locks.write(&name).await;
    let key = config_key(&name);
    if let Some(mut old) = record::get::<Config>(mount.storage.as_ref(), &key).await? {
        rotation::retire(&mount, &name, &mut old).await?;
        // Its keys are still to be ended; the sweep drops it with the last of them.
        record::put(mount.storage.as_ref(), retired_key(&name, &old.generation), &old, true).await?;
        mount.storage.delete(&key).await?;
        mount.accounts.forget(&key);
    }
    Ok(Response::default())
}

async fn check(mount: Arc<AiMount>, arguments: ConfigName, _: Call) -> Result<Response> {
    let name = arguments.name.0;
    let account = mount
        .accounts
        .current(mount.storage.as_ref(), &name)
        .await?
        .ok_or_else(|| Error::NotFound(format!("config {name:?} does not exist")))?;
    let probe = probe(&mount, &account).await?;
    let mut data = Object::new();
    data.insert("ok".into(), probe.missing.is_empty().into());
    data.insert("provider".into(), account.config.provider.clone().into());
    data.insert("identity".into(), probe.identity.into());
    data.insert("missing".into(), probe.missing.into());
    Ok(Response::data(data).with_warnings(probe.warnings))
}

/// The stored account with the change over it, and a warning about fields that nobody knows.
fn merged(
    mount: &AiMount,
    stored: Option<&Config>,
    change: ConfigArgs,
    sent: &Object,
) -> Result<(Account, Option<String>)> {
    let name = change.name.0;
    let provider = match (change.provider, stored) {
        (Change::Set(provider), _) => provider,
        (Change::Keep, Some(stored)) => stored.provider.clone(),
        _ => return Err(Invalid::new("provider", "is required: see providers/ for the vendors").into()),
    };
    let stored_here = stored.filter(|stored| stored.provider == provider);
    let before = stored_here.map(|stored| stored.account.clone()).unwrap_or_default();
    // With what was sent over it, since a definition may be among that.
    let vendor = vendors::named(&provider, &before.clone().into_iter().chain(sent.clone()).collect())?;
    let fields = &vendor.about().account;
    let (sent, ignored) = vendors::own_fields(vendor.as_ref(), account_fields, sent)?;
    let account = Values::from(before).only(&kept_fields(stored_here, fields)).merged(&sent);
    account.check_required(fields)?;
    let now = mount.clock.now();
    if change.allowed_roles == Change::Clear {
        let problem = "cannot be null, which would let every role in: write \"*\" for that, or the roles to let in";
        return Err(Invalid::new("allowed_roles", problem).into());
    }
    let schedule = Schedule::changed(
        stored.map(|stored| &stored.schedule),
        ScheduleChange {
            period: change.rotation_period,
            cron: change.rotation_schedule,
            window: change.rotation_window,
            disabled: change.disable_automated_rotation,
        },
        SHORTEST_ROOT_ROTATION,
        now,
    )?;
    let admin_key_ttl = change.admin_key_ttl.apply(stored.and_then(Config::admin_key_ttl)).filter(|ttl| !ttl.is_zero());
    let config = Config {
        provider,
        generation: random_base32(mount.rng.as_ref(), GENERATION_LENGTH),
        account: account.to_object(),
        allowed_roles: change
            .allowed_roles
            .apply(stored.map(|stored| stored.allowed_roles.clone()))
            .unwrap_or_else(|| vec!["*".into()]),
        allow_http: change.allow_http.apply(stored.map(|stored| stored.allow_http)).unwrap_or(false),
        proxy_url: change.proxy_url.apply(stored.and_then(|stored| stored.proxy_url.clone())).filter(|t| !t.is_empty()),
        ca_cert: change.ca_cert.apply(stored.and_then(|stored| stored.ca_cert.clone())).filter(|t| !t.is_empty()),
        schedule,
        admin_key_ttl: admin_key_ttl.map(|ttl| ttl.as_secs()),
        admin: AdminKey::written(now),
        created: stored.map_or(now, |stored| stored.created),
        updated: now,
    };
    if let Some(stored) = stored {
        let secret: Vec<Field> = fields.iter().filter(|field| field.kind == Kind::Secret).cloned().collect();
        let routes: Vec<Field> = fields.iter().filter(|field| field.kind.is_route()).cloned().collect();
        must_carry_credential(stored, &config, &routes, &secret, &sent)?;
    }
    let mut account = Account::open(&name, config)?;
    rotation::check(account.vendor.as_ref(), &account.parsed, &account.config.schedule, admin_key_ttl, now)?;
    // The same account with another credential goes on as the same generation, if it is certain to be the same.
    let before = stored.and_then(|stored| Account::open(&name, stored.clone()).ok());
    let certain =
        |before: &Account| vendor.about().identity_is_complete || before.parsed.secrets == account.parsed.secrets;
    if let Some(before) = before.filter(|before| before.is_same(&account) && certain(before)) {
        let same = before.parsed.secrets == account.parsed.secrets;
        account.config.generation = before.config.generation;
        account.config.admin = match before.config.admin {
            admin if same => admin,
            admin => {
                let digest = digest_of(&before.config.account, before.parsed.credential_field.as_ref());
                admin.replaced_by_hand(now, now + ROOT_OVERLAP, digest)
            }
        };
    }
    Ok((account, ignored))
}

/// The fields whose stored values may be kept: those that were the same kind of field before. Under another definition a
/// stored secret could be a text that a read shows, or that a call sends anywhere.
fn kept_fields(stored: Option<&Config>, fields: &[Field]) -> Vec<Field> {
    let before = stored.and_then(|stored| vendors::named(&stored.provider, &stored.account).ok());
    let Some(before) = before else { return Vec::new() };
    let same = |field: &&Field| {
        before.about().account.iter().any(|known| known.name == field.name && known.kind == field.kind)
    };
    fields.iter().filter(same).cloned().collect()
}

/// Whether what the vendor was asked about before does not hold any more.
fn reaches_elsewhere(stored: &Config, config: &Config) -> bool {
    stored.provider != config.provider || stored.account != config.account || stored.network() != config.network()
}

/// A write that would send the stored credential somewhere else must bring the credential: who cannot read it
/// must not be able to have it sent to a host of their choice.
fn must_carry_credential(
    stored: &Config,
    config: &Config,
    routes: &[Field],
    secret: &[Field],
    sent: &Values,
) -> Result<(), Invalid> {
    let differs = |field: &Field| stored.account.get(field.name.as_ref()) != config.account.get(field.name.as_ref());
    let changed = [
        ("provider", stored.provider != config.provider),
        ("proxy_url", stored.proxy_url != config.proxy_url),
        ("ca_cert", stored.ca_cert != config.ca_cert),
        ("allow_http", !stored.allow_http && config.allow_http),
    ];
    let routes = routes.iter().map(|field| (field.name.as_ref(), differs(field)));
    let carried = |field: &Field| sent.get(&field.name).is_some() || !config.account.contains_key(field.name.as_ref());
    match (changed.into_iter().chain(routes).find(|(_, changed)| *changed), secret.iter().find(|field| !carried(field)))
    {
        (Some((what, _)), Some(field)) => Err(Invalid::new(
            field.name.as_ref(),
            format!("must be written again together with a changed {what}: the stored one is not sent elsewhere"),
        )),
        _ => Ok(()),
    }
}

/// The vendor takes the credential and it can do all that is needed; returns what else there is to say.
async fn verified(mount: &AiMount, account: &Account) -> Result<Vec<String>> {
    const WAY_OUT: &str = "write with verify=false to store it unchecked";
    let probe = probe(mount, account).await.map_err(|error| match error {
        Error::Refused(text) => Error::Refused(format!("{text}; {WAY_OUT}")),
        Error::Unavailable(text) => Error::Unavailable(format!("{text}; {WAY_OUT}")),
        other => other,
    })?;
    if probe.missing.is_empty() {
        return Ok(probe.warnings);
    }
    Err(Error::Refused(format!("the credential lacks: {}; {WAY_OUT}", probe.missing.join("; "))))
}

/// Asks the vendor whose the account's credential is and what it can do.
pub async fn probe(mount: &AiMount, account: &Account) -> Result<Probe> {
    let signer = account.signer(mount);
    let cx = account.cx(mount, &signer);
    let probed = tokio::time::timeout(VENDOR_BUDGET, account.vendor.probe(&cx)).await;
    let probed = probed.unwrap_or_else(|_| Err(Fault::unknown("did not answer in time")));
    probed.map_err(|fault| upstream::error(account.vendor.as_ref(), fault, None))
}

/// Whether a config lets a role use it.
pub fn allows(config: &Config, role: &str) -> bool {
    config.allowed_roles.iter().any(|pattern| glob(pattern, role))
}

/// `*` at the start, at the end, or both; Vault's own globs.
fn glob(pattern: &str, text: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(_), Some(_)) => text.contains(&pattern[1..pattern.len() - 1]),
        (Some(end), None) => text.ends_with(end),
        (None, Some(start)) => text.starts_with(start),
        (None, None) => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_vaults() {
        for (pattern, text, matches) in [
            ("*", "a", true),
            ("dev-*", "dev-a", true),
            ("*-ro", "a-ro", true),
            ("*x*", "axb", true),
            ("a", "ab", false),
            ("dev-*", "prod", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
