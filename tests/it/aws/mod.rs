//! The vendors at AWS, against AWS's own Python code: its generator of keys, and an emulator of IAM that checks
//! signatures and holds each request against AWS's own model of the API. `simulated` asks the vendor simulator, which
//! knows what keys are good for.

mod iam;
mod server;
mod simulated;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use vault_plugin_secrets_ai::base::{Clock, Secret, SystemRng, Time};
use vault_plugin_secrets_ai::providers::{
    Account, Cursor, Cx, Fault, Found, Gone, Http, Issued, KeyName, Network, Order, Probe, Purpose, Ref, Scope, Signer,
    Vendor, by_name,
};
use vault_plugin_secrets_ai::schema::{Field, Values};

/// A vendor with an account.
pub struct Stage {
    vendor: Arc<dyn Vendor>,
    account: Account,
    scope: Scope,
    http: Http,
    clock: Still,
}

/// A clock that stands.
struct Still(Time);

impl Clock for Still {
    fn now(&self) -> Time {
        self.0
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Signs nothing: for vendors that want no assertion.
struct NoIssuer;

#[async_trait::async_trait]
impl Signer for NoIssuer {
    async fn sign(&self, _: &str, _: Duration) -> Result<Secret, Fault> {
        Err(Fault::invalid("was not asked: there is no issuer here"))
    }
}

impl Stage {
    pub fn new(name: &str, now: Time, config: &Value, scope: &Value) -> Self {
        let vendor = by_name(name).expect("a vendor");
        let account = vendor.account(&values(&vendor.about().account, config)).expect("an account");
        let scope = vendor.scope(&account, &values(&vendor.about().scope, scope)).expect("a scope");
        Self { vendor, account, scope, http: Http::new(&Network::default()).expect("a client"), clock: Still(now) }
    }

    fn cx(&self) -> Cx<'_> {
        Cx { account: &self.account, http: &self.http, clock: &self.clock, rng: &SystemRng, signer: &NoIssuer }
    }

    pub async fn issue(&self, name: &str, life: Duration) -> Result<Issued, Fault> {
        let name = KeyName(name.to_owned());
        let until = Some(self.clock.now() + life);
        let order = Order { purpose: Purpose::Lease, name: &name, scope: &self.scope, until, keeps: None };
        self.vendor.issue(&self.cx(), &order).await
    }

    pub async fn end(&self, key: &Ref) -> Result<Gone, Fault> {
        self.vendor.end(&self.cx(), key, None).await
    }

    pub async fn probe(&self) -> Result<Probe, Fault> {
        self.vendor.probe(&self.cx()).await
    }

    /// All pages, with how many there were.
    pub async fn list(&self, prefix: &str) -> Result<(Vec<Found>, usize), Fault> {
        let mut all = Vec::new();
        let mut from: Option<Cursor> = None;
        for pages in 1.. {
            let page = self.vendor.list(&self.cx(), prefix, from).await?;
            all.extend(page.found);
            from = page.next;
            if from.is_none() {
                return Ok((all, pages));
            }
        }
        unreachable!("an endless listing")
    }
}

fn values(fields: &[Field], body: &Value) -> Values {
    Values::parse(fields, body.as_object().expect("an object")).expect("valid").0
}
