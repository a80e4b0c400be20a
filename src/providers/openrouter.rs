use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DurationRound, SecondsFormat};
use serde_json::{Map, Value, json};

use super::answer::{Failure, as_id, as_name, parse_time};
use super::call::Call;
use super::federation::Management;
use super::listing::Place;
use super::talk::Talk;
use super::vendor::texts;
use super::{
    Abilities, About, Account, Cursor, Cx, End, Expiry, Fault, FaultKind, Find, Found, Gone, Issued, Limits, Order,
    Page, Probe, Purpose, Ref, Scope, Source, Vendor,
};
use crate::base::{Secret, Time};
use crate::schema::{Field, Invalid, Kind, Values};

/// OpenRouter: keys with a budget, made with a management key. What a key may call is set by a guardrail, an object
/// of its own that is made for the key and goes with it.
///
/// Facts are from the vendor's published specification of 2026-08-22 and its SDK 1.3.84.
pub(super) struct OpenRouter;

const TITLE: &str = "OpenRouter";
const KEY: &str = "management_key";
const DEFAULT_URL: &str = "https://openrouter.ai/api/v1";
/// Entries of a page of guardrails, the most that the vendor gives; pages of keys have a fixed size.
const PAGE: usize = 100;
/// What a listing goes through.
const COLLECTIONS: &[&str] = &["keys", "guardrails"];
/// In `Ref::extra`: the guardrail that was made for this key and ends with it.
const GUARDRAIL: &str = "guardrail";
/// In `Ref::extra`: set where there is only a guardrail and no key.
const ALONE: &str = "alone";

static ABOUT: LazyLock<About> = LazyLock::new(|| About {
    name: "openrouter".into(),
    title: TITLE.into(),
    account: [
        Field::new(KEY, Kind::Secret, "Management key; it cannot be used for inference. Or federation_policy_id."),
        Field::new("workspace_id", Kind::VendorId, "Workspace whose keys are made.").default("the default workspace"),
        Field::new("api_url", Kind::Url, "Base URL of the API.").default(DEFAULT_URL),
    ]
    .into_iter()
    .chain(Management::fields())
    .collect(),
    identity_is_complete: false,
    scope: vec![
        Field::new("limit", Kind::Amount, "Most that a key may spend, in USD.").default("no limit"),
        Field::new(
            "limit_reset",
            Kind::choice(&["daily", "weekly", "monthly"]),
            "When the limit starts anew, at midnight UTC; needs a limit.",
        )
        .default("never"),
        Field::new(
            "include_byok_in_limit",
            Kind::Boolean,
            "Counts use that is paid with your own keys of a provider towards the limit.",
        )
        .default("false"),
        Field::new("allowed_models", Kind::TextList, "Models that a key may call, such as openai/gpt-5.")
            .default("all"),
        Field::new("allowed_providers", Kind::TextList, "Providers that a key's requests may go to.").default("all"),
    ],
    can: Abilities {
        source: Source::Create,
        end: End::Delete,
        // Nothing is published; a guess that costs one more look of the sweep where it is too short.
        find: Find::ByName { lag: Duration::from_secs(60) },
        expiry: Expiry::Fixed(Limits {
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(366 * 24 * 3600),
        }),
        purposes: &[Purpose::Lease, Purpose::Static],
        limits: texts(&["spend", "models"]),
        unused: texts(&["last used", "usage", "switch off"]),
        tries_keys: true,
    },
    name_limit: 100,
    revocation: "Not documented by the vendor.".into(),
    unproven: texts(&[
        "How long a fresh key may be missing from the list is not documented.",
        "The longest name and the longest life of a key are not documented.",
        "Whether restrictions hold from the first request after their assignment is not documented; a key is handed out only after it.",
        "How soon a deleted key is refused is not documented.",
        "The vendor's guide says that a federation policy cannot act as a management key, its SDK 1.3.84 that it can.",
    ]),
});

