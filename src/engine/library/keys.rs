//! `library/<set>/keys/<key_id>`: the keys of a set.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::accounts::Account;
use super::super::keys::is_plain;
use super::super::mount::AiMount;
use super::key::{LibraryKey, folder, key_path, unusable};
use super::set::LibrarySet;
use super::status::shown;
use crate::base::{Secret, rfc3339};
use crate::form;
use crate::framework::{Call, ListArgs, Path, page};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::{Standing, Switch};
use crate::schema::{Invalid, Name, Values};

/// Most keys of a set: a check-out may look at each, 0.3 ms a key.
const LARGEST_SET: usize = 1000;

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("library/{name}/keys/", "List the keys of a library set.").on(
            Operation::List,
            "List the keys of a library set.",
            list,
        ),
        Path::new("library/{name}/keys/{key_id}", "Manage a key of a library set.")
            .describe(
                "A key that somebody else has made. Writing one adds it, or has another value of it lent from then on, or ends its\nquarantine. Where the set has a config the vendor is asked how the key stands: it has to be off, or switch_off=true\nhas it switched off. Deleting a key takes it out of the set; it stays at the vendor as it is.",
            )
            .write("Add a key, or end its quarantine.", exists, write)
            .on(Operation::Read, "Look at a key, without its value.", read)
            .on(Operation::Delete, "Take a key out of its set.", delete),
    ]
}

form! {
    /// A key of a set.
    pub struct KeyArgs {
        /// Name of the library set.
        name: Name,
        /// Id of the key at the vendor; any name where the set has no config.
        key_id: Name,
        /// The key itself. Required when it is added.
        api_key: Option<Secret>,
        /// Have the vendor switch off a key that is on: whoever uses it now is cut off.
        #[default("false")]
        switch_off: bool,
    }
}

form! {
    /// Whose keys are listed, and which part of them.
    pub struct KeyListArgs {
        /// Name of the library set.
        name: Name,
        /// Lists only what comes after this entry.
        after: Option<String>,
        /// Lists at most so many entries.
        #[default("all")]
        limit: Option<i64>,
    }
}

form! {
    /// The key alone.
    pub struct KeyName {
        /// Name of the library set.
        name: Name,
        /// Id of the key at the vendor.
        key_id: Name,
    }
}

async fn exists(mount: Arc<AiMount>, values: Values) -> Result<bool> {
    Ok(LibraryKey::get(&mount, values.need("name")?, values.need("key_id")?).await?.is_some())
}

async fn list(mount: Arc<AiMount>, arguments: KeyListArgs, _: Call) -> Result<Response> {
    let KeyListArgs { name, after, limit } = arguments;
    let ids = page(mount.storage.as_ref(), &folder(&name.0), &ListArgs { after, limit }).await?;
    Ok(Response::list(ids, Object::new()))
}

async fn read(mount: Arc<AiMount>, arguments: KeyName, _: Call) -> Result<Response> {
    let key = LibraryKey::get(&mount, &arguments.name.0, &arguments.key_id.0).await?;
    let Some(key) = key else { return Ok(Response::default()) };
    let Value::Object(mut data) = shown(&mount, &key).await? else { return Ok(Response::default()) };
    data.insert("added".into(), json!(rfc3339(key.added)));
    Ok(Response::data(data))
}

