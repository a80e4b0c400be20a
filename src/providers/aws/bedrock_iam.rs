use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

use self::session::Session;
use super::{Base, fields};
use crate::base::{Secret, Time};
use crate::providers::vendor::texts;
use crate::providers::{
    Abilities, About, Account, Cursor, Cx, End, Expiry, Fault, Find, Gone, Issued, Limits, Order, Page, Probe, Purpose,
    Ref, Scope, Source, Vendor,
};
use crate::schema::{Field, Invalid, Kind, Values};

mod session;

/// Long-term API keys of Amazon Bedrock: service-specific credentials of IAM users. IAM gives a user two of them for a
/// service, so that each key has a user of its own, which is made for it and goes with it.
///
/// Facts are from botocore 1.44.8, `iam/2010-05-08`, unless said otherwise.
pub(in crate::providers) struct BedrockIam;

const TITLE: &str = "Amazon Bedrock (long-term keys)";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Longest `CredentialAgeDays`.
const LONGEST_DAYS: u32 = 36_600;
/// Most managed policies of a user that AWS raises the quota to ("IAM and AWS STS quotas"); 10 without asking.
const POLICIES: usize = 20;
const DEFAULT_PATH: &str = "/vault/";

static ABOUT: LazyLock<About> = LazyLock::new(|| {
    let mut account = fields();
    account.extend([
        Field::new("account_id", Kind::VendorId, "Id of the AWS account, 12 digits.").required(),
        Field::new("user_path", Kind::Text, "Path of the IAM users that are made, with a slash at both ends.")
            .default(DEFAULT_PATH),
    ]);
    About {
        name: "bedrock-iam".into(),
        title: TITLE.into(),
        account,
        // It names the account, and what STS and IAM say is compared with it.
        identity_is_complete: true,
        scope: vec![
            Field::new(
                "policy_arns",
                Kind::TextList,
                "ARNs of managed policies that a key's user gets, such as \
                 arn:aws:iam::aws:policy/AmazonBedrockLimitedAccess; a key can be used for Bedrock only.",
            )
            .required(),
            Field::new(
                "permissions_boundary_arn",
                Kind::Text,
                "ARN of a managed policy that bounds what a key's user may do, whatever its other policies say.",
            )
            .default("no boundary"),
        ],
        can: Abilities {
            source: Source::Create,
            end: End::Delete,
            // IAM is "eventually consistent" (IAM User Guide) without a figure; a guess that costs one more look of the
            // sweep where it is too short.
            find: Find::ByName { lag: Duration::from_secs(60) },
            // Days, rounded up.
            expiry: Expiry::Fixed(Limits { shortest: DAY, longest: DAY.saturating_mul(LONGEST_DAYS) }),
            purposes: &[Purpose::Lease, Purpose::Static],
            limits: texts(&["permissions", "models"]),
            unused: texts(&["switch off"]),
            tries_keys: false,
        },
        name_limit: 64,
        revocation: "Usually within seconds; IAM promises only that changes arrive in the end.".into(),
        unproven: texts(&[
            "Nothing was tried at AWS itself: requests and answers follow its published model, and an emulator.",
            "How long a fresh user may be missing from the list, or be unknown to the next request, is not documented.",
            "How soon a deleted key is refused is not documented.",
            "An account has 5,000 users unless its quota was raised, and a key takes one.",
            "A check of the access key changes nothing, so it cannot tell whether the key may create and delete users.",
        ]),
    }
});

#[async_trait]
impl Vendor for BedrockIam {
    fn about(&self) -> &About {
        &ABOUT
    }

    /// The region is no part of the identity: users and their keys are the account's, in every region.
    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        let base = Base::read(values)?;
        let account_id = values.need("account_id")?;
        if account_id.len() != 12 || !account_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Invalid::new("account_id", "is not 12 digits"));
        }
        let path = values.text("user_path").unwrap_or(DEFAULT_PATH);
        if !is_path(path) {
            return Err(Invalid::new("user_path", "is not a path of IAM's such as /vault/"));
        }
        let mut identity = Values::default();
        identity.insert("api_url", base.endpoint.as_str().trim_end_matches('/').into());
        identity.insert("account_id", account_id.into());
        identity.insert("user_path", path.into());
        Ok(base.account(identity))
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        let scope = values.only(&ABOUT.scope);
        let policies = scope.list("policy_arns").unwrap_or_default();
        if policies.is_empty() || policies.len() > POLICIES {
            return Err(Invalid::new(
                "policy_arns",
                format!("needs 1 to {POLICIES} ARNs: a key can do nothing without"),
            ));
        }
        if let Some(bad) = policies.iter().find(|arn| !is_policy(arn)) {
            return Err(Invalid::new("policy_arns", format!("{bad:?} is not the ARN of a managed policy")));
        }
        if scope.text("permissions_boundary_arn").is_some_and(|arn| !is_policy(arn)) {
            return Err(Invalid::new("permissions_boundary_arn", "is not the ARN of a managed policy"));
        }
        Ok(Scope(scope))
    }

    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        Session::new(cx)?.probe().await
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        if order.purpose == Purpose::Admin {
            return Err(Fault::invalid("makes no access keys here"));
        }
        Session::new(cx)?.issue(order).await
    }

    async fn end(&self, cx: &Cx<'_>, key: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        Session::new(cx)?.end(key).await
    }

    fn expires_whole(&self, _: &Ref) -> bool {
        // Its user stays.
        false
    }

    async fn extend(&self, _: &Cx<'_>, _: &Ref, _: Time) -> Result<Time, Fault> {
        // UpdateServiceSpecificCredential has the status only.
        Err(Fault::invalid("sets the expiry of a key once and cannot move it"))
    }

    async fn list(&self, cx: &Cx<'_>, prefix: &str, from: Option<Cursor>) -> Result<Page, Fault> {
        Session::new(cx)?.list(prefix, from.as_ref()).await
    }
}

