//! Tokens that are exchanged for assertions: whom the vendors trust, for how long, and what is said where they do not.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::providers::{Expiry, FaultKind, Limits};

use super::stage::Stage;
use crate::support::issuer::{SUBJECT, TestIssuer};

const VENDORS: [&str; 3] = ["anthropic", "openai-federated", "openrouter-federated"];

async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for name in VENDORS {
        stages.push(Stage::of_example(name).await);
    }
    stages
}

#[tokio::test]
async fn every_vendor_that_exchanges_assertions_is_asked_here() {
    let all = Stage::tokens().await.into_iter().filter(Stage::is_federated);
    let asked: BTreeSet<String> = VENDORS.map(str::to_owned).into();
    assert_eq!(all.map(|stage| stage.name).collect::<BTreeSet<_>>(), asked);
}

fn limits(stage: &Stage) -> Limits {
    let Expiry::Fixed(limits) = stage.vendor.about().can.expiry else { panic!("{}: fixed", stage.label) };
    limits
}

/// How many tokens the stage's vendor has given.
async fn given(stage: &Stage) -> u64 {
    let vendor = stage.name.trim_end_matches("-federated");
    stage.simulator().state().await[vendor]["tokens"]["created_count"].as_u64().expect("a count")
}

async fn issue_for(stage: &Stage, life: Duration) -> vault_plugin_secrets_ai::providers::Issued {
    let issued = stage.issue_named(&stage.new_name(), Some(stage.now() + life)).await;
    issued.unwrap_or_else(|fault| panic!("{}: {life:?}: {fault}", stage.label))
}

