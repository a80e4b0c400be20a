//! Leases of Bedrock's keys: tokens that are signed here, and keys whose credential has two parts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::bench::{Bench, Mounted, eventually};
use crate::support::simulator::plain_client;

const HOUR: Duration = Duration::from_secs(3600);

/// A mount with the simulator's example of a vendor.
async fn mounted(bench: &Bench, provider: &str) -> Mounted {
    let example = &bench.simulator.get("/_control/examples").await[provider];
    let mount = bench.mount().await;
    let mut config = example["config"].clone();
    config["provider"] = provider.into();
    mount.write("config/aws", config).await.expect("a config");
    let mut role = example["role"].clone();
    for (name, value) in [("config", "aws"), ("ttl", "1h"), ("max_ttl", "2h")] {
        role[name] = value.into();
    }
    mount.write("roles/dev", role).await.expect("a role");
    mount
}

async fn status(bench: &Bench, provider: &str, key: &str) -> u16 {
    let url = format!("{}/{provider}/model/amazon.nova-lite-v1:0/converse", bench.simulator.url);
    plain_client().post(url).bearer_auth(key).json(&json!({})).send().await.expect("an answer").status().as_u16()
}

async fn requests(bench: &Bench) -> Value {
    bench.simulator.state().await["requests"].clone()
}

#[tokio::test]
async fn a_short_term_key_is_leased_without_asking_anybody() {
    let bench = Bench::new();
    let mount = mounted(&bench, "bedrock").await;
    let before = requests(&bench).await;
    let issued = mount.creds().await.expect("a key");
    let key = issued.text("api_key").to_owned();
    assert!(key.starts_with("bedrock-api-key-"));
    assert_eq!(issued.text("base_url"), "https://bedrock-runtime.eu-central-1.amazonaws.com");
    assert_eq!(&issued.data["revocable"], &json!(false));
    assert!(!issued.lease.renewable);
    assert!((3598..=3600).contains(&issued.lease.ttl.as_secs()), "{:?}", issued.lease.ttl);
    assert_eq!(status(&bench, "bedrock", &key).await, 200);
    mount.revoke(&issued).await.expect("a lease can always be revoked");
    assert_eq!(status(&bench, "bedrock", &key).await, 200, "and the key goes on, as the answer said");
    bench.advance(HOUR + Duration::from_secs(60)).await;
    mount.tick().await;
    eventually("its row goes with it", async || bench.rows().await.is_empty()).await;
    assert_eq!(status(&bench, "bedrock", &key).await, 403);
    assert_eq!(requests(&bench).await, before, "nothing was asked of AWS");
}

#[tokio::test]
async fn a_long_term_key_goes_with_its_lease_and_its_user_with_it() {
    let bench = Bench::new();
    let mount = mounted(&bench, "bedrock-iam").await;
    let issued = mount.creds().await.expect("a key");
    let key = issued.text("api_key").to_owned();
    assert_eq!(status(&bench, "bedrock-iam", &key).await, 200);
    assert_eq!(bench.simulator.live("bedrock-iam").await.len(), 1, "the key and its user have one name");
    mount.revoke(&issued).await.expect("revoked");
    assert_eq!(status(&bench, "bedrock-iam", &key).await, 403);
    assert!(bench.simulator.live("bedrock-iam").await.is_empty());
    assert!(bench.rows().await.is_empty());
}

#[tokio::test]
async fn another_access_key_keeps_the_generation_and_ends_the_keys_of_the_first() {
    let bench = Bench::new();
    let mount = mounted(&bench, "bedrock-iam").await;
    let issued = mount.creds().await.expect("a key");
    let generation =
        async || mount.read("config/aws").await.expect("a config").data.expect("data")["generation"].clone();
    let first = generation().await;
    // Half a key is none: AWS refuses it, and the config stays as it was.
    let half = json!({"access_key_id": "AKIASIMULATOR0000002"});
    mount.write("config/aws", half).await.map(drop).expect_err("the secret of another");
    let both = json!({
        "access_key_id": "AKIASIMULATOR0000002", "secret_access_key": "simulator/secret+access+key+000000000002",
    });
    mount.write("config/aws", both).await.expect("a new key");
    assert_eq!(generation().await, first);
    mount.revoke(&issued).await.expect("revoked with the new key");
    assert_eq!(status(&bench, "bedrock-iam", issued.text("api_key")).await, 403);
    mount.creds().await.expect("a key");
    mount.write("config/aws", json!({"region": "us-east-1"})).await.expect("another region");
    assert_eq!(generation().await, first, "users are the account's, in every region");
}
