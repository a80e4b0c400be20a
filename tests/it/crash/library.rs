//! The same for keys that are lent: whatever step it was killed at, no key stays on that nobody has, and none is lost.

use serde_json::{Value, json};

use super::scene::Scene;
use crate::host::HostLease;
use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::console_keys::{active, config, id, secret};

const SET: &str = "library/team";

/// A set with one key.
async fn scene() -> Scene {
    let scene = Scene::new(&Case::named("openai")).await;
    scene.mount.write("config/console", config(&scene.simulator)).await.expect(204);
    scene.mount.write(SET, json!({"config": "console", "ttl": "10m", "max_ttl": "30m"})).await.expect(204);
    scene.mount.write(&format!("{SET}/keys/{}", id(1)), json!({"api_key": secret(1)})).await.expect(204);
    scene
}

async fn check_out(scene: &Scene) -> HostLease {
    scene.mount.lease_with("update", &format!("{SET}/check-out"), json!({})).await
}

async fn state(scene: &Scene) -> Value {
    scene.mount.read(&format!("{SET}/status")).await.expect(200)[&id(1)]["state"].clone()
}

#[tokio::test]
async fn killed_in_a_check_out_the_key_is_switched_off_and_comes_back() {
    for step in ["library.after-key", "mint.before-row", "mint.after-row", "mint.after-vendor", "mint.after-live"] {
        let mut scene = scene().await;
        let mount = scene.mount.clone();
        let request = async move { mount.client_request("update", &format!("{SET}/check-out"), json!({})).await };
        scene.crash_at(step, request).await;
        let was_on = ["mint.after-vendor", "mint.after-live"].contains(&step);
        assert_eq!(active(&scene.simulator).await.len(), usize::from(was_on), "{step}");
        // A row makes it taken: what may still be on is lent to nobody.
        let taken = !scene.rows().is_empty();
        assert_eq!(state(&scene).await == "available", !taken, "{step}");
        for minutes in [3, 10, 70] {
            scene.advance(minutes).await;
        }
        eventually(step, async || active(&scene.simulator).await.is_empty()).await;
        eventually(step, async || scene.rows().is_empty()).await;
        assert_eq!(state(&scene).await, "available", "{step}");
        let lease = check_out(&scene).await;
        assert_eq!(active(&scene.simulator).await, [id(1)], "{step}");
        scene.mount.revoke(&lease).await.expect(204);
    }
}

#[tokio::test]
async fn killed_in_a_check_in_the_key_is_switched_off_and_comes_back_once() {
    for step in ["revoke.before-vendor", "revoke.after-vendor", "revoke.after-row"] {
        let mut scene = scene().await;
        let lease = check_out(&scene).await;
        let (mount, revoked) = (scene.mount.clone(), lease.clone());
        scene.crash_at(step, async move { mount.revoke(&revoked).await }).await;
        let off = active(&scene.simulator).await.is_empty();
        assert_eq!(off, step != "revoke.before-vendor", "{step}");
        // The host tries again; by then somebody else may have the key.
        let other = if step == "revoke.after-row" { Some(check_out(&scene).await) } else { None };
        scene.mount.revoke(&lease).await.expect(204);
        assert_eq!(active(&scene.simulator).await.len(), usize::from(other.is_some()), "{step}");
        // That it is off already proves nothing of a key that was switched on a moment ago: the sweep looks again.
        scene.advance(3).await;
        assert_eq!(state(&scene).await == "available", other.is_none(), "{step}");
    }
}
