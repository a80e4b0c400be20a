//! Keys that somebody else made: lent to one borrower at a time, and on only while they are out.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::logical::{Error, Object, Operation};

use crate::support::bench::{Bench, Caller, Issued, Mounted, eventually};
use crate::support::console_keys::{active, by_hand, config, id, secret, try_key};

const MINUTE: Duration = Duration::from_secs(60);

fn borrower(name: &str) -> Caller {
    Caller { accessor: format!("accessor-{name}"), entity: String::new() }
}

/// A mount with the console's account, and a set of so many of its keys.
async fn mounted(bench: &Bench, keys: usize) -> Mounted {
    let mount = bench.mount().await;
    mount.write("config/console", config(&bench.simulator)).await.expect("a config");
    mount.write("library/team", json!({"config": "console", "ttl": "10m", "max_ttl": "1h"})).await.expect("a set");
    for number in 1..=keys {
        add(&mount, "team", number).await.expect("a key");
    }
    mount
}

async fn add(mount: &Mounted, set: &str, number: usize) -> Result<(), Error> {
    let path = format!("library/{set}/keys/{}", id(number));
    mount.write(&path, json!({"api_key": secret(number)})).await.map(drop)
}

async fn status(mount: &Mounted) -> Object {
    mount.read("library/team/status").await.expect("read").data.expect("data")
}

#[track_caller]
fn refused<T>(outcome: Result<T, Error>, says: &str) {
    let error = outcome.err().expect("refused").to_string();
    assert!(error.contains(says), "{error}");
}

#[tokio::test]
async fn a_key_works_only_while_it_is_checked_out() {
    let bench = Bench::new();
    let mount = mounted(&bench, 1).await;
    assert_eq!(try_key(&bench.simulator, &secret(1)).await, 401);
    let issued = mount.check_out(&borrower("a"), "team", json!({})).await.expect("a key");
    assert_eq!((issued.text("api_key"), issued.text("key_id")), (secret(1).as_str(), id(1).as_str()));
    assert_eq!((issued.lease.ttl, issued.lease.max_ttl), (10 * MINUTE, 60 * MINUTE));
    assert!(issued.lease.renewable && issued.data["revocable"] == true);
    assert_eq!(issued.text("base_url"), format!("{}/anthropic-console", bench.simulator.url));
    assert!(!format!("{:?}", issued.lease).contains(&secret(1)), "the lease holds no key");
    assert_eq!(try_key(&bench.simulator, &secret(1)).await, 200);
    let shown = &status(&mount).await[&id(1)];
    assert_eq!((&shown["available"], &shown["state"]), (&json!(false), &json!("checked out")));
    assert_eq!(
        (&shown["borrower_accessor"], &shown["borrower_display_name"]),
        (&json!("accessor-a"), &json!("token-test"))
    );
    refused(mount.check_out(&borrower("b"), "team", json!({})).await, "of 1, 1 are checked out and 0 quarantined");
    let row = bench.rows().await.pop().expect("a row");
    let row = mount.read(&format!("keys/{row}")).await.expect("read").data.expect("data");
    assert_eq!((&row["kind"], &row["role"], &row["key_id"]), (&json!("library"), &json!("team"), &json!(id(1))));
    mount.renew(&issued, 20 * MINUTE).await.expect("renewed");
    mount.revoke(&issued).await.expect("revoked");
    assert_eq!(try_key(&bench.simulator, &secret(1)).await, 401);
    assert_eq!(status(&mount).await[&id(1)], json!({"available": true, "state": "available"}));
    assert!(bench.rows().await.is_empty());
    refused(mount.renew(&issued, MINUTE).await, "was checked in");
    let listed = |path: &'static str| mount.send(Operation::List, path, json!({"limit": 5}));
    assert_eq!(listed("library/").await.expect("listed").data.expect("data")["keys"], json!(["team"]));
    assert_eq!(listed("library/team/keys/").await.expect("listed").data.expect("data")["keys"], json!([id(1)]));
    // A lease that is over says nothing about who has the key now.
    mount.check_out(&borrower("b"), "team", json!({})).await.expect("a key");
    mount.revoke(&issued).await.expect("revoked again");
    assert_eq!(try_key(&bench.simulator, &secret(1)).await, 200);
}

