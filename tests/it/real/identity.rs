//! The mount as an issuer on a real server: what a vendor's library finds there without a token.

use serde_json::{Value, json};

use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::client::Client;
use crate::support::cluster::Cluster;
use crate::support::server::Stage;
use crate::support::simulator::Reply;
use crate::support::verifier;

const DISCOVERY: &str = "ai/.well-known/openid-configuration";
const KEYS: &str = "ai/.well-known/keys";

async fn stranger(server: &Client, path: &str) -> Reply {
    server.send("GET", path, "", &[], None).await
}

async fn published_kids(server: &Client) -> Vec<Value> {
    let jwks = stranger(server, KEYS).await.body;
    jwks["keys"].as_array().into_iter().flatten().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn a_vendors_library_finds_the_keys_without_a_token_through_a_rotation() {
    let stage = Stage::new().await;
    for path in [DISCOVERY, KEYS] {
        assert_eq!(stranger(&stage.server, path).await.status, 404, "no issuer yet");
    }
    let issuer = format!("{}/v1/ai", stage.server.url);
    let body = json!({"issuer": issuer, "distribution": "discovery", "algorithm": "RS256"});
    let warned = stage.server.write("ai/identity/config", body).await;
    assert!(warned["warnings"].to_string().contains("loopback"), "{warned}");
    for path in [DISCOVERY, KEYS] {
        let reply = stranger(&stage.server, path).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.headers["content-type"], "application/json", "{path}");
        assert_eq!(reply.headers["cache-control"], "public, max-age=300", "{path}");
        // The document itself, not within an answer of the server's.
        assert!(reply.body.get("data").is_none() && reply.body.get("request_id").is_none(), "{}", reply.body);
    }
    let first = stage.server.read("ai/identity/keys").await["data"]["signing_kid"].clone();
    let found = verifier::discover(&issuer);
    assert_eq!(found["document"]["issuer"], issuer);
    assert_eq!(found["keys"], json!({first.as_str().expect("a kid"): "RS256"}));

    stage.server.write("ai/identity/config", json!({"algorithm": "ES256"})).await;
    let second = stage.server.write("ai/identity/rotate", json!({})).await["data"]["kid"].clone();
    let both = json!({first.as_str().expect("a kid"): "RS256", second.as_str().expect("a kid"): "ES256"});
    let found = verifier::discover(&issuer);
    assert_eq!(found["keys"], both, "published before it signs");
    assert_eq!(found["document"]["id_token_signing_alg_values_supported"], json!(["ES256", "RS256"]));
    assert_eq!(stage.server.read("ai/identity/keys").await["data"]["signing_kid"], first);
    stage.server.write("ai/identity/rotate", json!({})).await;
    assert_eq!(stage.server.read("ai/identity/keys").await["data"]["signing_kid"], second);
    assert_eq!(verifier::discover(&issuer)["keys"], both, "and after");
    stage.server.reload("ai/").await;
    assert_eq!(verifier::discover(&issuer)["keys"], both, "and from a new process");

    let cleared = json!({"issuer": ""});
    stage.server.write("ai/identity/config", cleared).await;
    for path in [DISCOVERY, KEYS] {
        assert_eq!(stranger(&stage.server, path).await.status, 404);
    }
}

#[tokio::test]
async fn every_node_publishes_the_same_keys() {
    let Some(cluster) = Cluster::with(&Case::named("openai")).await else { return };
    let (active, [one, other]) = cluster.roles().await;
    // Through a standby, which forwards it.
    one.write("ai/identity/config", json!({"issuer": "https://vault.example.com/v1/ai"})).await;
    for node in [active, one, other] {
        eventually("every node has the first key", async || published_kids(node).await.len() == 1).await;
    }
    let next = other.write("ai/identity/rotate", json!({})).await["data"]["kid"].clone();
    for node in [active, one, other] {
        eventually("every node has the next key", async || published_kids(node).await.contains(&next)).await;
    }
    assert_eq!(published_kids(one).await, published_kids(active).await);
    for standby in [one, other] {
        let [before, asked] = [standby.answered("read", KEYS), active.answered("read", KEYS)];
        stranger(standby, KEYS).await;
        let answered = [standby.answered("read", KEYS), active.answered("read", KEYS)];
        // OpenBao's standby answers itself, that of Vault's community edition passes it on.
        assert!(answered == [before + 1, asked] || answered == [before, asked + 1], "{answered:?}, {before}, {asked}");
    }
}
