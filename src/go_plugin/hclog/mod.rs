//! Log lines as the host reads them from a plugin's stderr: one JSON object a line, in the format of hclog.
//!
//! A host that is given a line which is JSON, but whose `@level`, `@message` or `@timestamp` is no text,
//! panics as a whole (go-plugin up to 1.8.0, measured against OpenBao 2.7.2). So nothing else may ever write
//! to stderr, and no value may make a line or a key of its own. `install` also sends panics this way.

mod layer;
mod line;

use std::io::Write;
use std::panic::PanicHookInfo;

use tracing::Level;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::Registry;

pub use layer::HclogLayer;
use line::Line;

/// Sends all events of `tracing` from now on, and every panic, to stderr: from `level` up those of the
/// modules under `module`, and of all other crates only warnings and errors. Does nothing if a subscriber is
/// there already.
pub fn install(level: Level, module: &'static str) {
    let subscriber = Registry::default().with(HclogLayer::new(level, module, write));
    if tracing::subscriber::set_global_default(subscriber).is_ok() {
        std::panic::set_hook(Box::new(|panic| write(panic_line(panic).as_bytes())));
    }
}

/// One line, in one write: lines of several threads do not mix. A host that does not read any more is no
/// reason to stop.
fn write(line: &[u8]) {
    _ = std::io::stderr().lock().write_all(line);
}

fn panic_line(panic: &PanicHookInfo<'_>) -> String {
    let mut line = Line::new(Level::ERROR, "panic");
    let payload = panic.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    line.message(text.unwrap_or("a panic without a text"));
    if let Some(location) = panic.location() {
        line.field("location", location.to_string().into());
    }
    line.field("thread", std::thread::current().name().unwrap_or_default().into());
    line.finish()
}
