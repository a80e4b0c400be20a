//! What a vendor should never answer, and what is made of it.

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{FaultKind, Gone, Ref};

use super::script::{Script, refusal};
use super::stage::{Stage, case};

fn own() -> Value {
    json!({"mode": "service_account", "allow_unscoped": true})
}

fn shared() -> Value {
    json!({"service_account_id": "svc_sim1", "scopes": ["api.model.request"]})
}

fn project() -> (u16, Value) {
    (200, json!({"id": "proj_sim1", "name": "One", "status": "active"}))
}

fn stage(provider: &str, script: &Script, scope: Value) -> Stage {
    Stage::scripted(case(provider).expect("a case"), &script.url, scope)
}

fn key(id: &str) -> Ref {
    Ref { id: id.to_owned(), extra: serde_json::Map::new() }
}

async fn issue(stage: &Stage) -> (FaultKind, String) {
    let fault = stage.try_issue().await.1.map(drop).expect_err("nothing to hand out");
    (fault.kind, fault.text)
}

#[tokio::test]
async fn a_service_account_without_a_key_is_undone_only_where_the_vendor_says_that_it_went_now() {
    let made = (200, json!({"id": "svc_1", "name": "a", "api_key": null}));
    let gone = (200, json!({"id": "svc_1", "deleted": true}));
    let script = Script::of([made.clone(), gone]).await;
    assert_eq!(issue(&stage("openai", &script, own())).await.0, FaultKind::Refused);
    assert_eq!(script.seen()[1], "DELETE /openai/v1/organization/projects/proj_sim1/service_accounts/svc_1");
    // Another replica that has not heard of it yet.
    let script = Script::of([made, (404, refusal("No service account found")), project()]).await;
    assert_eq!(issue(&stage("openai", &script, own())).await.0, FaultKind::Unknown);
    assert_eq!(script.seen().len(), 3);
}

#[tokio::test]
async fn what_is_not_the_vendors_own_refusal_proves_nothing() {
    let page = || json!("<html>blocked</html>");
    for status in [302, 307, 401, 402, 403, 404, 409, 413, 429, 503] {
        for body in [page(), json!({"message": "blocked"}), json!({"error": "blocked"}), json!({"detail": "blocked"})] {
            let script = Script::of([(status, body.clone())]).await;
            let (kind, text) = issue(&stage("openai", &script, shared())).await;
            assert_eq!(kind, FaultKind::Unknown, "{status} {body}: {text}");
            assert_eq!(script.seen().len(), 1, "{status} {body}: sent twice");
        }
    }
    // Its SDK sends again after a conflict: that is no word about what was made.
    let script = Script::of([(409, refusal("conflict"))]).await;
    assert_eq!(issue(&stage("openai", &script, shared())).await.0, FaultKind::Unknown);
}

#[tokio::test]
async fn a_name_that_the_proxy_has_is_ours_whoever_sent_the_request_twice() {
    let taken = || (400, refusal("Key with alias 'x' already exists. Unique key aliases are required."));
    let name = || "vault-0123abcd-test-1".to_owned();
    let entry = json!({"keys": [{"key_alias": name(), "token": "ab12", "expires": "2030-01-01T00:00:00Z"}]});
    let script = Script::of([taken(), (200, entry)]).await;
    let stage_of = |script: &Script| stage("litellm", script, json!({}));
    let issued = stage_of(&script).issue_named(&name(), None).await.expect("issued");
    assert_eq!((issued.key.id.as_str(), script.seen().len()), ("ab12", 2));
    assert_eq!(script.body(0)["key"], issued.secret.expose());

    for (status, body) in [(403, refusal("no")), (429, refusal("slow down")), (200, json!({"keys": []}))] {
        let script = Script::of([taken(), (status, body.clone()), (status, body.clone()), (status, body)]).await;
        let fault = stage_of(&script).issue_named(&name(), None).await.map(drop).expect_err("not found");
        assert_eq!(fault.kind, FaultKind::Unknown, "{status}: it exists: {fault}");
    }
    // The value is the proxy's own, so that whoever asked first has it and we do not.
    let script = Script::of([(403, refusal("Custom API keys are not allowed")), taken()]).await;
    let fault = stage_of(&script).issue_named(&name(), None).await.map(drop).expect_err("its value is lost");
    assert_eq!(fault.kind, FaultKind::Unknown, "{fault}");
}

