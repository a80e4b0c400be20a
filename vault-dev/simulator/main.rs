//! The vendors' admin APIs on one loopback port, with keys that work until they are deleted.
//!
//! It follows the vendors' published specifications and, for LiteLLM, a recorded proxy; it knows nothing of any client.
//! `README.md` beside this file has the control API and the list of rules that are the simulator's own.

mod book;
mod clock;
mod control;
mod faults;
mod federation;
mod fields;
mod guardrails;
mod inference;
mod jwt;
mod litellm;
mod litellm_keys;
mod openai;
mod openai_federation;
mod openai_keys;
mod openrouter;
mod openrouter_federation;
mod plain;
mod request;
mod router;
mod server;
mod tokens;
mod vendors;
mod world;

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use world::{Credentials, World};

const USAGE: &str = "usage: vendor-simulator [--listen 127.0.0.1:PORT] [--openai-admin-key KEY] \
[--openrouter-admin-key KEY] [--litellm-admin-key KEY]

Port 0 (the default) takes any free port. Prints `listening on http://ADDRESS` and serves until SIGTERM or SIGINT.";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        return say(USAGE);
    };
    let listener = TcpListener::bind(options.listen).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    say(&format!("listening on http://{}", listener.local_addr()?))?;

    let world = Arc::new(Mutex::new(World::new(options.credentials)));
    tokio::select! {
        outcome = server::serve(listener, world) => outcome?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

struct Options {
    listen: SocketAddr,
    credentials: Credentials,
}

impl Options {
    /// `None` asks for the help text.
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Option<Self>, Box<dyn Error>> {
        let mut arguments = arguments;
        let mut options = Self { listen: SocketAddr::from(([127, 0, 0, 1], 0)), credentials: Credentials::default() };
        while let Some(flag) = arguments.next() {
            if flag == "--help" || flag == "-h" {
                return Ok(None);
            }
            let value = arguments.next().ok_or_else(|| format!("{flag} needs a value\n{USAGE}"))?;
            match flag.as_str() {
                "--listen" => options.listen = value.parse()?,
                "--openai-admin-key" => options.credentials.openai = value,
                "--openrouter-admin-key" => options.credentials.openrouter = value,
                "--litellm-admin-key" => options.credentials.litellm = value,
                _ => return Err(format!("unknown flag {flag}\n{USAGE}").into()),
            }
        }
        // The control API has no authentication: it must never be reachable from another machine.
        if !options.listen.ip().is_loopback() {
            return Err("--listen must be a loopback address".into());
        }
        Ok(Some(options))
    }
}

/// Whoever starts the program waits for this line, so it must not stay in a buffer.
fn say(line: &str) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}
