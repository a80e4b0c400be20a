//! The transport over a real process: a small backend that this test program serves, and the plugin's program.

use std::time::Duration;

use serde_json::json;

use super::process::SHUTDOWN_LIMIT;
use super::{Fault, Host, MountStorage, Options, Verb};

async fn echo() -> Host {
    Host::start(Options::echo()).await
}

/// Waits for what another task brings about.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn the_real_program_registers_under_its_version_without_storage() {
    let host = Host::start(Options::plugin()).await;
    assert_eq!(host.register().await, concat!("v", env!("CARGO_PKG_VERSION")));
    assert!(host.shutdown().await < SHUTDOWN_LIMIT);
    assert_eq!(host.plugin_sockets(), Vec::<String>::new());
    host.log();
}

#[tokio::test]
async fn the_real_engine_mounts_ticks_crashes_and_comes_back() {
    let host = Host::start(Options::plugin()).await;
    let mount = host.mount("6bdf2a32-de00-37e2-4406-c491d7ab206e").await;
    assert!(mount.special_paths().await.seal_wrap_storage.contains(&"config/".to_owned()));
    assert!(mount.help("").await.expect(200)["openapi"]["paths"].is_object());
    mount.rollback().await.expect(204);
    mount.list("config", json!({})).await.expect(404);
    let stored = mount.storage.keys();
    host.kill9().await;
    host.restart().await;
    mount.rollback().await.expect(204);
    assert_eq!(mount.storage.keys(), stored);
    mount.unmount(&[]).await;
    assert!(host.shutdown().await < SHUTDOWN_LIMIT);
    host.log();
}

#[tokio::test]
async fn who_is_no_host_is_refused_with_an_explanation() {
    let refused = async |options| match Host::try_start(options).await {
        Ok(_) => panic!("it serves"),
        Err((status, stderr)) => (status.code(), stderr),
    };
    let by_hand = refused(Options::plugin().without("VAULT_BACKEND_PLUGIN")).await;
    assert_eq!(by_hand.0, Some(1));
    assert!(by_hand.1.contains("plugin register"), "{}", by_hand.1);
    let database = refused(Options::plugin().env("VAULT_BACKEND_PLUGIN", "926a0820-aea2-be28-51d6-83cdf00e8edb")).await;
    assert_eq!(database.0, Some(1));
    let legacy = refused(Options::plugin().without("PLUGIN_CLIENT_CERT")).await;
    assert_eq!(legacy.0, Some(1));
    assert!(legacy.1.contains("no mutual TLS"), "{}", legacy.1);
    assert_eq!(super::api::log_line(legacy.1.trim_end())["@level"], "error");
}

#[tokio::test]
async fn a_host_that_wants_multiplexing_is_told_no() {
    let host = Host::start(Options::echo().env("PLUGIN_MULTIPLEX_GRPC", "true")).await;
    assert!(host.line().await.ends_with("|false"));
    eventually("an error is logged", || host.log().iter().any(|line| line["@level"] == "error")).await;
}

#[tokio::test]
async fn a_mount_uses_the_hosts_storage() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    assert_eq!(mount.storage.text("initialized").as_deref(), Some("1"));
    assert_eq!(mount.write("a/x", json!({"n": 12_345_678_901_234_567_i64})).await.warnings, ["created"]);
    assert_eq!(mount.write("a/x", json!({"n": 12_345_678_901_234_567_i64})).await.warnings, ["updated"]);
    assert_eq!(mount.storage.text("a/x").unwrap(), r#"{"n":12345678901234567}"#);
    assert_eq!(mount.read("a/x").await.expect(200), json!({"n": 12_345_678_901_234_567_i64}));
    mount.write("sealed/x", json!({})).await.expect(200);
    assert!(mount.storage.is_seal_wrapped("sealed/x") && !mount.storage.is_seal_wrapped("a/x"));
    mount.delete("a/x").await.expect(204);
    mount.read("a/x").await.expect(404);
}

