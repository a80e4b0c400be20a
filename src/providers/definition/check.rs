//! What a definition must keep to, beyond its form: every source is known where it stands, every limit is used, nothing
//! that a role or an account declares is dropped without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use http::{HeaderName, Method};

use super::super::account::base_url;
use super::auth::{Auth, Pair};
use super::format::{
    BaseUrl, Bounds, Definition, ExpirySpec, FieldSpec, GoneRule, KindSpec, LONGEST_NAME, Listing, Pages, Pick, Step,
};
use super::source::Source;
use super::template::Template;
use super::term::{Form, Term};

/// Longest lag of a listing: the sweep drops a row after its third look, at an hour.
const LONGEST_LAG: Duration = Duration::from_secs(30 * 60);
/// Shortest name that holds the mount's tag and a row's id.
const SHORTEST_NAME: usize = 32;
/// Longest name of a field, of an account, of a role or of a lease's answer.
const LONGEST_FIELD: usize = 64;
/// Fields of every config and every role.
const CONFIG_FIELDS: [&str; 16] = [
    "name",
    "provider",
    "allowed_roles",
    "allow_http",
    "proxy_url",
    "ca_cert",
    "verify",
    "definition",
    "api_url",
    "base_url",
    "token_url",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "disable_automated_rotation",
    "admin_key_ttl",
];
const ROLE_FIELDS: [&str; 14] = [
    "name",
    "config",
    "ttl",
    "max_ttl",
    "name_template",
    "rotation_period",
    "rotation_schedule",
    "rotation_window",
    "disable_automated_rotation",
    "overlap",
    "api_key",
    "skip_import_rotation",
    "take_over",
    "slot",
];
/// Headers that are not a definition's to set.
const OWN_HEADERS: [&str; 6] =
    ["authorization", "host", "content-length", "content-type", "transfer-encoding", "connection"];
/// Longest value of a header that a definition sets, in bytes.
const LONGEST_HEADER: usize = 256;
/// What can be limited per key.
const LIMITS: [&str; 5] = ["models", "permissions", "spend", "rate", "ip"];
/// What an API may have that is not used.
const UNUSED: [&str; 4] = ["last used", "usage", "admin key", "switch off"];
/// What a lease's answer shows of every key.
const SHOWN: [&str; 9] =
    ["api_key", "key_id", "key_name", "provider", "base_url", "expires_at", "revocable", "headers", "id"];

/// Something that is wrong, and where.
#[derive(Debug)]
pub(super) struct Problem {
    at: String,
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.text)
    }
}

pub(super) type Checked<T = ()> = Result<T, Problem>;

pub(super) fn problem(at: impl Into<String>, text: impl Into<String>) -> Checked {
    Err(Problem { at: at.into(), text: text.into() })
}

/// Checks a definition. Returns the fields of the account that only its own credential is made with.
pub(super) fn check(definition: &Definition) -> Checked<Vec<String>> {
    declaration(definition)?;
    let mut walk = Walk::new(definition);
    walk.auth()?;
    walk.steps()?;
    let admin_fields = walk.only_admin();
    walk.unused()?;
    Ok(admin_fields)
}

/// All but the calls.
fn declaration(definition: &Definition) -> Checked {
    fields("account", &definition.account, &CONFIG_FIELDS)?;
    fields("role", &definition.role, &ROLE_FIELDS)?;
    if let Some(field) = definition.role.iter().position(|field| field.kind == KindSpec::Secret) {
        return problem(format!("role[{field}].type"), "a role holds no secret");
    }
    let told = match &definition.base_url {
        Some(BaseUrl::Default(url)) => Some(url),
        Some(BaseUrl::Asked { .. }) | None => None,
    };
    for (at, given) in [("api_url", definition.api_url.as_ref()), ("base_url", told)] {
        if let Some(text) = given {
            base_url(at, text).map_err(|invalid| Problem { at: at.into(), text: invalid.problem })?;
        }
    }
    if !(SHORTEST_NAME..=LONGEST_NAME).contains(&definition.longest_name) {
        return problem("longest_name", format!("must be from {SHORTEST_NAME} to {LONGEST_NAME}"));
    }
    words("limits", &definition.limits, &LIMITS)?;
    words("unused", &definition.unused, &UNUSED)?;
    if definition.role.is_empty() && !definition.limits.is_empty() {
        return problem("limits", "says what a role can limit, and role has no fields");
    }
    headers("headers", &definition.headers)?;
    headers("client_headers", &definition.client_headers)?;
    if definition.errors.is_empty() {
        return problem(
            "errors",
            "must name where the vendor's errors are: its own cannot be told from a proxy's else",
        );
    }
    for (place, shape) in definition.errors.iter().enumerate() {
        let pointers = [Some(&shape.message), shape.code.as_ref(), shape.field.as_ref()];
        for text in pointers.into_iter().flatten() {
            pointer(&format!("errors[{place}]"), text)?;
        }
    }
    Ok(())
}

