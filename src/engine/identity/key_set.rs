use std::cmp::Ordering;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::record;
use super::super::times::{ASSERTION_LIFE_LIMIT, RETIRED_GRACE};
use super::pair::{Algorithm, PrivateKey, PublicKey};
use crate::base::Time;
use crate::logical::{Error, Result, Storage};

/// `identity/keys` in storage: every key that is published, oldest first. One record, so that no crash leaves half a
/// rotation. What each key is at a moment follows from this and the clock alone: every node says the same, and none has
/// to write for time to pass.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct KeySet {
    keys: Vec<Key>,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct Key {
    pub kid: String,
    pub algorithm: Algorithm,
    pub public: PublicKey,
    /// None once another key has taken over.
    pub private: Option<PrivateKey>,
    pub created: Time,
    /// From when on it signs, and the key before it no more.
    pub activates_at: Time,
}

/// What a key is at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Published and not signing yet.
    Next,
    Signing,
    /// Published for what it has signed.
    Retired,
}

/// A key as `identity/keys` shows it.
pub struct Shown<'a> {
    pub key: &'a Key,
    pub state: State,
    /// When it stops signing, where that is known.
    pub retires_at: Option<Time>,
    /// When it is not published any more.
    pub dropped_at: Option<Time>,
}

/// Where the keys are stored.
pub const STORED: &str = "identity/keys";

impl KeySet {
    pub async fn stored(storage: &dyn Storage) -> Result<Self> {
        Ok(record::get(storage, STORED).await?.unwrap_or_default())
    }

    pub async fn store(&self, storage: &dyn Storage) -> Result<()> {
        record::put(storage, STORED.into(), self, true).await
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Adds a key, which is the next one until its time comes.
    pub fn publish(&mut self, key: Key) {
        self.keys.push(key);
    }

    /// Moves the moment at which the next key starts to sign.
    pub fn activate_next(&mut self, now: Time, at: Time) {
        if self.next(now).is_some()
            && let Some(key) = self.keys.last_mut()
        {
            key.activates_at = at;
        }
    }

    /// The key that is published and does not sign yet.
    pub fn next(&self, now: Time) -> Option<&Key> {
        let signing = self.position(now)?;
        self.keys.last().filter(|_| signing + 1 < self.keys.len())
    }

    /// The key that signs now.
    pub fn signing(&self, now: Time) -> Option<&Key> {
        self.keys.get(self.position(now)?)
    }

    /// Every published key, oldest first.
    pub fn shown(&self, now: Time) -> Vec<Shown<'_>> {
        let signing = self.position(now).unwrap_or(self.keys.len());
        let mut published = Vec::new();
        for (position, key) in self.keys.iter().enumerate() {
            let retires_at = self.keys.get(position + 1).map(|next| next.activates_at);
            let dropped_at = retires_at.map(dropped_at);
            let state = match position.cmp(&signing) {
                Ordering::Less => State::Retired,
                Ordering::Equal => State::Signing,
                Ordering::Greater => State::Next,
            };
            if dropped_at.is_none_or(|at| now < at) {
                published.push(Shown { key, state, retires_at, dropped_at });
            }
        }
        published
    }

    /// Takes a key out that does not sign; false where none has this id. Fails where it is the one that signs.
    pub fn withdraw(&mut self, kid: &str, now: Time) -> Result<bool> {
        if self.signing(now).is_some_and(|key| key.kid == kid) {
            return Err(Error::Conflict(format!("key {kid} signs: write identity/rotate until another one does")));
        }
        let before = self.keys.len();
        // The key before it is published for longer now, as if the one after it had taken over.
        self.keys.retain(|key| key.kid != kid);
        Ok(self.keys.len() < before)
    }

    /// When there will be room for another key; none where there is.
    pub fn full_until(&self, now: Time, limit: usize) -> Option<Time> {
        let shown = self.shown(now);
        let oldest = shown.first().filter(|_| shown.len() >= limit)?;
        oldest.dropped_at
    }

    /// Drops what time has ended: the private half of a key that has stopped signing, and a key whose last assertion is
    /// long over. True where there was any.
    pub fn drop_ended(&mut self, now: Time) -> bool {
        let Some(signing) = self.position(now) else { return false };
        let mut changed = false;
        for key in &mut self.keys[..signing] {
            changed |= key.private.take().is_some();
        }
        let kept: Vec<String> = self.shown(now).iter().map(|shown| shown.key.kid.clone()).collect();
        changed |= kept.len() < self.keys.len();
        self.keys.retain(|key| kept.contains(&key.kid));
        changed
    }

