//! `static-roles/<name>`, `static-creds/<name>`, `rotate-role/<name>`: one long-lived key each, for clients that cannot lease.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::accounts::Account;
use super::super::keys::sweep::settle_now;
use super::super::mount::AiMount;
use super::super::roles::{allowed_account, scope, scope_fields};
use super::super::step::step;
use super::super::times::{PROOF_BUDGET, SHORTEST_OVERLAP, SHORTEST_STATIC_ROTATION, STATIC_OVERLAP};
use super::super::vendors;
use super::import::{Given, imported};
use super::kept;
use super::proof::Progress;
use super::replace::{end_previous, let_go, replace, static_key, store, stored};
use super::schedule::{Schedule, ScheduleChange};
use super::slots::{check_is_alone, slots_lock, slots_of};
use super::static_role::{StaticKey, StaticRole};
use crate::base::{Secret, rfc3339};
use crate::form;
use crate::framework::{Call, ListArgs, Path, page};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::Purpose;
use crate::schema::{Change, Invalid, Name, Values, format_duration};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("static-roles/", "List the static roles.").on(Operation::List, "List the static roles.", list),
        Path::new("static-roles/{name}", "Manage a static role.")
            .describe(
                "A static role has one long-lived key, for clients that cannot lease: it is replaced every so often, or when asked,\nand the one before goes on working for overlap. static-creds/<name> reads both. Writing a new role makes its first key,\nor takes the one that is given as api_key. Deleting the role deletes its keys at the vendor, unless keep_key=true.",
            )
            .fields(|| vendors::all_fields(scope_fields))
            .write("Write a static role.", exists, write)
            .on(Operation::Patch, "Change some fields of a static role; null clears one.", write)
            .on(Operation::Read, "Read a static role, without its keys.", read)
            .on(Operation::Delete, "Delete a static role and its keys.", delete),
        Path::new("static-creds/{name}", "Read the key of a static role.")
            .describe(
                "The key that is served, and for overlap after a rotation the one before as previous_api_key. ttl is after how many\nseconds to read it again: half of overlap, or what is left until the next rotation or the vendor's end of the key, where\nthat is less, but a minute at least if half of overlap is.",
            )
            .on(Operation::Read, "Read the key of a static role.", creds),
        Path::new("rotate-role/{name}", "Replace the key of a static role now.").on(
            Operation::Update,
            "Replace the key of a static role now.",
            rotate,
        ),
    ]
}

form! {
    /// Fields of every static role.
    pub struct StaticRoleArgs {
        /// Name of the static role.
        name: Name,
        /// Name of the account (config/<name>) whose key this role has. Required when the role is made.
        config: Change<Name>,
        /// How often the key is replaced by itself. This or rotation_schedule is required, unless
        /// disable_automated_rotation is set.
        rotation_period: Change<Duration>,
        /// When the key is replaced by itself: cron's five fields (minute hour day month weekday), UTC.
        rotation_schedule: Change<String>,
        /// How long after a time of rotation_schedule a rotation that was missed may still begin; without it, at any time.
        rotation_window: Change<Duration>,
        /// Keep rotation_period or rotation_schedule, and do not follow it.
        #[default("false")]
        disable_automated_rotation: Change<bool>,
        /// How long a key that was replaced goes on working: longer than any client takes to read the new one.
        #[default("1h, or half of the time between rotations where that is less")]
        overlap: Change<Duration>,
        /// A key that exists already, for the role to serve, when the role is made. Once it is replaced it has to be deleted at
        /// the vendor by hand: nothing proves here which of the vendor's keys it is.
        api_key: Option<Secret>,
        /// Serve api_key as it is until the first rotation, in place of replacing it at once.
        #[default("false")]
        skip_import_rotation: bool,
        /// Id in keys/ of the key that api_key is, where a lease of this mount holds it: the role takes it over. Its lease
        /// ends without ending the key, which the role deletes once it is replaced.
        #[default("none: api_key is of somebody else")]
        take_over: Option<Name>,
    }
}

form! {
    /// The name alone.
    pub struct StaticRoleName {
        /// Name of the static role.
        name: Name,
    }
}

form! {
    /// How to rotate.
    pub struct RotateArgs {
        /// Name of the static role.
        name: Name,
        /// How long the keys that were served before go on working, where that is less than they would. 0 deletes them at once,
        /// for one that has leaked: clients that have not read the new key are refused.
        #[default("that of the role")]
        overlap: Option<Duration>,
    }
}

form! {
    /// How to delete a static role.
    pub struct DeleteArgs {
        /// Name of the static role.
        name: Name,
        /// Leave the served key at the vendor: it is nobody's from then on.
        #[default("false")]
        keep_key: bool,
    }
}

