//! How every key is made: its row first, then the vendor, then the row again.

use std::sync::Arc;

use super::super::accounts::{Account, Owner};
use super::super::mount::AiMount;
use super::super::step::step;
use super::super::times::{MINT_BUDGET, VENDOR_BUDGET};
use super::super::upstream;
use super::at_vendor;
use super::ledger::{Row, RowKind, State};
use super::running::RunningMint;
use crate::base::{Secret, Time};
use crate::logical::{Error, Result};
use crate::providers::{End, Fault, Issued, KeyName, Order, Purpose, Ref, Scope, Signer};

/// A key that is being made: its row is stored, and the sweep leaves it alone while this is held.
pub struct Mint<'a> {
    mount: &'a AiMount,
    /// As it was stored last.
    pub row: Row,
    _running: RunningMint<'a>,
}

/// What is asked of the vendor.
pub struct Asked<'a> {
    pub purpose: Purpose,
    pub scope: &'a Scope,
    pub until: Option<Time>,
    /// The key that must go on working beside it.
    pub keeps: Option<&'a Ref>,
}

impl<'a> Mint<'a> {
    /// Stores the row.
    ///
    /// # Errors
    /// Nothing was made then, and no row is left that the sweep would not drop.
    pub async fn start(mount: &'a AiMount, row: Row) -> Result<Self> {
        let built = mount.clock.monotonic();
        let running = mount.running.start(&row.id)?;
        step("mint.before-row").await;
        if let Err(error) = mount.ledger.put(&row).await {
            // The write may have gone through all the same.
            let _ = mount.ledger.delete(&row.id).await;
            return Err(error);
        }
        step("mint.after-row").await;
        if mount.clock.monotonic().saturating_sub(built) > MINT_BUDGET {
            mount.ledger.delete(&row.id).await?;
            return Err(Error::Unavailable("storage is too slow: no key was made, try again".into()));
        }
        Ok(Self { mount, row, _running: running })
    }

    /// Asks the vendor, and enters into the row where the key is, for the caller to store. Where the vendor certainly made
    /// nothing the row goes at once; else it stays for the sweep.
    pub async fn issue(&mut self, account: &Account, signer: &dyn Signer, asked: Asked<'_>) -> Result<Issued> {
        let Asked { purpose, scope, until, keeps } = asked;
        let name = KeyName(self.row.name.clone());
        let order = Order { purpose, name: &name, scope, until, keeps };
        let cx = account.cx(self.mount, signer);
        let issued = tokio::time::timeout(VENDOR_BUDGET, account.vendor.issue(&cx, &order)).await;
        match issued.unwrap_or_else(|_| Err(Fault::unknown("did not answer in time"))) {
            Ok(issued) => {
                step("mint.after-vendor").await;
                self.row.key = Some(issued.key.clone().into());
                self.row.vendor_expiry = issued.expires;
                Ok(issued)
            }
            Err(fault) => Err(self.failed(account, fault).await),
        }
    }

    /// Switches on the key that the row is of.
    pub async fn activate(&self, account: &Account, key: &Ref) -> Result<()> {
        let signer = account.signer(self.mount);
        let cx = account.cx(self.mount, &signer);
        let activated = tokio::time::timeout(VENDOR_BUDGET, account.vendor.activate(&cx, key)).await;
        match activated.unwrap_or_else(|_| Err(Fault::unknown("did not answer in time"))) {
            Ok(()) => {
                step("mint.after-vendor").await;
                Ok(())
            }
            Err(fault) => Err(self.failed(account, fault).await),
        }
    }

    /// The vendor's answer was no key.
    async fn failed(&self, account: &Account, fault: Fault) -> Error {
        let mount = self.mount;
        if fault.kind.made_nothing()
            && let Err(error) = mount.ledger.delete(&self.row.id).await
        {
            tracing::warn!(mount = mount.tag, id = self.row.id, %error, "the row of a key that was not made stays for the sweep");
        }
        let after = match self.row.kind {
            RowKind::Library => "the key is switched off again; asking again is safe",
            RowKind::Token => "a token that it may have made is with nobody and ends by itself; asking again is safe",
            RowKind::Lease | RowKind::Admin | RowKind::Static => {
                "what it may have made is found and deleted; asking again is safe"
            }
        };
        upstream::error(account.vendor.as_ref(), fault, Some(after))
    }

    /// Deletes a key that nobody will get. What fails stays for the sweep.
    pub async fn undo(self, account: &Arc<Account>, secret: &Secret) {
        let Self { mount, mut row, .. } = self;
        // As for whoever else ends it: nobody settles it meanwhile and lends the key to the next one.
        let _lock = match row.kind {
            RowKind::Library => Some(mount.ledger.locks.write(&row.id).await),
            RowKind::Lease | RowKind::Token | RowKind::Admin | RowKind::Static => None,
        };
        if row.kind == RowKind::Library {
            row = match at_vendor::fenced(mount, row).await {
                Ok(row) => row,
                // Perhaps this node leads no more, and somebody else has the key by now: it is the leader's sweep's.
                Err(error) => {
                    return tracing::warn!(mount = mount.tag, %error, "a key that was switched on is the sweep's");
                }
            };
        }
        let Some(key) = row.key.clone() else { return };
        // A token that lives on has a row as long as it does.
        if row.state == State::Expiring
            && let Err(error) = mount.ledger.put(&row).await
        {
            tracing::warn!(mount = mount.tag, id = row.id, %error, "the row of a token may go before the token ends");
        }
        let secret = match account.vendor.ends(&account.parsed) {
            // Its row stays until it ends.
            End::Expires => return,
            End::BySecret => Some(secret),
            End::Delete | End::Deactivate | End::Regenerate => None,
        };
        let owner = Owner { account: account.clone(), newer: None };
        match at_vendor::end(mount, &owner, &key.into(), secret).await {
            Ok(gone) if at_vendor::is_settled(mount, account, &row, gone) => {
                if let Err(error) = mount.ledger.delete(&row.id).await {
                    tracing::warn!(mount = mount.tag, %error, "the row of a deleted key stays for the sweep");
                }
                return;
            }
            Ok(_) => {}
            Err(fault) => {
                tracing::warn!(mount = mount.tag, id = row.id, %fault, "a key that was not handed out stays for the sweep");
            }
        }
        mount.ledger.keep_for_the_sweep(row).await;
    }
}

/// Whether it has only characters that keys have.
pub fn is_plain(text: &Secret) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=:".contains(&byte);
    !text.expose().is_empty() && text.expose().bytes().all(plain)
}

/// Fails for a key that should reach nobody: keys end in files that shells read, and in headers.
pub fn check_plain(issued: &Issued) -> Result<()> {
    if issued.parts.values().chain([&issued.secret]).all(is_plain) {
        return Ok(());
    }
    Err(Error::Unavailable("the vendor made a key with characters that no key has, and it was deleted".into()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::logical::Object;

    fn issued(secret: &str) -> Issued {
        let key = Ref { id: "k_1".into(), extra: Object::new() };
        let (parts, headers, warnings) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Issued { key, secret: secret.into(), parts, expires: None, headers, warnings }
    }

    #[test]
    fn a_key_that_a_shell_would_run_is_not_handed_out() {
        for good in ["sk-svcacct-0aZ_9", "sk-or-v1-0f", "AIza.b+c/d=", "a:b~c"] {
            check_plain(&issued(good)).expect(good);
        }
        for bad in ["", "sk-$(id)", "sk-a;id", "sk-a b", "sk-a\nB=c", "sk-'", "sk-\u{e9}"] {
            check_plain(&issued(bad)).expect_err(bad);
        }
    }
}
