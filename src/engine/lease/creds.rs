//! `creds/<role>`: a new key as a lease. The order of steps is what makes that no key is lost; see src/lib.rs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::super::accounts::Account;
use super::super::identity::AssertionSigner;
use super::super::keys::ledger::{Row, RowKind, State};
use super::super::keys::{Asked, Mint, check_plain, naming};
use super::super::mount::AiMount;
use super::super::roles::{Role, not_allowed, role_key};
use super::super::step::step;
use super::super::{config, record};
use super::internal::Internal;
use super::life::Life;
use crate::base::rfc3339;
use crate::form;
use crate::framework::{Call, Path};
use crate::logical::{Error, Lease, Object, Operation, Request, Response, Result};
use crate::providers::{End, Issued, Purpose, Source};
use crate::schema::{Name, Values};

/// The answer's field that holds the key.
pub const API_KEY: &str = "api_key";

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("creds/{role}", "Create an API key for a role.")
            .describe(
                "Creates an API key at the role's vendor, with the role's scope, as a lease: renewing the lease extends the key,\nrevoking it deletes the key at the vendor. A request can ask for a ttl of its own, up to the\nrole's max_ttl, or up to its ttl where it has no max_ttl.",
            )
            .on(Operation::Read, "Create an API key.", creds)
            .on(Operation::Update, "Create an API key with a ttl of its own.", creds),
    ]
}

form! {
    /// A request for a key.
    pub struct CredsArgs {
        /// Name of the role.
        role: Name,
        /// Life of this lease, in place of the role's ttl; at most the role's max_ttl, or its ttl where it has none.
        ttl: Option<Duration>,
    }
}

async fn creds(mount: Arc<AiMount>, arguments: CredsArgs, call: Call) -> Result<Response> {
    // Before role, cache or limit is looked at: a standby's may be old.
    mount.must_write().await?;
    let role_name = arguments.role.0;
    let role = record::get::<Role>(mount.storage.as_ref(), &role_key(&role_name))
        .await?
        .ok_or_else(|| Error::Invalid(format!("role {role_name:?} does not exist")))?;
    // Held until the row is stored: whoever retires this generation sees the row.
    let config_lock = mount.config_locks.read(&role.config).await;
    let account = mount
        .accounts
        .current(mount.storage.as_ref(), &role.config)
        .await?
        .ok_or_else(|| Error::Invalid(format!("config {:?} of role {role_name:?} does not exist", role.config)))?;
    if !config::allows(&account.config, &role_name) {
        return Err(not_allowed(&role.config, &role_name));
    }
    if account.config.provider != role.provider {
        return Err(Error::Invalid(format!(
            "role {role_name:?} was written for provider {}, and config {:?} is {} now: write the role again",
            role.provider, role.config, account.config.provider
        )));
    }
    // The account may have changed since the role was written.
    let scope = account.vendor.scope(&account.parsed, &Values::from(role.scope.clone()))?;
    let can = &account.vendor.about().can;
    let mut life = Life::of(&mount, can.source, can.expiry, &role.limits(), arguments.ttl).await?;
    let row = new_row(&mount, &account, &role_name, &role, &life, &call.request).await?;
    let mut mint = Mint::start(&mount, row).await?;
    drop(config_lock);
    let token = mint.row.kind == RowKind::Token;
    // A token is the caller's. A key is made by the account, whose token is held for all roles: no role's name is in it.
    let signer = match token {
        true => AssertionSigner::for_role(&*mount, &role_name, &call.request),
        false => account.signer(&mount),
    };
    let asked = Asked { purpose: Purpose::Lease, scope: &scope, until: life.until, keeps: None };
    let issued = mint.issue(&account, &signer, asked).await?;
    if !token {
        mint.row.state = State::Live;
        mint.row.print = Some(issued.secret.print());
    }
    let granted = match check_plain(&issued) {
        Ok(()) => life.granted(&mount, issued.expires, &account.vendor.about().can).await,
        refused => refused,
    };
    // What is stored says already when a token ends, unless the vendor had it live longer.
    let told = token && life.end <= mint.row.deadline;
    mint.row.deadline = life.end;
    let stored = match granted {
        Err(error) => Err(error),
        Ok(()) if mount.running.draining() => {
            Err(Error::Unavailable("this mount is being disabled: the key was deleted again".into()))
        }
        Ok(()) if told => Ok(()),
        Ok(()) => mount.ledger.put(&mint.row).await,
    };
    if let Err(error) = stored {
        mint.undo(&account, &issued.secret).await;
        return Err(error);
    }
    step("mint.after-live").await;
    answer(&account, &mint.row, issued, life)
}

async fn new_row(
    mount: &AiMount,
    account: &Account,
    role_name: &str,
    role: &Role,
    life: &Life,
    request: &Request,
) -> Result<Row> {
    let template = role.name_template.as_deref().unwrap_or(naming::DEFAULT_TEMPLATE);
    let entity = if template.contains("entity_name") {
        mount.system.entity(&request.entity_id).await?.unwrap_or_default()
    } else {
        Default::default()
    };
    let values = BTreeMap::from([
        ("role", role_name),
        ("display_name", request.display_name.as_str()),
        ("entity_name", entity.name.as_str()),
        ("entity_id", request.entity_id.as_str()),
    ]);
    let (kind, state) = match account.vendor.about().can.source {
        Source::Token => (RowKind::Token, State::Expiring),
        Source::Create | Source::Slots(_) | Source::Activate => (RowKind::Lease, State::Minting),
    };
    let id = naming::new_id(mount.rng.as_ref());
    let middle = naming::fill(template, &values);
    let name = naming::name(&mount.tag, &middle, &id, account.vendor.about().name_limit).0;
    let row = Row::new(id, kind, account.id(), mount.clock.now()).asked_by(request);
    Ok(Row { state, role: role_name.to_owned(), name, deadline: life.end, vendor_expiry: life.until, ..row })
}

fn answer(account: &Account, row: &Row, issued: Issued, life: Life) -> Result<Response> {
    let about = account.vendor.about();
    let revocable = account.vendor.ends(&account.parsed) != End::Expires;
    let mut data = Object::new();
    for (name, value) in [
        (API_KEY, json!(issued.secret.expose())),
        ("key_id", json!(issued.key.id)),
        ("key_name", json!(row.name)),
        ("provider", json!(about.name)),
        ("base_url", json!(account.parsed.client_url)),
        ("expires_at", json!(rfc3339(life.end))),
        ("revocable", json!(revocable)),
    ] {
        data.insert(name.into(), value);
    }
    for (name, part) in &issued.parts {
        data.insert(name.clone(), part.expose().into());
    }
    if !issued.headers.is_empty() {
        data.insert("headers".into(), json!(issued.headers));
    }
    let lease = Lease {
        ttl: life.ttl,
        max_ttl: life.max_ttl,
        renewable: about.can.source != Source::Token,
        internal: Internal::of(row, issued.key.into()).object()?,
        ..Lease::default()
    };
    let response = Response { lease: Some(lease), ..Response::data(data) };
    Ok(response.with_warnings(life.warnings).with_warnings(issued.warnings))
}