#[tokio::test]
async fn fifty_borrowers_at_once_never_share_one_of_ten_keys() {
    let bench = Bench::new();
    let mount = mounted(&bench, 10).await;
    let (mut lent, mut refused_calls) = (0, 0);
    for round in 0..6 {
        let ask = |number: usize| {
            let (mount, caller) = (&mount, borrower(&number.to_string()));
            async move { mount.check_out(&caller, "team", json!({})).await }
        };
        let outcomes = futures_util::future::join_all((0..50).map(ask)).await;
        let (keys, errors): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        let keys: Vec<Issued> = keys.into_iter().flatten().collect();
        let distinct: BTreeSet<&str> = keys.iter().map(|issued| issued.text("key_id")).collect();
        assert_eq!((keys.len(), distinct.len(), errors.len()), (10, 10, 40), "round {round}");
        assert!(errors.iter().flat_map(|error| error.as_ref().err()).all(|error| matches!(error, Error::Invalid(_))));
        assert_eq!(active(&bench.simulator).await.len(), 10);
        lent += keys.len();
        refused_calls += errors.len();
        futures_util::future::join_all(keys.iter().map(|issued| mount.revoke(issued))).await;
        assert!(active(&bench.simulator).await.is_empty() && bench.rows().await.is_empty());
    }
    println!("{lent} check-outs and {refused_calls} refusals: no key was ever with two");
}

#[tokio::test]
async fn borrowers_that_come_and_go_never_meet() {
    let bench = Bench::new();
    let mount = mounted(&bench, 3).await;
    let holders = std::sync::Mutex::new(BTreeSet::<String>::new());
    let borrow = |number: usize| {
        let (mount, holders, bench) = (&mount, &holders, &bench);
        async move {
            let caller = borrower(&number.to_string());
            for turn in 0..8 {
                let Ok(issued) = mount.check_out(&caller, "team", json!({})).await else { continue };
                let key = issued.text("key_id").to_owned();
                assert!(holders.lock().expect("not poisoned").insert(key.clone()), "{key} is with two");
                assert_eq!(try_key(&bench.simulator, issued.text("api_key")).await, 200, "{key}");
                tokio::task::yield_now().await;
                assert!(holders.lock().expect("not poisoned").remove(&key));
                if (number + turn).is_multiple_of(2) {
                    mount.revoke(&issued).await.expect("revoked");
                } else {
                    let path = "library/team/check-in";
                    mount.send_as(&caller, Operation::Update, path, json!({})).await.expect("checked in");
                }
            }
        }
    };
    futures_util::future::join_all((0..12).map(borrow)).await;
    assert!(active(&bench.simulator).await.is_empty() && bench.rows().await.is_empty());
}

