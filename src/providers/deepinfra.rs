use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::DateTime;
use ring::hmac;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Envelope};
use super::call::Call;
use super::talk::Talk;
use super::vendor::texts;
use super::{
    Abilities, About, Account, Cursor, Cx, End, Expiry, Fault, FaultKind, Find, Gone, Issued, Limits, Order, Page,
    Probe, Purpose, Ref, Scope, Source, Vendor,
};
use crate::base::{Secret, Time};
use crate::schema::{Field, Invalid, Kind, Values};

/// DeepInfra: scoped JWTs, signed here with the account's API key. The vendor hears of one when it is used.
///
/// Facts are from the vendor's page on scoped JWTs, which tells their format (`sub`, `model`, `exp`), and its API
/// reference of `/v1/scoped-jwt`. Nothing was tried at the vendor.
pub(super) struct DeepInfra;

const TITLE: &str = "DeepInfra";
const API_URL: &str = "https://api.deepinfra.com";
/// A week at the vendor; a minute less, since clocks differ.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600 - 60);
/// Life of a token that is made to be looked at.
const TRIAL: Duration = Duration::from_secs(60);

static ABOUT: LazyLock<About> = LazyLock::new(|| About {
    name: "deepinfra".into(),
    title: TITLE.into(),
    account: vec![
        Field::new("api_key", Kind::Secret, "API key that signs the tokens: their use is counted as its own.")
            .required(),
        Field::new("user_id", Kind::VendorId, "Id of the account: di:1000000000000.").required(),
        Field::new("api_key_name", Kind::Text, "Name of the API key at the vendor.").default(KEY_NAME),
        Field::new("api_url", Kind::Url, "Root URL of the API.").default(API_URL),
    ],
    identity_is_complete: true,
    scope: vec![
        Field::new("models", Kind::TextList, "Models that a token may call.").default("all"),
        Field::new("spending_limit", Kind::Amount, "Most that a token may spend, in USD.").default("no limit"),
    ],
    can: Abilities {
        source: Source::Token,
        end: End::Expires,
        find: Find::Never,
        expiry: Expiry::Fixed(Limits { shortest: Duration::from_secs(1), longest: LONGEST }),
        purposes: &[Purpose::Lease],
        limits: texts(&["models", "spend"]),
        unused: Vec::new(),
        tries_keys: false,
    },
    name_limit: 200,
    revocation: "Not before the token's own expiry, unless the API key itself is deleted at the vendor.".into(),
    unproven: texts(&[
        "Nothing was tried at the vendor itself.",
        "The format of a token is documented with one model. A token with several, or with a spending_limit, is shown to the vendor before it is handed out, and only handed out where the vendor reads the same limits in it.",
        "Two tokens of one role in the same second are the same token: the format has nothing to tell them apart.",
    ]),
});

#[async_trait]
impl Vendor for DeepInfra {
    fn about(&self) -> &About {
        &ABOUT
    }

    fn account(&self, values: &Values) -> Result<Account, Invalid> {
        let mut account = Account::read(&ABOUT, values, Some("api_key"), API_URL)?;
        account.client_url.push_str("/v1/openai");
        Ok(account)
    }

    fn scope(&self, _: &Account, values: &Values) -> Result<Scope, Invalid> {
        let scope = values.only(&ABOUT.scope);
        if scope.list("models").is_some_and(|list| list.is_empty() || list.iter().any(|text| text.trim().is_empty())) {
            return Err(Invalid::new("models", "is empty or holds an empty name: leave it out to allow all"));
        }
        Ok(Scope(scope))
    }

    /// Shows the vendor a token: it says what it reads there, or that it is none of the key's.
    async fn probe(&self, cx: &Cx<'_>) -> Result<Probe, Fault> {
        let mut probe = Probe { identity: cx.account.identity.text("user_id").map(str::to_owned), ..Probe::default() };
        let (expires, token) = signed(cx.account, &Values::default(), cx.clock.now() + TRIAL);
        let unread = match shown_to_vendor(cx, &token).await {
            Ok(read) if read.at("/expires_at").and_then(Value::as_i64) == Some(expires) => return Ok(probe),
            Ok(_) => "it reads something else in a token than was signed".to_owned(),
            Err(fault) if matches!(fault.kind, FaultKind::Invalid { .. }) => fault.text,
            Err(fault) if fault.kind == FaultKind::Refused => {
                return Err(Fault::new(fault.kind, format!("{}: check api_key, user_id and api_key_name", fault.text)));
            }
            Err(fault) => return Err(fault),
        };
        probe.missing.push(format!("tokens that work: check user_id and api_key_name; the vendor {unread}"));
        Ok(probe)
    }

    async fn issue(&self, cx: &Cx<'_>, order: &Order<'_>) -> Result<Issued, Fault> {
        let until = order.until.ok_or_else(|| Fault::invalid("gives no token without an end"))?;
        let (expires, token) = signed(cx.account, &order.scope.0, until);
        if !is_documented(&order.scope.0) {
            let read = shown_to_vendor(cx, &token).await?;
            check_limits(&order.scope.0, expires, &read)?;
        }
        Ok(Issued {
            key: Ref::new(order.name.0.as_str(), &[]),
            secret: token,
            parts: BTreeMap::new(),
            expires: DateTime::from_timestamp(expires, 0),
            headers: BTreeMap::new(),
            warnings: Vec::new(),
        })
    }

