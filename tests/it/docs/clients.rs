//! The samples of docs/clients where things go wrong; what they do where all goes well is in their page.

use std::process::{Output, Stdio};

use serde_json::json;

use super::console::{as_built, bash};
use super::{root, with_a_role};
use crate::support::node::free_port;
use crate::support::server::{ROOT, Stage};

pub struct Sample {
    pub file: &'static str,
    /// As its page runs it.
    command: &'static str,
}

pub const SAMPLES: [Sample; 4] = [
    Sample { file: "docs/clients/curl.sh", command: "docs/clients/curl.sh" },
    Sample { file: "docs/clients/hvac_sample.py", command: "python3 docs/clients/hvac_sample.py" },
    Sample { file: "docs/clients/node-vault.mjs", command: "node docs/clients/node-vault.mjs" },
    Sample { file: "docs/clients/vaultrs.rs", command: "cargo run --quiet --example vaultrs" },
];

#[test]
fn the_page_runs_every_sample() {
    let page = super::read(super::CLIENTS);
    for sample in SAMPLES {
        assert!(page.contains(&format!("\n$ {} dev", sample.command)), "{}", sample.file);
    }
}

#[tokio::test]
async fn no_sample_needs_more_rights_than_the_page_says() {
    let stage = with_a_role().await;
    let policy = r#"path "ai/creds/dev" { capabilities = ["read"] }
        path "sys/leases/revoke" { capabilities = ["update"] }"#;
    stage.server.write("sys/policies/acl/app", json!({"policy": policy})).await;
    let created = stage.server.write("auth/token/create", json!({"policies": ["app"], "ttl": "1h"})).await;
    let token = created["auth"]["client_token"].as_str().expect("a token");
    for sample in SAMPLES {
        let output = sample.run(&stage, "dev", &[("VAULT_TOKEN", token)]);
        assert!(output.status.success(), "{}: {}", sample.file, text(&output));
    }
    assert_eq!(stage.simulator.live("openai").await.len(), 0, "every key was revoked");
}

#[tokio::test]
async fn every_sample_says_what_a_refusal_asks_for() {
    let stage = with_a_role().await;
    let token = json!({"policies": ["default"], "ttl": "1h"});
    let created = stage.server.write("auth/token/create", token).await;
    let narrow = created["auth"]["client_token"].as_str().expect("a token");
    for sample in SAMPLES {
        sample.fails(&stage, "unknown", &[], "does not exist: fix the request");
        sample.fails(&stage, "dev", &[("VAULT_TOKEN", "s.ended")], ": log in again");
        sample.fails(&stage, "dev", &[("VAULT_TOKEN", narrow)], "permission denied: ask whoever owns the policy");
    }
    assert_eq!(stage.simulator.live("openai").await.len(), 0);
}

#[tokio::test]
async fn every_sample_tries_again_where_that_helps_and_only_there() {
    let stage = with_a_role().await;
    let fault = |kind| json!([{"kind": kind, "vendor": "openai", "method": "POST", "status": 503, "times": 1}]);
    let gone = format!("http://127.0.0.1:{}", free_port());
    for sample in SAMPLES {
        for kind in ["error_before", "error_after"] {
            stage.simulator.faults(fault(kind)).await;
            let output = sample.run(&stage, "dev", &[]);
            let text = text(&output);
            assert!(output.status.success() && text.contains("trying again"), "{}: {text}", sample.file);
        }
        // Longer than a sample waits.
        let limit = json!([{"kind": "rate_limit", "retry_after_seconds": 60, "vendor": "openai", "times": -1}]);
        stage.simulator.faults(limit).await;
        sample.fails(&stage, "dev", &[], "try again in 60 s: try again later");
        stage.simulator.faults(json!([])).await;
    }
    // Each takes its seven seconds to give up.
    std::thread::scope(|scope| {
        for sample in &SAMPLES {
            scope.spawn(|| sample.fails(&stage, "dev", &[("VAULT_ADDR", &gone)], "no answer: try again later"));
        }
    });
    assert_no_key("the server's log", &stage.server.log());
}

impl Sample {
    fn run(&self, stage: &Stage, role: &str, environment: &[(&str, &str)]) -> Output {
        let output = bash(stage)
            .args(["-c", &as_built(&format!("{} {role}", self.command))])
            .current_dir(root())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let text = text(&output);
        assert_no_key(self.file, &text);
        assert!(!text.contains(ROOT), "{} shows its token: {text}", self.file);
        output
    }

    fn fails(&self, stage: &Stage, role: &str, environment: &[(&str, &str)], wanted: &str) {
        let output = self.run(stage, role, environment);
        let error = String::from_utf8_lossy(&output.stderr);
        let last = error.lines().last().unwrap_or_default();
        assert_eq!(output.status.code(), Some(1), "{}: {}", self.file, text(&output));
        assert!(last.starts_with("error: ") && last.contains(wanted), "{}: {}", self.file, text(&output));
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Fails where a text has a key in it. Every key of the simulator's OpenAI starts so.
pub fn assert_no_key(of: &str, text: &str) {
    assert!(!text.contains("sk-svcacct-"), "{of} has a key in it: {text}");
}