#[tokio::test]
async fn a_listing_without_a_count_of_pages_goes_on_behind_a_full_page() {
    let entry = |n: usize| json!({"key_alias": format!("vault-0123abcd-x-{n}"), "token": format!("{n:064x}")});
    let page = |numbers: std::ops::Range<usize>| (200, json!({"keys": numbers.map(entry).collect::<Vec<_>>()}));
    let script = Script::of([page(0..100), page(100..200), page(0..0)]).await;
    let (found, pages) = stage("litellm", &script, json!({})).list("vault-0123abcd-").await.expect("listed");
    assert_eq!((found.len(), pages), (200, 3));
}

#[tokio::test]
async fn a_missing_key_of_a_service_account_is_gone_and_an_old_vendors_refusal_is_not() {
    let script = Script::of([(404, refusal("No API key found for this service account")), project()]).await;
    assert_eq!(stage("openai", &script, shared()).end(&key("key_1")).await, Ok(Gone::Already));
    let script = Script::of([(400, refusal("The key belongs to a service account"))]).await;
    let fault = stage("openai", &script, shared()).end(&key("key_1")).await.expect_err("not deleted");
    assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
}

#[tokio::test]
async fn the_field_that_a_vendor_blames_is_a_name_or_nothing() {
    for (param, field) in [
        ("scopes[0]", Some("scopes[0]")),
        ("metadata.a-b", Some("metadata.a-b")),
        ("a\n{\"@level\":5}", None),
        ("sk-svcacct-0123456789", None),
        (crate::support::simulator::OPENAI, None),
        ("", None),
        (&"a".repeat(65), None),
    ] {
        let body = json!({"error": {"message": "no", "type": "x", "param": param, "code": null}});
        let script = Script::of([(400, body)]).await;
        let kind = issue(&stage("openai", &script, shared())).await.0;
        assert_eq!(kind, FaultKind::Invalid { field: field.map(str::to_owned) }, "{param:?}");
    }
}

#[tokio::test]
async fn an_id_that_no_url_can_hold_is_refused_when_the_key_is_made() {
    let gone = || (200, json!({"deleted": true}));
    let key = |id: &str| json!({"id": id, "value": "sk-svcacct-0123456789"});
    for bad in ["a/b", "..", "a%2fb", "", &"a".repeat(129)] {
        let script = Script::of([(200, key(bad))]).await;
        assert_eq!(issue(&stage("openai", &script, shared())).await.0, FaultKind::Unknown, "{bad}");

        let script = Script::of([(200, json!({"id": bad, "api_key": key("key_1")}))]).await;
        assert_eq!(issue(&stage("openai", &script, own())).await.0, FaultKind::Unknown, "{bad}");
        let script = Script::of([(200, json!({"id": "svc_1", "api_key": key(bad)})), gone()]).await;
        assert_eq!(issue(&stage("openai", &script, own())).await.0, FaultKind::Refused, "{bad}: it was undone");

        let script = Script::of([(201, json!({"key": "sk-or-v1-1", "data": {"hash": bad}}))]).await;
        assert_eq!(issue(&stage("openrouter", &script, json!({}))).await.0, FaultKind::Unknown, "{bad}");
        let script = Script::of([(201, json!({"data": {"id": bad}}))]).await;
        let scope = json!({"allowed_models": ["a/b"]});
        assert_eq!(issue(&stage("openrouter", &script, scope)).await.0, FaultKind::Unknown, "{bad}");

        let made = (200, json!({"key": "sk-0123456789abcdef", "token": bad}));
        let script = Script::of([made.clone(), (200, json!({"deleted_keys": ["x"]}))]).await;
        let stage = stage("litellm", &script, json!({}));
        assert_eq!(issue(&stage).await.0, FaultKind::Unknown, "{bad}: something else was deleted");
    }
}

#[tokio::test]
async fn a_proxys_key_without_an_id_is_deleted_by_its_name() {
    let script = Script::of([(200, json!({"key": "sk-0123456789abcdef"})), (404, refusal("No keys found"))]).await;
    let stage = stage("litellm", &script, json!({}));
    assert_eq!(issue(&stage).await.0, FaultKind::Unknown, "not gone now");
    assert_eq!(script.seen()[1], "POST /litellm/key/delete");
    assert_eq!(script.body(1)["key_aliases"][0], script.body(0)["key_alias"]);
}

