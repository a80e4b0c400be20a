//! `roles/<name>`: what a key may do and how long it lives.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::accounts::Account;
use super::keys::naming;
use super::lease_limits::LeaseLimits;
use super::mount::AiMount;
use super::{config, record, vendors};
use crate::form;
use crate::framework::{Call, ListArgs, Path, page};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::{About, Expiry, Purpose, Source};
use crate::schema::{Change, Field, Invalid, Name, Values, format_duration};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("roles/", "List the roles.").on(Operation::List, "List the roles.", list),
        Path::new("roles/{name}", "Manage a role.")
            .describe(
                "A role says what a key of an account may do and how long it lives; creds/<role> makes such keys.\nDeleting a role makes no more keys; leases that live are revoked as ever and cannot be renewed.",
            )
            .fields(|| vendors::all_fields(scope_fields))
            .write("Write a role.", exists, write)
            .on(Operation::Patch, "Change some fields of a role; null clears one.", write)
            .on(Operation::Read, "Read a role.", read)
            .on(Operation::Delete, "Delete a role.", delete),
    ]
}

/// `roles/<name>` in storage.
#[derive(Clone, Serialize, Deserialize)]
pub struct Role {
    pub config: String,
    /// The vendor whose fields `scope` holds. Another vendor would not know its limits.
    pub provider: String,
    /// Seconds.
    pub ttl: Option<u64>,
    /// Seconds.
    pub max_ttl: Option<u64>,
    pub name_template: Option<String>,
    /// The vendor's fields.
    pub scope: Object,
}

impl Role {
    /// Of a new role.
    const NO_LIMITS: LeaseLimits =
        LeaseLimits { ttl: None, max_ttl: None, called: ["the role's ttl", "the role's max_ttl"] };

    pub fn limits(&self) -> LeaseLimits {
        let [ttl, max_ttl] = [self.ttl, self.max_ttl].map(|seconds| seconds.map(Duration::from_secs));
        LeaseLimits { ttl, max_ttl, ..Self::NO_LIMITS }
    }
}

form! {
    /// Fields of every role.
    pub struct RoleArgs {
        /// Name of the role.
        name: Name,
        /// Name of the account (config/<name>) whose keys this role makes. Required when the role is made.
        config: Change<Name>,
        /// Life of a lease.
        #[default("1h, or less where the mount or max_ttl say so")]
        ttl: Change<Duration>,
        /// Longest life of a lease, renewals included.
        #[default("the mount's max_lease_ttl")]
        max_ttl: Change<Duration>,
        /// Middle part of a key's name at the vendor, with {{role}}, {{display_name}}, {{entity_name}} or {{entity_id}}.
        #[default("{{role}}")]
        name_template: Change<String>,
    }
}

form! {
    /// The name alone.
    pub struct RoleName {
        /// Name of the role.
        name: Name,
    }
}

pub fn scope_fields(about: &About) -> &Vec<Field> {
    &about.scope
}

pub fn role_key(name: &str) -> String {
    format!("roles/{name}")
}

async fn exists(mount: Arc<AiMount>, values: Values) -> Result<bool> {
    let name = values.need("name")?;
    Ok(mount.storage.get(&role_key(name)).await?.is_some())
}

async fn list(mount: Arc<AiMount>, arguments: ListArgs, _: Call) -> Result<Response> {
    Ok(Response::list(page(mount.storage.as_ref(), "roles/", &arguments).await?, Object::new()))
}

async fn read(mount: Arc<AiMount>, arguments: RoleName, _: Call) -> Result<Response> {
    let Some(role) = record::get::<Role>(mount.storage.as_ref(), &role_key(&arguments.name.0)).await? else {
        return Ok(Response::default());
    };
    let mut data = role.scope;
    data.insert("config".into(), role.config.into());
    data.insert("provider".into(), role.provider.into());
    data.insert("ttl".into(), json!(role.ttl.unwrap_or(0)));
    data.insert("max_ttl".into(), json!(role.max_ttl.unwrap_or(0)));
    data.insert("name_template".into(), json!(role.name_template.as_deref().unwrap_or(naming::DEFAULT_TEMPLATE)));
    Ok(Response::data(data))
}

