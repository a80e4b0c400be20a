//! OAuth 2.0 client credentials (RFC 6749, section 4.4): each credential is a token of the account's own client. What
//! an authorization server does in its own way is a preset of the same vendor.

mod client;
mod preset;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use reqwest::Url;

use client::{Client, Token};
use preset::Preset;

use super::account::url;
use super::{About, Account, Cursor, Cx, End, Fault, FaultKind, Gone, Issued, Order, Page, Probe, Ref, Scope, Vendor};
use crate::base::{Secret, Time};
use crate::schema::{Invalid, Values};

/// One kind of authorization server.
pub(super) struct OAuth2 {
    about: About,
    preset: Preset,
}

impl OAuth2 {
    /// Any server, as its account describes it.
    pub(super) fn any() -> Self {
        preset::any()
    }

    /// Microsoft Entra ID, for Azure OpenAI.
    pub(super) fn azure_openai() -> Self {
        preset::azure_openai()
    }

    /// The service principals of Databricks.
    pub(super) fn databricks() -> Self {
        preset::databricks()
    }

    fn client<'a>(&'a self, cx: &'a Cx<'a>) -> Result<Client<'a>, Fault> {
        Client::new(cx, &self.about.title, self.preset.url_field)
    }
}

#[async_trait]
impl Vendor for OAuth2 {
    fn about(&self) -> &About {
        &self.about
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        let token_url = (self.preset.token_url)(values)?;
        if let Some(text) = given(values, REVOKE_URL) {
            url(REVOKE_URL, text)?;
        }
        let base_url = given(values, BASE_URL).map(str::to_owned).or_else(|| (self.preset.base_url)(values));
        // Something has to stand there.
        let read = base_url.clone().unwrap_or_else(|| token_url.origin().ascii_serialization());
        let read = Account::read(&self.about, values, Some(CLIENT_SECRET), &read);
        let mut account = read.map_err(|invalid| match invalid.field.as_str() {
            "api_url" => Invalid::new(BASE_URL, invalid.problem),
            _ => invalid,
        })?;
        if base_url.is_none() {
            account.client_url.clear();
        }
        account.endpoint = token_url;
        Ok(account)
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        let scope = values.only(&self.about.scope);
        if let Some(scopes) = scope.list(SCOPES) {
            if scopes.is_empty() {
                return Err(Invalid::new(SCOPES, "is empty: leave it out for those that the server gives by default"));
            }
            if let Some(bad) = scopes.iter().find(|scope| !is_scope(scope)) {
                return Err(Invalid::new(SCOPES, format!("holds {bad:?}, which is no scope: write each by itself")));
            }
        }
        if let Some(text) = given(&scope, RESOURCE) {
            check_resource(text)?;
        }
        Ok(Scope(scope))
    }

    /// Asks for a token: there is no other way to try a client. It is revoked again where that is possible.
    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        let client = self.client(cx)?;
        let mut probe = Probe { identity: cx.account.identity.text(CLIENT_ID).map(str::to_owned), ..Probe::default() };
        let token = match client.token(self.preset.scopes(cx.account), &Values::default()).await {
            Ok(token) => token,
            // The client was known, or it would have been refused first.
            Err(Fault { kind: FaultKind::Invalid { field: Some(field) }, text }) if field == client::SCOPE => {
                probe
                    .warnings
                    .push(format!("no token was made to try this: the server gives none without scopes ({text})"));
                return Ok(probe);
            }
            Err(fault) => return Err(fault),
        };
        if self.ends(cx.account) == End::Expires {
            probe
                .warnings
                .push(format!("a token was made to try this, and handed to nobody; it ends {}", when(token.expires)));
            return Ok(probe);
        }
        match client.revoke(&token.value).await {
            Ok(_) => probe.warnings.push("a token was made to try this, and revoked".into()),
            Err(fault) if fault.kind.may_pass() => return Err(fault),
            Err(fault) => probe.missing.push(format!(
                "tokens cannot be revoked: the server {fault}; leave revoke_url out where it revokes none"
            )),
        }
        Ok(probe)
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        let client = self.client(cx)?;
        let role = &order.scope.0;
        let scopes = role.list(SCOPES).unwrap_or_else(|| self.preset.scopes(cx.account));
        let token = client.token(scopes.clone(), role).await?;
        let mut warnings = Vec::new();
        if token.expires.is_none() {
            warnings
                .push("the server does not say how long its token lives: the lease follows the role's ttl".to_owned());
        }
        warnings.extend(other_scopes(&scopes, &token));
        Ok(Issued {
            // The server has no name for it.
            key: Ref::new(order.name.0.as_str(), &[]),
            secret: token.value,
            parts: BTreeMap::new(),
            expires: token.expires,
            headers: BTreeMap::new(),
            warnings,
        })
    }

    async fn end(&self, cx: &Cx<'_>, _: &Ref, secret: Option<&Secret>) -> Result<Gone, Fault> {
        match secret {
            Some(token) => self.client(cx)?.revoke(token).await,
            None => Err(Fault::invalid("was not called: only who has a token can have it revoked")),
        }
    }

    fn ends(&self, account: &Account) -> End {
        match given(&account.identity, REVOKE_URL) {
            Some(_) => End::BySecret,
            None => End::Expires,
        }
    }

    async fn extend(&self, _: &Cx<'_>, _: &Ref, _: Time) -> Result<Time, Fault> {
        Err(Fault::invalid("does not prolong a token: ask for another"))
    }

    async fn list(&self, _: &Cx<'_>, _: &str, _: Option<Cursor>) -> Result<Page, Fault> {
        Ok(Page::default())
    }
}

