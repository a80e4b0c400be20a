use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::{DAY, LONGEST_DAYS, TITLE};
use crate::base::Time;
use crate::providers::answer::{Answer, Failure, as_id, as_name, parse_time};
use crate::providers::aws::{CallerIdentity, Client, Query, Service, has_code, members};
use crate::providers::listing::Place;
use crate::providers::{Cursor, Cx, Fault, FaultKind, Found, Gone, Issued, Order, Page, Probe, Ref};

/// The service that a key is for.
const BEDROCK: &str = "bedrock.amazonaws.com";
/// Entries of a page. IAM gives up to 1000; these are some 200 KiB.
const PAGE: usize = 500;
/// Pages of what one user has: two credentials a service, and a few policies.
const PAGES_OF_A_USER: usize = 10;
/// What a listing goes through. A user is found beside its key, and alone where it has none.
const COLLECTIONS: &[&str] = &["credentials", "users"];
/// In `Ref::extra`: the user that was made for this key and ends with it.
const USER: &str = "user";
/// In `Ref::extra`: set where there is only a user and no key.
const ALONE: &str = "alone";
/// Waits for a change to be known to all of IAM.
const SETTLING: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// One operation in the AWS account.
pub(super) struct Session<'a> {
    client: Client<'a>,
    account_id: &'a str,
    user_path: &'a str,
}

impl<'a> Session<'a> {
    pub(super) fn new(cx: &'a Cx<'a>) -> Result<Self, Fault> {
        let client = Client::new(cx, TITLE)?;
        let text = |name: &str| cx.account.identity.need(name).map_err(|problem| Fault::invalid(problem.to_string()));
        Ok(Self { client, account_id: text("account_id")?, user_path: text("user_path")? })
    }

    /// The user first, then what it may do, then the key. Whatever fails, what was made before is deleted.
    pub(super) async fn issue(&self, order: &Order<'_>) -> Result<Issued, Fault> {
        let user = order.name.0.as_str();
        let mut query = Query::change(Service::Iam, "CreateUser").with("UserName", user).with("Path", self.user_path);
        if let Some(boundary) = order.scope.0.text("permissions_boundary_arn") {
            query = query.with("PermissionsBoundary", boundary);
        }
        let created = self.client.send(query).await?;
        let fault = match self.equip(&created, user, order).await {
            Ok(issued) => return Ok(issued),
            Err(fault) => fault,
        };
        let undo = Self { client: self.client.undo(), ..*self };
        undo.end_user(user, None).await.and_then(Gone::fresh).map_err(|left| {
            Fault::unknown(format!("{fault}; the user that was made for it could not be deleted: it {left}"))
        })?;
        Err(fault)
    }

    /// Gives a fresh user its policies and its key.
    async fn equip(&self, created: &Answer, user: &str, order: &Order<'_>) -> Result<Issued, Fault> {
        // arn:aws:iam::<account>:user/<path><name>
        let account = created.need("/User/Arn")?.split(':').nth(4).unwrap_or_default();
        if account != self.account_id {
            let text = format!("made the user in account {}, not {}", self.client.shown(account), self.account_id);
            return Err(Fault::new(FaultKind::Refused, text));
        }
        for arn in order.scope.0.list("policy_arns").unwrap_or_default() {
            let query = || Query::change(Service::Iam, "AttachUserPolicy").repeatable();
            self.settled(|| query().with("UserName", user).with("PolicyArn", &arn)).await?;
        }
        let days = order.until.map(|until| days_until(self.client.cx.clock.now(), until));
        let answer = self
            .settled(|| {
                let query = Query::change(Service::Iam, "CreateServiceSpecificCredential")
                    .with("UserName", user)
                    .with("ServiceName", BEDROCK);
                match days {
                    Some(days) => query.with("CredentialAgeDays", days),
                    None => query,
                }
            })
            .await?;
        let at = |name: &str| format!("/ServiceSpecificCredential/{name}");
        let expires = answer.time(&at("ExpirationDate"));
        let mut warnings = Vec::new();
        if days.is_some() && expires.is_none() {
            warnings.push("AWS set no expiry: if this key is not revoked, it stays".to_owned());
        }
        Ok(Issued {
            key: Ref::new(answer.need_id(&at("ServiceSpecificCredentialId"))?, &[(USER, user)]),
            secret: answer.need_secret(&at("ServiceCredentialSecret"))?,
            parts: BTreeMap::new(),
            expires,
            headers: BTreeMap::new(),
            warnings,
        })
    }