#[tokio::test]
async fn only_the_borrower_checks_a_key_in() {
    let bench = Bench::new();
    let mount = mounted(&bench, 2).await;
    let check_in = async |caller: &Caller, path: &str, data: Value| {
        let answer = mount.send_as(caller, Operation::Update, path, data).await;
        answer.map(|answer| answer.data.expect("data")["check_ins"].clone())
    };
    let own = "library/team/check-in";
    let (alice, mallory) = (borrower("alice"), borrower("mallory"));
    let first = mount.check_out(&alice, "team", json!({})).await.expect("a key").text("key_id").to_owned();
    refused(check_in(&mallory, own, json!({"key_ids": [first]})).await, "was not checked out by the caller");
    refused(check_in(&Caller::default(), own, json!({"key_ids": [first]})).await, "was not checked out by the caller");
    assert_eq!(check_in(&mallory, own, json!({})).await.expect("nothing of hers"), json!([]));
    assert_eq!(active(&bench.simulator).await.len(), 1);
    // The same person with another token.
    let entity = |accessor: &str| Caller { accessor: accessor.into(), entity: "entity-1".into() };
    let second = mount.check_out(&entity("one"), "team", json!({})).await.expect("a key").text("key_id").to_owned();
    assert_eq!(check_in(&entity("two"), own, json!({})).await.expect("checked in"), json!([second]));
    assert_eq!(check_in(&alice, own, json!({"key_ids": first})).await.expect("checked in"), json!([first]));
    assert_eq!(check_in(&alice, own, json!({"key_ids": [first]})).await.expect("again"), json!([]), "it is back");
    assert!(active(&bench.simulator).await.is_empty());
    // By force, and where anybody may.
    mount.check_out(&alice, "team", json!({})).await.expect("a key");
    mount.check_out(&alice, "team", json!({})).await.expect("a key");
    refused(check_in(&alice, own, json!({})).await, "key_ids");
    let forced = check_in(&mallory, "library/manage/team/check-in", json!({"key_ids": [id(1)]})).await;
    assert_eq!(forced.expect("by force"), json!([id(1)]));
    mount.write("library/team", json!({"disable_check_in_enforcement": true})).await.expect("written");
    assert_eq!(check_in(&mallory, own, json!({})).await.expect("anybody"), json!([id(2)]));
    assert!(active(&bench.simulator).await.is_empty() && bench.rows().await.is_empty());
    refused(check_in(&alice, own, json!({"key_ids": ["../../config/console"]})).await, "key_ids");
    refused(check_in(&alice, own, json!({"key_ids": ["no-such"]})).await, "no key \"no-such\"");
}

#[tokio::test]
async fn a_key_that_was_tampered_with_or_is_missing_is_quarantined_and_shown() {
    let bench = Bench::new();
    let mount = mounted(&bench, 4).await;
    by_hand(&bench.simulator, 1, "active").await;
    by_hand(&bench.simulator, 2, "archived").await;
    bench.simulator.delete_by_hand("anthropic-console", &id(3)).await;
    // Whichever is looked at first: only the fourth is lent, and none of the others ever.
    let issued = mount.check_out(&borrower("a"), "team", json!({})).await.expect("a key");
    assert_eq!(issued.text("key_id"), id(4));
    refused(mount.check_out(&borrower("b"), "team", json!({})).await, "1 are checked out and 3 quarantined");
    let shown = status(&mount).await;
    for (number, why) in
        [(1, "switched on while nobody had it"), (2, "is archived at the vendor"), (3, "is not at the vendor")]
    {
        let key = &shown[&id(number)];
        assert_eq!((&key["available"], &key["state"]), (&json!(false), &json!("quarantined")), "{number}");
        assert!(key["quarantined_because"].as_str().expect("text").contains(why), "{key}");
    }
    // Whoever switched it on is cut off; what is archived is not brought back by being switched off.
    eventually("off", async || active(&bench.simulator).await == [id(4)]).await;
    mount.revoke(&issued).await.expect("revoked");
    eventually("no row", async || bench.rows().await.is_empty()).await;
    // Written again, it is looked at again.
    refused(add(&mount, "team", 2).await, "is archived at the vendor");
    refused(add(&mount, "team", 3).await, "is not at the vendor any more");
    add(&mount, "team", 1).await.expect("back");
    assert_eq!(status(&mount).await[&id(1)]["state"], "available");
    for number in [2, 3] {
        mount.delete(&format!("library/team/keys/{}", id(number))).await.expect("taken out");
    }
    assert_eq!(status(&mount).await.len(), 2);
}

