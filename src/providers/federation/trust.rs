use super::super::Account;
use super::super::resolver::is_loopback;
use crate::schema::{Field, Invalid, Kind, Values};

/// The field of a config with what the vendor compares `aud` with.
pub(super) const AUDIENCE: &str = "audience";

/// Fields of a config that say to whom assertions go. `url` is the vendor's.
pub(super) fn fields(url: &'static str) -> [Field; 2] {
    [
        Field::new(AUDIENCE, Kind::Text, "What the vendor was told to expect as the audience of assertions.")
            .default("the api_url"),
        Field::new(
            "api_url",
            Kind::Url,
            "Base URL of the API: the vendor's own, or a server on this machine for tests.",
        )
        .default(url),
    ]
}

/// Fixes where an account's assertions go and for whom they are made.
///
/// Who may write a config is not trusted with assertions: they are about other people's roles, and whoever receives one can
/// exchange it at the vendor. A stored credential is safe from a changed `api_url` because the write must bring it along;
/// here there is nothing to bring. So assertions go to the vendor's own URL and nowhere else. A server on this machine, for
/// tests, gets assertions for itself: their audience is its URL, and no vendor takes those.
///
/// # Errors
/// Names the field `api_url` or `audience`.
pub(super) fn settle(account: &mut Account, values: &Values, url: &str) -> Result<(), Invalid> {
    let audience = values.text(AUDIENCE).map(str::trim).filter(|audience| !audience.is_empty());
    if is_loopback(&account.endpoint) {
        if audience.is_some_and(|audience| audience != account.client_url) {
            let problem = format!("must be {} or absent where api_url is this machine", account.client_url);
            return Err(Invalid::new(AUDIENCE, problem));
        }
    } else if account.client_url != url {
        let problem = format!("must be {url}: assertions go to the vendor itself, or to this machine for tests");
        return Err(Invalid::new("api_url", problem));
    }
    let audience = audience.unwrap_or(&account.client_url).to_owned();
    account.identity.insert(AUDIENCE, audience.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::super::{Account, Network, Vendor, by_name, openrouter::OpenRouter};
    use crate::schema::{Invalid, Values};

    const FEDERATED: [&str; 3] = ["anthropic", "openai-federated", "openrouter-federated"];

    /// An account of this vendor with these fields and whatever else is required.
    fn account(vendor: &dyn Vendor, given: &[(&str, &str)]) -> Result<Account, Invalid> {
        let about = vendor.about();
        let needed = about.account.iter().filter(|field| field.required).map(|field| field.name.as_ref());
        let needed = needed.chain((about.name == "openrouter").then_some("federation_policy_id"));
        let mut body: Map<_, _> = needed.map(|name| (name.to_owned(), json!("x_1"))).collect();
        body.extend(given.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        vendor.account(&Values::parse(&about.account, &body).expect("valid").0)
    }

    fn ask(check: impl Fn(&dyn Vendor, &str)) {
        let openrouter = std::sync::Arc::new(OpenRouter) as std::sync::Arc<dyn Vendor>;
        for vendor in FEDERATED.into_iter().filter_map(by_name).chain([openrouter]) {
            let url = vendor.about().account.iter().find(|field| field.name == "api_url").expect("a field");
            check(vendor.as_ref(), url.default.as_deref().expect("a default"));
        }
    }

    #[test]
    fn assertions_go_to_the_vendor_or_to_this_machine() {
        ask(|vendor, url| {
            for bad in [
                "https://evil.example/v1",
                &url.replace("https://", "https://evil.example/"),
                &url.replace("https://", "https://evil."),
                &url.replace("https://", "http://"),
                &format!("{url}/x"),
                &url.replace(".ai", ".ai.evil.example").replace(".com", ".com.evil.example"),
                &url.replace(".ai", ".ai:8443").replace(".com", ".com:8443"),
                "https://127.0.0.1.evil.example",
            ] {
                assert_eq!(account(vendor, &[("api_url", bad)]).expect_err(bad).field, "api_url", "{bad}");
            }
            for good in [url, "http://127.0.0.1:4300/v1", "http://localhost:1", "http://[::1]:1"] {
                let account = account(vendor, &[("api_url", good)]).expect(good);
                assert_eq!(account.identity.text("audience"), Some(good), "{good}");
                assert!(account.credential_field.is_none() && account.secrets.is_empty());
            }
        });
    }

    #[test]
    fn this_machine_gets_no_assertion_that_a_vendor_takes() {
        ask(|vendor, url| {
            let here = ("api_url", "http://127.0.0.1:4300");
            let refused = account(vendor, &[here, ("audience", url)]).expect_err("another's audience");
            assert_eq!(refused.field, "audience");
            let account =
                account(vendor, &[("audience", "https://vault.example.com")]).expect("the vendor may have another");
            assert_eq!(account.identity.text("audience"), Some("https://vault.example.com"));
        });
    }

    #[test]
    fn nobody_on_the_way_reads_assertions() {
        ask(|vendor, _| {
            let proxy = Network { proxy_url: Some("http://10.0.0.1:3128".into()), ..Network::default() };
            let certificate = Network { ca_cert: Some("-".into()), ..Network::default() };
            let there = account(vendor, &[]).expect("valid");
            there.check_network(&proxy).expect("TLS goes through it");
            assert_eq!(there.check_network(&certificate).expect_err("refused").field, "ca_cert");
            let here = account(vendor, &[("api_url", "http://127.0.0.1:4300")]).expect("valid");
            assert_eq!(here.check_network(&proxy).expect_err("refused").field, "proxy_url");
        });
    }

    #[test]
    fn a_key_and_a_policy_exclude_each_other() {
        let both = account(&OpenRouter, &[("management_key", "sk-or-v1-1")]).expect_err("both");
        assert!(both.field == "federation_policy_id" && both.problem.contains("null"), "{both}");
        let none = OpenRouter.account(&Values::default()).expect_err("none");
        assert!(none.field == "management_key" && none.problem.contains("federation_policy_id"), "{none}");
        let values = |pairs: &[(&str, &str)]| {
            let mut values = Values::default();
            pairs.iter().for_each(|(name, value)| values.insert(*name, (*value).into()));
            values
        };
        let idle = OpenRouter.account(&values(&[("management_key", "sk-or-v1-1"), ("audience", "x")]));
        assert_eq!(idle.expect_err("an audience of nothing").field, "audience");
        OpenRouter
            .account(&values(&[("management_key", "sk-or-v1-1"), ("api_url", "https://proxy.example/v1")]))
            .expect("a key may go to any URL, once");
    }
}
