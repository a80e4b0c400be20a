//! Tokens for assertions on a real server: no key of the vendor's is stored, from the first upload to another mount at the
//! same path.

use serde_json::{Value, json};

use crate::support::server::{Stage, text};
use crate::support::simulator::{Reply, plain_client, try_key};

const ISSUER: &str = "https://vault.example.com/v1/ai";

/// An issuer with the vendor's config and role `chat`, and what the vendor has to be told.
struct Scene {
    stage: Stage,
    example: Value,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let example = stage.simulator.get("/_control/examples").await["anthropic"].clone();
        Self { stage, example }
    }

    async fn uuid(&self) -> String {
        text(&self.stage.server.read("ai/identity/config").await, "mount_uuid").to_owned()
    }

    async fn jwks(&self) -> Value {
        self.stage.server.read("ai/identity/keys").await["data"]["jwks"].clone()
    }

    /// Tells the vendor which keys the mount has and whose assertions to take.
    async fn trust(&self, mut rule: Value, subject: &str) {
        for (name, value) in [("issuer", json!(ISSUER)), ("jwks", self.jwks().await), ("subject", json!(subject))] {
            rule[name] = value;
        }
        self.stage.simulator.control("federation", rule).await;
    }

    async fn configure(&self) -> Reply {
        let mut config = self.example["config"].clone();
        config["provider"] = "anthropic".into();
        self.stage.server.call("POST", "ai/config/anthropic", config).await
    }

    async fn role(&self) {
        self.stage.server.write("ai/roles/chat", json!({"config": "anthropic", "ttl": "10m"})).await;
    }

    async fn creds(&self) -> Reply {
        self.stage.server.call("GET", "ai/creds/chat", Value::Null).await
    }

    /// The status that a lease's token gets, with the headers that the lease names.
    async fn use_token(&self, lease: &Value) -> u16 {
        let attempt = &self.example["attempt"];
        let mut request = plain_client().post(attempt["url"].as_str().expect("a URL"));
        for (name, value) in lease["data"]["headers"].as_object().expect("headers") {
            request = request.header(name, value.as_str().expect("text"));
        }
        let request = request.bearer_auth(text(lease, "api_key")).json(&attempt["body"]);
        request.send().await.expect("an answer").status().as_u16()
    }
}

#[tokio::test]
async fn a_token_is_leased_without_a_stored_key_through_rotations() {
    let scene = Scene::new().await;
    let server = &scene.stage.server;
    let refused = scene.configure().await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.to_string().contains("write identity/config with issuer=https://"), "{}", refused.body);

    server.write("ai/identity/config", json!({"issuer": ISSUER})).await;
    let subject = format!("{}:chat", scene.uuid().await);
    scene.trust(scene.example["trust"].clone(), &subject).await;
    let written = scene.configure().await.expect(200);
    assert!(written["warnings"].to_string().contains("only creds/<role> can try that"), "{written}");
    scene.role().await;
    let stored = server.read("ai/config/anthropic").await;
    assert_eq!(stored["data"]["federation_rule_id"], scene.example["config"]["federation_rule_id"]);

    let first = scene.creds().await.expect(200);
    assert_eq!(first["data"]["revocable"], false, "{first}");
    assert_eq!(first["renewable"], false, "{first}");
    let lease = first["lease_duration"].as_u64().expect("a duration");
    assert!((596..=600).contains(&lease), "{first}");
    assert_eq!(scene.use_token(&first).await, 200);
    let looked = server.write("sys/leases/lookup", json!({"lease_id": first["lease_id"]})).await;
    assert_eq!(looked["data"]["renewable"], false, "{looked}");
    assert_eq!(server.renew(&first, 600).await.status, 400);
    server.revoke(&first).await.expect_success();
    assert_eq!(scene.use_token(&first).await, 200, "as revocable=false says");

    // The next key, of another algorithm, is uploaded before it signs.
    server.write("ai/identity/config", json!({"algorithm": "RS256"})).await;
    server.write("ai/identity/rotate", json!({})).await;
    let between = scene.creds().await.expect(200);
    scene.trust(scene.example["trust"].clone(), &subject).await;
    server.write("ai/identity/rotate", json!({})).await;
    let after = scene.creds().await.expect(200);
    for lease in [&first, &between, &after] {
        assert_eq!(scene.use_token(lease).await, 200, "tokens outlive a rotation");
    }
    // One that was not uploaded.
    server.write("ai/identity/rotate", json!({"activate_after": 0})).await;
    let refused = scene.creds().await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.to_string().contains("signing_kid"), "{}", refused.body);
    assert_eq!(scene.use_token(&after).await, 200);
}

