//! Every policy allows what it says, and nothing beside it: each is tried with tokens that have no other one.

use serde_json::{Value, json};

use super::{read, root};
use crate::support::case::Case;
use crate::support::server::{Stage, text};

/// Whether it is allowed; method, path and body. `{app-dev}` in a text stands for the id of a fresh lease of that role,
/// `{pool}` for that of a key that is lent, `{row}` for the id of a fresh key's row.
type Attempt = (bool, &'static str, &'static str, Value);

const YES: bool = true;
const NO: bool = false;
const NONE: Value = Value::Null;

/// What no policy here allows.
fn nobody() -> Vec<Attempt> {
    vec![
        (NO, "GET", "ai/creds/other", NONE),
        (NO, "GET", "ai/creds/app-dev/", NONE),
        (NO, "PUT", "sys/policies/acl/app-dev", json!({"policy": ""})),
        (NO, "POST", "sys/leases/revoke-force/ai/creds/app-dev", NONE),
        (NO, "POST", "sys/leases/revoke", json!({"lease_id": "auth/token/create/x"})),
        (NO, "DELETE", "sys/mounts/ai", NONE),
    ]
}

fn static_role() -> Value {
    let mut role = Case::named("openai").role("openai");
    role["rotation_period"] = "720h".into();
    role
}

fn admin() -> Vec<Attempt> {
    vec![
        (
            YES,
            "POST",
            "ai/config/other",
            json!({"provider": "litellm", "api_url": "http://127.0.0.1:1", "master_key": "sk-x", "verify": false}),
        ),
        (YES, "GET", "ai/config/openai", NONE),
        (YES, "GET", "ai/config/openai/check", NONE),
        (YES, "LIST", "ai/config", NONE),
        (YES, "POST", "ai/roles/new", Case::named("openai").role("openai")),
        (YES, "POST", "ai/roles/new", json!({"ttl": "5m"})),
        (YES, "GET", "ai/roles/new", NONE),
        (YES, "LIST", "ai/roles", NONE),
        (YES, "DELETE", "ai/roles/new", NONE),
        (YES, "POST", "ai/static-roles/new", static_role()),
        (YES, "GET", "ai/static-roles/new", NONE),
        (YES, "POST", "ai/rotate-role/new", json!({})),
        (NO, "GET", "ai/static-creds/new", NONE),
        (YES, "DELETE", "ai/static-roles/new", NONE),
        (YES, "POST", "ai/config/openai/rotate-root", json!({})),
        (YES, "POST", "ai/library/new", json!({"ttl": "5m"})),
        (YES, "GET", "ai/library/new", NONE),
        (YES, "LIST", "ai/library", NONE),
        (YES, "POST", "ai/library/new/keys/one", json!({"api_key": "gsk_new"})),
        (YES, "LIST", "ai/library/new/keys", NONE),
        (YES, "GET", "ai/library/new/status", NONE),
        (NO, "POST", "ai/library/new/check-out", json!({})),
        (NO, "POST", "ai/library/manage/pool/check-in", json!({})),
        (YES, "DELETE", "ai/library/new/keys/one", NONE),
        (YES, "DELETE", "ai/library/new", NONE),
        (YES, "GET", "ai/keys/{row}", NONE),
        (YES, "LIST", "ai/keys", NONE),
        (NO, "DELETE", "ai/keys/{row}", NONE),
        (YES, "LIST", "ai/providers", NONE),
        (YES, "GET", "ai/providers/openai", NONE),
        (YES, "GET", "ai/info", NONE),
        (YES, "POST", "ai/tidy", json!({"delete": true, "config": "openai"})),
        (YES, "POST", "ai/identity/config", json!({"issuer": "https://vault.example.com/v1/ai"})),
        (YES, "GET", "ai/identity/config", NONE),
        (YES, "GET", "ai/identity/keys", NONE),
        (YES, "POST", "ai/identity/rotate", json!({})),
        (YES, "DELETE", "ai/identity/keys/none", NONE),
        (YES, "GET", "sys/mounts/ai/tune", NONE),
        (YES, "POST", "sys/mounts/ai/tune", json!({"audit_non_hmac_response_keys": ["key_id", "key_name"]})),
        (YES, "POST", "sys/mounts/ai/tune", json!({"default_lease_ttl": "10m", "max_lease_ttl": "4h"})),
        (NO, "POST", "sys/mounts/ai/tune", json!({"audit_non_hmac_response_keys": ["key_id", "key_name", "api_key"]})),
        (NO, "POST", "sys/mounts/ai/tune", json!({"audit_non_hmac_response_keys": "api_key"})),
        (NO, "POST", "sys/mounts/ai/tune", json!({"audit_non_hmac_request_keys": ["admin_key"]})),
        (NO, "POST", "sys/mounts/ai/tune", json!({"passthrough_request_headers": ["Authorization"]})),
        (NO, "POST", "sys/mounts/ai/tune", json!({"listing_visibility": "unauth"})),
        (YES, "DELETE", "ai/config/other", NONE),
        (NO, "GET", "ai/creds/app-dev", NONE),
        (NO, "POST", "ai/creds/app-dev", json!({"ttl": "5m"})),
        (NO, "POST", "sys/leases/revoke", json!({"lease_id": "{app-dev}"})),
        (NO, "POST", "sys/mounts/ai2", json!({"type": "kv"})),
    ]
}

