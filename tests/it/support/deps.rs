//! What the samples import: `scripts/test-deps` fetches it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// A PATH whose `python3` and `node` find the samples' packages.
pub static PATH: LazyLock<String> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-deps");
    let output = Command::new(script).stderr(Stdio::inherit()).output().expect("scripts/test-deps runs");
    assert!(output.status.success(), "scripts/test-deps could not fetch what the tests need");
    let binaries = String::from_utf8(output.stdout).expect("a path");
    format!("{}:{}", binaries.trim(), std::env::var("PATH").expect("a PATH"))
});