fn fields(at: &str, fields: &[FieldSpec], taken: &[&str]) -> Checked {
    let mut seen = BTreeSet::new();
    for (place, field) in fields.iter().enumerate() {
        let at = format!("{at}[{place}]");
        if !is_name(&field.name) {
            return problem(format!("{at}.name"), format!("must be of a-z, 0-9 and _, at most {LONGEST_FIELD}"));
        }
        if taken.contains(&field.name.as_str()) || !seen.insert(&field.name) {
            return problem(format!("{at}.name"), format!("{:?} is taken", field.name));
        }
        if (field.kind == KindSpec::Choice) == field.choices.is_empty() {
            return problem(format!("{at}.choices"), "belong to a choice, and a choice needs them");
        }
        if field.help.is_empty() {
            return problem(format!("{at}.help"), "is empty");
        }
        if let Some(needs) = &field.needs
            && !fields.iter().any(|other| other.name == *needs)
        {
            return problem(format!("{at}.needs"), format!("{needs:?} is no field"));
        }
    }
    Ok(())
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=LONGEST_FIELD).contains(&text.len()) && text.chars().all(plain)
}

fn words(at: &str, given: &[String], known: &[&str]) -> Checked {
    match given.iter().position(|word| !known.contains(&word.as_str())) {
        Some(place) => problem(format!("{at}[{place}]"), format!("expected one of {}", known.join(", "))),
        None => Ok(()),
    }
}

/// A header that carries a credential: Authorization, or one that is left to definitions.
pub(super) fn carrier(at: &str, name: &str) -> Checked {
    if name.eq_ignore_ascii_case("authorization") || is_free(name) {
        return Ok(());
    }
    problem(at, format!("{name:?} is no header"))
}

fn headers(at: &str, headers: &BTreeMap<String, String>) -> Checked {
    for (name, value) in headers {
        if !is_free(name) {
            return problem(at, format!("{name:?} is no header that a definition can set"));
        }
        header_value(&format!("{at}.{name}"), value)?;
    }
    Ok(())
}

/// Those for clients are handed out with the keys, and may end in files that shells read.
pub(super) fn header_value(at: &str, value: &str) -> Checked {
    let plain = |c: char| c.is_ascii_alphanumeric() || " /-._~:@+,=;".contains(c);
    if value.len() <= LONGEST_HEADER && value.chars().all(plain) {
        return Ok(());
    }
    problem(at, format!("must be of letters, digits, spaces and /-._~:@+,=; and at most {LONGEST_HEADER} long"))
}

/// Whether it is a header that is left to definitions.
fn is_free(name: &str) -> bool {
    HeaderName::try_from(name).is_ok() && !OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str())
}

pub(super) fn pointer(at: &str, text: &str) -> Checked {
    if text.is_empty() || text.starts_with('/') {
        return Ok(());
    }
    problem(at, format!("{text:?} is not a JSON pointer: it starts with /"))
}

/// Goes through all that has sources in it and remembers what was used.
pub(super) struct Walk<'a> {
    pub(super) definition: &'a Definition,
    /// What may stand for a value where we are.
    pub(super) allowed: BTreeSet<Source>,
    pub(super) used: BTreeSet<Source>,
    /// What the account's own credential is made with.
    pub(super) of_admin: BTreeSet<Source>,
}

impl<'a> Walk<'a> {
    fn new(definition: &'a Definition) -> Self {
        let open = definition.account.iter().filter(|field| field.kind != KindSpec::Secret);
        let allowed = open.map(|field| Source::Account(field.name.clone())).collect();
        Self { definition, allowed, used: BTreeSet::new(), of_admin: BTreeSet::new() }
    }