async fn write(mount: Arc<AiMount>, arguments: RoleArgs, call: Call) -> Result<Response> {
    let name = arguments.name.0;
    let _lock = mount.role_locks.write(&name).await;
    let stored = record::get::<Role>(mount.storage.as_ref(), &role_key(&name)).await?;
    if stored.is_none() && call.request.operation == Operation::Patch {
        return Err(Error::NotFound(format!("role {name:?} does not exist")));
    }
    let account = allowed_account(&mount, &name, arguments.config, stored.as_ref().map(|role| &role.config)).await?;
    let about = account.vendor.about();
    if !about.can.purposes.contains(&Purpose::Lease) {
        let problem = match about.can.purposes.contains(&Purpose::Static) {
            true => format!("is an account at {}, whose keys are not leased: see static-roles/", about.title),
            false => format!("is an account at {}, whose API makes no keys: see library/", about.title),
        };
        return Err(Invalid::new("config", problem).into());
    }
    let limits = stored.as_ref().map_or(Role::NO_LIMITS, Role::limits).changed(arguments.ttl, arguments.max_ttl)?;
    let name_template = stored.as_ref().and_then(|role| role.name_template.clone());
    let scoped = stored.as_ref().map(|role| (role.provider.as_str(), &role.scope));
    let (scope, ignored) = scope(&account, scoped, &call.more)?;
    let role = Role {
        scope,
        config: account.name.clone(),
        provider: account.config.provider.clone(),
        ttl: limits.ttl.map(|ttl| ttl.as_secs()),
        max_ttl: limits.max_ttl.map(|max_ttl| max_ttl.as_secs()),
        name_template: arguments.name_template.apply(name_template).filter(|template| !template.is_empty()),
    };
    if let Some(template) = &role.name_template {
        naming::check_template(template)?;
    }
    let warnings = lease_warnings(&mount, &account, &role).await;
    record::put(mount.storage.as_ref(), role_key(&name), &role, false).await?;
    Ok(Response::default().with_warnings(ignored).with_warnings(warnings))
}

async fn delete(mount: Arc<AiMount>, arguments: RoleName, _: Call) -> Result<Response> {
    let _lock = mount.role_locks.write(&arguments.name.0).await;
    mount.storage.delete(&role_key(&arguments.name.0)).await?;
    Ok(Response::default())
}

/// The account that a role names, or goes on naming, where that lets the role use it.
pub async fn allowed_account(
    mount: &AiMount,
    role: &str,
    change: Change<Name>,
    stored: Option<&String>,
) -> Result<Arc<Account>> {
    let config_name = match (change, stored) {
        (Change::Set(config), _) => config.0,
        (Change::Keep, Some(stored)) => stored.clone(),
        _ => return Err(Invalid::new("config", "is required: the name of an account written to config/<name>").into()),
    };
    let account = mount
        .accounts
        .current(mount.storage.as_ref(), &config_name)
        .await?
        .ok_or_else(|| Invalid::new("config", format!("config {config_name:?} does not exist: write it first")))?;
    if !config::allows(&account.config, role) {
        return Err(not_allowed(&config_name, role));
    }
    Ok(account)
}

/// The stored scope with the change over it, as the vendor takes it, and a warning about fields that nobody knows.
/// `stored` is a scope and the vendor whose it is; another vendor's fields are dropped.
pub fn scope(account: &Account, stored: Option<(&str, &Object)>, sent: &Object) -> Result<(Object, Option<String>)> {
    let fields = &account.vendor.about().scope;
    let (sent, ignored) = vendors::own_fields(account.vendor.as_ref(), scope_fields, sent)?;
    let before = stored.filter(|(provider, _)| *provider == account.config.provider);
    // Another definition may not know all that was stored under the one before.
    let before = before.map(|(_, scope)| Values::from(scope.clone()).only(fields)).unwrap_or_default();
    let scope = before.merged(&sent);
    scope.check_required(fields)?;
    Ok((account.vendor.scope(&account.parsed, &scope)?.0.to_object(), ignored))
}

pub fn not_allowed(config: &str, role: &str) -> Error {
    Error::Denied(format!("config {config:?} does not allow role {role:?}: see its allowed_roles"))
}

/// A role may ask for more than the mount gives, and its leases are capped then; or leave the safety net wide open.
async fn lease_warnings(mount: &AiMount, account: &Account, role: &Role) -> Vec<String> {
    let mut warnings = role.limits().warnings(mount).await;
    let can = &account.vendor.about().can;
    // A token ends with its first lease.
    if let (Expiry::Fixed(_), None) = (can.expiry, role.max_ttl)
        && can.source != Source::Token
        && let Ok(limit) = mount.system.max_lease_ttl().await
    {
        warnings.push(format!(
            "without max_ttl a key that cannot be revoked lives for the mount's max_lease_ttl of {}: the vendor cannot move its expiry",
            format_duration(limit)
        ));
    }
    warnings
}
