//! No key is lost, whatever fails.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use vault_plugin_secrets_ai::logical::{Entry, Error, Storage};

use crate::support::bench::{Bench, eventually};
use crate::support::case::{CASES, Case};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_key_whose_creation_was_cut_off_is_found_and_deleted() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        bench
            .simulator
            .faults(json!([{"vendor": case.provider, "method": "POST", "kind": "drop_after", "times": -1}]))
            .await;
        let Err(error) = mount.creds().await else { panic!("{}: the answer was lost", case.provider) };
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{}: {error}", case.provider);
        assert_eq!(bench.simulator.live(case.provider).await.len(), 1, "{}: made all the same", case.provider);
        bench.simulator.faults(json!([])).await;
        bench.advance(3 * MINUTE).await;
        mount.tick().await;
        eventually("the key is deleted", async || bench.simulator.live(case.provider).await.is_empty()).await;
        // Where only what goes with a key was made, a key might still show.
        for minutes in [10, 55] {
            tokio::time::sleep(Duration::from_millis(100)).await;
            bench.advance(minutes * MINUTE).await;
            mount.tick().await;
        }
        eventually("its row is gone", async || bench.rows().await.is_empty()).await;
    }
}

#[tokio::test]
async fn a_lagging_listing_orphans_nothing() {
    let case = Case::named("openai");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    bench.simulator.settings(json!({"list_lag_seconds": 300})).await;
    bench.simulator.faults(json!([{"vendor": "openai", "method": "POST", "kind": "drop_after"}])).await;
    assert!(mount.creds().await.is_err());
    bench.advance(3 * MINUTE).await;
    mount.tick().await;
    eventually("it was looked for", async || {
        let state = bench.simulator.state().await;
        state["requests"].to_string().contains("api_keys")
    })
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(bench.rows().await.len(), 1, "not found proves nothing");
    bench.advance(10 * MINUTE).await;
    mount.tick().await;
    eventually("the second look finds it", async || bench.simulator.live("openai").await.is_empty()).await;
    eventually("its row is gone", async || bench.rows().await.is_empty()).await;
}

#[tokio::test]
async fn a_row_of_a_key_that_was_never_made_goes_after_the_third_look() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    bench.simulator.faults(json!([{"vendor": "openai", "method": "POST", "kind": "drop_before"}])).await;
    assert!(mount.creds().await.is_err());
    for (advance, left) in [(3, 1), (8, 1), (50, 0)] {
        bench.advance(advance * MINUTE).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(bench.rows().await.len(), left, "after {advance} more minutes");
    }
}

#[tokio::test]
async fn a_refusal_leaves_no_row() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    bench.simulator.faults(json!([{"vendor": "openai", "method": "POST", "kind": "hostile", "status": 400}])).await;
    let Err(error) = mount.creds().await else { panic!("refused") };
    assert!(matches!(error, Error::Refused(_)), "{error}");
    let text = error.to_string();
    assert!(!text.contains('\n') && !text.contains("sk-admin"), "{text}");
    assert!(bench.rows().await.is_empty());
}

#[tokio::test]
async fn storage_that_fails_at_the_second_write_undoes_the_key() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        *bench.storage.fail_put.lock().expect("not poisoned") = Some(1);
        assert!(mount.creds().await.is_err(), "never handed out");
        assert!(bench.simulator.live(case.provider).await.is_empty(), "{}", case.provider);
        assert_eq!(bench.simulator.created(case.provider).await, 1);
        assert!(bench.rows().await.is_empty());
    }
}

#[tokio::test]
async fn storage_that_fails_at_the_first_write_asks_no_vendor() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    *bench.storage.fail_put.lock().expect("not poisoned") = Some(0);
    assert!(mount.creds().await.is_err());
    assert_eq!(bench.simulator.created("openai").await, 0);
}

#[tokio::test]
async fn a_live_key_without_a_lease_dies_an_hour_after_its_deadline() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        mount.creds().await.expect("a key whose lease the host never stored");
        drop(mount);
        let mount = bench.mount().await;
        bench.advance(65 * MINUTE).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(bench.rows().await.len(), 1, "the host may still revoke it");
        bench.advance(10 * MINUTE).await;
        mount.tick().await;
        eventually("its row is gone", async || bench.rows().await.is_empty()).await;
        assert!(bench.simulator.live(case.provider).await.is_empty(), "{}", case.provider);
    }
}

