use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use serde::Deserialize;

use super::delivery::Delivery;
use super::{read, vault_dev};
use crate::support::agent::INTERVAL;
use crate::support::bench::eventually;
use crate::support::deps;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Language {
    Python,
    Node,
}

/// A sample application that runs.
pub struct Worker {
    /// None where the agent runs it.
    child: Option<Child>,
    output: PathBuf,
}

/// A line that it prints.
#[derive(Debug, Deserialize)]
pub struct Call {
    pub ok: bool,
    pub attempts: u32,
    pub key_id: String,
    pub status: Option<u16>,
}

impl Worker {
    /// Starts it where the agent does not.
    pub fn start(delivery: &Delivery, language: Language) -> Self {
        let Some(file) = delivery.key_file() else {
            return Self { child: None, output: delivery.output().to_owned() };
        };
        let output = delivery.folder().join("worker.out");
        let child = language
            .run()
            .envs([("AI_KEY_FILE", file.as_os_str()), ("AI_INTERVAL", INTERVAL.as_ref())])
            .stdout(File::create(&output).expect("made"))
            .spawn()
            .expect("the worker starts");
        Self { child: Some(child), output }
    }

    pub fn calls(&self) -> Vec<Call> {
        let text = read(&self.output);
        // The last line may not be whole yet; an agent's own lines are no JSON.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().filter(|line| line.starts_with('{'));
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))).collect()
    }

    pub fn last(&self) -> Call {
        self.calls().pop().expect("a call")
    }

    /// Waits for some more calls.
    pub async fn goes_on(&self) {
        let count = self.calls().len() + 5;
        eventually("more calls", async || self.calls().len() >= count).await;
    }

    /// Asks it to end, which it does with status 0. One that the agent runs is the agent's.
    pub async fn ends_by_itself(&mut self) {
        if let Some(child) = &mut self.child {
            let asked = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
            assert!(asked.success());
            let status = child.wait().expect("waited");
            assert!(status.success(), "{status}");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Language {
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "app.py",
            Self::Node => "app.mjs",
        }
    }

    pub fn file(self) -> PathBuf {
        vault_dev().join("apps").join(if self == Self::Python { "python" } else { "node" }).join(self.name())
    }

    pub fn command(self, file: &str) -> [&str; 2] {
        [if self == Self::Python { "python3" } else { "node" }, file]
    }

    /// What it prints of a single call.
    pub fn once(self, key_file: &Path, model: &str) -> Call {
        let call = self.run().arg("--once").env("AI_KEY_FILE", key_file).env("AI_MODEL", model).output();
        let call: Output = call.expect("the sample runs");
        let line = serde_json::from_slice::<Call>(&call.stdout);
        let line = line.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&call.stderr)));
        assert_eq!(call.status.success(), line.ok, "its status says how the call went");
        line
    }

    /// The sample as a user would run it.
    fn run(self) -> Command {
        let file = self.file();
        let [program, file] = self.command(file.to_str().expect("text"));
        let mut command = Command::new(program);
        command.arg(file).env("PATH", &*deps::PATH);
        command
    }
}