#[tokio::test]
async fn a_key_that_is_on_is_added_only_by_switching_it_off() {
    let bench = Bench::new();
    let mount = mounted(&bench, 0).await;
    by_hand(&bench.simulator, 1, "active").await;
    refused(add(&mount, "team", 1).await, "\"switch_off\": is required");
    assert_eq!(active(&bench.simulator).await, [id(1)], "nothing was done");
    let path = format!("library/team/keys/{}", id(1));
    mount.write(&path, json!({"api_key": secret(1), "switch_off": true})).await.expect("written");
    assert!(active(&bench.simulator).await.is_empty() && bench.rows().await.is_empty());
    // Where the vendor cannot be asked just then, the sweep goes on, and the key waits.
    by_hand(&bench.simulator, 2, "active").await;
    let fault =
        json!({"vendor": "anthropic-console", "method": "POST", "kind": "error_before", "status": 503, "times": -1});
    bench.simulator.faults(json!([fault])).await;
    let path = format!("library/team/keys/{}", id(2));
    let written = mount.write(&path, json!({"api_key": secret(2), "switch_off": true})).await.expect("written");
    assert!(written.warnings[0].contains("lent to nobody before"), "{:?}", written.warnings);
    assert_eq!(status(&mount).await[&id(2)]["state"], "returning");
    bench.simulator.faults(json!([])).await;
    bench.advance(2 * MINUTE).await;
    mount.tick().await;
    eventually("off", async || active(&bench.simulator).await.is_empty()).await;
    eventually("back", async || status(&mount).await[&id(2)]["state"] == "available").await;
}

#[tokio::test]
async fn bad_keys_and_sets_are_refused_by_the_field() {
    let bench = Bench::new();
    let mount = mounted(&bench, 1).await;
    let body = |key: &str| json!({"api_key": key});
    let path = |set: &str, number: usize| format!("library/{set}/keys/{}", id(number));
    refused(mount.write(&path("team", 2), json!({})).await, "\"api_key\": is required");
    refused(mount.write(&path("team", 2), body("sk ant")).await, "api_key");
    // The vendor shows the ends of a key.
    refused(mount.write(&path("team", 2), body(&secret(3))).await, "is not that of key");
    refused(mount.write("library/team/keys/apikey_01none", body("sk-ant-1")).await, "is not at the vendor any more");
    refused(mount.write("library/none/keys/a", body("sk-ant-1")).await, "library set \"none\" does not exist");
    mount.write("library/other", json!({"config": "console"})).await.expect("a set");
    refused(mount.write(&path("other", 1), body(&secret(1))).await, "of library set \"team\" already");
    let plain = mount.write("library/plain", json!({})).await.expect("a set");
    assert!(plain.warnings[0].contains("nobody switches the keys"), "{:?}", plain.warnings);
    refused(mount.write("library/plain/keys/mine", body(&secret(1))).await, "of library set \"team\" already");
    refused(mount.write("library/manage", json!({})).await, "cannot be manage");
    refused(mount.write("library/team", json!({"config": "other"})).await, "stays as it is");
    refused(mount.write("library/new", json!({"config": "none"})).await, "config \"none\" does not exist");
    refused(mount.write("library/team", json!({"ttl": "2h"})).await, "more than max_ttl");
    refused(mount.send(Operation::Patch, "library/none", json!({})).await, "does not exist");
    refused(mount.read("library/none/status").await, "does not exist");
    refused(mount.check_out(&borrower("a"), "none", json!({})).await, "does not exist");
    refused(mount.check_out(&borrower("a"), "other", json!({})).await, "has no keys");
    refused(mount.check_out(&borrower("a"), "team", json!({"ttl": 0})).await, "ttl");
    // An account that makes no keys has no roles; one that makes them has no set.
    refused(mount.write("roles/dev", json!({"config": "console"})).await, "whose API makes no keys");
    let config = json!({"provider": "xai", "management_key": "k", "team_id": "t", "verify": false,
        "api_url": format!("{}/xai", bench.simulator.url)});
    mount.write("config/xai", config).await.expect("a config");
    refused(mount.write("library/new", json!({"config": "xai"})).await, "keys cannot be switched on and off");
    // allowed_roles holds for sets.
    mount.write("config/console", json!({"allowed_roles": "none"})).await.expect("written");
    refused(mount.check_out(&borrower("a"), "team", json!({})).await, "does not allow role \"team\"");
    mount.write("config/console", json!({"allowed_roles": "*"})).await.expect("written");
    let issued = mount.check_out(&borrower("a"), "team", json!({"ttl": "2h"})).await.expect("a key");
    assert_eq!((issued.lease.ttl, issued.warnings.len()), (60 * MINUTE, 1), "{:?}", issued.warnings);
    refused(mount.delete("library/team").await, "is checked out");
    refused(mount.delete(&path("team", 1)).await, "is checked out");
    refused(mount.write(&path("team", 1), body(&secret(1))).await, "check it in first");
    mount.revoke(&issued).await.expect("revoked");
    let deleted = mount.delete("library/team").await.expect("deleted");
    assert!(deleted.warnings[0].contains("switched off as they were: 1"), "{:?}", deleted.warnings);
    mount.write("library/team", json!({"config": "console"})).await.expect("a set of the same name");
    assert!(status(&mount).await.is_empty(), "it has none of the old one's keys");
    // No secret is read back.
    let text = format!("{:?}", mount.read("library/other").await.expect("read").data);
    assert!(!text.contains("sk-ant"), "{text}");
}