    fn auth(&mut self) -> Checked {
        let definition = self.definition;
        let secrets = definition.auth.secrets();
        if let Auth::Token { url: text, body, basic, headers: names, .. } = &definition.auth {
            // A field of the account is one segment of it, by its kind.
            let template: Template = text.parse().map_err(|text| Problem { at: "auth.token.url".into(), text })?;
            for source in template.sources() {
                self.source("auth.token.url", source, None)?;
                let is_id = |field: &FieldSpec| {
                    *source == Source::Account(field.name.clone()) && field.kind == KindSpec::Id && field.required
                };
                if !definition.account.iter().any(is_id) {
                    return problem("auth.token.url", format!("{source} is not a required id of the account"));
                }
            }
            let text = &template.filled_with("x");
            // What is below api_url is made with it, and is a URL only then.
            let whole = if text.starts_with('/') { format!("https://localhost{text}") } else { text.clone() };
            base_url("url", &whole)
                .map_err(|invalid| Problem { at: "auth.token.url".into(), text: invalid.problem })?;
            headers("auth.token.headers", names)?;
            let secret = definition.account.iter().filter(|field| field.kind == KindSpec::Secret);
            let secret: Vec<Source> = secret.map(|field| Source::Secret(field.name.clone())).collect();
            self.allowed.extend(secret.iter().cloned());
            self.term("auth.token.body", body)?;
            for source in basic.iter().flat_map(Pair::sources) {
                self.source("auth.token.basic", source, None)?;
            }
            self.allowed.retain(|source| !secret.contains(source));
        }
        if let Auth::Header { name, prefix, .. } = &definition.auth {
            carrier("auth.header.name", name)?;
            header_value("auth.header.prefix", prefix)?;
        }
        for name in &secrets {
            let field = definition.account.iter().find(|field| field.name == *name);
            match field {
                Some(field) if field.kind == KindSpec::Secret && field.required => {}
                _ => return problem("auth", format!("{name:?} is not a required secret field of the account")),
            }
            self.used.insert(Source::Secret(name.clone()));
        }
        if secrets.is_empty() {
            return problem("auth", "uses no secret field of the account");
        }
        Ok(())
    }

    fn steps(&mut self) -> Checked {
        let definition = self.definition;
        for (place, step) in definition.check.iter().enumerate() {
            self.step(&format!("check[{place}]"), step)?;
            self.only(&format!("check[{place}].take"), step, &["identity"])?;
            changes_nothing(&format!("check[{place}].call"), step)?;
        }
        if let Some(trial) = &definition.trial {
            self.trial(trial)?;
        }
        let account = self.allowed.clone();
        if let Some(switch) = &definition.switch {
            self.makes_nothing("switch")?;
            self.switch(switch)?;
            self.allowed = account;
            return definition.list.as_ref().map_or(Ok(()), |listing| self.listing(listing));
        }
        if let Some(slots) = &definition.slots {
            self.makes_nothing("slots")?;
            if definition.list.is_some() {
                return problem("list", "has no meaning beside slots");
            }
            return self.slots(slots);
        }
        let roles = definition.role.iter().map(|field| Source::Role(field.name.clone()));
        self.allowed.extend(roles.chain([Source::Name]));
        let bounds = match definition.expiry {
            ExpirySpec::None => None,
            ExpirySpec::Fixed(bounds) | ExpirySpec::Movable(bounds) => Some(bounds),
        };
        if let Some(Bounds { shortest, longest }) = bounds {
            if shortest.0 > longest.0 || shortest.0.is_zero() {
                return problem("expiry", "shortest must be above zero and not above longest");
            }
            self.allowed.insert(Source::Until);
        }
        if let Some(admin) = &definition.admin {
            self.admin(admin, &account)?;
        }
        let taken = self.create("create", &definition.create)?;
        self.allowed = account.clone();
        self.allowed.extend(taken.iter().cloned());
        for (place, step) in definition.delete.iter().enumerate() {
            self.step(&format!("delete[{place}]"), step)?;
            self.only(&format!("delete[{place}].take"), step, &[])?;
        }
        match (&definition.extend, &definition.expiry) {
            (Some(step), ExpirySpec::Movable(_)) => {
                self.allowed.insert(Source::Until);
                let before = self.used.contains(&Source::Until);
                self.used.remove(&Source::Until);
                self.step("extend", step)?;
                self.only("extend.take", step, &["expires"])?;
                if !self.used.contains(&Source::Until) {
                    return problem("extend", "does not send until");
                }
                if !before {
                    return problem("create", "sends no until, and expiry says that a key has one");
                }
            }
            (None, ExpirySpec::Movable(_)) => return problem("extend", "is missing: expiry says movable"),
            (Some(_), _) => return problem("extend", "has no meaning where expiry is not movable"),
            (None, _) => {}
        }
        self.allowed = account;
        match &definition.list {
            Some(listing) => self.listing(listing),
            None => Ok(()),
        }
    }

