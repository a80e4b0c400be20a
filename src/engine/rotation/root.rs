//! `config/<name>/rotate-root`, and the same by itself. Each step is in storage before the next: whatever is cut off goes
//! on from there, and there is one credential in use at any time, in one record.
//!
//! ```text
//! created   row(minting) -> the vendor makes a key -> pending in the config -> row(live)
//! proven    the vendor takes the new credential; until then the old one is in use
//! switched  one write: the new credential, and when the old one ends
//! let go    row(revoking), then out of the config; the sweep deletes it with the new credential
//! ```

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::accounts::{Account, Config, config_key};
use super::super::config;
use super::super::keys::ledger::{AccountId, Row, RowKind};
use super::super::keys::sweep::settle_now;
use super::super::mount::AiMount;
use super::super::record;
use super::super::step::step;
use super::super::times::{EXPIRY_PERIODS, PROOF_BUDGET, PROOF_LIMIT, ROOT_OVERLAP};
use super::admin_key::{AdminKey, Pending, Previous};
use super::elsewhere::{digest_of, is_used};
use super::held::{self, Wanted};
use super::proof::{Patience, Progress, Proof};
use super::schedule::Schedule;
use crate::base::{Time, rfc3339};
use crate::form;
use crate::framework::{Call, Path};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::{self, About, Issued, Purpose, Scope, Vendor};
use crate::schema::{Invalid, Kind, Name, Values, format_duration};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("config/{name}/rotate-root", "Replace an account's credential by a new one of the vendor's.")
            .describe(
                "Makes a new admin credential with the stored one, sees that the vendor takes it, puts it into use, and deletes\nthe old one after overlap, so that calls in flight finish. A rotation that was cut off goes on where it stood. Nobody\nis shown the new credential. Vendors that make no admin credentials by API answer how to do it by hand.",
            )
            .on(Operation::Update, "Replace an account's credential.", rotate_root),
    ]
}

form! {
    /// How to rotate.
    pub struct RotateArgs {
        /// Name of the account in this mount.
        name: Name,
        /// How long the old credential goes on working. 0 deletes it at once, for one that has leaked: calls in flight may fail.
        #[default("10m")]
        overlap: Option<Duration>,
    }
}

/// The rows of old credentials that the sweep ends now.
type Rows = Vec<String>;

async fn rotate_root(mount: Arc<AiMount>, arguments: RotateArgs, _: Call) -> Result<Response> {
    let name = &arguments.name.0;
    let progress = rotate(&mount, name, arguments.overlap).await?;
    mount.rotations.succeeded(&config_key(name));
    let left = match &progress {
        Progress::Switched(let_go) => settle_now(&mount, let_go).await?,
        Progress::Pending(_) => 0,
    };
    report(current(&mount, name).await?.as_ref(), &mount, progress, left)
}

/// Rotates, or goes on with a rotation that was cut off, for which an overlap may have been asked for before.
pub async fn rotate(mount: &AiMount, name: &str, overlap: Option<Duration>) -> Result<Progress<Rows>> {
    let _alone = mount.rotation_locks.write(&config_key(name)).await;
    let account = current(mount, name).await?;
    let account = match (&account.config.admin.pending, overlap) {
        (None, _) => create(mount, &account, overlap).await?,
        (Some(_), None) => account,
        (Some(pending), Some(overlap)) => {
            let asked = pending.overlap.unwrap_or(u64::MAX).min(overlap.as_secs());
            let pending = Pending { overlap: Some(asked), ..pending.clone() };
            change(mount, &account, |config| config.admin.pending = Some(pending)).await?
        }
    };
    finish(mount, account).await
}

/// The account as it is stored now.
///
/// # Errors
/// Where there is none.
pub async fn current(mount: &AiMount, name: &str) -> Result<Arc<Account>> {
    let account = mount.accounts.current(mount.storage.as_ref(), name).await?;
    account.ok_or_else(|| Error::NotFound(format!("config {name:?} does not exist")))
}

