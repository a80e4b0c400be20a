use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{LONGEST, TITLE};
use crate::base::{Secret, Time};
use crate::providers::answer::{Answer, Failure, as_id, as_name, parse_time, seconds_until};
use crate::providers::call::Call;
use crate::providers::listing::Place;
use crate::providers::talk::Talk;
use crate::providers::{Cursor, Cx, Fault, FaultKind, Found, Gone, Issued, Order, Page, Probe, Ref};

/// Entries of a page, the most that the vendor gives (specification of August).
const PAGE: usize = 100;

/// What a listing goes through. An own service account is found beside its key, and alone where it has none.
const COLLECTIONS: &[&str] = &["keys", "accounts", "admin"];
/// In `Ref::extra`: the service account that was made for this key and ends with it.
const OWN_ACCOUNT: &str = "service_account";
/// In `Ref::extra`: set where the vendor took no expiry for the key.
const ENDLESS: &str = "endless";
/// In `Ref::extra`: set where the key is an admin key.
const ADMIN: &str = "admin";

/// One operation in the account's project.
pub(super) struct Session<'a> {
    pub(super) talk: Talk<'a>,
    project: &'a str,
}

impl<'a> Session<'a> {
    pub(super) fn new(cx: &'a Cx<'a>) -> Result<Self, Fault> {
        let identity = &cx.account.identity;
        let project =
            identity.text("project_id").ok_or_else(|| Fault::invalid("cannot be asked without a project_id"))?;
        let mut talk = Talk::new(cx, TITLE)?;
        if let Some(organization) = identity.text("organization") {
            talk = talk.header("openai-organization", organization);
        }
        Ok(Self { talk, project })
    }

