//! OpenAI: the organization, its projects and its admin keys. Service accounts and project keys are in `openai_keys.rs`.

use serde_json::{Map, Value, json};

use crate::book::{Book, Record, random};
use crate::clock::{Generation, Moment, unix};
use crate::federation::Federation;
use crate::fields::{self, Field, Kind, NAME, Problem, Unknown, Wrong, optional, required};
use crate::inference;
use crate::openai_federation as federation;
use crate::openai_keys::{self as keys, Account, Owner, ProjectKey};
use crate::request::{Body, Call, Request};
use crate::router::{self, Access, Answer, Found, Outcome, Route, Seen, Vendor, admin, key, open};

pub const PREFIX: &str = "/openai/v1";
pub const EXPIRES_IN: Field = optional("expires_in_seconds", Kind::Whole(1, 31_536_000));
const LIMIT: Field = optional("limit", Kind::Whole(1, 100));
const ORDER: Field = optional("order", Kind::OneOf(&["asc", "desc"]));
const INCLUDE_ARCHIVED: Field = optional("include_archived", Kind::Flag);
const MODELS: &[&str] = &["gpt-4o", "gpt-4o-mini", "gpt-5", "gpt-5-mini", "text-embedding-3-small"];
/// The vendor's list of scopes is not published. A simulator rule: a restricted key may complete with one of these.
const COMPLETION_SCOPES: &[&str] = &["api.all", "api.all.read", "api.model.request", "model.request"];
const FILE_SCOPES: &[&str] = &["api.all", "api.all.read", "api.files.read", "api.files.write"];
const NEEDS_MODEL: &str = "model.request";
const NEEDS_ADMIN: &str = "api.management.read";

const ROUTES: &[Route<OpenAi>] = &[
    admin("GET", "/organization/projects", OpenAi::list_projects),
    admin("POST", "/organization/projects", OpenAi::create_project),
    admin("GET", "/organization/projects/{project_id}", OpenAi::get_project),
    admin("POST", "/organization/projects/{project_id}/archive", OpenAi::archive_project),
    admin("GET", "/organization/projects/{project_id}/service_accounts", keys::list_accounts),
    admin("POST", "/organization/projects/{project_id}/service_accounts", keys::create_account),
    admin("GET", "/organization/projects/{project_id}/service_accounts/{service_account_id}", keys::get_account),
    admin("POST", "/organization/projects/{project_id}/service_accounts/{service_account_id}", keys::update_account),
    admin("DELETE", "/organization/projects/{project_id}/service_accounts/{service_account_id}", keys::delete_account),
    admin(
        "POST",
        "/organization/projects/{project_id}/service_accounts/{service_account_id}/api_keys",
        keys::create_account_key,
    ),
    admin("GET", "/organization/projects/{project_id}/api_keys", keys::list_keys),
    admin("GET", "/organization/projects/{project_id}/api_keys/{api_key_id}", keys::get_key),
    admin("POST", "/organization/projects/{project_id}/api_keys/{api_key_id}", keys::update_key),
    admin("DELETE", "/organization/projects/{project_id}/api_keys/{api_key_id}", keys::delete_key),
    admin("GET", "/organization/admin_api_keys", OpenAi::list_admin_keys),
    admin("POST", "/organization/admin_api_keys", OpenAi::create_admin_key),
    admin("GET", "/organization/admin_api_keys/{key_id}", OpenAi::get_admin_key),
    admin("DELETE", "/organization/admin_api_keys/{key_id}", OpenAi::delete_admin_key),
    admin("POST", "/organization/workload_identity_providers", federation::create_provider),
    admin("POST", "/organization/workload_identity_providers/{provider_id}", federation::update_provider),
    admin("POST", "/organization/workload_identity_providers/{provider_id}/federation_rules", federation::create_rule),
    open("POST", "/oauth/token", federation::exchange),
    key("POST", "/chat/completions", OpenAi::complete),
    key("GET", "/models", OpenAi::models),
    key("GET", "/files", OpenAi::files),
];

pub struct OpenAi {
    projects: Book<Project>,
    pub accounts: Book<Account>,
    pub keys: Book<ProjectKey>,
    admin_keys: Book<()>,
    pub providers: Vec<federation::Provider>,
    pub federation: Federation,
}

#[derive(Default)]
pub struct Project {
    archived: Option<i64>,
}

