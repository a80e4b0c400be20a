use std::error::Error;
use std::fmt;

use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::line::Line;

/// Turns events of `tracing` into lines of hclog: the event's fields and those of the spans around it.
pub struct HclogLayer<W> {
    level: Level,
    module: &'static str,
    write: W,
}

impl<W: Fn(&[u8]) + 'static> HclogLayer<W> {
    /// `write` is given whole lines with their line break, and writes each at once. Levels as for `install`.
    pub const fn new(level: Level, module: &'static str, write: W) -> Self {
        Self { level, module, write }
    }
}

impl<W, S> Layer<S> for HclogLayer<W>
where
    W: Fn(&[u8]) + 'static,
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        let own = metadata.target().strip_prefix(self.module);
        let is_own = own.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        let least = if is_own { self.level } else { Level::WARN.min(self.level) };
        *metadata.level() <= least
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level))
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Line::new(*event.metadata().level(), event.metadata().target());
        // From the outermost span inwards: what is said nearer to the event wins.
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Fields>() {
                fields.add_to(&mut line);
            }
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        line.message(&fields.message);
        fields.add_to(&mut line);
        (self.write)(line.finish().as_bytes());
    }
}

/// The fields of one span or event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn add_to(&self, line: &mut Line) {
        for (name, value) in &self.others {
            line.field(name, value.clone());
        }
    }

    fn add(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", other) => self.message = other.to_string(),
            (name, value) => {
                self.others.retain(|(known, _)| *known != name);
                self.others.push((name, value));
            }
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.add(field, value.to_string().into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, info_span, warn};
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::registry::Registry;

    use super::*;

    /// The lines that `work` logs at `level`.
    fn lines(level: Level, work: impl FnOnce()) -> Vec<Value> {
        let written = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&written);
        let layer = HclogLayer::new(level, "own", move |line: &[u8]| sink.lock().unwrap().push(line.to_vec()));
        tracing::subscriber::with_default(Registry::default().with(layer), work);
        let written = written.lock().unwrap();
        written.iter().map(|line| serde_json::from_slice(line).unwrap()).collect()
    }

    #[test]
    fn an_event_says_in_which_span_it_was() {
        let lines = lines(Level::INFO, || {
            let outer = info_span!(target: "own", "mount", mount = "ai/", tries = tracing::field::Empty);
            let _outer = outer.enter();
            outer.record("tries", 2);
            let _inner = info_span!(target: "own", "request", mount = "other/").entered();
            let error = std::fmt::Error;
            warn!(target: "own::lease", error = &error as &dyn Error, ok = true, "lost {}", 1);
        });
        let [line] = &lines[..] else { panic!("one line") };
        assert_eq!(line["@level"], "warn");
        assert_eq!(line["@message"], "lost 1");
        assert_eq!(line["@module"], "own::lease");
        assert_eq!(line["mount"], "other/", "the inner one wins");
        assert_eq!(line["tries"], 2);
        assert_eq!(line["ok"], true);
        assert_eq!(line["error"], std::fmt::Error.to_string());
    }

    #[test]
    fn other_crates_are_heard_from_a_warning_up() {
        let talk = || {
            debug!(target: "own", "1");
            info!(target: "own::x", "2");
            info!(target: "owner", "3");
            warn!(target: "h2", "4");
        };
        let messages = |level| lines(level, talk).iter().map(|line| line["@message"].clone()).collect::<Vec<_>>();
        assert_eq!(messages(Level::INFO), ["2", "4"]);
        assert_eq!(messages(Level::DEBUG), ["1", "2", "4"]);
        assert_eq!(messages(Level::ERROR), Vec::<Value>::new());
    }
}
