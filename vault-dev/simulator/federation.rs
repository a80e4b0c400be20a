//! Whom a vendor trusts to say who somebody is, and the tokens that it gives for that.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::book::random;
use crate::clock::{Moment, rfc3339, unix};
use crate::jwt;

#[derive(Default)]
pub struct Federation {
    rules: Vec<Rule>,
    used: HashSet<String>,
    tokens: Vec<Token>,
}

/// A rule with its issuer.
#[derive(Clone)]
pub struct Rule {
    pub id: String,
    pub issuer: String,
    pub keys: Vec<Value>,
    /// `aud`, exactly.
    pub audience: String,
    /// `sub`, exactly, or its start with a `*` after it.
    pub subject: Option<String>,
    /// Claims that must have these values.
    pub claims: Map<String, Value>,
    /// Longest life of a token, in seconds.
    pub lifetime: i64,
    /// Longest time from `iat` to `exp`, in seconds.
    pub longest_assertion: i64,
    /// What a token may do.
    pub scope: String,
    /// Whom it acts for.
    pub target: String,
}

pub struct Token {
    secret: String,
    expires: i64,
    pub scope: String,
}

impl Rule {
    /// Out of `{id?, issuer, jwks, audience, subject?, claims?, lifetime_seconds?, max_jwt_lifetime_seconds?, scope?, target?}`.
    pub fn read(given: &Value, id: &str) -> Result<Self, String> {
        let text = |name: &str| given[name].as_str().map(str::to_owned);
        let need = |name: &str| text(name).ok_or_else(|| format!("{name} is missing"));
        let keys = given["jwks"]["keys"].as_array().cloned().ok_or("jwks.keys is missing")?;
        if keys.iter().any(|key| ["d", "p", "q", "k"].iter().any(|private| key.get(private).is_some())) {
            return Err("jwks holds a private key".into());
        }
        Ok(Self {
            id: text("id").unwrap_or_else(|| id.to_owned()),
            issuer: need("issuer")?,
            keys,
            audience: need("audience")?,
            subject: text("subject"),
            claims: given["claims"].as_object().cloned().unwrap_or_default(),
            lifetime: given["lifetime_seconds"].as_i64().unwrap_or(3600),
            longest_assertion: given["max_jwt_lifetime_seconds"].as_i64().unwrap_or(3600),
            scope: text("scope").unwrap_or_default(),
            target: text("target").unwrap_or_default(),
        })
    }

    fn takes(&self, claims: &Map<String, Value>, at: Moment) -> Result<(), &'static str> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
        let now = unix(at.ms);
        let (Some(iat), Some(exp)) = (seconds("iat"), seconds("exp")) else { return Err("iat or exp is missing") };
        let subject = text("sub");
        let named = match self.subject.as_deref().map(|wanted| (wanted, wanted.strip_suffix('*'))) {
            None => !self.claims.is_empty(),
            Some((_, Some(start))) => subject.starts_with(start),
            Some((whole, None)) => subject == whole,
        };
        let checks = [
            (text("iss") == self.issuer, "the issuer is another"),
            (text("aud") == self.audience, "the audience is another"),
            (exp > now, "the assertion has expired"),
            (seconds("nbf").is_none_or(|nbf| nbf <= now), "the assertion is not valid yet"),
            (iat <= now + 1, "the assertion is from the future"),
            (exp - iat <= self.longest_assertion, "the assertion lives too long"),
            (!subject.is_empty() && named, "the subject is another"),
            (self.claims.iter().all(|(name, value)| claims.get(name) == Some(value)), "a claim has another value"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, problem)| Err(problem))
    }
}

impl Federation {
    /// Adds a rule, or replaces the one of that id.
    pub fn trust(&mut self, rule: Rule) {
        self.rules.retain(|known| known.id != rule.id);
        self.rules.push(rule);
    }

    /// Gives every rule of an issuer these keys.
    pub fn replace_keys(&mut self, issuer: &str, keys: &[Value]) {
        for rule in self.rules.iter_mut().filter(|rule| rule.issuer == issuer) {
            rule.keys = keys.to_vec();
        }
    }

    /// The rule, and the seconds that the assertion has left. An assertion is taken once.
    pub fn accept(&mut self, rule: &str, jwt: &str, at: Moment) -> Result<(Rule, i64), &'static str> {
        let rule = self.rules.iter().find(|known| known.id == rule).ok_or("there is no such rule")?;
        let claims = jwt::verify(jwt, &rule.keys)?;
        rule.takes(&claims, at)?;
        let jti = claims.get("jti").and_then(Value::as_str).ok_or("the assertion has no jti")?;
        if !self.used.insert(format!("{} {jti}", rule.issuer)) {
            return Err("the assertion was used before");
        }
        let left = claims.get("exp").and_then(Value::as_i64).unwrap_or_default() - unix(at.ms);
        Ok((rule.clone(), left))
    }

    /// A token for so many seconds.
    pub fn give(&mut self, prefix: &str, scope: &str, seconds: i64, at: Moment) -> String {
        let secret = random(prefix);
        let expires = at.after_seconds(seconds);
        self.tokens.push(Token { secret: secret.clone(), expires, scope: scope.to_owned() });
        secret
    }

    /// The token of that value, while it lives.
    pub fn holder(&self, secret: &str, at: Moment) -> Option<&Token> {
        self.tokens.iter().find(|token| token.secret == secret && !at.past(Some(token.expires)))
    }

    pub fn snapshot(&self, at: Moment) -> Value {
        let live = self.tokens.iter().filter(|token| !at.past(Some(token.expires)));
        let live: Vec<_> = live.map(|token| json!({"scope": token.scope, "expires": rfc3339(token.expires)})).collect();
        let rules: Vec<_> = self.rules.iter().map(|rule| &rule.id).collect();
        json!({"rules": rules, "live_count": live.len(), "live": live, "created_count": self.tokens.len()})
    }
}