impl OpenAi {
    pub fn seeded(admin_secret: &str, at: Moment) -> Self {
        let mut openai = Self {
            projects: Book::default(),
            accounts: Book::default(),
            keys: Book::default(),
            admin_keys: Book::default(),
            providers: Vec::new(),
            federation: Federation::default(),
        };
        for (id, name) in [("proj_sim1", "Simulated one"), ("proj_sim2", "Simulated two")] {
            openai.projects.seed(Record::new(id, name, "", at, Project::default()));
        }
        for (id, project, role) in [
            ("svc_sim1", "proj_sim1", "member"),
            ("svc_sim_idle", "proj_sim1", "none"),
            ("svc_sim2", "proj_sim2", "member"),
        ] {
            openai.accounts.seed(Record::new(id, "seeded", "", at, Account { project: project.into(), role }));
        }
        let person = ProjectKey { project: "proj_sim2".into(), owner: Owner::Person, scopes: Vec::new() };
        openai.keys.seed(Record::new("key_sim_person", "a person's own key", &random("sk-proj-"), at, person));
        openai.admin_keys.seed(Record::new("key_sim_admin", "seeded", admin_secret, at, ()));
        openai
    }

    /// A project that exists, archived or not.
    pub fn project(&self, call: &Call) -> Result<&Record<Project>, Answer> {
        self.projects.get(call.param(0)).ok_or_else(|| not_found("project", call.param(0)))
    }

    pub fn active_project(&self, call: &Call) -> Result<&Record<Project>, Answer> {
        let project = self.project(call)?;
        match project.more.archived {
            None => Ok(project),
            Some(_) => {
                Err(error(400, "The project is archived: archived projects have no service accounts.", None, None))
            }
        }
    }

    fn list_projects(&mut self, call: &Call) -> Outcome {
        let query = call.checked_query(&[INCLUDE_ARCHIVED]).map_err(refuse)?;
        let archived_too = query.get("include_archived") == Some(&Value::Bool(true));
        page(call, &self.projects, false, |record| archived_too || record.more.archived.is_none(), show_project)
    }

    fn create_project(&mut self, call: &Call) -> Outcome {
        let body = body(call, &[required("name", NAME)])?;
        let project = Record::new(&random("proj_"), &text(&body, "name"), "", call.at, Project::default());
        Ok(Answer::ok(show_project(self.projects.add(project))))
    }

    fn get_project(&mut self, call: &Call) -> Outcome {
        self.project(call).map(|project| Answer::ok(show_project(project)))
    }

    /// An archived project has no service accounts, and so no keys of theirs either.
    fn archive_project(&mut self, call: &Call) -> Outcome {
        let id = self.project(call)?.id.clone();
        self.accounts.delete_where(call.at, |record| record.more.project == id);
        self.keys.delete_where(call.at, |record| record.more.project == id);
        let project = self.projects.get_mut(&id).ok_or_else(|| not_found("project", &id))?;
        project.more.archived.get_or_insert(call.at.ms);
        Ok(Answer::ok(show_project(project)))
    }

    fn list_admin_keys(&mut self, call: &Call) -> Outcome {
        let query = call.checked_query(&[ORDER]).map_err(refuse)?;
        let descending = query.get(ORDER.name).and_then(Value::as_str) == Some("desc");
        page(call, &self.admin_keys, descending, |_| true, show_admin_key)
    }

    fn create_admin_key(&mut self, call: &Call) -> Outcome {
        let body = body(call, &[required("name", NAME), EXPIRES_IN])?;
        let mut record = Record::new(&random("key_"), &text(&body, "name"), &random("sk-admin-"), call.at, ());
        record.expires = expiry(&body, call.at);
        let record = self.admin_keys.add(record);
        let mut shown = show_admin_key(record);
        shown["value"] = json!(record.secret);
        Ok(Answer::ok(shown))
    }

    fn get_admin_key(&mut self, call: &Call) -> Outcome {
        let found = self.admin_keys.get(call.param(0)).ok_or_else(|| not_found("admin API key", call.param(0)))?;
        Ok(Answer::ok(show_admin_key(found)))
    }

    fn delete_admin_key(&mut self, call: &Call) -> Outcome {
        let id = call.param(0);
        if !self.admin_keys.delete(id, call.at) {
            return Err(not_found("admin API key", id));
        }
        Ok(Answer::ok(json!({"id": id, "object": "organization.admin_api_key.deleted", "deleted": true})))
    }

    fn models(&mut self, call: &Call) -> Outcome {
        self.caller(call)?;
        Ok(Answer::ok(inference::models(MODELS, "openai", call.at)))
    }

    fn files(&mut self, call: &Call) -> Outcome {
        let scopes = &self.caller(call)?.more.scopes;
        if !scopes.is_empty() && !scopes.iter().any(|scope| FILE_SCOPES.contains(&scope.as_str())) {
            return Err(missing_scope("api.files.read"));
        }
        Ok(Answer::ok(json!({"object": "list", "data": [], "has_more": false})))
    }

