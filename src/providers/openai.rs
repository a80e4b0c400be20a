use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;

use self::session::Session;
use super::talk::Talk;
use super::vendor::texts;
use super::{
    Abilities, About, Account, Cursor, Cx, End, Expiry, Fault, Find, Gone, Issued, Limits, Order, Page, Probe, Purpose,
    Ref, Scope, Source, Vendor,
};
use crate::base::{Secret, Time};
use crate::schema::{Field, Invalid, Kind, Values};

mod session;

/// OpenAI: keys of service accounts in one project, made with an admin key.
///
/// Facts are from the vendor's SDK 3.54.0 ("November") and its published specification of 2026-08-21 ("August"). The
/// API of August has no `expires_in_seconds`, cannot change a key, and does not delete a service account's key.
pub(super) struct OpenAi;

const TITLE: &str = "OpenAI";
const DEFAULT_URL: &str = "https://api.openai.com/v1";
/// Longest `expires_in_seconds` (SDK 3.54.0).
const LONGEST: Duration = Duration::from_secs(31_536_000);
const SHARED: &str = "service_account_key";
const OWN: &str = "service_account";

static ABOUT: LazyLock<About> = LazyLock::new(|| About {
    name: "openai".into(),
    title: TITLE.into(),
    account: vec![
        Field::new("admin_key", Kind::Secret, "Admin API key (sk-admin-…) that may manage the project's keys.")
            .required(),
        Field::new("project_id", Kind::VendorId, "Project whose keys are made (proj_…).").required(),
        Field::new("organization", Kind::VendorId, "Organization (org-…), for an admin key that belongs to several."),
        Field::new("api_url", Kind::Url, "Base URL of the API.").default(DEFAULT_URL),
    ],
    identity_is_complete: true,
    scope: vec![
        Field::new(
            "mode",
            Kind::choice(&[SHARED, OWN]),
            "service_account_key makes a key of an existing service account; service_account makes a service account \
             for each key, which goes with it.",
        )
        .default(SHARED),
        Field::new(
            "service_account_id",
            Kind::VendorId,
            "Service account whose keys are made; only in mode service_account_key.",
        ),
        Field::new(
            "scopes",
            Kind::TextList,
            "Permissions of a key, such as api.model.request; only in mode service_account_key.",
        ),
        Field::new(
            "allow_unscoped",
            Kind::Boolean,
            "Makes keys with every permission of their service account where scopes are absent; the vendor takes an \
             empty list as all permissions.",
        )
        .default("false"),
    ],
    can: Abilities {
        source: Source::Create,
        end: End::Delete,
        // Nothing is published; a guess that costs one more look of the sweep where it is too short.
        find: Find::ByName { lag: Duration::from_secs(60) },
        expiry: Expiry::Movable(Limits { shortest: Duration::from_secs(1), longest: LONGEST }),
        purposes: &[Purpose::Lease, Purpose::Static, Purpose::Admin],
        limits: texts(&["permissions"]),
        unused: texts(&["last used", "usage"]),
        tries_keys: true,
    },
    name_limit: 64,
    revocation: "Not promised by the vendor; a deleted key has been seen to answer now and then.".into(),
    unproven: texts(&[
        "A check of the admin key changes nothing, so it cannot tell whether the key may create and delete keys.",
        "How long a fresh key may be missing from the list is not documented.",
        "The status of a second deletion is not documented: any error of the vendor's own counts as gone only where the project still answers.",
        "APIs of August 2026 and before refuse an expiry: mode service_account then makes keys without one, with a warning.",
        "APIs of August 2026 and before cannot delete one key of a shared service account: such a lease cannot be revoked.",
        "The longest name of a key and the list of permissions are not documented.",
    ]),
});

