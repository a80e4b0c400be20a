//! The same for what is no role's key that is made: keys that are switched, values of slots, an account's own credential; and
//! for how a fresh key is tried.

use std::collections::BTreeSet;

use http::Method;

use super::check::{Checked, Walk, carrier, changes_nothing, header_value, pointer, problem, sources};
use super::format::{AdminSpec, ExpirySpec, SlotsSpec, Step, SwitchSpec, Trial};
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
            ("admin", definition.admin.is_some()),
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

    /// A credential of the account's own: with its fields, and none of a role.
    pub(super) fn admin(&mut self, admin: &AdminSpec, account: &BTreeSet<Source>) -> Checked {
        let definition = self.definition;
        if definition.delete.is_empty() || definition.list.is_none() || definition.id.is_some() {
            return problem(
                "admin",
                "needs delete, list and ids of the vendor's: what it makes is found and ended by them",
            );
        }
        if let Some(name) = admin.needs.iter().find(|name| !account.contains(&Source::Account((*name).clone()))) {
            return problem("admin.needs", format!("{name:?} is no field of the account that is not secret"));
        }
        if !admin.create.iter().flat_map(sources).any(|(source, _)| *source == Source::Name) {
            return problem("admin.create", "sends no name: what it makes is found by that");
        }
        let all = std::mem::replace(&mut self.allowed, account.clone());
        self.allowed.insert(Source::Name);
        self.allowed.extend(all.get(&Source::Until).cloned());
        let used = std::mem::take(&mut self.used);
        let taken = self.create("admin.create", &admin.create)?;
        // What only this sends is no limit of a role's keys, nor their name or expiry.
        self.of_admin = std::mem::replace(&mut self.used, used);
        if admin.create.iter().any(|step| !step.show.is_empty()) {
            return problem("admin.create", "shows something: nobody is shown such a credential");
        }
        if taken.iter().any(|source| matches!(source, Source::Key(_))) {
            return problem("admin.create", "takes more than id, secret and expires: delete and list know no more");
        }
        self.allowed = all;
        Ok(())
    }

    /// Fields of the account that nothing else uses than its own credential; they count as used from then on.
    pub(super) fn only_admin(&mut self) -> Vec<String> {
        let of_admin = std::mem::take(&mut self.of_admin);
        let only = of_admin.into_iter().filter(|source| !self.used.contains(source)).collect::<Vec<_>>();
        let name = |source: &Source| match source {
            Source::Account(name) => Some(name.clone()),
            _ => None,
        };
        let names: Vec<String> = only.iter().filter_map(name).collect();
        self.used.extend(only.into_iter().filter(|source| matches!(source, Source::Account(_))));
        names
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
        self.plain("slots.read", &slots.read, &[])?;
        changes_nothing("slots.read.call", &slots.read)?;
        self.allowed.insert(Source::Id);
        self.step("slots.regenerate", &slots.regenerate)?;
        self.plain("slots.regenerate", &slots.regenerate, &[])?;
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
    fn plain(&self, at: &str, step: &Step, takes: &[&str]) -> Checked {
        self.only(&format!("{at}.take"), step, takes)?;
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
            self.plain(&at, step, takes)?;
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

    /// How a fresh key is tried.
    pub(super) fn trial(&mut self, trial: &Trial) -> Checked {
        let definition = self.definition;
        if definition.slots.is_none() && definition.delete.is_empty() {
            return problem("try", "has no meaning where no key is a static role's");
        }
        if trial.call.method != Method::GET {
            return problem("try.call", "must be a GET");
        }
        for source in trial.call.sources() {
            self.source("try.call", source, None)?;
        }
        for (name, term) in &trial.query {
            self.term(&format!("try.query.{name}"), term)?;
        }
        carrier("try.header.name", &trial.header.name)?;
        header_value("try.header.prefix", &trial.header.prefix)?;
        for expect in &trial.expect {
            pointer("try.expect.at", &expect.at)?;
        }
        for (at, rules) in [("try.refused", &trial.refused), ("try.known", &trial.known)] {
            for rule in rules {
                if !(400..500).contains(&rule.status) {
                    return problem(at, format!("{} is not a status from 400 to 499", rule.status));
                }
                if rule.code.is_none() && rule.says.is_none() {
                    return problem(at, format!("{} alone does not say it: it needs a code or words", rule.status));
                }
            }
        }
        Ok(())
    }
}
