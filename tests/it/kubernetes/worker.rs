//! What a manifest's container does before it becomes the worker, and its probe, run here with folders in place of the
//! volumes.

use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::{CSI, EXTERNAL_SECRETS, Manifest, VARIABLES, at};

/// The program that the manifests start last; here it prints what it was given.
const PROGRAM: &str = "/usr/local/bin/worker";
/// Where each manifest keeps what it started with.
const OWN: &str = "/run/worker";

pub struct Worker {
    folder: TempDir,
    /// The first part of a path in the container that is a folder here.
    volumes: Vec<String>,
    start: String,
    probe: String,
}

impl Worker {
    /// `mounts` are the volumes with the key.
    pub fn new(manifest: &Manifest, mounts: &[&str]) -> Self {
        let container = manifest.container();
        for (pointer, shell) in [("/command/0", "/bin/sh"), ("/command/1", "-c")] {
            assert_eq!(at(container, pointer), shell);
        }
        let volumes: Vec<String> = mounts.iter().chain(&[OWN]).map(|&path| path.to_owned()).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let worker = Self {
            volumes,
            start: at(container, "/args/0").to_owned(),
            probe: at(container, "/livenessProbe/exec/command/2").to_owned(),
            folder,
        };
        for volume in &worker.volumes {
            std::fs::create_dir_all(worker.file(volume)).expect("made");
        }
        worker
    }

    /// Where a file of the container is here.
    pub fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// The key and the base URL that the worker finds in its environment.
    pub fn start(&self) -> (String, String) {
        assert!(self.start.contains(PROGRAM), "{}", self.start);
        let output = self.run(&self.start.replace(PROGRAM, "env"));
        let printed = String::from_utf8(output.stdout).expect("text");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && error.is_empty(), "{error}");
        let value = |name: &str| {
            let line = printed.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            line.unwrap_or_else(|| panic!("no {name} in {printed}")).to_owned()
        };
        (value(VARIABLES[0]), value(VARIABLES[1]))
    }

    /// What the liveness probe says.
    pub fn is_alive(&self) -> bool {
        self.run(&self.probe).status.success()
    }

    fn run(&self, script: &str) -> Output {
        let here = |script: String, volume: &String| script.replace(volume, self.file(volume).to_str().expect("text"));
        let script = self.volumes.iter().fold(script.to_owned(), here);
        let mut shell = Command::new("timeout");
        shell.args(["20", "/bin/sh", "-c", &script]).env_clear().env("PATH", std::env::var_os("PATH").expect("a PATH"));
        shell.output().expect("the shell runs")
    }
}

#[test]
fn a_worker_that_reads_files_is_restarted_for_a_new_key() {
    let cases = [
        (EXTERNAL_SECRETS, "/etc/worker/ai", ["OPENAI_API_KEY", "OPENAI_BASE_URL"]),
        (CSI, "/mnt/ai", ["api-key", "base-url"]),
    ];
    for (name, mount, [key, url]) in cases {
        let manifest = Manifest::read(name);
        // Each file is in the object that makes the volume.
        let objects = manifest.0.iter().filter(|object| object["kind"] != "Deployment");
        let objects = objects.map(ToString::to_string).collect::<String>();
        assert!(objects.contains(key) && objects.contains(url), "{name}");
        assert_eq!(at(manifest.container(), "/volumeMounts/0/mountPath"), mount);

        let worker = Worker::new(&manifest, &[mount]);
        assert!(worker.is_alive(), "{name}: the probe kills a worker that has just begun");
        std::fs::write(worker.file(mount).join(key), "sk-first").expect("written");
        std::fs::write(worker.file(mount).join(url), "https://llm.example.com/v1").expect("written");
        assert_eq!(worker.start(), ("sk-first".into(), "https://llm.example.com/v1".into()), "{name}");
        assert!(worker.is_alive(), "{name}");
        std::fs::write(worker.file(mount).join(key), "sk-second").expect("written");
        assert!(!worker.is_alive(), "{name}: the probe does not see the new key");
        assert_eq!(worker.start().0, "sk-second", "{name}");
        assert!(worker.is_alive(), "{name}");
    }
}
