use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

/// A moment on the wall clock, UTC.
pub type Time = DateTime<Utc>;

/// A moment in whole seconds, as the host writes its own times.
pub fn rfc3339(time: Time) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The only source of time, injected so that tests move it.
pub trait Clock: Send + Sync {
    /// The wall clock: for deadlines that outlive this process. May jump.
    fn now(&self) -> Time;
    /// Time since an arbitrary start that never goes backwards: for ages and budgets within this process.
    fn monotonic(&self) -> Duration;
}

/// The clock of the machine. In a test build it is moved by the whole seconds that the file named in
/// `AI_TEST_CLOCK` holds, read anew at each call.
pub struct SystemClock {
    start: Instant,
    #[cfg(feature = "test-build")]
    offset: Option<std::path::PathBuf>,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            #[cfg(feature = "test-build")]
            offset: std::env::var_os("AI_TEST_CLOCK").map(Into::into),
        }
    }
}

impl SystemClock {
    #[cfg(feature = "test-build")]
    fn offset(&self) -> Duration {
        let text = self.offset.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        Duration::from_secs(text.and_then(|text| text.trim().parse().ok()).unwrap_or(0))
    }

    #[cfg(not(feature = "test-build"))]
    const fn offset(&self) -> Duration {
        Duration::ZERO
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Utc::now() + self.offset()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed() + self.offset()
    }
}