#[async_trait]
impl Vendor for OpenRouter {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        let federated = Management::chosen(values, KEY)?;
        let mut account = Account::read(&ABOUT, values, (!federated).then_some(KEY), DEFAULT_URL)?;
        if federated {
            Management::settle(&mut account, values)?;
        }
        Ok(account)
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        let scope = values.only(&ABOUT.scope);
        if scope.text("limit_reset").is_some() && scope.get("limit").is_none() {
            return Err(Invalid::new("limit_reset", "needs a limit"));
        }
        for name in ["allowed_models", "allowed_providers"] {
            if scope.list(name).is_some_and(|list| list.is_empty() || list.iter().any(|text| text.trim().is_empty())) {
                return Err(Invalid::new(name, "is empty or holds an empty name: leave it out to allow all"));
            }
        }
        Ok(Scope(scope))
    }

    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        let session = Session::new(cx).await?;
        session.probe().await
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        if order.purpose == Purpose::Admin {
            return Err(Fault::invalid("makes no management key by its API"));
        }
        let session = Session::new(cx).await?;
        session.issue(order).await
    }

    async fn end(&self, cx: &Cx<'_>, key: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        let session = Session::new(cx).await?;
        session.end(key).await
    }

    async fn takes(&self, cx: &Cx<'_>, key: &Secret) -> Result<Option<bool>, Fault> {
        Talk::bare(cx, TITLE)?.takes(key, &["key"]).await
    }

    async fn extend(&self, _: &Cx<'_>, _: &Ref, _: Time) -> Result<Time, Fault> {
        // PATCH /keys/{hash} has no expires_at (specification of 2026-08-22, SDK 1.3.84).
        Err(Fault::invalid("sets the expiry of a key once and cannot move it"))
    }

    async fn list(&self, cx: &Cx<'_>, prefix: &str, from: Option<Cursor>) -> Result<Page, Fault> {
        let session = Session::new(cx).await?;
        session.list(prefix, from.as_ref()).await
    }
}

/// One operation in the account's workspace.
struct Session<'a> {
    talk: Talk<'a>,
    workspace: Option<&'a str>,
}

impl<'a> Session<'a> {
    async fn new(cx: &'a Cx<'a>) -> Result<Self, Fault> {
        let talk = match cx.account.credential_field {
            Some(_) => Talk::new(cx, TITLE)?,
            None => Management::present(cx).await?,
        };
        Ok(Self { talk, workspace: cx.account.identity.text("workspace_id") })
    }