    /// Sends a call about a user that was made a moment ago, again where IAM has not heard of it everywhere yet.
    async fn settled(&self, query: impl Fn() -> Query) -> Result<Answer, Failure> {
        for wait in SETTLING {
            match self.client.send(query()).await {
                // A policy that is not there has the same code.
                Err(failure)
                    if is_gone(&failure)
                        && !failure.doubtful
                        && failure.mentions("the user with name")
                        && self.client.has_time(wait) =>
                {
                    sleep(wait).await;
                }
                other => return other,
            }
        }
        self.client.send(query()).await
    }

    pub(super) async fn end(&self, key: &Ref) -> Result<Gone, Fault> {
        let user = key.text(USER).ok_or_else(|| Fault::invalid("was not asked: the key's user is not known"))?;
        let gone = self.end_user(user, key.text(ALONE).is_none().then_some(key.id.as_str())).await?;
        if gone == Gone::Already {
            // Only the right account's word counts.
            CallerIdentity::ask(&self.client).await?.must_be(self.account_id)?;
        }
        Ok(gone)
    }

    /// The key first, whatever else fails: then all that keeps IAM from deleting the user, then the user.
    async fn end_user(&self, user: &str, key: Option<&str>) -> Result<Gone, Fault> {
        if let Some(key) = key {
            self.end_credential(user, key).await?;
        }
        for (action, list, id) in [
            ("ListServiceSpecificCredentials", "/ServiceSpecificCredentials", "ServiceSpecificCredentialId"),
            ("ListAttachedUserPolicies", "/AttachedPolicies", "PolicyArn"),
        ] {
            for id in self.of_user(user, action, list, id).await? {
                if action == "ListAttachedUserPolicies" {
                    let query = Query::change(Service::Iam, "DetachUserPolicy").repeatable();
                    self.delete(query.with("UserName", user).with("PolicyArn", id)).await?;
                } else {
                    self.end_credential(user, &id).await?;
                }
            }
        }
        self.delete_user(user).await
    }

    /// Says how the user went, whatever became of its key: a replica of IAM that has not heard of the user knows nothing of
    /// its policies either.
    async fn delete_user(&self, user: &str) -> Result<Gone, Fault> {
        let mut waits = SETTLING.into_iter();
        loop {
            let query = Query::change(Service::Iam, "DeleteUser").repeatable().with("UserName", user);
            match (self.client.send(query).await, waits.next()) {
                (Ok(_), _) => return Ok(Gone::Now),
                (Err(failure), _) if is_gone(&failure) => return Ok(Gone::Already),
                // What was deleted a moment ago may still be in the way.
                (Err(failure), Some(wait)) if is_kept(&failure) && self.client.has_time(wait) => sleep(wait).await,
                (Err(failure), _) if is_kept(&failure) => {
                    let text = format!("keeps user {user}, whose key is gone, for what somebody gave it");
                    // Not a refusal of the credential: the user's expiry would be taken for its end.
                    return Err(Fault::invalid(format!("{text}: {}", failure.fault)));
                }
                (Err(failure), _) => return Err(failure.into()),
            }
        }
    }

    async fn end_credential(&self, user: &str, id: &str) -> Result<Gone, Fault> {
        let query = Query::change(Service::Iam, "DeleteServiceSpecificCredential").repeatable();
        self.delete(query.with("UserName", user).with("ServiceSpecificCredentialId", id)).await
    }

    async fn delete(&self, query: Query) -> Result<Gone, Fault> {
        match self.client.send(query).await {
            Ok(_) => Ok(Gone::Now),
            Err(failure) if is_gone(&failure) => Ok(Gone::Already),
            Err(failure) => Err(failure.into()),
        }
    }

    /// The ids of what a user has of one sort; nothing where there is no user.
    async fn of_user(&self, user: &str, action: &'static str, list: &str, id: &str) -> Result<Vec<String>, Fault> {
        let mut ids = Vec::new();
        let mut marker: Option<String> = None;
        for _ in 0..PAGES_OF_A_USER {
            let mut query = Query::read(Service::Iam, action).with("UserName", user);
            if let Some(marker) = marker {
                query = query.with("Marker", marker);
            }
            let answer = match self.client.send(query).await {
                Err(failure) if is_gone(&failure) => return Ok(Vec::new()),
                answer => answer?,
            };
            let entries = entries(&answer, list)?;
            for entry in entries {
                let id = entry.get(id).and_then(Value::as_str).ok_or_else(|| answer.lacks(id))?;
                ids.push(id.to_owned());
            }
            marker = next(&answer)?;
            if marker.is_none() {
                return Ok(ids);
            }
        }
        Err(Fault::unknown(format!("lists more than {PAGES_OF_A_USER} pages of what user {user} has")))
    }

