//! `tidy`: compares the ledger with the vendors. The sweep settles what the ledger knows; after a restored snapshot
//! only this finds the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::accounts::Owner;
use super::super::keys::at_vendor::{end, end_by_name, is_settled, list};
use super::super::keys::ledger::{AccountId, Row, RowKind, State};
use super::super::keys::naming;
use super::super::library::{self, LibraryKey, LibrarySet, unusable};
use super::super::mount::AiMount;
use super::super::times::{LOOKS, TIDY_BUDGET};
use super::super::upstream;
use crate::base::rfc3339;
use crate::form;
use crate::framework::{Call, ListArgs, Path};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::{Find, Found, Gone, KeyName, Switch};
use crate::schema::Name;

/// Most entries of either list in an answer.
const SHOWN: usize = 1000;

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("tidy", "Compare the ledger with the vendors' keys.")
            .describe(
                "Reports keys at the vendors that carry this mount's tag and have no row (after a restored snapshot), and\nrows whose key is not at the vendor; and keys of a library that are switched on while nobody has them, which\ndelete=true switches off. Nothing is deleted unless delete=true: two clusters restored from one\nsnapshot share the tag, and each would delete the other's keys.",
            )
            .on(Operation::Update, "Compare, and delete what is left over where delete=true.", tidy),
    ]
}

form! {
    /// What to compare and what to do.
    pub struct TidyArgs {
        /// Delete keys that have no row, and rows that have no key.
        #[default("false")]
        delete: bool,
        /// Compare only this account.
        #[default("all")]
        config: Option<Name>,
    }
}

async fn tidy(mount: Arc<AiMount>, arguments: TidyArgs, _: Call) -> Result<Response> {
    let _alone = mount.tidying.try_lock().map_err(|_| Error::Conflict("another tidy is running".into()))?;
    let only = arguments.config.map(|name| name.0);
    let mut tidy = Tidy::new(&mount, arguments.delete);
    let accounts = tidy.accounts(only.as_deref()).await?;
    if let (Some(name), true) = (&only, accounts.is_empty() && tidy.warnings.is_empty()) {
        return Err(Error::NotFound(format!("config {name:?} does not exist")));
    }
    // Read before the listings: whatever is made later is in neither.
    let rows = tidy.live_rows().await?;
    for (id, owner) in &accounts {
        tidy.compare(id, owner, &rows).await?;
    }
    tidy.library(only.as_deref()).await?;
    Ok(tidy.into_response())
}

struct Tidy<'a> {
    mount: &'a AiMount,
    delete: bool,
    /// On the monotonic clock; the host gives a request 90 s.
    ends: Duration,
    /// Names of left-over keys, each told once.
    seen: BTreeSet<String>,
    keys_without_row: Vec<Value>,
    rows_without_key: Vec<Value>,
    deleted_keys: u64,
    deleted_rows: u64,
    warnings: Vec<String>,
}

impl<'a> Tidy<'a> {
    fn new(mount: &'a AiMount, delete: bool) -> Self {
        Self {
            mount,
            delete,
            ends: mount.clock.monotonic() + TIDY_BUDGET,
            seen: BTreeSet::new(),
            keys_without_row: Vec::new(),
            rows_without_key: Vec::new(),
            deleted_keys: 0,
            deleted_rows: 0,
            warnings: Vec::new(),
        }
    }

    fn left(&self) -> Duration {
        self.ends.saturating_sub(self.mount.clock.monotonic())
    }

    /// Every account of the mount, retired generations included.
    async fn accounts(&mut self, only: Option<&str>) -> Result<Vec<(AccountId, Owner)>> {
        let (storage, mount) = (self.mount.storage.as_ref(), self.mount);
        let wanted = |name: &str| only.is_none_or(|only| only == name);
        let mut accounts = Vec::new();
        let mut retired = Vec::new();
        for name in storage.list("config/").await?.into_iter().filter(|name| wanted(name)) {
            match mount.accounts.current(storage, &name).await {
                Ok(Some(account)) => {
                    let generation = account.config.generation.clone();
                    accounts.push((AccountId { config: name, generation }, Owner { account, newer: None }));
                }
                Ok(None) => {}
                Err(error) => self.warnings.push(format!("config {name:?} was not compared: {error}")),
            }
        }
        for folder in storage.list("retired/").await? {
            let config = folder.trim_end_matches('/').to_owned();
            if wanted(&config) {
                let generations = storage.list(&format!("retired/{folder}")).await?.into_iter();
                retired.extend(generations.map(|generation| AccountId { config: config.clone(), generation }));
            }
        }
        for id in retired {
            match mount.owner(&id).await {
                Ok(owner) => accounts.push((id, owner)),
                Err(error) => self.warnings.push(format!("retired config {:?} was not compared: {error}", id.config)),
            }
        }
        Ok(accounts)
    }

