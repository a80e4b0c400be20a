use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_ai::base::Time;
use vault_plugin_secrets_ai::providers::FaultKind;

use super::Stage;
use crate::support::deps;

const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const TEMPORARY: &str = "ASIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// All of visible ASCII that is neither letter nor digit.
const ODD: &str = r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##;

/// What makes a key: moment, access key, session token, region, life in seconds.
type Input<'a> = (&'a str, (&'a str, &'a str), Option<&'a str>, &'a str, u64);

fn inputs() -> Vec<Input<'static>> {
    let mut inputs = Vec::new();
    for region in ["us-east-1", "eu-central-1", "ap-southeast-2", "us-gov-west-1"] {
        for seconds in [1, 59, 900, 3600, 43_199, 43_200] {
            inputs.push(("2026-11-24T13:08:07Z", (ID, SECRET), None, region, seconds));
            let token = Some("IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+a/b==");
            inputs.push(("2026-11-24T13:08:07Z", (TEMPORARY, SECRET), token, region, seconds));
        }
    }
    for moment in ["2026-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2028-02-29T12:00:00Z", "2099-09-09T09:09:09Z"] {
        inputs.push((moment, (ID, ODD), None, "eu-west-1", 600));
        inputs.push((moment, (TEMPORARY, "a"), Some(ODD), "eu-west-1", 600));
    }
    inputs
}

#[tokio::test]
async fn a_short_term_key_is_to_the_letter_what_aws_own_generator_makes() {
    let inputs = inputs();
    let expected = generated(&inputs);
    assert_eq!(expected.len(), inputs.len());
    for (input, expected) in inputs.iter().zip(&expected) {
        let &(moment, (id, secret), token, region, seconds) = input;
        let now: Time = moment.parse().expect("a time");
        let config = json!({
            "access_key_id": id, "secret_access_key": secret, "session_token": token, "region": region,
            // It is not asked.
            "api_url": "https://127.0.0.1:1",
        });
        let stage = Stage::new("bedrock", now, &config, &json!({}));
        let issued = stage.issue("vault-0a1b2c3d-x", Duration::from_secs(seconds)).await.expect("a key");
        assert_eq!(issued.secret.expose(), expected, "{input:?}");
        assert_eq!(issued.expires, Some(now + Duration::from_secs(seconds)), "{input:?}");
        assert_eq!(issued.warnings.len(), usize::from(token.is_some()));
    }
}

#[tokio::test]
async fn a_short_term_key_lives_twelve_hours_at_the_most_and_only_time_ends_it() {
    let now: Time = "2026-11-24T13:08:07.9Z".parse().expect("a time");
    let config = json!({"access_key_id": ID, "secret_access_key": SECRET, "region": "eu-central-1"});
    let stage = Stage::new("bedrock", now, &config, &json!({}));
    let issued = stage.issue("vault-0a1b2c3d-x", Duration::from_secs(100_000)).await.expect("a key");
    let whole: Time = "2026-11-24T13:08:07Z".parse().expect("a time");
    assert_eq!(issued.expires, Some(whole + Duration::from_secs(43_200)));
    // From the whole second on, and no shorter than was asked for.
    let issued = stage.issue("vault-0a1b2c3d-x", Duration::from_secs(600)).await.expect("a key");
    assert_eq!(issued.expires, Some(whole + Duration::from_secs(601)));
    assert!(matches!(stage.end(&issued.key).await.expect_err("not possible").kind, FaultKind::Invalid { .. }));
    assert_eq!(stage.list("vault-").await.expect("a listing").0.len(), 0);
}

/// What AWS's generator makes of them.
fn generated(inputs: &[Input<'_>]) -> Vec<String> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bedrock_tokens.py");
    let mut python = Command::new("python3")
        .arg(program)
        .env("PATH", deps::PATH.as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let rows: Vec<Value> = inputs
        .iter()
        .map(|(moment, (id, secret), token, region, seconds)| json!([moment, id, secret, token, region, seconds]))
        .collect();
    let mut input = python.stdin.take().expect("a pipe");
    input.write_all(json!(rows).to_string().as_bytes()).expect("written");
    drop(input);
    let output = python.wait_with_output().expect("it ends");
    assert!(output.status.success(), "AWS's generator failed");
    serde_json::from_slice(&output.stdout).expect("a list of texts")
}
