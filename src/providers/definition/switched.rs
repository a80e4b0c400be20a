//! Keys that somebody else made: looked at, switched on, switched off.

use super::super::{Cx, Fault, Gone, Ref, Standing, Switch};
use super::format::{Definition, SwitchSpec};
use super::source::Scene;
use super::step::{Outcome, Session};

/// How a key stands, and whether an answer that it is missing is about this key for certain.
pub(super) async fn look(session: &Session<'_>, spec: &SwitchSpec, key: &Ref) -> Result<(Standing, bool), Fault> {
    let answer = match session.run(&spec.look, &scene(session.talk.cx, key)).await? {
        Outcome::Answer(answer) => answer,
        Outcome::Gone { certain } => return Ok((Standing { switch: Switch::Missing, hint: None }, certain)),
        Outcome::Skipped => return Err(Fault::invalid("was not asked: the step that looks at a key was left out")),
    };
    let body = answer.body();
    let state = &spec.look.take["state"];
    let value = state.value(body).ok_or_else(|| answer.lacks(&state.at))?;
    let word = || session.talk.shown(&state.text(body).unwrap_or_else(|| value.to_string()));
    let switch = match value {
        value if *value == spec.is_on => Switch::On,
        value if *value == spec.is_off => Switch::Off,
        value if spec.is_dead.contains(value) => Switch::Dead(word()),
        _ => Switch::Strange(word()),
    };
    let hint = spec.look.take.get("hint").and_then(|pick| pick.text(body));
    Ok((Standing { switch, hint }, true))
}

/// Switches a key on.
pub(super) async fn on(session: &Session<'_>, spec: &SwitchSpec, key: &Ref) -> Result<(), Fault> {
    match session.run(&spec.on, &scene(session.talk.cx, key)).await? {
        Outcome::Answer(_) => Ok(()),
        Outcome::Skipped | Outcome::Gone { .. } => Err(Fault::invalid("was not asked to switch the key on")),
    }
}

/// Switches a key off, unless it is; never one that is dead.
pub(super) async fn off(session: &Session<'_>, spec: &SwitchSpec, key: &Ref) -> Result<(Gone, bool), Fault> {
    let (standing, certain) = look(session, spec, key).await?;
    match standing.switch {
        Switch::On => {}
        Switch::Off | Switch::Dead(_) | Switch::Missing => return Ok((Gone::Already, certain)),
        Switch::Strange(state) => {
            return Err(Fault::unknown(format!("has the key in a state that nothing is known about: {state}")));
        }
    }
    match session.run(&spec.off, &scene(session.talk.cx, key)).await? {
        Outcome::Answer(_) => Ok((Gone::Now, true)),
        Outcome::Skipped | Outcome::Gone { .. } => Err(Fault::invalid("was not asked to switch the key off")),
    }
}

fn scene<'a>(cx: &Cx<'a>, key: &'a Ref) -> Scene<'a> {
    Scene { key: Some(key), ..Scene::new(cx.account, cx.clock.now()) }
}

impl Definition {
    /// How existing keys are switched, where they are.
    pub(super) fn switches(&self) -> Result<&SwitchSpec, Fault> {
        self.switch.as_ref().ok_or_else(|| Fault::invalid("has no keys that are switched on and off"))
    }
}
