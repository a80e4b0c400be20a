use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

use super::{Base, CallerIdentity, Client, Credentials, LONGEST_TOKEN, bedrock_token, fields};
use crate::base::{Secret, Time};
use crate::providers::answer::seconds_until;
use crate::providers::vendor::texts;
use crate::providers::{
    Abilities, About, Account, Cursor, Cx, End, Expiry, Fault, FaultKind, Find, Gone, Issued, Limits, Order, Page,
    Probe, Purpose, Ref, Scope, Source, Vendor,
};
use crate::schema::{Invalid, Values};

/// Short-term API keys of Amazon Bedrock: requests signed in advance with the account's access key. None is made at AWS,
/// so none can be listed or revoked; a key may do what the access key may do in Bedrock.
///
/// Facts are from AWS's generator of such keys (aws-bedrock-token-generator 1.1.0, Python).
pub(in crate::providers) struct Bedrock;

const TITLE: &str = "Amazon Bedrock (short-term keys)";
const LONGEST: Duration = Duration::from_secs(LONGEST_TOKEN);

static ABOUT: LazyLock<About> = LazyLock::new(|| {
    About {
    name: "bedrock".into(),
    title: TITLE.into(),
    account: fields(),
    // Nothing at AWS is asked about a key, so no answer of another account can mislead.
    identity_is_complete: true,
    scope: Vec::new(),
    can: Abilities {
        source: Source::Token,
        end: End::Expires,
        find: Find::Never,
        expiry: Expiry::Fixed(Limits { shortest: Duration::from_secs(1), longest: LONGEST }),
        purposes: &[Purpose::Lease],
        limits: texts(&[]),
        unused: Vec::new(),
        tries_keys: false,
    },
    name_limit: 128,
    revocation: "Never before its expiry, unless AWS refuses what signed it: deactivate that access key, or deny bedrock:CallWithBearerToken to its user.".into(),
    unproven: texts(&[
        "A key ends with the credential that signed it; when temporary credentials end is not known here.",
        "How soon a key is refused whose access key was deactivated is not documented.",
        "A key is good in the region of its config only; other partitions than AWS and AWS GovCloud (US) have not been tried.",
    ]),
}
});

#[async_trait]
impl Vendor for Bedrock {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        let base = Base::read(values)?;
        let mut identity = Values::default();
        identity.insert("region", base.region.as_str().into());
        identity.insert("api_url", base.endpoint.as_str().trim_end_matches('/').into());
        Ok(base.account(identity))
    }

    fn scope(&self, _: &Account, _: &Values) -> Result<Scope, Invalid> {
        Ok(Scope(Values::default()))
    }

    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        let caller = CallerIdentity::ask(&Client::new(cx, TITLE)?).await?;
        let identity = format!("account {} ({})", caller.account, caller.arn);
        let warning = "whether the credential may use Bedrock cannot be tried without using it".to_owned();
        Ok(Probe { identity: Some(identity), warnings: vec![warning], ..Probe::default() })
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        if order.purpose != Purpose::Lease {
            return Err(Fault::invalid("makes nothing but keys of some hours"));
        }
        let unfit = |what| Fault::new(FaultKind::Refused, format!("was not asked: {what}"));
        let credentials = Credentials::of(cx.account).ok_or_else(|| unfit("the credential is not one of AWS's"))?;
        let region = cx.account.identity.need("region").map_err(|_| unfit("no region is set"))?;
        // The signature counts from the whole second.
        let now = cx.clock.now();
        let now = Time::from_timestamp(now.timestamp(), 0).unwrap_or(now);
        let seconds = order.until.map_or(LONGEST_TOKEN, |until| seconds_until(now, until, LONGEST));
        let mut warnings = Vec::new();
        if credentials.session_token.is_some() {
            warnings.push(
                "the key ends with the temporary credentials that signed it, which may be before its expiry".to_owned(),
            );
        }
        Ok(Issued {
            // It has no id: a text that names it, and no part of it.
            key: Ref::new(&order.name.0, &[]),
            secret: bedrock_token(&credentials, region, now, seconds),
            parts: BTreeMap::new(),
            expires: Some(now + Duration::from_secs(seconds)),
            headers: BTreeMap::new(),
            warnings,
        })
    }

    async fn end(&self, _: &Cx<'_>, _: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        Err(Fault::invalid("ends a short-term key by its expiry only"))
    }

    async fn extend(&self, _: &Cx<'_>, _: &Ref, _: Time) -> Result<Time, Fault> {
        Err(Fault::invalid("signs the expiry into a key and cannot move it"))
    }

    async fn list(&self, _: &Cx<'_>, _: &str, _: Option<Cursor>) -> Result<Page, Fault> {
        // AWS knows of none.
        Ok(Page::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn account(change: Value) -> Result<Account, String> {
        let mut body = json!({
            "access_key_id": "AKIAIOSFODNN7EXAMPLE",
            "secret_access_key": "hunter22hunter22",
            "region": "eu-central-1",
        });
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let values = Values::parse(&ABOUT.account, body.as_object().expect("an object")).expect("valid").0;
        Bedrock.account(&values).map_err(|invalid| invalid.field)
    }

    #[test]
    fn another_access_key_does_not_make_another_account() {
        let before = account(json!({})).expect("valid");
        let after = json!({"access_key_id": "ASIAIOSFODNN7EXAMPLE", "secret_access_key": "b", "session_token": "c"});
        let after = account(after).expect("valid");
        assert!(before.identity == after.identity && before.secrets != after.secrets);
        let default = account(json!({"api_url": "https://iam.amazonaws.com/"})).expect("valid");
        assert!(before.identity == default.identity, "the default is written out");
        assert!(before.identity != account(json!({"region": "eu-west-1"})).expect("valid").identity);
        assert!(!format!("{before:?}").contains("hunter22"));
    }

    #[test]
    fn a_region_is_part_of_the_base_url_and_cannot_leave_it() {
        assert_eq!(account(json!({})).expect("valid").client_url, "https://bedrock-runtime.eu-central-1.amazonaws.com");
        for bad in ["", "eu-central-1.evil.example/x", "cn-north-1"] {
            assert_eq!(account(json!({"region": bad})).expect_err(bad), "region");
        }
        let government = account(json!({"region": "us-gov-west-1"})).expect("valid");
        assert_eq!(government.endpoint.as_str(), "https://iam.us-gov.amazonaws.com/");
    }
}
