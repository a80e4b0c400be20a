//! `tidy`: compares the ledger with the vendors. The sweep settles what the ledger knows; after a restored snapshot
//! only this finds the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::accounts::Account;
use super::super::lease::at_vendor::{end, end_by_name, list};
use super::super::lease::creds::rfc3339;
use super::super::lease::ledger::{Row, State};
use super::super::lease::naming;
use super::super::mount::AiMount;
use super::super::times::TIDY_BUDGET;
use crate::form;
use crate::framework::{Call, ListArgs, Path};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::{Find, Found, KeyName};
use crate::schema::Name;

/// Most entries of either list in an answer.
const SHOWN: usize = 1000;

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("tidy", "Compare the ledger with the vendors' keys.")
            .describe(
                "Reports keys at the vendors that carry this mount's tag and have no row (after a restored snapshot), and\nrows whose key is not at the vendor. Nothing is deleted unless delete=true: two clusters restored from one\nsnapshot share the tag, and each would delete the other's keys.",
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
    let only = arguments.config.map(|name| name.0);
    let mut tally = Tally::default();
    let accounts = accounts(&mount, only.as_deref()).await?;
    if let (Some(name), true) = (&only, accounts.is_empty()) {
        return Err(Error::NotFound(format!("config {name:?} does not exist")));
    }
    for (name, account) in accounts {
        if account.vendor.about().can.find == Find::Never {
            tally.warnings.push(format!("config {name:?}: its vendor lists no keys, so it cannot be compared"));
            continue;
        }
        match list(&mount, &account, TIDY_BUDGET).await {
            Ok(listing) => compare(&mount, &name, &account, &listing, arguments.delete, &mut tally).await?,
            Err(error) => tally.warnings.push(format!("config {name:?} was not compared: {error}")),
        }
    }
    Ok(tally.into_response(arguments.delete))
}

#[derive(Default)]
struct Tally {
    keys_without_row: Vec<Value>,
    rows_without_key: Vec<Value>,
    deleted_keys: u64,
    deleted_rows: u64,
    warnings: Vec<String>,
}

impl Tally {
    fn into_response(mut self, delete: bool) -> Response {
        if !delete && !self.keys_without_row.is_empty() {
            self.warnings
                .push("nothing was deleted: write delete=true, once no other cluster shares this mount's tag".into());
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

/// Every account of the mount, retired generations included.
async fn accounts(mount: &AiMount, only: Option<&str>) -> Result<Vec<(String, Arc<Account>)>> {
    let storage = mount.storage.as_ref();
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    let mut accounts = Vec::new();
    for name in storage.list("config/").await?.into_iter().filter(|name| wanted(name)) {
        if let Some(account) = mount.accounts.current(storage, &name).await? {
            accounts.push((name, account));
        }
    }
    for folder in storage.list("retired/").await? {
        let name = folder.trim_end_matches('/').to_owned();
        if wanted(&name) {
            for generation in storage.list(&format!("retired/{folder}")).await? {
                let account = mount.accounts.of_generation(storage, &name, &generation).await?;
                accounts.push((name.clone(), account));
            }
        }
    }
    Ok(accounts)
}

/// Rows are read after the listing: a key's row is stored before the key is made, so a listed key without a row is left over.
async fn compare(
    mount: &AiMount,
    config: &str,
    account: &Account,
    listing: &[Found],
    delete: bool,
    tally: &mut Tally,
) -> Result<()> {
    let mut left_over: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for found in listing {
        let Some(id) = naming::id_of(&found.name, &mount.tag) else { continue };
        if mount.ledger.get(id).await?.is_none() {
            left_over.entry(&found.name).or_default().push(found);
        }
    }
    for (name, found) in left_over {
        // The key itself stands for what was made with it.
        let first = found.iter().find(|found| found.is_key).unwrap_or(&found[0]);
        let created = first.created.map(rfc3339);
        tally.keys_without_row.push(json!({
            "config": config, "key_id": first.key.id, "key_name": name, "created": created,
        }));
        if delete {
            match end_by_name(mount, account, &KeyName(name.to_owned()), listing).await {
                Ok(_) => tally.deleted_keys += 1,
                Err(error) => tally.warnings.push(format!("{name:?} was not deleted: {error}")),
            }
        }
    }
    let listed: BTreeSet<&str> = listing.iter().filter(|found| found.is_key).map(|found| found.name.as_str()).collect();
    for id in mount.ledger.ids(&ListArgs { after: None, limit: None }).await? {
        let _lock = mount.ledger.locks.write(&id).await;
        let Some(row) = mount.ledger.get(&id).await? else { continue };
        if row.config == config && row.generation == account.config.generation && without_key(mount, &row, &listed) {
            tally.rows_without_key.push(json!({"id": id, "config": config, "role": row.role, "key_name": row.name}));
            // A listing may lag: the vendor's word on this one key counts.
            if delete && let Some(key) = row.key {
                match end(mount, account, &key.into()).await {
                    Ok(_) => {
                        mount.ledger.delete(&id).await?;
                        tally.deleted_rows += 1;
                    }
                    Err(error) => tally.warnings.push(format!("row {id} was not deleted: {error}")),
                }
            }
        }
    }
    Ok(())
}

/// Rows that are being made, or that the sweep is settling, are not judged.
fn without_key(mount: &AiMount, row: &Row, listed: &BTreeSet<&str>) -> bool {
    row.state == State::Live && !mount.running.contains(&row.id) && !listed.contains(row.name.as_str())
}
