use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::scene::Scene;
use super::worker::Language;
use super::{read, vault_dev};
use crate::support::agent::Agent;
use crate::support::bench::eventually;

/// How the key comes to the application: a file of vault-dev/agent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    JsonFile,
    EnvFile,
    /// The key of a static role, in a JSON file.
    StaticKey,
    /// The agent runs the application.
    Exec(Language),
}

/// An agent at work, in a folder of its own.
pub struct Delivery {
    way: Way,
    agent: Agent,
    folder: TempDir,
}

impl Delivery {
    /// Starts the agent, and waits for what it delivers.
    pub async fn start(scene: &Scene, way: Way) -> Self {
        let folder = scene.folder().await;
        let mut config = read(&vault_dev().join("agent").join(way.config()));
        if let Way::Exec(language) = way {
            std::os::unix::fs::symlink(language.file(), folder.path().join(language.name())).expect("linked");
            // The file runs the Python one.
            let command = |language: Language| format!("{:?}", language.command(language.name()));
            assert!(config.contains(&command(Language::Python)));
            config = config.replace(&command(Language::Python), &command(language));
        }
        std::fs::write(folder.path().join(way.config()), config).expect("written");
        let agent = Agent::start("agent", &scene.server, folder.path(), way.config());
        let delivery = Self { way, agent, folder };
        if let Some(file) = delivery.key_file() {
            eventually("the agent has written the key", async || file.exists()).await;
        }
        delivery
    }

    /// Ends the agent as a machine that goes down would, and starts it again in the same folder.
    pub fn restart_agent(&mut self, scene: &Scene) {
        match self.way {
            // Killed, it would leave the program behind: whoever supervises it must end both.
            Way::Exec(_) => self.agent.stop(),
            Way::JsonFile | Way::EnvFile | Way::StaticKey => self.agent.kill(),
        }
        self.agent = Agent::start("agent", &scene.server, self.folder.path(), self.way.config());
    }

    /// The file with the key; none in exec mode.
    pub fn key_file(&self) -> Option<PathBuf> {
        let name = match self.way {
            Way::JsonFile | Way::StaticKey => "ai.json",
            Way::EnvFile => "ai.env",
            Way::Exec(_) => return None,
        };
        Some(self.folder().join("run").join(name))
    }

    /// Has an agent end with the program that it runs.
    pub fn stop(&mut self) {
        self.agent.stop();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the agent prints; in exec mode, what the application prints as well.
    pub fn output(&self) -> &Path {
        self.agent.output()
    }
}

impl Way {
    fn config(self) -> &'static str {
        match self {
            Self::JsonFile => "json-file.hcl",
            Self::EnvFile => "env-file.hcl",
            Self::StaticKey => "static-key.hcl",
            Self::Exec(_) => "exec.hcl",
        }
    }
}
