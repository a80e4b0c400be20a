//! Keys that are values of fixed slots: a new one takes the place of the value that its slot has had.

use std::collections::BTreeMap;

use super::super::answer::Answer;
use super::super::{Account, Fault, Gone, Issued, Order, Ref};
use super::format::{SlotsSpec, Step};
use super::source::Scene;
use super::step::{Outcome, Session};
use crate::base::{Secret, Time};
use crate::schema::{Field, Kind};

/// The role's field that says where to begin.
const SLOT: &str = "slot";
/// What a reference keeps of a slot's value, to know it by.
const PRINT: &str = "print";

/// The field itself, required: whoever uses that slot's value is cut off.
pub(super) fn field(spec: &SlotsSpec) -> Field {
    let names: Vec<&str> = spec.names.iter().map(String::as_str).collect();
    let help = "Slot whose value is made anew first: whoever uses its value then is cut off. The others follow, one with each rotation.";
    Field::new(SLOT, Kind::choice(&names), help).required()
}

/// Makes the value of a slot anew: of another one than that of the key that must go on working.
pub(super) async fn issue(session: &Session<'_>, spec: &SlotsSpec, order: &Order<'_>) -> Result<Issued, Fault> {
    let names = &spec.names;
    let slot = match order.keeps {
        Some(kept) => names.iter().position(|name| *name == kept.id).map(|at| &names[(at + 1) % names.len()]),
        None => order.scope.0.text(SLOT).and_then(|slot| names.iter().find(|name| *name == slot)),
    };
    let slot = slot.ok_or_else(|| Fault::invalid("has no such slot any more: write the role again"))?;
    let secret = regenerate(session, spec, slot).await?;
    Ok(Issued {
        key: Ref::new(slot.as_str(), &[(PRINT, &secret.print())]),
        secret,
        parts: BTreeMap::new(),
        expires: None,
        headers: session.definition.client_headers.clone(),
        warnings: Vec::new(),
    })
}

/// Ends a value by another one that nobody is told, unless its slot has another already.
pub(super) async fn end(mut session: Session<'_>, spec: &SlotsSpec, key: &Ref) -> Result<Gone, Fault> {
    let answer = answered(&session, &spec.read, None).await?;
    // What this call has read is in no later error.
    for pick in &spec.values {
        if let Some(value) = pick.text(answer.body()) {
            session.talk.hide(&value.into());
        }
    }
    let has_it = |value: &Secret| key.text(PRINT) == Some(value.print().as_str());
    if !has_it(&value(&session, spec, &answer, &key.id)?) {
        return Ok(Gone::Already);
    }
    let next = regenerate(&session, spec, &key.id).await?;
    Ok(if has_it(&next) { Gone::Later } else { Gone::Now })
}

/// What the slots are of: the call that reads them, at the account's URL. Vendors do not mind the case of such names.
pub(super) fn of(spec: &SlotsSpec, account: &Account) -> String {
    let path = spec.read.call.path(&Scene::new(account, Time::UNIX_EPOCH)).unwrap_or_default();
    format!("{}{}", account.endpoint, path.join("/")).to_ascii_lowercase()
}

async fn regenerate(session: &Session<'_>, spec: &SlotsSpec, slot: &str) -> Result<Secret, Fault> {
    let key = Ref::new(slot, &[]);
    let answer = answered(session, &spec.regenerate, Some(&key)).await?;
    value(session, spec, &answer, slot)
}

async fn answered(session: &Session<'_>, step: &Step, key: Option<&Ref>) -> Result<Answer, Fault> {
    let cx = session.talk.cx;
    match session.run(step, &Scene { key, ..Scene::new(cx.account, cx.clock.now()) }).await? {
        Outcome::Answer(answer) => Ok(answer),
        Outcome::Skipped | Outcome::Gone { .. } => Err(Fault::invalid("was not asked: its step was left out")),
    }
}

/// The value of a slot in an answer.
fn value(session: &Session<'_>, spec: &SlotsSpec, answer: &Answer, slot: &str) -> Result<Secret, Fault> {
    let at = spec.names.iter().position(|name| name == slot).and_then(|at| spec.values.get(at));
    let pick = at.ok_or_else(|| Fault::invalid(format!("has no slot {}", session.talk.shown(slot))))?;
    pick.text(answer.body()).map(Secret::from).ok_or_else(|| answer.lacks(&pick.at))
}
