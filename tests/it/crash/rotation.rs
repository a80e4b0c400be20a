//! The same for rotations, of a config's credential and of a static role's key: whatever step it was killed at, one is left,
//! and it works.

use serde_json::{Value, json};

use super::scene::Scene;
use crate::support::bench::eventually;
use crate::support::case::{CASES, Case};
use crate::support::simulator::{plain_client, try_key};

const STEPS: [&str; 8] = [
    "mint.before-row",
    "mint.after-row",
    "mint.after-vendor",
    "rotate.after-pending",
    "rotate.after-live",
    "rotate.proven",
    "rotate.after-switch",
    "rotate.after-letting-go",
];

#[tokio::test]
async fn killed_in_a_rotation_one_credential_is_left_and_it_works() {
    for step in STEPS {
        let mut scene = Scene::new(&Case::named("openai")).await;
        let lease = scene.lease().await;
        let mount = scene.mount.clone();
        let rotation =
            async move { mount.client_request("update", "config/main/rotate-root", json!({"overlap": 0})).await };
        scene.crash_at(step, rotation).await;
        assert!(works(&scene).await, "{step}: after the crash");
        for minutes in [3, 10, 55] {
            scene.advance(minutes).await;
            assert!(works(&scene).await, "{step}: {minutes} minutes later");
        }
        eventually(step, async || admin_keys(&scene).await.len() == 1).await;
        let rows = scene.rows().into_iter().filter(|row| row["kind"] == "admin").collect::<Vec<_>>();
        let expected = usize::from(admin_keys(&scene).await != ["key_sim_admin"]);
        assert_eq!(rows.len(), expected, "{step}: {rows:?}");
        assert!(rows.iter().all(|row| row["state"] == "live"), "{step}: {rows:?}");
        scene.mount.revoke(&lease).await.expect(204);
        scene.lease().await;
    }
}

#[tokio::test]
async fn a_rotation_goes_on_after_a_crash_without_being_asked() {
    let mut scene = Scene::new(&Case::named("openai")).await;
    let before = stored(&scene);
    let mount = scene.mount.clone();
    let rotation = async move { mount.client_request("update", "config/main/rotate-root", json!({})).await };
    scene.crash_at("rotate.after-live", rotation).await;
    scene.advance(0).await;
    eventually("switched", async || stored(&scene) != before).await;
    scene.advance(11).await;
    eventually("one is left", async || admin_keys(&scene).await.len() == 1).await;
}

fn stored(scene: &Scene) -> String {
    let record: Value = scene.mount.storage.json("config/main").expect("a config");
    record["account"]["admin_key"].as_str().expect("a credential").to_owned()
}

async fn works(scene: &Scene) -> bool {
    let path = "/openai/v1/organization/projects/proj_sim1";
    scene.simulator.call("GET", path, &stored(scene), None).await.status == 200
}