async fn exists(mount: Arc<AiMount>, values: Values) -> Result<bool> {
    Ok(stored(&mount, values.need("name")?).await?.is_some())
}

async fn list(mount: Arc<AiMount>, arguments: ListArgs, _: Call) -> Result<Response> {
    Ok(Response::list(page(mount.storage.as_ref(), "static/", &arguments).await?, Object::new()))
}

async fn read(mount: Arc<AiMount>, arguments: StaticRoleName, _: Call) -> Result<Response> {
    let name = &arguments.name.0;
    let Some(role) = stored(&mount, name).await? else { return Ok(Response::default()) };
    let mut data = role.scope.clone();
    role.schedule.show(&mut data);
    let now = mount.clock.now();
    for (field, value) in [
        ("config", json!(role.config)),
        ("provider", json!(role.provider)),
        ("overlap", json!(role.overlap)),
        ("key_id", json!(role.current.as_ref().and_then(|key| key.key.as_ref()).map(|key| &key.id))),
        ("pending_key_id", json!(role.pending.as_ref().and_then(|key| key.key.as_ref()).map(|key| &key.id))),
        ("last_vault_rotation", json!(role.rotated.map(rfc3339))),
        ("next_vault_rotation", json!(role.schedule.next(role.since(), now).map(rfc3339))),
        ("rotation_failure", json!(mount.rotations.failure(&static_key(name)))),
    ] {
        data.insert(field.into(), value);
    }
    Ok(Response::data(data))
}

async fn write(mount: Arc<AiMount>, arguments: StaticRoleArgs, call: Call) -> Result<Response> {
    let name = arguments.name.0.clone();
    let _alone = mount.rotation_locks.write(&static_key(&name)).await;
    let before = stored(&mount, &name).await?;
    if before.is_none() && call.request.operation == Operation::Patch {
        return Err(Error::NotFound(format!("static role {name:?} does not exist")));
    }
    let account =
        allowed_account(&mount, &name, arguments.config.clone(), before.as_ref().map(|role| &role.config)).await?;
    let skip = arguments.skip_import_rotation;
    let given = Given { api_key: arguments.api_key.clone(), take_over: arguments.take_over.clone(), stays: skip };
    let (role, ignored) = changed(&mount, &account, before.as_ref(), arguments, &call.more)?;
    // Until it is stored: two roles that are moved at once must see each other. A new one is looked at where its key is made.
    let slots_lock = match (slots_of(&account), &before) {
        (Some(slots), Some(_)) => {
            let lock = mount.rotation_locks.write(&slots_lock(&slots)).await;
            check_is_alone(&mount, &name, &slots, &role).await?;
            Some(lock)
        }
        _ => None,
    };
    let given = imported(&mount, &account, &name, before.is_none(), given).await?;
    let mut warnings: Vec<String> = ignored.into_iter().collect();
    let role = match (before, given) {
        (Some(before), _) => {
            let mut role = role;
            let mut dropped = None;
            if before.scope != role.scope || before.config != role.config {
                let text = if role.begun {
                    "the key that was being made is deleted: another one is made by itself, for the role as it is now"
                } else {
                    "the key that is served stays as it is until the next rotation: rotate-role makes it now"
                };
                warnings.push(text.into());
                // It was made for what the role was before.
                dropped = role.pending.take();
            }
            store(&mount, &name, &role).await?;
            drop(slots_lock);
            if let Some(key) = dropped {
                let_go(&mount, &key).await?;
            }
            return Ok(Response::default().with_warnings(warnings));
        }
        (None, Some(given)) => {
            let role = StaticRole { current: Some(given.key.clone()), ..role };
            store(&mount, &name, &role).await?;
            let text = match given.key.row {
                Some(_) => "the lease of api_key ends without ending it: its holder reads static-creds/ from now on",
                None => {
                    "once it is replaced, delete api_key at the vendor by hand: nothing proves here which key it is"
                }
            };
            warnings.push(text.into());
            warnings.extend(given.doubt.clone());
            drop(given);
            if skip {
                return Ok(Response::default().with_warnings(warnings));
            }
            // The role is there and serves a key, whatever becomes of the next one.
            let replaced = replace(&mount, &name, role, PROOF_BUDGET, None).await;
            let why = match replaced {
                Ok(progress) => waiting(progress, true),
                Err(error) => {
                    Some(format!("api_key is served as it is, for it was not replaced ({error}): see rotate-role"))
                }
            };
            return Ok(Response::default().with_warnings(warnings).with_warnings(why));
        }
        (None, None) => role,
    };
    let progress = replace(&mount, &name, role, PROOF_BUDGET, None).await?;
    Ok(Response::default().with_warnings(warnings).with_warnings(waiting(progress, false)))
}

