use std::time::Duration;

use reqwest::Url;

use super::super::account::{base_url, url};
use super::super::vendor::texts;
use super::super::{Abilities, About, Account, End, Expiry, Find, Limits, Purpose, Source};
use super::{
    AUDIENCE, AUTH_STYLE, BASE_URL, CLIENT_ID, CLIENT_SECRET, OAuth2, RESOURCE, REVOKE_URL, SCOPES, TOKEN_URL,
    check_resource, given,
};
use crate::schema::{Field, Invalid, Kind, Values};

/// What is one authorization server's own.
pub(super) struct Preset {
    /// Where tokens come from, out of the fields of the account.
    pub(super) token_url: fn(&Values) -> Result<Url, Invalid>,
    /// The field that this URL is from.
    pub(super) url_field: &'static str,
    /// What clients are told as their base URL where the account does not say.
    pub(super) base_url: fn(&Values) -> Option<String>,
    /// Field of the account with the one scope that is asked for where roles name none, and what it is by default.
    scope: Option<(&'static str, &'static str)>,
}

impl Preset {
    /// What is asked for where the role names nothing.
    pub(super) fn scopes(&self, account: &Account) -> Vec<String> {
        let scope = self.scope.map(|(field, default)| given(&account.identity, field).unwrap_or(default));
        scope.map(str::to_owned).into_iter().collect()
    }
}

/// Longest life of a token that is believed, ten years: a server that says more means "for ever".
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Facts are the standards: RFC 6749, RFC 7009, RFC 8707; tried with django-oauth-toolkit 3.4.
pub(super) fn any() -> OAuth2 {
    let about = About {
        name: "oauth2".into(),
        title: "OAuth 2.0".into(),
        account: vec![
            Field::new(TOKEN_URL, Kind::Url, "Where tokens come from, as the server writes it.").required(),
            Field::new(CLIENT_ID, Kind::Text, "Id of the client.").required(),
            Field::new(CLIENT_SECRET, Kind::Secret, "Secret of the client.").required(),
            Field::new(REVOKE_URL, Kind::Url, "Where tokens are revoked (RFC 7009).").default("tokens end by their expiry"),
            Field::new(
                AUTH_STYLE,
                Kind::choice(&["basic", "post"]),
                "How the client presents its secret: in the Authorization header, or in the form.",
            )
            .default("basic"),
            Field::new(BASE_URL, Kind::Url, "Base URL that clients are told.").default("none"),
            Field::new(AUDIENCE, Kind::Text, "Audience of the tokens of roles that name none.").default("none"),
            Field::new(RESOURCE, Kind::Text, "Resource (RFC 8707) of the tokens of roles that name none.").default("none"),
        ],
        identity_is_complete: true,
        scope: vec![
            Field::new(SCOPES, Kind::TextList, "Scopes of a token.").default("what the server gives by default"),
            Field::new(AUDIENCE, Kind::Text, "Audience of a token.").default("the account's"),
            Field::new(RESOURCE, Kind::Text, "Resource that a token is for (RFC 8707), an absolute URI.").default("the account's"),
        ],
        can: abilities(Duration::from_secs(1), LONGEST, End::BySecret, &["permissions"]),
        name_limit: NAME_LIMIT,
        revocation: "At once at the server itself where the account has a revoke_url; a service that checks tokens by their signature alone takes them up to their expiry. Without a revoke_url only the expiry ends a token.".into(),
        unproven: texts(&[
            "How long a token lives is the server's choice: a role's ttl counts only where the server does not say.",
            "A server that answers a revocation with 200 and does nothing is not found out.",
        ]),
    };
    OAuth2 { about, preset: Preset { token_url: any_token_url, url_field: TOKEN_URL, base_url: |_| None, scope: None } }
}

/// Facts are from azure-mgmt-cognitiveservices 14.1.0 and Microsoft's documents of the client credentials flow; none
/// was tried against Entra ID itself.
pub(super) fn azure_openai() -> OAuth2 {
    let about = About {
        name: "azure-openai".into(),
        title: "Azure OpenAI".into(),
        account: vec![
            Field::new(TENANT, Kind::VendorId, "Id of the tenant, or one of its domains.").required(),
            Field::new(CLIENT_ID, Kind::Text, "Application (client) id.").required(),
            Field::new(CLIENT_SECRET, Kind::Secret, "Client secret of the application.").required(),
            Field::new(BASE_URL, Kind::Url, "Endpoint of the resource: https://NAME.openai.azure.com/openai/v1.")
                .required(),
            Field::new(LOGIN_URL, Kind::Url, "Entra ID; another one for another cloud.").default(LOGIN),
            Field::new(AZURE_SCOPE, Kind::Text, "Scope of the tokens; another one for another cloud.")
                .default(COGNITIVE_SERVICES),
        ],
        identity_is_complete: true,
        scope: Vec::new(),
        // Entra ID draws a life from this span; it can be no other.
        can: abilities(Duration::from_secs(60 * 60), Duration::from_secs(90 * 60), End::Expires, &[]),
        name_limit: NAME_LIMIT,
        revocation: "Not before the token's own expiry, 60 to 90 minutes after it was made.".into(),
        unproven: texts(&[
            "Nothing was tried against Entra ID itself.",
            "Every token has all that the application may do at the resource: roles cannot narrow it. Give each set of permissions an application and a config of its own.",
        ]),
    };
    let scope = Some((AZURE_SCOPE, COGNITIVE_SERVICES));
    OAuth2 { about, preset: Preset { token_url: azure_token_url, url_field: LOGIN_URL, base_url: |_| None, scope } }
}