fn app_dev() -> Vec<Attempt> {
    let mut attempts = vec![
        (YES, "GET", "ai/creds/app-dev", NONE),
        (YES, "GET", "ai/creds/app-dev?ttl=5m", NONE),
        (YES, "GET", "ai/creds/app-dev?ttl=1h", NONE),
        (NO, "GET", "ai/creds/app-dev?ttl=300s", NONE),
        (NO, "GET", "ai/creds/app-dev?ttl=2h", NONE),
        (NO, "GET", "ai/creds/app-dev?ttl=5m&mode=x", NONE),
        (NO, "POST", "ai/creds/app-dev", json!({"ttl": "5m"})),
        (NO, "GET", "ai/creds/app-prod", NONE),
    ];
    attempts.extend(own_leases(["{app-dev}", "{app-prod}"]));
    attempts
}

fn app_staging() -> Vec<Attempt> {
    let mut attempts = vec![
        (YES, "GET", "ai/creds/app-staging?ttl=15m", NONE),
        (NO, "GET", "ai/creds/app-staging", NONE),
        (NO, "GET", "ai/creds/app-staging?ttl=2h", NONE),
        (NO, "GET", "ai/creds/app-staging?ttl=15m&mode=x", NONE),
        (NO, "GET", "ai/creds/app-dev", NONE),
    ];
    attempts.extend(own_leases(["{app-staging}", "{app-dev}"]));
    attempts
}

fn app_prod() -> Vec<Attempt> {
    let mut attempts = vec![
        (YES, "GET", "ai/creds/app-prod", NONE),
        (NO, "GET", "ai/creds/app-prod?ttl=5m", NONE),
        (NO, "GET", "ai/creds/app-prod?mode=x", NONE),
        (NO, "GET", "ai/creds/app-prod/", NONE),
        (NO, "GET", "ai/creds/app-staging?ttl=15m", NONE),
    ];
    attempts.extend(own_leases(["{app-prod}", "{app-dev}"]));
    attempts
}

fn app_legacy() -> Vec<Attempt> {
    vec![
        (YES, "GET", "ai/static-creds/app-legacy", NONE),
        (NO, "GET", "ai/static-creds/app-legacy?ttl=5m", NONE),
        (NO, "GET", "ai/static-creds/app-legacy/", NONE),
        (NO, "GET", "ai/static-creds/other", NONE),
        (NO, "GET", "ai/static-roles/app-legacy", NONE),
        (NO, "POST", "ai/rotate-role/app-legacy", json!({})),
        (NO, "GET", "ai/creds/app-dev", NONE),
        (NO, "LIST", "ai/keys", NONE),
    ]
}