async fn create(mount: &AiMount, account: &Arc<Account>, overlap: Option<Duration>) -> Result<Arc<Account>> {
    let about = account.vendor.about();
    if !about.can.purposes.contains(&Purpose::Admin) {
        return Err(Error::Invalid(by_hand(about, &account.name)));
    }
    if let Some(field) = account.vendor.lacks_for_admin(&account.parsed) {
        let problem = format!("is required to rotate: write it to config/{}", account.name);
        return Err(Invalid::new(field, problem).into());
    }
    let (now, admin) = (mount.clock.now(), &account.config.admin);
    // Where the one in use is, so that it can be ended; only its vendor can tell of one that somebody else has made.
    let replaces = match &admin.row {
        Some(_) => None,
        None => config::probe(mount, account).await?.credential,
    };
    let config_lock = mount.config_locks.read(&account.name).await;
    if current(mount, &account.name).await?.config != account.config {
        return Err(written_meanwhile(&account.name));
    }
    let wanted = Wanted {
        kind: RowKind::Admin,
        purpose: Purpose::Admin,
        role: "",
        middle: "admin",
        scope: &Scope(Values::default()),
        until: account.config.admin_key_ttl().map(|ttl| now + ttl),
        keeps: None,
    };
    held::make(mount, account, config_lock, &wanted, async |row, issued| {
        let pending = Pending {
            row: row.id.clone(),
            fields: fields(account, &issued),
            key: issued.key.into(),
            made: now,
            expires: issued.expires,
            overlap: overlap.map(|overlap| overlap.as_secs()),
            replaces: replaces.map(Into::into),
        };
        change(mount, account, |config| config.admin.pending = Some(pending)).await
    })
    .await
}

/// The account's fields that a new credential takes the place of.
fn fields(account: &Account, issued: &Issued) -> Object {
    let secret = account.parsed.credential_field.iter().map(|field| (field.clone(), issued.secret.expose().into()));
    let parts = issued.parts.iter().map(|(field, part)| (field.clone(), part.expose().into()));
    secret.chain(parts).collect()
}

async fn finish(mount: &AiMount, account: Arc<Account>) -> Result<Progress<Rows>> {
    let Some(pending) = account.config.admin.pending.clone() else {
        return Ok(Progress::Switched(Vec::new()));
    };
    if !held::adopt(mount, &pending.row, &pending.key, pending.expires).await? {
        change(mount, &account, |config| config.admin.pending = None).await?;
        return Err(Error::Unavailable("the new credential was ended before it was in use: rotate again".into()));
    }
    let mut config = account.config.clone();
    config.account.extend(pending.fields.clone());
    let trial = Account::open(&account.name, config)?;
    match prove(mount, &trial).await {
        Proof::Taken => {}
        Proof::Refused(text) if mount.clock.now() > pending.made + PROOF_LIMIT => {
            mount.ledger.let_go(&pending.row, None).await?;
            step("rotate.after-letting-go").await;
            change(mount, &account, |config| config.admin.pending = None).await?;
            return Err(Error::Refused(format!(
                "the vendor does not take the new credential, and it is deleted: {text}"
            )));
        }
        Proof::Refused(why) | Proof::Unknown(why) | Proof::Waits(why) => return Ok(Progress::Pending(why)),
    }
    step("rotate.proven").await;
    let now = mount.clock.now();
    if mount.running.draining() {
        return Err(Error::Unavailable("this mount is being disabled".into()));
    }
    let overlap = pending.overlap.map_or(ROOT_OVERLAP, Duration::from_secs);
    let replaced = digest_of(&account.config.account, account.parsed.credential_field.as_ref());
    let account = change(mount, &account, |config| {
        let fields = config.admin.switch(now, now + overlap, replaced);
        config.account.extend(fields.unwrap_or_default());
    });
    let account = account.await?;
    step("rotate.after-switch").await;
    tracing::info!(mount = mount.tag, config = account.name, key_id = pending.key.id, "a credential was rotated");
    Ok(Progress::Switched(end_previous(mount, &account).await?))
}

/// Asks the vendor with the new credential.
async fn prove(mount: &AiMount, trial: &Account) -> Proof {
    let mut patience = Patience::of(PROOF_BUDGET);
    loop {
        let proof = match config::probe(mount, trial).await {
            Ok(probe) if probe.missing.is_empty() => Proof::Taken,
            Ok(probe) => Proof::Refused(format!("it lacks: {}", probe.missing.join("; "))),
            Err(error @ Error::Refused(_)) => Proof::Refused(error.to_string()),
            Err(error) => Proof::Unknown(error.to_string()),
        };
        if !proof.may_change() || !patience.lasts().await {
            return proof;
        }
    }
}

