use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::AUTHORIZATION;

use super::super::account::url;
use super::super::answer::{Answer, Envelope, Failure};
use super::super::call::{Call, Content};
use super::super::talk::Talk;
use super::super::{Cx, Fault, FaultKind, Gone};
use super::preset::LONGEST;
use super::{AUDIENCE, AUTH_STYLE, CLIENT_ID, CLIENT_SECRET, RESOURCE, REVOKE_URL, given};
use crate::base::{Secret, Time};
use crate::schema::Values;

/// The account's client at its authorization server.
pub(super) struct Client<'a> {
    talk: Talk<'a>,
    /// What says in a form who the client is; nothing where a header does.
    own: Vec<(String, String)>,
}

/// A token as it was granted.
pub(super) struct Token {
    pub(super) value: Secret,
    /// None where the server does not say.
    pub(super) expires: Option<Time>,
    /// The scopes that it has, fit to be shown; none where the server does not say.
    pub(super) scope: Option<String>,
}

/// What the server calls the role's scopes.
pub(super) const SCOPE: &str = "scope";

impl<'a> Client<'a> {
    pub(super) fn new(cx: &'a Cx<'a>, title: &'a str, url_field: &'a str) -> Result<Self, Fault> {
        let talk = Talk::bare(cx, title)?.with_envelope(Envelope::OAuth(&[])).with_url_field(url_field);
        let mut talk = talk.header("accept", "application/json");
        let (id, secret) =
            (given(&cx.account.identity, CLIENT_ID).unwrap_or_default(), cx.account.secret(CLIENT_SECRET));
        let encoded = Secret::from(as_in_a_form(secret));
        talk.hide(&encoded);
        if cx.account.identity.text(AUTH_STYLE) == Some("post") {
            return Ok(Self { talk, own: form(&[("client_id", id), ("client_secret", secret)]) });
        }
        // RFC 6749, section 2.3.1: both are encoded as in a form before they are joined.
        let pair = Secret::from(STANDARD.encode(format!("{}:{}", as_in_a_form(id), encoded.expose())));
        talk.hide(&pair);
        let talk = talk.secret_header(AUTHORIZATION, &format!("Basic {}", pair.expose()))?;
        Ok(Self { talk, own: Vec::new() })
    }

    /// A new token. Asking again does no harm: a token whose answer was lost is with nobody, and ends by itself.
    pub(super) async fn token(&self, scopes: Vec<String>, role: &Values) -> Result<Token, Fault> {
        let account = &self.talk.cx.account.identity;
        let mut fields = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
        if !scopes.is_empty() {
            fields.push((SCOPE.to_owned(), scopes.join(" ")));
        }
        for name in [AUDIENCE, RESOURCE] {
            let value = given(role, name).or_else(|| given(account, name));
            fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        }
        fields.extend(self.own.iter().cloned());
        // What a token's life is counted from, so that no lease is longer than its token.
        let asked = self.talk.cx.clock.now();
        let answer = self.talk.send(post(fields)).await.map_err(refusal)?;
        let value = answer.need_secret("/access_token")?;
        self.check_type(&answer, &value).await?;
        let life = answer.seconds("/expires_in");
        Ok(Token {
            value,
            expires: life.map(|life| asked + life.min(LONGEST)),
            scope: answer.text("/scope").map(|scope| self.talk.shown(scope)),
        })
    }

    /// RFC 7009. A token that the server does not know is no error there: it is gone either way.
    ///
    /// # Errors
    /// Without a revoke_url, and where the server revokes no access tokens.
    pub(super) async fn revoke(&self, token: &Secret) -> Result<Gone, Fault> {
        let unset = || Fault::invalid("has no way to revoke a token: no revoke_url is set");
        let text = given(&self.talk.cx.account.identity, REVOKE_URL).ok_or_else(unset)?;
        let url = url(REVOKE_URL, text).map_err(|why| Fault::invalid(format!("was not called: {why}")))?;
        let mut talk = self.talk.undo().with_url_field(REVOKE_URL);
        talk.hide(token);
        talk.hide(&Secret::from(as_in_a_form(token.expose())));
        let mut fields = form(&[("token", token.expose()), ("token_type_hint", "access_token")]);
        fields.extend(self.own.iter().cloned());
        // Section 2.2: the status says it all.
        match talk.send_to(&url, post(fields).bodiless()).await {
            Ok(_) => Ok(Gone::Now),
            Err(failure) if code(&failure) == "unsupported_token_type" => {
                Err(Fault::invalid("revokes no access tokens (unsupported_token_type)"))
            }
            Err(failure) => Err(refusal(failure)),
        }
    }

    /// A token of another type is of no use to who knows how to present a bearer token, and is not handed out.
    async fn check_type(&self, answer: &Answer, value: &Secret) -> Result<(), Fault> {
        let kind = answer.text("/token_type").unwrap_or_default();
        if kind.eq_ignore_ascii_case("bearer") {
            return Ok(());
        }
        let mut text = match kind {
            "" => "gave a token without a type".to_owned(),
            kind => format!("gave a token of the type {:?} and no bearer token", self.talk.shown(kind)),
        };
        if given(&self.talk.cx.account.identity, REVOKE_URL).is_some()
            && let Err(left) = self.revoke(value).await
        {
            text.push_str(&format!("; it could not be revoked: the server {left}"));
        }
        Err(Fault::new(FaultKind::Refused, text))
    }
}

/// A form for the URL itself.
fn post(fields: Vec<(String, String)>) -> Call {
    Call::new(Method::POST, &[] as &[&str], true).content(Content::Form(fields))
}

fn form(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn code(failure: &Failure) -> &str {
    failure.said.as_ref().map(|said| said.code.as_str()).unwrap_or_default()
}

/// What the codes of RFC 6749, section 5.2, and of RFC 8707 mean, whatever the status they come with.
fn refusal(failure: Failure) -> Fault {
    let kind = match code(&failure) {
        "invalid_client" | "unauthorized_client" | "access_denied" => Some(FaultKind::Refused),
        "invalid_scope" => Some(FaultKind::Invalid { field: Some(SCOPE.into()) }),
        "invalid_target" | "invalid_resource" => Some(FaultKind::Invalid { field: Some(RESOURCE.into()) }),
        "server_error" | "temporarily_unavailable" => Some(FaultKind::Unknown),
        _ => None,
    };
    let fault = Fault::from(failure);
    match (kind, &fault.kind) {
        (Some(kind), FaultKind::Invalid { .. } | FaultKind::Refused) => Fault { kind, ..fault },
        _ => fault,
    }
}

/// `application/x-www-form-urlencoded`.
fn as_in_a_form(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b' ' => encoded.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_secret_is_encoded_as_in_a_form() {
        assert_eq!(as_in_a_form("aZ9*-._ :+%/~é"), "aZ9*-._+%3A%2B%25%2F%7E%C3%A9");
    }
}