async fn admin_keys(scene: &Scene) -> Vec<String> {
    let state = scene.simulator.state().await;
    let live = state["openai"]["admin_keys"]["live"].as_array().expect("a list").clone();
    live.iter().map(|key| key["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn killed_in_the_rotation_of_a_static_key_one_is_left_and_it_is_served() {
    futures_util::future::join_all(CASES.iter().map(async |case| {
        for step in STEPS {
            let mut scene = Scene::new(case).await;
            let mut role = case.role("main");
            role["rotation_period"] = "30d".into();
            role["overlap"] = "1m".into();
            scene.mount.write("static-roles/app", role).await.expect(204);
            // What a rotation replaces is let go a minute later, by the next one or by the sweep before it.
            let letting_go = step == "rotate.after-letting-go";
            if letting_go {
                scene.mount.write("rotate-role/app", json!({})).await.expect(204);
            }
            let later = scene.later(if letting_go { 2 } else { 0 });
            let mount = scene.mount.clone();
            let rotation = async move {
                later.await;
                mount.client_request("update", "rotate-role/app", json!({})).await
            };
            scene.crash_at(step, rotation).await;
            assert!(served(&scene).await, "{} {step}: after the crash", case.provider);
            for minutes in [3, 10, 55] {
                scene.advance(minutes).await;
                assert!(served(&scene).await, "{} {step}: {minutes} minutes later", case.provider);
            }
            eventually(step, async || scene.keys().await == 1).await;
            let rows = scene.rows();
            assert!(rows.len() == 1 && rows[0]["state"] == "live", "{} {step}: {rows:?}", case.provider);
        }
    }))
    .await;
}

/// Whether the vendor takes the key that is served.
async fn served(scene: &Scene) -> bool {
    let reply = scene.mount.client_request("read", "static-creds/app", json!({})).await.expect(200);
    let text = |field: &str| reply[field].as_str().expect("text").to_owned();
    try_key(&text("base_url"), &text("api_key"), scene.case.model).await == 200
}

#[tokio::test]
async fn killed_in_the_deletion_of_a_static_role_no_key_is_left() {
    let case = Case::named("litellm");
    let mut scene = Scene::new(&case).await;
    let mut role = case.role("main");
    role["rotation_period"] = "30d".into();
    scene.mount.write("static-roles/app", role).await.expect(204);
    scene.mount.write("rotate-role/app", json!({})).await.expect(204);
    assert_eq!(scene.keys().await, 2);
    let mount = scene.mount.clone();
    scene.crash_at("static.after-delete", async move { mount.delete("static-roles/app").await }).await;
    assert_eq!(scene.mount.read("static-roles/app").await.status, 404);
    for minutes in [3, 10] {
        scene.advance(minutes).await;
    }
    scene.gone().await;
}

/// Where keys are the values of two slots.
#[tokio::test]
async fn killed_in_the_rotation_of_a_slot_the_served_key_works() {
    futures_util::future::join_all(STEPS.map(async |step| {
        let mut scene = Scene::new(&Case::named("openai")).await;
        let example = scene.simulator.get("/_control/examples").await["azure-openai-keys"].clone();
        let mut config = example["config"].clone();
        config["provider"] = "azure-openai-keys".into();
        scene.mount.write("config/azure", config).await.expect(204);
        let role = json!({"config": "azure", "slot": "Key2", "rotation_period": "30d", "overlap": "1m"});
        scene.mount.write("static-roles/app", role).await.expect(204);
        let letting_go = step == "rotate.after-letting-go";
        if letting_go {
            scene.mount.write("rotate-role/app", json!({})).await.expect(204);
        }
        let later = scene.later(if letting_go { 2 } else { 0 });
        let mount = scene.mount.clone();
        let rotation = async move {
            later.await;
            mount.client_request("update", "rotate-role/app", json!({})).await
        };
        scene.crash_at(step, rotation).await;
        assert!(slot_works(&scene).await, "{step}: after the crash");
        for minutes in [3, 10, 55] {
            scene.advance(minutes).await;
            assert!(slot_works(&scene).await, "{step}: {minutes} minutes later");
        }
        eventually(step, async || scene.rows().len() == 1 && scene.rows()[0]["state"] == "live").await;
        // And once more, to the end.
        scene.mount.client_request("update", "rotate-role/app", json!({})).await;
        for minutes in [2, 3, 3] {
            scene.advance(minutes).await;
            assert!(slot_works(&scene).await, "{step}: once more");
        }
    }))
    .await;
}

async fn slot_works(scene: &Scene) -> bool {
    let reply = scene.mount.client_request("read", "static-creds/app", json!({})).await.expect(200);
    let url = format!("{}/azure-openai-keys/openai/v1/chat/completions", scene.simulator.url);
    let request = plain_client().post(url).header("api-key", reply["api_key"].as_str().expect("text"));
    request.json(&json!({})).send().await.expect("an answer").status().is_success()
}