#[tokio::test]
async fn pages_are_the_same_where_the_host_has_none() {
    let host = echo().await;
    for without_pages in [false, true] {
        let mount = host.mount("u1").await;
        mount.storage.set_without_pages(without_pages);
        for key in ["p/b", "p/a", "p/c/1", "p/c/2", "p/d"] {
            mount.storage.set(key, "{}");
        }
        let keys = async |query| mount.list("p", query).await.expect(200)["keys"].clone();
        assert_eq!(keys(json!({})).await, json!(["a", "b", "c/", "d"]));
        assert_eq!(keys(json!({"after": "a", "limit": "2"})).await, json!(["b", "c/"]));
        assert_eq!(keys(json!({"after": "c/"})).await, json!(["d"]));
    }
}

#[tokio::test]
async fn failures_of_the_storage_are_told_apart() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    mount.storage.set_read_only(true);
    assert!(mount.write("a", json!({})).await.forwards);
    mount.storage.set_read_only(false);
    mount.storage.fail(Verb::Put, "a", Fault::Refuse("disk full"), 1);
    assert!(mount.write("a", json!({})).await.expect_error(500).contains("disk full"));
    mount.storage.fail(Verb::Put, "a", Fault::DoAndFail("timeout"), 1);
    assert!(mount.write("a", json!({})).await.expect_error(500).contains("timeout"));
    assert!(mount.storage.text("a").is_some());
    mount.write("a", json!({})).await.expect(200);
}

#[tokio::test]
async fn a_backend_is_told_who_asks_and_what_the_system_is_like() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    mount.system.values().entities = vec![("entity-1".to_owned(), "alice".to_owned())];
    mount.system.values().tainted = true;
    let request = mount.read("request").await.expect(200);
    assert_eq!((&request["uuid"], &request["mount_point"]), (&json!("u1"), &json!("ai/")));
    assert_eq!((&request["accessor"], &request["remote_address"]), (&json!("accessor-1"), &json!("127.0.0.1")));
    assert_eq!(request["config"]["plugin_type"], "secret");
    let expected = json!({
        "default_ttl": 2_764_800, "max_ttl": 2_764_800, "tainted": true, "replication_state": 12288,
        "local_mount": false, "version": "2.7.2", "entity": "alice", "no_entity": null,
    });
    assert_eq!(mount.read("system").await.expect(200), expected);
    assert_eq!(mount.special_paths().await.seal_wrap_storage, ["sealed/"]);
}

#[tokio::test]
async fn a_lease_lives_as_in_a_real_host() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    let mut lease = mount.lease("creds/app").await;
    assert_eq!((lease.ttl().as_secs(), lease.renewable()), (60, true));
    for (increment, ttl) in [(0, 90), (30, 30), (7200, 600)] {
        mount.renew(&mut lease, Duration::from_secs(increment)).await.expect(200);
        assert!(lease.ttl().as_secs().abs_diff(ttl) <= 1, "{:?}", lease.ttl());
        assert_eq!((lease.internal(), &lease.data), (json!({"id": "creds/app"}), &json!({"key": "value"})));
    }
    mount.revoke(&lease).await.expect(204);
    assert_eq!(mount.storage.text("revoked/creds/app").unwrap(), r#"{"key":"value"}"#);
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_nothing_and_leaves_no_lease() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    let slow = mount.spawn("read", "slow", json!({}));
    eventually("it has begun", || mount.storage.text("slow/begun").is_some()).await;
    slow.abort();
    eventually("it is done all the same", || mount.storage.text("slow/done").is_some()).await;

    let put = mount.storage.hold(Verb::Put, "keys/");
    let minting = mount.spawn("read", "creds/app", json!({}));
    put.reached().await;
    minting.abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    put.release();
    eventually("the lease is given back", || mount.storage.text("revoked/creds/app").is_some()).await;
    assert_eq!(mount.storage.under("keys/"), Vec::<String>::new());
}

#[tokio::test]
async fn a_crowd_that_hangs_up_at_once_does_not_end_the_connection() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    // Stopped, the plugin finds every call together with its end when it goes on.
    host.signal("STOP").await;
    let crowd = (0..100).map(|_| {
        let mount = mount.clone();
        tokio::spawn(async move { mount.request("read", "endless", json!({})).await.status })
    });
    let crowd: Vec<_> = crowd.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_millis(200)).await;
    host.signal("CONT").await;
    mount.read("a").await.expect(404);
    host.log();
}

