//! Mounts come, go, move and are upgraded; their keys follow.

use serde_json::{Value, json};

use crate::support::bench::eventually;
use crate::support::case::{CASES, Case};
use crate::support::node::{PLUGIN, VERSION};
use crate::support::server::{ROOT, Stage, text};
use crate::support::simulator::try_key;

#[tokio::test]
async fn a_disabled_mount_leaves_no_key_at_any_vendor() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
        let failing = stage.creds(case).await;
        stage.creds(case).await;
        // A live row without a lease: the plugin dies between the last write and the answer.
        stage.server.hold_at("mint.after-live");
        let path = format!("ai/creds/{}", case.provider);
        let lost = stage.server.call("GET", &path, Value::Null);
        let killed = async {
            stage.server.held_at("mint.after-live").await;
            stage.server.kill_plugin().await;
        };
        let (lost, ()) = tokio::join!(lost, killed);
        // The host asks the new process once more, which is a key of its own.
        assert!(lost.status == 500 || lost.status == 200, "{}", lost.body);
        stage.server.let_go("mint.after-live");
        stage
            .simulator
            .faults(json!([{"vendor": case.provider, "method": "POST", "kind": "drop_after", "times": -1}]))
            .await;
        let unresolved = stage.server.call("GET", &path, Value::Null).await;
        assert_eq!(unresolved.status, 502, "{}: {}", case.provider, unresolved.body);
        stage
            .simulator
            .faults(json!([{"vendor": case.provider, "kind": "error_before", "status": 500, "times": -1}]))
            .await;
        let failed = stage.server.revoke(&failing).await;
        assert!(failed.status >= 400, "{}", failed.body);
        stage.simulator.faults(json!([])).await;
        assert!(stage.simulator.live(case.provider).await.len() >= 4, "{}", case.provider);
    }
    stage.server.delete("sys/mounts/ai").await;
    for case in &CASES {
        assert!(stage.simulator.live(case.provider).await.is_empty(), "{}", case.provider);
    }
}

#[tokio::test]
async fn two_mounts_in_one_process_are_kept_apart() {
    let case = Case::named("openai");
    let stage = Stage::with(&case).await;
    stage.server.enable("other").await;
    assert_eq!(stage.server.call("GET", "other/roles/openai", Value::Null).await.status, 404);
    stage.configure("other", &case).await;
    let ours = stage.creds(&case).await;
    let theirs = stage.server.read("other/creds/openai").await;
    assert_eq!(stage.server.plugin_pids().len(), 1, "one process");
    assert_eq!(stage.server.list("ai/keys").await.len(), 1);
    let report = stage.server.write("ai/tidy", json!({})).await;
    assert_eq!(report["data"]["keys_without_row_count"], 0, "another mount's keys are not ours: {report}");
    stage.server.delete("sys/mounts/other").await;
    assert_eq!(try_key(text(&theirs, "base_url"), text(&theirs, "api_key"), case.model).await, 401);
    assert_eq!(try_key(text(&ours, "base_url"), text(&ours, "api_key"), case.model).await, 200);
}

#[tokio::test]
async fn a_reloaded_plugin_revokes_what_it_leased_before() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
        let lease = stage.creds(case).await;
        let before = stage.server.plugin_pids();
        stage.server.reload("ai").await;
        assert_eq!(try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await, 200);
        assert!(stage.server.renew(&lease, 0).await.status < 300);
        assert_ne!(stage.server.plugin_pids(), before, "a new process");
        assert!(stage.server.revoke(&lease).await.status < 300);
        assert!(stage.simulator.live(case.provider).await.is_empty(), "{}", case.provider);
    }
}

#[tokio::test]
async fn an_upgraded_plugin_revokes_what_the_older_version_leased() {
    let case = Case::named("litellm");
    let stage = Stage::new().await;
    stage.server.write("sys/mounts/ai/tune", json!({"plugin_version": VERSION})).await;
    stage.server.reload("ai").await;
    stage.configure("ai", &case).await;
    let lease = stage.creds(&case).await;
    stage.server.register("v9.9.9").await;
    stage.server.write("sys/mounts/ai/tune", json!({"plugin_version": "v9.9.9"})).await;
    stage.server.reload("ai").await;
    let mount = stage.server.read("sys/mounts").await;
    assert_eq!(mount["data"]["ai/"]["running_plugin_version"], "v9.9.9", "{}", mount["data"]["ai/"]);
    assert!(stage.server.renew(&lease, 0).await.status < 300);
    assert!(stage.server.revoke(&lease).await.status < 300);
    assert!(stage.simulator.live("litellm").await.is_empty());
}

