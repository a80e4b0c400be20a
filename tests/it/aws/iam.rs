use std::time::Duration;

use serde_json::json;
use vault_plugin_secrets_ai::base::{Clock as _, SystemClock};
use vault_plugin_secrets_ai::providers::{FaultKind, Gone, Ref};

use super::server::{ACCOUNT, Server};

const DAY: Duration = Duration::from_secs(24 * 3600);
const PREFIX: &str = "vault-0a1b2c3d-";

fn name(number: usize) -> String {
    format!("{PREFIX}dev-{number:016}")
}

#[tokio::test]
async fn a_key_has_a_user_of_its_own_and_both_go_together() {
    let server = Server::start();
    let stage = server.stage();
    let issued = stage.issue(&name(1), DAY + Duration::from_secs(1)).await.expect("a key");
    assert!(issued.secret.expose().starts_with("ABSK"));
    assert_eq!(issued.warnings, Vec::<String>::new());
    let created = server.last("CreateUser").await;
    assert_eq!(created["Path"], "/vault/");
    assert_eq!(created["PermissionsBoundary"], format!("arn:aws:iam::{ACCOUNT}:policy/boundary"));
    assert_eq!(server.last("AttachUserPolicy").await["PolicyArn"], format!("arn:aws:iam::{ACCOUNT}:policy/limited"));
    let asked = server.last("CreateServiceSpecificCredential").await;
    assert_eq!((&asked["ServiceName"], &asked["CredentialAgeDays"]), (&json!("bedrock.amazonaws.com"), &json!("2")));
    let expires = issued.expires.expect("an expiry") - SystemClock::default().now();
    assert!(expires > chrono::Duration::days(2) - chrono::Duration::minutes(1), "{expires}");

    let (found, _) = stage.list(PREFIX).await.expect("a listing");
    let mut kinds: Vec<_> = found.iter().map(|found| (found.name.as_str(), found.is_key)).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [(name(1).as_str(), false), (name(1).as_str(), true)]);
    assert!(found.iter().all(|found| found.created.is_some()));
    assert!(found.iter().any(|found| found.key == issued.key), "what a listing finds is what was issued");

    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now));
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already));
    for found in found {
        assert_eq!(stage.end(&found.key).await, Ok(Gone::Already));
    }
    assert_eq!(stage.list(PREFIX).await.expect("a listing").0.len(), 0);
    server.assert_by_the_model().await;
}

#[tokio::test]
async fn a_user_that_iam_does_not_know_yet_is_not_taken_for_gone() {
    let server = Server::start();
    let stage = server.stage();
    let issued = stage.issue(&name(1), DAY).await.expect("a key");
    server.order("DeleteUser", "NoSuchEntity", 404, 1).await;
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already), "its key is gone, and it is not");
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now));
    assert_eq!(stage.list(PREFIX).await.expect("a listing").0.len(), 0);
}

#[tokio::test]
async fn what_a_listing_finds_can_be_ended_whatever_is_left_of_it() {
    let server = Server::start();
    let stage = server.stage();
    // A user alone, a user with a key that nobody knows of.
    server.order("CreateServiceSpecificCredential", "ServiceFailure", 500, 1).await;
    stage.issue(&name(1), DAY).await.map(drop).expect_err("no key");
    stage.issue(&name(2), DAY).await.expect("a key");
    let (found, _) = stage.list(PREFIX).await.expect("a listing");
    let helpers: Vec<&Ref> = found.iter().filter(|found| !found.is_key).map(|found| &found.key).collect();
    assert_eq!(helpers.len(), 1, "the first was undone");
    assert_eq!(stage.end(helpers[0]).await, Ok(Gone::Now));
    assert_eq!(stage.list(PREFIX).await.expect("a listing").0.len(), 0);
    server.assert_by_the_model().await;
}

#[tokio::test]
async fn a_step_that_fails_undoes_those_before() {
    let server = Server::start();
    let stage = server.stage();
    for (number, (action, code, status, kind)) in [
        ("AttachUserPolicy", "PolicyNotAttachable", 400, FaultKind::Invalid { field: None }),
        ("AttachUserPolicy", "AccessDenied", 403, FaultKind::Refused),
        ("CreateServiceSpecificCredential", "NotSupportedService", 404, FaultKind::Invalid { field: None }),
        ("CreateServiceSpecificCredential", "LimitExceeded", 409, FaultKind::Refused),
        ("CreateServiceSpecificCredential", "ServiceFailure", 500, FaultKind::Unknown),
    ]
    .into_iter()
    .enumerate()
    {
        server.order(action, code, status, 1).await;
        let fault = stage.issue(&name(number), DAY).await.map(drop).expect_err(code);
        assert_eq!(fault.kind, kind, "{code}: {fault}");
        assert!(fault.text.contains(code), "{fault}");
        assert_eq!(stage.list(PREFIX).await.expect("a listing").0.len(), 0, "{code}");
    }
    server.assert_by_the_model().await;
}

#[tokio::test]
async fn a_user_is_made_once_and_what_may_have_been_made_stays_unknown() {
    let server = Server::start();
    let stage = server.stage();
    for (code, status, kind) in [
        ("LimitExceeded", 409, FaultKind::Refused),
        ("InvalidInput", 400, FaultKind::Invalid { field: None }),
        ("ServiceFailure", 500, FaultKind::Unknown),
        ("EntityAlreadyExists", 409, FaultKind::Unknown),
    ] {
        let before = server.actions().await.len();
        server.order("CreateUser", code, status, 1).await;
        let fault = stage.issue(&name(1), DAY).await.map(drop).expect_err(code);
        assert_eq!(fault.kind, kind, "{code}: {fault}");
        assert_eq!(server.actions().await.len(), before + 1, "{code}: nothing else is asked");
    }
    // Nothing was done after these, so that it is asked again.
    for (code, status) in [("Throttling", 400), ("ConcurrentModification", 409)] {
        server.order("CreateUser", code, status, 1).await;
        let issued = stage.issue(&name(1), DAY).await.expect(code);
        assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now));
    }
}

