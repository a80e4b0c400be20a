//! `providers/`: what each vendor can and cannot do, from its own declaration.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::mount::AiMount;
use crate::form;
use crate::framework::{Call, ListArgs, Path};
use crate::logical::{Error, Object, Operation, Response, Result};
use crate::providers::{self, Abilities, About, CUSTOM, End, Expiry, Find, Purpose, Source};
use crate::schema::{Field, Kind, Name, format_duration};

pub fn paths() -> Vec<Path<AiMount>> {
    vec![
        Path::new("providers/", "List the AI vendors.").on(Operation::List, "List the AI vendors.", list),
        Path::new("providers/{name}", "What a vendor can do.")
            .describe("Says how a vendor's keys are made, ended and found, what limits a key can have, which fields its configs and\nroles take, and what is not proven about it.")
            .on(Operation::Read, "Read what a vendor can do.", read),
    ]
}

form! {
    /// The name alone.
    pub struct ProviderName {
        /// Name of the vendor, as in config's provider.
        name: Name,
    }
}

async fn list(_: Arc<AiMount>, arguments: ListArgs, _: Call) -> Result<Response> {
    let limit = arguments.limit().unwrap_or(usize::MAX);
    let after = arguments.after.unwrap_or_default();
    let all = providers::all().map(|vendor| vendor.about()).chain([providers::custom()]);
    let mut names: Vec<String> = all.map(|about| about.name.to_string()).collect();
    names.sort();
    Ok(Response::list(names.into_iter().filter(|name| *name > after).take(limit).collect(), Object::new()))
}

async fn read(_: Arc<AiMount>, arguments: ProviderName, _: Call) -> Result<Response> {
    let name = arguments.name.0;
    if name == CUSTOM {
        return Ok(Response::data(shown(providers::custom())));
    }
    let vendor =
        providers::by_name(&name).ok_or_else(|| Error::NotFound(format!("no provider {name:?}: see providers/")))?;
    Ok(Response::data(shown(vendor.about())))
}

fn shown(about: &About) -> Object {
    let can = &about.can;
    let mut data = Object::new();
    for (name, value) in [
        ("name", json!(about.name)),
        ("title", json!(about.title)),
        ("paths", json!(handed_out_by(can))),
        ("create", json!(source(can.source))),
        ("revoke", json!(end(can.end))),
        ("revocable", json!(can.end != End::Expires)),
        ("revocation_speed", json!(about.revocation)),
        ("unknown_outcome", json!(find(can.find))),
        ("vendor_expiry", expiry(can.expiry)),
        ("renew", json!(renew(can))),
        ("list", json!(matches!(can.find, Find::ByName { .. } | Find::ByOurId))),
        ("rotate_root", json!(rotate_root(about))),
        ("static_key_proof", json!(static_key_proof(can))),
        ("limits", json!(can.limits)),
        ("unused", json!(can.unused)),
        ("config_fields", fields(&about.account)),
        ("role_fields", fields(&about.scope)),
        ("unproven", json!(about.unproven)),
    ] {
        data.insert(name.into(), value);
    }
    data
}

/// Which paths hand out its keys.
fn handed_out_by(can: &Abilities) -> Vec<&'static str> {
    let of = |purpose: Purpose, path| can.purposes.contains(&purpose).then_some(path);
    let lent = (can.source == Source::Activate).then_some("library");
    [of(Purpose::Lease, "creds"), of(Purpose::Static, "static-creds"), lent].into_iter().flatten().collect()
}

fn source(source: Source) -> String {
    match source {
        Source::Create => "a key is created by the vendor's API".into(),
        Source::Token => "a token is exchanged or signed".into(),
        Source::Slots(slots) => format!("one of {slots} fixed slots is regenerated"),
        Source::Activate => "an existing key is switched on".into(),
    }
}

const fn end(end: End) -> &'static str {
    match end {
        End::Delete => "deleted by its id",
        End::BySecret => "revoked by its own value",
        End::Deactivate => "switched off",
        End::Regenerate => "replaced by a value that nobody is told",
        End::Expires => "not possible: it ends by its expiry",
    }
}

/// How an account's credential is replaced.
fn rotate_root(about: &About) -> &'static str {
    if about.can.purposes.contains(&Purpose::Admin) {
        "by config/<name>/rotate-root"
    } else if about.account.iter().any(|field| field.kind == Kind::Secret) {
        "by hand"
    } else {
        "none is stored"
    }
}

/// How it is seen that a vendor takes a static role's new key, before that is served.
fn static_key_proof(can: &Abilities) -> &'static str {
    match (can.purposes.contains(&Purpose::Static), can.tries_keys) {
        (false, _) => "there are no static keys",
        (true, true) => "asked with the key itself",
        (true, false) => "it is given a minute",
    }
}

const fn renew(can: &Abilities) -> &'static str {
    match (can.source, can.expiry) {
        (Source::Token, _) => "not possible: each read is a new token",
        (_, Expiry::Movable(_)) => "moves the key's expiry at the vendor",
        (_, Expiry::Fixed(_)) => "as far as the expiry that the key was made with",
        (_, Expiry::Never) => "up to max_ttl; the vendor knows nothing of it",
    }
}

fn find(find: Find) -> String {
    match find {
        Find::ByName { lag } if lag.is_zero() => "settled by listing the vendor's keys".into(),
        Find::ByName { lag } => {
            format!("settled by listing the vendor's keys, which may lag by {}", format_duration(lag))
        }
        Find::ByOurId => "settled by the id or value that we chose".into(),
        Find::Unneeded => "need not be settled: a value whose answer was lost is with nobody".into(),
        Find::Never => "cannot be settled before the vendor's expiry".into(),
    }
}

fn expiry(expiry: Expiry) -> Value {
    let kind = match expiry {
        Expiry::Never => "none",
        Expiry::Fixed(_) => "fixed when the key is made",
        Expiry::Movable(_) => "moves with renewals",
    };
    let limits = expiry.limits();
    json!({
        "kind": kind,
        "shortest": limits.map(|limits| limits.shortest.as_secs()),
        "longest": limits.map(|limits| limits.longest.as_secs()),
    })
}

fn fields(fields: &[Field]) -> Value {
    let shown = |field: &Field| {
        let mut shown = json!({"help": field.help, "type": field.kind.label(), "required": field.required});
        if let Some(default) = &field.default {
            shown["default"] = json!(default);
        }
        if let Kind::Choice(choices) = &field.kind {
            shown["choices"] = json!(choices[..]);
        }
        (field.name.to_string(), shown)
    };
    fields.iter().map(shown).collect::<Object>().into()
}
