use std::time::Duration;

use serde_json::json;

use super::super::call::Content;
use super::super::vendor::{Limits, texts};
use super::exchange::Exchange;
use super::vendor::{Federated, Terms};
use crate::base::Secret;
use crate::schema::{Field, Kind, Values};

/// Anthropic: tokens of a service account by workload identity federation; its API makes no keys.
///
/// Facts are from the vendor's SDK 2.12.0 (the exchange, its headers, the limits of issuers and rules).
pub(in super::super) fn vendor() -> Federated {
    Federated::new(Terms {
        name: "anthropic",
        title: "Anthropic",
        url: "https://api.anthropic.com",
        account: vec![
            Field::new("organization_id", Kind::VendorId, "Organization, a UUID.").required(),
            Field::new(
                "federation_rule_id",
                Kind::VendorId,
                "Federation rule that takes this mount's assertions (fdrl_…).",
            )
            .required(),
            Field::new("service_account_id", Kind::VendorId, "Service account that tokens act for (svac_…).")
                .required(),
            Field::new("workspace_id", Kind::VendorId, "Workspace that tokens are for (wrkspc_…), or default.")
                .default("the only one that the rule is enabled for"),
        ],
        limits: Limits { shortest: Duration::from_secs(60), longest: Duration::from_secs(24 * 3600) },
        exchange: Exchange {
            title: "Anthropic",
            host: None,
            path: &["v1", "oauth", "token"],
            headers: &[
                ("anthropic-beta", "oauth-2025-04-20,oidc-federation-2026-04-01"),
                ("anthropic-version", "2023-06-01"),
            ],
            content,
            rule: "the federation rule (federation_rule_id)",
        },
        assertion: half,
        headers: &[("anthropic-beta", "oauth-2025-04-20"), ("anthropic-version", "2023-06-01")],
        identity: |account| {
            let text = |name| account.text(name).unwrap_or_default();
            format!("service account {} by {}", text("service_account_id"), text("federation_rule_id"))
        },
        revocation: "Not at all: an archived rule or service account gives no new tokens, and those that are out go on until they end.",
        unproven: texts(&[
            "The vendor's documents of 2026 name a status of 400 and of 401 for an assertion that no rule takes: both are understood.",
            "How far the vendor's clock may be from this one's is not documented: an assertion for a token of a minute lives for half of that.",
        ]),
    })
}

/// The vendor gives `max(60, min(the rule's lifetime, 2 x what the assertion has left))` seconds.
fn half(life: Duration) -> Duration {
    Duration::from_secs(life.as_secs().div_ceil(2))
}

fn content(account: &Values, assertion: &Secret) -> Content {
    let mut body = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": assertion.expose(),
    });
    for name in ["organization_id", "federation_rule_id", "service_account_id", "workspace_id"] {
        if let Some(value) = account.get(name) {
            body[name] = value.clone();
        }
    }
    Content::Json(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_lives_for_half_of_the_token_rounded_up() {
        for (token, assertion) in [(60, 30), (61, 31), (3600, 1800), (86_400, 43_200)] {
            assert_eq!(half(Duration::from_secs(token)), Duration::from_secs(assertion));
        }
    }
}