#[tokio::test]
async fn a_pool_of_any_keys_is_lent_without_a_vendor() {
    let bench = Bench::new();
    let mount = bench.mount().await;
    mount.write("library/pool", json!({"ttl": "10m"})).await.expect("a set");
    for name in ["one", "two"] {
        mount
            .write(&format!("library/pool/keys/{name}"), json!({"api_key": format!("gsk_{name}")}))
            .await
            .expect("a key");
    }
    let first = mount.check_out(&borrower("a"), "pool", json!({})).await.expect("a key");
    let second = mount.check_out(&borrower("b"), "pool", json!({})).await.expect("a key");
    assert_ne!(first.text("api_key"), second.text("api_key"));
    assert_eq!((&first.data["revocable"], &first.data["provider"]), (&json!(false), &Value::Null));
    refused(mount.check_out(&borrower("c"), "pool", json!({})).await, "of 2, 2 are checked out");
    mount.revoke(&first).await.expect("revoked");
    let third = mount.check_out(&borrower("c"), "pool", json!({})).await.expect("a key");
    assert_eq!(third.text("key_id"), first.text("key_id"));
    // A lease that the host has lost: its key comes back an hour past its end.
    bench.advance(30 * MINUTE).await;
    mount.tick().await;
    assert_eq!(bench.rows().await.len(), 2);
    bench.advance(50 * MINUTE).await;
    mount.tick().await;
    eventually("both are back", async || bench.rows().await.is_empty()).await;
    let again = mount.check_out(&borrower("d"), "pool", json!({})).await.expect("a key");
    let row = bench.rows().await.pop().expect("a row");
    mount.delete(&format!("keys/{row}")).await.expect("back");
    assert!(bench.rows().await.is_empty());
    mount.revoke(&again).await.expect("nothing is left to do");
}

#[tokio::test]
async fn a_borrower_that_vanished_leaves_its_key_off() {
    let bench = Bench::new();
    let mount = mounted(&bench, 1).await;
    // The host never stored the lease, or has lost it.
    mount.check_out(&borrower("a"), "team", json!({})).await.expect("a key");
    drop(mount);
    let mount = bench.mount().await;
    bench.advance(61 * MINUTE).await;
    mount.tick().await;
    assert_eq!(active(&bench.simulator).await.len(), 1, "its lease may have been renewed");
    bench.advance(30 * MINUTE).await;
    mount.tick().await;
    eventually("off", async || active(&bench.simulator).await.is_empty()).await;
    eventually("back", async || status(&mount).await[&id(1)]["available"] == true).await;
}

