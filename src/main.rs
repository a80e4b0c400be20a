//! The plugin's program: serves the backend to the host that starts it, and explains itself to a person.

use std::process::ExitCode;

use vault_plugin_secrets_ai::{engine, vault};

const EXPLANATION: &str = "\
This program is a secrets engine for HashiCorp Vault and OpenBao. The server starts it; by hand it does nothing.

Put it into the server's plugin_directory, then register and mount it:

  vault plugin register -sha256=$(sha256sum vault-plugin-secrets-ai | cut -d' ' -f1) \\
      secret vault-plugin-secrets-ai
  vault secrets enable -path=ai vault-plugin-secrets-ai
  vault path-help ai

With OpenBao it is `bao` instead of `vault`.

  --version   print the version, which -version of a registration must equal
  --help      print this text
";

#[allow(clippy::print_stdout, clippy::print_stderr)] // only for a person, never for a host
fn main() -> ExitCode {
    let version = version();
    match std::env::args_os().nth(1).as_ref().and_then(|argument| argument.to_str()) {
        Some("--version") => println!("{version}"),
        Some("--help") => print!("{EXPLANATION}"),
        _ => match vault::serve(&version, engine::factory()) {
            Ok(()) => {}
            Err(error) => {
                if let vault::Error::ByHand = error {
                    eprint!("{EXPLANATION}");
                }
                return ExitCode::FAILURE;
            }
        },
    }
    ExitCode::SUCCESS
}

/// The version that the host is told. A test build may pretend to be another one, for upgrades.
fn version() -> String {
    #[cfg(feature = "test-build")]
    if let Ok(version) = std::env::var("AI_TEST_VERSION") {
        return version;
    }
    concat!("v", env!("CARGO_PKG_VERSION")).to_owned()
}