#[tokio::test]
async fn a_moved_mount_works_at_its_new_path() {
    let case = Case::named("openai");
    let stage = Stage::with(&case).await;
    let lease = stage.creds(&case).await;
    let moved = stage.server.write("sys/remount", json!({"from": "ai", "to": "moved"})).await;
    wait_for_move(&stage, &moved).await;
    // The host revokes a moved mount's leases.
    eventually("its lease is revoked", async || {
        try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await == 401
    })
    .await;
    let role = stage.server.call("GET", "moved/roles/openai", Value::Null).await;
    assert_eq!(role.status, 200, "{}", role.body);
    let lease = stage.server.read("moved/creds/openai").await;
    assert_eq!(stage.server.list("moved/keys").await.len(), 1);
    assert!(stage.server.revoke(&lease).await.status < 300);
    assert!(stage.simulator.live("openai").await.is_empty());
}

#[tokio::test]
async fn a_mount_moved_to_another_namespace_loses_no_row() {
    let case = Case::named("openai");
    let stage = Stage::with(&case).await;
    if !stage.server.can("POST", "sys/namespaces/team", json!({})).await {
        // Namespaces are not in every edition; what is asked of the server decides.
        println!("skipped: this server has no namespaces");
        return;
    }
    // A row without a lease, so that the move finds something to lose.
    stage.server.hold_at("mint.after-live");
    let killed = async {
        stage.server.held_at("mint.after-live").await;
        stage.server.kill_plugin().await;
        stage.server.let_go("mint.after-live");
    };
    tokio::join!(stage.server.call("GET", "ai/creds/openai", Value::Null), killed);
    eventually("the new process answers", async || !stage.server.list("ai/keys").await.is_empty()).await;
    let moved = stage.server.write("sys/remount", json!({"from": "ai", "to": "team/ai"})).await;
    wait_for_move(&stage, &moved).await;
    let namespace = [("X-Vault-Namespace", "team")];
    let refused = stage.server.send("GET", "ai/roles/openai", ROOT, &namespace, None).await;
    if refused.status != 200 {
        assert_eq!(refused.status, 503, "{}", refused.body);
        assert!(refused.body.to_string().contains("sys/plugins/reload/backend"), "{}", refused.body);
        let body = json!({"mounts": "ai/"});
        stage.server.send("POST", "sys/plugins/reload/backend", ROOT, &namespace, Some(body)).await.expect(200);
    }
    stage.server.send("GET", "ai/roles/openai", ROOT, &namespace, None).await.expect(200);
    let listed = stage.server.send("LIST", "ai/keys", ROOT, &namespace, None).await.expect(200);
    let left: Vec<String> = serde_json::from_value(listed["data"]["keys"].clone()).expect("keys");
    let live = stage.simulator.live("openai").await;
    for name in &live {
        assert!(left.iter().any(|id| name.ends_with(id)), "{name} has lost its row: {left:?}");
    }
    let lease = stage.server.send("GET", "ai/creds/openai", ROOT, &namespace, None).await.expect(200);
    assert_eq!(try_key(text(&lease, "base_url"), text(&lease, "api_key"), case.model).await, 200);
}

async fn wait_for_move(stage: &Stage, moved: &Value) {
    let Some(id) = moved["data"]["migration_id"].as_str().map(str::to_owned) else { return };
    eventually("the move ends", async || {
        let status = stage.server.read(&format!("sys/remount/status/{id}")).await;
        let status = status["data"]["migration_info"]["status"].clone();
        assert_ne!(status, "failure", "the move failed");
        status == "success"
    })
    .await;
}

#[tokio::test]
async fn the_plugin_ends_with_its_server_and_removes_its_socket() {
    let stage = Stage::new().await;
    let pids = stage.server.plugin_pids();
    assert_eq!(pids.len(), 1, "{PLUGIN} runs");
    drop(stage);
    eventually("the process ends", async || {
        pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    })
    .await;
}
