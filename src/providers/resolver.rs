use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::account::reachable;

/// Where clouds serve metadata by name: whatever the name resolves to here, a proxy may be in such a cloud.
const METADATA_NAMES: [&str; 7] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
];
/// Longest look-up of a name that a proxy is to connect to. Where no resolver answers, each call would wait for it.
const LOOKUP_LIMIT: Duration = Duration::from_secs(2);

/// Resolves names by the system and drops every address that must not be reached. Asked at each new connection, so
/// a name that pointed elsewhere when it was written is judged anew.
pub(super) struct Resolver;

/// The address, or all addresses of the name, are link-local or of a metadata service.
#[derive(Debug, thiserror::Error)]
#[error("the host is at an address that may not be reached: link-local, metadata, multicast or unspecified")]
pub(super) struct OutOfReach;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is filled in by the caller.
            let found: Vec<SocketAddr> = lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<SocketAddr> = found.iter().copied().filter(|at| reachable(at.ip())).collect();
            if addresses.is_empty() && !found.is_empty() {
                return Err(OutOfReach.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Checks a host as it is written: an address is never given to a resolver.
pub(super) fn check_host(url: &Url) -> Result<(), OutOfReach> {
    let name = url.host_str().unwrap_or_default().trim_end_matches('.');
    let forbidden = METADATA_NAMES.contains(&name) || literal(url).is_some_and(|address| !reachable(address));
    if forbidden { Err(OutOfReach) } else { Ok(()) }
}

/// Checks what the name of a host that a proxy will connect to is here: one address out of reach is enough to refuse it,
/// for the proxy chooses. A name that cannot be resolved passes: behind a proxy that is the only way out, many a machine
/// resolves nothing from outside, and what is only known to the proxy is its operator's to guard.
pub(super) async fn check_resolved(url: &Url) -> Result<(), OutOfReach> {
    let host = url.host_str().unwrap_or_default();
    let Ok(Ok(mut found)) = timeout(LOOKUP_LIMIT, lookup_host((host, 0))).await else { return Ok(()) };
    if found.any(|at| !reachable(at.ip())) { Err(OutOfReach) } else { Ok(()) }
}

/// Whether the host of a URL is written as an address.
pub(super) fn is_literal(url: &Url) -> bool {
    literal(url).is_some()
}

/// Whether a URL names this machine: `localhost`, or a loopback address.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str() == Some("localhost") || literal(url).is_some_and(|address| address.to_canonical().is_loopback())
}

fn literal(url: &Url) -> Option<IpAddr> {
    // The URL parser has brought every spelling (`0x7f.1`, `2130706433`) into the usual one.
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolve(name: &str) -> Result<Vec<IpAddr>, bool> {
        let found = Resolver.resolve(name.parse().expect("a name")).await;
        found.map(|addresses| addresses.map(|at| at.ip()).collect()).map_err(|error| error.is::<OutOfReach>())
    }

    #[tokio::test]
    async fn what_a_name_resolves_to_is_judged() {
        assert!(resolve("localhost").await.expect("found").iter().all(IpAddr::is_loopback));
        assert!(resolve("169.254.169.254").await.expect_err("metadata"));
        assert!(!resolve("no-such-host.invalid").await.expect_err("no such name"));
    }

    #[tokio::test]
    async fn what_a_proxy_is_to_connect_to_is_judged() {
        let check = async |url: &str| check_resolved(&url.parse().expect("a URL")).await.is_ok();
        assert!(check("https://localhost/v1").await);
        assert!(check("https://no-such-host.invalid").await, "the proxy may know it");
        assert!(!check("https://169.254.169.254").await);
    }

    #[test]
    fn metadata_is_out_of_reach_by_name() {
        for url in ["https://metadata", "https://METADATA.google.internal./computeMetadata", "https://instance-data"] {
            assert!(check_host(&url.parse().expect("a URL")).is_err(), "{url}");
        }
        assert!(check_host(&"https://metadata.example".parse().expect("a URL")).is_ok());
    }
}
