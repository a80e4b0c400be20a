//! The simulator's time and the settings that bend it, in one place.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// What `POST /_control/settings` may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub openai_generation: Generation,
    /// A deleted key still answers at inference for so long.
    pub revocation_lag_seconds: f64,
    /// A vendor that only takes the order to delete a key carries it out after so long.
    pub deletion_delay_seconds: f64,
    /// A fresh key is in no list for so long.
    pub list_lag_seconds: f64,
    /// A fresh key is refused for so long.
    pub accept_lag_seconds: f64,
    /// Added to the real time: moves expiry, the delay and the lags.
    pub clock_offset_seconds: f64,
    /// Cuts every vendor's pages, so that paging shows with a few keys.
    pub page_size_max: Option<usize>,
}

/// OpenAI's admin API before and after November 2026.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Generation {
    Aug,
    #[default]
    Nov,
}

/// One reading of the clock together with the settings: every answer is a function of the state and of this.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub ms: i64,
    pub settings: Settings,
}

impl Settings {
    pub fn now(self) -> Moment {
        Moment { ms: Utc::now().timestamp_millis() + milliseconds(self.clock_offset_seconds), settings: self }
    }
}

impl Moment {
    pub fn after_seconds(self, seconds: i64) -> i64 {
        self.ms.saturating_add(seconds.saturating_mul(1000))
    }

    pub fn past(self, ms: Option<i64>) -> bool {
        ms.is_some_and(|ms| ms <= self.ms)
    }

    pub fn hidden_from_lists(self, created: i64) -> bool {
        self.ms < created + milliseconds(self.settings.list_lag_seconds)
    }

    /// When a deletion that was ordered then is carried out.
    pub fn carries_out(self, ordered: i64) -> i64 {
        ordered + milliseconds(self.settings.deletion_delay_seconds)
    }

    pub fn refuses_still(self, created: i64) -> bool {
        self.ms < created + milliseconds(self.settings.accept_lag_seconds)
    }

    pub fn still_answers(self, deleted: i64) -> bool {
        self.ms < deleted + milliseconds(self.settings.revocation_lag_seconds)
    }

    pub fn page_size(self, asked: usize) -> usize {
        self.settings.page_size_max.map_or(asked, |most| asked.min(most))
    }
}

pub fn unix(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

pub fn rfc3339(ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
