use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::account::reachable;

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
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Vec<SocketAddr> = found.iter().copied().filter(|at| reachable(at.ip())).collect();
            if addresses.is_empty() && !found.is_empty() {
                return Err(OutOfReach.into());
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Checks a host that is written as an address: such a host is never given to a resolver.
pub(super) fn check_literal(url: &Url) -> Result<(), OutOfReach> {
    match literal(url) {
        Some(address) if !reachable(address) => Err(OutOfReach),
        _ => Ok(()),
    }
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
}
