//! README.md, docs/ and vault-dev/README.md are what the plugin does: their tables are made from what the vendors
//! declare, and the commands in their ```console blocks are run on a real server, with the vendor simulator in the
//! vendors' place.
//! `UPDATE_DOCS=1 cargo test --features test-build --test it docs` writes tables and outputs anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use self::console::Console;
use crate::support::case::Case;
use crate::support::node::free_ports;
use crate::support::server::{Server, Stage};
use crate::support::simulator::Simulator;

mod clients;
mod console;
mod redact;
mod tables;

const README: &str = "README.md";
const QUICKSTART: &str = "docs/quickstart.md";
const USAGE: &str = "docs/usage.md";
const LEASES: &str = "docs/leases.md";
const SECURITY: &str = "docs/security.md";
const IDENTITY: &str = "docs/identity.md";
const FEDERATION: &str = "docs/federation.md";
const OAUTH2: &str = "docs/oauth2.md";
const ROTATION: &str = "docs/rotation.md";
const LIBRARY: &str = "docs/library.md";
const AGENT: &str = "docs/agent.md";
const KUBERNETES: &str = "docs/kubernetes.md";
const VENDORS: &str = "docs/vendors.md";
const REFERENCE: &str = "docs/vendors-reference.md";
const DEFINITIONS: &str = "docs/definitions.md";
const UPGRADING: &str = "docs/upgrading.md";
const CLIENTS: &str = "docs/clients/README.md";
const VAULT_DEV: &str = "vault-dev/README.md";

#[tokio::test]
async fn the_readme_is_true() {
    // It registers the plugin by itself.
    check(README, Stage { server: Server::start().await, simulator: Simulator::start() }).await;
}

#[tokio::test]
async fn the_page_on_usage_is_true() {
    check(USAGE, Stage::new().await).await;
}

#[tokio::test]
async fn the_page_on_leases_is_true() {
    check(LEASES, with_a_role().await).await;
}

#[tokio::test]
async fn the_page_on_security_is_true() {
    check(SECURITY, with_a_role().await).await;
}

#[tokio::test]
async fn the_page_on_the_issuer_is_true() {
    check(IDENTITY, Stage::new().await).await;
}

#[tokio::test]
async fn the_page_on_federation_is_true() {
    let stage = Stage::new().await;
    stage.server.write("ai/identity/config", json!({"issuer": "https://vault.example.com/v1/ai"})).await;
    let uuid = stage.server.read("ai/identity/config").await["data"]["mount_uuid"].as_str().expect("a UUID").to_owned();
    let jwks = stage.server.read("ai/identity/keys").await["data"]["jwks"].clone();
    // What a reader does in the vendor's settings.
    for (policy, subject, scope) in [("1", "support", "inference"), ("2", "config:keyless", "management")] {
        let policy = json!({
            "vendor": "openrouter", "id": format!("4b2f7d1e-8c3a-4e5f-9a6b-00000000000{policy}"), "jwks": jwks,
            "issuer": "https://vault.example.com/v1/ai", "audience": format!("{}/openrouter/api/v1", stage.simulator.url),
            "subject": format!("{uuid}:{subject}"), "scope": scope,
        });
        stage.simulator.control("federation", policy).await;
    }
    check(FEDERATION, stage).await;
}

#[tokio::test]
async fn the_page_on_oauth2_is_true() {
    check(OAUTH2, Stage::new().await).await;
}

#[tokio::test]
async fn the_page_on_rotation_is_true() {
    check(ROTATION, with_a_role().await).await;
}

#[tokio::test]
async fn the_page_on_the_library_is_true() {
    check(LIBRARY, Stage::new().await).await;
}

#[tokio::test]
async fn the_page_on_kubernetes_is_true() {
    check(KUBERNETES, with_a_role().await).await;
}

#[tokio::test]
async fn the_page_on_vendors_is_true() {
    check(VENDORS, Stage::new().await).await;
}

#[tokio::test]
async fn the_reference_of_vendors_is_true() {
    check(REFERENCE, Stage::new().await).await;
}

#[tokio::test]
async fn the_page_on_definitions_is_true() {
    let stage = Stage::new().await;
    check_in(Console::starting_in(&root(), &stage), DEFINITIONS).await;
}

#[tokio::test]
async fn the_page_on_upgrading_is_true() {
    check(UPGRADING, with_a_role().await).await;
}

