//! OpenAI's service accounts and project keys, in both generations of the admin API.

use serde_json::{Value, json};

use crate::book::{Record, random};
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

pub struct Account {
    pub project: String,
    pub role: &'static str,
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
    let project = &openai.active_project(call)?.id;
    page(call, &openai.accounts, false, |record| record.more.project == *project, show_account)
}

/// The call of old: by default it also makes a key, which no scope can narrow.
pub fn create_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    let project = openai.active_project(call)?.id.clone();
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
    let account = Account { project, role };
    let account = openai.accounts.add(Record::new(&random("svc_acct_"), &text(&body, "name"), "", call.at, account));
    let mut shown = show_account(account);
    shown["api_key"] = match account_only {
        true => Value::Null,
        false => {
            let mut key = key_of(account, "Secret Key", call.at);
            key.expires = expires;
            show_new_key(call, openai.keys.add(key))
        }
    };
    Ok(Answer::ok(shown))
}

pub fn get_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    account(openai, call).map(|account| Answer::ok(show_account(account)))
}

pub fn update_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    account(openai, call)?;
    let body = body(call, &[optional("name", NAME), optional("role", Kind::OneOf(&["member", "owner"]))])?;
    let account = openai.accounts.get_mut(call.param(1)).ok_or_else(|| not_found("service account", call.param(1)))?;
    if body.contains_key("name") {
        account.name = Some(text(&body, "name"));
    }
    match body.get("role").and_then(Value::as_str) {
        Some("owner") => account.more.role = "owner",
        Some(_) => account.more.role = "member",
        None => {}
    }
    Ok(Answer::ok(show_account(account)))
}

pub fn delete_account(openai: &mut OpenAi, call: &Call) -> Outcome {
    let id = account(openai, call)?.id.clone();
    remove_account(openai, &id, call.at);
    Ok(deleted("organization.project.service_account.deleted", &id))
}

pub fn create_account_key(openai: &mut OpenAi, call: &Call) -> Outcome {
    let account = account(openai, call)?;
    let name = optional("name", NAME);
    let known: &[Field] = if since_november(call) { &[name, SCOPES, EXPIRES_IN_OR_NULL] } else { &[name, SCOPES] };
    let body = body(call, known)?;
    let name = body.get("name").and_then(Value::as_str).unwrap_or("Secret Key");
    let mut key = key_of(account, name, call.at);
    key.expires = expiry(&body, call.at);
    key.more.scopes = texts(body.get(SCOPES.name));
    Ok(Answer::ok(show_new_key(call, openai.keys.add(key))))
}

pub fn list_keys(openai: &mut OpenAi, call: &Call) -> Outcome {
    let project = &openai.project(call)?.id;
    let query = call.checked_query(&[ACCESS]).map_err(refuse)?;
    // Left out, the vendor's "membership-based visibility" hides some enabled keys: here those of owners without a role.
    let access = query.get(ACCESS.name).and_then(Value::as_str).unwrap_or("active");
    let visible = |record: &Record<ProjectKey>| access == "any" || access == owner_access(openai, record);
    let wanted = |record: &Record<ProjectKey>| record.more.project == *project && visible(record);
    page(call, &openai.keys, false, wanted, |record| show_key(openai, call, record))
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
    let owner = Owner::Account(id.to_owned());
    openai.keys.delete_where(at, |record| record.more.owner == owner);
    openai.accounts.delete(id, at)
}

fn account<'a>(openai: &'a OpenAi, call: &Call) -> Result<&'a Record<Account>, Answer> {
    let project = openai.active_project(call)?;
    let found = openai.accounts.get(call.param(1)).filter(|record| record.more.project == project.id);
    found.ok_or_else(|| not_found("service account", call.param(1)))
}

fn project_key<'a>(openai: &'a OpenAi, call: &Call) -> Result<&'a Record<ProjectKey>, Answer> {
    let project = openai.project(call)?;
    let found = openai.keys.get(call.param(1)).filter(|record| record.more.project == project.id);
    found.ok_or_else(|| not_found("API key", call.param(1)))
}

fn key_of(account: &Record<Account>, name: &str, at: Moment) -> Record<ProjectKey> {
    let owner = Owner::Account(account.id.clone());
    let key = ProjectKey { project: account.more.project.clone(), owner, scopes: Vec::new() };
    Record::new(&random("key_"), name, &random("sk-svcacct-"), at, key)
}

fn show_account(record: &Record<Account>) -> Value {
    json!({
        "object": "organization.project.service_account", "id": record.id, "name": record.name,
        "role": record.more.role, "created_at": unix(record.created),
    })
}

/// The only answer that has the secret in it.
fn show_new_key(call: &Call, record: &Record<ProjectKey>) -> Value {
    let shown = json!({
        "object": "organization.project.service_account.api_key", "id": record.id, "name": record.name,
        "created_at": unix(record.created), "value": record.secret,
    });
    with_expiry(shown, call, record)
}

fn show_key(openai: &OpenAi, call: &Call, record: &Record<ProjectKey>) -> Value {
    let owner = match &record.more.owner {
        Owner::Account(id) => {
            let account = openai.accounts.get(id).map(|account| {
                let (name, role) = (&account.name, account.more.role);
                json!({"id": id, "name": name, "created_at": unix(account.created), "role": role})
            });
            json!({"type": "service_account", "service_account": account})
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
    let has_role = match &record.more.owner {
        Owner::Person => true,
        Owner::Account(id) => openai.accounts.get(id).is_some_and(|account| account.more.role != "none"),
    };
    if has_role { "active" } else { "inactive" }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn deleted(object: &str, id: &str) -> Answer {
    Answer::ok(json!({"object": object, "id": id, "deleted": true}))
}
