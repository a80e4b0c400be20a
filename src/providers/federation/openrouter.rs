use std::time::Duration;

use super::super::call::Content;
use super::super::http::Token;
use super::super::talk::Talk;
use super::super::vendor::{Limits, texts};
use super::super::{Account, Cx, Fault};
use super::exchange::Exchange;
use super::trust;
use super::vendor::{Federated, Terms};
use crate::base::Secret;
use crate::schema::{Field, Invalid, Kind, Values};

const URL: &str = "https://openrouter.ai/api/v1";
const TITLE: &str = "OpenRouter";
/// The longest life of a token (specification).
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// OpenRouter: tokens that act as one API key of a workspace. `openrouter` makes keys.
///
/// Facts are from the vendor's SDK 1.3.84 and its guide to workload identity of 2026.
pub(in super::super) fn vendor() -> Federated {
    Federated::new(Terms {
        name: "openrouter-federated",
        title: "OpenRouter (federated)",
        url: URL,
        account: vec![
            policy("Federation policy that takes this mount's assertions; tokens act as its API key.").required(),
        ],
        limits: Limits { shortest: Duration::from_secs(60), longest: LONGEST },
        exchange: exchange(inference),
        // A token never outlives its assertion, and nothing shorter can be asked for.
        assertion: |life| life,
        headers: &[],
        identity: |account| format!("the API key of federation policy {}", account.text(POLICY).unwrap_or_default()),
        revocation: "Not by itself: disabling or deleting the API key of the policy ends its tokens with the next request.",
        unproven: texts(&[
            "Older versions of the vendor's guide have no conditions in a policy, only an exact subject: then each role needs a policy and a config of its own.",
        ]),
    })
}

const POLICY: &str = "federation_policy_id";

fn policy(help: &'static str) -> Field {
    Field::new(POLICY, Kind::VendorId, help)
}

/// The vendor takes forms only.
fn exchange(content: fn(&Values, &Secret) -> Content) -> Exchange {
    Exchange {
        title: TITLE,
        host: None,
        path: &["oauth", "token"],
        headers: &[],
        content,
        rule: "the federation policy (federation_policy_id)",
    }
}

/// The scope is optional, and said: a policy of a management key must not give its tokens to a role.
fn inference(account: &Values, assertion: &Secret) -> Content {
    form(account, assertion, "inference")
}

fn management(account: &Values, assertion: &Secret) -> Content {
    form(account, assertion, "management")
}

fn form(account: &Values, assertion: &Secret, scope: &str) -> Content {
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", assertion.expose()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        (POLICY, account.text(POLICY).unwrap_or_default()),
        ("scope", scope),
    ];
    Content::Form(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// The account's own credential where it stores none: a token of scope `management`, for an assertion about the config.
pub(in super::super) struct Management;

impl Management {
    /// Fields of a config that stores no management key.
    pub(in super::super) fn fields() -> [Field; 2] {
        let [audience, _] = trust::fields(URL);
        [
            policy(
                "Federation policy that acts as a management key, in place of management_key: nothing is stored then.",
            ),
            audience.default("the api_url; only with federation_policy_id"),
        ]
    }

    /// Whether these fields name a policy and no key, or the other way round.
    ///
    /// # Errors
    /// Where they name both, or none, or an audience without a policy.
    pub(in super::super) fn chosen(values: &Values, key: &str) -> Result<bool, Invalid> {
        match (values.get(key).is_some(), values.get(POLICY).is_some()) {
            (true, true) => {
                Err(Invalid::new(POLICY, format!("cannot stand beside {key}: clear one of them with null")))
            }
            (false, false) => Err(Invalid::new(key, format!("is required, or {POLICY} in its place"))),
            (true, false) if values.get(trust::AUDIENCE).is_some() => {
                Err(Invalid::new(trust::AUDIENCE, format!("has a meaning only with {POLICY}")))
            }
            (_, federated) => Ok(federated),
        }
    }

    /// Fixes where its assertions go.
    pub(in super::super) fn settle(account: &mut Account, values: &Values) -> Result<(), Invalid> {
        trust::settle(account, values, URL)
    }

    /// An operation that presents such a token.
    pub(in super::super) async fn present<'a>(cx: &'a Cx<'a>) -> Result<Talk<'a>, Fault> {
        let now = cx.clock.now();
        let talk = Talk::bare(cx, TITLE)?;
        let token = cx.http.held_token(now, talk.deadline, async || {
            let granted = exchange(management).token(cx, LONGEST).await?;
            Ok(Token { value: granted.value, expires: granted.expires })
        });
        let token = token.await?;
        talk.held(token)
    }
}
