use std::sync::LazyLock;
use std::time::Duration;

use http::Method;
use reqwest::Url;

use super::super::answer::{Envelope, Failure, Shape};
use super::super::call::{Call, Content};
use super::super::resolver::is_loopback;
use super::super::talk::Talk;
use super::super::{Cx, Fault, FaultKind};
use super::trust::AUDIENCE;
use crate::base::{Secret, Time};
use crate::schema::Values;

/// How one vendor exchanges an assertion for a token.
pub(super) struct Exchange {
    /// The vendor's, for the log.
    pub(super) title: &'static str,
    /// The host of the exchange where it is not that of the API.
    pub(super) host: Option<&'static str>,
    /// Below the host, or below `api_url`.
    pub(super) path: &'static [&'static str],
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// The request for an account and an assertion.
    pub(super) content: fn(&Values, &Secret) -> Content,
    /// What at the vendor decides, and the field of the config that names it.
    pub(super) rule: &'static str,
}

/// A token that a vendor gave.
pub(super) struct Granted {
    pub(super) value: Secret,
    pub(super) expires: Time,
}

/// The form of RFC 6749, section 5.2, and the form of these vendors' other errors, which their gateways use.
static ERRORS: LazyLock<Vec<Shape>> = LazyLock::new(|| {
    let shape = |message: &str, code: &str| Shape { message: message.into(), code: Some(code.into()), field: None };
    vec![shape("/error_description", "/error"), shape("/error/message", "/error/type"), shape("/error", "/error")]
});
/// What the vendors say where they trust the assertion not, whatever the status.
const NO_TRUST: [&str; 5] =
    ["invalid_grant", "invalid_subject_token", "invalid_client", "unauthorized_client", "access_denied"];
impl Exchange {
    /// A token for a fresh assertion that lives so long. Not repeated where the outcome is unknown: some vendors take an
    /// assertion once, and a token that nobody got ends by itself.
    ///
    /// # Errors
    /// `Refused` where the vendor does not take the assertion.
    pub(super) async fn token(&self, cx: &Cx<'_>, life: Duration) -> Result<Granted, Fault> {
        let account = cx.account;
        let audience = account.identity.text(AUDIENCE).unwrap_or(&account.client_url);
        let assertion = cx.signer.sign(audience, life).await?;
        let mut talk = Talk::bare(cx, self.title)?.with_envelope(Envelope::Declared(&ERRORS));
        for (name, value) in self.headers {
            talk = talk.header(name, value);
        }
        talk.hide(&assertion);
        let content = (self.content)(&account.identity, &assertion);
        let call = Call::new(Method::POST, self.path, false).content(content);
        let now = cx.clock.now();
        let answer = talk.send_to(&self.base(&account.endpoint)?, call).await;
        let answer = answer.map_err(|failure| self.explained(failure, audience))?;
        let value = answer.need_secret("/access_token")?;
        let life = answer.seconds("/expires_in").ok_or_else(|| answer.lacks("/expires_in"))?;
        Ok(Granted { value, expires: now + life })
    }

    fn base(&self, endpoint: &Url) -> Result<Url, Fault> {
        match self.host.filter(|_| !is_loopback(endpoint)) {
            Some(host) => host.parse().map_err(|_| Fault::invalid("has an exchange whose URL is none")),
            None => Ok(endpoint.clone()),
        }
    }

    /// The vendors tell a stranger nothing about their rules, so the way out is ours.
    fn explained(&self, failure: Failure, audience: &str) -> Fault {
        let trusted = failure
            .said
            .as_ref()
            .is_none_or(|said| !matches!(failure.status, Some(401 | 403)) && !NO_TRUST.contains(&said.code.as_str()));
        if trusted || failure.doubtful {
            return failure.into();
        }
        let text = format!(
            "does not take this mount's assertion: see that {} is enabled and names the issuer of identity/config, the audience {audience:?} and the sub of who asks; that the vendor has the key signing_kid of identity/keys; and that the clocks agree (it {})",
            self.rule, failure.fault.text
        );
        Fault::new(FaultKind::Refused, text)
    }
}
