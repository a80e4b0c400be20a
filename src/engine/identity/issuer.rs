use std::net::IpAddr;

use reqwest::Url;

use crate::schema::Invalid;

/// Where this mount says that it is, as `iss` has it to the letter. Vendors compare it byte by byte with what they were
/// told, so only the one spelling of a URL is taken, and nothing is mended silently.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Issuer(String);

/// Longest issuer, in bytes: an assertion has to stay small.
const LENGTH_LIMIT: usize = 256;

impl Issuer {
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |problem: String| Invalid::new("issuer", problem);
        let example = "https://vault.example.com/v1/ai";
        if text.len() > LENGTH_LIMIT {
            return Err(invalid(format!("is longer than {LENGTH_LIMIT} characters")));
        }
        let url = Url::parse(text).map_err(|_| invalid(format!("is not a URL such as {example}")))?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(invalid("must be https: only a loopback address can have http".into())),
            _ => return Err(invalid(format!("must be an https URL such as {example}"))),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("must not hold a user name or a password: everybody reads it".into()));
        }
        // By the text: an empty query or fragment is one too.
        if text.contains(['?', '#']) {
            return Err(invalid("must not have a query or a fragment".into()));
        }
        if text.ends_with('/') {
            let without = text.trim_end_matches('/');
            return Err(invalid(format!("must not end with a slash, which vendors compare too: write {without:?}")));
        }
        let normal = url.as_str().trim_end_matches('/');
        if text != normal {
            return Err(invalid(format!(
                "has another spelling, and vendors compare it to the letter: write {normal:?}"
            )));
        }
        // What a shell, a log or a page of a vendor could take for something else.
        if !url.path().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte)) {
            return Err(invalid("may have only letters, digits, - . _ ~ and / in its path".into()));
        }
        if url.path().contains("//") {
            return Err(invalid("must not have an empty part in its path".into()));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the discovery document is, by the standard.
    pub fn discovery_url(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.0)
    }

    pub fn jwks_url(&self) -> String {
        format!("{}/.well-known/keys", self.0)
    }

    /// Whether nobody but this machine can reach it.
    pub fn is_local(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| is_loopback(&url))
    }

    /// Whether its path is the one under which a host serves this mount.
    pub fn leads_to(&self, mount_point: &str) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.path() == format!("/v1/{}", mount_point.trim_end_matches('/')))
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_one_spelling() {
        for good in [
            "https://vault.example.com",
            "https://vault.example.com/v1/ai",
            "https://vault.example.com:8200/v1/team-a/ai",
            "http://127.0.0.1:8200/v1/ai",
            "http://localhost/v1/ai",
            "http://[::1]:8200/v1/ai",
        ] {
            let issuer = Issuer::parse(good).expect(good);
            assert_eq!(issuer.discovery_url(), format!("{good}/.well-known/openid-configuration"));
        }
    }

    #[test]
    fn what_vendors_would_read_otherwise_is_refused() {
        for bad in [
            "",
            "vault.example.com",
            "https://",
            "ftp://vault.example.com",
            "javascript:alert(1)",
            "http://vault.example.com",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://10.0.0.1",
            "https://user@vault.example.com",
            "https://user:pw@vault.example.com",
            "https://vault.example.com?",
            "https://vault.example.com/?a=b",
            "https://vault.example.com/#",
            "https://vault.example.com#x",
            "https://vault.example.com/",
            "https://vault.example.com/v1/ai/",
            "https://Vault.example.com/v1/ai",
            "HTTPS://vault.example.com/v1/ai",
            "https://vault.example.com:443/v1/ai",
            "https://vault.example.com/v1/../ai",
            "https://vault.example.com/v1/%2e%2e/ai",
            "https://vault.example.com/v1//ai",
            "https://vault.example.com/v1/a i",
            "https://vault.example.com/v1/ai\n",
            " https://vault.example.com/v1/ai",
            "https://vault.example.com\\v1",
            "https://b\u{fc}cher.example/v1/ai",
            "https://vault.example.com/v1/\u{202e}ai",
            "https://vault.example.com/v1/ai'\"$(id)",
            "https://vault.example.com/%00",
        ] {
            let refused = Issuer::parse(bad).expect_err(bad);
            assert_eq!(refused.field, "issuer", "{bad}");
        }
        assert!(Issuer::parse(&format!("https://vault.example.com/{}", "a".repeat(LENGTH_LIMIT))).is_err());
    }

    #[test]
    fn the_way_out_is_told() {
        let told = |text| Issuer::parse(text).expect_err(text).problem;
        assert!(told("https://vault.example.com/v1/ai/").contains("write \"https://vault.example.com/v1/ai\""));
        assert!(told("https://VAULT.example.com:443/v1").contains("write \"https://vault.example.com/v1\""));
    }

    #[test]
    fn a_namespace_is_part_of_where_a_mount_is() {
        let issuer = Issuer::parse("https://vault.example.com/v1/team/ai").unwrap();
        assert!(issuer.leads_to("team/ai/") && !issuer.leads_to("ai/"));
    }
}
