//! The vendor's share: what the plugin asks of a vendor for one key, asked without the plugin's process and its host.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::Utc;
use serde_json::Value;
use vault_plugin_secrets_ai::base::{Secret, SystemClock, SystemRng};
use vault_plugin_secrets_ai::providers::{self, Account, Cx, Http, Issued, KeyName, Network, Order, Purpose, Scope};
use vault_plugin_secrets_ai::providers::{Fault, Ref, Signer, Vendor};
use vault_plugin_secrets_ai::schema::Values;

use crate::support::case::Case;
use crate::support::simulator::Simulator;

pub struct Direct {
    vendor: Arc<dyn Vendor>,
    account: Account,
    scope: Scope,
    http: Http,
    clock: SystemClock,
    made: AtomicU64,
}

impl Direct {
    pub fn new(case: &Case, simulator: &Simulator) -> Self {
        let values = |body: Value| Values::from(body.as_object().cloned().expect("an object"));
        let vendor = providers::by_name(case.provider).expect("a vendor");
        let account = vendor.account(&values(case.config(&simulator.url))).expect("an account");
        let role = values(case.role("")).only(&vendor.about().scope);
        let scope = vendor.scope(&account, &role).expect("a scope");
        let http = Http::new(&Network::default()).expect("a client");
        Self { vendor, account, scope, http, clock: SystemClock::default(), made: AtomicU64::new(0) }
    }

    fn cx(&self) -> Cx<'_> {
        Cx { account: &self.account, http: &self.http, clock: &self.clock, rng: &SystemRng, signer: &NoIssuer }
    }

    pub async fn issue(&self) -> Issued {
        let name = KeyName(format!("direct-{}", self.made.fetch_add(1, Ordering::Relaxed)));
        let limits = self.vendor.about().can.expiry.limits();
        let until = limits.map(|limits| Utc::now() + limits.shortest.max(std::time::Duration::from_secs(4200)));
        let order = Order { purpose: Purpose::Lease, name: &name, scope: &self.scope, until, keeps: None };
        self.vendor.issue(&self.cx(), &order).await.expect("a key")
    }

    pub async fn end(&self, key: &Ref) {
        self.vendor.end(&self.cx(), key, None).await.expect("ended");
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