/// The stored role with the change over it, and a warning about fields that nobody knows.
fn changed(
    mount: &AiMount,
    account: &Account,
    before: Option<&StaticRole>,
    change: StaticRoleArgs,
    sent: &Object,
) -> Result<(StaticRole, Option<String>)> {
    let about = account.vendor.about();
    if !about.can.purposes.contains(&Purpose::Static) {
        let problem = format!("is an account at {}, which gives no keys that last: use a role and leases", about.title);
        return Err(Invalid::new("config", problem).into());
    }
    let now = mount.clock.now();
    let scoped = before.map(|role| (role.provider.as_str(), &role.scope));
    let (scope, ignored) = scope(account, scoped, sent)?;
    let schedule = Schedule::changed(
        before.map(|role| &role.schedule),
        ScheduleChange {
            period: change.rotation_period,
            cron: change.rotation_schedule,
            window: change.rotation_window,
            disabled: change.disable_automated_rotation,
        },
        SHORTEST_STATIC_ROTATION,
        now,
    )?;
    let gap = schedule.longest_gap(now);
    if gap.is_none() && !schedule.is_disabled() {
        let problem = "or rotation_schedule is required; or disable_automated_rotation=true, to rotate by hand only";
        return Err(Invalid::new("rotation_period", problem).into());
    }
    let shortest = schedule.shortest_gap(now);
    let default = shortest.map_or(STATIC_OVERLAP, |gap| (gap / 2).min(STATIC_OVERLAP));
    let overlap = change.overlap.apply(before.map(StaticRole::overlap)).unwrap_or(default);
    if overlap < SHORTEST_OVERLAP {
        let shortest = format_duration(SHORTEST_OVERLAP);
        return Err(
            Invalid::new("overlap", format!("must be at least {shortest}: clients read the new key first")).into()
        );
    }
    if let Some(gap) = shortest.filter(|gap| overlap >= *gap) {
        let problem = format!("must be less than {}, the time between rotations", format_duration(gap));
        return Err(Invalid::new("overlap", problem).into());
    }
    let limits = about.can.expiry.limits();
    if let (Some(gap), Some(limits)) = (gap, limits)
        && gap * 2 > limits.longest
    {
        let longest = format_duration(limits.longest / 2);
        let problem = format!("must be at most {longest}: keys of {} end by themselves", about.title);
        return Err(Invalid::new("rotation_period", problem).into());
    }
    let role = StaticRole {
        config: account.name.clone(),
        provider: account.config.provider.clone(),
        scope,
        schedule,
        overlap: overlap.as_secs(),
        current: before.and_then(|role| role.current.clone()),
        pending: before.and_then(|role| role.pending.clone()),
        previous: before.map(|role| role.previous.clone()).unwrap_or_default(),
        begun: before.is_some_and(|role| role.begun),
        asked_overlap: before.and_then(|role| role.asked_overlap),
        rotated: before.and_then(|role| role.rotated),
        created: before.map_or(now, |role| role.created),
        updated: now,
    };
    Ok((role, ignored))
}

async fn delete(mount: Arc<AiMount>, arguments: DeleteArgs, _: Call) -> Result<Response> {
    let name = arguments.name.0;
    let _alone = mount.rotation_locks.write(&static_key(&name)).await;
    let Some(role) = stored(&mount, &name).await? else { return Ok(Response::default()) };
    let mut warnings = Vec::new();
    let owner = match &role.current {
        Some(key) => mount.owner(&key.account()).await.ok(),
        None => None,
    };
    let in_slots = owner.is_some_and(|owner| slots_of(&owner.account).is_some());
    let kept = role.current.as_ref().filter(|_| arguments.keep_key);
    if let Some(key) = kept {
        // First: a row without a role would have its key deleted.
        if let Some(id) = &key.row {
            let _lock = mount.ledger.locks.write(id).await;
            let row = mount.ledger.get(id).await?;
            if row.as_ref().is_some_and(|row| row.taken_by.is_some()) {
                let problem = "cannot be yet: the key's lease is not over, and would delete it; revoke the lease first";
                return Err(Invalid::new("keep_key", problem).into());
            }
            if row.is_some_and(|row| row.print.is_some()) {
                // It was a lease's, whose revocation the host may repeat.
                kept::keep(&mount, id).await?;
            }
            mount.ledger.delete(id).await?;
        }
        let tidy = match in_slots {
            true => "",
            false => "; tidy with delete=true deletes it where its name has this mount's tag",
        };
        warnings.push(format!("key {} was left at the vendor, and is nobody's here any more{tidy}", shown(key)));
    }
    // What is left undone behind this the sweep does.
    mount.storage.delete(&static_key(&name)).await?;
    step("static.after-delete").await;
    let current = role.current.iter().filter(|_| kept.is_none());
    for key in current.chain(&role.pending).chain(role.previous.iter().map(|previous| &previous.key)) {
        let_go(&mount, key).await?;
    }
    if let Some(key) = role.current.as_ref().filter(|_| kept.is_none()) {
        warnings.push(match key.key {
            Some(_) if in_slots => {
                format!("the value of {} is replaced at the vendor by one that nobody is told", shown(key))
            }
            Some(_) => format!("key {} is deleted at the vendor", shown(key)),
            None => "the key was left at the vendor, since nobody knows its id: delete it there by hand".to_owned(),
        });
    }
    mount.wake_sweep();
    Ok(Response::default().with_warnings(warnings))
}

