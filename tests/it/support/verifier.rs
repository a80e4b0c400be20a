//! Whoever verifies assertions, as a vendor does: a library that shares no code with ours (tests/assertions.py).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::deps;

/// Finds the keys of an issuer by its discovery document: `document`, and `keys` as kid to algorithm.
pub fn discover(issuer: &str) -> Value {
    ask(&json!({"discover": issuer}))
}

/// The claims of each assertion; `refused` says why one is not taken.
pub fn judge(jwks: &Value, issuer: &str, audience: &str, assertions: &[&str]) -> Vec<Value> {
    let asked = json!({"jwks": jwks, "issuer": issuer, "audience": audience, "assertions": assertions});
    serde_json::from_value(ask(&asked)).expect("a list")
}

/// Header and claims of a token that is signed with a shared key; `refused` says why it is not taken.
pub fn read_hs256(key: &str, token: &str) -> Value {
    ask(&json!({"hs256": key, "token": token}))
}

fn ask(question: &Value) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assertions.py");
    let mut python = Command::new("python3")
        .arg(script)
        .env("PATH", &*deps::PATH)
        // Everything that it asks is on this machine.
        .env("no_proxy", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("python3 starts");
    python.stdin.take().expect("piped").write_all(question.to_string().as_bytes()).expect("written");
    let output = python.wait_with_output().expect("waited");
    assert!(output.status.success(), "the verifier fails");
    serde_json::from_slice(&output.stdout).expect("JSON")
}
