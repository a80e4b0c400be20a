//! Strangers, hostile vendors, and secrets that must be seen nowhere.

use serde_json::{Value, json};

use crate::support::case::{CASES, Case};
use crate::support::server::{ROOT, Stage, text};
use crate::support::simulator::{LITELLM, OPENAI, OPENROUTER};

#[tokio::test]
async fn an_anonymous_client_makes_nothing_with_any_verb_body_or_path() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
    }
    let issuer = json!({"issuer": format!("{}/v1/ai", stage.server.url)});
    stage.server.write("ai/identity/config", issuer).await;
    let identity = async || {
        let [config, keys] = ["ai/identity/config", "ai/identity/keys"];
        (stage.server.read(config).await["data"].clone(), stage.server.read(keys).await["data"].clone())
    };
    let issuer_before = identity().await;
    let before = stage.simulator.state().await["requests"].clone();
    // These are for everybody to read, and for nothing else.
    let open = ["ai/.well-known/openid-configuration", "ai/.well-known/keys"];
    let paths = [
        "ai/creds/openai",
        "ai/creds/litellm",
        "ai/creds/openrouter",
        "ai/creds/openai/",
        "ai//creds/openai",
        "ai/config/openai",
        "ai/config/openai/check",
        "ai/roles/openai",
        "ai/roles/new",
        "ai/keys",
        "ai/keys/",
        "ai/tidy",
        "ai/info",
        "ai/providers/openai",
        "ai/",
        "ai",
        "ai/creds/../creds/openai",
        "ai/creds/%2e%2e/openai",
        "ai/identity/config",
        "ai/identity/keys",
        "ai/identity/keys/x",
        "ai/identity/rotate",
        "ai/identity/",
        "ai/.well-known",
        "ai/.well-known/",
        "ai/.well-known/keys/",
        "ai/.well-known/keys/x",
        "ai/.well-known/openid-configuration/",
        "ai/.well-known/../identity/keys",
        "ai/.well-known/%2e%2e/identity/keys",
        open[0],
        open[1],
    ];
    let bodies = [
        Value::Null,
        json!({}),
        json!({"ttl": "1h", "delete": true, "path": "creds/openai"}),
        json!([1, 2]),
        json!("text"),
    ];
    let verbs = ["GET", "POST", "PUT", "PATCH", "DELETE", "LIST", "HEAD", "SCAN", "OPTIONS", "BREW"];
    for path in paths {
        for verb in verbs {
            for token in ["", "not-a-token"] {
                for body in &bodies {
                    let body = (!body.is_null()).then(|| body.clone());
                    let headers =
                        if verb == "PATCH" { &[("Content-Type", "application/merge-patch+json")][..] } else { &[] };
                    let reply = stage.server.send(verb, path, token, headers, body).await;
                    match (verb, open.contains(&path)) {
                        ("GET", true) => assert_eq!(reply.status, 200, "{path}"),
                        ("OPTIONS", _) => {}
                        ("PATCH" | "POST" | "PUT" | "DELETE" | "HEAD", true) => {
                            assert!([400, 403, 405].contains(&reply.status), "{verb} {path}: {}", reply.status);
                        }
                        _ => assert!(reply.status >= 300, "{verb} {path}: {}", reply.status),
                    }
                }
            }
        }
    }
    let after = stage.simulator.state().await["requests"].clone();
    assert_eq!(before, after, "no vendor was asked anything");
    assert!(stage.server.list("ai/keys").await.is_empty());
    assert_eq!(identity().await, issuer_before);
}

// Three tests, because each waits for the retries of its vendor.
#[tokio::test]
async fn hostile_text_from_openai_leaves_the_server_alive() {
    hostile_text_from(&Case::named("openai")).await;
}

#[tokio::test]
async fn hostile_text_from_openrouter_leaves_the_server_alive() {
    hostile_text_from(&Case::named("openrouter")).await;
}

#[tokio::test]
async fn hostile_text_from_litellm_leaves_the_server_alive() {
    hostile_text_from(&Case::named("litellm")).await;
}

