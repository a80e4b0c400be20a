//! The injector's template, rendered by the server's own agent.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::worker::Worker;
use super::{INJECTOR, Manifest, PATH};
use crate::support::bench::eventually;
use crate::support::case::Case;
use crate::support::node::BINARY;
use crate::support::server::{Stage, text};

const TTL: Duration = Duration::from_secs(3);

/// An agent; ends with the test.
struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// With what the injector would write for it, but for the login.
    fn start(stage: &Stage, token: &str, template: &str, destination: &Path) -> Self {
        let folder = stage.server.folder.path();
        std::fs::write(folder.join("token"), token).expect("written");
        let settings = json!({
            "vault": {"address": stage.server.url},
            "auto_auth": [{"method": [{"type": "token_file", "config": [{"token_file_path": folder.join("token")}]}]}],
            "template": [{"contents": template, "destination": destination}],
            "template_config": {"exit_on_retry_failure": true},
        });
        std::fs::write(folder.join("agent.json"), settings.to_string()).expect("written");
        let log_path = folder.join("agent.log");
        let log = File::create(&log_path).expect("made");
        let child = Command::new(&*BINARY)
            .args(["agent", "-config=agent.json"])
            .current_dir(folder)
            .env("HOME", folder)
            .stdout(log.try_clone().expect("cloned"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the agent starts");
        Self { child, log: log_path }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The folder goes, and the log with it.
            println!("{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_injector_s_worker_gets_a_key_that_works_and_a_new_one_after_it() {
    let stage = Stage::new().await;
    let case = Case::named("openai");
    stage.server.write("ai/config/openai", case.config(&stage.simulator.url)).await;
    let mut role = case.role("openai");
    role["ttl"] = json!(TTL.as_secs());
    role["max_ttl"] = json!("9s");
    stage.server.write("ai/roles/dev", role).await;
    let policy = format!("path \"{PATH}\" {{ capabilities = [\"read\"] }}");
    stage.server.write("sys/policies/acl/worker", json!({"policy": policy})).await;
    let token = stage.server.write("auth/token/create", json!({"policies": ["worker"], "ttl": "1h"})).await;

    let manifest = Manifest::read(INJECTOR);
    let worker = Worker::new(&manifest, &["/vault/secrets"]);
    let file = worker.file("/vault/secrets/ai.env");
    let template = manifest.annotation("agent-inject-template-ai.env");
    assert!(worker.is_alive(), "the probe kills the worker that waits for the file");
    let token = token["auth"]["client_token"].as_str().expect("a token");
    let agent = Agent::start(&stage, token, &template, &file);

    // Waits for the file by itself.
    let (key, url) = worker.start();
    let begun = Instant::now();
    assert_eq!(url, format!("{}/openai/v1", stage.simulator.url));
    let models = stage.simulator.call("GET", "/openai/v1/models", &key, None).await;
    assert_eq!(models.status, 200, "{}", models.body);
    assert!(worker.is_alive());
    assert_eq!(stage.server.list("ai/keys").await.len(), 1, "one pod, one key");

    eventually("a new key, since the lease went on to its max_ttl", async || !worker.is_alive()).await;
    assert!(begun.elapsed() > TTL, "the agent does not renew the lease");
    let (second, _) = worker.start();
    assert_ne!(second, key);
    let models = stage.simulator.call("GET", "/openai/v1/models", &second, None).await;
    assert_eq!(models.status, 200, "{}", models.body);
    drop(agent);
}

#[tokio::test]
async fn the_fields_that_the_manifests_take_are_in_a_lease() {
    let case = Case::named("openai");
    let stage = Stage::with(&case).await;
    let lease = stage.creds(&case).await;
    for field in super::FIELDS {
        assert!(!text(&lease, field).is_empty());
    }
}
