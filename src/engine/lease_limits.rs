use std::time::Duration;

use super::mount::AiMount;
use crate::logical::Result;
use crate::schema::{Change, Invalid, format_duration};

/// How long leases may live, as a role or a library set says.
#[derive(Clone, Copy)]
pub struct LeaseLimits {
    pub ttl: Option<Duration>,
    pub max_ttl: Option<Duration>,
    /// What warnings call the two.
    pub called: [&'static str; 2],
}

impl LeaseLimits {
    /// These with the changes over them. Zero means "not set", as in Vault's own engines.
    pub fn changed(self, ttl: Change<Duration>, max_ttl: Change<Duration>) -> Result<Self> {
        let positive = |duration: Option<Duration>| duration.filter(|duration| !duration.is_zero());
        let limits =
            Self { ttl: positive(ttl.apply(self.ttl)), max_ttl: positive(max_ttl.apply(self.max_ttl)), ..self };
        match (limits.ttl, limits.max_ttl) {
            (Some(ttl), Some(max_ttl)) if ttl > max_ttl => {
                let [ttl, max_ttl] = [ttl, max_ttl].map(format_duration);
                Err(Invalid::new("ttl", format!("{ttl} is more than max_ttl, {max_ttl}")).into())
            }
            _ => Ok(limits),
        }
    }

    /// What the mount will cut, and what it gives at the most; nothing where it does not say.
    pub async fn warnings(&self, mount: &AiMount) -> Vec<String> {
        let Ok(limit) = mount.system.max_lease_ttl().await else { return Vec::new() };
        let over = |field: &str, value: Option<Duration>| {
            let value = value.filter(|value| *value > limit)?;
            Some(format!(
                "{field} of {} is more than the mount's max_lease_ttl of {}: leases are capped to that",
                format_duration(value),
                format_duration(limit)
            ))
        };
        over("ttl", self.ttl).into_iter().chain(over("max_ttl", self.max_ttl)).collect()
    }
}
