//! UTC days and ranges of them.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Returns the first moment of a UTC day.
pub fn start_of(date: Date) -> Timestamp {
    date.to_zoned_datetime(TimeZone::UTC)
        .map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

/// Returns the UTC day of a moment.
pub fn day_of(moment: Timestamp) -> Date {
    moment.to_zoned_datetime(TimeZone::UTC).date()
}

/// A range of days that is not empty and does not reach into the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its first day.
    pub first: Date,
    /// Its last day, which belongs to it.
    pub last: Date,
}

/// The age of a conversation, as far as it decides whether Genesys gives its recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// No restriction.
    Recent,
    /// Older than a year and a half: the organisation has to be on a list at Genesys.
    OverEighteenMonths,
    /// Older than five years: Genesys has a special job for these.
    OverFiveYears,
}

impl Age {
    /// Returns the age of a conversation that began at `start`.
    pub fn of(start: Timestamp, now: Timestamp) -> Self {
        let before = |months: i64| {
            let then = now
                .to_zoned_datetime(TimeZone::UTC)
                .saturating_sub(Span::new().months(months));
            start < then.timestamp()
        };
        if before(60) {
            Self::OverFiveYears
        } else if before(18) {
            Self::OverEighteenMonths
        } else {
            Self::Recent
        }
    }
}

impl Range {
    /// Makes a range of both days and all between them, as seen at `now`.
    pub fn new(first: Date, last: Date, now: Timestamp) -> Result<Self, String> {
        let today = day_of(now);
        if last > today {
            return Err(format!("--to {last} is in the future; today is {today} (UTC)"));
        }
        if first > last {
            return Err(format!("--from {first} is after --to {last}"));
        }
        Ok(Self { first, last })
    }

    /// Returns its days in order.
    pub fn days(self) -> impl Iterator<Item = Date> {
        self.first
            .series(Span::new().days(1))
            .take_while(move |date| *date <= self.last)
    }

    /// Returns its first moment.
    pub fn start(self) -> Timestamp {
        start_of(self.first)
    }

    /// Returns the first moment after it.
    pub fn end(self) -> Timestamp {
        start_of(self.last.saturating_add(Span::new().days(1)))
    }

    /// Returns whether it holds this moment.
    pub fn holds(self, moment: Timestamp) -> bool {
        self.start() <= moment && moment < self.end()
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: &str, last: &str) -> Result<Range, String> {
        let date = |text: &str| text.parse().unwrap();
        Range::new(date(first), date(last), "2026-03-02T11:00:00Z".parse().unwrap())
    }

    #[test]
    fn ages_are_told_by_the_calendar() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (start, age) in [
            ("2026-11-24T11:00:00Z", Age::Recent),
            ("2025-05-24T12:00:00Z", Age::Recent),
            ("2025-05-24T11:59:59Z", Age::OverEighteenMonths),
            ("2021-11-24T12:00:00Z", Age::OverEighteenMonths),
            ("2021-11-24T11:59:59Z", Age::OverFiveYears),
        ] {
            assert_eq!(Age::of(start.parse().unwrap(), now), age, "{start}");
        }
    }

    #[test]
    fn both_ends_are_included() {
        let range = range("2026-02-27", "2026-03-01").unwrap();
        let days: Vec<_> = range.days().map(|day| day.to_string()).collect();
        assert_eq!(days, ["2026-02-27", "2026-02-28", "2026-03-01"]);
        assert!(range.holds("2026-03-01T23:59:59.999Z".parse().unwrap()));
        assert!(!range.holds("2026-03-02T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_range_that_makes_no_sense_is_refused() {
        let refused = |first, last| range(first, last).unwrap_err();
        assert!(refused("2026-03-02", "2026-03-01").contains("after --to 2026-03-01"));
        assert!(refused("2026-03-01", "2026-03-03").contains("today is 2026-03-02"));
    }
}