#[tokio::test]
async fn a_failed_revocation_is_tried_until_it_succeeds() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        let issued = mount.creds().await.expect("a key");
        bench
            .simulator
            .faults(json!([{"vendor": case.provider, "kind": "error_before", "status": 503, "times": -1}]))
            .await;
        let error = mount.revoke(&issued).await.expect_err("the vendor is out");
        assert!(matches!(error, Error::Transient(_)), "{error}");
        bench.advance(2 * MINUTE).await;
        mount.tick().await;
        bench.simulator.faults(json!([])).await;
        bench.advance(5 * MINUTE).await;
        mount.tick().await;
        eventually("the key is deleted", async || bench.simulator.live(case.provider).await.is_empty()).await;
        eventually("its row is gone", async || bench.rows().await.is_empty()).await;
        mount.revoke(&issued).await.expect("the host's next try succeeds");
    }
}

#[tokio::test]
async fn keys_outlive_their_role_and_config_only_until_they_are_revoked() {
    let case = Case::named("openai");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    let (before, after) = (mount.creds().await.expect("a key"), mount.creds().await.expect("a key"));
    // The same name points to another project: a new generation.
    mount.write("config/main", json!({"project_id": "proj_sim2"})).await.expect("re-pointed");
    mount.revoke(&before).await.expect("revoked from the retired generation");
    mount.delete("roles/dev").await.expect("deleted");
    mount.delete("config/main").await.expect("deleted");
    assert!(matches!(mount.creds().await, Err(Error::Invalid(_))));
    assert!(matches!(mount.renew(&after, Duration::ZERO).await, Err(Error::Invalid(_))), "its role is gone");
    mount.revoke(&after).await.expect("revoked after its config is gone");
    assert!(bench.simulator.live("openai").await.is_empty());
    mount.tick().await;
    eventually("retired accounts go with their last key", async || {
        bench.storage.list("retired/").await.expect("listed").is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_unmount_leaves_no_key() {
    for case in &CASES {
        let bench = Bench::new();
        let mount = bench.mount_with(case).await;
        mount.creds().await.expect("a live key without a lease");
        let failing = mount.creds().await.expect("a key");
        bench
            .simulator
            .faults(json!([{"vendor": case.provider, "method": "POST", "kind": "drop_after", "times": -1}]))
            .await;
        assert!(mount.creds().await.is_err(), "an unresolved mint");
        bench
            .simulator
            .faults(json!([{"vendor": case.provider, "kind": "error_before", "status": 500, "times": -1}]))
            .await;
        assert!(mount.revoke(&failing).await.is_err(), "a failed revocation");
        bench.simulator.faults(json!([])).await;
        bench.system.tainted.store(true, Ordering::SeqCst);
        mount.tick().await;
        let Err(error) = mount.creds().await else { panic!("no new keys") };
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        mount.cleanup().await;
        assert!(bench.simulator.live(case.provider).await.is_empty(), "{}", case.provider);
        // At most the row of the unresolved mint is left, named in the log: nothing proves that no key will show.
        assert!(bench.rows().await.len() <= 1, "{}", case.provider);
    }
}

#[tokio::test]
async fn a_reload_ends_no_key() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    mount.creds().await.expect("a key");
    mount.cleanup().await;
    assert_eq!(bench.simulator.live("openai").await.len(), 1);
    assert_eq!(bench.rows().await.len(), 1);
}

#[tokio::test]
async fn a_mount_whose_storage_was_moved_does_nothing_and_says_what_to_do() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    mount.creds().await.expect("a key");
    bench.system.tainted.store(true, Ordering::SeqCst);
    mount.tick().await;
    // The host has moved everything away.
    bench.storage.delete("meta").await.expect("deleted");
    bench.system.tainted.store(false, Ordering::SeqCst);
    for path in ["creds/dev", "roles/dev", "config/main"] {
        let error = mount.read(path).await.expect_err("moved");
        assert!(matches!(&error, Error::Unavailable(text) if text.contains("sys/plugins/reload/backend")), "{error}");
    }
    mount.cleanup().await;
    assert_eq!(bench.simulator.live("openai").await.len(), 1, "another instance owns it now");
}

#[tokio::test]
async fn a_mount_that_was_not_disabled_after_all_works_again() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    bench.system.tainted.store(true, Ordering::SeqCst);
    mount.tick().await;
    assert!(mount.creds().await.is_err());
    bench.system.tainted.store(false, Ordering::SeqCst);
    mount.creds().await.expect("a key");
}

