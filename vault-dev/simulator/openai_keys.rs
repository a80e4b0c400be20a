//! OpenAI's service accounts and project keys, in both generations of the admin API.

use serde_json::{Value, json};

use crate::book::{Book, Record, random};
use crate::clock::{Moment, unix};
use crate::fields::{Field, Kind, NAME, nullable, optional, required};
use crate::openai::{
    EXPIRES_IN, OpenAi, body, error, expiry, no_route, not_found, page, redacted, refuse, since_november, text,
};
use crate::request::Call;
use crate::router::{Answer, Outcome};

const ACCOUNT_ONLY: Field = nullable("create_service_account_only", Kind::Flag);
/// Unlike on update, the vendor's clients may send `null` for "no expiry" when they create.
const EXPIRES_IN_OR_NULL: Field = nullable(EXPIRES_IN.name, EXPIRES_IN.kind);
const SCOPES: Field = optional("scopes", Kind::Texts);
const ACCESS: Field = optional("owner_project_access", Kind::OneOf(&["active", "inactive", "any"]));

#[derive(Clone)]
pub struct Account {
    pub id: String,
    pub project: String,
    pub name: String,
    pub role: &'static str,
    pub created: i64,
}

pub struct ProjectKey {
    pub project: String,
    pub owner: Owner,
    pub scopes: Vec<String>,
}

#[derive(PartialEq)]
pub enum Owner {
    Account(String),
    Person,
}

pub fn list_accounts(openai: &mut OpenAi, call: &Call) -> Outcome {
    let project = openai.project(call)?;
    project.must_be_active()?;
    let listed = openai.accounts.iter().filter(|account| account.project == project.id);
    let listed = listed.filter(|account| !call.at.hidden_from_lists(account.created));
    page(call, listed.map(|account| (account.id.clone(), account.show())).collect(), |_| None)
}

/// The call of old: by default it also makes a key, which no scope can narrow.
pub fn create_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    let project = openai.project(call)?;
    project.must_be_active()?;
    let project = project.id.clone();
    let name = required("name", NAME);
    let known: &[Field] =
        if since_november(call) { &[name, ACCOUNT_ONLY, EXPIRES_IN_OR_NULL] } else { &[name, ACCOUNT_ONLY] };
    let body = body(call, known)?;
    let account_only = body.get(ACCOUNT_ONLY.name) == Some(&Value::Bool(true));
    let expires = expiry(&body, call.at);
    if account_only && expires.is_some() {
        let message = "expires_in_seconds can't be used with create_service_account_only.";
        return Err(error(400, message, Some(EXPIRES_IN.name), Some("invalid_value")));
    }
    let role = if account_only { "none" } else { "member" };
    let account = Account { id: random("svc_acct_"), project, name: text(&body, "name"), role, created: call.at.ms };
    let mut shown = account.show();
    shown["api_key"] = match account_only {
        true => Value::Null,
        false => add_key(openai, call, &account, "Secret Key".to_owned(), Vec::new(), expires),
    };
    openai.accounts.push(account);
    Ok(Answer::ok(shown))
}

pub fn get_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    account(openai, call).map(|account| Answer::ok(account.show()))
}

pub fn update_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    account(openai, call)?;
    let body = body(call, &[optional("name", NAME), optional("role", Kind::OneOf(&["member", "owner"]))])?;
    let account = openai.accounts.iter_mut().find(|account| account.id == call.param(1));
    let account = account.ok_or_else(|| not_found("service account", call.param(1)))?;
    if body.contains_key("name") {
        account.name = text(&body, "name");
    }
    match body.get("role").and_then(Value::as_str) {
        Some("owner") => account.role = "owner",
        Some(_) => account.role = "member",
        None => {}
    }
    Ok(Answer::ok(account.show()))
}

pub fn delete_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    let id = account(openai, call)?.id.clone();
    remove_account(openai, &id, call.at);
    Ok(deleted("organization.project.service_account.deleted", &id))
}

pub fn create_account_key(openai: &mut OpenAi, call: &Call) -> Outcome {
    let account = account(openai, call)?.clone();
    let name = optional("name", NAME);
    let known: &[Field] = if since_november(call) { &[name, SCOPES, EXPIRES_IN_OR_NULL] } else { &[name, SCOPES] };
    let body = body(call, known)?;
    let name = if body.contains_key("name") { text(&body, "name") } else { "Secret Key".to_owned() };
    let expires = expiry(&body, call.at);
    Ok(Answer::ok(add_key(openai, call, &account, name, texts(body.get("scopes")), expires)))
}

pub fn list_keys(openai: &mut OpenAi, call: &Call) -> Outcome {
    let project = openai.project(call)?.id.clone();
    let query = call.checked_query(&[ACCESS]).map_err(refuse)?;
    let access = query.get(ACCESS.name).and_then(Value::as_str);
    // Left out, the vendor's "membership-based visibility" hides some enabled keys: here those of owners without a role.
    let visible = |record: &Record<ProjectKey>| match access {
        Some("any") => true,
        wanted => owner_access(openai, record) == wanted.unwrap_or("active"),
    };
    let listed = openai.keys.listed(call.at).filter(|record| record.more.project == project && visible(record));
    let ids: Vec<_> = listed.map(|record| (record.id.clone(), show_key(openai, call, record))).collect();
    let places: Vec<_> = ids.iter().filter_map(|(id, _)| openai.keys.place(id)).collect();
    page(call, ids, |after| {
        let gone = openai.keys.place(after)?;
        Some(places.iter().filter(|&&place| place < gone).count())
    })
}

