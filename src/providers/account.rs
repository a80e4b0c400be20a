use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;

use crate::base::Secret;
use crate::schema::Values;

/// One account at a vendor, parsed.
#[derive(Clone, Debug)]
pub struct Account {
    /// Base of the admin API, without a trailing `/`.
    pub endpoint: Url,
    /// What clients set as their base URL.
    pub client_url: String,
    /// Fields that are not secret.
    pub identity: Values,
    pub credential: Secret,
}

/// How an account's requests travel: chosen by the operator, the same for every vendor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// Plain HTTP to a host other than loopback.
    pub allow_http: bool,
    /// An HTTP proxy for this account; the environment's proxies are ignored.
    pub proxy_url: Option<String>,
    /// PEM certificates trusted beside the public roots.
    pub ca_cert: Option<String>,
}

/// Whether an address may be connected to. Link-local addresses carry cloud metadata (169.254.169.254,
/// fd00:ec2::254, 100.100.100.200): credentials of the machine that a config writer must not reach.
pub fn reachable(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_unspecified()
                || v4 == Ipv4Addr::new(100, 100, 100, 200)
                || v4 == Ipv4Addr::new(192, 0, 0, 192))
        }
        IpAddr::V6(v6) => {
            let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
            let aws_metadata = v6.segments() == [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254];
            !(link_local || aws_metadata || v6.is_multicast() || v6.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_out_of_reach_in_every_spelling() {
        for address in ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "fe80::1", "0.0.0.0", "::"] {
            assert!(!reachable(address.parse().expect("an address")), "{address}");
        }
        for address in ["127.0.0.1", "10.0.0.1", "::1", "1.1.1.1"] {
            assert!(reachable(address.parse().expect("an address")), "{address}");
        }
    }
}