    /// Rows that are being made, or that the sweep is settling, are not judged; nor are keys that a config or a static role
    /// holds: without its row such a key would still be in use. The keys of a library have other names.
    async fn live_rows(&mut self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for id in self.mount.ledger.ids(&ListArgs::all()).await? {
            match self.mount.ledger.get(&id).await {
                Ok(row) => rows.extend(row.filter(|row| {
                    row.state == State::Live
                        && row.kind == RowKind::Lease
                        && row.taken_by.is_none()
                        && !self.mount.running.contains(&id)
                })),
                Err(error) => self.warnings.push(format!("row {id} was not judged: {error}")),
            }
        }
        Ok(rows)
    }

    async fn compare(&mut self, id: &AccountId, owner: &Owner, rows: &[Row]) -> Result<()> {
        let config = &id.config;
        let lag = match owner.account.vendor.about().can.find {
            Find::ByName { lag } => lag.max(LOOKS[0]),
            Find::ByOurId => LOOKS[0],
            // Nothing of it is ever left over.
            Find::Unneeded => return Ok(()),
            Find::Never => {
                self.warnings.push(format!("config {config:?}: its vendor lists no keys, so it cannot be compared"));
                return Ok(());
            }
        };
        let now = self.mount.clock.now();
        let Some(listing) = self.list(config, owner).await else { return Ok(()) };
        self.keys_without_row(config, owner, &listing).await?;
        let old_enough = |row: &&Row| row.account() == *id && row.created + lag < now;
        let shown = shown(&listing);
        let missing: Vec<&Row> =
            rows.iter().filter(old_enough).filter(|row| !shown.contains(row.name.as_str())).collect();
        if !missing.is_empty() {
            self.rows_without_key(config, owner, &missing).await?;
        }
        Ok(())
    }

    async fn list(&mut self, config: &str, owner: &Owner) -> Option<Vec<Found>> {
        match list(self.mount, owner, self.left()).await {
            Ok(listing) => Some(listing),
            Err(fault) => {
                self.warnings.push(format!(
                    "config {config:?} was not compared: {}",
                    upstream::text(owner.account.vendor.as_ref(), &fault)
                ));
                None
            }
        }
    }

    /// Rows are asked for after the listing, and a key's row is stored before the key is made: a listed key without a
    /// row is left over.
    async fn keys_without_row(&mut self, config: &str, owner: &Owner, listing: &[Found]) -> Result<()> {
        let mut left_over: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
        for found in listing {
            let Some(id) = naming::id_of(&found.name, &self.mount.tag) else { continue };
            if !self.mount.ledger.has(id).await? {
                left_over.entry(&found.name).or_default().push(found);
            }
        }
        for (name, found) in left_over {
            // Two configs may be one account at the vendor.
            if !self.seen.insert(name.to_owned()) {
                continue;
            }
            // The key itself stands for what was made with it.
            let first = found.iter().find(|found| found.is_key).unwrap_or(&found[0]);
            let created = first.created.map(rfc3339);
            let key_id = crate::base::bounded(&first.key.id, 256);
            self.keys_without_row.push(json!({
                "config": config, "key_id": key_id, "key_name": name, "created": created,
            }));
            if self.delete && !self.left().is_zero() {
                match end_by_name(self.mount, owner, &KeyName(name.to_owned()), listing).await {
                    Ok(_) => self.deleted_keys += 1,
                    Err(fault) => self.warnings.push(format!(
                        "{name:?} was not deleted: {}",
                        upstream::text(owner.account.vendor.as_ref(), &fault)
                    )),
                }
            }
        }
        Ok(())
    }

