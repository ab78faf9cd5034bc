//! Ranges of UTC days, as several commands take them.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use recording_archiver::genesys::analytics::start_of;

/// Which days.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Days {
    /// First day (UTC), such as 2026-01-01.
    #[arg(long, value_name = "DATE")]
    pub(crate) from: Option<Date>,
    /// Last day (UTC), itself included. Default: yesterday.
    #[arg(long, value_name = "DATE", requires = "from")]
    pub(crate) to: Option<Date>,
}

/// A range of days that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: Date,
    pub(crate) last: Date,
}

impl Days {
    /// The range, if there is one; `now` is the time of asking.
    pub(crate) fn range(self, now: Timestamp) -> Result<Option<Range>, String> {
        let Some(first) = self.from else {
            return Ok(None);
        };
        let today = now.to_zoned_datetime(TimeZone::UTC).date();
        let last = self
            .to
            .unwrap_or_else(|| today.saturating_sub(Span::new().days(1)));
        if last > today {
            return Err(format!("--to {last} is in the future; today is {today} (UTC)"));
        }
        if first > last {
            return Err(format!("--from {first} is after --to {last}"));
        }
        Ok(Some(Range { first, last }))
    }
}

/// How old a conversation is, as far as that decides whether Genesys gives its recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// Nothing special.
    Recent,
    /// Older than a year and a half: the organisation has to be on a list at Genesys.
    OverEighteenMonths,
    /// Older than five years: Genesys has a special job for these.
    OverFiveYears,
}

impl Age {
    /// That of a conversation which began at `start`.
    pub(crate) fn of(start: Timestamp, now: Timestamp) -> Self {
        let before = |months: i64| {
            let then = now
                .to_zoned_datetime(TimeZone::UTC)
                .saturating_sub(Span::new().months(months));
            start < then.timestamp()
        };
        match (before(60), before(18)) {
            (true, _) => Self::OverFiveYears,
            (_, true) => Self::OverEighteenMonths,
            _ => Self::Recent,
        }
    }

    /// What to know before recordings of this age are asked for.
    pub(crate) fn warning(self) -> Option<&'static str> {
        match self {
            Self::Recent => None,
            Self::OverEighteenMonths => Some(
                "some of these days are more than 1.5 years ago: Genesys gives recordings of that age only to organisations that it \
                 has put on its list, so ask its support first",
            ),
            Self::OverFiveYears => Some(
                "some of these days are more than 5 years ago: Genesys gives recordings of that age through a special job only, and \
                 those of more than 1.5 years only to organisations that it has put on its list, so ask its support first",
            ),
        }
    }
}

impl Range {
    /// Each day, the first one first.
    pub(crate) fn days(self) -> impl Iterator<Item = Date> {
        self.first
            .series(Span::new().days(1))
            .take_while(move |date| *date <= self.last)
    }

    /// Its first moment.
    pub(crate) fn start(self) -> Timestamp {
        start_of(self.first)
    }

    /// The first moment after it.
    pub(crate) fn end(self) -> Timestamp {
        start_of(self.last.saturating_add(Span::new().days(1)))
    }

    /// Whether it holds this moment.
    pub(crate) fn holds(self, moment: Timestamp) -> bool {
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

    fn range(from: Option<&str>, to: Option<&str>) -> Result<Option<Range>, String> {
        let date = |text: &str| text.parse().unwrap();
        let days = Days {
            from: from.map(date),
            to: to.map(date),
        };
        days.range("2026-03-02T11:00:00Z".parse().unwrap())
    }

    #[test]
    fn both_ends_are_included_and_yesterday_is_the_default_end() {
        let range = range(Some("2026-02-27"), None).unwrap().unwrap();
        let days: Vec<_> = range.days().map(|day| day.to_string()).collect();
        assert_eq!(days, ["2026-02-27", "2026-02-28", "2026-03-01"]);
        assert!(range.holds("2026-03-01T23:59:59.999Z".parse().unwrap()));
        assert!(!range.holds("2026-03-02T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_range_that_makes_no_sense_is_refused() {
        assert_eq!(range(None, None), Ok(None));
        assert!(
            range(Some("2026-03-02"), None)
                .unwrap_err()
                .contains("after --to 2026-03-01")
        );
        assert!(
            range(Some("2026-03-01"), Some("2026-03-03"))
                .unwrap_err()
                .contains("today is 2026-03-02")
        );
    }
}