#[tokio::test]
async fn storage_that_fails_at_any_write_leaves_no_key_on() {
    for number in 0..4 {
        let bench = Bench::new();
        let mount = mounted(&bench, 1).await;
        *bench.storage.fail_put.lock().expect("not poisoned") = Some(number);
        let outcome = mount.check_out(&borrower("a"), "team", json!({})).await;
        *bench.storage.fail_put.lock().expect("not poisoned") = None;
        assert_eq!(outcome.is_ok(), number == 3, "write {number}");
        if let Ok(issued) = &outcome {
            mount.revoke(issued).await.expect("revoked");
        }
        for minutes in [3, 10, 55] {
            bench.advance(minutes * MINUTE).await;
            mount.tick().await;
        }
        eventually("off", async || active(&bench.simulator).await.is_empty()).await;
        eventually("no row", async || bench.rows().await.is_empty()).await;
        mount
            .check_out(&borrower("b"), "team", json!({}))
            .await
            .unwrap_or_else(|error| panic!("write {number}: {error}"));
    }
}

#[tokio::test]
async fn a_vendor_that_fails_leaves_no_key_on_and_none_lost() {
    for (method, kind, status) in [
        ("GET", "error_before", 503),
        ("POST", "error_before", 400),
        ("POST", "error_before", 503),
        ("POST", "error_after", 503),
    ] {
        let bench = Bench::new();
        let mount = mounted(&bench, 1).await;
        let fault =
            json!({"vendor": "anthropic-console", "method": method, "kind": kind, "status": status, "times": -1});
        bench.simulator.faults(json!([fault])).await;
        mount.check_out(&borrower("a"), "team", json!({})).await.map(drop).expect_err("the vendor fails");
        bench.simulator.faults(json!([])).await;
        for minutes in [3, 10, 55] {
            bench.advance(minutes * MINUTE).await;
            mount.tick().await;
        }
        eventually("off", async || active(&bench.simulator).await.is_empty()).await;
        eventually("no row", async || bench.rows().await.is_empty()).await;
        let shown = &self::status(&mount).await[&id(1)];
        assert_eq!(shown["state"], "available", "{method} {kind} {status}: {shown}");
        // And at the end of a lease.
        let issued = mount.check_out(&borrower("b"), "team", json!({})).await.expect("a key");
        let fault =
            json!({"vendor": "anthropic-console", "method": method, "kind": kind, "status": status, "times": -1});
        bench.simulator.faults(json!([fault])).await;
        mount.revoke(&issued).await.map(drop).expect_err("the vendor fails");
        refused(mount.check_out(&borrower("c"), "team", json!({})).await, "1 are checked out");
        bench.simulator.faults(json!([])).await;
        bench.advance(3 * MINUTE).await;
        mount.tick().await;
        eventually("off", async || active(&bench.simulator).await.is_empty()).await;
        eventually("back", async || self::status(&mount).await[&id(1)]["available"] == true).await;
    }
}

#[tokio::test]
async fn an_unmount_switches_off_what_is_out() {
    let bench = Bench::new();
    let mount = mounted(&bench, 3).await;
    for name in ["a", "b"] {
        mount.check_out(&borrower(name), "team", json!({})).await.expect("a key");
    }
    bench.system.tainted.store(true, Ordering::SeqCst);
    mount.cleanup().await;
    assert!(active(&bench.simulator).await.is_empty() && bench.rows().await.is_empty());
}