/// Lets go of the credentials whose time is over; returns the rows by which the sweep deletes them.
pub async fn end_previous(mount: &AiMount, account: &Arc<Account>) -> Result<Vec<String>> {
    let now = mount.clock.now();
    let (mut rows, mut left) = (Vec::new(), Vec::new());
    for previous in &account.config.admin.previous {
        // Another account may hold it too: it is asked again at the next tick.
        if previous.ends > now || is_used(mount, &previous.digest, &config_key(&account.name)).await? {
            left.push(previous.clone());
        } else {
            rows.extend(let_go(mount, &account.name, &account.config.generation, previous).await?);
        }
    }
    if left.len() < account.config.admin.previous.len() {
        step("rotate.after-letting-go").await;
        change(mount, account, |config| config.admin.previous = left).await?;
    }
    Ok(rows)
}

/// Before a config is superseded or deleted: lets go of all but the credential in use, which is needed to end what was made
/// with it.
pub async fn retire(mount: &AiMount, name: &str, config: &mut Config) -> Result<()> {
    let now = mount.clock.now();
    let others = AdminKey { row: None, ..config.admin.clone() }.replaced_by_hand(now, now, String::new());
    for previous in &others.previous {
        // What another account holds too is that one's to replace.
        if !is_used(mount, &previous.digest, &config_key(name)).await? {
            let_go(mount, name, &config.generation, previous).await?;
        }
    }
    (config.admin.pending, config.admin.previous) = (None, Vec::new());
    Ok(())
}

async fn let_go(mount: &AiMount, config: &str, generation: &str, previous: &Previous) -> Result<Option<String>> {
    let of = AccountId { config: config.to_owned(), generation: generation.to_owned() };
    held::let_go(mount, RowKind::Admin, &of, previous.row.as_deref(), previous.key.as_ref()).await
}

/// Whether a config holds the key of this row, as its credential or as the one to come.
pub async fn holds(mount: &AiMount, row: &Row) -> Result<bool> {
    let stored = record::get::<Config>(mount.storage.as_ref(), &config_key(&row.config)).await?;
    Ok(stored.is_some_and(|config| config.admin.holds(&row.id)))
}

/// These rows of credentials, those in use last: the others are ended with them.
pub async fn in_use_last(mount: &AiMount, ids: impl Iterator<Item = String>) -> Vec<String> {
    let (mut others, mut in_use) = (Vec::new(), Vec::new());
    for id in ids {
        let row = mount.ledger.get(&id).await.ok().flatten();
        let owner = match &row {
            Some(row) => mount.owner(&row.account()).await.ok(),
            None => None,
        };
        let is_used = owner.is_some_and(|owner| owner.account.config.admin.row.as_ref() == Some(&id));
        if is_used { &mut in_use } else { &mut others }.push(id);
    }
    others.append(&mut in_use);
    others
}

fn written_meanwhile(name: &str) -> Error {
    Error::Conflict(format!("config {name:?} was written by somebody else meanwhile: rotate again"))
}

/// Changes the stored config, where it is still the one that was read.
async fn change(mount: &AiMount, account: &Account, change: impl FnOnce(&mut Config)) -> Result<Arc<Account>> {
    let key = config_key(&account.name);
    {
        let _lock = mount.config_locks.write(&account.name).await;
        let stored = record::get::<Config>(mount.storage.as_ref(), &key).await?;
        let Some(mut config) = stored.filter(|stored| *stored == account.config) else {
            return Err(written_meanwhile(&account.name));
        };
        change(&mut config);
        record::put(mount.storage.as_ref(), key, &config, true).await?;
    }
    current(mount, &account.name).await
}

/// The steps that somebody would take by hand, and how far each has come.
fn report(account: &Account, mount: &AiMount, progress: Progress<Rows>, left: usize) -> Result<Response> {
    let admin = &account.config.admin;
    let mut warnings = Vec::new();
    let unknown = |previous: &Previous| previous.row.is_none() && previous.key.is_none();
    let (state, steps) = match progress {
        Progress::Pending(why) => {
            let text = "the vendor does not take the new credential yet";
            warnings.push(format!("{text} ({why}); the old one is in use, and the rotation goes on by itself"));
            ("pending", ["done", "waits", "waits", "waits", "waits"].map(str::to_owned))
        }
        Progress::Switched(let_go) => {
            let at = admin.previous.iter().map(|previous| previous.ends).max();
            let by_hand = admin.previous.last().is_some_and(unknown) || (at.is_none() && let_go.is_empty());
            let rest = match at {
                _ if by_hand => {
                    let text =
                        "the vendor does not say which of its keys the old credential is: delete it there by hand";
                    warnings.push(text.into());
                    "by hand".to_owned()
                }
                Some(at) if at > mount.clock.now() => format!("at {}", rfc3339(at)),
                Some(_) => "once no other account holds it".to_owned(),
                None if left > 0 => {
                    warnings.push("the old credential could not be deleted yet: it is tried again, see keys/".into());
                    "tried again".to_owned()
                }
                None => "done".to_owned(),
            };
            ("switched", ["done".into(), "done".into(), "done".into(), rest.clone(), rest])
        }
    };
    let mut data = Object::new();
    data.insert("state".into(), state.into());
    for (name, step) in ["create", "verify", "update", "revoke", "confirm"].into_iter().zip(steps) {
        data.insert(format!("step_{name}"), step.into());
    }
    show(&account.config, mount.clock.now(), &mut data);
    Ok(Response::data(data).with_warnings(warnings))
}

