//! A lease as the host keeps it: what a renewal and a revocation send back to the plugin.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use vault_plugin_secrets_ai::vault::proto::pb;

/// A stored lease. A renewal replaces secret and data, as the host does.
#[derive(Clone)]
pub struct HostLease {
    pub path: String,
    pub data: Value,
    pub(super) secret: pb::Secret,
}

impl HostLease {
    /// As the host stores it: the time of issue is the host's.
    pub fn stored(path: &str, data: Value, secret: pb::Secret) -> Self {
        let mut lease = Self { path: path.to_owned(), data, secret };
        lease.options_mut().issue_time = Some(now());
        lease
    }

    pub fn ttl(&self) -> Duration {
        nanoseconds(self.options().ttl)
    }

    pub fn max_ttl(&self) -> Duration {
        nanoseconds(self.options().max_ttl)
    }

    pub fn renewable(&self) -> bool {
        self.options().renewable
    }

    pub fn internal(&self) -> Value {
        serde_json::from_str(&self.secret.internal_data).unwrap()
    }

    /// Moves the time of issue back, as if the lease were that old.
    pub fn age(&mut self, age: Duration) {
        let issued = self.options_mut().issue_time.as_mut().unwrap();
        issued.seconds -= i64::try_from(age.as_secs()).unwrap();
    }

    /// What the host asks for when it renews.
    pub(super) fn renewal(&self, increment: Duration) -> pb::Request {
        let mut secret = self.secret.clone();
        if let Some(options) = secret.lease_options.as_mut() {
            options.increment = i64::try_from(increment.as_nanos()).unwrap();
        }
        self.request("renew", secret)
    }

    pub(super) fn revocation(&self) -> pb::Request {
        self.request("revoke", self.secret.clone())
    }

    /// What a renewal's answer makes of it: the caller's increment goes before the plugin's ttl, never past
    /// the end that `max_ttl` sets.
    pub(super) fn renewed(&mut self, increment: Duration, data: Value, secret: pb::Secret) {
        let issued = self.options().issue_time;
        self.data = data;
        self.secret = secret;
        let options = self.options_mut();
        options.issue_time = issued;
        options.increment = 0;
        let wanted = if increment.is_zero() { options.ttl } else { i64::try_from(increment.as_nanos()).unwrap() };
        let (now, issued) = (now(), issued.unwrap_or_default());
        let left = options.max_ttl - (now.seconds - issued.seconds) * 1_000_000_000;
        options.ttl = if options.max_ttl > 0 { wanted.min(left) } else { wanted };
    }

    /// Renewals and revocations carry no id, no token and no lease id.
    fn request(&self, operation: &str, secret: pb::Secret) -> pb::Request {
        pb::Request {
            operation: operation.to_owned(),
            path: self.path.clone(),
            data: self.data.to_string(),
            secret: Some(secret),
            ..pb::Request::default()
        }
    }

    fn options(&self) -> pb::LeaseOptions {
        self.secret.lease_options.expect("a lease has options")
    }

    fn options_mut(&mut self) -> &mut pb::LeaseOptions {
        self.secret.lease_options.as_mut().expect("a lease has options")
    }
}

fn now() -> prost_types::Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    prost_types::Timestamp {
        seconds: since.as_secs().try_into().unwrap(),
        nanos: since.subsec_nanos().try_into().unwrap(),
    }
}

fn nanoseconds(count: i64) -> Duration {
    Duration::from_nanos(count.try_into().unwrap_or_default())
}