#[tokio::test]
async fn an_outage_of_half_an_hour_loses_none_of_a_hundred_keys() {
    let case = Case::named("litellm");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    let mut issued = Vec::new();
    for _ in 0..100 {
        issued.push(mount.creds().await.expect("a key"));
    }
    bench.simulator.faults(json!([{"vendor": "litellm", "kind": "error_before", "status": 503, "times": -1}])).await;
    let revoked = futures_util::future::join_all(issued.iter().map(|issued| mount.revoke(issued))).await;
    assert!(revoked.iter().all(Result::is_err));
    for _ in 0..6 {
        bench.advance(5 * MINUTE).await;
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bench.simulator.faults(json!([])).await;
    bench.advance(60 * MINUTE).await;
    mount.tick().await;
    eventually("every key is deleted", async || bench.simulator.live("litellm").await.is_empty()).await;
    eventually("every row is gone", async || bench.rows().await.is_empty()).await;
}

#[tokio::test]
async fn a_taint_that_goes_away_costs_no_retired_account() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("openai")).await;
    let issued = mount.creds().await.expect("a key");
    mount.write("config/main", json!({"project_id": "proj_sim2"})).await.expect("re-pointed");
    bench.system.tainted.store(true, Ordering::SeqCst);
    mount.tick().await;
    bench.system.tainted.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        mount.tick().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    mount.revoke(&issued).await.expect("its account is still there");
    assert!(bench.simulator.live("openai").await.is_empty());
}

#[tokio::test]
async fn a_lease_whose_key_was_ended_and_whose_config_is_gone_is_revoked() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("litellm")).await;
    let issued = mount.creds().await.expect("a key");
    let id = bench.rows().await[0].clone();
    mount.delete(&format!("keys/{id}")).await.expect("ended");
    mount.delete("config/main").await.expect("deleted");
    mount.tick().await;
    eventually("the retired account goes", async || bench.storage.list("retired/").await.expect("listed").is_empty())
        .await;
    mount.revoke(&issued).await.expect("nothing is left to do");
}

#[tokio::test]
async fn an_old_key_is_ended_with_the_newer_credential_of_the_same_account() {
    let case = Case::named("litellm");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    let issued = mount.creds().await.expect("a key");
    mount.delete("config/main").await.expect("deleted");
    // What was stored is a credential that the vendor refuses by now.
    let key = format!("retired/main/{}", bench.storage.list("retired/main/").await.expect("listed")[0]);
    let old = bench.storage.get(&key).await.expect("read").expect("stored");
    let value = old.expose().replace(case.admin_key, "sk-refused-by-now-0000").into();
    bench.storage.put(Entry { key, value, seal_wrap: true }).await.expect("stored");
    assert!(mount.revoke(&issued).await.is_err());
    mount.write("config/main", case.config(&bench.simulator.url)).await.expect("written again");
    mount.revoke(&issued).await.expect("revoked");
    assert!(bench.simulator.live("litellm").await.is_empty());
}

