//! A sample application, an agent, the engine and a real LiteLLM proxy.

use serde_json::json;

use super::delivery::{Delivery, Way};
use super::scene::Scene;
use super::worker::Language;
use crate::real::litellm::proxy_or_skip;

#[tokio::test]
async fn the_python_sample_works_at_a_real_proxy_until_its_lease_is_revoked() {
    let proxy = proxy_or_skip!();
    let Some(scene) = Scene::new().await else { return };
    let config = json!({"provider": "litellm", "api_url": proxy.url, "master_key": proxy.master_key});
    scene.server.write("ai/config/proxy", config).await;
    let role = json!({"config": "proxy", "models": ["fake-small"], "ttl": "10m", "max_ttl": "1h"});
    scene.server.delete("ai/roles/app-dev").await;
    scene.server.write("ai/roles/app-dev", role).await;
    let delivery = Delivery::start(&scene, Way::JsonFile).await;
    let file = delivery.key_file().expect("a file");

    let call = |model| Language::Python.once(&file, model);
    assert_eq!(call("fake-small").status, Some(200), "the allowed model");
    let refused = call("fake-big");
    assert_eq!((refused.status, refused.attempts), (Some(403), 1), "another model: no other key would help");
    scene.server.write("sys/leases/revoke-prefix/ai/creds/app-dev", json!({"sync": true})).await;
    let revoked = call("fake-small");
    assert_eq!((revoked.status, revoked.attempts), (Some(401), 3), "a revoked key");
}
