use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;

use super::About;
use crate::base::Secret;
use crate::schema::{Field, Invalid, Kind, Values};

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

impl Account {
    /// Reads what every vendor's account has: the credential in the field of that name, and `api_url`.
    ///
    /// # Errors
    /// Where the credential holds what no header can carry, or `api_url` is more than a base URL.
    pub(super) fn read(about: &About, values: &Values, credential: &str, default_url: &str) -> Result<Self, Invalid> {
        let endpoint = base_url(values.text("api_url").unwrap_or(default_url))?;
        let public: Vec<Field> = about.account.iter().filter(|field| field.kind != Kind::Secret).cloned().collect();
        let mut identity = values.only(&public);
        let client_url = endpoint.as_str().trim_end_matches('/').to_owned();
        // The default is written out, so that naming it later does not make another account of this one.
        identity.insert("api_url", client_url.as_str().into());
        let secret = values.need(credential)?;
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Invalid::new(
                credential,
                "holds white space or characters that no key has: was a line end pasted?",
            ));
        }
        Ok(Self { endpoint, client_url, identity, credential: secret.into() })
    }
}

fn base_url(text: &str) -> Result<Url, Invalid> {
    let bad = |problem: &str| Invalid::new("api_url", problem);
    let mut url: Url = text.trim().parse().map_err(|_| bad("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("must be an https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("must not hold a query or a fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
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
    fn a_base_url_is_a_host_and_a_path() {
        for (given, kept) in [("https://a.example/v1/", "https://a.example/v1"), ("http://a:1", "http://a:1/")] {
            assert_eq!(base_url(given).expect("valid").as_str(), kept);
        }
        for bad in ["a.example", "ftp://a", "https://u:p@a", "https://a/?q", "https://a/#f", "file:///etc"] {
            assert_eq!(base_url(bad).expect_err(bad).field, "api_url");
        }
    }

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
