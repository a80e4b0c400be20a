//! Every vendor that the simulator says how to use, on the real server: a lease's life from config to revocation.

use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::server::{Stage, text};

#[tokio::test]
async fn every_plain_vendor_leases_and_ends_its_keys_on_a_real_server() {
    let stage = Stage::new().await;
    let examples = stage.simulator.get("/_control/examples").await;
    let known = stage.server.list("ai/providers").await;
    let mut asked = 0;
    for (name, example) in examples.as_object().expect("examples") {
        // Those that trust an issuer have tests of their own; one is of the worked examples.
        if !known.contains(name) || !example["trust"].is_null() {
            continue;
        }
        // Those whose API makes no keys are lent from, which `library` asks, or have static roles.
        let create = server_says(&stage.server, name, "create").await;
        if create == "an existing key is switched on" || create == "one of 2 fixed slots is regenerated" {
            continue;
        }
        asked += 1;
        a_lease_lives(&stage.server, name, example).await;
    }
    assert!(asked >= 25, "only {asked} vendors");
    assert!(!stage.server.log().contains("panicked"));
}

async fn server_says(server: &Client, name: &str, field: &str) -> Value {
    server.read(&format!("ai/providers/{name}")).await["data"][field].clone()
}

async fn a_lease_lives(server: &Client, name: &str, example: &Value) {
    let mut config = example["config"].clone();
    config["provider"] = name.into();
    server.write(&format!("ai/config/{name}"), config).await;
    let mut role = example["role"].clone();
    role["config"] = name.into();
    role["ttl"] = "30m".into();
    role["max_ttl"] = "2h".into();
    server.write(&format!("ai/roles/{name}"), role).await;
    let lease = server.read(&format!("ai/creds/{name}")).await;
    assert!(!text(&lease, "api_key").is_empty() && !text(&lease, "key_name").is_empty(), "{name}");
    assert_eq!(text(&lease, "provider"), name);
    let renews = server_says(server, name, "renew").await;
    let token = renews.as_str().expect("text").starts_with("not possible");
    assert_eq!(lease["renewable"], json!(!token), "{name}");
    let renewed = server.renew(&lease, 600).await;
    assert_eq!(renewed.status == 200, !token, "{name}: {}", renewed.body);
    let revoked = server.revoke(&lease).await;
    assert!(revoked.status < 300, "{name}: {}", revoked.body);
    // A vendor that only takes the order keeps no row either; a token that nobody can end keeps one until its end.
    let left = server.list("ai/keys").await;
    for id in left {
        let row = server.read(&format!("ai/keys/{id}")).await;
        assert_ne!(row["data"]["state"], "live", "{name}: {row}");
    }
}
