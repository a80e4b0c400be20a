use std::time::Duration;

use chrono::TimeDelta;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};

use crate::base::Time;
use crate::logical::Object;
use crate::schema::{Change, Invalid, format_duration};

/// When something rotates by itself: every so often, or at the times of a cron expression. Fields as in Vault's own
/// engines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    period: Option<u64>,
    /// Five fields of cron, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cron: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<u64>,
    #[serde(default)]
    disabled: bool,
}

/// A change of a schedule, as it was sent.
pub struct ScheduleChange {
    pub period: Change<Duration>,
    pub cron: Change<String>,
    pub window: Change<Duration>,
    pub disabled: Change<bool>,
}

/// Shortest `rotation_window`, as in Vault: the tick comes once a minute, and a vendor may be out for a while.
const SHORTEST_WINDOW: Duration = Duration::from_secs(3600);
/// Longest cron expression, in bytes.
const LONGEST_CRON: usize = 128;
/// Times of a cron expression that are looked at for its narrowest gap.
const GAPS: usize = 16;
/// A last rotation that lies further ahead than clocks differ never was.
const AHEAD: Duration = Duration::from_secs(3600);

impl Schedule {
    /// The stored schedule with a change over it. Each of `rotation_period` and `rotation_schedule` takes the other's place.
    ///
    /// # Errors
    /// Names the field: both at once, a window without a schedule, rotations closer than `shortest`.
    pub fn changed(
        stored: Option<&Self>,
        change: ScheduleChange,
        shortest: Duration,
        now: Time,
    ) -> Result<Self, Invalid> {
        let stored = stored.cloned().unwrap_or_default();
        let set_cron = matches!(&change.cron, Change::Set(text) if !text.trim().is_empty());
        let set_period = matches!(change.period, Change::Set(period) if !period.is_zero());
        if set_cron && set_period {
            return Err(Invalid::new("rotation_schedule", "cannot stand beside rotation_period: send one of them"));
        }
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs()).filter(|s| *s > 0);
        let period = seconds(change.period.apply(stored.period.map(Duration::from_secs)));
        let cron = change.cron.apply(stored.cron).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let window = seconds(change.window.apply(stored.window.map(Duration::from_secs)));
        let schedule = Self {
            period: period.filter(|_| !set_cron),
            cron: cron.filter(|_| !set_period),
            // It goes with the schedule that it belongs to.
            window: window.filter(|_| !set_period),
            disabled: change.disabled.apply(Some(stored.disabled)).unwrap_or(false),
        };
        schedule.check(shortest, now)?;
        Ok(schedule)
    }

    fn check(&self, shortest: Duration, now: Time) -> Result<(), Invalid> {
        if let Some(period) = self.period.filter(|period| *period < shortest.as_secs()) {
            let [period, shortest] = [Duration::from_secs(period), shortest].map(format_duration);
            return Err(Invalid::new("rotation_period", format!("{period} is less than {shortest}, the shortest")));
        }
        if let Some(text) = &self.cron {
            let cron = parse(text)?;
            let narrowest = gaps(&cron, now).min();
            let narrowest =
                narrowest.ok_or_else(|| Invalid::new("rotation_schedule", "names no time that ever comes"))?;
            if narrowest < shortest {
                let shortest = format_duration(shortest);
                return Err(Invalid::new(
                    "rotation_schedule",
                    format!("comes again in less than {shortest}, the shortest"),
                ));
            }
        }
        match self.window.map(Duration::from_secs) {
            Some(_) if self.cron.is_none() => {
                Err(Invalid::new("rotation_window", "has a meaning only with rotation_schedule"))
            }
            Some(window) if window < SHORTEST_WINDOW => {
                Err(Invalid::new("rotation_window", format!("must be at least {}", format_duration(SHORTEST_WINDOW))))
            }
            _ => Ok(()),
        }
    }

    /// Whether anything rotates by it.
    pub const fn is_active(&self) -> bool {
        !self.disabled && (self.period.is_some() || self.cron.is_some())
    }

    pub const fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// When the rotation after one at `last` is due: a time that has passed where it was missed and may still be made up
    /// for. None where nothing rotates by itself.
    pub fn next(&self, last: Time, now: Time) -> Option<Time> {
        if !self.is_active() {
            return None;
        }
        // A clock that was far ahead has put it there.
        if last > now + AHEAD {
            return Some(now);
        }
        if let Some(period) = self.period {
            return last.checked_add_signed(TimeDelta::try_seconds(i64::try_from(period).ok()?)?);
        }
        let cron = parse(self.cron.as_deref()?).ok()?;
        let next = cron.find_next_occurrence(&last, false).ok()?;
        let Some(window) = self.window.map(Duration::from_secs) else { return Some(next) };
        // What was missed for longer than its window waits for the next time; of two windows that overlap, the later counts.
        let open = cron.find_previous_occurrence(&now, true).ok().filter(|at| *at > last && now < *at + window);
        match open {
            Some(open) => Some(open),
            None if next > now => Some(next),
            None => cron.find_next_occurrence(&now, false).ok(),
        }
    }

    /// `rotation_period`, also where it is not followed.
    pub fn period(&self) -> Option<Duration> {
        self.period.map(Duration::from_secs)
    }

    /// The longest time between two rotations.
    pub fn longest_gap(&self, now: Time) -> Option<Duration> {
        match self.period() {
            Some(period) => Some(period),
            None => longest_gap(&parse(self.cron.as_deref()?).ok()?, now),
        }
    }

    /// The shortest time between two rotations.
    pub fn shortest_gap(&self, now: Time) -> Option<Duration> {
        match self.period() {
            Some(period) => Some(period),
            None => gaps(&parse(self.cron.as_deref()?).ok()?, now).min(),
        }
    }

    /// As a read shows it, beside the fields that it belongs to.
    pub fn show(&self, data: &mut Object) {
        data.insert("rotation_period".into(), self.period.unwrap_or(0).into());
        data.insert("rotation_schedule".into(), self.cron.clone().unwrap_or_default().into());
        data.insert("rotation_window".into(), self.window.unwrap_or(0).into());
        data.insert("disable_automated_rotation".into(), self.disabled.into());
    }
}