#[tokio::test]
async fn tidy_finds_keys_that_are_on_while_nobody_has_them() {
    let bench = Bench::new();
    let mount = mounted(&bench, 4).await;
    let issued = mount.check_out(&borrower("a"), "team", json!({})).await.expect("a key");
    let others: Vec<usize> = (1..=4).filter(|number| id(*number) != issued.text("key_id")).collect();
    // As after a snapshot that was restored: a lease that nobody knows any more.
    by_hand(&bench.simulator, others[0], "active").await;
    by_hand(&bench.simulator, others[1], "archived").await;
    for delete in [false, true] {
        let report = mount.write("tidy", json!({"delete": delete})).await.expect("a report");
        let data = report.data.expect("data");
        let found = json!([{"config": "console", "library": "team", "key_id": id(others[0])}]);
        assert_eq!((&data["keys_without_row"], &data["deleted_keys"]), (&found, &json!(u64::from(delete))));
        assert_eq!(data["rows_without_key_count"], 0, "what is out has a name of its own at the vendor");
        assert!(
            report.warnings.iter().any(|warning| warning.contains("is archived at the vendor")),
            "{:?}",
            report.warnings
        );
        assert_eq!(active(&bench.simulator).await.len(), if delete { 1 } else { 2 });
        let quarantined = status(&mount).await[&id(others[1])]["state"] == "quarantined";
        assert_eq!(quarantined, delete);
    }
    assert_eq!(active(&bench.simulator).await, [issued.text("key_id")], "a borrower's stays on");
    assert_eq!(status(&mount).await[&id(others[0])]["state"], "available");
    let report = mount.write("tidy", json!({"delete": true})).await.expect("a report");
    assert_eq!(report.data.expect("data")["keys_without_row_count"], 0);
}

#[tokio::test]
async fn whoever_looks_during_a_check_out_loses_no_row() {
    let bench = Bench::new();
    let mount = mounted(&bench, 1).await;
    // The vendor switches the key on, and its answer is lost.
    let lost =
        json!({"vendor": "anthropic-console", "method": "POST", "kind": "error_after", "status": 503, "times": -1});
    bench.simulator.faults(json!([lost])).await;
    let looking = async {
        for _ in 0..500 {
            status(&mount).await;
            tokio::task::yield_now().await;
        }
    };
    let caller = borrower("a");
    let (outcome, ()) = tokio::join!(mount.check_out(&caller, "team", json!({})), looking);
    outcome.map(drop).expect_err("the vendor fails");
    assert_eq!(active(&bench.simulator).await.len(), 1);
    bench.simulator.faults(json!([])).await;
    bench.advance(3 * MINUTE).await;
    mount.tick().await;
    eventually("off", async || active(&bench.simulator).await.is_empty()).await;
    eventually("no row", async || bench.rows().await.is_empty()).await;
}

#[tokio::test]
async fn a_key_that_is_off_comes_back_when_the_old_admin_key_is_refused() {
    let bench = Bench::new();
    let mount = mounted(&bench, 1).await;
    let issued = mount.check_out(&borrower("a"), "team", json!({})).await.expect("a key");
    mount.write("config/console", json!({"admin_key": "sk-ant-admin01-simulator-0002"})).await.expect("another");
    by_hand(&bench.simulator, 1, "inactive").await;
    bench.advance(2 * MINUTE).await;
    let refused =
        json!({"vendor": "anthropic-console", "method": "GET", "kind": "error_before", "status": 401, "times": 1});
    bench.simulator.faults(json!([refused])).await;
    mount.revoke(&issued).await.expect("back");
    assert_eq!(status(&mount).await[&id(1)]["state"], "available");
    mount.check_out(&borrower("b"), "team", json!({})).await.expect("lent with the new one");
}

#[tokio::test]
async fn a_set_that_is_deleted_meanwhile_leaves_no_key_behind() {
    let bench = Bench::new();
    let mount = mounted(&bench, 0).await;
    let slow = json!({"vendor": "anthropic-console", "method": "GET", "kind": "slow_body", "ms": 300, "times": -1});
    bench.simulator.faults(json!([slow])).await;
    mount.write("library/other", json!({"config": "console"})).await.expect("a set");
    let (added, deleted, late) = tokio::join!(
        add(&mount, "other", 2),
        async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            mount.delete("library/team").await
        },
        add(&mount, "team", 1)
    );
    added.expect("added");
    deleted.expect("deleted");
    refused(late, "library set \"team\" does not exist");
    assert!(bench.storage_list("library/keys/team/").await.is_empty());
}
