use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Envelope, Failure, as_id, as_name, parse_time, seconds_until};
use super::call::Call;
use super::listing::Place;
use super::talk::Talk;
use super::vendor::texts;
use super::{
    Abilities, About, Account, Cursor, Cx, End, Expiry, Fault, FaultKind, Find, Found, Gone, Issued, Limits, Order,
    Page, Probe, Purpose, Ref, Scope, Source, Vendor,
};
use crate::base::{Secret, Time, random_base32};
use crate::schema::{Field, Invalid, Kind, Values};

/// A LiteLLM proxy: virtual keys with limits, made with the master key. The value of a key is ours, so that making it
/// can be repeated; the proxy's id of a key is the hash of that value.
///
/// Facts are from a running proxy 1.106.2 and the source of 1.109.1.
pub(super) struct LiteLlm;

const TITLE: &str = "LiteLLM";
/// Longest life that is asked for. The proxy knows no limit.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Entries of a page, the most that the proxy gives.
const PAGE: usize = 100;
const COLLECTIONS: &[&str] = &["keys"];
/// Characters of five random bits each after `sk-`: 240 bits.
const KEY_LENGTH: usize = 48;
/// Fields of the scope that go into the request as they are.
const COPIED: [&str; 6] =
    ["models", "max_budget", "budget_duration", "rpm_limit", "tpm_limit", "max_parallel_requests"];
/// Fields of the account that go into the request as they are. A key takes its power from its user's row, so that a
/// role must not name the user: whoever writes the config does.
const OWNERS: [&str; 2] = ["user_id", "team_id"];
/// Inference, models and their information; measured with 1.106.2. The proxy's own default lets the key of an admin's
/// make keys, and `read_only` reads other keys and, for an admin's, all of them.
const KEY_TYPE: &str = "llm_api";
/// Where the role's metadata goes: at the top, the proxy reads policy out of names such as `tags`, `guardrails` and
/// `disable_global_guardrails`.
const METADATA: &str = "vault";

static ABOUT: LazyLock<About> = LazyLock::new(|| {
    let count = Kind::Integer { min: 1, max: i64::from(i32::MAX) };
    About {
        name: "litellm".into(),
        title: TITLE.into(),
        account: vec![
            Field::new("master_key", Kind::Secret, "Master key of the proxy, or the virtual key of a proxy admin.")
                .required(),
            Field::new("api_url", Kind::Url, "Root URL of the proxy, without /v1.").required(),
            Field::new("user_id", Kind::Text, "User whom the use of every key is counted for."),
            Field::new("team_id", Kind::VendorId, "Team whose limits hold for every key too."),
        ],
        identity_is_complete: true,
        scope: vec![
            Field::new("models", Kind::TextList, "Models that a key may call.").default("all"),
            Field::new("max_budget", Kind::Amount, "Most that a key may spend, in USD.").default("no limit"),
            Field::new(
                "budget_duration",
                Kind::Text,
                "When the budget starts anew: 30m, 24h, 30d, 1mo; needs max_budget.",
            )
            .default("never"),
            Field::new("rpm_limit", count.clone(), "Requests a minute.").default("no limit"),
            Field::new("tpm_limit", count.clone(), "Tokens a minute.").default("no limit"),
            Field::new("max_parallel_requests", count, "Requests at a time.").default("no limit"),
            Field::new(
                "metadata",
                Kind::TextMap,
                "Texts that the proxy keeps with the key, below metadata.vault: it makes no policy of them.",
            ),
        ],
        can: Abilities {
            source: Source::Create,
            end: End::Delete,
            find: Find::ByOurId,
            expiry: Expiry::Movable(Limits { shortest: Duration::from_secs(1), longest: LONGEST }),
            purposes: &[Purpose::Lease, Purpose::Static],
            limits: texts(&["models", "spend", "rate"]),
            unused: texts(&["usage", "switch off"]),
            tries_keys: true,
        },
        name_limit: 200,
        revocation: "At once on the replica that deletes it; another replica answers from its cache for up to 60 s."
            .into(),
        unproven: texts(&[
            "How long another replica honours a deleted key is not documented; 60 s were measured on 1.106.2.",
            "Proxies before 1.100 have not been tried; key_type, which keeps keys from managing the proxy, is unknown to old ones, and ignored.",
            "A team or a user that does not exist is taken by the proxy without a word.",
        ]),
    }
});