#[tokio::test]
async fn a_token_lives_as_long_as_was_asked_for_and_then_ends() {
    Stage::each(stages().await, async |stage| {
        let limits = limits(&stage);
        for life in [limits.shortest, Duration::from_secs(90), limits.longest] {
            let asked = stage.now();
            let issued = issue_for(&stage, life).await;
            let granted = (issued.expires.expect("an end") - asked).num_seconds();
            let wanted = i64::try_from(life.as_secs()).expect("short");
            assert!((wanted - 3..=wanted + 1).contains(&granted), "{}: {granted} s of {wanted}", stage.label);
            assert!(issued.warnings.is_empty(), "{}: {:?}", stage.label, issued.warnings);
            assert_eq!(stage.try_key(&issued).await, 200, "{}", stage.label);
        }
        let short = issue_for(&stage, limits.shortest).await;
        stage.simulator().settings(json!({"clock_offset_seconds": limits.shortest.as_secs() + 2})).await;
        assert_eq!(stage.try_key(&short).await, 401, "{}: after its end", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_client_is_told_the_headers_without_which_its_token_is_refused() {
    let stage = Stage::of_example("anthropic").await;
    let (_, mut issued) = stage.issue().await;
    assert_eq!(issued.headers["anthropic-beta"], "oauth-2025-04-20");
    assert_eq!(stage.try_key(&issued).await, 200);
    issued.headers.remove("anthropic-beta");
    assert_eq!(stage.try_key(&issued).await, 401);
}

#[tokio::test]
async fn whom_the_vendor_does_not_trust_is_told_what_to_check() {
    let claims = |name: &str, value: Value| {
        let claim = (name.to_owned(), value);
        move |stage: &mut Stage| stage.issuer.claims.extend([claim])
    };
    type Change = Box<dyn FnOnce(&mut Stage)>;
    let cases: Vec<(&str, Change)> = vec![
        ("another mount at the same path", Box::new(claims("sub", json!("9999c3d4-0000-4000-8000-000000000000:dev")))),
        ("another role", Box::new(claims("sub", json!(format!("{SUBJECT}-admin"))))),
        ("another issuer", Box::new(claims("iss", json!("https://evil.example/v1/ai")))),
        ("another audience", Box::new(claims("aud", json!("https://other.example")))),
        ("no subject", Box::new(claims("sub", Value::Null))),
        ("a clock an hour behind", Box::new(|stage| stage.issuer.skew = -3600)),
        ("a key that was not uploaded", Box::new(|stage| stage.issuer = TestIssuer::new())),
    ];
    for (what, spoil) in cases {
        let mut stage = Stage::of_example("anthropic").await;
        spoil(&mut stage);
        refused(&stage, what).await;
    }
    for name in VENDORS {
        let mut stage = Stage::of_example(name).await;
        stage.issuer.claims.insert("sub".into(), json!("9999c3d4-0000-4000-8000-000000000000:dev"));
        refused(&stage, "another mount").await;
        stage.issuer.claims.clear();
        stage.issuer.stuck = Some(
            stage.issuer.assertion(stage.account.identity.text("audience").expect("one"), Duration::from_secs(60)),
        );
        stage.issue().await;
        refused(&stage, "the same assertion twice").await;
    }
}

async fn refused(stage: &Stage, what: &str) {
    let (_, outcome) = stage.try_issue().await;
    let Err(fault) = outcome else { panic!("{}: {what} was trusted", stage.label) };
    assert_eq!(fault.kind, FaultKind::Refused, "{}: {what}: {fault}", stage.label);
    for word in ["identity/config", "signing_kid", stage.account.identity.text("audience").expect("one")] {
        assert!(fault.text.contains(word), "{}: {what}: {fault}", stage.label);
    }
    assert!(!fault.text.contains("eyJ"), "{}: {what}: {fault}", stage.label);
}

#[tokio::test]
async fn a_check_changes_nothing_and_says_how_wide_the_rule_is() {
    Stage::each(stages().await, async |mut stage| {
        stage.issuer.claims.insert("sub".into(), json!("0a1b2c3d-0000-4000-8000-000000000000:config:main"));
        let probe = stage.probe().await.expect("probed");
        assert!(probe.missing.is_empty() && probe.identity.is_some(), "{}: {probe:?}", stage.label);
        assert!(probe.warnings[0].contains("only creds/<role> can try that"), "{}: {probe:?}", stage.label);
        stage.trust_issuer(json!({"subject": "0a1b2c3d-0000-4000-8000-000000000000:*"})).await;
        let probe = stage.probe().await.expect("probed");
        assert!(probe.missing.is_empty(), "{}: {probe:?}", stage.label);
        assert!(probe.warnings[0].contains("not limited to one role"), "{}: {probe:?}", stage.label);
        stage.fail_all(json!({"kind": "error_before", "status": 503, "times": -1})).await;
        assert_eq!(stage.probe().await.expect_err("out").kind, FaultKind::Unknown, "{}", stage.label);
    })
    .await;
}

#[tokio::test]
async fn a_rule_that_gives_less_shortens_the_lease_with_a_word() {
    let stage = Stage::of_example("anthropic").await;
    stage.trust_issuer(json!({"subject": SUBJECT, "lifetime_seconds": 300})).await;
    let asked = stage.now();
    let issued = issue_for(&stage, Duration::from_secs(3600)).await;
    assert!((issued.expires.expect("an end") - asked).num_seconds() <= 301);
    assert!(issued.warnings[0].contains("gave a token for 300 s in place of 3600 s"), "{:?}", issued.warnings);
}

#[tokio::test]
async fn an_exchange_of_unknown_outcome_is_not_repeated() {
    Stage::each(stages().await, async |stage| {
        let signed = stage.issuer.signed();
        stage.fail_all(json!({"kind": "drop_after", "times": -1})).await;
        let (_, outcome) = stage.try_issue().await;
        let Err(fault) = outcome else { panic!("{}: no answer came", stage.label) };
        assert_eq!(fault.kind, FaultKind::Unknown, "{}", stage.label);
        assert_eq!((given(&stage).await, stage.issuer.signed()), (1, signed + 1), "{}", stage.label);
        stage.fail_all(json!({"kind": "rate_limit", "retry_after_seconds": 1})).await;
        stage.issue().await;
        for fault in [json!({"kind": "html", "status": 403}), json!({"kind": "hostile"}), json!({"kind": "truncated"})]
        {
            stage.fail_all(fault.clone()).await;
            let (_, outcome) = stage.try_issue().await;
            let Err(fault) = outcome else { panic!("{}: {fault} gave a token", stage.label) };
            assert!(!fault.text.contains("eyJ") && !fault.text.contains('\n'), "{}: {fault}", stage.label);
        }
    })
    .await;
}

/// OpenRouter without a stored key: its policy gives tokens of this scope.
async fn keyless(scope: &str) -> Stage {
    let mut stage = Stage::of_example("openrouter-federated").await;
    stage.trust_issuer(json!({"subject": SUBJECT, "scope": scope})).await;
    let config = json!({
        "federation_policy_id": stage.account.identity.text("federation_policy_id"),
        "api_url": stage.account.client_url,
    });
    stage.become_vendor("openrouter", &config, &json!({"limit": 1, "allowed_models": ["openai/gpt-4o-mini"]}));
    stage
}

#[tokio::test]
async fn keys_are_made_and_ended_with_a_token_in_place_of_a_stored_key() {
    let stage = keyless("management").await;
    let probe = stage.probe().await.expect("probed");
    assert!(probe.missing.is_empty() && probe.warnings.is_empty(), "{probe:?}");
    let (name, issued) = stage.issue().await;
    assert_eq!(stage.try_key(&issued).await, 200);
    assert!(!stage.named(&name).await.is_empty());
    stage.end(&issued.key).await.expect("ended");
    assert_eq!(stage.try_key(&issued).await, 401);
    assert_eq!(given(&stage).await, 1, "one token for all of it");
    // The vendor ends it before its time: it is dropped, and the next call has another.
    stage.simulator().settings(json!({"clock_offset_seconds": 901})).await;
    assert_eq!(stage.probe().await.expect("what it lacks").missing.len(), 2);
    stage.simulator().settings(json!({"clock_offset_seconds": 0})).await;
    assert!(stage.probe().await.expect("probed").missing.is_empty());
    assert_eq!(given(&stage).await, 2);
}

#[tokio::test]
async fn a_policy_of_the_wrong_scope_gives_nothing() {
    let stage = keyless("inference").await;
    let fault = stage.probe().await.expect_err("no management");
    assert!(fault.text.contains("another scope"), "{fault}");
    let stage = Stage::of_example("openrouter-federated").await;
    stage.trust_issuer(json!({"subject": SUBJECT, "scope": "management"})).await;
    let (_, outcome) = stage.try_issue().await;
    assert!(outcome.is_err(), "a role got a management token");
}
