//! vault-dev/docker-compose.yml as Docker Compose itself reads it. Its images are run by no test: none has Docker.

use std::process::Command;

use serde_json::Value;

use super::{read, root};
use crate::support::deps;
use crate::support::node::plugin_binary;

#[test]
fn docker_compose_takes_the_file_and_what_it_mounts_is_there() {
    let output = Command::new("docker-compose")
        .args(["--profile", "*", "config", "--format", "json"])
        .current_dir(root().join("vault-dev"))
        .env("PATH", &*deps::PATH)
        .env("PLUGIN_BIN", plugin_binary())
        .output()
        .expect("docker-compose runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let config: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let services = config["services"].as_object().expect("services");
    let names: Vec<&String> = services.keys().collect();
    assert_eq!(names, ["openbao", "openbao-setup", "vault", "vault-setup"]);
    for (name, service) in services {
        for mount in service["volumes"].as_array().expect("volumes") {
            let source = mount["source"].as_str().expect("a path");
            assert!(std::path::Path::new(source).is_file(), "{name}: {source}");
            assert_eq!(mount["read_only"], true, "{name}: {source}");
        }
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}");
        }
    }
    // The OpenBao that the tests run.
    let version = read("scripts/server").lines().find_map(|line| line.strip_prefix("version=").map(str::to_owned));
    assert_eq!(services["openbao"]["image"], format!("openbao/openbao:{}", version.expect("a version")));
}