    async fn probe(&self) -> Result<Probe, Fault> {
        let mut probe = Probe::default();
        match self.talk.send(Call::get(&["key"])).await {
            Ok(own) => {
                let label = own.text("/data/label").map(|label| self.talk.shown(label));
                probe.identity = Some(format!("management key {}", label.unwrap_or_default()));
                if own.at("/data/is_management_key").and_then(Value::as_bool) == Some(false) {
                    probe.identity = None;
                    let problem = "the key is for inference: make a management key in the settings of OpenRouter";
                    probe.missing.push(problem.into());
                    return Ok(probe);
                }
            }
            // Whether a token may ask about itself is not documented; what follows tells whether it can do its work.
            Err(failure) if failure.is_refusal() && self.talk.cx.account.credential_field.is_none() => {}
            Err(failure) => return Err(failure.into()),
        }
        for (part, call) in [("keys", self.keys_page(0)), ("guardrails", self.guardrails_page(0))] {
            match self.talk.send(call).await {
                Ok(answer) => drop(answer.need_list("/data")?),
                Err(failure) if failure.is_refusal() => {
                    probe.missing.push(format!("the management key cannot list {part} ({})", failure.fault));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(probe)
    }

    /// The guardrail is made first, since it restricts nothing by itself; then the key; and the key is handed out only
    /// once it is under the guardrail. Whatever fails, what was made before is deleted.
    async fn issue(&self, order: &Order<'_>) -> Result<Issued, Fault> {
        let guardrail = self.make_guardrail(order).await?;
        let made = self.make_key(order).await;
        let failed = match made {
            Ok(mut issued) => match &guardrail {
                None => return Ok(issued),
                Some(guardrail) => match self.restrict(guardrail, &issued.key.id).await {
                    Ok(()) => {
                        issued.key = Ref::new(&issued.key.id, &[(GUARDRAIL, guardrail)]);
                        return Ok(issued);
                    }
                    Err(fault) => (fault, Some(issued.key.id)),
                },
            },
            Err(fault) => (fault, None),
        };
        let (fault, key) = failed;
        let undo = Self { talk: self.talk.undo(), workspace: self.workspace };
        let keys = key.iter().map(|key| ["keys", key.as_str()]);
        for path in keys.chain(guardrail.iter().map(|guardrail| ["guardrails", guardrail.as_str()])) {
            undo.delete(&path).await.and_then(Gone::fresh).map_err(|left| {
                Fault::unknown(format!("{fault}; what was made before could not be undone: it {left}"))
            })?;
        }
        Err(fault)
    }

    /// None where the scope restricts nothing that needs one.
    async fn make_guardrail(&self, order: &Order<'_>) -> Result<Option<String>, Fault> {
        let mut body = self.named(order);
        let scope = &order.scope.0;
        let lists = ["allowed_models", "allowed_providers"];
        let restricted = lists.into_iter().filter_map(|name| Some((name.to_owned(), scope.list(name)?.into())));
        let before = body.len();
        body.extend(restricted);
        if body.len() == before {
            return Ok(None);
        }
        body.insert("description".into(), "Made for the key of the same name; goes with it.".into());
        let answer = self.talk.send(Call::post(&["guardrails"], body.into())).await?;
        Ok(Some(answer.need_id("/data/id")?.to_owned()))
    }

    async fn make_key(&self, order: &Order<'_>) -> Result<Issued, Fault> {
        let mut body = self.named(order);
        for name in ["limit", "limit_reset", "include_byok_in_limit"] {
            if let Some(value) = order.scope.0.get(name) {
                body.insert(name.into(), value.clone());
            }
        }
        if let Some(until) = order.until {
            body.insert("expires_at".into(), utc_seconds(until).into());
        }
        let answer = self.talk.send(Call::post(&["keys"], body.into())).await?;
        let expires = answer.time("/data/expires_at");
        let mut warnings = Vec::new();
        if order.until.is_some() && expires.is_none() {
            warnings.push("OpenRouter set no expiry: if this key is not revoked, it stays".to_owned());
        }
        Ok(Issued {
            key: Ref::new(answer.need_id("/data/hash")?, &[]),
            secret: answer.need_secret("/key")?,
            expires,
            parts: BTreeMap::new(),
            headers: BTreeMap::new(),
            warnings,
        })
    }

    async fn restrict(&self, guardrail: &str, key: &str) -> Result<(), Fault> {
        let call = Call::post(&["guardrails", guardrail, "assignments", "keys"], json!({"key_hashes": [key]}));
        // Assigning again replaces the assignment by itself (specification of 2026-08-22).
        let answer = self.talk.send(call.repeatable()).await?;
        match answer.at("/assigned_count").and_then(Value::as_u64) {
            Some(1) => Ok(()),
            _ => Err(Fault::new(FaultKind::Refused, "did not put the key under its restrictions")),
        }
    }

    /// The key first: without its guardrail it could do more.
    async fn end(&self, key: &Ref) -> Result<Gone, Fault> {
        if key.text(ALONE).is_some() {
            return self.delete(&["guardrails", &key.id]).await;
        }
        let gone = self.delete(&["keys", &key.id]).await?;
        if let Some(guardrail) = key.text(GUARDRAIL) {
            self.delete(&["guardrails", guardrail]).await?;
        }
        // A guardrail that was there says nothing of its key.
        Ok(gone)
    }

    async fn delete(&self, path: &[&str]) -> Result<Gone, Fault> {
        match self.talk.send(Call::delete(path)).await {
            Ok(answer) => match answer.at("/deleted").and_then(Value::as_bool) {
                Some(true) => Ok(Gone::Now),
                _ => Err(answer.lacks("/deleted")),
            },
            Err(failure) if is_gone(&failure) => Ok(Gone::Already),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn list(&self, prefix: &str, from: Option<&Cursor>) -> Result<Page, Fault> {
        let (collection, place) = Place::of(from, COLLECTIONS)?;
        let offset = place.offset();
        let keys = collection == "keys";
        let answer = self.talk.send(if keys { self.keys_page(offset) } else { self.guardrails_page(offset) }).await?;
        let entries = answer.need_list("/data")?;
        let found = entries.iter().filter_map(|entry| found(keys, prefix, entry)).collect();
        // The size of a page is not promised: only an empty page, or a total that is told, is the end.
        let end = offset + entries.len();
        let all = answer.at("/total_count").and_then(Value::as_u64).is_some_and(|total| end as u64 >= total);
        let next = (!entries.is_empty() && !all).then(|| end.to_string());
        Ok(place.page(found, next, COLLECTIONS))
    }

    fn keys_page(&self, offset: usize) -> Call {
        let call = Call::get(&["keys"]).query("offset", offset);
        self.in_workspace(call.query("include_disabled", true).query("include_expired", true))
    }

    fn guardrails_page(&self, offset: usize) -> Call {
        self.in_workspace(Call::get(&["guardrails"]).query("offset", offset).query("limit", PAGE))
    }

    fn in_workspace(&self, call: Call) -> Call {
        match self.workspace {
            Some(workspace) => call.query("workspace_id", workspace),
            None => call,
        }
    }

    fn named(&self, order: &Order<'_>) -> Map<String, Value> {
        let mut body = Map::from_iter([("name".to_owned(), Value::from(order.name.0.as_str()))]);
        if let Some(workspace) = self.workspace {
            body.insert("workspace_id".into(), workspace.into());
        }
        body
    }
}

fn found(keys: bool, prefix: &str, entry: &Value) -> Option<Found> {
    let name = as_name(&entry["name"], prefix)?;
    let key =
        if keys { Ref::new(as_id(&entry["hash"])?, &[]) } else { Ref::new(as_id(&entry["id"])?, &[(ALONE, "true")]) };
    Some(Found { name: name.to_owned(), is_key: keys, key, created: parse_time(&entry["created_at"]) })
}

/// The vendor's own 404, which repeats the status in its body: that of a proxy does not.
fn is_gone(failure: &Failure) -> bool {
    failure.vendor_said(404) && failure.said.as_ref().is_some_and(|said| said.code == "404")
}

/// UTC with whole seconds, rounded up: the vendor takes no other zone (specification) and wants the seconds (SDK).
fn utc_seconds(time: Time) -> String {
    let second = chrono::Duration::seconds(1);
    let up = time.duration_trunc(second).map(|whole| if whole < time { whole + second } else { whole }).unwrap_or(time);
    up.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(body: Value) -> Result<Scope, String> {
        let parse = |body: &Value| Values::parse(&ABOUT.scope, body.as_object().expect("an object")).expect("valid").0;
        let mut account = Values::default();
        account.insert("management_key", "sk-or-v1-1".into());
        let account = OpenRouter.account(&account).expect("valid");
        OpenRouter.scope(&account, &parse(&body)).map_err(|invalid| invalid.field)
    }

    #[test]
    fn an_empty_list_is_not_taken_for_all() {
        assert_eq!(scope(json!({"allowed_models": []})).expect_err("empty"), "allowed_models");
        assert_eq!(scope(json!({"allowed_providers": ["a", ""]})).expect_err("empty"), "allowed_providers");
        assert!(scope(json!({})).is_ok());
    }

    #[test]
    fn a_reset_needs_a_limit() {
        assert_eq!(scope(json!({"limit_reset": "daily"})).expect_err("no limit"), "limit_reset");
        assert!(scope(json!({"limit_reset": "daily", "limit": 5})).is_ok());
    }

    #[test]
    fn an_expiry_is_utc_with_whole_seconds() {
        let time = parse_time(&json!("2026-11-24T13:08:07.2+01:00")).expect("a time");
        assert_eq!(utc_seconds(time), "2026-11-24T12:08:08Z");
    }
}
