use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use vault_plugin_secrets_ai::providers;

use super::redact::Redactor;
use crate::support::case::CASES;
use crate::support::deps;
use crate::support::node::BINARY;
use crate::support::server::{ROOT, Stage};
use crate::support::simulator::{LITELLM, OPENAI, OPENROUTER};

/// Ends the output of a command.
const END: &str = "--- the command has ended ---";

/// A shell in one folder, in which a page's commands run one after the other. `vault` is the server's binary.
///
/// In a page a command starts with `$ ` and goes on over lines that end in `\` and over a here-document; what follows
/// up to the next command is its output. A word with `…` in a command is the last one that was shown like it.
pub struct Console {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    redactor: Redactor,
    simulator: String,
}

impl Console {
    pub fn new(stage: &Stage, folder: &Path) -> Self {
        let home = stage.server.folder.path();
        let binaries = home.join("bin");
        std::fs::create_dir(&binaries).expect("made");
        std::os::unix::fs::symlink(&*BINARY, binaries.join("vault")).expect("linked");
        let mut shell = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(folder)
            .env("HOME", home)
            .env("PATH", format!("{}:{}", binaries.display(), *deps::PATH))
            .env_remove("BAO_ADDR")
            .env_remove("BAO_TOKEN")
            .envs([("VAULT_ADDR", &*stage.server.url), ("VAULT_TOKEN", ROOT)])
            .envs([("OPENAI_ADMIN_KEY", OPENAI), ("OPENROUTER_MANAGEMENT_KEY", OPENROUTER)])
            .env("LITELLM_MASTER_KEY", LITELLM)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let mut input = shell.stdin.take().expect("piped");
        writeln!(input, "exec 2>&1").expect("written");
        let output = BufReader::new(shell.stdout.take().expect("piped"));
        let simulator = stage.simulator.url.clone();
        Self { shell, input, output, redactor: Redactor::new(&stage.server.url, &simulator), simulator }
    }

    /// The page with the outputs that its commands have now.
    pub fn run_page(&mut self, text: &str) -> String {
        let mut fresh = String::new();
        let mut lines = text.lines();
        let mut in_console = false;
        while let Some(line) = lines.next() {
            match line.strip_prefix("$ ").filter(|_| in_console) {
                Some(first) => {
                    let mut command = first.to_owned();
                    while is_open(&command) {
                        command.push('\n');
                        command.push_str(lines.next().expect("a command that ends"));
                    }
                    fresh.push_str(&format!("$ {command}\n"));
                    fresh.push_str(&self.run(&command));
                }
                // An old output goes.
                None if in_console && line != "```" => {}
                None => {
                    in_console = line == "```console";
                    fresh.push_str(line);
                    fresh.push('\n');
                }
            }
        }
        fresh
    }

    /// The output of one command, as a page shows it: whole lines, or nothing.
    fn run(&mut self, command: &str) -> String {
        let command = self.at_simulator(&self.redactor.filled(command));
        writeln!(self.input, "{{ {command}\n}} </dev/null\nprintf '\\n%s\\n' '{END}'").expect("written");
        self.input.flush().expect("flushed");
        let mut output = String::new();
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("text");
            assert!(read > 0, "the shell ended in: {command}");
            if line.trim_end() == END {
                break;
            }
            output.push_str(&line);
        }
        let shown = self.redactor.shown(output.trim_end());
        shown.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    /// A config that leaves the vendor's URL to its default is written with the simulator's.
    fn at_simulator(&self, command: &str) -> String {
        let vendor = providers::ALL.iter().find(|vendor| {
            command.contains(" ai/config/") && command.contains(&format!("provider={} ", vendor.about().name))
        });
        match vendor {
            Some(vendor) if !command.contains("api_url=") => {
                let case = CASES.into_iter().find(|case| case.provider == vendor.about().name).expect("a case");
                let url = case.config(&self.simulator)["api_url"].as_str().expect("a URL").to_owned();
                format!("{command} api_url={url}")
            }
            _ => command.to_owned(),
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Whether a command goes on in the next line.
fn is_open(command: &str) -> bool {
    let last = command.lines().last().unwrap_or_default();
    last.ends_with('\\') || (command.contains("<<'EOF'") && last != "EOF")
}