    /// The last key whose time has come. Where there is none with a private half (the clock was set back after the
    /// older key's was dropped), the first that has one: it is published already, and no key would be worse.
    fn position(&self, now: Time) -> Option<usize> {
        let due = |key: &Key| key.private.is_some() && key.activates_at <= now;
        self.keys.iter().rposition(due).or_else(|| self.keys.iter().position(|key| key.private.is_some()))
    }
}

impl Key {
    pub fn jwk(&self) -> Value {
        self.public.jwk(&self.kid, self.algorithm)
    }
}

/// The JWKS of these keys.
pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a Value>) -> Value {
    json!({"keys": keys.into_iter().collect::<Vec<_>>()})
}

/// When a key that stops signing at a moment is not needed by any verifier any more.
fn dropped_at(retires_at: Time) -> Time {
    retires_at + TimeDelta::from_std(ASSERTION_LIFE_LIMIT + RETIRED_GRACE).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::pair::generate;
    use super::*;
    use crate::base::SystemRng;

    fn at(hours: i64) -> Time {
        Time::UNIX_EPOCH + TimeDelta::hours(1_000_000 + hours)
    }

    fn key(kid: &str, activates: i64) -> Key {
        let algorithm = Algorithm::ES256;
        let (private, public) = generate(algorithm, &SystemRng).unwrap();
        let kid = kid.to_owned();
        Key { kid, algorithm, public, private: Some(private), created: at(0), activates_at: at(activates) }
    }

    fn set(keys: [(&str, i64); 2]) -> KeySet {
        KeySet { keys: keys.map(|(kid, activates)| key(kid, activates)).to_vec() }
    }

    fn states(set: &KeySet, now: i64) -> Vec<(String, State)> {
        set.shown(at(now)).iter().map(|shown| (shown.key.kid.clone(), shown.state)).collect()
    }

    #[test]
    fn time_alone_moves_a_rotation() {
        let mut keys = set([("a", 0), ("b", 24)]);
        let named =
            |states: &[(&str, State)]| -> Vec<_> { states.iter().map(|(k, s)| ((*k).to_owned(), *s)).collect() };
        assert_eq!(states(&keys, 23), named(&[("a", State::Signing), ("b", State::Next)]));
        assert!(!keys.drop_ended(at(23)), "nothing has ended");
        assert_eq!(states(&keys, 24), named(&[("a", State::Retired), ("b", State::Signing)]));
        assert!(keys.drop_ended(at(24)), "the private half that signs no more");
        assert!(keys.keys[0].private.is_none() && keys.keys[1].private.is_some());
        assert_eq!(states(&keys, 24 + 47), named(&[("a", State::Retired), ("b", State::Signing)]));
        assert_eq!(
            states(&keys, 24 + 48),
            named(&[("b", State::Signing)]),
            "not shown, whether or not a writer came by"
        );
        assert!(keys.drop_ended(at(24 + 48)) && keys.keys.len() == 1);
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_a_key_to_sign_with() {
        let mut keys = set([("a", 0), ("b", 24)]);
        keys.drop_ended(at(24));
        assert_eq!(keys.signing(at(1)).map(|key| key.kid.as_str()), Some("b"));
        keys.publish(key("c", 2));
        assert_eq!(keys.signing(at(1)).map(|key| key.kid.as_str()), Some("b"));
        assert_eq!(keys.signing(at(3)).map(|key| key.kid.as_str()), Some("c"), "in the order in which they were made");
    }

    #[test]
    fn the_next_keys_moment_can_be_moved_and_no_others() {
        let mut keys = set([("a", 0), ("b", 24)]);
        keys.activate_next(at(1), at(1));
        assert_eq!(keys.signing(at(1)).map(|key| key.kid.as_str()), Some("b"));
        keys.activate_next(at(1), at(90));
        assert_eq!(keys.signing(at(1)).map(|key| key.kid.as_str()), Some("b"));
    }

    #[test]
    fn a_record_reads_back() {
        let keys = set([("a", 0), ("b", 24)]);
        let text = record::text(&keys).unwrap();
        let read: KeySet = record::parse(STORED, &text).unwrap();
        assert_eq!(states(&read, 1), states(&keys, 1));
        assert!(read.keys[0].private.is_some());
    }
}
