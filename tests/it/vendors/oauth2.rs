//! OAuth 2.0 client credentials: what the standards say, and what a server should never answer. The questions of every
//! vendor that gives tokens are asked elsewhere; a real authorization server is in `real::oauth2`.

use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{FaultKind, Gone};

use super::script::Script;
use super::stage::Stage;
use crate::support::bench::{Bench, Issued, Mounted};
use crate::support::simulator::{Simulator, plain_client};

const SECRET: &str = "s3cret+/%:canary";
/// The same as it is sent.
const ENCODED: &str = "s3cret%2B%2F%25%3Acanary";
const TOKEN: &str = "granted-token-0001";

/// A server of this script; `more` goes into the config.
fn scripted(script: &Script, more: Value, role: Value) -> Stage {
    let url = &script.url;
    let mut config = json!({
        "token_url": format!("{url}/o/token/?p=1"), "revoke_url": format!("{url}/o/revoke/"),
        "client_id": "cli ent", "client_secret": SECRET,
    });
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    Stage::at("oauth2", &config, &role)
}

fn granted(more: Value) -> (u16, Value) {
    let mut body = json!({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 600});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    (200, body)
}

fn refused(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"error": code, "error_description": format!("no, not with {SECRET} nor {ENCODED}")}))
}

async fn kind(stage: &Stage) -> FaultKind {
    let fault = stage.try_issue().await.1.map(drop).expect_err("nothing to hand out");
    assert!(!fault.text.contains("canary") && !fault.text.contains(TOKEN), "{fault}");
    fault.kind
}

#[tokio::test]
async fn the_client_says_who_it_is_in_a_header_or_in_the_form() {
    let script = Script::of([granted(json!({})), granted(json!({}))]).await;
    let role = json!({"scopes": ["a", "b:c"], "audience": "api", "resource": "https://api.example/v1"});
    scripted(&script, json!({}), role).issue().await;
    assert_eq!(script.seen()[0], "POST /o/token/?p=1", "as it was written");
    let pair = "Y2xpK2VudDpzM2NyZXQlMkIlMkYlMjUlM0FjYW5hcnk="; // cli+ent:s3cret%2B%2F%25%3Acanary
    assert!(script.text(0).contains(&format!("authorization: Basic {pair}\r\n")), "{}", script.text(0));
    let form = "grant_type=client_credentials&scope=a+b%3Ac&audience=api&resource=https%3A%2F%2Fapi.example%2Fv1";
    assert!(script.text(0).ends_with(form), "{}", script.text(0));
    // Without scopes of the role the server's own are asked for, and the account's audience.
    scripted(&script, json!({"auth_style": "post", "audience": "all"}), json!({})).issue().await;
    let form = "grant_type=client_credentials&audience=all&client_id=cli+ent&client_secret=s3cret%2B%2F%25%3Acanary";
    assert!(script.text(1).ends_with(form) && !script.text(1).contains("Basic"), "{}", script.text(1));
}