    fn complete(&mut self, call: &Call) -> Outcome {
        let scopes = match self.federation.holder(secret(call)?, call.at) {
            Some(token) => token.scope.split_whitespace().map(str::to_owned).collect(),
            None => {
                let caller = self.caller(call)?;
                caller.last_used = Some(call.at.ms);
                caller.more.scopes.clone()
            }
        };
        if !scopes.is_empty() && !scopes.iter().any(|scope| COMPLETION_SCOPES.contains(&scope.as_str())) {
            return Err(missing_scope(NEEDS_MODEL));
        }
        let model = inference::asked_model(call).map_err(refuse)?;
        if !MODELS.contains(&model) {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            return Err(error(404, &message, None, Some("model_not_found")));
        }
        Ok(Answer::ok(inference::completion(model, call.at)))
    }

    /// The project key that asks, as long as it works.
    fn caller(&mut self, call: &Call) -> Result<&mut Record<ProjectKey>, Answer> {
        let secret = secret(call)?;
        if self.admin_keys.holder(secret, call.at).is_some() {
            return Err(missing_scope(NEEDS_MODEL));
        }
        let holder = self.keys.holder(secret, call.at).filter(|record| !record.expired(call.at));
        holder.ok_or_else(|| wrong_key(secret))
    }

    fn admit(&mut self, call: &Call) -> Result<(), Answer> {
        let secret = secret(call)?;
        if let Some(record) = self.admin_keys.holder(secret, call.at).filter(|record| !record.expired(call.at)) {
            record.last_used = Some(call.at.ms);
            return Ok(());
        }
        match self.keys.holder(secret, call.at) {
            Some(record) if !record.expired(call.at) => Err(missing_scope(NEEDS_ADMIN)),
            _ => Err(wrong_key(secret)),
        }
    }
}

impl Vendor for OpenAi {
    fn seen(&self, method: &str, path: &str) -> Option<Seen> {
        router::seen(ROUTES, method, path)
    }

    fn respond(&mut self, request: &Request, path: &str, at: Moment) -> Answer {
        let segments = router::segments(path);
        let outcome = match router::find(ROUTES, &request.method, &segments) {
            Found::Route(route, params) => {
                let call = Call { request, params, at };
                let admitted = if route.access == Access::Admin { self.admit(&call) } else { Ok(()) };
                admitted.and_then(|()| (route.run)(self, &call))
            }
            Found::WrongMethod => Err(wrong_method(request)),
            Found::Nothing => Err(no_route(request)),
        };
        outcome.unwrap_or_else(|answer| answer)
    }

    fn refusal(&self, _: &str, status: u16, message: &str) -> Answer {
        let kind = if status == 429 { "rate_limit_exceeded" } else { "server_error" };
        envelope(status, message, kind, None, (status == 429).then_some("rate_limit_exceeded"))
    }

    fn snapshot(&mut self, at: Moment) -> Value {
        json!({
            "keys": self.keys.snapshot(at), "admin_keys": self.admin_keys.snapshot(at),
            "service_accounts": self.accounts.snapshot(at), "tokens": self.federation.snapshot(at),
        })
    }

    fn federation(&mut self) -> Option<&mut Federation> {
        Some(&mut self.federation)
    }

    fn examples(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("-federated", federation::example(url))]
    }

    fn delete_by_hand(&mut self, id: &str, at: Moment) -> bool {
        keys::remove_account(self, id, at) || self.keys.delete(id, at) || self.admin_keys.delete(id, at)
    }
}

/// A page in the vendor's envelope. A cursor stays good when its object has been deleted since.
pub fn page<D>(
    call: &Call,
    book: &Book<D>,
    descending: bool,
    wanted: impl Fn(&Record<D>) -> bool,
    show: impl Fn(&Record<D>) -> Value,
) -> Outcome {
    let query = call.checked_query(&[LIMIT]).map_err(refuse)?;
    let asked = query.get(LIMIT.name).and_then(Value::as_u64).unwrap_or(20);
    let limit = call.at.page_size(usize::try_from(asked).unwrap_or(usize::MAX));
    let mut items: Vec<_> = book.listed(call.at).filter(|record| wanted(record)).collect();
    if descending {
        items.reverse();
    }
    if let Some(after) = call.query("after") {
        let unknown = || error(400, "Invalid cursor.", Some("after"), Some("invalid_value"));
        let cursor = Some(book.place(after).ok_or_else(unknown)?);
        items.retain(|record| match descending {
            true => book.place(&record.id) < cursor,
            false => book.place(&record.id) > cursor,
        });
    }
    let shown = &items[..limit.min(items.len())];
    Ok(Answer::ok(json!({
        "object": "list",
        "data": shown.iter().map(|record| show(record)).collect::<Vec<_>>(),
        "first_id": shown.first().map(|record| &record.id),
        "last_id": shown.last().map(|record| &record.id),
        "has_more": items.len() > shown.len(),
    })))
}