/// What each application may do with its own lease, and not with another's.
fn own_leases([own, other]: [&'static str; 2]) -> Vec<Attempt> {
    vec![
        (YES, "PUT", "sys/leases/renew", json!({"lease_id": own, "increment": 600})),
        (YES, "PUT", "sys/leases/renew", json!({"lease_id": own})),
        (YES, "PUT", "sys/leases/lookup", json!({"lease_id": own})),
        (YES, "PUT", "sys/leases/revoke", json!({"lease_id": own})),
        (YES, "PUT", "sys/leases/revoke", json!({"lease_id": own, "sync": true})),
        (NO, "PUT", "sys/leases/renew", json!({"lease_id": other})),
        (NO, "PUT", "sys/leases/lookup", json!({"lease_id": other})),
        (NO, "PUT", "sys/leases/revoke", json!({"lease_id": other})),
        (NO, "LIST", "sys/leases/lookup/ai/creds/app-dev", NONE),
        (NO, "POST", "sys/leases/revoke-prefix/ai/creds/app-dev", NONE),
        (NO, "GET", "ai/info", NONE),
        (NO, "LIST", "ai/keys", NONE),
        (NO, "GET", "ai/roles/app-dev", NONE),
        (NO, "GET", "ai/config/openai", NONE),
        (NO, "POST", "ai/tidy", NONE),
    ]
}

fn on_call() -> Vec<Attempt> {
    vec![
        (YES, "GET", "ai/keys/{row}", NONE),
        (YES, "LIST", "ai/keys", NONE),
        (YES, "DELETE", "ai/keys/{row}", NONE),
        // As the file says: the server does not look at the parameters of a delete.
        (YES, "DELETE", "ai/keys/{row}?force=true", NONE),
        (YES, "GET", "ai/info", NONE),
        (YES, "POST", "ai/tidy", NONE),
        (YES, "POST", "ai/tidy", json!({"config": "openai", "delete": false})),
        (YES, "POST", "ai/tidy", json!({"delete": "false"})),
        (NO, "POST", "ai/tidy", json!({"delete": true})),
        (NO, "POST", "ai/tidy", json!({"delete": "true"})),
        (NO, "POST", "ai/tidy", json!({"delete": 1})),
        (YES, "GET", "ai/library/pool/status", NONE),
        (YES, "POST", "ai/library/manage/pool/check-in", json!({"key_ids": ["one"]})),
        (NO, "POST", "ai/library/pool/check-in", json!({})),
        (NO, "POST", "ai/library/pool/check-out", json!({})),
        (NO, "POST", "ai/library/pool/keys/one", json!({})),
        (YES, "POST", "ai/rotate-role/app-legacy", json!({"overlap": "0s"})),
        (YES, "POST", "ai/config/openai/rotate-root", json!({})),
        (YES, "GET", "ai/static-roles/app-legacy", NONE),
        (YES, "LIST", "ai/static-roles", NONE),
        (NO, "GET", "ai/static-creds/app-legacy", NONE),
        (NO, "POST", "ai/static-roles/app-legacy", json!({"overlap": "1m"})),
        (NO, "DELETE", "ai/static-roles/app-legacy", NONE),
        (YES, "LIST", "sys/leases/lookup/ai/creds/app-dev", NONE),
        (YES, "LIST", "sys/leases/lookup/ai/library/pool/check-out", NONE),
        (YES, "PUT", "sys/leases/revoke", json!({"lease_id": "{pool}", "sync": true})),
        (NO, "LIST", "sys/leases/lookup/auth/token/create", NONE),
        (YES, "PUT", "sys/leases/lookup", json!({"lease_id": "{app-prod}"})),
        (YES, "PUT", "sys/leases/revoke", json!({"lease_id": "{app-prod}", "sync": true})),
        (YES, "PUT", "sys/leases/revoke-prefix/ai/creds/app-dev", json!({"sync": true})),
        (NO, "PUT", "sys/leases/revoke-prefix/ai/creds", json!({"sync": true})),
        (NO, "PUT", "sys/leases/revoke-prefix/auth", NONE),
        (NO, "PUT", "sys/leases/renew", json!({"lease_id": "{app-prod}"})),
        (NO, "GET", "ai/creds/app-dev", NONE),
        (NO, "GET", "ai/config/openai", NONE),
        (NO, "POST", "ai/config/openai", json!({"verify": false})),
        (NO, "POST", "ai/roles/app-dev", json!({"ttl": "5m"})),
    ]
}

fn metrics() -> Vec<Attempt> {
    vec![
        (YES, "GET", "sys/metrics", NONE),
        (YES, "GET", "sys/metrics?format=prometheus", NONE),
        (YES, "GET", "ai/info", NONE),
        (NO, "LIST", "ai/keys", NONE),
        (NO, "GET", "ai/creds/app-dev", NONE),
        (NO, "GET", "ai/config/openai", NONE),
        (NO, "GET", "sys/mounts", NONE),
    ]
}

#[tokio::test]
async fn every_policy_allows_what_it_says_and_nothing_beside_it() {
    let policies: [(&str, Vec<Attempt>); 7] = [
        ("admin", admin()),
        ("app-dev", app_dev()),
        ("app-legacy", app_legacy()),
        ("app-prod", app_prod()),
        ("app-staging", app_staging()),
        ("metrics", metrics()),
        ("on-call", on_call()),
    ];
    let mut stored: Vec<String> = std::fs::read_dir(root().join("vault-dev/policies"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    stored.sort();
    assert_eq!(stored, policies.each_ref().map(|(name, _)| format!("{name}.hcl")), "every file is tried");

    let stage = stage().await;
    let mut wrong = Vec::new();
    for (name, attempts) in policies {
        let token = token(&stage, name, true).await;
        for attempt in attempts.into_iter().chain(nobody()) {
            wrong.extend(tried(&stage, &token, attempt).await.map(|answer| format!("{name}: {answer}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// As most tokens are: with the default policy beside their own. What a policy pins stays pinned.
#[tokio::test]
async fn an_application_with_the_default_policy_too_renews_its_token_and_its_own_leases_only() {
    let stage = stage().await;
    let token = token(&stage, "app-dev", false).await;
    for (allowed, path, body) in [
        (YES, "auth/token/renew-self", NONE),
        (YES, "sys/leases/renew", json!({"lease_id": "{app-dev}", "increment": 60})),
        (YES, "sys/leases/lookup", json!({"lease_id": "{app-dev}"})),
        (NO, "sys/leases/renew", json!({"lease_id": "{app-prod}"})),
        (NO, "sys/renew", json!({"lease_id": "{app-prod}"})),
        (NO, "sys/leases/lookup", json!({"lease_id": "{app-prod}"})),
    ] {
        assert_eq!(tried(&stage, &token, (allowed, "PUT", path, body)).await, None);
    }
}

/// A server with an account and a role for each application, and one more.
async fn stage() -> Stage {
    // That of the file: without it there is no format=prometheus.
    let settings = read("vault-dev/server/dev.hcl");
    let telemetry = settings.find("telemetry {").expect("in the file");
    let stage = Stage::with_settings(&settings[telemetry..]).await;
    let case = Case::named("openai");
    stage.server.write("ai/config/openai", case.config(&stage.simulator.url)).await;
    for role in ["app-dev", "app-staging", "app-prod", "other"] {
        let mut body = case.role("openai");
        body["ttl"] = "10m".into();
        body["max_ttl"] = "4h".into();
        stage.server.write(&format!("ai/roles/{role}"), body).await;
    }
    stage.server.write("ai/static-roles/app-legacy", static_role()).await;
    stage.server.write("ai/library/pool", json!({"ttl": "10m"})).await;
    stage.server.write("ai/library/pool/keys/one", json!({"api_key": "gsk_pool"})).await;
    stage.server.write("ai/library/pool/check-out", json!({})).await;
    stage
}

/// A token with a policy of vault-dev/policies, with the default one beside it or alone.
async fn token(stage: &Stage, name: &str, alone: bool) -> String {
    let policy = read(&format!("vault-dev/policies/{name}.hcl"));
    stage.server.write(&format!("sys/policies/acl/{name}"), json!({"policy": policy})).await;
    let made = stage.server.write("auth/token/create", json!({"policies": [name], "no_default_policy": alone})).await;
    made["auth"]["client_token"].as_str().expect("a token").to_owned()
}

/// What was answered, if it is not what was expected.
async fn tried(stage: &Stage, token: &str, (allowed, method, path, body): Attempt) -> Option<String> {
    let (path, body) = filled(stage, path, &body).await;
    let reply = stage.server.send(method, &path, token, &[], (!body.is_null()).then(|| body.clone())).await;
    let as_expected = if allowed { (200..300).contains(&reply.status) } else { reply.status == 403 };
    (!as_expected).then(|| format!("{method} {path} {body}: {} {}", reply.status, reply.body))
}

async fn filled(stage: &Stage, path: &str, body: &Value) -> (String, Value) {
    let (mut path, mut body) = (path.to_owned(), body.to_string());
    for role in ["app-dev", "app-staging", "app-prod"] {
        let mark = format!("{{{role}}}");
        if body.contains(&mark) {
            let lease = stage.server.read(&format!("ai/creds/{role}")).await;
            body = body.replace(&mark, lease["lease_id"].as_str().expect("an id"));
        }
    }
    if body.contains("{pool}") {
        let lease = stage.server.write("ai/library/pool/check-out", json!({})).await;
        body = body.replace("{pool}", lease["lease_id"].as_str().expect("an id"));
    }
    if path.contains("{row}") {
        let lease = stage.server.read("ai/creds/app-dev").await;
        // The last part of the key's name is the id of its row.
        let id = text(&lease, "key_name").rsplit('-').next().expect("a part").to_owned();
        path = path.replace("{row}", &id);
    }
    (path, serde_json::from_str(&body).expect("JSON"))
}
