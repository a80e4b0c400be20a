use std::time::Duration;

use crate::schema::format_duration;

/// A limit on a lease's life, and whose it is.
pub struct Cap {
    pub limit: Duration,
    /// As in "the mount's max_lease_ttl".
    pub of: &'static str,
}

/// `ttl` under every cap, and a warning for each that cut it. Equal is allowed.
pub fn capped(mut ttl: Duration, caps: &[Cap]) -> (Duration, Vec<String>) {
    let mut warnings = Vec::new();
    for cap in caps {
        if ttl > cap.limit {
            warnings.push(format!(
                "ttl of {} is more than {} of {}: capped",
                format_duration(ttl),
                cap.of,
                format_duration(cap.limit)
            ));
            ttl = cap.limit;
        }
    }
    (ttl, warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_is_allowed_and_every_cut_is_told() {
        let hour = Duration::from_secs(3600);
        let caps = [Cap { limit: hour, of: "the role's max_ttl" }, Cap { limit: hour / 2, of: "the mount's limit" }];
        assert_eq!(capped(hour / 2, &caps), (hour / 2, vec![]));
        let (ttl, warnings) = capped(hour * 2, &caps);
        assert_eq!(ttl, hour / 2);
        assert_eq!(warnings[0], "ttl of 2h is more than the role's max_ttl of 1h: capped");
        assert_eq!(warnings.len(), 2);
    }
}
