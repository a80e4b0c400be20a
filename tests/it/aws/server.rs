use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::{Clock as _, SystemClock};

use super::Stage;
use crate::support::deps;
use crate::support::simulator::plain_client;

pub const ACCOUNT: &str = "123456789012";

/// tests/iam_server.py: it ends with its standard input.
pub struct Server {
    child: Child,
    url: String,
    given: Value,
}

impl Server {
    pub fn start() -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iam_server.py");
        let mut child = Command::new("python3")
            .arg(program)
            .env("PATH", deps::PATH.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let given: Value = serde_json::from_str(&line).expect("JSON");
        Self { child, url: format!("http://127.0.0.1:{}", given["port"]), given }
    }

    pub fn stage(&self) -> Stage {
        self.stage_with("admin", json!({}))
    }

    /// The vendor with the access key of that user, and a change of its config.
    pub fn stage_with(&self, user: &str, change: Value) -> Stage {
        let mut config = json!({
            "access_key_id": self.given[user][0], "secret_access_key": self.given[user][1],
            "region": "eu-central-1", "account_id": ACCOUNT, "api_url": self.url,
        });
        config.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        let arn = |name: &str| format!("arn:aws:iam::{ACCOUNT}:policy/{name}");
        let scope = json!({"policy_arns": [arn("limited")], "permissions_boundary_arn": arn("boundary")});
        Stage::new("bedrock-iam", SystemClock::default().now(), &config, &scope)
    }

    /// Has the next calls of an action fail.
    pub async fn order(&self, action: &str, code: &str, status: u16, times: usize) {
        self.order_saying(action, code, status, times, "ordered").await;
    }

    pub async fn order_saying(&self, action: &str, code: &str, status: u16, times: usize, message: &str) {
        let order = json!({"action": action, "code": code, "status": status, "times": times, "message": message});
        self.tell("orders", json!([order])).await;
    }

    /// No page of a listing has more entries, whatever is asked for.
    pub async fn page_size(&self, most: usize) {
        self.tell("page", json!(most)).await;
    }

    async fn tell(&self, what: &str, body: Value) {
        let sent = plain_client().post(format!("{}/{what}", self.url)).json(&body).send().await;
        assert!(sent.expect("an answer").status().is_success());
    }

    /// The actions of all requests so far.
    pub async fn actions(&self) -> Vec<String> {
        let seen = self.read("seen").await;
        seen.iter().map(|form| form["Action"].as_str().expect("an action").to_owned()).collect()
    }

    /// The last request of an action.
    pub async fn last(&self, action: &str) -> Value {
        let seen = self.read("seen").await;
        seen.into_iter().rfind(|form| form["Action"] == action).expect("a request")
    }

    /// Nothing that AWS's model of the API does not know was sent.
    pub async fn assert_by_the_model(&self) {
        let problems = self.read("log").await;
        assert!(problems.is_empty(), "{problems:#?}");
    }

    async fn read(&self, what: &str) -> Vec<Value> {
        let answer = plain_client().get(format!("{}/{what}", self.url)).send().await.expect("an answer");
        serde_json::from_str(&answer.text().await.expect("text")).expect("a list")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