#[tokio::test]
async fn another_accounts_word_on_a_key_settles_nothing() {
    // At OpenRouter nothing but the credential says which account it is.
    let case = Case::named("openrouter");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    let issued = mount.creds().await.expect("a key");
    mount.delete("config/main").await.expect("deleted");
    let key = format!("retired/main/{}", bench.storage.list("retired/main/").await.expect("listed")[0]);
    let old = bench.storage.get(&key).await.expect("read").expect("stored");
    let value = old.expose().replace(case.admin_key, "sk-refused-by-now-0000").into();
    bench.storage.put(Entry { key, value, seal_wrap: true }).await.expect("stored");
    mount.write("config/main", case.config(&bench.simulator.url)).await.expect("written again");
    bench.simulator.delete_by_hand("openrouter", issued.text("key_id")).await;
    bench.advance(5 * MINUTE).await;
    assert!(mount.revoke(&issued).await.is_err(), "the key may live on in the account that made it");
    assert_eq!(bench.rows().await.len(), 1);
    // What the vendor granted is over for certain.
    bench.advance(180 * MINUTE).await;
    mount.tick().await;
    eventually("the row ends with the vendor's expiry", async || bench.rows().await.is_empty()).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_neither_sweep_nor_unmount() {
    let case = Case::named("litellm");
    let bench = Bench::new();
    let mount = bench.mount_with(&case).await;
    mount.creds().await.expect("a key");
    let entry = Entry { key: "ledger/aa/aaaaaaaaaaaaaaaa".into(), value: r#"{"v":9}"#.into(), seal_wrap: false };
    bench.storage.put(entry).await.expect("stored");
    drop(mount);
    let mount = bench.mount().await;
    bench.advance(90 * MINUTE).await;
    mount.tick().await;
    eventually("the sweep goes on", async || bench.simulator.live("litellm").await.is_empty()).await;
    mount.creds().await.expect("a key");
    bench.system.tainted.store(true, Ordering::SeqCst);
    mount.tick().await;
    mount.cleanup().await;
    assert!(bench.simulator.live("litellm").await.is_empty(), "the unmount goes on");
    assert_eq!(bench.rows().await, ["aaaaaaaaaaaaaaaa"], "left alone");
}

#[tokio::test]
async fn a_panic_over_a_row_holds_up_no_other_and_the_row_is_settled_once_it_can_be() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("litellm")).await;
    for _ in 0..3 {
        mount.creds().await.expect("a key");
    }
    let row = bench.rows().await.remove(0);
    *bench.storage.panics_at.lock().expect("not poisoned") = Some(row.clone());
    bench.advance(90 * MINUTE).await;
    mount.tick().await;
    eventually("the others are ended", async || bench.rows().await == [row.clone()]).await;
    *bench.storage.panics_at.lock().expect("not poisoned") = None;
    bench.advance(90 * MINUTE).await;
    mount.tick().await;
    eventually("and this one", async || bench.rows().await.is_empty()).await;
    assert!(bench.simulator.live("litellm").await.is_empty());
}

#[tokio::test]
async fn one_keys_refusal_does_not_hold_up_the_others() {
    let bench = Bench::new();
    let mount = bench.mount_with(&Case::named("litellm")).await;
    for _ in 0..20 {
        mount.creds().await.expect("a key");
    }
    bench
        .simulator
        .faults(json!([{"vendor": "litellm", "path_contains": "delete", "kind": "hostile", "status": 400, "times": 5}]))
        .await;
    bench.advance(90 * MINUTE).await;
    mount.tick().await;
    eventually("the others are ended", async || bench.simulator.live("litellm").await.len() <= 5).await;
}

/// Pinecone answers 202: it has taken the order.
#[tokio::test]
async fn a_deletion_that_the_vendor_only_took_keeps_its_row_until_the_key_is_gone() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    let example = bench.simulator.get("/_control/examples").await["pinecone"].clone();
    let mut config = example["config"].clone();
    config["provider"] = "pinecone".into();
    mount.write("config/main", config).await.expect("a config");
    let mut role = example["role"].clone();
    role["config"] = "main".into();
    mount.write("roles/dev", role).await.expect("a role");
    let issued = mount.creds().await.expect("a key");
    mount.revoke(&issued).await.expect("taken");
    let [id] = &bench.rows().await[..] else { panic!("its row stays") };
    let row = mount.read(&format!("keys/{id}")).await.expect("a row").data.expect("data");
    assert_eq!(row["state"], "revoking");
    bench.advance(Duration::from_secs(120)).await;
    mount.tick().await;
    eventually("the vendor has confirmed it", async || bench.rows().await.is_empty()).await;
}