#[async_trait]
impl Vendor for OpenAi {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        values.need("project_id")?;
        Account::read(&ABOUT, values, Some("admin_key"), DEFAULT_URL)
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        let mut scope = values.only(&ABOUT.scope);
        let scopes = values.list("scopes").unwrap_or_default();
        if scopes.iter().any(|scope| scope.trim().is_empty()) {
            return Err(Invalid::new("scopes", "holds an empty permission"));
        }
        match values.text("mode").unwrap_or(SHARED) {
            OWN => {
                if !scopes.is_empty() {
                    return Err(Invalid::new(
                        "scopes",
                        "the vendor takes none in mode service_account: use mode service_account_key",
                    ));
                }
                if values.text("service_account_id").is_some() {
                    return Err(Invalid::new(
                        "service_account_id",
                        "is made for each key in mode service_account: leave it out",
                    ));
                }
                if !values.flag("allow_unscoped") {
                    return Err(Invalid::new(
                        "allow_unscoped",
                        "must be true in mode service_account: its keys have every permission",
                    ));
                }
                scope.insert("mode", OWN.into());
            }
            _ => {
                values.need("service_account_id")?;
                if scopes.is_empty() && !values.flag("allow_unscoped") {
                    return Err(Invalid::new(
                        "scopes",
                        "is required: without them a key has every permission; if that is wanted, set allow_unscoped=true",
                    ));
                }
                scope.insert("mode", SHARED.into());
            }
        }
        Ok(Scope(scope))
    }

    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        Session::new(cx)?.probe().await
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        let session = Session::new(cx)?;
        match order.purpose {
            Purpose::Admin => session.issue_admin_key(order).await,
            Purpose::Lease | Purpose::Static if order.scope.0.text("mode") == Some(OWN) => {
                session.issue_own(order).await
            }
            Purpose::Lease | Purpose::Static => session.issue_shared(order).await,
        }
    }

    async fn end(&self, cx: &Cx<'_>, key: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        Session::new(cx)?.end(key).await
    }

    fn expires_whole(&self, key: &Ref) -> bool {
        session::own_account(key).is_none()
    }

    async fn takes(&self, cx: &Cx<'_>, key: &Secret) -> Result<Option<bool>, Fault> {
        Talk::bare(cx, TITLE)?.takes(key, &["models"]).await
    }

    async fn extend(&self, cx: &Cx<'_>, key: &Ref, until: Time) -> Result<Time, Fault> {
        Session::new(cx)?.extend(key, until).await
    }

    async fn list(&self, cx: &Cx<'_>, prefix: &str, from: Option<Cursor>) -> Result<Page, Fault> {
        Session::new(cx)?.list(prefix, from.as_ref()).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn values(body: Value) -> Values {
        let fields: Vec<Field> = ABOUT.account.iter().chain(&ABOUT.scope).cloned().collect();
        Values::parse(&fields, body.as_object().expect("an object")).expect("valid").0
    }

    fn scope(body: Value) -> Result<Scope, String> {
        let account =
            OpenAi.account(&values(json!({"admin_key": "sk-admin-1", "project_id": "proj_1"}))).expect("valid");
        OpenAi.scope(&account, &values(body)).map_err(|invalid| invalid.field)
    }

    #[test]
    fn a_key_with_every_permission_must_be_asked_for() {
        for scopes in [json!(null), json!([]), json!("")] {
            let body = json!({"service_account_id": "svc_1", "scopes": scopes});
            assert_eq!(scope(body).expect_err("unscoped"), "scopes");
        }
        assert!(scope(json!({"service_account_id": "svc_1", "scopes": "api.model.request"})).is_ok());
        assert!(scope(json!({"service_account_id": "svc_1", "allow_unscoped": true})).is_ok());
        assert_eq!(scope(json!({"service_account_id": "svc_1", "scopes": ["a", " "]})).expect_err("empty"), "scopes");
    }

    #[test]
    fn an_own_service_account_takes_no_permissions() {
        assert_eq!(scope(json!({"mode": OWN})).expect_err("unscoped"), "allow_unscoped");
        assert_eq!(scope(json!({"mode": OWN, "scopes": "a", "allow_unscoped": true})).expect_err("scoped"), "scopes");
        let named = json!({"mode": OWN, "allow_unscoped": true, "service_account_id": "svc_1"});
        assert_eq!(scope(named).expect_err("named"), "service_account_id");
        assert!(scope(json!({"mode": OWN, "allow_unscoped": true})).is_ok());
        assert_eq!(scope(json!({"scopes": "a"})).expect_err("no account"), "service_account_id");
    }

    #[test]
    fn the_account_keeps_its_credential_apart() {
        let account =
            OpenAi.account(&values(json!({"admin_key": "sk-admin-1", "project_id": "proj_1"}))).expect("valid");
        assert_eq!(account.client_url, DEFAULT_URL);
        assert_eq!(account.identity.text("api_url"), Some(DEFAULT_URL));
        assert_eq!(account.identity.get("admin_key"), None);
        assert_eq!(account.credential().map(Secret::expose), Some("sk-admin-1"));
        for bad in ["sk-admin-1\n", "sk admin", "sk-ädmin"] {
            let error = OpenAi.account(&values(json!({"admin_key": bad, "project_id": "proj_1"}))).expect_err("bad");
            assert_eq!(error.field, "admin_key");
        }
    }
}