    pub(super) fn path<'p>(&'p self, rest: &[&'p str]) -> Vec<&'p str> {
        ["organization", "projects", self.project].into_iter().chain(rest.iter().copied()).collect()
    }

    fn seconds(&self, order: &Order<'_>) -> Option<u64> {
        order.until.map(|until| seconds_until(self.talk.cx.clock.now(), until, LONGEST))
    }

    pub(super) async fn issue_shared(&self, order: &Order<'_>) -> Result<Issued, Fault> {
        let scope = &order.scope.0;
        let account =
            scope.need("service_account_id").map_err(|error| Fault::invalid(format!("was not asked: {error}")))?;
        let mut body = Map::from_iter([("name".to_owned(), Value::from(order.name.0.as_str()))]);
        // An empty list would mean all permissions.
        if let Some(scopes) = scope.list("scopes").filter(|scopes| !scopes.is_empty()) {
            body.insert("scopes".into(), scopes.into());
        } else if !scope.flag("allow_unscoped") {
            return Err(Fault::invalid("was not asked: scopes are missing, and allow_unscoped is not set"));
        }
        if let Some(seconds) = self.seconds(order) {
            body.insert("expires_in_seconds".into(), seconds.into());
        }
        let call = Call::post(&self.path(&["service_accounts", account, "api_keys"]), body.into());
        let answer = self.talk.send(call).await.map_err(|failure| match () {
            () if failure.doubtful => failure.into(),
            () if is_unknown_expiry(&failure) => Fault::invalid(
                "has an API from before November 2026, which gives no expiry to a key of a service account: \
                 use mode=service_account, or no expiry",
            ),
            () if is_unknown_route(&failure) => Fault::invalid(
                "has an API that makes no keys for an existing service account: use mode=service_account",
            ),
            () if failure.vendor_said(404) => Fault::invalid(format!("{} (service_account_id)", failure.fault)),
            () => failure.into(),
        })?;
        issued(&answer, "", |id| Ref::new(id, &[]))
    }

    pub(super) async fn issue_own(&self, order: &Order<'_>) -> Result<Issued, Fault> {
        let path = self.path(&["service_accounts"]);
        let name = order.name.0.as_str();
        let mut warnings = Vec::new();
        let mut endless = false;
        let answer = match self.seconds(order) {
            None => self.talk.send(Call::post(&path, json!({"name": name}))).await?,
            Some(seconds) => {
                let body = json!({"name": name, "expires_in_seconds": seconds});
                match self.talk.send(Call::post(&path, body)).await {
                    // A refusal of the field itself, so nothing was made.
                    Err(failure) if is_unknown_expiry(&failure) && !failure.doubtful => {
                        endless = true;
                        warnings.push(
                            "OpenAI took no expiry for this key: if it is not revoked, it stays until it is deleted by hand"
                                .to_owned(),
                        );
                        self.talk.send(Call::post(&path, json!({"name": name}))).await?
                    }
                    other => other?,
                }
            }
        };
        let account = answer.need_id("/id")?;
        let extra = [(OWN_ACCOUNT, account), (ENDLESS, "true")];
        let extra = if endless { &extra[..] } else { &extra[..1] };
        match issued(&answer, "/api_key", |id| Ref::new(id, extra)) {
            Ok(issued) => Ok(Issued { warnings, ..issued }),
            Err(fault) => {
                let undo = Self { talk: self.talk.undo(), project: self.project };
                undo.end_account(account).await.and_then(Gone::fresh).map_err(|left| {
                    Fault::unknown(format!("{fault}; its service account could not be deleted: it {left}"))
                })?;
                Err(Fault::new(FaultKind::Refused, format!("{fault}; the service account was deleted again")))
            }
        }
    }

    pub(super) async fn issue_admin_key(&self, order: &Order<'_>) -> Result<Issued, Fault> {
        let mut body = json!({"name": order.name.0});
        if let Some(seconds) = self.seconds(order) {
            body["expires_in_seconds"] = seconds.into();
        }
        let answer = self.talk.send(Call::post(&["organization", "admin_api_keys"], body)).await?;
        issued(&answer, "", |id| Ref::new(id, &[(ADMIN, "true")]))
    }

    pub(super) async fn extend(&self, key: &Ref, until: Time) -> Result<Time, Fault> {
        if key.text(ENDLESS).is_some() {
            // It outlives any moment already.
            return Ok(until);
        }
        let body = json!({"expires_in_seconds": seconds_until(self.talk.cx.clock.now(), until, LONGEST)});
        let call = Call::post(&self.path(&["api_keys", &key.id]), body).repeatable();
        let answer = self.talk.send(call).await.map_err(|failure| {
            let old = is_unknown_route(&failure) || is_unknown_expiry(&failure);
            if old {
                Fault::invalid("has an API from before November 2026, which cannot move an expiry")
            } else {
                failure.into()
            }
        })?;
        answer.need_time("/expires_at")
    }

    pub(super) async fn end(&self, key: &Ref) -> Result<Gone, Fault> {
        if key.text(ADMIN).is_some() {
            return match self.talk.send(Call::delete(&["organization", "admin_api_keys", &key.id])).await {
                Ok(answer) => deleted(&answer),
                Err(failure) if failure.vendor_said(404) && !is_unknown_route(&failure) => Ok(Gone::Already),
                Err(failure) => Err(failure.into()),
            };
        }
        if let Some(account) = own_account(key) {
            return self.end_account(account).await;
        }
        match self.talk.send(Call::delete(&self.path(&["api_keys", &key.id]))).await {
            Ok(answer) => deleted(&answer),
            Err(failure) if is_undeletable(&failure) => {
                let text = "has an API from before November 2026, which deletes no single key of a service \
                            account: delete the key or its service account in the dashboard, or use mode=service_account";
                Err(Fault::new(FaultKind::Refused, format!("{text} ({})", failure.fault.text)))
            }
            Err(failure) => self.gone_after_all(failure).await,
        }
    }

    async fn end_account(&self, account: &str) -> Result<Gone, Fault> {
        match self.talk.send(Call::delete(&self.path(&["service_accounts", account]))).await {
            Ok(answer) => deleted(&answer),
            Err(failure) => self.gone_after_all(failure).await,
        }
    }

    /// A second look where a deletion failed: archived projects have no service accounts (specification of August),
    /// and "not found" says that the key is gone only where its project is found.
    async fn gone_after_all(&self, failure: Failure) -> Result<Gone, Fault> {
        if failure.said.is_none() || !matches!(failure.status, Some(400 | 404 | 409)) || is_unknown_route(&failure) {
            return Err(failure.into());
        }
        match self.talk.send(Call::get(&self.path(&[]))).await {
            Ok(project) if project.text("/id") != Some(self.project) => Err(failure.into()),
            Ok(project) if is_archived(&project) || failure.status == Some(404) => Ok(Gone::Already),
            _ => Err(failure.into()),
        }
    }

    pub(super) async fn list(&self, prefix: &str, from: Option<&Cursor>) -> Result<Page, Fault> {
        let (collection, place) = Place::of(from, COLLECTIONS)?;
        let path = match collection {
            "keys" => self.path(&["api_keys"]),
            "accounts" => self.path(&["service_accounts"]),
            _ => vec!["organization", "admin_api_keys"],
        };
        let mut call = Call::get(&path).query("limit", PAGE);
        if collection == "keys" {
            // Without it enabled keys are hidden whose owner has lost access (specification of August).
            call = call.query("owner_project_access", "any");
        }
        if !place.at.is_empty() {
            call = call.query("after", place.at);
        }
        let answer = match self.talk.send(call).await {
            Ok(answer) => answer,
            // Archived projects have no service accounts.
            Err(failure) if collection == "accounts" && failure.vendor_said(400) && failure.mentions("archived") => {
                return Ok(place.page(Vec::new(), None, COLLECTIONS));
            }
            // An admin key may be confined to projects; then it has made no admin keys either.
            Err(failure) if collection == "admin" && failure.is_refusal() => {
                return Ok(place.page(Vec::new(), None, COLLECTIONS));
            }
            Err(failure) => return Err(failure.into()),
        };
        let entries = answer.need_list("/data")?;
        let found = entries.iter().filter_map(|entry| found(collection, prefix, entry)).collect();
        let more = answer.at("/has_more").and_then(Value::as_bool).unwrap_or(false);
        let next = if more { Some(next(&answer, entries, place.at)?) } else { None };
        Ok(place.page(found, next, COLLECTIONS))
    }

    pub(super) async fn probe(&self) -> Result<Probe, Fault> {
        let mut probe = Probe::default();
        let project = self.talk.send(Call::get(&self.path(&[]))).await.map_err(|failure| {
            if failure.vendor_said(404) {
                Fault::invalid(format!("{} (project_id)", failure.fault))
            } else {
                failure.into()
            }
        })?;
        let name = project.text("/name").map(|name| self.talk.shown(name));
        probe.identity = Some(format!("project {} ({})", name.unwrap_or_default(), self.project));
        if is_archived(&project) {
            probe.missing.push(format!("project {} is archived: name another", self.project));
            return Ok(probe);
        }
        for (part, what) in [("api_keys", "API keys"), ("service_accounts", "service accounts")] {
            match self.talk.send(Call::get(&self.path(&[part])).query("limit", 1)).await {
                Ok(answer) if part == "service_accounts" && answer.need_list("/data")?.is_empty() => {
                    probe
                        .warnings
                        .push("the project has no service account: mode service_account_key needs one".into());
                }
                Ok(_) => {}
                Err(failure) if failure.is_refusal() => probe.missing.push(format!(
                    "the admin key cannot list the project's {what}: give it permission to manage them ({})",
                    failure.fault
                )),
                Err(failure) => return Err(failure.into()),
            }
        }
        probe.credential = self.own_admin_key().await?;
        Ok(probe)
    }

    /// The entry of the admin key in use: the only one whose shown ends fit it.
    async fn own_admin_key(&self) -> Result<Option<Ref>, Fault> {
        let call = Call::get(&["organization", "admin_api_keys"]).query("limit", PAGE);
        let answer = match self.talk.send(call).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_refusal() => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let Some(credential) = self.talk.cx.account.credential().map(Secret::expose) else { return Ok(None) };
        let mut fitting =
            answer.need_list("/data")?.iter().filter(|entry| fits(credential, entry["redacted_value"].as_str()));
        let only = fitting.next().filter(|_| fitting.next().is_none());
        Ok(only.and_then(|entry| as_id(&entry["id"])).map(|id| Ref::new(id, &[(ADMIN, "true")])))
    }
}

/// The service account that was made for a key.
pub(super) fn own_account(key: &Ref) -> Option<&str> {
    key.text(OWN_ACCOUNT)
}

/// Where a listing goes on that has more: behind its last entry.
fn next(answer: &Answer, entries: &[Value], at: &str) -> Result<String, Fault> {
    /// A vendor's ids have some forty bytes; a cursor is sent again and kept between two pages.
    const LONGEST: usize = 256;
    let last = entries.last().and_then(|entry| entry["id"].as_str());
    let last = last.filter(|last| !last.is_empty() && last.len() <= LONGEST && *last != at);
    last.map(str::to_owned).ok_or_else(|| answer.lacks("/data/id of a last entry, though there is more"))
}

/// A key out of the answer that made it, at the pointer `at`.
fn issued(answer: &Answer, at: &str, key: impl FnOnce(&str) -> Ref) -> Result<Issued, Fault> {
    Ok(Issued {
        key: key(answer.need_id(&format!("{at}/id"))?),
        secret: answer.need_secret(&format!("{at}/value"))?,
        expires: answer.time(&format!("{at}/expires_at")),
        parts: BTreeMap::new(),
        headers: BTreeMap::new(),
        warnings: Vec::new(),
    })
}

fn found(collection: &str, prefix: &str, entry: &Value) -> Option<Found> {
    let owner = &entry["owner"]["service_account"];
    let id = as_id(&entry["id"])?;
    let (name, key) = match (collection, as_name(&owner["name"], prefix)) {
        ("accounts", _) => (as_name(&entry["name"], prefix)?, Ref::new(id, &[(OWN_ACCOUNT, id)])),
        ("admin", _) => (as_name(&entry["name"], prefix)?, Ref::new(id, &[(ADMIN, "true")])),
        // The key of an own service account has a name of the vendor's, and goes with the account.
        (_, Some(name)) => (name, Ref::new(id, &[(OWN_ACCOUNT, as_id(&owner["id"])?)])),
        (_, None) => (as_name(&entry["name"], prefix)?, Ref::new(id, &[])),
    };
    let created = parse_time(&entry["created_at"]);
    Some(Found { name: name.to_owned(), is_key: collection != "accounts", key, created })
}

fn deleted(answer: &Answer) -> Result<Gone, Fault> {
    match answer.at("/deleted").and_then(Value::as_bool) {
        Some(true) => Ok(Gone::Now),
        _ => Err(answer.lacks("/deleted")),
    }
}

fn is_archived(project: &Answer) -> bool {
    project.text("/status") == Some("archived") || project.at("/archived_at").is_some()
}

/// The vendor does not know the field `expires_in_seconds`, as opposed to its value.
fn is_unknown_expiry(failure: &Failure) -> bool {
    let said = failure.said.as_ref();
    let unknown = ["unknown parameter", "unrecognized request argument", "additional properties", "unexpected field"];
    failure.vendor_said(400)
        && failure.mentions("expires_in_seconds")
        && (said.is_some_and(|said| said.code == "unknown_parameter")
            || unknown.iter().any(|text| failure.mentions(text)))
}

/// The key is of a service account, and the vendor deletes none of those (specification of August: 400).
fn is_undeletable(failure: &Failure) -> bool {
    failure.vendor_said(400) && failure.mentions("service account") && !failure.mentions("archived")
}

/// The vendor does not know the path or the method, as opposed to what the path names.
fn is_unknown_route(failure: &Failure) -> bool {
    failure.vendor_said(405)
        || (failure.vendor_said(404) && (failure.mentions("invalid url") || failure.mentions("unknown request url")))
}

/// Whether a secret has the ends that the vendor shows: `sk-admin…abcd`, dots or stars between.
fn fits(secret: &str, shown: Option<&str>) -> bool {
    /// Fewer characters at the end fit too many keys.
    const SHORTEST_END: usize = 3;
    let Some((start, rest)) = shown.and_then(|shown| shown.split_once(['.', '*', '…'])) else {
        return false;
    };
    let end = rest.trim_start_matches(['.', '*', '…']);
    end.len() >= SHORTEST_END && secret.starts_with(start) && secret.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_key_is_known_by_its_ends() {
        assert!(fits("sk-admin-abcdef", Some("sk-admin...def")));
        assert!(fits("sk-admin-abcdef", Some("sk-admin**********cdef")));
        assert!(!fits("sk-admin-abcdef", Some("sk-admin...xyz")));
        assert!(!fits("sk-admin-abcdef", Some("sk-admin...")));
        assert!(!fits("sk-admin-abcdef", None));
    }
}
