use std::time::Duration;

use super::super::accounts::{Account, Owner};
use super::super::mount::AiMount;
use super::super::step::step;
use super::super::times::{STANDING_BUDGET, VENDOR_BUDGET};
use super::super::upstream;
use super::ledger::{Row, State};
use super::naming;
use crate::base::Secret;
use crate::logical::Result;
use crate::providers::{Cursor, Fault, FaultKind, Find, Found, Gone, KeyName, Ref, Source, Standing, Switch};

/// Most pages of one listing: 100 keys each at the vendors that page.
const PAGE_LIMIT: usize = 1000;
/// Most of this mount's keys in one listing, so that a vendor cannot fill the memory.
const FOUND_LIMIT: usize = 100_000;
/// Longest id of a vendor's that is kept, in bytes.
const ID_LIMIT: usize = 256;

/// Ends one key at the vendor, by its own value where that is what the vendor wants. Repeatable. Where the vendor refuses a retired credential the present one is tried; its
/// "no such key" proves nothing then, for it may be another account's.
pub async fn end(mount: &AiMount, owner: &Owner, key: &Ref, secret: Option<&Secret>) -> Result<Gone, Fault> {
    let refused = match end_as(mount, &owner.account, key, secret).await {
        Err(fault) if fault.kind == FaultKind::Refused => fault,
        ended => return ended,
    };
    let Some(newer) = &owner.newer else { return Err(refused) };
    match end_as(mount, newer, key, secret).await {
        Ok(Gone::Already) if !newer.vendor.about().identity_is_complete && !has_it_off(mount, newer, key).await => {
            Err(refused)
        }
        ended => ended,
    }
}

/// Whether the account has this very key, switched off: unlike "no such key" that is said of no other account's.
async fn has_it_off(mount: &AiMount, account: &Account, key: &Ref) -> bool {
    account.vendor.about().can.source == Source::Activate
        && matches!(standing(mount, account, key).await, Ok(Standing { switch: Switch::Off | Switch::Dead(_), .. }))
}

/// How an existing key stands.
pub async fn standing(mount: &AiMount, account: &Account, key: &Ref) -> Result<Standing, Fault> {
    let signer = account.signer(mount);
    let cx = account.cx(mount, &signer);
    let asked = tokio::time::timeout(STANDING_BUDGET, account.vendor.standing(&cx, key)).await;
    asked.unwrap_or_else(|_| Err(Fault::unknown("did not answer in time")))
}

async fn end_as(mount: &AiMount, account: &Account, key: &Ref, secret: Option<&Secret>) -> Result<Gone, Fault> {
    let signer = account.signer(mount);
    let cx = account.cx(mount, &signer);
    let ended = tokio::time::timeout(VENDOR_BUDGET, account.vendor.end(&cx, key, secret)).await;
    ended.unwrap_or_else(|_| Err(Fault::unknown("did not answer in time")))
}

/// Switches off the key of a library's row, and drops the row once that is certain; the sweep goes on where it is not. To
/// be called with the row's lock held.
pub async fn end_row(mount: &AiMount, row: Row) -> Result<()> {
    if !row.has_account() {
        return mount.ledger.delete(&row.id).await;
    }
    let row = fenced(mount, row).await?;
    let owner = mount.owner(&row.account()).await?;
    let ended = match row.key.clone() {
        Some(key) => end(mount, &owner, &key.into(), None).await,
        None => Err(Fault::unknown("does not know the key yet")),
    };
    step("revoke.after-vendor").await;
    match ended {
        Ok(gone) if is_settled(mount, &owner.account, &row, gone) => mount.ledger.delete(&row.id).await,
        Ok(_) => Ok(()),
        Err(fault) => Err(upstream::error(owner.account.vendor.as_ref(), fault, None)),
    }
}

/// Stores that a key is on its way back, before the vendor hears of it: a node that is not the leader any more, and reads
/// what was, cannot write, and so does not switch off what somebody else has by now.
pub async fn fenced(mount: &AiMount, row: Row) -> Result<Row> {
    let row = Row { state: State::Revoking, ..row };
    mount.ledger.put(&row).await?;
    Ok(row)
}

/// Whether a row may go: the vendor has confirmed that its key is gone. "Gone already" proves nothing of a key so fresh that
/// the vendor may not know it everywhere, and an order that the vendor only took is not carried out: the sweep asks again.
pub fn is_settled(mount: &AiMount, account: &Account, row: &Row, gone: Gone) -> bool {
    match (gone, account.vendor.about().can.find) {
        (Gone::Now, _) => true,
        (Gone::Already, Find::ByName { lag }) => mount.clock.now() >= row.created + lag,
        (Gone::Already, Find::ByOurId | Find::Never | Find::Unneeded) => true,
        (Gone::Later, _) => false,
    }
}

/// Ends whatever carries exactly this name; returns how many keys that were. A helper object alone does not count:
/// the key that it was made for may be missing from a listing that lags.
pub async fn end_by_name(mount: &AiMount, owner: &Owner, name: &KeyName, listing: &[Found]) -> Result<usize, Fault> {
    let mut keys = 0;
    for found in listing.iter().filter(|found| found.name == name.0) {
        end(mount, owner, &found.key, None).await?;
        keys += usize::from(found.is_key);
    }
    Ok(keys)
}

/// Everything at the vendor that carries this mount's tag, by whichever credential the vendor takes.
pub async fn list(mount: &AiMount, owner: &Owner, limit: Duration) -> Result<Vec<Found>, Fault> {
    match (list_as(mount, &owner.account, limit).await, &owner.newer) {
        (Err(fault), Some(newer)) if fault.kind == FaultKind::Refused => list_as(mount, newer, limit).await,
        (listed, _) => listed,
    }
}

async fn list_as(mount: &AiMount, account: &Account, limit: Duration) -> Result<Vec<Found>, Fault> {
    let signer = account.signer(mount);
    let cx = account.cx(mount, &signer);
    let prefix = format!("{}-", mount.tag);
    let pages =
        async {
            let mut all = Vec::new();
            let mut from: Option<Cursor> = None;
            for _ in 0..PAGE_LIMIT {
                let page = account.vendor.list(&cx, &prefix, from.clone()).await?;
                // A vendor that filters by substring, or not at all, must not bring in another mount's.
                all.extend(page.found.into_iter().filter(|found| {
                    naming::id_of(&found.name, &mount.tag).is_some() && found.key.id.len() <= ID_LIMIT
                }));
                if all.len() > FOUND_LIMIT {
                    return Err(Fault::unknown(format!("lists more than {FOUND_LIMIT} keys of this mount")));
                }
                if page.next.is_none() {
                    return Ok(all);
                }
                // Not the end: what comes behind it was not listed.
                if page.next == from {
                    return Err(Fault::unknown("repeats a page of its list"));
                }
                from = page.next;
            }
            Err(Fault::unknown(format!("lists more than {PAGE_LIMIT} pages")))
        };
    let listed = tokio::time::timeout(limit, pages).await;
    listed.unwrap_or_else(|_| Err(Fault::unknown("did not list its keys in time")))
}