#[tokio::test]
async fn another_mount_at_the_same_path_is_somebody_else() {
    let scene = Scene::new().await;
    let server = &scene.stage.server;
    server.write("ai/identity/config", json!({"issuer": ISSUER})).await;
    let subject = format!("{}:chat", scene.uuid().await);
    scene.trust(scene.example["trust"].clone(), &subject).await;
    scene.configure().await.expect(200);
    scene.role().await;
    scene.creds().await.expect(200);

    server.delete("sys/mounts/ai").await;
    server.enable("ai").await;
    server.write("ai/identity/config", json!({"issuer": ISSUER})).await;
    assert_ne!(subject, format!("{}:chat", scene.uuid().await));
    // Even where somebody uploads its keys as well.
    scene.trust(scene.example["trust"].clone(), &subject).await;
    scene.configure().await.expect(200);
    scene.role().await;
    let refused = scene.creds().await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[tokio::test]
async fn keys_are_leased_and_revoked_by_an_account_that_stores_none() {
    let scene = Scene::new().await;
    let (server, simulator) = (&scene.stage.server, &scene.stage.simulator);
    server.write("ai/identity/config", json!({"issuer": ISSUER})).await;
    let example = simulator.get("/_control/examples").await["openrouter-federated"].clone();
    let uuid = scene.uuid().await;
    let mut rule = example["trust"].clone();
    rule["scope"] = "management".into();
    // A role of the name that the config has is another subject.
    scene.trust(rule, &format!("{uuid}:config:keyless")).await;

    let mut config = example["config"].clone();
    config["provider"] = "openrouter".into();
    let both = json!({"management_key": "sk-or-v1-1", "verify": false});
    server.write("ai/config/keyless", config.clone()).await;
    assert_eq!(server.call("POST", "ai/config/keyless", both).await.status, 400);
    let elsewhere = json!({"api_url": "https://evil.example/api/v1", "verify": false});
    assert_eq!(server.call("POST", "ai/config/keyless", elsewhere).await.status, 400);
    server.write("ai/roles/keys", json!({"config": "keyless", "limit": 1, "ttl": "10m", "max_ttl": "1h"})).await;
    let leases = [server.read("ai/creds/keys").await, server.read("ai/creds/keys").await];
    for lease in &leases {
        let tried = try_key(text(lease, "base_url"), text(lease, "api_key"), "openai/gpt-4o-mini").await;
        assert_eq!((tried, &lease["data"]["revocable"]), (200, &json!(true)));
        server.revoke(lease).await.expect_success();
        assert_eq!(try_key(text(lease, "base_url"), text(lease, "api_key"), "openai/gpt-4o-mini").await, 401);
    }
    let tokens = simulator.state().await["openrouter"]["tokens"]["created_count"].clone();
    assert_eq!(tokens, 2, "one for the check before the config was stored, and one for all the rest");

    // The same policy for a role that wants tokens: neither its subject nor its scope is the config's.
    let mut config = example["config"].clone();
    config["provider"] = "openrouter-federated".into();
    server.write("ai/config/tokens", config).await;
    server.write("ai/roles/keyless", json!({"config": "tokens"})).await;
    assert_eq!(server.call("GET", "ai/creds/keyless", Value::Null).await.status, 400);
}
