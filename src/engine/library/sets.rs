//! `library/<set>`: sets of keys that are lent.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::mount::AiMount;
use super::super::record;
use super::key::{LibraryKey, folder, key_path};
use super::set::{LibrarySet, set_key};
use crate::form;
use crate::framework::{Call, ListArgs, Path, page};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::schema::{Change, Invalid, Name, Values};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("library/", "List the library sets.").on(Operation::List, "List the library sets.", list),
        Path::new("library/{name}", "Manage a library set.")
            .describe(
                "A set of keys that somebody else has made, each lent to one borrower at a time: library/<set>/check-out. With a\nconfig whose vendor switches keys on and off, a key is on only while it is checked out. Without one the keys may be\nof any vendor; a borrower who keeps a copy can go on using it.\nKeys are added at library/<set>/keys/<key_id>. Deleting a set leaves its keys at the vendor.",
            )
            .write("Write a library set.", exists, write)
            .on(Operation::Patch, "Change some fields of a library set; null clears one.", write)
            .on(Operation::Read, "Read a library set.", read)
            .on(Operation::Delete, "Delete a library set, none of whose keys is checked out.", delete),
    ]
}

form! {
    /// Fields of a library set.
    pub struct SetArgs {
        /// Name of the library set.
        name: Name,
        /// Name of the account (config/<name>) that switches the set's keys on and off. It stays as it is once the set is there.
        #[default("none: keys of any vendor, which nobody switches")]
        config: Change<Name>,
        /// Life of a lease.
        #[default("1h, or less where the mount or max_ttl say so")]
        ttl: Change<Duration>,
        /// Longest life of a lease, renewals included.
        #[default("the mount's max_lease_ttl")]
        max_ttl: Change<Duration>,
        /// Let anybody who may check in check in what somebody else has checked out.
        #[default("false")]
        disable_check_in_enforcement: Change<bool>,
    }
}

form! {
    /// The name alone.
    pub struct SetName {
        /// Name of the library set.
        name: Name,
    }
}

async fn exists(mount: Arc<AiMount>, values: Values) -> Result<bool> {
    Ok(LibrarySet::get(&mount, values.need("name")?).await?.is_some())
}

async fn list(mount: Arc<AiMount>, arguments: ListArgs, _: Call) -> Result<Response> {
    Ok(Response::list(page(mount.storage.as_ref(), "library/sets/", &arguments).await?, Object::new()))
}

async fn read(mount: Arc<AiMount>, arguments: SetName, _: Call) -> Result<Response> {
    let name = &arguments.name.0;
    let Some(set) = LibrarySet::get(&mount, name).await? else { return Ok(Response::default()) };
    let mut data = Object::new();
    for (field, value) in [
        ("config", json!(set.config)),
        ("ttl", json!(set.ttl.unwrap_or(0))),
        ("max_ttl", json!(set.max_ttl.unwrap_or(0))),
        ("disable_check_in_enforcement", json!(set.disable_check_in_enforcement)),
        ("key_ids", json!(mount.storage.list(&folder(name)).await?)),
    ] {
        data.insert(field.into(), value);
    }
    Ok(Response::data(data))
}

async fn write(mount: Arc<AiMount>, arguments: SetArgs, call: Call) -> Result<Response> {
    let name = arguments.name.0;
    if name == "manage" {
        return Err(Invalid::new("name", "cannot be manage: library/manage/<set>/check-in is a path").into());
    }
    let _alone = mount.library_locks.write(&name).await;
    let before = LibrarySet::get(&mount, &name).await?;
    if before.is_none() && call.request.operation == Operation::Patch {
        return Err(Error::NotFound(format!("library set {name:?} does not exist")));
    }
    let stored = before.as_ref().and_then(|set| set.config.clone());
    let config = arguments.config.apply(stored.clone().map(Name)).map(|config| config.0);
    if before.is_some() && config != stored {
        return Err(Invalid::new("config", "stays as it is once the set is there: make another set").into());
    }
    let limits = before.as_ref().map_or(LibrarySet::NO_LIMITS, LibrarySet::limits);
    let limits = limits.changed(arguments.ttl, arguments.max_ttl)?;
    let unenforced = before.as_ref().map(|set| set.disable_check_in_enforcement);
    let set = LibrarySet {
        config,
        ttl: limits.ttl.map(|ttl| ttl.as_secs()),
        max_ttl: limits.max_ttl.map(|max_ttl| max_ttl.as_secs()),
        disable_check_in_enforcement: arguments.disable_check_in_enforcement.apply(unenforced).unwrap_or(false),
    };
    set.account(&mount, &name).await?;
    let mut warnings = limits.warnings(&mount).await;
    if before.is_none() && set.config.is_none() {
        warnings.push("without config nobody switches the keys: a borrower who keeps a copy can go on using it".into());
    }
    record::put(mount.storage.as_ref(), set_key(&name), &set, true).await?;
    Ok(Response::default().with_warnings(warnings))
}

async fn delete(mount: Arc<AiMount>, arguments: SetName, _: Call) -> Result<Response> {
    let name = arguments.name.0;
    let _alone = mount.library_locks.write(&name).await;
    let Some(set) = LibrarySet::get(&mount, &name).await? else { return Ok(Response::default()) };
    let keys = LibraryKey::all(&mount, &name).await?;
    for key in &keys {
        if let Some(why) = key.why_not(&name, key.out(&mount).await?.as_ref()) {
            return Err(Error::Invalid(why));
        }
    }
    // The set last: another of its name must not come by its keys.
    for key in &keys {
        mount.storage.delete(&key_path(&name, &key.id)).await?;
    }
    mount.storage.delete(&set_key(&name)).await?;
    let kept = match keys.len() {
        0 => None,
        count if set.config.is_some() => {
            Some(format!("keys that stay at the vendor, switched off as they were: {count}"))
        }
        count => Some(format!("keys that stay at their vendors, and go on working: {count}")),
    };
    Ok(Response::default().with_warnings(kept))
}