#[tokio::test]
async fn a_fresh_user_that_is_not_known_everywhere_yet_is_waited_for() {
    let server = Server::start();
    let stage = server.stage();
    server.order("CreateServiceSpecificCredential", "NoSuchEntity", 404, 1).await;
    let fault = stage.issue(&name(1), DAY).await.map(drop).expect_err("another thing that is not there");
    assert_eq!(fault.kind, FaultKind::Invalid { field: None }, "{fault}");
    server
        .order_saying(
            "CreateServiceSpecificCredential",
            "NoSuchEntity",
            404,
            2,
            "The user with name x cannot be found.",
        )
        .await;
    let issued = stage.issue(&name(2), DAY).await.expect("a key after all");
    // What was deleted may still be in the way of its user.
    server.order("DeleteUser", "DeleteConflict", 409, 1).await;
    assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now));
    assert_eq!(stage.list(PREFIX).await.expect("a listing").0.len(), 0);
}

#[tokio::test]
async fn a_key_ends_first_and_a_failed_end_can_be_repeated() {
    let server = Server::start();
    let stage = server.stage();
    for action in ["ListServiceSpecificCredentials", "ListAttachedUserPolicies", "DetachUserPolicy", "DeleteUser"] {
        let issued = stage.issue(&name(1), DAY).await.expect("a key");
        server.order(action, "AccessDenied", 403, 1).await;
        let fault = stage.end(&issued.key).await.expect_err(action);
        assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
        let (found, _) = stage.list(PREFIX).await.expect("a listing");
        assert!(found.iter().all(|found| !found.is_key), "{action}: the key is gone");
        assert_eq!(stage.end(&issued.key).await, Ok(Gone::Now), "{action}");
    }
    server.assert_by_the_model().await;
}

#[tokio::test]
async fn a_listing_goes_through_all_pages_and_knows_its_own() {
    let server = Server::start();
    let stage = server.stage();
    server.page_size(3).await;
    for number in 0..4 {
        stage.issue(&name(number), DAY).await.expect("a key");
    }
    stage.issue("somebody-elses", DAY).await.expect("a key");
    let elsewhere = server.stage_with("admin", json!({"user_path": "/other/"}));
    elsewhere.issue(&name(9), DAY).await.expect("a key");
    let (found, pages) = stage.list(PREFIX).await.expect("a listing");
    let keys = found.iter().filter(|found| found.is_key).count();
    // A credential has no path; the users' listing is of its path only.
    assert_eq!((keys, found.len() - keys, pages), (5, 4, 4));
    server.assert_by_the_model().await;
}

#[tokio::test]
async fn another_accounts_word_counts_for_nothing() {
    let server = Server::start();
    let own = server.stage();
    let issued = own.issue(&name(1), DAY).await.expect("a key");
    assert_eq!(own.end(&issued.key).await, Ok(Gone::Now));
    let other = server.stage_with("admin", json!({"account_id": "210987654321"}));
    let fault = other.end(&issued.key).await.expect_err("no proof");
    assert!(fault.kind == FaultKind::Refused && fault.text.contains(ACCOUNT), "{fault}");
    let fault = other.list(PREFIX).await.map(drop).expect_err("another account's");
    assert!(fault.kind == FaultKind::Refused && fault.text.contains(ACCOUNT), "{fault}");
    let fault = other.issue(&name(2), DAY).await.map(drop).expect_err("another account");
    assert!(fault.kind == FaultKind::Refused && fault.text.contains(ACCOUNT), "{fault}");
    assert_eq!(own.list(PREFIX).await.expect("a listing").0.len(), 0, "it was undone");
    let probe = other.probe().await.expect("an answer");
    assert!(probe.missing[0].contains("account_id"), "{probe:?}");
}

#[tokio::test]
async fn a_credential_that_does_not_do_is_told_apart() {
    let server = Server::start();
    let probe = server.stage().probe().await.expect("an answer");
    let identity = format!("account {ACCOUNT} (arn:aws:iam::{ACCOUNT}:user/admin)");
    assert_eq!((probe.identity, probe.missing), (Some(identity), Vec::new()));
    let probe = server.stage_with("nobody", json!({})).probe().await.expect("an answer");
    let lacks: Vec<bool> = ["iam:ListUsers", "iam:ListServiceSpecificCredentials"]
        .iter()
        .zip(&probe.missing)
        .map(|(action, missing)| missing.contains(action))
        .collect();
    assert_eq!(lacks, [true, true], "{probe:?}");
    for change in [
        json!({"secret_access_key": "hunter22hunter22hunter22"}),
        json!({"access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "hunter22hunter22hunter22"}),
    ] {
        let stage = server.stage_with("admin", change);
        for fault in [
            stage.probe().await.map(drop).expect_err("refused"),
            stage.issue(&name(1), DAY).await.map(drop).expect_err("refused"),
        ] {
            assert_eq!(fault.kind, FaultKind::Refused, "{fault}");
            assert!(!fault.text.contains("hunter22"), "{fault}");
        }
    }
}
