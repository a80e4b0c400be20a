//! Keys that are lent, on a real server: borrowers are tokens, and a key comes back with its lease.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::bench::eventually;
use crate::support::client::Client;
use crate::support::console_keys::{active, config, id, secret, try_key};
use crate::support::server::{Stage, text};

const KEYS: usize = 10;
const BORROWERS: usize = 50;

async fn stage() -> Stage {
    let stage = Stage::new().await;
    let server = &stage.server;
    server.write("ai/config/console", config(&stage.simulator)).await;
    server.write("ai/library/team", json!({"config": "console", "ttl": "10m", "max_ttl": "1h"})).await;
    for number in 1..=KEYS {
        server.write(&format!("ai/library/team/keys/{}", id(number)), json!({"api_key": secret(number)})).await;
    }
    let policy = r#"path "ai/library/team/check-out" { capabilities = ["update"] }
        path "ai/library/team/check-in" { capabilities = ["update"] }
        path "sys/leases/renew" { capabilities = ["update"] }"#;
    server.write("sys/policies/acl/borrower", json!({"policy": policy})).await;
    stage
}

/// A client with a token of its own, which may borrow and nothing else.
async fn borrower(server: &Client) -> Client {
    let made = server.write("auth/token/create", json!({"policies": ["borrower"], "ttl": "1h"})).await;
    Client::new(server.url.clone(), made["auth"]["client_token"].as_str().expect("a token"))
}

async fn states(server: &Client) -> BTreeMap<String, Value> {
    let status = server.read("ai/library/team/status").await;
    let keys = status["data"].as_object().expect("keys").clone();
    keys.into_iter().map(|(id, key)| (id, key["state"].clone())).collect()
}

#[tokio::test]
async fn fifty_tokens_at_once_never_share_one_of_ten_keys() {
    let stage = stage().await;
    let mut borrowers = Vec::new();
    for _ in 0..BORROWERS {
        borrowers.push(borrower(&stage.server).await);
    }
    for round in 0..3 {
        let ask = |client: &Client| {
            let client = client.clone();
            async move { (client.call("POST", "ai/library/team/check-out", json!({})).await, client) }
        };
        let answers = futures_util::future::join_all(borrowers.iter().map(ask)).await;
        let (lent, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(reply, _)| reply.status == 200);
        assert!(refused.iter().all(|(reply, _)| reply.status == 400), "round {round}");
        let keys: BTreeSet<&str> = lent.iter().map(|(reply, _)| text(&reply.body, "key_id")).collect();
        assert_eq!((lent.len(), keys.len(), refused.len()), (KEYS, KEYS, BORROWERS - KEYS), "round {round}");
        assert_eq!(active(&stage.simulator).await.len(), KEYS);
        for (reply, _) in &lent {
            assert_eq!(try_key(&stage.simulator, text(&reply.body, "api_key")).await, 200);
        }
        // Nobody gives back what somebody else has.
        let key = json!({"key_ids": [text(&lent[0].0.body, "key_id")]});
        let stolen = lent[1].1.call("POST", "ai/library/team/check-in", key.clone()).await;
        assert_eq!(stolen.status, 403, "{}", stolen.body);
        let managed = lent[1].1.call("POST", "ai/library/manage/team/check-in", key).await;
        assert_eq!(managed.status, 403, "{}", managed.body);
        let back = lent.iter().map(|(reply, client)| async move {
            let back = client.call("POST", "ai/library/team/check-in", json!({})).await;
            assert_eq!(back.body["data"]["check_ins"][0], reply.body["data"]["key_id"], "{}", back.body);
            // The lease is over, for whoever holds it.
            assert_eq!(client.renew(&reply.body, 60).await.status, 400);
        });
        futures_util::future::join_all(back).await;
        assert!(active(&stage.simulator).await.is_empty(), "round {round}");
        assert!(stage.server.list("ai/keys").await.is_empty());
    }
    // The leases that are left end nothing that somebody else has by now.
    let lease = stage.server.write("ai/library/team/check-out", json!({"ttl": "5m"})).await;
    for borrower in &borrowers {
        stage.server.write("auth/token/revoke", json!({"token": borrower.token})).await;
    }
    assert_eq!(active(&stage.simulator).await, [text(&lease, "key_id")]);
    assert_eq!(lease["lease_duration"], 300);
    assert!(!stage.server.log().contains("sk-ant-api03"), "no key in the log");
    assert!(!stage.server.log().contains("panicked"));
}

#[tokio::test]
async fn a_key_comes_back_with_its_lease_its_token_or_by_force() {
    let stage = stage().await;
    let (server, simulator) = (&stage.server, &stage.simulator);
    let one = borrower(server).await;
    let lease = one.write("ai/library/team/check-out", json!({})).await;
    assert_eq!((&lease["renewable"], &lease["lease_duration"]), (&json!(true), &json!(600)));
    let renewed = one.renew(&lease, 1200).await;
    assert_eq!((renewed.status, &renewed.body["lease_duration"]), (200, &json!(1200)), "{}", renewed.body);
    assert!(server.revoke(&lease).await.status < 300);
    assert!(active(simulator).await.is_empty());
    // The token that borrowed is gone: so is the lease.
    one.write("ai/library/team/check-out", json!({})).await;
    assert_eq!(active(simulator).await.len(), 1);
    server.write("auth/token/revoke", json!({"token": one.token})).await;
    eventually("off", async || active(simulator).await.is_empty()).await;
    // By force; the plugin may have been restarted meanwhile.
    let two = borrower(server).await;
    let lease = two.write("ai/library/team/check-out", json!({})).await;
    server.reload("ai/").await;
    let held = states(server).await.into_iter().filter(|(_, state)| state == "checked out");
    assert_eq!(held.map(|(id, _)| id).collect::<Vec<_>>(), [text(&lease, "key_id")]);
    let forced = json!({"key_ids": text(&lease, "key_id")});
    server.write("ai/library/manage/team/check-in", forced).await;
    assert!(active(simulator).await.is_empty());
    assert!(states(server).await.values().all(|state| state == "available"));
    assert!(server.revoke(&lease).await.status < 300);
    // What is out when the mount goes is switched off.
    two.write("ai/library/team/check-out", json!({})).await;
    server.delete("sys/mounts/ai").await;
    eventually("off", async || active(simulator).await.is_empty()).await;
}