#[tokio::test]
async fn errors_and_panics_are_answers_and_the_log_stays_whole() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    assert_eq!(mount.patch("x", json!({})).await.expect_error(409), "somebody else was faster");
    assert_eq!(mount.write("invalid", json!({})).await.expect_error(400), "not so");
    let text = mount.read("panic").await.expect_error(500);
    assert!(text.starts_with("internal error (id "), "{text}");
    mount.read("evil-log").await.expect(200);
    mount.read("raw").await.expect(200);
    assert_eq!(mount.read("large").await.expect(200)["text"].as_str().unwrap().len(), 8 * 1024 * 1024);
    eventually("the panic and the line are logged", || host.log().len() >= 3).await;
    let log = host.log();
    let panic = log.iter().find(|line| line["@module"] == "panic").unwrap();
    assert_eq!(panic["@message"], r#"a panic {"@level":5}"#);
    let evil = log.iter().find(|line| line.contains_key("text")).unwrap();
    assert_eq!((&evil["mount"], &evil["uuid"]), (&json!("ai/"), &json!("u1")));
}

#[tokio::test]
async fn a_crash_loses_nothing_that_was_stored() {
    let host = echo().await;
    let (one, two) = (host.mount("u1").await, host.mount("u2").await);
    one.write("a", json!({"v": 1})).await.expect(200);
    let put = one.storage.hold(Verb::Put, "keys/");
    let minting = one.spawn("read", "creds/app", json!({}));
    put.reached().await;
    host.kill9().await;
    assert!(minting.await.unwrap().expect_error(500).contains("rpc error"));
    assert_eq!(host.plugin_sockets().len(), 1, "nobody can tidy up after such an end");
    host.restart().await;
    assert_eq!(one.read("a").await.expect(200), json!({"v": 1}));
    two.read("a").await.expect(404);
    assert_eq!(one.storage.under("keys/"), Vec::<String>::new());
}

#[tokio::test]
async fn a_second_node_reads_the_same_storage() {
    let (active, standby) = (echo().await, echo().await);
    let one = active.mount("u1").await;
    let storage = one.storage.shared();
    storage.set_read_only(true);
    let system = super::system::System::default();
    system.values().replication_state = 24576;
    let other = standby.mount_on("u1", storage, system).await;
    one.write("a", json!({"v": 1})).await.expect(200);
    assert_eq!(other.read("a").await.expect(200), json!({"v": 1}));
    assert!(other.write("a", json!({"v": 2})).await.forwards);
    other.invalidate("a").await;
    eventually("the key is told", || standby.log().iter().any(|line| line.get("key") == Some(&json!("a")))).await;
}

#[tokio::test]
async fn an_instance_ends_alone() {
    let host = echo().await;
    let (one, two) = (host.mount("u1").await, host.mount("u2").await);
    let endless = one.spawn("read", "endless", json!({}));
    tokio::time::sleep(Duration::from_millis(100)).await;
    one.cleanup().await;
    assert!(one.storage.text("cleaned").is_some());
    assert_eq!(endless.await.unwrap().expect_error(503), "the mount is going away");
    assert!(one.request("read", "a", json!({})).await.expect_error(500).contains("no backend instance found"));
    two.read("a").await.expect(404);
    host.remount(&one).await;
    one.read("a").await.expect(404);
}

#[tokio::test]
async fn every_end_is_quick_and_tidy() {
    let host = echo().await;
    let mount = host.mount("u1").await;
    let endless = mount.spawn("read", "endless", json!({}));
    tokio::time::sleep(Duration::from_millis(100)).await;
    let took = host.shutdown().await;
    assert!(took < SHUTDOWN_LIMIT, "{took:?}");
    endless.abort();
    assert_eq!(host.plugin_sockets(), Vec::<String>::new());

    host.restart().await;
    host.signal("INT").await;
    assert_eq!(host.exit_within(Duration::from_millis(300)).await, None, "Ctrl-C is the host's business");
    mount.read("a").await.expect(404);
    host.signal("TERM").await;
    assert!(host.exit_within(SHUTDOWN_LIMIT).await.is_some_and(|status| status.success()));
    assert_eq!(host.plugin_sockets(), Vec::<String>::new());
    host.log();
}

#[tokio::test]
async fn a_plugin_does_not_outlive_its_host() {
    let host = echo().await;
    host.mount_on("u1", MountStorage::default(), Default::default()).await;
    let took = host.vanish().await;
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(host.plugin_sockets(), Vec::<String>::new());
}