    /// Returns what later calls can use of a key.
    pub(super) fn create(&mut self, block: &str, steps: &[Step]) -> Result<BTreeSet<Source>, Problem> {
        let definition = self.definition;
        let mut taken = BTreeSet::new();
        if let Some(id) = &definition.id {
            for source in id.sources() {
                self.source("id", source, None)?;
            }
            taken.insert(Source::Id);
        }
        let mut secret = false;
        for (place, step) in steps.iter().enumerate() {
            let at = format!("{block}[{place}]");
            self.step(&at, step)?;
            for (name, pick) in step.take.iter().chain(&step.show) {
                pointer(&format!("{at}.take.{name}"), &pick.at)?;
            }
            for name in step.show.keys() {
                let text = match is_name(name) {
                    true if !SHOWN.contains(&name.as_str()) => continue,
                    true => format!("{name:?} is taken"),
                    false => format!("{name:?} must be of a-z, 0-9 and _, at most {LONGEST_FIELD}"),
                };
                return Err(Problem { at: format!("{at}.show"), text });
            }
            for name in step.take.keys() {
                match name.as_str() {
                    "secret" => secret = true,
                    "id" => drop(taken.insert(Source::Id)),
                    "expires" | "expires_in" => drop(self.used.insert(Source::Until)),
                    "v" | "identity" | "name" | "created" => {
                        return Err(Problem { at: format!("{at}.take"), text: format!("{name:?} is taken") });
                    }
                    name => drop(taken.insert(Source::Key(name.to_owned()))),
                }
            }
            let changes = step.call.method != Method::GET;
            if changes && step.undo.is_none() && !definition.delete.is_empty() && !taken.contains(&Source::Id) {
                return Err(Problem {
                    at: at.clone(),
                    text: "makes something before there is an id to delete: it needs an undo, or takes the id".into(),
                });
            }
            self.allowed.extend(taken.iter().cloned());
            if let Some(undo) = &step.undo {
                // What is sent only to undo limits no key.
                let used = self.used.clone();
                self.step(&format!("{at}.undo"), undo)?;
                self.used = used;
            }
        }
        let lacks = |at: &str, text: &str| Err(Problem { at: at.into(), text: text.into() });
        if !secret {
            return lacks(block, "no step takes the secret");
        }
        if !definition.delete.is_empty() && !taken.contains(&Source::Id) {
            return lacks(block, "no step takes the id, which delete needs");
        }
        let expires = !matches!(definition.expiry, ExpirySpec::None);
        if definition.delete.is_empty() && !expires {
            return lacks("delete", "is empty, and expiry says that a key has none: it could never be ended");
        }
        if expires && !self.used.contains(&Source::Until) {
            return lacks(block, "neither sends until nor takes expires, and expiry says that a key has one");
        }
        Ok(taken)
    }

    fn listing(&mut self, listing: &Listing) -> Checked {
        if self.definition.switch.is_none() && !self.used.contains(&Source::Name) {
            return problem("list", "finds keys by their name, and create sends none: it lacks name");
        }
        // Later looks of the sweep than this do not wait for a key to appear.
        if listing.lag.0 > LONGEST_LAG {
            return problem("list.lag", "must be half an hour or less");
        }
        self.allowed.insert(Source::Prefix);
        for source in listing.call.sources() {
            self.source("list.call", source, None)?;
        }
        for (name, term) in &listing.query {
            self.term(&format!("list.query.{name}"), term)?;
        }
        pointer("list.items", &listing.items)?;
        if let Some(expect) = &listing.expect {
            pointer("list.expect.at", &expect.at)?;
        }
        for (name, pick) in &listing.entry {
            pointer(&format!("list.entry.{name}"), &pick.at)?;
        }
        if let Pages::Cursor { at, .. } = &listing.pages {
            pointer("list.pages", &at.at)?;
        }
        for name in ["id", "name"] {
            if !listing.entry.contains_key(name) {
                return problem("list.entry", format!("lacks {name}"));
            }
        }
        let later = self.definition.delete.iter().chain(&self.definition.extend);
        for source in later.flat_map(sources).map(|(source, _)| source) {
            if let Source::Key(name) = source
                && !listing.entry.contains_key(name)
            {
                return problem("list.entry", format!("lacks {name}, which delete or extend needs"));
            }
        }
        if self.definition.switch.is_none() && self.definition.delete.is_empty() {
            return problem("list", "has no meaning where keys cannot be deleted");
        }
        Ok(())
    }

