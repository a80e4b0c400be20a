//! Whether a vendor takes a key, asked with the key itself.

use http::HeaderName;
use reqwest::Url;
use serde_json::Value;

use super::super::answer::Failure;
use super::super::talk::Talk;
use super::super::{Cx, Fault};
use super::format::{Definition, ErrorRule, Expect, Trial};
use super::source::Scene;
use super::step::build;
use crate::base::Secret;

impl ErrorRule {
    fn fits(&self, failure: &Failure) -> bool {
        failure.vendor_said(self.status)
            && self.says.as_ref().is_none_or(|says| failure.mentions(says))
            && self.code.as_ref().is_none_or(|code| failure.has_code(code))
    }
}

impl Trial {
    /// Whether the vendor takes the key, as `Vendor::takes`.
    pub(super) async fn run(&self, cx: &Cx<'_>, definition: &Definition, key: &Secret) -> Result<Option<bool>, Fault> {
        let url: Url = cx.account.client_url.parse().map_err(|_| Fault::invalid("was not called: no base URL"))?;
        let name = HeaderName::try_from(self.header.name.as_str()).map_err(|_| Fault::invalid("has no such header"))?;
        let mut talk = Talk::bare(cx, &definition.title)?.with_envelope(definition.envelope());
        if definition.base_url.is_some() {
            talk = talk.with_url_field("base_url");
        }
        for (name, value) in &definition.headers {
            talk = talk.header(name, value);
        }
        talk.hide(key);
        let talk = talk.secret_header(name, &format!("{}{}", self.header.prefix, key.expose()))?;
        let call = build(&self.call, &self.query, &Scene::new(cx.account, cx.clock.now()))?;
        let failure = match talk.send_to(&url, call).await {
            Ok(answer) => return Ok(self.kept_by(answer.body())),
            Err(failure) => failure,
        };
        let any = |rules: &[ErrorRule]| rules.iter().any(|rule| rule.fits(&failure));
        match (any(&self.known), any(&self.refused)) {
            (true, _) => Ok(Some(true)),
            (false, true) => Ok(Some(false)),
            (false, false) if failure.vendor_said(401) && !self.refused.is_empty() => Ok(None),
            (false, false) => failure.about_key(),
        }
    }

    /// Whether an answer says what it must; none where it does not say all of that, and nothing else.
    fn kept_by(&self, answer: &Value) -> Option<bool> {
        let absent = |expect: &&Expect| answer.pointer(&expect.at).is_none_or(Value::is_null);
        let (silent, told): (Vec<_>, Vec<_>) = self.expect.iter().partition(absent);
        match told.iter().all(|expect| expect.holds(answer)) {
            true if silent.is_empty() => Some(true),
            true => None,
            false => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_does_not_say_all_of_what_it_must_says_nothing() {
        let trial =
            json!({"call": "GET /me", "expect": [{"at": "/off", "is": false}, {"at": "/blocked", "is": false}]});
        let trial: Trial = serde_json::from_value(trial).expect("a trial");
        for (answer, kept) in [
            (json!({"off": false, "blocked": false}), Some(true)),
            (json!({"off": true, "blocked": false}), Some(false)),
            (json!({"blocked": true}), Some(false)),
            (json!({"off": false}), None),
            (json!({"off": false, "blocked": null}), None),
            (json!("a page"), None),
        ] {
            assert_eq!(trial.kept_by(&answer), kept, "{answer}");
        }
    }
}