    pub(super) async fn list(&self, prefix: &str, from: Option<&Cursor>) -> Result<Page, Fault> {
        if from.is_none() {
            // A listing of another account would be taken for the end of all keys.
            CallerIdentity::ask(&self.client).await?.must_be(self.account_id)?;
        }
        let (collection, place) = Place::of(from, COLLECTIONS)?;
        let users = collection == "users";
        let mut query = if users { self.users() } else { self.credentials() }.with("MaxItems", PAGE);
        if !place.at.is_empty() {
            query = query.with("Marker", place.at);
        }
        let answer = self.client.send(query).await?;
        let entries = entries(&answer, if users { "/Users" } else { "/ServiceSpecificCredentials" })?;
        let found = entries.iter().filter_map(|entry| found(users, prefix, entry)).collect();
        Ok(place.page(found, next(&answer)?, COLLECTIONS))
    }

    fn users(&self) -> Query {
        Query::read(Service::Iam, "ListUsers").with("PathPrefix", self.user_path)
    }

    fn credentials(&self) -> Query {
        Query::read(Service::Iam, "ListServiceSpecificCredentials").with("AllUsers", true).with("ServiceName", BEDROCK)
    }

    pub(super) async fn probe(&self) -> Result<Probe, Fault> {
        let mut probe = Probe::default();
        let caller = CallerIdentity::ask(&self.client).await?;
        if caller.account != self.account_id {
            let text = format!("the access key is of account {}: correct account_id, or the key", caller.account);
            probe.missing.push(text);
            return Ok(probe);
        }
        probe.identity = Some(format!("account {} ({})", caller.account, caller.arn));
        for query in [self.users(), self.credentials()] {
            let action = query.action;
            match self.client.send(query.with("MaxItems", 1)).await {
                Ok(_) => {}
                Err(failure) if failure.is_refusal() => {
                    probe.missing.push(format!("the access key lacks iam:{action} ({})", failure.fault));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(probe)
    }
}

/// Whole days from now until then, rounded up: a key outlives its lease rather than the other way round.
fn days_until(now: Time, until: Time) -> u32 {
    let day = DAY.as_millis();
    let left = (until - now).to_std().unwrap_or_default().as_millis();
    u32::try_from(left.div_ceil(day)).unwrap_or(LONGEST_DAYS).clamp(1, LONGEST_DAYS)
}

/// The vendor's own "no such entity": a user, a credential or an attachment.
fn is_gone(failure: &Failure) -> bool {
    has_code(failure, "NoSuchEntity")
}

fn is_kept(failure: &Failure) -> bool {
    has_code(failure, "DeleteConflict")
}

fn entries<'v>(answer: &'v Answer, pointer: &str) -> Result<&'v [Value], Fault> {
    answer.at(pointer).and_then(members).ok_or_else(|| answer.lacks(pointer))
}

/// Where a listing goes on.
fn next(answer: &Answer) -> Result<Option<String>, Fault> {
    /// Longest `Marker` that is kept between two pages, in bytes; IAM's have some hundred.
    const LONGEST: usize = 2048;
    if answer.text("/IsTruncated") != Some("true") {
        return Ok(None);
    }
    let marker = answer.text("/Marker").filter(|marker| !marker.is_empty() && marker.len() <= LONGEST);
    marker.map(|marker| Some(marker.to_owned())).ok_or_else(|| answer.lacks("/Marker, though there is more"))
}

fn found(users: bool, prefix: &str, entry: &Value) -> Option<Found> {
    let name = as_name(&entry["UserName"], prefix)?;
    let key = if users {
        Ref::new(name, &[(USER, name), (ALONE, "true")])
    } else {
        Ref::new(as_id(&entry["ServiceSpecificCredentialId"])?, &[(USER, name)])
    };
    Some(Found { name: name.to_owned(), is_key: !users, key, created: parse_time(&entry["CreateDate"]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_rounded_up_and_kept_in_their_limits() {
        let now = Time::from_timestamp(1_795_522_087, 0).expect("a time");
        for (seconds, days) in [(-5, 1), (0, 1), (1, 1), (86_400, 1), (86_401, 2), (86_400 * 40_000, LONGEST_DAYS)] {
            assert_eq!(days_until(now, now + chrono::Duration::seconds(seconds)), days, "{seconds}");
        }
        assert_eq!(days_until(now, now + chrono::Duration::milliseconds(86_400_001)), 2);
    }
}