const BASE_URL: &str = "base_url";
const CLIENT_ID: &str = "client_id";
const CLIENT_SECRET: &str = "client_secret";
const TOKEN_URL: &str = "token_url";
const REVOKE_URL: &str = "revoke_url";
const AUTH_STYLE: &str = "auth_style";
const SCOPES: &str = "scopes";
const AUDIENCE: &str = "audience";
const RESOURCE: &str = "resource";

/// A text that says something: an empty one stands for none.
fn given<'a>(values: &'a Values, name: &str) -> Option<&'a str> {
    values.text(name).map(str::trim).filter(|text| !text.is_empty())
}

/// Characters of a scope as RFC 6749, section 3.3, has them.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// RFC 8707, section 2: an absolute URI without a fragment.
fn check_resource(text: &str) -> Result<(), Invalid> {
    match text.parse::<Url>() {
        Ok(url) if url.fragment().is_none() => Ok(()),
        _ => Err(Invalid::new(RESOURCE, "is not an absolute URI without a fragment")),
    }
}

/// What to say of a token whose scopes are not those that were asked for. A server that says nothing gave those.
fn other_scopes(asked: &[String], token: &Token) -> Option<String> {
    let granted = token.scope.as_deref().filter(|_| !asked.is_empty())?;
    let asked: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
    let same = granted.split_whitespace().collect::<BTreeSet<_>>() == asked;
    (!same).then(|| format!("the server gave other scopes than the role has: {granted:?}"))
}

fn when(expires: Option<Time>) -> String {
    expires.map_or_else(|| "when the server says".into(), |time| format!("at {}", time.format("%FT%TZ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn account(body: serde_json::Value) -> Result<Account, Invalid> {
        let vendor = OAuth2::any();
        let mut all = json!({"token_url": "https://login.example/o/token/", "client_id": "a", "client_secret": "s"});
        all.as_object_mut().expect("an object").extend(body.as_object().expect("an object").clone());
        let values = Values::parse(&vendor.about.account, all.as_object().expect("an object")).expect("valid").0;
        vendor.account(&values)
    }

    #[test]
    fn a_token_url_keeps_its_last_slash_and_its_query() {
        for url in ["https://login.example/o/token/", "https://login.example/token?p=b2c_1"] {
            assert_eq!(account(json!({"token_url": url})).expect("valid").endpoint.as_str(), url);
        }
    }

    #[test]
    fn a_bad_url_is_named_by_its_field() {
        for (field, url) in [
            ("token_url", "login.example"),
            ("token_url", "https://u:p@login.example"),
            ("revoke_url", "ftp://login.example"),
            ("revoke_url", "https://login.example/#f"),
            ("base_url", "https://api.example/v1?q"),
        ] {
            assert_eq!(account(json!({field: url})).expect_err(url).field, field);
        }
    }

    #[test]
    fn whether_a_token_can_be_revoked_hangs_on_the_account() {
        let vendor = OAuth2::any();
        let ends = |body| vendor.ends(&account(body).expect("valid"));
        assert_eq!(ends(json!({"revoke_url": "https://login.example/o/revoke_token/"})), End::BySecret);
        assert_eq!(ends(json!({"revoke_url": ""})), End::Expires);
        assert_eq!(ends(json!({})), End::Expires);
    }

    #[test]
    fn clients_are_told_a_base_url_where_there_is_one() {
        assert_eq!(account(json!({})).expect("valid").client_url, "");
        let told = account(json!({"base_url": "https://api.example/v1/"})).expect("valid");
        assert_eq!(told.client_url, "https://api.example/v1");
    }

    #[test]
    fn scopes_and_resources_are_those_of_their_standards() {
        let vendor = OAuth2::any();
        let account = account(json!({})).expect("valid");
        let scope = |body: serde_json::Value| {
            let values = Values::parse(&vendor.about.scope, body.as_object().expect("an object")).expect("valid").0;
            vendor.scope(&account, &values).map_err(|invalid| invalid.field)
        };
        for good in [json!({}), json!({"scopes": ["a:b", "https://x/.default"]}), json!({"resource": "urn:x:y"})] {
            scope(good).expect("valid");
        }
        for bad in [json!({"scopes": []}), json!({"scopes": ["a b"]}), json!({"scopes": ["a\"b"]})] {
            assert_eq!(scope(bad).expect_err("not a scope"), "scopes");
        }
        for bad in ["api", "https://x/#f"] {
            assert_eq!(scope(json!({"resource": bad})).expect_err(bad), "resource");
        }
    }
}
