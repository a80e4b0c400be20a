//! `library/<set>/check-out`: a key as a lease, to whoever asks first.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::accounts::Account;
use super::super::keys::ledger::{AccountId, Row, RowKind, State};
use super::super::keys::{Mint, naming};
use super::super::lease::{API_KEY, Internal, Life};
use super::super::mount::AiMount;
use super::super::step::step;
use super::super::times::{STANDING_BUDGET, STANDING_WAIT};
use super::key::{LibraryKey, folder, unusable};
use super::set::LibrarySet;
use crate::base::rfc3339;
use crate::form;
use crate::framework::{Call, Path};
use crate::logical::{Error, Lease, Object, Operation, Request, Response, Result};
use crate::providers::{Expiry, Source, Standing, Switch};
use crate::schema::Name;

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("library/{name}/check-out", "Check out a key of a set.")
            .describe(
                "Lends one of the set's keys, as a lease: nobody else gets it until it is checked in, or the lease ends. Where the\nset has a config, the key is switched on for that time.",
            )
            .on(Operation::Update, "Check out a key.", check_out),
    ]
}

form! {
    /// A request for a key of a set.
    pub struct CheckOutArgs {
        /// Name of the library set.
        name: Name,
        /// Life of this lease, in place of the set's ttl; at most the set's max_ttl, or its ttl where it has none.
        ttl: Option<Duration>,
    }
}

async fn check_out(mount: Arc<AiMount>, arguments: CheckOutArgs, call: Call) -> Result<Response> {
    let ends = mount.clock.monotonic() + STANDING_BUDGET;
    // Each try that ends without a key has put one into quarantine.
    loop {
        if let Some(response) = check_one_out(&mount, &arguments, &call.request).await? {
            return Ok(response);
        }
        if mount.clock.monotonic() >= ends {
            return Err(Error::Unavailable("the keys that were looked at are quarantined: try again".into()));
        }
    }
}

async fn check_one_out(mount: &AiMount, arguments: &CheckOutArgs, request: &Request) -> Result<Option<Response>> {
    let name = &arguments.name.0;
    let alone = mount.library_locks.write(name).await;
    let set = LibrarySet::need(mount, name).await?;
    // Until the row is stored: whoever retires this generation sees the row.
    let config_lock = set.lock_config(mount).await;
    let account = set.account(mount, name).await?;
    let life = Life::of(mount, Source::Activate, Expiry::Never, &set.limits(), arguments.ttl).await?;
    let of = account.as_ref().map_or(AccountId::NOBODYS, |account| account.id());
    let row = Row::new(naming::new_id(mount.rng.as_ref()), RowKind::Library, of, mount.clock.now());
    let row = Row { role: name.clone(), deadline: life.end, ..row.asked_by(request) };
    let key = LibraryKey { row: Some(row.id.clone()), ..free_key(mount, name).await? };
    // First: a row that no key names would be ended while somebody else has the key.
    key.put(mount, name).await?;
    step("library.after-key").await;
    let mut mint = Mint::start(mount, Row { key: Some(key.record()), ..row }).await?;
    drop((config_lock, alone));
    if let Some(account) = &account {
        match switch_on(mount, &mint, account, &key).await? {
            Switched::On => {}
            Switched::Unusable { why, was_on } => {
                let quarantined = LibraryKey::quarantine(mount, name, &key.id, why).await;
                // Somebody else may be using it. One that is not on was not switched.
                match was_on {
                    true => mount.ledger.let_go(&mint.row.id, None).await?,
                    false => mount.ledger.delete(&mint.row.id).await?,
                }
                mount.wake_sweep();
                return quarantined.map(|()| None);
            }
        }
    }
    mint.row.state = State::Live;
    mint.row.deadline = life.end;
    let stored = match mount.running.draining() {
        true => Err(Error::Unavailable("this mount is being disabled: the key was checked in again".into())),
        false => mount.ledger.put(&mint.row).await,
    };
    if let Err(error) = stored {
        match &account {
            Some(account) => mint.undo(account, &key.secret()).await,
            None => mount.ledger.keep_for_the_sweep(mint.row).await,
        }
        return Err(error);
    }
    step("mint.after-live").await;
    answer(&mint.row, account.as_deref(), &key, life).map(Some)
}

/// A key that nobody has, any of them: begun with one at random, so that few are read and all are used.
async fn free_key(mount: &AiMount, set: &str) -> Result<LibraryKey> {
    let ids = mount.storage.list(&folder(set)).await?;
    let mut start = [0; 4];
    mount.rng.fill(&mut start);
    let start = u32::from_be_bytes(start) as usize % ids.len().max(1);
    let mut quarantined = 0;
    for id in ids[start..].iter().chain(&ids[..start]) {
        let key = match LibraryKey::get(mount, set, id).await {
            Ok(key) => key,
            Err(error @ (Error::Storage(_) | Error::ReadOnly)) => return Err(error),
            Err(error) => {
                tracing::error!(mount = mount.tag, set, key_id = id, %error, "a key of a library is left alone");
                None
            }
        };
        let Some(key) = key else { continue };
        if key.is_free(mount).await? {
            return Ok(key);
        }
        quarantined += usize::from(key.quarantine.is_some());
    }
    Err(match ids.len() {
        0 => Error::Invalid(format!("library set {set:?} has no keys: write them to library/{set}/keys/<key_id>")),
        all => Error::Invalid(format!(
            "no key of library set {set:?} is available for check-out: of {all}, {} are checked out and {quarantined} quarantined; see library/{set}/status",
            all - quarantined
        )),
    })
}

/// What became of a key that was to be switched on.
enum Switched {
    On,
    /// It must not be lent, for a reason behind "the key".
    Unusable {
        why: String,
        was_on: bool,
    },
}

/// Switches a key on that must be off.
async fn switch_on(mount: &AiMount, mint: &Mint<'_>, account: &Account, key: &LibraryKey) -> Result<Switched> {
    let looked = match key.standing(mount, account).await {
        Ok(Standing { switch: Switch::On, .. }) => {
            // It may be on its way off.
            tokio::time::sleep(STANDING_WAIT).await;
            key.standing(mount, account).await
        }
        looked => looked,
    };
    match looked.map(|standing| standing.switch) {
        Ok(Switch::Off) => mint.activate(account, &key.record().into()).await.map(|()| Switched::On),
        Ok(Switch::On) => {
            let why = "was switched on while nobody had it checked out, and is switched off again".into();
            Ok(Switched::Unusable { why, was_on: true })
        }
        Ok(switch) => Ok(Switched::Unusable { why: unusable(&switch).unwrap_or_default(), was_on: false }),
        Err(error) => {
            // Nothing was switched.
            mount.ledger.delete(&mint.row.id).await?;
            Err(error)
        }
    }
}

fn answer(row: &Row, account: Option<&Account>, key: &LibraryKey, life: Life) -> Result<Response> {
    let mut data = Object::new();
    for (name, value) in [
        (API_KEY, json!(key.secret)),
        ("key_id", json!(key.id)),
        ("provider", json!(account.map(|account| &account.vendor.about().name))),
        ("base_url", json!(account.map(|account| &account.parsed.client_url))),
        ("expires_at", json!(rfc3339(life.end))),
        ("revocable", json!(account.is_some())),
    ] {
        data.insert(name.into(), value);
    }
    let lease = Lease {
        ttl: life.ttl,
        max_ttl: life.max_ttl,
        renewable: true,
        internal: Internal::of(row, key.record()).object()?,
        ..Lease::default()
    };
    Ok(Response { lease: Some(lease), ..Response::data(data) }.with_warnings(life.warnings))
}
