use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use vault_plugin_secrets_ai::providers;

use super::redact::Redactor;
use crate::support::console_keys;
use crate::support::deps;
use crate::support::node::{BINARY, plugin_binary};
use crate::support::server::{ROOT, Stage};
use crate::support::simulator::{ANTHROPIC, LITELLM, OPENAI, OPENROUTER};

/// Ends the output of a command.
const END: &str = "--- the command has ended ---";

/// A shell in which a page's commands run one after the other. `vault` is the server's binary, and `$SIMULATOR` the
/// URL of the vendors' stand-in.
///
/// In a page a command starts with `$ ` and goes on over lines that end in `\` and over a here-document; what follows
/// up to the next command is its output. A word with `…` in a command is the last one that was shown like it. A command
/// with `# stays up` behind it goes on while the next ones run.
pub struct Console {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    redactor: Redactor,
}

impl Console {
    /// In the stage's plugin directory.
    pub fn new(stage: &Stage) -> Self {
        Self::starting_in(&stage.server.folder.path().join("plugins"), stage)
    }

    pub fn starting_in(folder: &Path, stage: &Stage) -> Self {
        let home = stage.server.folder.path();
        let binaries = home.join("bin");
        std::fs::create_dir(&binaries).expect("made");
        std::os::unix::fs::symlink(&*BINARY, binaries.join("vault")).expect("linked");
        let mut shell = bash(stage);
        shell
            .current_dir(folder)
            .env("HOME", home)
            .env("PATH", format!("{}:{}", binaries.display(), *deps::PATH))
            .envs([("OPENAI_ADMIN_KEY", OPENAI), ("OPENROUTER_MANAGEMENT_KEY", OPENROUTER)])
            .envs([("LITELLM_MASTER_KEY", LITELLM), ("SIMULATOR", &stage.simulator.url)])
            .env("ANTHROPIC_ADMIN_TOKEN", ANTHROPIC)
            .env("ANTHROPIC_ADMIN_KEY", console_keys::ADMIN)
            .env("AZURE_CLIENT_SECRET", "entra~client.secret-simulator-0002")
            .env("CLIENT_SECRET", "oauth2-client-secret-simulator-0001");
        let redactor = Redactor::new(&stage.server.url, &stage.simulator.url);
        Self::start(shell, redactor)
    }

    /// In a checkout, with nothing running yet: a page starts what it needs, on three ports from this one on.
    pub fn of_a_newcomer(checkout: &Path, home: &Path, port: u16) -> Self {
        let mut shell = clean_bash();
        shell
            .current_dir(checkout)
            .env("HOME", home)
            .env("PORT", port.to_string())
            .env("VAULT_BIN", &*BINARY)
            .env("PLUGIN_BIN", plugin_binary())
            .env("SIMULATOR_BIN", env!("CARGO_BIN_EXE_vendor-simulator"));
        Self::start(shell, Redactor::of_a_newcomer(port))
    }

    fn start(mut shell: Command, redactor: Redactor) -> Self {
        let mut shell = shell
            .args(["--noprofile", "--norc"])
            .env("CARGO_HOME", cargo_home())
            // What a page leaves running ends with it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let mut input = shell.stdin.take().expect("piped");
        writeln!(input, "exec 2>&1").expect("written");
        let output = BufReader::new(shell.stdout.take().expect("piped"));
        Self { shell, input, output, redactor }
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
        let command = in_background(&as_built(&self.at_simulator(&self.redactor.filled(command))));
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
        let vendor = providers::all().find(|vendor| {
            command.contains(" ai/config/") && command.contains(&format!("provider={} ", vendor.about().name))
        });
        match vendor {
            Some(vendor) if !command.contains("api_url=") => {
                // The others' pages name their URLs.
                let field = vendor.about().account.iter().find(|field| field.name == "api_url");
                let Some(url) = field.and_then(|field| field.default.as_deref()) else { return command.to_owned() };
                let url = self.redactor.at_simulator(&vendor.about().name, url);
                format!("{command} api_url={url}")
            }
            _ => command.to_owned(),
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let group = format!("-{}", self.shell.id());
        let signal = |name: &str| {
            let sent = Command::new("kill").args([name, "--", &group]).stderr(Stdio::null()).status();
            sent.is_ok_and(|status| status.success())
        };
        // scripts/dev removes its folder when it is asked to end.
        signal("-TERM");
        let _ = self.shell.wait();
        for _ in 0..100 {
            if !signal("-0") {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        signal("-KILL");
    }
}

/// A command that stays up, with the output that it has by then; the page goes on after its line `--- up`.
fn in_background(command: &str) -> String {
    let Some((command, _)) = command.split_once("# stays up") else { return command.to_owned() };
    format!(
        "{command} >~/up.out 2>~/up.err &
         while ! grep -q '^--- up' ~/up.out; do kill -0 $! || {{ cat ~/up.err; break; }}; sleep 0.1; done; cat ~/up.out"
    )
}

/// Where cargo has what it fetched, whatever HOME is.
fn cargo_home() -> PathBuf {
    let set = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    set.unwrap_or_else(|| std::env::home_dir().expect("a home").join(".cargo"))
}

/// A shell as a reader has it, with the address and the token of the stage's server.
pub fn bash(stage: &Stage) -> Command {
    let mut bash = clean_bash();
    bash.envs([("VAULT_ADDR", &*stage.server.url), ("VAULT_TOKEN", ROOT)]);
    bash
}

/// With what the samples import, and none of the variables that cargo sets for a test. Of those, the build scripts of
/// some crates would have cargo build anew.
fn clean_bash() -> Command {
    let mut bash = Command::new("bash");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "BAO_", "VAULT_"].iter().any(|prefix| text.starts_with(prefix)) {
            bash.env_remove(&name);
        }
    }
    bash.env("PATH", &*deps::PATH);
    bash
}

/// A command that runs an example, with the features that the tests were built with: nothing is built twice.
pub fn as_built(command: &str) -> String {
    command.replace("cargo run --quiet ", "cargo run --quiet --locked --features test-build ")
}

/// Whether a command goes on in the next line.
fn is_open(command: &str) -> bool {
    let last = command.lines().last().unwrap_or_default();
    last.ends_with('\\') || ((command.contains("<<EOF") || command.contains("<<'EOF'")) && last != "EOF")
}