    /// A page may have been skipped while keys came and went, so before anything is deleted a second listing must
    /// agree with the first.
    async fn rows_without_key(&mut self, config: &str, owner: &Owner, missing: &[&Row]) -> Result<()> {
        for row in missing {
            self.rows_without_key.push(json!({
                "id": row.id, "config": config, "role": row.role, "key_name": row.name,
            }));
        }
        if !self.delete {
            return Ok(());
        }
        let Some(second) = self.list(config, owner).await else { return Ok(()) };
        let shown = shown(&second);
        for row in missing.iter().filter(|row| !shown.contains(row.name.as_str())) {
            let _lock = self.mount.ledger.locks.write(&row.id).await;
            let current = self.mount.ledger.get(&row.id).await?;
            let Some(row) = current.filter(|row| row.state == State::Live && row.taken_by.is_none()) else { continue };
            let Some(key) = row.key.clone() else { continue };
            if self.left().is_zero() {
                break;
            }
            match end(self.mount, owner, &key.into(), None).await {
                Ok(gone) => {
                    if gone == Gone::Now {
                        self.warnings
                            .push(format!("something of row {} was still at the vendor, and was deleted", row.id));
                    }
                    if is_settled(self.mount, &owner.account, &row, gone) {
                        self.mount.ledger.delete(&row.id).await?;
                        self.deleted_rows += 1;
                    } else {
                        self.mount.ledger.keep_for_the_sweep(row).await;
                    }
                }
                Err(fault) => self.warnings.push(format!(
                    "row {} was not deleted: {}",
                    row.id,
                    upstream::text(owner.account.vendor.as_ref(), &fault)
                )),
            }
        }
        Ok(())
    }

    /// Keys of libraries that are on while nobody has them, or that cannot be lent any more. They carry no name of ours, and
    /// each is asked about by itself.
    async fn library(&mut self, only: Option<&str>) -> Result<()> {
        let storage = self.mount.storage.as_ref();
        for name in storage.list("library/sets/").await? {
            for id in storage.list(&library::folder(&name)).await? {
                if self.left().is_zero() {
                    return Ok(());
                }
                if let Err(error) = self.library_key(only, &name, &id).await {
                    self.warnings.push(format!("key {id:?} of library set {name:?} was not compared: {error}"));
                }
            }
        }
        Ok(())
    }

    async fn library_key(&mut self, only: Option<&str>, name: &str, id: &str) -> Result<()> {
        let mount = self.mount;
        // Under the lock nobody checks it out.
        let alone = mount.library_locks.write(name).await;
        let Some(set) = LibrarySet::get(mount, name).await? else { return Ok(()) };
        if only.is_some_and(|only| set.config.as_deref() != Some(only)) {
            return Ok(());
        }
        let Some(account) = set.account(mount, name).await? else { return Ok(()) };
        let Some(key) = LibraryKey::get(mount, name, id).await? else { return Ok(()) };
        if key.out(mount).await?.is_some() {
            return Ok(());
        }
        let switch = key.standing(mount, &account).await?.switch;
        if switch == Switch::On {
            self.keys_without_row.push(json!({"config": set.config, "library": name, "key_id": id}));
            if self.delete {
                self.warnings.extend(key.switch_off(mount, name, &set).await?);
                self.deleted_keys += 1;
            }
            return Ok(());
        }
        let Some(why) = unusable(&switch).filter(|_| key.quarantine.is_none()) else { return Ok(()) };
        self.warnings.push(format!("key {id:?} of library set {name:?} {why}"));
        drop(alone);
        if self.delete {
            LibraryKey::quarantine(mount, name, id, why).await?;
        }
        Ok(())
    }

    fn into_response(mut self) -> Response {
        if !self.delete && !self.keys_without_row.is_empty() {
            let warning = "nothing was deleted: write delete=true, once no other cluster shares this mount's tag";
            self.warnings.push(warning.into());
        }
        if self.left().is_zero() {
            self.warnings.push("out of time: run it again for the rest".into());
        }
        let mut data = Object::new();
        for (name, list) in [("keys_without_row", self.keys_without_row), ("rows_without_key", self.rows_without_key)] {
            if list.len() > SHOWN {
                self.warnings.push(format!("{name}: {SHOWN} of {} are shown", list.len()));
            }
            data.insert(format!("{name}_count"), list.len().into());
            data.insert(name.into(), list.into_iter().take(SHOWN).collect());
        }
        data.insert("deleted_keys".into(), self.deleted_keys.into());
        data.insert("deleted_rows".into(), self.deleted_rows.into());
        Response::data(data).with_warnings(self.warnings)
    }
}

/// Names of the keys in a listing, without those of what only goes with one.
fn shown(listing: &[Found]) -> BTreeSet<&str> {
    listing.iter().filter(|found| found.is_key).map(|found| found.name.as_str()).collect()
}
