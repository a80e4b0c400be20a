//! The plugin as a client of a real authorization server, which shares no code with ours.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::authorization_server::{AuthorizationServer, CLIENT};
use crate::support::bench::eventually;
use crate::support::server::{Stage, text};

/// A server with this config and a role for the first scope.
async fn with_a_role(authorization: &AuthorizationServer, change: Value) -> Stage {
    let stage = Stage::new().await;
    let mut config = authorization.config();
    config.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    stage.server.write("ai/config/main", config).await;
    stage.server.write("ai/roles/dev", json!({"config": "main", "scopes": ["models.read"], "ttl": "1m"})).await;
    stage
}

#[tokio::test]
async fn a_token_works_until_its_lease_is_revoked() {
    let authorization = AuthorizationServer::start(Duration::from_secs(600));
    let stage = with_a_role(&authorization, json!({})).await;
    let lease = stage.server.read("ai/creds/dev").await;
    let token = text(&lease, "api_key");
    let told = authorization.introspect(token).await;
    assert_eq!((&told["active"], &told["scope"]), (&json!(true), &json!("models.read")), "{told}");
    assert_eq!((&lease["renewable"], &lease["data"]["revocable"]), (&json!(false), &json!(true)));
    let left = lease["lease_duration"].as_u64().expect("seconds");
    assert!((590..=600).contains(&left), "{left} s: as long as the token");
    assert_eq!(lease["data"]["base_url"], "https://api.example/v1");
    let renewed = stage.server.renew(&lease, 60).await;
    assert_eq!(renewed.status, 400, "{}", renewed.body);
    assert_eq!(stage.server.list("ai/keys").await.len(), 1);
    assert_ne!(text(&stage.server.read("ai/creds/dev").await, "api_key"), token, "each read is a new one");

    assert!(stage.server.revoke(&lease).await.status < 300);
    assert_eq!(authorization.introspect(token).await["active"], false);
    assert_eq!(stage.server.list("ai/keys").await.len(), 1);
    let log = stage.server.log();
    assert!(!log.contains(CLIENT.1) && !log.contains(token), "{log}");
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_and_no_secret() {
    let authorization = AuthorizationServer::start(Duration::from_secs(600));
    let stage = with_a_role(&authorization, json!({"auth_style": "post"})).await;
    let token = stage.server.read("ai/creds/dev").await;
    assert_eq!(authorization.introspect(text(&token, "api_key")).await["active"], true, "the secret in the form");

    stage.server.write("ai/roles/odd", json!({"config": "main", "scopes": ["models.read", "nope"]})).await;
    let refused = stage.server.call("GET", "ai/creds/odd", Value::Null).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let said = refused.body.to_string();
    assert!(said.contains("invalid_scope") && said.contains("scope\\\" at the vendor"), "{said}");

    let mut config = authorization.config();
    config["client_secret"] = json!("wrong-canary-0002");
    let refused = stage.server.call("POST", "ai/config/main", config).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let said = refused.body.to_string();
    assert!(said.contains("invalid_client") && !said.contains("canary"), "{said}");

    let moved = json!({"token_url": "http://127.0.0.1:9/token"});
    let refused = stage.server.call("POST", "ai/config/main", moved).await;
    assert!(refused.status == 400 && refused.body.to_string().contains("client_secret"), "{}", refused.body);
    let check = stage.server.read("ai/config/main/check").await;
    assert_eq!((&check["data"]["ok"], &check["data"]["identity"]), (&json!(true), &json!(CLIENT.0)), "{check}");
}

#[tokio::test]
async fn a_token_that_nothing_revokes_ends_by_itself() {
    let authorization = AuthorizationServer::start(Duration::from_secs(8));
    let stage = with_a_role(&authorization, json!({"revoke_url": ""})).await;
    let lease = stage.server.read("ai/creds/dev").await;
    let token = text(&lease, "api_key");
    assert_eq!(lease["data"]["revocable"], false);
    assert!(lease["lease_duration"].as_u64().is_some_and(|left| (1..=8).contains(&left)), "{lease}");
    assert!(stage.server.revoke(&lease).await.status < 300);
    assert_eq!(authorization.introspect(token).await["active"], true, "it lives on, as the lease has said");
    eventually("the token ends", async || authorization.introspect(token).await["active"] == false).await;
}
