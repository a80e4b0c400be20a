use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use serde_json::{Map, Value};

use super::About;
use super::resolver::is_loopback;
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
    /// Those of them that do not say whose account it is.
    pub apart: Vec<String>,
    /// Every field that is secret, by its name.
    pub secrets: BTreeMap<String, Secret>,
    /// Name of the secret that is presented, or of the chief one of several; none where nothing is stored and the account
    /// presents what the vendor gives for an assertion.
    pub credential_field: Option<String>,
}

impl Account {
    /// The secret that is presented, or the chief one of several.
    pub fn credential(&self) -> Option<&Secret> {
        self.secrets.get(self.credential_field.as_ref()?)
    }

    /// Whether both are one account, as far as their fields say.
    pub fn is_same(&self, other: &Self) -> bool {
        let of = |account: &Self| {
            let mut fields = account.identity.to_object();
            fields.retain(|field, _| !account.apart.contains(field));
            fields
        };
        of(self) == of(other)
    }

    /// A secret by the name of its field; empty where there is none.
    pub(super) fn secret(&self, field: &str) -> &str {
        self.secrets.get(field).map(Secret::expose).unwrap_or_default()
    }

    /// Reads what every vendor's account has: the credential in the field of that name, and `api_url`. No name is for
    /// accounts that store no credential.
    ///
    /// # Errors
    /// Where the credential is absent or holds what no header can carry, or `api_url` is more than a base URL.
    pub(super) fn read(
        about: &About,
        values: &Values,
        credential: Option<&str>,
        default_url: &str,
    ) -> Result<Self, Invalid> {
        let endpoint = base_url("api_url", values.text("api_url").unwrap_or(default_url))?;
        let public: Vec<Field> = about.account.iter().filter(|field| field.kind != Kind::Secret).cloned().collect();
        let mut identity = values.only(&public);
        let client_url = endpoint.as_str().trim_end_matches('/').to_owned();
        // The default is written out, so that naming it later does not make another account of this one.
        identity.insert("api_url", client_url.as_str().into());
        let mut secrets = BTreeMap::new();
        for field in about.account.iter().filter(|field| field.kind == Kind::Secret) {
            let Some(secret) = values.text(&field.name) else { continue };
            // A key file is JSON, and goes into no header.
            let file =
                secret.trim_start().starts_with('{') && serde_json::from_str::<Map<String, Value>>(secret).is_ok();
            if !file && !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                let problem = "holds white space or characters that no key has: was a line end pasted?";
                return Err(Invalid::new(field.name.as_ref(), problem));
            }
            secrets.insert(field.name.to_string(), Secret::from(secret));
        }
        if let Some(field) = credential {
            values.need(field)?;
        }
        let credential_field = credential.map(str::to_owned);
        Ok(Self { endpoint, client_url, identity, apart: Vec::new(), secrets, credential_field })
    }

    /// Checks that nobody between here and the vendor reads what the account presents. Where a credential is stored, a
    /// write that changes the way must bring it along; where none is, there is nothing to bring, and who may write a
    /// config could have assertions about others sent past a server of their own. So the way is fixed: TLS to the public
    /// roots, through a proxy or not, or this machine without one.
    ///
    /// # Errors
    /// Names the field `ca_cert` or `proxy_url`.
    pub fn check_network(&self, network: &Network) -> Result<(), Invalid> {
        if self.credential_field.is_some() {
            return Ok(());
        }
        if network.ca_cert.is_some() {
            let problem = "cannot be set for an account that stores no credential: whoever has that certificate's key could read assertions";
            return Err(Invalid::new("ca_cert", problem));
        }
        if network.proxy_url.is_some() && is_loopback(&self.endpoint) {
            let problem = "cannot be set for an account that stores no credential and whose api_url is this machine: the proxy could read assertions";
            return Err(Invalid::new("proxy_url", problem));
        }
        Ok(())
    }
}

/// The URL of a field that credentials or clients are sent to.
///
/// # Errors
/// Names the field.
pub(super) fn url(field: &str, text: &str) -> Result<Url, Invalid> {
    let bad = |problem: &str| Invalid::new(field, problem);
    let url: Url = text.trim().parse().map_err(|_| bad("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("must be an https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("must not hold a user or a password"));
    }
    if url.fragment().is_some() {
        return Err(bad("must not hold a fragment"));
    }
    Ok(url)
}