pub fn get_key(openai: &mut OpenAi, call: &Call) -> Outcome {
    let record = project_key(openai, call)?;
    Ok(Answer::ok(show_key(openai, call, record)))
}

pub fn update_key(openai: &mut OpenAi, call: &Call) -> Outcome {
    if !since_november(call) {
        return Err(no_route(call.request));
    }
    if project_key(openai, call)?.expired(call.at) {
        return Err(error(400, "Expired API keys can't be updated.", None, Some("api_key_expired")));
    }
    let body = body(call, &[SCOPES, EXPIRES_IN])?;
    if let Some(record) = openai.keys.get_mut(call.param(1)) {
        record.expires = expiry(&body, call.at).or(record.expires);
        if body.contains_key(SCOPES.name) {
            record.more.scopes = texts(body.get(SCOPES.name));
        }
    }
    get_key(openai, call)
}

pub fn delete_key(openai: &mut OpenAi, call: &Call) -> Outcome {
    let record = project_key(openai, call)?;
    if !since_november(call) && record.more.owner != Owner::Person {
        let message = "This API key belongs to a service account: delete the service account instead.";
        return Err(error(400, message, None, None));
    }
    let id = record.id.clone();
    openai.keys.delete(&id, call.at);
    Ok(deleted("organization.project.api_key.deleted", &id))
}

/// The account's keys go with it.
pub fn remove_account(openai: &mut OpenAi, id: &str, at: Moment) -> bool {
    let before = openai.accounts.len();
    openai.accounts.retain(|account| account.id != id);
    delete_where(&mut openai.keys, at, |key| key.owner == Owner::Account(id.to_owned()));
    openai.accounts.len() < before
}

pub fn delete_where(keys: &mut Book<ProjectKey>, at: Moment, doomed: impl Fn(&ProjectKey) -> bool) {
    let ids: Vec<_> = keys.existing().filter(|record| doomed(&record.more)).map(|record| record.id.clone()).collect();
    for id in ids {
        keys.delete(&id, at);
    }
}

impl Account {
    pub fn show(&self) -> Value {
        json!({
            "object": "organization.project.service_account", "id": self.id, "name": self.name,
            "role": self.role, "created_at": unix(self.created),
        })
    }
}

fn account<'a>(openai: &'a OpenAi, call: &Call) -> Result<&'a Account, Answer> {
    let project = openai.project(call)?;
    project.must_be_active()?;
    let id = call.param(1);
    let found = openai.accounts.iter().find(|account| account.id == id && account.project == project.id);
    found.ok_or_else(|| not_found("service account", id))
}

fn project_key<'a>(openai: &'a OpenAi, call: &Call) -> Result<&'a Record<ProjectKey>, Answer> {
    let project = openai.project(call)?;
    let found = openai.keys.get(call.param(1)).filter(|record| record.more.project == project.id);
    found.ok_or_else(|| not_found("API key", call.param(1)))
}

fn add_key(
    openai: &mut OpenAi,
    call: &Call,
    account: &Account,
    name: String,
    scopes: Vec<String>,
    expires: Option<i64>,
) -> Value {
    let owner = Owner::Account(account.id.clone());
    let key = ProjectKey { project: account.project.clone(), owner, scopes };
    let mut record = Record::new(random("key_"), Some(name), random("sk-svcacct-"), call.at, key);
    record.expires = expires;
    let record = openai.keys.add(record);
    let shown = json!({
        "object": "organization.project.service_account.api_key", "id": record.id, "name": record.name,
        "created_at": unix(record.created), "value": record.secret,
    });
    with_expiry(shown, call, record)
}

fn show_key(openai: &OpenAi, call: &Call, record: &Record<ProjectKey>) -> Value {
    let owner = match &record.more.owner {
        Owner::Account(id) => {
            let account = openai.accounts.iter().find(|account| account.id == *id);
            json!({
                "type": "service_account",
                "service_account": account.map(|account| json!({
                    "id": account.id, "name": account.name, "created_at": unix(account.created), "role": account.role,
                })),
            })
        }
        Owner::Person => json!({
            "type": "user",
            "user": {
                "id": "user_simulator", "email": "person@example.com", "name": "A person",
                "created_at": unix(record.created), "role": "member",
            },
        }),
    };
    let shown = json!({
        "object": "organization.project.api_key", "id": record.id, "name": record.name,
        "redacted_value": redacted(&record.secret), "created_at": unix(record.created),
        "last_used_at": record.last_used.map(unix), "owner": owner,
        "owner_project_access": owner_access(openai, record),
    });
    with_expiry(shown, call, record)
}

/// August's answers know no `expires_at`.
fn with_expiry(mut shown: Value, call: &Call, record: &Record<ProjectKey>) -> Value {
    if since_november(call) {
        shown["expires_at"] = json!(record.expires.map(unix));
    }
    shown
}

fn owner_access(openai: &OpenAi, record: &Record<ProjectKey>) -> &'static str {
    match &record.more.owner {
        Owner::Person => "active",
        Owner::Account(id) => match openai.accounts.iter().find(|account| account.id == *id) {
            Some(account) if account.role != "none" => "active",
            _ => "inactive",
        },
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn deleted(object: &str, id: &str) -> Answer {
    Answer::ok(json!({"object": object, "id": id, "deleted": true}))
}
