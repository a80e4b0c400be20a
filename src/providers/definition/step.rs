use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokio::time::sleep;

use super::super::answer::{Answer, Envelope, Failure, Said, parse_seconds, parse_time};
use super::super::call::{Call, Content};
use super::super::talk::Talk;
use super::super::{Cx, Fault, Gone, Ref};
use super::auth::as_form;
use super::format::{Definition, GoneRule, Listing, Step};
use super::source::Scene;
use super::template::Target;
use super::term::Term;
use crate::base::{Secret, Time};
use crate::schema::Kind;

/// One operation at a declared vendor.
pub(super) struct Session<'a> {
    pub(super) talk: Talk<'a>,
    pub(super) definition: &'a Definition,
}

/// What a step's call came to.
pub(super) enum Outcome {
    Answer(Answer),
    /// Its condition does not hold: nothing was sent.
    Skipped,
    /// What was to be deleted is not there any more.
    Gone {
        certain: bool,
    },
}

impl<'a> Session<'a> {
    pub(super) async fn open(cx: &'a Cx<'a>, definition: &'a Definition) -> Result<Self, Fault> {
        let mut talk = Talk::bare(cx, &definition.title)?.with_envelope(definition.envelope());
        for (name, value) in &definition.headers {
            talk = talk.header(name, value);
        }
        Ok(Self { talk: definition.auth.present(talk).await?, definition })
    }

    /// The same operation with time to undo what it has made.
    pub(super) fn undo(&self) -> Self {
        Self { talk: self.talk.undo(), definition: self.definition }
    }

    /// Sends a step's call, as often as its poll says, and holds the answer against what it must say.
    pub(super) async fn run(&self, step: &Step, scene: &Scene<'_>) -> Result<Outcome, Fault> {
        if step.when.as_ref().is_some_and(|when| !scene.has(&when.0)) {
            return Ok(Outcome::Skipped);
        }
        loop {
            let answer = match self.talk.send(step.call(scene)?).await {
                Ok(answer) => answer,
                Err(failure) => match step.gone.iter().find(|rule| rule.fits(&failure)) {
                    Some(rule) => return Ok(Outcome::Gone { certain: rule.is_certain() }),
                    None => return Err(failure.into()),
                },
            };
            let body = answer.body();
            if let Some(expect) = step.expect.as_ref().filter(|expect| !expect.holds(body)) {
                return Err(answer.lacks(&format!("{} that is {}", expect.at, expect.is)));
            }
            let Some(poll) = &step.poll else { return Ok(Outcome::Answer(answer)) };
            // What has failed is done too.
            if let Some(words) = poll.failed.as_ref().and_then(|at| answer.text(at)) {
                return Err(Fault::invalid(format!("has failed: {}", self.talk.shown(words))));
            }
            if poll.until.holds(body) {
                return Ok(Outcome::Answer(answer));
            }
            if !self.talk.has_time_for(poll.every.0) {
                return Err(Fault::unknown("has not finished in time"));
            }
            sleep(poll.every.0).await;
        }
    }

    /// Sends a page's call of the listing.
    pub(super) async fn list(
        &self,
        listing: &Listing,
        scene: &Scene<'_>,
        extra: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        let call = build(&listing.call, &listing.query, scene).map_err(|fault| self.talk.unsent(fault))?;
        self.talk.send(extra.iter().fold(call, |call, (name, value)| call.query((*name).to_owned(), value))).await
    }

    /// The entries of a page.
    pub(super) fn entries<'p>(&self, listing: &Listing, page: &'p Answer) -> Result<&'p [Value], Fault> {
        let body = page.body();
        if let Some(expect) = listing.expect.as_ref().filter(|expect| !expect.holds(body)) {
            return Err(page.lacks(&format!("{} that is {}", expect.at, expect.is)));
        }
        // An error with a status of success lists no keys either.
        let envelopes = [Envelope::Declared(&self.definition.errors), Envelope::CommonOrDetail];
        let plain = body.is_object() && envelopes.into_iter().all(|envelope| Said::parse(body, envelope).is_none());
        match page.at(&listing.items) {
            None if listing.absent_is_empty && plain => Ok(&[]),
            _ => page.need_list(&listing.items),
        }
    }

    /// Deletes a key by the declared steps. The first one's answer says how it went, and whether it was about this key for
    /// certain.
    pub(super) async fn delete(&self, key: &Ref) -> Result<(Gone, bool), Fault> {
        let cx = self.talk.cx;
        let scene = Scene { key: Some(key), ..Scene::new(cx.account, cx.clock.now()) };
        let mut gone = None;
        for step in &self.definition.delete {
            let this = match self.run(step, &scene).await? {
                Outcome::Skipped => continue,
                Outcome::Gone { certain } => (Gone::Already, certain),
                Outcome::Answer(_) if step.later => (Gone::Later, true),
                Outcome::Answer(_) => (Gone::Now, true),
            };
            gone.get_or_insert(this);
        }
        gone.ok_or_else(|| Fault::invalid("has no call to delete this key"))
    }
}

