//! The same for keys that are not made: those that are switched, and the values of slots.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;

use super::check::{Checked, Walk, changes_nothing, pointer, problem, sources};
use super::format::{ExpirySpec, SlotsSpec, Step, SwitchSpec};
use super::source::Source;
use crate::schema::Kind;

/// Most slots: their number is told as one of a few.
const MOST_SLOTS: usize = 8;

impl Walk<'_> {
    /// Where keys are not made, nothing says how.
    pub(super) fn makes_nothing(&self, beside: &str) -> Checked {
        let definition = self.definition;
        for (at, is_there) in [
            ("create", !definition.create.is_empty()),
            ("delete", !definition.delete.is_empty()),
            ("extend", definition.extend.is_some()),
            ("role", !definition.role.is_empty()),
            ("id", definition.id.is_some()),
            ("expiry", !matches!(definition.expiry, ExpirySpec::None)),
            ("slots", beside == "switch" && definition.slots.is_some()),
        ] {
            if is_there {
                return problem(at, format!("has no meaning beside {beside}: no key is made there"));
            }
        }
        Ok(())
    }

    /// A slot has a name and a value.
    pub(super) fn slots(&mut self, slots: &SlotsSpec) -> Checked {
        let names: BTreeSet<&String> = slots.names.iter().collect();
        if !(2..=MOST_SLOTS).contains(&names.len()) || names.len() != slots.names.len() {
            let text = format!("must be from 2 to {MOST_SLOTS}, each once: one is used while another changes");
            return problem("slots.names", text);
        }
        if let Some(name) = names.into_iter().find(|name| Kind::VendorId.parse(&name.as_str().into()).is_err()) {
            return problem("slots.names", format!("{name:?} must be of letters, digits and _.:-"));
        }
        if slots.values.len() != slots.names.len() {
            return problem("slots.values", "must be as many as names");
        }
        for pick in &slots.values {
            pointer("slots.values", &pick.at)?;
        }
        self.step("slots.read", &slots.read)?;
        self.plain("slots.read", &slots.read)?;
        changes_nothing("slots.read.call", &slots.read)?;
        self.allowed.insert(Source::Id);
        self.step("slots.regenerate", &slots.regenerate)?;
        self.plain("slots.regenerate", &slots.regenerate)?;
        if !sources(&slots.regenerate).iter().any(|(source, _)| **source == Source::Id) {
            return problem("slots.regenerate", "does not name the slot: it lacks {id}");
        }
        // Sent twice, a value may be handed out that is not the slot's any more.
        if slots.regenerate.repeatable || slots.regenerate.call.method != Method::POST {
            return problem("slots.regenerate", "must be a POST that is not repeatable: each time is another value");
        }
        Ok(())
    }

    /// A step that is one call, sent whatever holds, whose answer says that it was done.
    fn plain(&self, at: &str, step: &Step) -> Checked {
        self.only(&format!("{at}.take"), step, &[])?;
        for (name, is_there) in [("poll", step.poll.is_some()), ("when", step.when.is_some()), ("later", step.later)] {
            if is_there {
                return problem(format!("{at}.{name}"), "has no meaning here");
            }
        }
        Ok(())
    }

    /// Keys that somebody else made have an id and a state, and nothing of ours.
    pub(super) fn switch(&mut self, switch: &SwitchSpec) -> Checked {
        self.allowed.insert(Source::Id);
        for (name, step, takes) in
            [("look", &switch.look, &["state", "hint"][..]), ("on", &switch.on, &[]), ("off", &switch.off, &[])]
        {
            let at = format!("switch.{name}");
            self.step(&at, step)?;
            self.plain(&at, &Step { take: BTreeMap::new(), ..step.clone() })?;
            self.only(&format!("{at}.take"), step, takes)?;
            if !step.call.sources().any(|source| *source == Source::Id) {
                return problem(format!("{at}.call"), "does not name the key: it lacks {id}");
            }
        }
        changes_nothing("switch.look.call", &switch.look)?;
        if !switch.look.take.contains_key("state") {
            return problem("switch.look.take", "lacks state");
        }
        let states: Vec<_> = [&switch.is_on, &switch.is_off].into_iter().chain(&switch.is_dead).collect();
        if states.iter().enumerate().any(|(place, state)| states[..place].contains(state)) {
            return problem("switch", "has one state twice among is_on, is_off and is_dead");
        }
        Ok(())
    }
}