#[tokio::test]
async fn each_refusal_means_what_the_standard_says_whatever_its_status() {
    let invalid = |field: &str| FaultKind::Invalid { field: Some(field.to_owned()) };
    for (status, code, wanted) in [
        (401, "invalid_client", FaultKind::Refused),
        (400, "invalid_client", FaultKind::Refused),
        (400, "unauthorized_client", FaultKind::Refused),
        (400, "invalid_scope", invalid("scope")),
        (401, "invalid_scope", invalid("scope")),
        (400, "invalid_target", invalid("resource")),
        (400, "unsupported_grant_type", FaultKind::Invalid { field: None }),
        (403, "access_denied", FaultKind::Refused),
    ] {
        let script = Script::of([refused(status, code)]).await;
        assert_eq!(kind(&scripted(&script, json!({}), json!({}))).await, wanted, "{status} {code}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let script = Script::of([(503, json!("busy")), (200, json!("<html>")), granted(json!({}))]).await;
    let (_, issued) = scripted(&script, json!({}), json!({})).issue().await;
    assert_eq!((issued.secret.expose(), script.seen().len()), (TOKEN, 3));
    let script = Script::of([(404, json!("<html>")), (404, json!("<html>")), (404, json!("<html>"))]).await;
    let fault = scripted(&script, json!({}), json!({})).try_issue().await.1.map(drop).expect_err("a page");
    assert!(fault.text.contains("check token_url"), "{fault}");
}

#[tokio::test]
async fn only_a_bearer_token_is_handed_out_and_another_is_revoked() {
    for kind in ["bearer", "BEARER"] {
        let script = Script::of([granted(json!({"token_type": kind}))]).await;
        scripted(&script, json!({}), json!({})).issue().await;
    }
    for kind in [json!("mac"), json!("DPoP"), json!(null)] {
        let script = Script::of([granted(json!({"token_type": kind})), (200, json!(""))]).await;
        assert_eq!(self::kind(&scripted(&script, json!({}), json!({}))).await, FaultKind::Refused, "{kind}");
        assert_eq!(script.seen()[1], "POST /o/revoke/");
        assert!(script.text(1).contains(&format!("token={TOKEN}&token_type_hint=access_token")));
    }
}

#[tokio::test]
async fn what_the_server_grants_otherwise_is_told() {
    let role = json!({"scopes": ["a", "b"]});
    for (more, warnings) in [
        (json!({"scope": "b a"}), 0),
        (json!({"scope": "a"}), 1),
        (json!({"scope": "a b admin"}), 1),
        (json!({"expires_in": null}), 1),
        (json!({"expires_in": "600"}), 0),
    ] {
        let script = Script::of([granted(more.clone())]).await;
        let (_, issued) = scripted(&script, json!({}), role.clone()).issue().await;
        assert_eq!(issued.warnings.len(), warnings, "{more}: {:?}", issued.warnings);
        assert_eq!(issued.expires.is_none(), more.get("expires_in") == Some(&json!(null)), "{more}");
    }
}

#[tokio::test]
async fn a_revocation_is_done_with_200_and_with_nothing_else() {
    // An empty body, and one that is no JSON: nobody has to read it.
    for body in [json!(""), json!("ok"), json!({})] {
        let script = Script::of([granted(json!({})), (200, body)]).await;
        let stage = scripted(&script, json!({}), json!({}));
        let (_, issued) = stage.issue().await;
        assert_eq!(stage.end_with(&issued).await, Ok(Gone::Now));
    }
    for (status, code, wanted) in [
        (401, "invalid_client", FaultKind::Refused),
        (400, "unsupported_token_type", FaultKind::Invalid { field: None }),
        (404, "", FaultKind::Unknown),
    ] {
        let answer = if code.is_empty() { (status, json!("<html>")) } else { refused(status, code) };
        let script = Script::of([granted(json!({})), answer.clone(), answer.clone(), answer]).await;
        let stage = scripted(&script, json!({}), json!({}));
        let (_, issued) = stage.issue().await;
        let fault = stage.end_with(&issued).await.expect_err("not revoked");
        assert_eq!(fault.kind, wanted, "{status} {code}: {fault}");
        assert!(!fault.text.contains(TOKEN) && !fault.text.contains("canary"), "{fault}");
    }
    let script = Script::of([]).await;
    let stage = scripted(&script, json!({}), json!({}));
    let nobody = vault_plugin_secrets_ai::providers::Ref { id: "x".into(), extra: serde_json::Map::new() };
    assert!(stage.end(&nobody).await.is_err(), "without the token there is nothing to send");
}

#[tokio::test]
async fn a_server_that_cannot_revoke_now_is_asked_again() {
    let stage = Stage::of_example("oauth2").await;
    let (_, issued) = stage.issue().await;
    stage.fail_all(json!({"kind": "error_before", "status": 503, "times": 3})).await;
    assert!(stage.end_with(&issued).await.expect_err("not now").kind.may_pass());
    assert_eq!(stage.try_key(&issued).await, 200);
    stage.fail_all(json!({"kind": "error_before", "status": 503, "times": 1})).await;
    assert_eq!(stage.end_with(&issued).await, Ok(Gone::Now));
    assert_eq!(stage.try_key(&issued).await, 401);
}

#[tokio::test]
async fn a_probe_makes_a_token_and_leaves_none() {
    let stage = Stage::of_example("oauth2").await;
    let probe = stage.probe().await.expect("probed");
    assert_eq!((probe.identity.as_deref(), probe.missing.len()), (Some("vault"), 0));
    assert!(probe.warnings[0].contains("revoked"), "{:?}", probe.warnings);
    let state = stage.simulator().state().await;
    assert_eq!(
        (&state["oauth2"]["keys"]["live_count"], &state["oauth2"]["keys"]["created_count"]),
        (&json!(0), &json!(1))
    );

    // Nothing can end it, which is said.
    let script = Script::of([granted(json!({}))]).await;
    let probe = scripted(&script, json!({"revoke_url": ""}), json!({})).probe().await.expect("probed");
    assert!(probe.warnings[0].contains("it ends at"), "{:?}", probe.warnings);
    // A server that wants scopes has known the client.
    let script = Script::of([refused(400, "invalid_scope")]).await;
    let probe = scripted(&script, json!({}), json!({})).probe().await.expect("probed");
    assert!(probe.missing.is_empty() && probe.warnings[0].contains("scopes"), "{:?}", probe.warnings);
    let script = Script::of([granted(json!({})), refused(400, "unsupported_token_type")]).await;
    let probe = scripted(&script, json!({}), json!({})).probe().await.expect("probed");
    assert!(probe.missing[0].contains("revoke_url"), "{:?}", probe.missing);
}

/// A mount whose `config/main` and `roles/dev` are those of the vendor's example, changed.
async fn mounted(bench: &Bench, provider: &str, config: Value, role: Value) -> Mounted {
    let example = bench.simulator.get("/_control/examples").await[provider].clone();
    let with = |mut base: Value, more: Value| {
        base.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        base
    };
    let mount = bench.mount().await;
    let config = with(with(example["config"].clone(), json!({"provider": provider})), config);
    mount.write("config/main", config).await.expect("a config");
    mount
        .write("roles/dev", with(with(example["role"].clone(), json!({"config": "main"})), role))
        .await
        .expect("a role");
    mount
}

async fn works(simulator: &Simulator, path: &str, model: &str, issued: &Issued) -> bool {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello"}]});
    let request =
        plain_client().post(format!("{}{path}", simulator.url)).bearer_auth(issued.text("api_key")).json(&body);
    request.send().await.expect("an answer").status() == 200
}

#[tokio::test]
async fn a_lease_is_as_long_as_its_token_and_its_end_revokes_it() {
    let bench = Bench::new();
    let mount = mounted(&bench, "oauth2", json!({}), json!({"ttl": "10m"})).await;
    let issued = mount.creds().await.expect("a token");
    assert!((3595..=3600).contains(&issued.lease.ttl.as_secs()), "{:?}", issued.lease.ttl);
    assert!(!issued.lease.renewable && issued.data["revocable"] == true);
    assert!(works(&bench.simulator, "/oauth2/v1/chat/completions", "small", &issued).await);
    assert!(!works(&bench.simulator, "/oauth2/v1/chat/completions", "big", &issued).await);
    let row = mount.read(&format!("keys/{}", bench.rows().await[0])).await.expect("read").data.expect("data");
    assert_eq!(row["state"], "expiring");
    mount.revoke(&issued).await.expect("revoked");
    assert!(!works(&bench.simulator, "/oauth2/v1/chat/completions", "small", &issued).await);
    assert!(bench.rows().await.is_empty());
    mount.revoke(&issued).await.expect("the server says nothing of an unknown token");
}

#[tokio::test]
async fn without_a_revoke_url_nothing_is_called_and_the_lease_says_so() {
    let bench = Bench::new();
    let mount = mounted(&bench, "oauth2", json!({"revoke_url": null}), json!({})).await;
    let issued = mount.creds().await.expect("a token");
    assert_eq!(issued.data["revocable"], false);
    bench.simulator.faults(json!([{"vendor": "oauth2", "kind": "error_before", "status": 500, "times": -1}])).await;
    mount.revoke(&issued).await.expect("there is nothing to do");
    bench.simulator.faults(json!([])).await;
    assert!(works(&bench.simulator, "/oauth2/v1/chat/completions", "small", &issued).await, "it lives on");
    assert_eq!(bench.rows().await.len(), 1, "and its row says so");
    bench.advance(Duration::from_secs(3700)).await;
    mount.tick().await;
    crate::support::bench::eventually("the row goes with the token", async || bench.rows().await.is_empty()).await;
}

#[tokio::test]
async fn a_token_is_revoked_by_the_account_that_made_it() {
    let bench = Bench::new();
    let mount = mounted(&bench, "oauth2", json!({}), json!({})).await;
    let issued = mount.creds().await.expect("a token");
    let example = bench.simulator.get("/_control/examples").await["oauth2"]["config"].clone();
    mount
        .write("config/main", json!({"revoke_url": null, "client_secret": example["client_secret"]}))
        .await
        .expect("changed");
    assert_eq!(mount.creds().await.expect("a token").data["revocable"], false);
    mount.revoke(&issued).await.expect("revoked");
    assert!(!works(&bench.simulator, "/oauth2/v1/chat/completions", "small", &issued).await);
}

#[tokio::test]
async fn a_token_that_is_not_handed_out_is_revoked() {
    let bench = Bench::new();
    let mount = mounted(&bench, "oauth2", json!({}), json!({"ttl": "10m"})).await;
    // The first write is the row, the second moves its end to the token's.
    *bench.storage.fail_put.lock().expect("no panic") = Some(1);
    mount.creds().await.map(drop).expect_err("the row could not be written");
    let keys = bench.simulator.state().await["oauth2"]["keys"].clone();
    assert_eq!((&keys["created_count"], &keys["live_count"]), (&json!(2), &json!(0)), "the probe's and this one");
    assert!(bench.rows().await.is_empty());

    // It lives on where it cannot be revoked, and so does its row.
    bench.simulator.faults(json!([{"vendor": "oauth2", "path_contains": "revoke", "kind": "error_before", "status": 503, "times": -1}])).await;
    *bench.storage.fail_put.lock().expect("no panic") = Some(1);
    mount.creds().await.map(drop).expect_err("the row could not be written");
    bench.simulator.faults(json!([])).await;
    bench.advance(Duration::from_secs(3000)).await;
    mount.tick().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.rows().await.len(), 1, "as long as the token, not as the role's ttl");
}

#[tokio::test]
async fn a_stored_secret_is_sent_nowhere_else_and_no_url_is_out_of_reach() {
    let bench = Bench::new();
    let mount = mounted(&bench, "oauth2", json!({}), json!({})).await;
    for (field, value) in [
        ("token_url", json!("http://127.0.0.1:9/token")),
        ("revoke_url", json!("http://127.0.0.1:9/revoke")),
        ("revoke_url", json!(null)),
        ("base_url", json!("http://127.0.0.1:9/v1")),
    ] {
        let error = mount.write("config/main", json!({field: value})).await.map(drop).expect_err(field).to_string();
        assert!(error.contains("client_secret") && error.contains(field), "{error}");
    }
    for (field, url) in [
        ("token_url", "http://login.example/token"),
        ("token_url", "https://169.254.169.254/token"),
        ("revoke_url", "http://login.example/revoke"),
        ("revoke_url", "http://[::ffff:169.254.169.254]/"),
    ] {
        let body = json!({field: url, "client_secret": "x", "verify": false});
        let error = mount.write("config/main", body).await.map(drop).expect_err(url).to_string();
        assert!(error.contains(field), "{error}");
    }
}

#[tokio::test]
async fn a_tenants_own_refusals_are_told_and_no_secret_with_them() {
    let bench = Bench::new();
    let mount = mounted(&bench, "azure-openai", json!({}), json!({"ttl": "10m"})).await;
    let issued = mount.creds().await.expect("a token");
    assert!((4316..=4321).contains(&issued.lease.ttl.as_secs()), "{:?}: as long as the token", issued.lease.ttl);
    assert!(!issued.lease.renewable && issued.data["revocable"] == false);
    assert!(
        issued.warnings.iter().any(|warning| warning.contains("shortest life of a token")),
        "{:?}",
        issued.warnings
    );
    assert!(works(&bench.simulator, "/azure-openai/openai/v1/chat/completions", "gpt-4o-mini", &issued).await);
    mount.revoke(&issued).await.expect("nothing is called");
    assert!(works(&bench.simulator, "/azure-openai/openai/v1/chat/completions", "gpt-4o-mini", &issued).await);
    let good = bench.simulator.get("/_control/examples").await["azure-openai"]["config"]["client_secret"].clone();
    for (field, value, says) in [
        ("client_secret", json!("wrong-canary"), "AADSTS7000215"),
        ("client_id", json!("6f0e0000-0000-4000-8000-0000000000aa"), "AADSTS700016"),
        ("tenant_id", json!("nowhere.example"), "AADSTS90002"),
        ("token_scope", json!("https://graph.example/.default"), "AADSTS70011"),
    ] {
        let mut body = json!({"client_secret": good});
        body[field] = value;
        match mount.write("config/main", body).await {
            Err(error) => assert!(error.to_string().contains(says) && !error.to_string().contains("canary"), "{error}"),
            // The client is known.
            Ok(response) => {
                assert!(response.warnings.iter().any(|text| text.contains(says)), "{:?}", response.warnings)
            }
        }
    }
}

#[tokio::test]
async fn a_service_principals_token_is_for_the_workspaces_endpoints() {
    let bench = Bench::new();
    let mount = mounted(&bench, "databricks-oauth", json!({}), json!({})).await;
    let issued = mount.creds().await.expect("a token");
    assert_eq!(issued.text("base_url"), format!("{}/databricks-oauth/serving-endpoints", bench.simulator.url));
    assert!(issued.warnings.is_empty() && issued.data["revocable"] == false, "{:?}", issued.warnings);
    assert!(works(&bench.simulator, "/databricks-oauth/serving-endpoints/chat/completions", "dbrx", &issued).await);
    mount.write("roles/dev", json!({"scopes": ["nope"]})).await.expect("a role");
    let error = mount.creds().await.map(drop).expect_err("no such scope").to_string();
    assert!(error.contains("invalid_scope") && error.contains("\"scope\""), "{error}");
    let error = mount.write("config/main", json!({"workspace_url": "http://127.0.0.1:9"})).await.map(drop);
    assert!(error.expect_err("another workspace").to_string().contains("client_secret"));
}