impl Step {
    fn call(&self, scene: &Scene<'_>) -> Result<Call, Fault> {
        let call = build(&self.call, &self.query, scene)?;
        let call = match self.body.as_ref().and_then(|body| body.fill(scene)) {
            Some(body) if self.form => call.content(as_form(&body)),
            Some(body) => call.content(Content::Json(body)),
            None => call,
        };
        Ok(if self.repeatable { call.repeatable() } else { call })
    }
}

pub(super) fn build(target: &Target, query: &BTreeMap<String, Term>, scene: &Scene<'_>) -> Result<Call, Fault> {
    let absent = || Fault::invalid("was not called: a part of its path is not known");
    let path = target.path(scene).ok_or_else(absent)?;
    // A POST or a PATCH is repeatable only where its step says so.
    let repeatable = target.method.is_idempotent();
    let mut call = Call::new(target.method.clone(), &path, repeatable);
    for (name, term) in query {
        match term.fill(scene) {
            Some(Value::String(text)) => call = call.query(name.clone(), text),
            Some(other) => call = call.query(name.clone(), other),
            None => {}
        }
    }
    Ok(call)
}

impl GoneRule {
    fn fits(&self, failure: &Failure) -> bool {
        let vendors_own = failure.said.is_some() || (self.bare && failure.bare);
        // What a server says of a path that it does not have, as of one that the vendor has moved.
        let of_a_path = failure
            .said
            .as_ref()
            .is_some_and(|said| said.message.trim().trim_end_matches('.').eq_ignore_ascii_case("not found"));
        failure.status == Some(self.status)
            && vendors_own
            && (self.code.is_some() || !of_a_path)
            && self.says.as_ref().is_none_or(|says| failure.mentions(says))
            && self.code.as_ref().is_none_or(|code| failure.has_code(code))
    }
}

/// What the steps of a creation have brought so far.
pub(super) struct Made {
    pub(super) key: Ref,
    pub(super) secret: Option<Secret>,
    pub(super) expires: Option<Time>,
    pub(super) parts: BTreeMap<String, Secret>,
}

impl Made {
    pub(super) fn new() -> Self {
        Self { key: Ref::new("", &[]), secret: None, expires: None, parts: BTreeMap::new() }
    }

    /// Takes what a step declares. All that is there is taken before what is missing is told: it may be needed to undo.
    /// `sent` is when the step's call was made: a life that is told in seconds began no earlier.
    pub(super) fn take(&mut self, step: &Step, answer: &Answer, sent: Time) -> Result<(), Fault> {
        let body = answer.body();
        let mut lacks = None;
        for (name, pick) in &step.take {
            let text = pick.text(body);
            match (name.as_str(), text) {
                ("expires", _) => self.expires = pick.value(body).and_then(parse_time).or(self.expires),
                ("expires_in", _) => {
                    let life = pick.value(body).and_then(parse_seconds);
                    self.expires = life.map(|life| sent + life).or(self.expires);
                }
                ("secret", Some(text)) => self.secret = Some(text.into()),
                ("id", Some(text)) if Kind::VendorId.parse(&text.as_str().into()).is_ok() => self.key.id = text,
                ("id", _) => lacks = Some(answer.lacks_id(&pick.at)),
                // It is stored in clear, and may enter a path.
                (_, Some(text)) if Kind::VendorId.parse(&text.as_str().into()).is_ok() => {
                    self.key.extra.insert(name.clone(), text.into());
                }
                (_, Some(_)) => lacks = Some(answer.lacks_id(&pick.at)),
                (_, None) => lacks = lacks.or_else(|| Some(answer.lacks(&pick.at))),
            }
        }
        for (name, pick) in &step.show {
            match pick.text(body) {
                Some(text) => drop(self.parts.insert(name.clone(), text.into())),
                None => lacks = lacks.or_else(|| Some(answer.lacks(&pick.at))),
            }
        }
        lacks.map_or(Ok(()), Err)
    }

    /// An id is stored and shown in clear.
    pub(super) fn shows_its_secret(&self) -> bool {
        let Some(secret) = self.secret.as_ref().map(Secret::expose) else { return false };
        let texts = self.key.extra.values().filter_map(Value::as_str).chain([self.key.id.as_str()]);
        texts.into_iter().any(|text| text.contains(secret))
    }
}

/// Longest text beside an id that is kept of a listed key, in bytes.
const EXTRA_LIMIT: usize = 256;

/// An entry of a listing as a reference to a key.
pub(super) fn entry(listing: &Listing, id: String, entry: &Value) -> Option<Ref> {
    let mut extra = Map::new();
    for (name, pick) in listing.entry.iter().filter(|(name, _)| !["id", "name", "created"].contains(&name.as_str())) {
        extra.insert(name.clone(), pick.text(entry).filter(|text| text.len() <= EXTRA_LIMIT)?.into());
    }
    let mut key = Ref::new(id, &[]);
    key.extra.extend(extra);
    Some(key)
}