/// Facts are from databricks-sdk 0.162.0 (`oauth_service_principal`, `get_workspace_endpoints`, the OpenAI mixin) and,
/// for how long a token lives, from the vendor's documents; nothing was tried at Databricks.
pub(super) fn databricks() -> OAuth2 {
    let about = About {
        name: "databricks-oauth".into(),
        title: "Databricks (OAuth)".into(),
        account: vec![
            Field::new(WORKSPACE, Kind::Url, "URL of the workspace: https://NAME.cloud.databricks.com.").required(),
            Field::new(CLIENT_ID, Kind::Text, "Application id of the service principal.").required(),
            Field::new(CLIENT_SECRET, Kind::Secret, "OAuth secret of the service principal.").required(),
            Field::new(BASE_URL, Kind::Url, "Base URL that clients are told.")
                .default("the workspace's /serving-endpoints"),
        ],
        identity_is_complete: true,
        scope: vec![Field::new(SCOPES, Kind::TextList, "Scopes of a token.").default(ALL_APIS)],
        can: abilities(Duration::from_secs(60 * 60), LONGEST, End::Expires, &["permissions"]),
        name_limit: NAME_LIMIT,
        revocation: "Not before the token's own expiry, an hour after it was made.".into(),
        unproven: texts(&[
            "Nothing was tried at Databricks itself.",
            "Which scopes a workspace knows beside all-apis is not listed in one place: it refuses others by name.",
        ]),
    };
    let scope = Some((SCOPES, ALL_APIS));
    OAuth2 {
        about,
        preset: Preset { token_url: databricks_token_url, url_field: WORKSPACE, base_url: databricks_base_url, scope },
    }
}

const TENANT: &str = "tenant_id";
const LOGIN_URL: &str = "login_url";
const LOGIN: &str = "https://login.microsoftonline.com";
const AZURE_SCOPE: &str = "token_scope";
const COGNITIVE_SERVICES: &str = "https://cognitiveservices.azure.com/.default";
const WORKSPACE: &str = "workspace_url";
const ALL_APIS: &str = "all-apis";
/// No server hears of the name.
const NAME_LIMIT: usize = 200;

fn abilities(shortest: Duration, longest: Duration, end: End, limits: &[&'static str]) -> Abilities {
    Abilities {
        source: Source::Token,
        end,
        find: Find::Never,
        expiry: Expiry::Fixed(Limits { shortest, longest }),
        purposes: &[Purpose::Lease],
        limits: texts(limits),
        unused: Vec::new(),
        tries_keys: false,
    }
}

fn any_token_url(values: &Values) -> Result<Url, Invalid> {
    if let Some(text) = given(values, RESOURCE) {
        check_resource(text)?;
    }
    url(TOKEN_URL, values.need(TOKEN_URL)?)
}

fn azure_token_url(values: &Values) -> Result<Url, Invalid> {
    let login = base(LOGIN_URL, given(values, LOGIN_URL).unwrap_or(LOGIN))?;
    // A tenant cannot leave its place in the path: `Kind::VendorId`.
    url(LOGIN_URL, &format!("{login}/{}/oauth2/v2.0/token", values.need(TENANT)?))
}

fn databricks_token_url(values: &Values) -> Result<Url, Invalid> {
    url(WORKSPACE, &format!("{}/oidc/v1/token", base(WORKSPACE, values.need(WORKSPACE)?)?))
}

fn databricks_base_url(values: &Values) -> Option<String> {
    let workspace = given(values, WORKSPACE).and_then(|text| base(WORKSPACE, text).ok());
    workspace.map(|workspace| format!("{workspace}/serving-endpoints"))
}

/// A URL that more is put behind.
fn base(field: &str, text: &str) -> Result<String, Invalid> {
    Ok(base_url(field, text)?.as_str().trim_end_matches('/').to_owned())
}