fn parse(text: &str) -> Result<Cron, Invalid> {
    let invalid = |problem: String| Invalid::new("rotation_schedule", problem);
    if text.len() > LONGEST_CRON {
        return Err(invalid(format!("is longer than {LONGEST_CRON} characters")));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| {
        let why = crate::base::bounded(&error.to_string(), 100);
        invalid(format!(
            "is not cron's five fields (minute hour day month weekday, UTC), such as \"0 3 * * SUN\": {why}"
        ))
    })
}

/// The gaps between the next times.
fn gaps(cron: &Cron, now: Time) -> impl Iterator<Item = Duration> {
    let times: Vec<Time> = cron.iter_after(now).take(GAPS).collect();
    let gaps: Vec<Duration> = times.windows(2).filter_map(|pair| (pair[1] - pair[0]).to_std().ok()).collect();
    gaps.into_iter()
}

/// The longest time without an occurrence in a year: whatever is longer than an hour goes across a full one.
fn longest_gap(cron: &Cron, now: Time) -> Option<Duration> {
    const HOURS: u64 = 366 * 24;
    let mut longest = Duration::ZERO;
    let mut hour = 0;
    while hour < HOURS {
        let at = now + Duration::from_secs(3600 * hour);
        let before = cron.find_previous_occurrence(&at, true).ok()?;
        let after = cron.find_next_occurrence(&at, false).ok()?;
        longest = longest.max((after - before).to_std().ok()?);
        // Nothing comes before that.
        hour += ((after - at).to_std().ok()?.as_secs() / 3600).max(1);
    }
    Some(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn time(text: &str) -> Time {
        text.parse().expect("a time")
    }

    fn now() -> Time {
        time("2026-11-24T12:00:00Z")
    }

    fn change() -> ScheduleChange {
        ScheduleChange { period: Change::Keep, cron: Change::Keep, window: Change::Keep, disabled: Change::Keep }
    }

    fn cron(text: &str, window: Option<Duration>) -> Result<Schedule, Invalid> {
        let window = window.map_or(Change::Keep, Change::Set);
        Schedule::changed(None, ScheduleChange { cron: Change::Set(text.into()), window, ..change() }, HOUR, now())
    }

    fn period(stored: Option<&Schedule>, period: Duration) -> Result<Schedule, Invalid> {
        Schedule::changed(stored, ScheduleChange { period: Change::Set(period), ..change() }, HOUR, now())
    }

    #[test]
    fn a_period_counts_from_the_last_rotation() {
        let daily = period(None, 24 * HOUR).expect("valid");
        assert_eq!(daily.next(now(), now()), Some(time("2026-11-25T12:00:00Z")));
        assert_eq!(daily.next(time("2026-11-20T00:00:00Z"), now()), Some(time("2026-11-21T00:00:00Z")), "long due");
        assert_eq!(Schedule::default().next(now(), now()), None);
    }

    #[test]
    fn a_time_that_was_missed_is_made_up_for_within_its_window() {
        let last = time("2026-11-20T03:00:00Z");
        let free = cron("0 3 * * *", None).expect("valid");
        assert_eq!(free.next(last, now()), Some(time("2026-11-21T03:00:00Z")), "missed, and due still");
        let windowed = cron("0 3 * * *", Some(2 * HOUR)).expect("valid");
        assert_eq!(windowed.next(last, time("2026-11-24T04:59:00Z")), Some(time("2026-11-24T03:00:00Z")));
        assert_eq!(windowed.next(last, now()), Some(time("2026-11-25T03:00:00Z")), "too late for today");
        assert_eq!(
            windowed.next(time("2026-11-24T03:00:10Z"), time("2026-11-24T03:01:00Z")),
            Some(time("2026-11-25T03:00:00Z")),
            "done"
        );
    }

    #[test]
    fn a_period_and_a_schedule_take_each_others_place() {
        let weekly = cron("0 3 * * SUN", Some(2 * HOUR)).expect("valid");
        let daily = period(Some(&weekly), 24 * HOUR).expect("valid");
        assert_eq!(daily, period(None, 24 * HOUR).expect("valid"));
        let both = ScheduleChange { period: Change::Set(HOUR), cron: Change::Set("0 3 * * *".into()), ..change() };
        assert_eq!(Schedule::changed(None, both, HOUR, now()).expect_err("both").field, "rotation_schedule");
        let off = ScheduleChange { disabled: Change::Set(true), ..change() };
        let off = Schedule::changed(Some(&daily), off, HOUR, now()).expect("valid");
        assert!(!off.is_active() && off.next(now(), now()).is_none());
        let none = ScheduleChange { period: Change::Set(Duration::ZERO), ..change() };
        assert_eq!(Schedule::changed(Some(&daily), none, HOUR, now()).expect("valid"), Schedule::default());
    }

    #[test]
    fn what_cannot_be_kept_is_refused_by_its_field() {
        for bad in ["x", "* * * * *", "*/5 * * * *", "0 0 30 2 *", "0 0 3 * * *", "0 3 * * * 2027", &"1,".repeat(100)] {
            assert_eq!(cron(bad, None).expect_err(bad).field, "rotation_schedule", "{bad}");
        }
        assert_eq!(cron("0 3 * * *", Some(HOUR / 2)).expect_err("short").field, "rotation_window");
        assert_eq!(period(None, HOUR / 2).expect_err("short").field, "rotation_period");
        let window = ScheduleChange { window: Change::Set(HOUR), ..change() };
        assert_eq!(Schedule::changed(None, window, HOUR, now()).expect_err("alone").field, "rotation_window");
    }

    #[test]
    fn the_longest_gap_is_found_wherever_it_is() {
        let first_week = cron("0 */2 1-7 * *", None).expect("valid");
        assert!(first_week.longest_gap(time("2026-11-01T00:00:00Z")) > Some(23 * 24 * HOUR));
        let busy = cron("0 0,1,23 * * *", None).expect("valid");
        assert_eq!(busy.longest_gap(now()), Some(22 * HOUR));
    }

    #[test]
    fn a_rotation_that_lies_ahead_never_was() {
        let daily = period(None, 24 * HOUR).expect("valid");
        assert_eq!(daily.next(time("2036-01-01T00:00:00Z"), now()), Some(now()));
    }

    #[test]
    fn the_longest_gap_is_that_of_a_weekend() {
        let workdays = cron("0 3 * * MON-FRI", None).expect("valid");
        assert_eq!(workdays.longest_gap(now()), Some(72 * HOUR));
    }
}