#[tokio::test]
async fn a_vendors_page_without_an_end_is_no_listing() {
    let long = "k".repeat(2000);
    for last in [json!(null), json!(long)] {
        let script = Script::of([(200, json!({"data": [{"id": last, "name": "x"}], "has_more": true}))]).await;
        let fault = stage("openai", &script, shared()).list("vault-").await.map(drop).expect_err("no way to go on");
        assert_eq!(fault.kind, FaultKind::Unknown, "{fault}");
    }
}

#[tokio::test]
async fn a_listing_skips_what_cannot_be_ours() {
    let bad = ["a/b".to_owned(), "..".to_owned(), "k".repeat(200)];
    let names = |id: &str| if id.len() > 100 { format!("vault-{id}{id}") } else { "vault-x".to_owned() };
    let entries = |id: &str| bad.iter().map(|bad| json!({id: bad, "name": names(bad)})).collect::<Vec<_>>();
    let long = json!({"id": "key_1", "hash": "key_1", "token": "ab", "name": "vault-x".repeat(100), "key_alias": "vault-x".repeat(100)});
    let page = |id: &str| {
        let mut all = entries(id);
        all.push(long.clone());
        all
    };
    let script = Script::of([
        (200, json!({"data": page("id"), "has_more": false})),
        (200, json!({"data": page("id"), "has_more": false})),
        (200, json!({"data": page("id"), "has_more": false})),
    ])
    .await;
    assert!(stage("openai", &script, shared()).list("vault-").await.expect("listed").0.is_empty());
    let empty = || (200, json!({"data": []}));
    let guardrails = (200, json!({"data": page("id"), "total_count": 4}));
    let script = Script::of([(200, json!({"data": page("hash")})), empty(), guardrails]).await;
    assert!(stage("openrouter", &script, json!({})).list("vault-").await.expect("listed").0.is_empty());
    let keys: Vec<Value> = bad.iter().map(|bad| json!({"token": bad, "key_alias": names(bad)})).chain([long]).collect();
    let script = Script::of([(200, json!({"keys": keys, "total_pages": 1}))]).await;
    assert!(stage("litellm", &script, json!({})).list("vault-").await.expect("listed").0.is_empty());
}

#[tokio::test]
async fn an_operation_that_failed_is_no_key() {
    let mut stage = Stage::of_example("gemini").await;
    let name = || (200, json!({"name": "operations/akmf.p7-1"}));
    let failed = json!({"name": "operations/akmf.p7-1", "done": true, "error": {"code": 9, "message": "quota"}});
    let missing = json!({"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}});
    let script = Script::of([name(), name(), (200, failed), (404, missing)]).await;
    // Its token is still from the simulator.
    stage.account.endpoint = script.url.parse().expect("a URL");
    let (name, issued) = stage.try_issue().await;
    let fault = issued.map(drop).expect_err("no key");
    assert!(fault.text.contains("has failed: quota"), "{fault}");
    let project = "/v2/projects/simulator-project/locations/global/keys";
    let asked = |method: &str, path: &str| format!("{method} {path}");
    assert_eq!(
        script.seen(),
        [
            asked("POST", &format!("{project}?keyId={name}")),
            asked("GET", "/v2/operations/akmf.p7-1"),
            asked("GET", "/v2/operations/akmf.p7-1"),
            asked("DELETE", &format!("{project}/{name}?checkExistingUsage=SKIP")),
        ],
        "what may have been made was deleted"
    );
}

#[tokio::test]
async fn a_key_file_whose_key_is_not_the_accounts_is_refused_by_google() {
    let stage = Stage::of_example("gemini").await;
    let mut file: Value = serde_json::from_str(stage.account.secrets["credentials"].expose()).expect("a key file");
    file["client_email"] = json!("other@simulator.iam.gserviceaccount.com");
    let fault = stage.with_credential(&file.to_string()).probe().await.expect_err("refused");
    assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
    assert!(fault.text.contains("invalid_grant"), "{fault}");
}
