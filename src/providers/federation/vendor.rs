use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::super::answer::seconds_until;
use super::super::vendor::{
    Abilities, About, Cursor, Cx, End, Expiry, Find, Gone, Issued, Limits, Order, Page, Probe, Purpose, Ref, Scope,
    Source, Text, Vendor,
};
use super::super::{Account, Fault, FaultKind};
use super::exchange::Exchange;
use super::trust;
use crate::base::{Secret, Time};
use crate::schema::{Field, Invalid, Values};

/// A vendor whose tokens are exchanged for assertions about who asks. Roles have no fields: what a token may do is in the
/// vendor's own rule, and a role cannot widen what the config names.
pub(in super::super) struct Federated {
    about: About,
    terms: Terms,
}

/// What such a vendor is, and how it differs from the others.
pub(super) struct Terms {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) url: &'static str,
    /// Fields of a config beside `audience` and `api_url`.
    pub(super) account: Vec<Field>,
    pub(super) limits: Limits,
    pub(super) exchange: Exchange,
    /// The life of the assertion that gives a token of this life.
    pub(super) assertion: fn(Duration) -> Duration,
    /// Headers that a client must send beside its token.
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// Whom a token acts for.
    pub(super) identity: fn(&Values) -> String,
    /// What ends a token before its time, if anything does.
    pub(super) revocation: &'static str,
    pub(super) unproven: Vec<Text>,
}

/// A token that ends so much before what was asked for is worth a word.
const SHORTER: Duration = Duration::from_secs(30);

impl Federated {
    pub(super) fn new(mut terms: Terms) -> Self {
        let mut account = std::mem::take(&mut terms.account);
        account.extend(trust::fields(terms.url));
        let about = About {
            name: terms.name.into(),
            title: terms.title.into(),
            account,
            identity_is_complete: true,
            scope: Vec::new(),
            can: Abilities {
                source: Source::Token,
                end: End::Expires,
                find: Find::Never,
                expiry: Expiry::Fixed(terms.limits),
                purposes: &[Purpose::Lease],
                limits: Vec::new(),
                unused: Vec::new(),
                tries_keys: false,
            },
            // It is in the ledger only: no vendor keeps a name of a token.
            name_limit: 64,
            revocation: terms.revocation.into(),
            unproven: std::mem::take(&mut terms.unproven),
        };
        Self { about, terms }
    }
}

#[async_trait]
impl Vendor for Federated {
    fn about(&self) -> &About {
        &self.about
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        let mut account = Account::read(&self.about, values, None, self.terms.url)?;
        trust::settle(&mut account, values, self.terms.url)?;
        Ok(account)
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        Ok(Scope(values.only(&self.about.scope)))
    }

    /// Exchanges the config's own assertion for a token of the shortest life: there is nothing else to ask. Its `sub` is no
    /// role's, so a rule about one role refuses it, and rightly: that is a warning. A rule that takes it is a wide one.
    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        let shortest = self.terms.limits.shortest;
        let mut probe = Probe { identity: Some((self.terms.identity)(&cx.account.identity)), ..Probe::default() };
        match self.terms.exchange.token(cx, (self.terms.assertion)(shortest)).await {
            Ok(_) => probe.warnings.push(
                "the vendor's rule took an assertion about this config itself, so it is not limited to one role; the token that it gave was dropped, and ends by itself".into(),
            ),
            Err(fault) if fault.kind == FaultKind::Refused => probe.warnings.push(format!(
                "the assertion about this config itself was refused, as it should be where the vendor's rule names a role; only creds/<role> can try that. {} {}",
                self.terms.exchange.title, fault.text
            )),
            Err(fault) => return Err(fault),
        }
        Ok(probe)
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        if order.purpose != Purpose::Lease {
            return Err(Fault::invalid("gives tokens only, which end by themselves"));
        }
        let Terms { limits, exchange, .. } = &self.terms;
        let now = cx.clock.now();
        let until = order.until.unwrap_or(now + limits.shortest);
        let life = Duration::from_secs(seconds_until(now, until, limits.longest)).max(limits.shortest);
        let granted = exchange.token(cx, (self.terms.assertion)(life)).await?;
        let mut warnings = Vec::new();
        if granted.expires + SHORTER < until {
            let left = (granted.expires - now).num_seconds();
            warnings.push(format!(
                "{} gave a token for {left} s in place of {} s: it gives no longer one by {}",
                exchange.title,
                life.as_secs(),
                exchange.rule
            ));
        }
        let headers = self.terms.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Issued {
            // The vendor has no id for it.
            key: Ref::new(&order.name.0, &[]),
            secret: granted.value,
            parts: BTreeMap::new(),
            expires: Some(granted.expires),
            headers: headers.collect(),
            warnings,
        })
    }

    async fn end(&self, _: &Cx<'_>, _: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        Err(Fault::invalid("revokes no token: it ends by itself"))
    }

    async fn extend(&self, _: &Cx<'_>, _: &Ref, _: Time) -> Result<Time, Fault> {
        Err(Fault::invalid("cannot move the end of a token"))
    }

    async fn list(&self, _: &Cx<'_>, _: &str, _: Option<Cursor>) -> Result<Page, Fault> {
        Ok(Page::default())
    }
}