#[tokio::test]
async fn the_page_on_clients_is_true() {
    // Its commands start where a reader has the samples.
    let stage = with_a_role().await;
    let console = Console::starting_in(&root(), &stage);
    check_in(console, CLIENTS).await;
    clients::assert_no_key("the server's log", &stage.server.log());
}

#[tokio::test]
async fn the_quick_start_of_ten_minutes_is_true() {
    let home = tempfile::tempdir().expect("a folder");
    check_in(Console::of_a_newcomer(&root(), home.path(), free_ports(3)), QUICKSTART).await;
}

#[tokio::test]
async fn the_page_on_agents_is_true() {
    let stage = with_a_role().await;
    check_in(Console::starting_in(&root(), &stage), AGENT).await;
}

#[tokio::test]
async fn the_page_on_vault_dev_is_true() {
    let stage = with_a_role().await;
    check_in(Console::starting_in(&root(), &stage), VAULT_DEV).await;
}

#[test]
fn every_page_is_checked_and_every_link_leads_somewhere() {
    let pages = [
        README,
        QUICKSTART,
        USAGE,
        LEASES,
        SECURITY,
        IDENTITY,
        FEDERATION,
        OAUTH2,
        ROTATION,
        LIBRARY,
        AGENT,
        KUBERNETES,
        VENDORS,
        REFERENCE,
        DEFINITIONS,
        UPGRADING,
        CLIENTS,
        VAULT_DEV,
    ];
    // Figures are of one machine and one day: `scripts/bench` prints them, no test does.
    let figures = ["docs/benchmarks.md"];
    // What the samples import: `scripts/test-deps` installs it.
    let manifests =
        ["package.json", "package-lock.json", "requirements.txt"].map(|name| format!("docs/clients/{name}"));
    let samples = clients::SAMPLES.map(|sample| sample.file);
    let definitions = ["keys", "tokens"].map(|name| format!("docs/definitions/acme-{name}.json"));
    let checked = pages.iter().chain(&figures).chain(&samples).filter(|file| file.starts_with("docs/"));
    let checked: BTreeSet<String> =
        checked.map(|file| (*file).to_owned()).chain(manifests).chain(definitions).collect();
    assert_eq!(files("docs"), checked);
    let mut dead = Vec::new();
    for page in pages.iter().chain(&figures).chain(&["CHANGELOG.md"]) {
        let text = read(page);
        let links = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
        for link in links.filter(|link| !link.contains("://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { root().join(page) } else { root().join(page).with_file_name("").join(file) };
            let anchors = std::fs::read_to_string(&target).map(|text| anchors(&text));
            if !target.exists() || !anchor.is_empty() && !anchors.is_ok_and(|anchors| anchors.contains(anchor)) {
                dead.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// Every file below a folder of the checkout, but for what a package manager has put there.
fn files(folder: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("a name in ASCII");
        let path = format!("{folder}/{name}");
        if !entry.path().is_dir() {
            found.insert(path);
        } else if name != "node_modules" {
            found.extend(files(&path));
        }
    }
    found
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        text.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    headings.map(anchor).collect()
}

/// A server with `config/openai` and `roles/dev`, as the README's quick start leaves it.
async fn with_a_role() -> Stage {
    let stage = Stage::new().await;
    let case = Case::named("openai");
    stage.server.write("ai/config/openai", case.config(&stage.simulator.url)).await;
    let mut role = case.role("openai");
    role["ttl"] = json!("10m");
    role["max_ttl"] = json!("1h");
    stage.server.write("ai/roles/dev", role).await;
    stage
}

/// Fails where a page is not what its tables and commands give, or writes it anew.
async fn check(page: &str, stage: Stage) {
    check_in(Console::new(&stage), page).await;
}

async fn check_in(mut console: Console, page: &str) {
    let stored = read(page);
    let fresh = tables::fill(&stored).await;
    let fresh = console.run_page(&fresh);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(page), &fresh).expect("the page is written");
        return;
    }
    let differing = stored.lines().zip(fresh.lines()).position(|(stored, fresh)| stored != fresh);
    let at = differing.unwrap_or_else(|| stored.lines().count().min(fresh.lines().count()));
    assert!(
        stored == fresh,
        "{page} differs at line {}:\n  stored: {}\n  true:   {}\nUPDATE_DOCS=1 cargo test --features test-build --test it docs writes it anew",
        at + 1,
        stored.lines().nth(at).unwrap_or("(nothing)"),
        fresh.lines().nth(at).unwrap_or("(nothing)"),
    );
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
