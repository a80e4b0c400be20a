//! Tables that are made from what the vendors and the paths declare: `<!-- generated: NAME -->` up to `<!-- end -->`.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::Operation;
use vault_plugin_secrets_ai::providers::{self, About, Expiry, Find, Purpose, Source};
use vault_plugin_secrets_ai::schema::{Field, Kind, format_duration};

use crate::support::bench::{Bench, Mounted};

/// The page with its tables made anew.
pub async fn fill(text: &str) -> String {
    let mount = Bench::new().mount().await;
    let mut fresh = String::new();
    let mut skipping = false;
    for line in text.lines() {
        skipping &= line != "<!-- end -->";
        if !skipping {
            fresh.push_str(line);
            fresh.push('\n');
        }
        if let Some(name) = line.strip_prefix("<!-- generated: ").and_then(|rest| rest.strip_suffix(" -->")) {
            fresh.push_str(&table(&mount, name).await);
            skipping = true;
        }
    }
    assert!(!skipping, "a generated part has no end");
    fresh
}

async fn table(mount: &Mounted, name: &str) -> String {
    let words: Vec<&str> = name.split(' ').collect();
    let about = |name: &str| {
        let vendor = providers::all().find(|vendor| vendor.about().name == name);
        vendor.unwrap_or_else(|| panic!("no vendor {name}")).about()
    };
    match words[..] {
        ["vendors"] => vendors(mount).await,
        ["expiry"] => expiry(mount).await,
        ["facts", vendor] => facts(mount, about(vendor)).await,
        ["others"] => others(mount).await,
        ["config", vendor] => of_fields(&about(vendor).account),
        ["role", vendor] => of_fields(&about(vendor).scope),
        ["file", path] => format!("```json\n{}```\n", super::read(path)),
        ["fields", path] => common_fields(mount, path).await,
        _ => panic!("nothing generates {name:?}"),
    }
}

/// One line a vendor, in the words of `providers/`.
async fn vendors(mount: &Mounted) -> String {
    let mut text = String::from(
        "| vendor | `provider=` | handed out by | limits per key | expiry at the vendor | revoked | lost keys found | credential rotated | not used yet |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for vendor in providers::all() {
        let data = described(mount, vendor.about()).await;
        text.push_str(&format!(
            "| {} | `{}` | {} | {} | {} | {} | {} | {} | {} |\n",
            data["title"].as_str().expect("a title"),
            data["name"].as_str().expect("a name"),
            list(&data["paths"]),
            list(&data["limits"]),
            data["vendor_expiry"]["kind"].as_str().expect("text"),
            if data["revocable"] == true { data["revoke"].as_str().expect("text") } else { "no: ends by its expiry" },
            match vendor.about().can.find {
                Find::ByName { .. } | Find::ByOurId => "yes",
                Find::Unneeded => "none get lost",
                Find::Never => "no",
            },
            match data["rotate_root"].as_str().expect("text") {
                text if text.starts_with("by config") => "by itself",
                text => text,
            },
            list(&data["unused"]),
        ));
    }
    text
}

/// A section for each vendor that docs/vendors.md has none of.
async fn others(mount: &Mounted) -> String {
    let told = super::read(super::VENDORS);
    let mut text = String::new();
    for vendor in providers::all() {
        let about = vendor.about();
        if told.contains(&format!("<!-- generated: facts {} -->", about.name)) {
            continue;
        }
        text.push_str(&format!("\n## {}\n\n`provider={}`\n\n", about.title, about.name));
        text.push_str(&facts(mount, about).await);
        text.push_str(&format!("\n{}", of_fields(&about.account)));
        if !about.scope.is_empty() {
            text.push_str(&format!("\nFields of a role:\n\n{}", of_fields(&about.scope)));
        }
    }
    text.push('\n');
    text
}

/// When each vendor ends a key by itself.
async fn expiry(mount: &Mounted) -> String {
    let mut text = String::from("| vendor | expiry at the vendor | without Vault a key ends |\n|---|---|---|\n");
    for vendor in providers::all().filter(|vendor| vendor.about().can.purposes.contains(&Purpose::Lease)) {
        let data = described(mount, vendor.about()).await;
        let ends = match vendor.about().can.expiry {
            Expiry::Never => "never",
            // A token is made for as long as its lease.
            _ if vendor.about().can.source == Source::Token => "at the end of its lease",
            Expiry::Fixed(_) => "one hour after the lease's `max_ttl`",
            Expiry::Movable(_) => "one hour after the end of its lease, as last renewed",
        };
        let kind = data["vendor_expiry"]["kind"].as_str().expect("text");
        text.push_str(&format!("| {} | {kind} | {ends} |\n", data["title"].as_str().expect("a title")));
    }
    text
}