/// What a read tells of an account's credential. Times of the vendor's and of ours, ids of keys, no secret.
pub fn show(config: &Config, now: Time, data: &mut Object) {
    let admin = &config.admin;
    config.schedule.show(data);
    let previous = admin.previous.iter().map(|previous| {
        json!({"key_id": previous.key.as_ref().map(|key| &key.id), "id": previous.row, "ends": rfc3339(previous.ends)})
    });
    for (name, value) in [
        ("admin_key_ttl", json!(config.admin_key_ttl.unwrap_or(0))),
        ("credential_since", json!(rfc3339(config.credential_since()))),
        ("credential_expires", json!(admin.expires.map(rfc3339))),
        ("credential_id", json!(admin.row)),
        ("last_rotated", json!(admin.rotated.map(rfc3339))),
        ("next_rotation", json!(config.schedule.next(config.credential_since(), now).map(rfc3339))),
        ("pending_credential", json!(admin.pending.as_ref().map(|pending| &pending.key.id))),
        ("previous_credentials", previous.collect()),
    ] {
        data.insert(name.into(), value);
    }
}

/// Checks what a config asks of rotation against what its vendor can do.
///
/// # Errors
/// Names the field.
pub fn check(
    vendor: &dyn Vendor,
    account: &providers::Account,
    schedule: &Schedule,
    ttl: Option<Duration>,
    now: Time,
) -> std::result::Result<(), Invalid> {
    let about = vendor.about();
    let invalid = |field: &str, problem: String| Err(Invalid::new(field, problem));
    if !about.can.purposes.contains(&Purpose::Admin) {
        let field = if schedule.is_active() { "rotation_period" } else { "admin_key_ttl" };
        return match schedule.is_active() || ttl.is_some() {
            true => invalid(
                field,
                format!("{} makes no admin credentials by its API: see config/{{name}}/rotate-root", about.title),
            ),
            false => Ok(()),
        };
    }
    if let Some(field) = vendor.lacks_for_admin(account).filter(|_| schedule.is_active() || ttl.is_some()) {
        return Err(Invalid::new(field, "is required to rotate the credential"));
    }
    let Some(ttl) = ttl else { return Ok(()) };
    let Some(gap) = schedule.longest_gap(now).filter(|_| schedule.is_active()) else {
        return invalid(
            "admin_key_ttl",
            "needs rotation_period or rotation_schedule: nothing else would replace the credential in time".into(),
        );
    };
    let (least, limits) = (gap * EXPIRY_PERIODS, about.can.expiry.limits());
    match limits {
        None => invalid("admin_key_ttl", format!("{} gives its credentials no expiry", about.title)),
        Some(limits) if ttl > limits.longest => invalid(
            "admin_key_ttl",
            format!("is more than {}, the longest of {}", format_duration(limits.longest), about.title),
        ),
        Some(_) if ttl < least => invalid(
            "admin_key_ttl",
            format!(
                "must be at least {}: {EXPIRY_PERIODS} times the longest time between rotations",
                format_duration(least)
            ),
        ),
        Some(_) => Ok(()),
    }
}

fn by_hand(about: &About, name: &str) -> String {
    let title = &about.title;
    let fields: Vec<&str> =
        about.account.iter().filter(|field| field.kind == Kind::Secret).map(|field| field.name.as_ref()).collect();
    let Some(field) = fields.first() else {
        return format!("an account at {title} stores no credential: there is nothing to rotate");
    };
    format!(
        "{title} makes no admin credentials by its API, as far as this engine can. By hand: 1. make one at the vendor; 2. write it as {field} to config/{name}; 3. read config/{name}/check; 4. delete the old one at the vendor; 5. see that creds/ of a role still works"
    )
}