/// The vendor's id of a key.
fn shown(key: &StaticKey) -> &str {
    key.key.as_ref().map_or("of an id that is not known", |key| key.id.as_str())
}

async fn rotate(mount: Arc<AiMount>, arguments: RotateArgs, _: Call) -> Result<Response> {
    let name = arguments.name.0;
    let _alone = mount.rotation_locks.write(&static_key(&name)).await;
    let role = stored(&mount, &name).await?;
    let mut role = role.ok_or_else(|| Error::NotFound(format!("static role {name:?} does not exist")))?;
    if let Some(overlap) = arguments.overlap {
        shorten(&mount, &mut role, overlap);
        store(&mount, &name, &role).await?;
    }
    let now = mount.clock.now();
    let over = role.previous.iter().filter(|previous| previous.ends <= now);
    let rows: Vec<String> = over.filter_map(|previous| previous.key.row.clone()).collect();
    let role = end_previous(&mount, &name, role).await?;
    let account = mount.accounts.current(mount.storage.as_ref(), &role.config).await?;
    if account.is_some_and(|account| slots_of(&account).is_some()) {
        // The next one needs their place; anywhere else the sweep does it.
        settle_now(&mount, &rows).await?;
    }
    let has_key = role.current.is_some();
    let progress = replace(&mount, &name, role, PROOF_BUDGET, arguments.overlap).await?;
    mount.rotations.succeeded(&static_key(&name));
    mount.wake_sweep();
    Ok(Response::default().with_warnings(waiting(progress, has_key)))
}

/// Has the keys that were served before end after so long at the most.
fn shorten(mount: &AiMount, role: &mut StaticRole, overlap: Duration) {
    let ends = mount.clock.now() + overlap;
    for previous in &mut role.previous {
        previous.ends = previous.ends.min(ends);
    }
}

fn waiting(progress: Progress, has_key: bool) -> Option<String> {
    match progress {
        Progress::Switched(()) => None,
        Progress::Pending(why) => {
            let before = if has_key { ", and until then the key before goes on working" } else { "" };
            Some(format!("the new key is not served yet ({why}): it goes on by itself{before}"))
        }
    }
}

async fn creds(mount: Arc<AiMount>, arguments: StaticRoleName, _: Call) -> Result<Response> {
    let name = arguments.name.0;
    let role = stored(&mount, &name).await?;
    let role = role.ok_or_else(|| Error::Invalid(format!("static role {name:?} does not exist")))?;
    let now = mount.clock.now();
    let not_yet = || Error::Unavailable("the vendor does not take the role's first key yet: try again soon".into());
    let key = role.current.as_ref().ok_or_else(not_yet)?;
    let previous = role.previous.last().filter(|previous| now < previous.ends);
    let mut data = Object::new();
    for (field, value) in [
        ("api_key", json!(key.secret)),
        ("key_id", json!(key.key.as_ref().map(|key| &key.id))),
        ("key_name", json!(key.name)),
        ("provider", json!(key.provider)),
        ("base_url", json!(key.base_url)),
        ("expires_at", json!(key.expires.map(rfc3339))),
        // These three are what an agent and Kubernetes' operator read such a key again by. The operator takes it for a static
        // one by its period; with rotation_schedule beside it, it would want a ttl that only falls until the next rotation.
        ("last_vault_rotation", json!(role.since().to_rfc3339())),
        ("rotation_period", json!(role.period(now).as_secs())),
        ("ttl", json!(role.refresh_after(now).as_secs())),
        ("previous_api_key", json!(previous.map(|previous| &previous.key.secret))),
        ("previous_expires_at", json!(previous.map(|previous| rfc3339(previous.ends)))),
    ] {
        data.insert(field.into(), value);
    }
    data.extend(key.parts.iter().map(|(name, part)| (name.clone(), part.clone().into())));
    if !key.headers.is_empty() {
        data.insert("headers".into(), json!(key.headers));
    }
    Ok(Response::data(data))
}
