//! Credentials of an account's own, at every vendor that makes such: found and ended as other keys are, and as good as the
//! one that they take the place of.

use vault_plugin_secrets_ai::providers::{Gone, Purpose};

use super::stage::Stage;

#[tokio::test]
async fn a_credential_that_was_made_takes_the_place_of_the_one_that_made_it() {
    let stages = Stage::all().await.into_iter();
    let stages: Vec<_> = stages.filter(|stage| stage.vendor.about().can.purposes.contains(&Purpose::Admin)).collect();
    assert!(stages.len() >= 4, "only {} stages", stages.len());
    Stage::each(stages, async |stage| {
        let label = stage.label.clone();
        let first = stage.credential().to_owned();
        let (name, issued) = stage.issue_admin().await;
        let found = stage.named(&name).await;
        assert!(found.len() == 1 && found[0].is_key, "{label}: {found:?}");
        assert_eq!(found[0].key.id, issued.key.id, "{label}");
        let stage = stage.with_credential(issued.secret.expose());
        let probe = stage.probe().await.unwrap_or_else(|fault| panic!("{label}: {fault}"));
        assert!(probe.missing.is_empty(), "{label}: {probe:?}");
        // It makes keys, another credential, and ends both.
        let (_, key) = stage.issue().await;
        assert_eq!(stage.try_key(&key).await, 200, "{label}");
        let (_, second) = stage.issue_admin().await;
        assert_eq!(stage.end(&key.key).await, Ok(stage.ends), "{label}");
        assert_eq!(stage.end(&issued.key).await, Ok(stage.ends), "{label}: by its own hand");
        assert!(stage.probe().await.is_err(), "{label}: it is gone");
        let stage = stage.with_credential(second.secret.expose());
        stage.probe().await.unwrap_or_else(|fault| panic!("{label}: {fault}"));
        assert_eq!(stage.end(&issued.key).await, Ok(Gone::Already), "{label}");
        assert_eq!(stage.end(&second.key).await, Ok(stage.ends), "{label}");
        stage.with_credential(&first).probe().await.unwrap_or_else(|fault| panic!("{label}: {fault}"));
    })
    .await;
}
