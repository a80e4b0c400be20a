//! Named points of a mint, a renewal and a revocation, where the crash matrix holds the process and kills it.

/// Does nothing, but in a test build: where the file `<AI_TEST_STEPS>/<name>` exists it is renamed to
/// `<name>.reached`, and the task waits until that is removed.
#[cfg(feature = "test-build")]
pub async fn step(name: &str) {
    let Some(folder) = std::env::var_os("AI_TEST_STEPS").map(std::path::PathBuf::from) else { return };
    let reached = folder.join(format!("{name}.reached"));
    if std::fs::rename(folder.join(name), &reached).is_ok() {
        while reached.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

/// Does nothing.
#[cfg(not(feature = "test-build"))]
#[allow(clippy::unused_async)] // the test build's twin waits
pub async fn step(_: &str) {}