    pub(super) fn step(&mut self, at: &str, step: &Step) -> Checked {
        if !step.gone.is_empty() && !at.starts_with("delete") && !at.ends_with(".undo") && at != "switch.look" {
            return problem(format!("{at}.gone"), "belongs to delete, undo and switch.look");
        }
        for (source, form) in sources(step) {
            self.source(at, source, form)?;
        }
        if step.form && !matches!(step.body, Some(Term::Object(_))) {
            return problem(format!("{at}.form"), "needs a body that is an object");
        }
        if let Some(poll) = &step.poll {
            pointer(&format!("{at}.poll.until.at"), &poll.until.at)?;
            if poll.every.0.is_zero() {
                return problem(format!("{at}.poll.every"), "must be a second or more");
            }
        }
        if let Some(expect) = &step.expect {
            pointer(&format!("{at}.expect.at"), &expect.at)?;
        }
        if let Some(rule) = step.gone.iter().find(|rule| !(400..500).contains(&rule.status)) {
            return problem(format!("{at}.gone"), format!("{} is not a status from 400 to 499", rule.status));
        }
        let vague = |rule: &&GoneRule| ![404, 410].contains(&rule.status) && rule.code.is_none() && rule.says.is_none();
        if let Some(rule) = step.gone.iter().find(vague) {
            return problem(format!("{at}.gone"), format!("{} alone does not say that it is gone", rule.status));
        }
        match step.gone.iter().find(|rule| !rule.is_certain()) {
            Some(rule) if self.definition.list.is_none() => {
                let text = format!("{} may be about something else: it needs a code or words, or a list", rule.status);
                problem(format!("{at}.gone"), text)
            }
            _ => Ok(()),
        }
    }

    /// A step takes nothing but this.
    pub(super) fn only(&self, at: &str, step: &Step, names: &[&str]) -> Checked {
        for (name, Pick { at: text, .. }) in &step.take {
            if !names.contains(&name.as_str()) {
                return problem(at, format!("{name:?} has no meaning here"));
            }
            pointer(at, text)?;
        }
        if !step.show.is_empty() || step.undo.is_some() {
            return problem(at, "show and undo belong to create");
        }
        Ok(())
    }

    pub(super) fn term(&mut self, at: &str, term: &Term) -> Checked {
        for (source, form) in term.sources() {
            self.source(at, source, form)?;
        }
        Ok(())
    }

    pub(super) fn source(&mut self, at: &str, source: &Source, form: Option<Form>) -> Checked {
        if *source == Source::Item {
            return Ok(());
        }
        if !self.allowed.contains(source) {
            let known = match source {
                Source::Secret(_) => "is not given to calls: it belongs into auth",
                Source::Until => "has no meaning here, or expiry says that a key has none",
                _ => "is not there at this place",
            };
            return problem(at, format!("{source} {known}"));
        }
        let time = form.is_some_and(Form::is_time);
        if (*source == Source::Until) != time {
            let text =
                if time { "is no time, and its form is one" } else { "needs a form of a time: \"as\": \"rfc3339\"" };
            return problem(at, format!("{source} {text}"));
        }
        self.used.insert(source.clone());
        Ok(())
    }

    /// A limit that is declared and never sent would be a limit that nobody keeps.
    fn unused(&self) -> Checked {
        let definition = self.definition;
        let account = definition.account.iter().enumerate().map(|(place, field)| {
            let name = field.name.clone();
            let source = if field.kind == KindSpec::Secret { Source::Secret(name) } else { Source::Account(name) };
            ("account", place, source)
        });
        let role =
            definition.role.iter().enumerate().map(|(place, field)| ("role", place, Source::Role(field.name.clone())));
        match account.chain(role).find(|(_, _, source)| !self.used.contains(source)) {
            Some((at, place, source)) => problem(format!("{at}[{place}]"), format!("{source} is used nowhere")),
            None => Ok(()),
        }
    }
}

pub(super) fn changes_nothing(at: &str, step: &Step) -> Checked {
    if step.call.method == Method::GET || step.repeatable {
        return Ok(());
    }
    problem(at, "must change nothing: a GET, or repeatable")
}

pub(super) fn sources(step: &Step) -> Vec<(&Source, Option<Form>)> {
    let path = step.call.sources().map(|source| (source, None));
    let when =
        step.when.iter().map(|when| (&when.0, Some(if when.0 == Source::Until { Form::Unix } else { Form::Same })));
    let query = step.query.values().flat_map(Term::sources);
    let body = step.body.iter().flat_map(Term::sources);
    path.chain(when).chain(query).chain(body).collect()
}