async fn write(mount: Arc<AiMount>, arguments: KeyArgs, _: Call) -> Result<Response> {
    let (name, id) = (arguments.name.0, arguments.key_id.0);
    // One at a time: the same key must not get into two sets.
    let _one = mount.library_locks.write("").await;
    let _alone = mount.library_locks.write(&name).await;
    let set = LibrarySet::need(&mount, &name).await?;
    let account = set.account(&mount, &name).await?;
    let before = LibraryKey::get(&mount, &name, &id).await?;
    let secret = match (&arguments.api_key, &before) {
        (Some(secret), _) => secret.clone(),
        (None, Some(before)) => before.secret(),
        (None, None) => return Err(Invalid::new("api_key", "is required: the key itself").into()),
    };
    if !is_plain(&secret) {
        let problem = "holds white space or characters that no key has: was a line end pasted?";
        return Err(Invalid::new("api_key", problem).into());
    }
    let out = match &before {
        Some(before) => before.out(&mount).await?,
        None => None,
    };
    if let Some(why) = before.as_ref().and_then(|before| before.why_not(&name, out.as_ref()))
        && arguments.api_key.is_some()
    {
        return Err(Error::Invalid(why));
    }
    if before.is_none() && mount.storage.list(&folder(&name)).await?.len() >= LARGEST_SET {
        return Err(Invalid::new("key_id", format!("is one too many: a set has at most {LARGEST_SET} keys")).into());
    }
    check_is_in_no_other(&mount, &name, &set, &id, &secret).await?;
    let key = LibraryKey {
        id,
        secret: secret.expose().to_owned(),
        row: before.as_ref().and_then(|before| before.row.clone()),
        quarantine: None,
        added: before.as_ref().map_or(mount.clock.now(), |before| before.added),
    };
    let on = match &account {
        Some(account) => check_standing(&mount, account, &key).await?,
        None => false,
    };
    if !on || out.is_some() {
        key.put(&mount, &name).await?;
        return Ok(Response::default());
    }
    if !arguments.switch_off {
        let problem = "is required: the key is switched on at the vendor, and whoever uses it now is cut off; or switch it off there first";
        return Err(Invalid::new("switch_off", problem).into());
    }
    let warning = key.switch_off(&mount, &name, &set).await?;
    Ok(Response::default().with_warnings(warning))
}

/// Fails where the key is in a set already, this one aside: two borrowers would have it.
async fn check_is_in_no_other(mount: &AiMount, name: &str, set: &LibrarySet, id: &str, secret: &Secret) -> Result<()> {
    for other in mount.storage.list("library/sets/").await? {
        let same_account = match LibrarySet::get(mount, &other).await? {
            Some(known) => known.config.is_some() && known.config == set.config,
            None => false,
        };
        for other_id in mount.storage.list(&folder(&other)).await? {
            // One that cannot be read is nobody's to compare with.
            let Ok(Some(key)) = LibraryKey::get(mount, &other, &other_id).await else { continue };
            if other == name && key.id == id {
                continue;
            }
            if key.secret == secret.expose() {
                let problem = format!("is key {:?} of library set {other:?} already", key.id);
                return Err(Invalid::new("api_key", problem).into());
            }
            if same_account && key.id == id {
                return Err(Invalid::new("key_id", format!("is in library set {other:?} already")).into());
            }
        }
    }
    Ok(())
}

/// Whether a key is on, where the vendor has it and it can be lent.
async fn check_standing(mount: &AiMount, account: &Account, key: &LibraryKey) -> Result<bool> {
    let Standing { switch, hint } = key.standing(mount, account).await?;
    if let Some(problem) = unusable(&switch) {
        return Err(Invalid::new("key_id", problem).into());
    }
    if hint.is_some_and(|hint| !fits(&key.secret, &hint)) {
        let problem = format!("is not that of key {:?}: the vendor shows other ends of it", key.id);
        return Err(Invalid::new("api_key", problem).into());
    }
    Ok(switch == Switch::On)
}

/// Whether a key may be the one that a vendor shows as `sk-a...xyz`. Shown in another way, it may be any.
fn fits(secret: &str, hint: &str) -> bool {
    hint.split_once("...").is_none_or(|(start, end)| secret.starts_with(start) && secret.ends_with(end))
}

async fn delete(mount: Arc<AiMount>, arguments: KeyName, _: Call) -> Result<Response> {
    let (set, id) = (arguments.name.0, arguments.key_id.0);
    let _alone = mount.library_locks.write(&set).await;
    let Some(key) = LibraryKey::get(&mount, &set, &id).await? else { return Ok(Response::default()) };
    if let Some(why) = key.why_not(&set, key.out(&mount).await?.as_ref()) {
        return Err(Error::Invalid(why));
    }
    mount.storage.delete(&key_path(&set, &id)).await?;
    Ok(Response::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_told_from_another_by_what_the_vendor_shows() {
        for (hint, right) in
            [("sk-a...xyz", true), ("sk-b...xyz", false), ("sk-a...xy", false), ("****", true), ("...", true)]
        {
            assert_eq!(fits("sk-a0123xyz", hint), right, "{hint}");
        }
    }
}