/// The request's JSON object, checked; a field the vendor does not know is refused.
pub fn body(call: &Call, known: &[Field]) -> Result<Map<String, Value>, Answer> {
    let given = match &call.request.body {
        Body::Json(Value::Object(given)) => given.clone(),
        Body::None => Map::new(),
        Body::Malformed | Body::Form(_) | Body::Json(_) => {
            return Err(error(400, "We could not parse the JSON body of your request.", None, None));
        }
    };
    fields::check(&given, known, Unknown::Refuse).map_err(refuse)?;
    Ok(given)
}

pub fn text(body: &Map<String, Value>, name: &str) -> String {
    body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

pub fn expiry(body: &Map<String, Value>, at: Moment) -> Option<i64> {
    body.get(EXPIRES_IN.name).and_then(Value::as_i64).map(|seconds| at.after_seconds(seconds))
}

pub fn refuse(wrong: Wrong) -> Answer {
    let field = wrong.field;
    let (message, code) = match wrong.problem {
        Problem::Missing => (format!("Missing required parameter: '{field}'."), "missing_required_parameter"),
        Problem::Unknown => (format!("Unknown parameter: '{field}'."), "unknown_parameter"),
        Problem::Type { expected, got } => {
            (format!("Invalid type for '{field}': expected {expected}, but got {got} instead."), "invalid_type")
        }
        Problem::Below { least, got } => (
            format!(
                "Invalid '{field}': integer below minimum value. Expected a value >= {least}, but got {got} instead."
            ),
            "integer_below_min_value",
        ),
        Problem::Above { most, got } => (
            format!(
                "Invalid '{field}': integer above maximum value. Expected a value <= {most}, but got {got} instead."
            ),
            "integer_above_max_value",
        ),
        Problem::Short { least } => {
            (format!("Invalid '{field}': too short. Expected a length of at least {least}."), "string_below_min_length")
        }
        Problem::Long { most } => {
            (format!("Invalid '{field}': too long. Expected a length of at most {most}."), "string_above_max_length")
        }
        Problem::Choice { choices, got } => {
            (format!("Invalid value: '{got}'. Supported values are: '{}'.", choices.join("', '")), "invalid_value")
        }
    };
    error(400, &message, Some(&field), Some(code))
}

pub fn not_found(what: &str, id: &str) -> Answer {
    error(404, &format!("No {what} found with id '{id}'."), None, Some("not_found"))
}

pub fn error(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Answer {
    envelope(status, message, "invalid_request_error", param, code)
}

pub fn no_route(request: &Request) -> Answer {
    error(404, &format!("Invalid URL ({} {})", request.method, api_path(request)), None, None)
}

pub fn since_november(call: &Call) -> bool {
    call.at.settings.openai_generation == Generation::Nov
}

/// The vendor shows the ends of a secret, here and in its refusals.
pub fn redacted(secret: &str) -> String {
    let ends = |from, to| secret.get(from..to).unwrap_or_default();
    format!("{}{}{}", ends(0, 8.min(secret.len())), "*".repeat(10), ends(secret.len().saturating_sub(4), secret.len()))
}

fn wrong_method(request: &Request) -> Answer {
    let message = format!("Not allowed to {} on {}", request.method, api_path(request));
    error(405, &message, None, Some("method_not_supported"))
}

fn api_path(request: &Request) -> &str {
    request.path.strip_prefix("/openai").unwrap_or(&request.path)
}

fn secret<'a>(call: &Call<'a>) -> Result<&'a str, Answer> {
    let missing = "You didn't provide an API key. Provide it in an Authorization header using Bearer auth.";
    call.request.bearer.as_deref().ok_or_else(|| error(401, missing, None, None))
}

fn wrong_key(secret: &str) -> Answer {
    error(401, &format!("Incorrect API key provided: {}.", redacted(secret)), None, Some("invalid_api_key"))
}

fn missing_scope(scope: &str) -> Answer {
    error(401, &format!("You have insufficient permissions for this operation. Missing scopes: {scope}."), None, None)
}

fn envelope(status: u16, message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Answer {
    Answer::new(status, json!({"error": {"message": message, "type": kind, "param": param, "code": code}}))
}

fn show_project(record: &Record<Project>) -> Value {
    let archived = record.more.archived;
    json!({
        "id": record.id, "object": "organization.project", "name": record.name, "created_at": unix(record.created),
        "archived_at": archived.map(unix), "status": if archived.is_some() { "archived" } else { "active" },
    })
}

fn show_admin_key(record: &Record<()>) -> Value {
    json!({
        "object": "organization.admin_api_key", "id": record.id, "name": record.name,
        "redacted_value": redacted(&record.secret), "created_at": unix(record.created),
        "expires_at": record.expires.map(unix), "last_used_at": record.last_used.map(unix),
        "owner": {
            "type": "user", "object": "organization.user", "id": "user_simulator", "name": "Simulator",
            "created_at": unix(record.created), "role": "owner",
        },
    })
}
