use async_trait::async_trait;
use serde_json::Value;

use super::super::account::base_url;
use super::super::answer::{as_name, parse_time};
use super::super::vendor::{
    Abilities, About, Cursor, Cx, End, Expiry, Find, Found, Gone, Issued, Limits, Order, Page, Probe, Purpose, Ref,
    Scope, Source as Origin, Standing, Vendor,
};
use super::super::{Account, Fault};
use super::check;
use super::format::{BaseUrl, Bounds, Definition, ExpirySpec, FieldSpec, Pages, Step};
use super::slots;
use super::source::Scene;
use super::step::{Made, Outcome, Session, entry};
use super::switched;
use super::template::Template;
use crate::base::{Secret, Time};
use crate::schema::{Field, Invalid, Kind, Values};

/// Largest part of a request that is made by going through a list of a role, in bytes.
const LARGEST_LIST: usize = 256 * 1024;

/// A vendor that a definition declares.
pub(in super::super) struct Declared {
    pub(super) about: About,
    definition: Definition,
    /// Fields of the account that only its own credential is made with.
    admin_fields: Vec<String>,
}

impl Declared {
    /// Reads a definition and checks all that can be checked without the vendor.
    ///
    /// # Errors
    /// Says where in the definition the problem is.
    pub(in super::super) fn read(text: &str) -> Result<Self, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let definition: Definition = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            // serde's own text ends with "at line 3 column 7" where the place is known.
            match error.path().to_string().as_str() {
                "." => error.inner().to_string(),
                path => format!("{path}: {}", error.inner()),
            }
        })?;
        reader.end().map_err(|error| error.to_string())?;
        let admin_fields = check::check(&definition).map_err(|problem| problem.to_string())?;
        Ok(Self { about: about(&definition), definition, admin_fields })
    }

    fn scene<'a>(&'a self, cx: &Cx<'a>) -> Scene<'a> {
        Scene::new(cx.account, cx.clock.now())
    }

    async fn make(&self, session: &Session<'_>, order: &Order<'_>, made: &mut Made) -> Result<(), Fault> {
        let cx = session.talk.cx;
        for step in self.steps(order)? {
            let key = made.key.clone();
            let scene = Scene {
                role: Some(&order.scope.0),
                name: Some(&order.name.0),
                until: order.until,
                key: Some(&key),
                ..Scene::new(cx.account, cx.clock.now())
            };
            let Outcome::Answer(answer) = session.run(step, &scene).await? else { continue };
            if let Some(id) = self.definition.id.as_ref().and_then(|id| id.fill(&scene)) {
                made.key.id = id;
            }
            made.take(step, &answer, scene.now)?;
        }
        Ok(())
    }

    /// The steps that make what is ordered.
    fn steps(&self, order: &Order<'_>) -> Result<&[Step], Fault> {
        match (order.purpose, &self.definition.admin) {
            (Purpose::Admin, Some(admin)) => Ok(&admin.create),
            (Purpose::Admin, None) => Err(Fault::invalid("makes no admin credentials by its API")),
            (Purpose::Lease | Purpose::Static, _) => Ok(&self.definition.create),
        }
    }

    /// "Not there" may be said of what the key is in: only where all other keys are listed, and this one is not, is it gone.
    async fn confirm_gone(&self, cx: &Cx<'_>, key: &Ref) -> Result<Gone, Fault> {
        let mut from: Option<Cursor> = None;
        loop {
            let page = self.list(cx, "", from.clone()).await?;
            if page.found.iter().any(|found| found.key.id == key.id) {
                return Err(Fault::unknown("says that the key is not there, and lists it"));
            }
            match page.next {
                None => return Ok(Gone::Already),
                next if next == from => return Err(Fault::unknown("repeats a page of its list")),
                next => from = next,
            }
        }
    }

    /// Undoes what was made, the last first; by the key's own deletion once there is a key.
    async fn unmake(&self, session: &Session<'_>, order: &Order<'_>, made: &Made) -> Result<(), Fault> {
        let mut session = session.undo();
        // A vendor may have sent the key itself where an id should be.
        if let Some(secret) = &made.secret {
            session.talk.hide(secret);
        }
        if !made.key.id.is_empty() && !self.definition.delete.is_empty() {
            return session.delete(&made.key).await.and_then(|(gone, _)| gone.fresh());
        }
        let cx = session.talk.cx;
        let scene = Scene {
            role: Some(&order.scope.0),
            name: Some(&order.name.0),
            key: Some(&made.key),
            ..Scene::new(cx.account, cx.clock.now())
        };
        for undo in self.steps(order)?.iter().rev().filter_map(|step| step.undo.as_ref()) {
            // Where what it needs was never taken, its step made nothing.
            if undo.call.path(&scene).is_none() {
                continue;
            }
            match session.run(undo, &scene).await? {
                Outcome::Answer(_) | Outcome::Skipped => {}
                Outcome::Gone { .. } => Gone::Already.fresh()?,
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Vendor for Declared {
    fn about(&self) -> &About {
        &self.about
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        let definition = &self.definition;
        let default = definition.api_url.as_deref().unwrap_or_default();
        if default.is_empty() {
            values.need("api_url")?;
        }
        let chief = definition.auth.secrets().into_iter().next().unwrap_or_default();
        let mut account = Account::read(&self.about, values, Some(&chief), default)?;
        if let Some(default) = definition.auth.token_url() {
            let below = format!("{}{default}", account.endpoint.as_str().trim_end_matches('/'));
            let default = if default.starts_with('/') { &below } else { default };
            let url = match values.text("token_url") {
                Some(given) => given.to_owned(),
                None => token_url(default, &account)?,
            };
            let url = base_url("token_url", &url)?;
            account.identity.insert("token_url", url.as_str().into());
        }
        let told = match &definition.base_url {
            Some(BaseUrl::Default(default)) => Some(values.text("base_url").unwrap_or(default)),
            Some(BaseUrl::Asked { .. }) => Some(values.need("base_url")?),
            None => None,
        };
        if let Some(url) = told {
            let url = base_url("base_url", url)?;
            account.client_url = url.as_str().trim_end_matches('/').to_owned();
            account.identity.insert("base_url", account.client_url.as_str().into());
        }
        check_needs(&definition.account, values)?;
        account.apart.clone_from(&self.admin_fields);
        Ok(account)
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        let strange = values.iter().map(|(name, _)| name).find(|name| self.about.scope.iter().all(|f| f.name != *name));
        if let Some(name) = strange {
            // It would be a limit that nobody keeps.
            return Err(Invalid::new(
                name,
                "is a field that the vendor's definition does not have any more: write the role again",
            ));
        }
        let scope = Values::parse(&self.about.scope, &values.to_object())?.0;
        scope.check_required(&self.about.scope)?;
        for field in &self.about.scope {
            let empty = scope.list(&field.name).is_some_and(|list| list.iter().all(|text| text.trim().is_empty()));
            if field.kind == Kind::TextList && empty {
                return Err(Invalid::new(field.name.as_ref(), "is empty: leave it out instead"));
            }
        }
        check_needs(&self.definition.role, &scope)?;
        let bodies = self.definition.create.iter().filter_map(|step| step.body.as_ref());
        for (list, size) in bodies.flat_map(|body| body.lists(&scope)) {
            if size > LARGEST_LIST {
                let problem = format!(
                    "makes a request of more than {LARGEST_LIST} bytes: shorten it, or the lists that each of its entries is sent with"
                );
                return Err(Invalid::new(list, problem));
            }
        }
        Ok(Scope(scope))
    }

    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        let session = Session::open(cx, &self.definition).await?;
        let mut probe = Probe::default();
        for step in &self.definition.check {
            if let Outcome::Answer(answer) = session.run(step, &self.scene(cx)).await? {
                let identity = step.take.get("identity").and_then(|pick| pick.text(answer.body()));
                probe.identity = identity.map(|identity| session.talk.shown(&identity)).or(probe.identity);
            }
        }
        let Some(listing) = &self.definition.list else {
            if self.definition.check.is_empty() {
                probe.warnings.push("nothing could be tried without making a key".into());
            }
            return Ok(probe);
        };
        let scene = Scene { prefix: Some("vault-"), ..self.scene(cx) };
        match session.list(listing, &scene, &[]).await {
            Ok(answer) => drop(session.entries(listing, &answer)?),
            Err(failure) if failure.vendor_said(403) => {
                probe.missing.push(format!("the credential cannot list keys ({})", failure.fault));
            }
            Err(failure) => return Err(failure.into()),
        }
        Ok(probe)
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        if self.definition.switch.is_some() {
            return Err(Fault::invalid("makes no keys by its API"));
        }
        let session = Session::open(cx, &self.definition).await?;
        if let Some(slots) = &self.definition.slots {
            return slots::issue(&session, slots, order).await;
        }
        let mut made = Made::new();
        let outcome = self.make(&session, order, &mut made).await.and_then(|()| {
            if made.shows_its_secret() {
                return Err(Fault::invalid("was told to take the key itself for its id, which is shown in clear"));
            }
            made.secret.take().ok_or_else(|| Fault::unknown("sent no key"))
        });
        let secret = match outcome {
            Ok(secret) => secret,
            Err(fault) => {
                self.unmake(&session, order, &made).await.map_err(|left| {
                    Fault::unknown(format!("{fault}; what was made before could not be undone: it {left}"))
                })?;
                return Err(fault);
            }
        };
        let mut warnings = Vec::new();
        let tells = takes_expiry(self.steps(order)?);
        let token = self.about.can.source == Origin::Token;
        if order.until.is_some() && made.expires.is_none() && tells && !token {
            warnings.push(format!("{} set no expiry: if this key is not revoked, it stays", self.about.title));
        }
        if made.key.id.is_empty() {
            made.key.id.clone_from(&order.name.0);
        }
        let headers = self.definition.client_headers.clone();
        // Where the vendor does not repeat the expiry, what was asked for holds. A token always has one.
        let expires = if tells && !token { made.expires } else { made.expires.or(order.until) };
        Ok(Issued { key: made.key, secret, parts: made.parts, expires, headers, warnings })
    }

    async fn end(&self, cx: &Cx<'_>, key: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        let session = Session::open(cx, &self.definition).await?;
        let ended = match (&self.definition.switch, &self.definition.slots) {
            (Some(switch), _) => switched::off(&session, switch, key).await?,
            (None, Some(slots)) => (slots::end(session, slots, key).await?, true),
            (None, None) => session.delete(key).await?,
        };
        match ended {
            (Gone::Already, false) => self.confirm_gone(cx, key).await,
            (gone, _) => Ok(gone),
        }
    }

    async fn standing(&self, cx: &Cx<'_>, key: &Ref) -> Result<Standing, Fault> {
        let switch = self.definition.switches()?;
        let (standing, certain) = switched::look(&Session::open(cx, &self.definition).await?, switch, key).await?;
        if !certain {
            self.confirm_gone(cx, key).await?;
        }
        Ok(standing)
    }

    async fn activate(&self, cx: &Cx<'_>, key: &Ref) -> Result<(), Fault> {
        let switch = self.definition.switches()?;
        switched::on(&Session::open(cx, &self.definition).await?, switch, key).await
    }

    async fn takes(&self, cx: &Cx<'_>, key: &Secret) -> Result<Option<bool>, Fault> {
        match &self.definition.trial {
            Some(trial) => trial.run(cx, &self.definition, key).await,
            None => Ok(None),
        }
    }

    fn slots_of(&self, account: &Account) -> Option<String> {
        self.definition.slots.as_ref().map(|slots| slots::of(slots, account))
    }

    fn lacks_for_admin(&self, account: &Account) -> Option<String> {
        let needs = &self.definition.admin.as_ref()?.needs;
        needs.iter().find(|field| account.identity.get(field).is_none()).cloned()
    }

    async fn extend(&self, cx: &Cx<'_>, key: &Ref, until: Time) -> Result<Time, Fault> {
        let step = self.definition.extend.as_ref();
        let step = step.ok_or_else(|| Fault::invalid("sets the expiry of a key once and cannot move it"))?;
        let session = Session::open(cx, &self.definition).await?;
        let scene = Scene { key: Some(key), until: Some(until), ..self.scene(cx) };
        let granted = match session.run(step, &scene).await? {
            Outcome::Answer(answer) => step.take.get("expires").map(|pick| {
                let time = pick.value(answer.body()).and_then(parse_time);
                time.ok_or_else(|| answer.lacks(&pick.at))
            }),
            Outcome::Skipped => {
                return Err(Fault::invalid("was not asked: the step that moves the expiry was left out"));
            }
            Outcome::Gone { .. } => return Err(Fault::invalid("does not have this key any more")),
        };
        granted.unwrap_or(Ok(until))
    }

    async fn list(&self, cx: &Cx<'_>, prefix: &str, from: Option<Cursor>) -> Result<Page, Fault> {
        let Some(listing) = &self.definition.list else { return Ok(Page::default()) };
        let session = Session::open(cx, &self.definition).await?;
        let scene = Scene { prefix: Some(prefix), ..self.scene(cx) };
        let at = from.as_ref().map(|Cursor(at)| at.as_str());
        // A first page needs no parameter: a page's number has its default, and the others start without one.
        let sent = at.map(|at| match &listing.pages {
            Pages::Offset { .. } | Pages::Number { .. } => at.split_once(' ').map_or(at, |(number, _)| number),
            Pages::None | Pages::Cursor { .. } | Pages::After { .. } => at,
        });
        let extra: Vec<_> = sent.map(|at| (parameter(&listing.pages), at)).into_iter().collect();
        let answer = session.list(listing, &scene, &extra).await?;
        let entries = session.entries(listing, &answer)?;
        let found = entries.iter().filter_map(|value| {
            let name = listing.entry.get("name")?.value(value).and_then(|name| as_name(name, prefix))?.to_owned();
            let id =
                listing.entry.get("id")?.text(value).filter(|id| Kind::VendorId.parse(&id.as_str().into()).is_ok())?;
            let created = listing.entry.get("created").and_then(|pick| pick.value(value)).and_then(parse_time);
            Some(Found { name, is_key: true, key: entry(listing, id, value)?, created })
        });
        let id_of = |value: &Value| listing.entry.get("id")?.text(value);
        let last_id = || entries.last().and_then(id_of);
        let first_id = entries.first().map(|value| id_of(value).unwrap_or_default());
        let next = match &listing.pages {
            Pages::None => None,
            Pages::Cursor { at, .. } => at.text(answer.body()),
            Pages::After { more, .. } if more.holds(answer.body()) => {
                Some(last_id().ok_or_else(|| answer.lacks("an id to go on from"))?)
            }
            Pages::After { .. } => None,
            Pages::Offset { .. } => match next_number(at, 0, entries.len(), first_id) {
                Next::Page(next) => Some(next),
                // It skips nothing, so the first page was all.
                Next::Again(_) | Next::End => None,
            },
            Pages::Number { first, .. } => match next_number(at, *first as usize, 1, first_id.clone()) {
                Next::Page(next) => Some(next),
                // Some count from 0 and some from 1, and take one for the other at the start.
                Next::Again(number) if number == *first as usize + 1 => {
                    Some(format!("{} {}", number + 1, first_id.unwrap_or_default()))
                }
                Next::Again(_) => return Err(Fault::unknown("repeats a page of its list")),
                Next::End => None,
            },
        };
        Ok(Page { found: found.collect(), next: next.map(Cursor) })
    }
}

/// The page after `at`, where this one was not empty. `at` is a number and the first id of the page before: an API that
/// does not know the parameter gives the same page for ever.
fn next_number(at: Option<&str>, first: usize, step: usize, first_id: Option<String>) -> Next {
    let Some(first_id) = first_id else { return Next::End };
    let (number, before) = at.and_then(|at| at.split_once(' ')).unwrap_or_default();
    let number = number.parse().unwrap_or(first);
    if !first_id.is_empty() && first_id == before {
        return Next::Again(number);
    }
    Next::Page(format!("{} {first_id}", number + step))
}

/// How a listing of numbered pages goes on.
#[derive(Debug, PartialEq)]
enum Next {
    Page(String),
    /// This one, of that number, is the one before.
    Again(usize),
    End,
}

fn parameter(pages: &Pages) -> &str {
    match pages {
        Pages::None => "",
        Pages::Cursor { parameter, .. }
        | Pages::After { parameter, .. }
        | Pages::Offset { parameter }
        | Pages::Number { parameter, .. } => parameter,
    }
}

/// Where tokens come from, with the account's ids in their places.
fn token_url(default: &str, account: &Account) -> Result<String, Invalid> {
    let template: Result<Template, _> = default.parse();
    let filled = template.ok().and_then(|template| template.fill(&Scene::new(account, Time::UNIX_EPOCH)));
    filled.ok_or_else(|| Invalid::new("token_url", "is required: the account has not all that its default needs"))
}

fn takes_expiry(steps: &[Step]) -> bool {
    steps.iter().any(|step| ["expires", "expires_in"].iter().any(|name| step.take.contains_key(*name)))
}

fn check_needs(specs: &[FieldSpec], values: &Values) -> Result<(), Invalid> {
    let broken = specs.iter().find_map(|spec| {
        let needed = spec.needs.as_ref().filter(|needed| values.get(needed).is_none())?;
        values.get(&spec.name).map(|_| Invalid::new(spec.name.as_str(), format!("needs {needed}")))
    });
    broken.map_or(Ok(()), Err)
}

fn about(definition: &Definition) -> About {
    let fields = |specs: &[FieldSpec]| specs.iter().map(FieldSpec::field).collect::<Vec<_>>();
    let mut account = fields(&definition.account);
    let api_url = Field::new("api_url", Kind::Url, "Base URL of the admin API.");
    account.push(match &definition.api_url {
        Some(url) => api_url.default(url.clone()),
        None => api_url.required(),
    });
    match &definition.base_url {
        Some(BaseUrl::Default(url)) => {
            account.push(Field::new("base_url", Kind::Url, "Base URL that clients are told.").default(url.clone()));
        }
        Some(BaseUrl::Asked { ask }) => account.push(Field::new("base_url", Kind::Url, ask.clone()).required()),
        None => {}
    }
    if let Some(url) = definition.auth.token_url() {
        let help = "Where the credential is exchanged for the token that the admin API takes.";
        let default = if url.starts_with('/') { format!("{url} below api_url") } else { url.to_owned() };
        account.push(Field::new("token_url", Kind::Url, help).default(default));
    }
    let (source, end, purposes): (_, _, &[Purpose]) = match (&definition.switch, &definition.slots) {
        (Some(_), _) => (Origin::Activate, End::Deactivate, &[]),
        (None, Some(slots)) => {
            let count = u8::try_from(slots.names.len()).unwrap_or(u8::MAX);
            (Origin::Slots(count), End::Regenerate, &[Purpose::Static])
        }
        (None, None) if definition.delete.is_empty() => (Origin::Token, End::Expires, &[Purpose::Lease]),
        (None, None) if definition.admin.is_some() => {
            (Origin::Create, End::Delete, &[Purpose::Lease, Purpose::Static, Purpose::Admin])
        }
        (None, None) => (Origin::Create, End::Delete, &[Purpose::Lease, Purpose::Static]),
    };
    let mut scope = fields(&definition.role);
    scope.extend(definition.slots.as_ref().map(slots::field));
    let limits = |bounds: Bounds| Limits { shortest: bounds.shortest.0, longest: bounds.longest.0 };
    let find = |lag| Find::ByName { lag };
    About {
        name: definition.name.clone().into(),
        title: definition.title.clone().into(),
        account,
        identity_is_complete: definition.identity_is_complete,
        scope,
        can: Abilities {
            source,
            end,
            find: match (&definition.list, &definition.slots) {
                (Some(listing), _) => find(listing.lag.0),
                (None, Some(_)) => Find::Unneeded,
                (None, None) => Find::Never,
            },
            expiry: match definition.expiry {
                ExpirySpec::None => Expiry::Never,
                ExpirySpec::Fixed(bounds) => Expiry::Fixed(limits(bounds)),
                ExpirySpec::Movable(bounds) => Expiry::Movable(limits(bounds)),
            },
            purposes,
            limits: definition.limits.iter().cloned().map(Into::into).collect(),
            unused: definition.unused.iter().cloned().map(Into::into).collect(),
            tries_keys: definition.trial.is_some(),
        },
        name_limit: definition.longest_name,
        revocation: definition.revocation.clone().into(),
        unproven: definition.unproven.iter().cloned().map(Into::into).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_comes_again_is_known() {
        let next = |at, id: Option<&str>| next_number(at, 1, 1, id.map(str::to_owned));
        let page = |text: &str| Next::Page(text.to_owned());
        assert_eq!(next(None, Some("k_1")), page("2 k_1"));
        assert_eq!(next(Some("2 k_1"), Some("k_2")), page("3 k_2"));
        assert_eq!(next(Some("2 k_1"), Some("k_1")), Next::Again(2), "the API does not know the parameter");
        assert_eq!(next(Some("3 k_2"), None), Next::End);
        assert_eq!(next(Some("2 "), Some("")), page("3 "), "entries without an id");
    }
}