    async fn end(&self, _: &Cx<'_>, _: &Ref, _: Option<&Secret>) -> Result<Gone, Fault> {
        Err(Fault::invalid("revokes no single token"))
    }

    async fn extend(&self, _: &Cx<'_>, _: &Ref, _: Time) -> Result<Time, Fault> {
        Err(Fault::invalid("does not prolong a token: ask for another"))
    }

    async fn list(&self, _: &Cx<'_>, _: &str, _: Option<Cursor>) -> Result<Page, Fault> {
        Ok(Page::default())
    }
}

/// What the vendor calls the key that every account has.
const KEY_NAME: &str = "auto";

/// A token with these limits, and when it ends in seconds since 1970.
fn signed(account: &Account, limits: &Values, until: Time) -> (i64, Secret) {
    // Rounded up: a token outlives its lease rather than the other way round.
    let expires = until.timestamp() + i64::from(until.timestamp_subsec_nanos() > 0);
    let user = account.identity.text("user_id").unwrap_or_default();
    let name = account.identity.text("api_key_name").filter(|name| !name.is_empty()).unwrap_or(KEY_NAME);
    let header = json!({"alg": "HS256", "kid": format!("{user}:{}", STANDARD.encode(name)), "typ": "JWT"});
    let mut claims = Map::from_iter([("sub".to_owned(), json!(user)), ("exp".to_owned(), json!(expires))]);
    match limits.list("models").as_deref() {
        None => {}
        Some([model]) => drop(claims.insert("model".into(), json!(model))),
        Some(models) => drop(claims.insert("models".into(), json!(models))),
    }
    claims.extend(limits.get("spending_limit").map(|limit| ("spending_limit".to_owned(), limit.clone())));
    let part = |value: String| URL_SAFE_NO_PAD.encode(value);
    let text = format!("{}.{}", part(header.to_string()), part(Value::Object(claims).to_string()));
    let key = hmac::Key::new(hmac::HMAC_SHA256, account.secret("api_key").as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()));
    (expires, format!("jwt:{text}.{signature}").into())
}

/// Whether the vendor's documents tell how a token with these limits is written.
fn is_documented(limits: &Values) -> bool {
    limits.list("models").is_none_or(|models| models.len() == 1) && limits.get("spending_limit").is_none()
}

/// What the vendor reads in a token.
async fn shown_to_vendor(cx: &Cx<'_>, token: &Secret) -> Result<Answer, Fault> {
    let mut talk = Talk::new(cx, TITLE)?.with_envelope(Envelope::CommonOrDetail);
    talk.hide(token);
    Ok(talk.send(Call::get(&["v1", "scoped-jwt"]).query("jwtoken", token.expose())).await?)
}

/// A limit that the vendor does not read would not hold.
fn check_limits(limits: &Values, expires: i64, read: &Answer) -> Result<(), Fault> {
    let texts = |value: &Value| -> BTreeSet<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let wanted: BTreeSet<String> = limits.list("models").unwrap_or_default().into_iter().collect();
    let unread = if read.at("/models").map(texts).unwrap_or_default() != wanted {
        "models"
    } else if read.at("/spending_limit").and_then(Value::as_f64) != limits.get("spending_limit").and_then(Value::as_f64)
    {
        "spending_limit"
    } else if read.at("/expires_at").and_then(Value::as_i64) != Some(expires) {
        return Err(Fault::invalid("reads another end in a token than was signed here, so none is handed out"));
    } else {
        return Ok(());
    };
    let text = format!("does not read the role's {unread} in a token that is signed here, so none is handed out");
    Err(Fault::new(FaultKind::Invalid { field: Some(unread.into()) }, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_one_of_the_vendors_own_page() {
        let mut values = Values::default();
        for (name, value) in [("api_key", "key-1"), ("user_id", "di:1000000000000")] {
            values.insert(name, value.into());
        }
        let account = DeepInfra.account(&values).expect("valid");
        let mut limits = Values::default();
        limits.insert("models", json!(["deepseek-ai/DeepSeek-R1"]));
        let (expires, token) = signed(&account, &limits, DateTime::from_timestamp(1_734_616_902, 1).expect("a time"));
        let parts: Vec<&str> = token.expose().strip_prefix("jwt:").expect("the prefix").split('.').collect();
        let part = |text: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("JSON")
        };
        assert_eq!(part(parts[0]), json!({"alg": "HS256", "kid": "di:1000000000000:YXV0bw==", "typ": "JWT"}));
        let claims = json!({"sub": "di:1000000000000", "model": "deepseek-ai/DeepSeek-R1", "exp": 1_734_616_903});
        assert_eq!((part(parts[1]), expires), (claims, 1_734_616_903));
    }
}