/// On every error path.
async fn hostile_text_from(case: &Case) {
    let stage = Stage::with(case).await;
    let lease = stage.creds(case).await;
    for fault in [
        json!({"kind": "hostile", "status": 400}),
        json!({"kind": "hostile", "status": 401}),
        json!({"kind": "hostile", "status": 404}),
        json!({"kind": "hostile", "status": 429}),
        json!({"kind": "hostile", "status": 500}),
        json!({"kind": "hostile", "status": 200}),
        json!({"kind": "html", "status": 200}),
        json!({"kind": "html", "status": 404}),
        json!({"kind": "html", "status": 502}),
        json!({"kind": "oversized"}),
        json!({"kind": "redirect", "to": "http://127.0.0.1:9/"}),
        json!({"kind": "truncated"}),
    ] {
        let mut fault = fault;
        fault["times"] = (-1).into();
        stage.simulator.faults(json!([fault])).await;
        let provider = case.provider;
        let replies = [
            stage.server.call("GET", &format!("ai/creds/{provider}"), Value::Null).await,
            stage.server.call("GET", &format!("ai/config/{provider}/check"), Value::Null).await,
            stage.server.call("POST", &format!("ai/config/{provider}"), case.config(&stage.simulator.url)).await,
            stage.server.call("POST", "ai/tidy", json!({"delete": true})).await,
            stage.server.renew(&lease, 0).await,
            stage.server.revoke(&lease).await,
        ];
        for reply in replies {
            let shown = reply.body.to_string();
            for secret in [OPENAI, OPENROUTER, LITELLM, text(&lease, "api_key")] {
                // A renewal that reached no vendor answers with its own lease.
                assert!(!shown.contains(secret) || reply.status == 200, "{fault}: {shown}");
            }
            let line_of_its_own = shown.contains("\\n{\\\"@level");
            assert!(!line_of_its_own && !shown.contains('\u{202e}'), "{fault}: {shown}");
        }
    }
    stage.simulator.faults(json!([])).await;
    stage.server.revoke(&lease).await;
    let health = stage.server.call("GET", "sys/health", Value::Null).await;
    assert_eq!(health.status, 200, "the server lives");
    let log = stage.server.log();
    assert!(
        !log.contains("panic"),
        "{}",
        log.lines().filter(|line| line.contains("panic")).collect::<Vec<_>>().join("\n")
    );
    for line in log.lines() {
        for secret in [OPENAI, OPENROUTER, LITELLM] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[tokio::test]
async fn no_secret_is_seen_in_clear_anywhere() {
    let stage = Stage::new().await;
    let audit = stage.server.folder.path().join("audit.log");
    let body = json!({"type": "file", "options": {"file_path": audit}});
    let audited = stage.server.can("PUT", "sys/audit/file", body).await;
    assert!(audited, "this server takes an audit device by its API");
    let mut secrets = vec![OPENAI.to_owned(), OPENROUTER.to_owned(), LITELLM.to_owned(), ROOT.to_owned()];
    let mut seen = String::new();
    for case in &CASES {
        stage.configure("ai", case).await;
        let lease = stage.creds(case).await;
        secrets.push(text(&lease, "api_key").to_owned());
        let name = case.provider;
        for id in stage.server.list("ai/keys").await {
            seen += &stage.server.read(&format!("ai/keys/{id}")).await.to_string();
        }
        for path in [
            format!("ai/config/{name}"),
            format!("ai/config/{name}/check"),
            format!("ai/roles/{name}"),
            "ai/info".into(),
            format!("ai/providers/{name}"),
        ] {
            seen += &stage.server.read(&path).await.to_string();
        }
        seen += lease["lease_id"].as_str().expect("an id");
        stage.simulator.faults(json!([{"vendor": name, "kind": "hostile", "status": 401, "times": -1}])).await;
        seen += &stage.server.call("GET", &format!("ai/creds/{name}"), Value::Null).await.body.to_string();
        seen += &stage.server.revoke(&lease).await.body.to_string();
        stage.simulator.faults(json!([])).await;
        stage.server.revoke(&lease).await;
        seen += &stage
            .server
            .call(
                "POST",
                &format!("ai/config/{name}"),
                json!({"verify": [1], "admin_key": [OPENAI], "master_key": [LITELLM]}),
            )
            .await
            .body
            .to_string();
    }
    seen += &stage.server.read("ai/?help=1").await.to_string();
    seen += &stage.server.read("sys/internal/specs/openapi").await.to_string();
    seen += &stage.server.log().lines().filter(|line| !line.contains("Root Token")).collect::<String>();
    let audit = std::fs::read_to_string(&audit).expect("an audit log");
    assert!(audit.contains("ai/creds/openai"), "the audit device works");
    seen += &audit;
    for secret in secrets {
        assert!(!seen.contains(&secret), "{secret} is seen near {:?}", around(&seen, &secret));
    }
}

fn around(text: &str, secret: &str) -> String {
    let at = text.find(secret).unwrap_or(0);
    text.chars().skip(at.saturating_sub(200)).take(300).collect()
}

#[tokio::test]
async fn a_token_without_the_capability_gets_nothing() {
    let case = Case::named("openai");
    let stage = Stage::with(&case).await;
    let policy = json!({"policy": "path \"ai/creds/openai\" { capabilities = [\"read\"] }"});
    stage.server.write("sys/policies/acl/app", policy).await;
    let token = stage.server.write("auth/token/create", json!({"policies": ["app"], "ttl": "1h"})).await;
    let token = token["auth"]["client_token"].as_str().expect("a token").to_owned();
    let lease = stage.server.send("GET", "ai/creds/openai", &token, &[], None).await.expect(200);
    for (verb, path) in [
        ("POST", "ai/creds/openai"),
        ("GET", "ai/config/openai"),
        ("LIST", "ai/keys"),
        ("POST", "ai/tidy"),
        ("GET", "ai/creds/OPENAI"),
    ] {
        assert_eq!(stage.server.send(verb, path, &token, &[], Some(json!({}))).await.status, 403, "{verb} {path}");
    }
    // The lease ends with the token that read it.
    stage.server.send("POST", "auth/token/revoke-self", &token, &[], None).await;
    crate::support::bench::eventually("the key ends with the token", async || {
        crate::support::simulator::try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await == 401
    })
    .await;
}
