//! Size, start and idle memory of the plugin's process.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::node::plugin_binary;
use crate::support::server::{Server, Stage};
use crate::{milliseconds, quantile};

const STARTS: usize = 50;
/// After a mount is made the host still asks this and that.
const IDLE_AFTER: Duration = Duration::from_secs(3);

pub async fn figures() {
    println!("| figure | |\n|---|---|");
    let size = std::fs::metadata(plugin_binary()).expect("built").len();
    println!("| size, stripped | {:.2} MB |", size as f64 / 1e6);
    let mut starts: Vec<Duration> = (0..STARTS).map(|_| start()).collect();
    let (p50, p99) = (quantile(&mut starts, 0.5), quantile(&mut starts, 0.99));
    println!("| exec to handshake, {STARTS} starts | p50 {}, p99 {} |", milliseconds(p50), milliseconds(p99));

    let stage = Stage::new().await;
    tokio::time::sleep(IDLE_AFTER).await;
    println!("| resident memory, 1 idle mount | {} |", resident(&stage.server));
    for path in ["ai2", "ai3"] {
        stage.server.enable(path).await;
    }
    tokio::time::sleep(IDLE_AFTER).await;
    println!("| resident memory, 3 idle mounts | {} |", resident(&stage.server));
}

/// Starts the plugin as a host does and waits for the handshake's line.
fn start() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(plugin_binary());
    command
        .env("VAULT_BACKEND_PLUGIN", "6669da05-b1c8-4f49-97d9-c8e5bed98e20")
        .env("PLUGIN_PROTOCOL_VERSIONS", "5")
        .env("PLUGIN_CLIENT_CERT", include_str!("../it/host/fixture/host.pem"))
        .env("PLUGIN_UNIX_SOCKET_DIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn().expect("the plugin starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a first line");
    let took = begun.elapsed();
    assert!(line.starts_with("1|5|unix|"), "{line}");
    child.kill().and_then(|()| child.wait()).expect("ended");
    took
}

/// Resident memory of the plugin's processes of a server.
pub fn resident(server: &Server) -> String {
    let pids = server.plugin_pids();
    let status = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    // Of its memory, file pages are the program itself, which the kernel may drop.
    let sum = |field: &str| -> f64 {
        let kilobytes = |text: String| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("a field of the kernel's");
            line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().expect("a number")
        };
        pids.iter().map(status).map(kilobytes).sum::<f64>() * 1024.0 / 1e6
    };
    let processes = if pids.len() == 1 { "one process" } else { "several processes" };
    format!("{:.1} MB, {:.1} MB of it its own ({processes})", sum("VmRSS"), sum("RssAnon"))
}