/// A URL that paths are put behind: without a query and without a final `/`.
pub(super) fn base_url(field: &str, text: &str) -> Result<Url, Invalid> {
    let mut url = url(field, text)?;
    if url.query().is_some() {
        return Err(Invalid::new(field, "must not hold a query"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    // It is handed out with the keys, and ends in files that shells read.
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~%:@+,=".contains(c);
    if let Some(odd) = path.chars().find(|c| !plain(*c)) {
        return Err(Invalid::new(field, format!("must not hold {odd:?} in its path")));
    }
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

/// Whether an address may be connected to. Link-local addresses and a few others carry the metadata of clouds:
/// credentials of the machine that a config writer must not reach.
pub fn reachable(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => reachable_v4(v4),
        // Not embedded, but this machine.
        IpAddr::V6(Ipv6Addr::LOCALHOST) => true,
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            let link_local = segments[0] & 0xffc0 == 0xfe80;
            let aws = segments[..2] == [0xfd00, 0x0ec2];
            let google = segments == [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254];
            let oracle = segments == [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe];
            let forbidden = link_local || aws || google || oracle || v6.is_multicast() || v6.is_unspecified();
            !forbidden && embedded(segments).into_iter().flatten().all(reachable_v4)
        }
    }
}

fn reachable_v4(v4: Ipv4Addr) -> bool {
    // Alibaba, Oracle, Azure.
    let metadata = [[100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]].contains(&v4.octets());
    let forbidden = metadata || v4.is_link_local() || v4.is_broadcast() || v4.is_multicast() || v4.is_unspecified();
    !forbidden
}

/// The IPv4 addresses that a gateway may take an IPv6 address for: IPv4-compatible, NAT64 (RFC 6052, RFC 8215), 6to4.
fn embedded(segments: [u16; 8]) -> [Option<Ipv4Addr>; 2] {
    let joined = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    let last = joined(segments[6], segments[7]);
    match segments {
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => [Some(last), None],
        // Behind a prefix of 48 bits the address goes around bits 64 to 71; behind one of 96 bits it comes last.
        [0x64, 0xff9b, 1, high, around, low, ..] => {
            let middle = joined(high, around << 8 | low >> 8);
            [last, middle].map(|v4| Some(v4).filter(|v4| !v4.is_unspecified()))
        }
        [0x2002, high, low, ..] => [Some(joined(high, low)), None],
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_a_host_and_a_path() {
        for (given, kept) in [("https://a.example/v1/", "https://a.example/v1"), ("http://a:1", "http://a:1/")] {
            assert_eq!(base_url("api_url", given).expect("valid").as_str(), kept);
        }
        for bad in [
            "a.example",
            "ftp://a",
            "https://u:p@a",
            "https://a/?q",
            "https://a/#f",
            "file:///etc",
            "https://a/$(id)",
            "https://a/v1;id",
        ] {
            assert_eq!(base_url("api_url", bad).expect_err(bad).field, "api_url");
        }
    }

    #[test]
    fn a_secret_is_one_word_or_a_key_file() {
        let about = crate::providers::by_name("xai").expect("a vendor");
        for (secret, good) in
            [("sk-1", true), ("{\n  \"private_key\": \"a b\"\n}", true), ("sk-1\n", false), ("{ a", false)]
        {
            let given = serde_json::json!({"management_key": secret, "team_id": "t"});
            let values = Values::parse(&about.about().account, given.as_object().expect("an object")).expect("valid").0;
            assert_eq!(about.account(&values).is_ok(), good, "{secret}");
        }
    }

    #[test]
    fn metadata_addresses_are_out_of_reach_in_every_spelling() {
        for address in [
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "0.0.0.0",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "fd00:ec2:0:1::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!reachable(address.parse().expect("an address")), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "::1",
            "1.1.1.1",
            "64:ff9b::1.1.1.1",
            "64:ff9b:1::10.0.0.1",
            "2002:101:101::1",
            "2606:4700::1111",
            "fd00:ec3::1",
        ] {
            assert!(reachable(address.parse().expect("an address")), "{address}");
        }
    }
}
