//! The server's own agent or proxy as a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::deps;
use super::node::{BINARY, Node};
use super::process::{Process, is_running, kill};

/// Seconds between two calls of a sample application.
pub const INTERVAL: &str = "0.2";

/// An agent or a proxy; ends with the test, and with it the program that it runs.
pub struct Agent {
    process: Process,
    output: PathBuf,
}

impl Agent {
    /// `kind` is `agent` or `proxy`; `config` is a file in the folder, which is its working directory. What it prints is
    /// added to `<kind>.out` there. A program that it runs asks a model five times a second.
    pub fn start(kind: &str, server: &Node, folder: &Path, config: &str) -> Self {
        let output = folder.join(format!("{kind}.out"));
        let file = File::options().create(true).append(true).open(&output).expect("opened");
        let child = Command::new(&*BINARY)
            .args([kind, "-config", config])
            .current_dir(folder)
            .env("HOME", folder)
            .env("PATH", &*deps::PATH)
            .envs([("VAULT_ADDR", &server.url), ("BAO_ADDR", &server.url)])
            .env("AI_INTERVAL", INTERVAL)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("cloned"))
            .stderr(file)
            .spawn()
            .expect("it starts");
        Self { process: Process::of_child(child), output }
    }

    /// What it prints; in exec mode, what its program prints as well.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Asks it to end. It ends its program first.
    pub fn stop(&mut self) {
        let programs = self.process.children();
        let asked = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill runs");
        assert!(asked.success());
        self.process.wait();
        assert!(!programs.into_iter().any(is_running), "its program lives on");
    }

    /// kill -9. Its program lives on.
    pub fn kill(&mut self) {
        assert!(kill(&[self.process.id()]));
        self.process.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if !self.process.has_ended() {
            let children = self.process.children();
            self.kill();
            if !children.is_empty() {
                kill(&children);
            }
        }
        if std::thread::panicking() {
            println!(
                "--- {} ---\n{}",
                self.output.display(),
                std::fs::read_to_string(&self.output).unwrap_or_default()
            );
        }
    }
}