/// `(/)|(/[!-~]+/)`, at most 512 characters.
fn is_path(text: &str) -> bool {
    let inner = text.strip_prefix('/').map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let closed = text == "/" || (text.len() > 2 && text.ends_with('/'));
    closed && text.len() <= 512 && inner.is_some_and(|inner| inner.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// The ARN of a managed policy, AWS's own or an account's: 20 to 2048 characters.
fn is_policy(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let &["arn", partition, "iam", "", owner, resource] = parts.as_slice() else { return false };
    let owner_fits = owner == "aws" || (owner.len() == 12 && owner.bytes().all(|byte| byte.is_ascii_digit()));
    (20..=2048).contains(&arn.len())
        && partition.starts_with("aws")
        && owner_fits
        && resource.strip_prefix("policy/").is_some_and(|name| !name.is_empty())
        && arn.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LIMITED: &str = "arn:aws:iam::aws:policy/AmazonBedrockLimitedAccess";

    fn values(fields: &[Field], body: &Value) -> Values {
        Values::parse(fields, body.as_object().expect("an object")).expect("valid").0
    }

    fn account(change: Value) -> Result<Account, String> {
        let mut body = json!({
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "secret_access_key": "hunter22hunter22",
            "region": "eu-central-1",
            "account_id": "123456789012",
        });
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        BedrockIam.account(&values(&ABOUT.account, &body)).map_err(|invalid| invalid.field)
    }

    fn scope(body: Value) -> Result<Scope, String> {
        let account = account(json!({})).expect("valid");
        BedrockIam.scope(&account, &values(&ABOUT.scope, &body)).map_err(|invalid| invalid.field)
    }

    #[test]
    fn neither_another_access_key_nor_another_region_is_another_account() {
        let before = account(json!({})).expect("valid");
        let after = json!({"access_key_id": "AKIAI44QH8DHBEXAMPLE", "secret_access_key": "b", "region": "us-east-1"});
        let after = account(after).expect("valid");
        assert!(before.identity == after.identity && before.secrets != after.secrets);
        for (field, value) in
            [("account_id", "210987654321"), ("user_path", "/other/"), ("api_url", "https://a.example")]
        {
            assert!(before.identity != account(json!({field: value})).expect("valid").identity, "{field}");
        }
    }

    #[test]
    fn accounts_and_paths_are_checked() {
        for bad in ["1", "12345678901a", "1234567890123"] {
            assert_eq!(account(json!({"account_id": bad})).expect_err(bad), "account_id");
        }
        for bad in ["vault", "/vault", "vault/", "//", "/a b/", "/\u{e4}/"] {
            assert_eq!(account(json!({"user_path": bad})).expect_err(bad), "user_path");
        }
        for good in ["/", "/vault/", "/a/b/"] {
            assert!(account(json!({"user_path": good})).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_key_without_a_policy_is_not_made() {
        assert!(scope(json!({"policy_arns": LIMITED})).is_ok());
        let own = "arn:aws-us-gov:iam::123456789012:policy/path/own";
        assert!(scope(json!({"policy_arns": [LIMITED, own], "permissions_boundary_arn": own})).is_ok());
        for bad in [json!([]), json!(""), json!(["AmazonBedrockLimitedAccess"]), json!(vec![LIMITED; 21])] {
            assert_eq!(scope(json!({"policy_arns": bad})).expect_err("refused"), "policy_arns");
        }
        let role = "arn:aws:iam::123456789012:role/own";
        let bounded = json!({"policy_arns": LIMITED, "permissions_boundary_arn": role});
        assert_eq!(scope(bounded).expect_err("refused"), "permissions_boundary_arn");
    }
}