#[async_trait]
impl Vendor for LiteLlm {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        values.need("api_url")?;
        let mut account = Account::read(&ABOUT, values, Some("master_key"), "")?;
        if account.client_url.ends_with("/v1") {
            return Err(Invalid::new("api_url", "is the root of the proxy, without /v1"));
        }
        account.client_url.push_str("/v1");
        Ok(account)
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        let scope = values.only(&ABOUT.scope);
        if scope.list("models").is_some_and(|list| list.is_empty() || list.iter().any(|text| text.trim().is_empty())) {
            return Err(Invalid::new("models", "is empty or holds an empty name: leave it out to allow all"));
        }
        if let Some(text) = scope.text("budget_duration") {
            if !is_budget_duration(text) {
                return Err(Invalid::new("budget_duration", "is not a number with s, m, h, d, w or mo"));
            }
            if scope.get("max_budget").is_none() {
                return Err(Invalid::new("budget_duration", "needs a max_budget"));
            }
        }
        Ok(Scope(scope))
    }

    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        let talk = talk(cx)?;
        let mut probe = Probe::default();
        match talk.send(keys_page(1, 1)).await {
            Ok(answer) => drop(answer.need_list("/keys")?),
            Err(failure) if failure.vendor_said(403) => {
                probe.missing.push(format!(
                    "the credential cannot list keys: use the master key, or a key of a proxy admin ({})",
                    failure.fault
                ));
            }
            Err(failure) => return Err(failure.into()),
        }
        // Without a parameter it is about the caller's own key; the master key has no entry.
        match talk.send(Call::get(&["key", "info"])).await {
            Ok(answer) => {
                let name = answer.text("/info/key_alias").or_else(|| answer.text("/info/key_name"));
                probe.identity = Some(format!("virtual key {}", talk.shown(name.unwrap_or("without a name"))));
                if let Some("llm_api" | "read_only") = answer.text("/info/key_type") {
                    probe.missing.push("the credential is a key that may not manage keys: use the master key, or a key of a proxy admin".into());
                }
                probe
                    .warnings
                    .push("whether a virtual key may make and delete keys can only be known by doing it".into());
            }
            Err(failure) if failure.vendor_said(404) => probe.identity = Some("master key".into()),
            Err(failure) if failure.is_refusal() => {}
            Err(failure) => return Err(failure.into()),
        }
        Ok(probe)
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        if order.purpose == Purpose::Admin {
            return Err(Fault::invalid("has no API to change its master key"));
        }
        let mut talk = talk(cx)?;
        // In memory for the tries of this one call only.
        let value = Secret::from(format!("sk-{}", random_base32(cx.rng, KEY_LENGTH)));
        talk.hide(&value);
        let mut body = body(&talk, order);
        body.insert("key".into(), value.expose().into());
        match talk.send(Call::post(&["key", "generate"], Value::Object(body.clone())).repeatable()).await {
            Ok(answer) => handed_out(&talk, order, &answer).await,
            // Names are unique at the proxy and this one is random: an earlier try of ours made it, or a gateway that
            // sent the request twice.
            Err(failure) if is_taken(&failure) => made_before(&talk, order, value).await.map_err(|fault| {
                Fault::unknown(format!("made the key for a request before this one; asked for it, it {fault}"))
            }),
            Err(failure) if failure.mentions("custom api key") && failure.status == Some(403) => {
                // The operator of the proxy wants its own values. Then the call is not repeatable.
                body.remove("key");
                match talk.send(Call::post(&["key", "generate"], body.into())).await {
                    Ok(answer) => handed_out(&talk, order, &answer).await,
                    Err(failure) if is_taken(&failure) => {
                        Err(Fault::unknown("made the key for a request before this one, and its value is lost"))
                    }
                    Err(failure) => Err(failure.into()),
                }
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn end(&self, cx: &Cx<'_>, key: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        let call = Call::post(&["key", "delete"], json!({"keys": [key.id]})).repeatable();
        match talk(cx)?.send(call).await {
            Ok(answer) => deleted(&answer, &key.id),
            Err(failure) if failure.vendor_said(404) && failure.mentions("no keys found") => Ok(Gone::Already),
            Err(failure) => Err(failure.into()),
        }
    }

    async fn takes(&self, cx: &Cx<'_>, key: &Secret) -> Result<Option<bool>, Fault> {
        Talk::bare(cx, TITLE)?.takes(key, &["v1", "models"]).await
    }

    async fn extend(&self, cx: &Cx<'_>, key: &Ref, until: Time) -> Result<Time, Fault> {
        let duration = format!("{}s", seconds_until(cx.clock.now(), until, LONGEST));
        let call = Call::post(&["key", "update"], json!({"key": key.id, "duration": duration})).repeatable();
        match talk(cx)?.send(call).await {
            Ok(answer) => answer.need_time("/expires"),
            // 1.106 says so of every exception that it does not know, a lost database among them.
            Err(failure)
                if failure.vendor_said(400)
                    && failure.mentions("authentication error, ")
                    && !failure.mentions("not found") =>
            {
                Err(Fault { kind: FaultKind::Unknown, ..failure.into() })
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn list(&self, cx: &Cx<'_>, prefix: &str, from: Option<Cursor>) -> Result<Page, Fault> {
        let (_, place) = Place::of(from.as_ref(), COLLECTIONS)?;
        let page = place.offset().max(1);
        // All keys, compared here: whether `key_alias` looks for a part or for all of a name changed between versions.
        let answer = talk(cx)?.send(keys_page(page, PAGE)).await?;
        let entries = answer.need_list("/keys")?;
        let found = entries.iter().filter_map(|entry| found(prefix, entry)).collect();
        let more = match answer.at("/total_pages").and_then(Value::as_u64) {
            Some(pages) => !entries.is_empty() && (page as u64) < pages,
            None => entries.len() >= PAGE,
        };
        let next = more.then(|| (page + 1).to_string());
        Ok(place.page(found, next, COLLECTIONS))
    }
}

fn talk<'a>(cx: &'a Cx<'a>) -> Result<Talk<'a>, Fault> {
    Ok(Talk::new(cx, TITLE)?.with_envelope(Envelope::CommonOrDetail))
}

fn body(talk: &Talk<'_>, order: &Order<'_>) -> Map<String, Value> {
    let scope = &order.scope.0;
    let mut body = Map::from_iter([
        ("key_alias".to_owned(), Value::from(order.name.0.as_str())),
        ("key_type".to_owned(), KEY_TYPE.into()),
    ]);
    let copied = COPIED.iter().map(|name| (*name, scope.get(name)));
    let owners = OWNERS.iter().map(|name| (*name, talk.cx.account.identity.get(name)));
    for (name, value) in copied.chain(owners) {
        if let Some(value) = value {
            body.insert(name.into(), value.clone());
        }
    }
    if let Some(texts) = scope.get("metadata") {
        body.insert("metadata".into(), json!({METADATA: texts}));
    }
    if let Some(until) = order.until {
        let seconds = seconds_until(talk.cx.clock.now(), until, LONGEST);
        body.insert("duration".into(), format!("{seconds}s").into());
    }
    body
}

/// The key of an answer; one that cannot be used is deleted by its name.
async fn handed_out(talk: &Talk<'_>, order: &Order<'_>, answer: &Answer) -> Result<Issued, Fault> {
    let fault = match issued(answer) {
        Ok(issued) => return Ok(issued),
        Err(fault) => fault,
    };
    let name = order.name.0.as_str();
    let undone = talk.undo().send(Call::post(&["key", "delete"], json!({"key_aliases": [name]})).repeatable()).await;
    let undone = undone.map_err(Fault::from).and_then(|answer| deleted(&answer, name));
    undone.map_err(|left| Fault::unknown(format!("{fault}; its key could not be deleted: it {left}")))?;
    Err(Fault::new(FaultKind::Refused, format!("{fault}; its key was deleted again")))
}

fn deleted(answer: &Answer, name: &str) -> Result<Gone, Fault> {
    let named = answer.need_list("/deleted_keys")?.iter().any(|gone| gone == name);
    if named { Ok(Gone::Now) } else { Err(answer.lacks("/deleted_keys")) }
}

fn issued(answer: &Answer) -> Result<Issued, Fault> {
    let token = answer.need_id("/token").or_else(|_| answer.need_id("/token_id"))?;
    Ok(Issued {
        key: Ref::new(token, &[]),
        secret: answer.need_secret("/key")?,
        expires: answer.time("/expires"),
        parts: BTreeMap::new(),
        headers: BTreeMap::new(),
        warnings: Vec::new(),
    })
}

/// The key that an earlier try of ours made, found by its name.
async fn made_before(talk: &Talk<'_>, order: &Order<'_>, value: Secret) -> Result<Issued, Fault> {
    let name = order.name.0.as_str();
    let answer = talk.send(keys_page(1, PAGE).query("key_alias", name)).await?;
    let entry = answer.need_list("/keys")?.iter().find(|entry| entry["key_alias"] == name);
    let entry = entry.ok_or_else(|| Fault::unknown("made the key but does not list it"))?;
    let token = as_id(&entry["token"]).ok_or_else(|| answer.lacks_id("/keys/token"))?;
    Ok(Issued {
        key: Ref::new(token, &[]),
        secret: value,
        expires: parse_time(&entry["expires"]),
        parts: BTreeMap::new(),
        headers: BTreeMap::new(),
        warnings: Vec::new(),
    })
}

/// Keys of teams and those that the credential made are asked for too: a proxy admin sees all keys anyway.
fn keys_page(page: usize, size: usize) -> Call {
    let call = Call::get(&["key", "list"]).query("page", page).query("size", size).query("return_full_object", true);
    let call = call.query("include_team_keys", true).query("include_created_by_keys", true);
    // The oldest first, so that new keys do not move the others to another page.
    call.query("sort_by", "created_at").query("sort_order", "asc")
}

fn found(prefix: &str, entry: &Value) -> Option<Found> {
    let name = as_name(&entry["key_alias"], prefix)?;
    let key = Ref::new(as_id(&entry["token"])?, &[]);
    Some(Found { name: name.to_owned(), is_key: true, key, created: parse_time(&entry["created_at"]) })
}

fn is_taken(failure: &Failure) -> bool {
    failure.vendor_said(400) && failure.mentions("already exists")
}

/// `30s`, `30m`, `24h`, `30d`, `2w`, `1mo`.
fn is_budget_duration(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let unit = &text[number.len()..];
    number.parse::<u32>().is_ok_and(|number| number > 0) && ["s", "m", "h", "d", "w", "mo"].contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(url: &str) -> Result<Account, Invalid> {
        let mut values = Values::default();
        values.insert("master_key", "sk-master".into());
        values.insert("api_url", url.into());
        LiteLlm.account(&values)
    }

    fn scope(body: Value) -> Result<Scope, String> {
        let values = Values::parse(&ABOUT.scope, body.as_object().expect("an object")).expect("valid").0;
        LiteLlm.scope(&account("https://proxy.example").expect("valid"), &values).map_err(|invalid| invalid.field)
    }

    #[test]
    fn clients_use_v1_and_the_admin_api_does_not() {
        let account = account("https://proxy.example/ai/").expect("valid");
        assert_eq!(account.client_url, "https://proxy.example/ai/v1");
        assert_eq!(account.endpoint.as_str(), "https://proxy.example/ai");
        assert_eq!(self::account("https://proxy.example/v1").expect_err("v1").field, "api_url");
    }

    #[test]
    fn a_scope_is_checked_before_the_proxy_sees_it() {
        assert_eq!(scope(json!({"models": []})).expect_err("empty"), "models");
        assert_eq!(scope(json!({"budget_duration": "30d"})).expect_err("no budget"), "budget_duration");
        for bad in ["30", "d", "1y", "-1d", "0d"] {
            assert!(scope(json!({"budget_duration": bad, "max_budget": 1})).is_err(), "{bad}");
        }
        let Scope(scope) = scope(json!({"budget_duration": "1mo", "max_budget": "2.5"})).expect("valid");
        assert_eq!(scope.get("max_budget"), Some(&json!(2.5)));
    }
}
