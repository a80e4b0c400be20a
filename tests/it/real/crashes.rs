//! The plugin dies under a real server; no key is lost. Every step is in the crash matrix of the test host.

use std::time::Duration;

use serde_json::Value;

use crate::support::bench::eventually;
use crate::support::case::CASES;
use crate::support::server::Stage;

#[tokio::test]
async fn a_plugin_killed_after_the_vendor_made_the_key_deletes_it_when_it_is_back() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
        stage.server.hold_at("mint.after-vendor");
        let path = format!("ai/creds/{}", case.provider);
        let lost = stage.server.call("GET", &path, Value::Null);
        let killed = async {
            stage.server.held_at("mint.after-vendor").await;
            assert_eq!(stage.simulator.live(case.provider).await.len(), 1);
            stage.server.kill_plugin().await;
        };
        let (lost, ()) = tokio::join!(lost, killed);
        stage.server.let_go("mint.after-vendor");
        // A server that asks the new process again gives a key that is leased.
        let leased = usize::from(lost.status == 200);
        stage.server.list("ai/keys").await;
        stage.server.set_clock(Duration::from_secs(0));
        eventually("the new process has seen the row", async || !stage.server.list("ai/keys").await.is_empty()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage.server.set_clock(Duration::from_secs(180));
        eventually("the lost key is deleted", async || stage.simulator.live(case.provider).await.len() == leased).await;
        eventually("its row is gone", async || stage.server.list("ai/keys").await.len() == leased).await;
        stage.server.set_clock(Duration::from_secs(0));
        if leased == 1 {
            stage
                .server
                .write(
                    &format!("sys/leases/revoke-prefix/ai/creds/{}", case.provider),
                    serde_json::json!({"sync": true}),
                )
                .await;
        }
    }
}

#[tokio::test]
async fn a_plugin_killed_in_a_revocation_has_revoked_when_it_is_back() {
    let stage = Stage::new().await;
    for (case, minutes) in CASES.iter().zip([2, 4, 6]) {
        stage.configure("ai", case).await;
        let lease = stage.creds(case).await;
        stage.server.hold_at("revoke.after-vendor");
        let cut_off = stage.server.revoke(&lease);
        let killed = async {
            stage.server.held_at("revoke.after-vendor").await;
            stage.server.kill_plugin().await;
        };
        let (_, ()) = tokio::join!(cut_off, killed);
        stage.server.let_go("revoke.after-vendor");
        // The host's first call may still meet the dead process.
        eventually("the next revocation succeeds", async || stage.server.revoke(&lease).await.status < 300).await;
        assert!(stage.simulator.live(case.provider).await.is_empty(), "{}", case.provider);
        // "Gone already" of a key this fresh is asked for once more.
        stage.server.set_clock(Duration::from_secs(60 * minutes));
        eventually("its row is gone", async || stage.server.list("ai/keys").await.is_empty()).await;
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_in_a_mint_leaves_no_key() {
    let stage = Stage::new().await;
    for case in &CASES {
        stage.configure("ai", case).await;
        stage.server.hold_at("mint.after-vendor");
        let path = format!("ai/creds/{}", case.provider);
        tokio::select! {
            reply = stage.server.call("GET", &path, Value::Null) => panic!("answered: {}", reply.body),
            () = stage.server.held_at("mint.after-vendor") => {}
        }
        // The client is gone; the mint goes on.
        tokio::time::sleep(Duration::from_millis(300)).await;
        stage.server.let_go("mint.after-vendor");
        eventually("the key is deleted", async || stage.simulator.live(case.provider).await.is_empty()).await;
        eventually("its row is gone", async || stage.server.list("ai/keys").await.is_empty()).await;
    }
}
