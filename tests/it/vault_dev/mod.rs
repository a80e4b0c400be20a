//! Everything in vault-dev/ works as it stands there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

mod cluster;
mod compose;
mod policies;
mod servers;

/// What the tests of this room run.
const TRIED: [&str; 15] = [
    "cluster",
    "docker-compose.yml",
    "policies/admin.hcl",
    "policies/app-dev.hcl",
    "policies/app-legacy.hcl",
    "policies/app-prod.hcl",
    "policies/app-staging.hcl",
    "policies/metrics.hcl",
    "policies/on-call.hcl",
    "register.sh",
    "server/dev.hcl",
    "server/raft-node1.hcl",
    "server/raft-node2.hcl",
    "server/raft-node3.hcl",
    "server/raft.hcl",
];

/// Tried elsewhere, and a cluster that somebody works with.
const ELSEWHERE: [&str; 7] = ["README.md", "agent", "apps", "kubernetes", "simulator", ".cluster", ".cluster.lock"];

#[test]
fn no_file_is_there_that_no_test_tries() {
    let mut found = BTreeSet::new();
    let mut folders = vec![root().join("vault-dev")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name =
                path.strip_prefix(root().join("vault-dev")).expect("below it").to_str().expect("text").to_owned();
            if path.is_dir() && !ELSEWHERE.contains(&&*name) {
                folders.push(path);
            } else if !ELSEWHERE.contains(&&*name) {
                found.insert(name);
            }
        }
    }
    assert_eq!(found, TRIED.map(str::to_owned).into());
}

fn read(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