/// What one vendor declares, a line each.
async fn facts(mount: &Mounted, about: &About) -> String {
    let data = described(mount, about).await;
    let mut text = String::new();
    let expiry = &data["vendor_expiry"];
    let mut expires = expiry["kind"].as_str().expect("text").to_owned();
    let token = about.can.source == Source::Token;
    let life = |bound: &str| format_duration(Duration::from_secs(expiry[bound].as_u64().expect("a bound")));
    match expiry["longest"].as_u64() {
        Some(_) if token => expires.push_str(&format!(", {} to {} ahead", life("shortest"), life("longest"))),
        Some(_) => expires.push_str(&format!(", at most {} ahead", life("longest"))),
        None => {}
    }
    for (what, value) in [
        ("Handed out by", list(&data["paths"])),
        ("How a key is made", data["create"].as_str().expect("text").to_owned()),
        ("How it is revoked", data["revoke"].as_str().expect("text").to_owned()),
        ("How soon it is refused then", data["revocation_speed"].as_str().expect("text").to_owned()),
        ("Expiry at the vendor", expires),
        ("Outcome of a request whose answer was lost", data["unknown_outcome"].as_str().expect("text").to_owned()),
        ("Renewal", data["renew"].as_str().expect("text").to_owned()),
        (
            "Rotation of the account's credential",
            data["rotate_root"]
                .as_str()
                .expect("text")
                .replace("config/<name>/rotate-root", "`config/<name>/rotate-root`"),
        ),
        ("Proof of a static role's new key", data["static_key_proof"].as_str().expect("text").to_owned()),
        ("What can be limited per key", none_or(list(&data["limits"]))),
        ("What its API has and this engine does not use", none_or(list(&data["unused"]))),
        ("Longest name of a key", format!("{} characters", about.name_limit)),
    ] {
        if what.starts_with("Proof") && !about.can.purposes.contains(&Purpose::Static) {
            continue;
        }
        // Nobody but the ledger has a token's name, and the vendor's own rule what it may do.
        if token && (what.starts_with("Longest") || value.is_empty()) {
            continue;
        }
        text.push_str(&format!("- {what}: {}\n", sentence(&value)));
    }
    text.push_str("\nWhat is not proven:\n\n");
    for unproven in data["unproven"].as_array().expect("a list") {
        text.push_str(&format!("- {}\n", unproven.as_str().expect("text")));
    }
    text
}

async fn described(mount: &Mounted, about: &About) -> Value {
    json!(mount.read(&format!("providers/{}", about.name)).await.expect("a vendor").data.expect("data"))
}

fn none_or(list: String) -> String {
    if list.is_empty() { "nothing".into() } else { list }
}

fn of_fields(fields: &[Field]) -> String {
    let rows = fields.iter().map(|field| {
        let default = field.default.as_deref().map(str::to_owned);
        let default = if field.required { Some("required".to_owned()) } else { default };
        let kind = match &field.kind {
            Kind::Choice(choices) => format!("`{}`", choices.join("`, `")),
            kind => kind.label().to_owned(),
        };
        row(&field.name, &kind, default.as_deref().unwrap_or(""), &field.help)
    });
    HEAD.to_owned() + &rows.collect::<String>()
}

/// A path's fields that are no vendor's, out of its help.
async fn common_fields(mount: &Mounted, path: &str) -> String {
    let help = mount.send(Operation::Help, path, Value::Null).await.expect("help").data.expect("data");
    let help = help["help"].as_str().expect("text");
    let (_, parameters) = help.split_once("## PARAMETERS\n\n").expect("parameters");
    let (parameters, _) = parameters.split_once("\n## ").unwrap_or((parameters, ""));
    let of_vendors: Vec<&str> = providers::all()
        .flat_map(|vendor| vendor.about().account.iter().chain(&vendor.about().scope))
        .map(|field| field.name.as_ref())
        .collect();
    let mut text = HEAD.to_owned();
    let mut lines = parameters.lines();
    while let (Some(first), Some(help)) = (lines.next(), lines.next()) {
        let (name, notes) = first.trim().split_once(" (").expect("notes");
        let (kind, default) = notes.trim_end_matches(')').split_once(", ").unwrap_or((notes.trim_end_matches(')'), ""));
        // The name is in the path.
        if name != "name" && !of_vendors.contains(&name) {
            text.push_str(&row(name, kind, default.trim_start_matches("default: "), help.trim()));
        }
    }
    text
}

const HEAD: &str = "| field | kind | default | meaning |\n|---|---|---|---|\n";

fn row(name: &str, kind: &str, default: &str, help: &str) -> String {
    let [kind, help] = [kind, help].map(|text| text.replace('|', "\\|"));
    format!("| `{name}` | {kind} | {default} | {help} |\n")
}

fn list(values: &Value) -> String {
    values.as_array().expect("a list").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// With a full stop.
fn sentence(text: &str) -> String {
    format!("{}.", uncapitalized(text.trim_end_matches('.')))
}

/// A sentence as a part of another.
fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}
