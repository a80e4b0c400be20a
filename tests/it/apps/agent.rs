use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tempfile::TempDir;

use super::scene::Scene;
use super::worker::Language;
use crate::support::bench::eventually;
use crate::support::deps;
use crate::support::node::BINARY;
use crate::support::process::kill;

/// How the key comes to the application: a file of vault-dev/agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delivery {
    JsonFile,
    EnvFile,
    /// The agent runs the application.
    Exec(Language),
}

/// A real agent in a folder of its own.
pub struct Agent {
    pub folder: TempDir,
    pub delivery: Delivery,
    child: Child,
}

impl Agent {
    /// Starts it, and waits for what it delivers.
    pub async fn start(scene: &Scene, delivery: Delivery) -> Self {
        let folder = tempfile::Builder::new().prefix("vault-ai-agent-").tempdir().expect("a folder");
        for (name, value) in ["role-id", "secret-id"].into_iter().zip(scene.login().await) {
            std::fs::write(folder.path().join(name), value).expect("written");
        }
        let mut config = read(&vault_dev().join("agent").join(delivery.config()));
        if let Delivery::Exec(language) = delivery {
            std::os::unix::fs::symlink(language.file(), folder.path().join(language.name())).expect("linked");
            // The file runs the Python one.
            let command = format!("{:?}", language.command(language.name()));
            let line = config.lines().find(|line| line.contains("command ")).expect("a command").to_owned();
            config = config.replace(&line, &format!("command = {command}"));
        }
        std::fs::write(folder.path().join(delivery.config()), config).expect("written");
        let child = launch(scene, folder.path(), delivery);
        let agent = Self { folder, delivery, child };
        if let Some(file) = agent.key_file() {
            eventually("the agent has written the key", async || file.exists()).await;
        }
        agent
    }

    /// Ends it as a machine that goes down would, and starts it again in the same folder.
    pub async fn restart(&mut self, scene: &Scene) {
        if let Delivery::Exec(_) = self.delivery {
            // Killed, it would leave the program behind: whoever supervises it must end both.
            let ended = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
            assert!(ended.success());
        } else {
            self.child.kill().expect("killed");
        }
        self.child.wait().expect("waited");
        self.child = launch(scene, self.folder.path(), self.delivery);
    }

    /// The file with the key; none in exec mode.
    pub fn key_file(&self) -> Option<PathBuf> {
        let name = match self.delivery {
            Delivery::JsonFile => "ai.json",
            Delivery::EnvFile => "ai.env",
            Delivery::Exec(_) => return None,
        };
        Some(self.folder.path().join("run").join(name))
    }

    /// What it prints; in exec mode, what the application prints as well.
    pub fn output(&self) -> PathBuf {
        self.folder.path().join("agent.out")
    }

    /// Every key that was ever made starts alike.
    pub async fn shows_no_key(&self, scene: &Scene) {
        for text in [read(&self.output()), scene.server.log()] {
            assert!(!text.contains("sk-svcacct-"));
        }
    }
}

impl Delivery {
    fn config(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file.hcl",
            Self::EnvFile => "env-file.hcl",
            Self::Exec(_) => "exec.hcl",
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &self.child.id().to_string()]).output();
        let _ = self.child.kill();
        let _ = self.child.wait();
        let text = String::from_utf8(children.expect("ps runs").stdout).expect("text");
        let pids: Vec<u32> = text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if !pids.is_empty() {
            kill(&pids);
        }
        if std::thread::panicking() {
            println!("--- the agent ---\n{}", read(&self.output()));
        }
    }
}

fn launch(scene: &Scene, folder: &Path, delivery: Delivery) -> Child {
    let output = File::options().create(true).append(true).open(folder.join("agent.out")).expect("opened");
    Command::new(&*BINARY)
        .args(["agent", "-config", delivery.config()])
        .current_dir(folder)
        .env("HOME", folder)
        .env("PATH", &*deps::PATH)
        .envs([("VAULT_ADDR", &scene.server.url), ("BAO_ADDR", &scene.server.url)])
        .env("AI_INTERVAL", super::worker::INTERVAL)
        .stdout(output.try_clone().expect("cloned"))
        .stderr(output)
        .spawn()
        .expect("the agent starts")
}

pub fn vault_dev() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vault-dev")
}

pub fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
