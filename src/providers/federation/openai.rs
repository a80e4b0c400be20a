use std::time::Duration;

use serde_json::json;

use super::super::call::Content;
use super::super::vendor::{Limits, texts};
use super::exchange::Exchange;
use super::vendor::{Federated, Terms};
use crate::base::Secret;
use crate::schema::{Field, Kind, Values};

/// OpenAI: tokens of a project's service account by workload identity federation. `openai` makes keys with an admin key.
///
/// Facts are from the vendor's SDK 3.54.0 and its reference of token exchange of 2026-06 to 2026-11.
pub(in super::super) fn vendor() -> Federated {
    Federated::new(Terms {
        name: "openai-federated",
        title: "OpenAI (federated)",
        url: "https://api.openai.com/v1",
        account: vec![
            Field::new("identity_provider_id", Kind::VendorId, "Workload identity provider that trusts this mount.")
                .required(),
            Field::new("service_account_id", Kind::VendorId, "Service account that tokens act for (svc_…).").required(),
        ],
        limits: Limits { shortest: Duration::from_secs(60), longest: Duration::from_secs(3600) },
        exchange: Exchange {
            title: "OpenAI",
            // Its API is elsewhere. Below a server on this machine it is at the same path.
            host: Some("https://auth.openai.com"),
            path: &["oauth", "token"],
            headers: &[],
            content,
            rule: "the federation rule of the provider (identity_provider_id) and of the service account (service_account_id)",
        },
        // A token never outlives its assertion, and nothing shorter can be asked for.
        assertion: |life| life,
        headers: &[],
        identity: |account| {
            let text = |name| account.text(name).unwrap_or_default();
            format!("service account {} by {}", text("service_account_id"), text("identity_provider_id"))
        },
        revocation: "Not documented: no call that revokes a token is known.",
        unproven: texts(&[
            "The longest life of a token is not documented: an hour is the most that is asked for, and what the vendor grants holds.",
            "That a token never outlives its assertion is from a third party's tutorial: what the vendor grants holds.",
            "Whether deleting a rule or a service account ends the tokens that are out is not documented.",
            "The vendor's guide asks you to contact it about issuers that it does not list.",
        ]),
    })
}

fn content(account: &Values, assertion: &Secret) -> Content {
    let mut body = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": assertion.expose(),
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    });
    for name in ["identity_provider_id", "service_account_id"] {
        body[name] = account.text(name).into();
    }
    Content::Json(body)
}
