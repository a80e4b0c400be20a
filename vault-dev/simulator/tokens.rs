//! What an admin credential is exchanged for: a token that is good until it ends.

use std::collections::HashMap;

use crate::book::random;
use crate::clock::Moment;

/// When each token ends.
#[derive(Default)]
pub struct Tokens(HashMap<String, i64>);

impl Tokens {
    pub fn give(&mut self, prefix: &str, seconds: i64, at: Moment) -> String {
        let token = random(prefix);
        self.0.insert(token.clone(), at.after_seconds(seconds));
        token
    }

    pub fn holds(&self, token: Option<&str>, at: Moment) -> bool {
        let ends = token.and_then(|token| self.0.get(token));
        ends.is_some_and(|&ends| !at.past(Some(ends)))
    }
}
