//! Arguments that several commands take, and how they are read.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use recording_archiver::archive::recording::ConversationId;
use recording_archiver::domain::days::{Range, day_before, day_of};
use recording_archiver::ops::filter::Filter;
use recording_archiver::ops::{Error, Kind};

/// Which days.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Days {
    /// First day (UTC), such as 2026-01-01.
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Last day (UTC), itself included. Default: yesterday.
    #[arg(long, value_name = "DATE", requires = "from")]
    to: Option<Date>,
}

impl Days {
    /// Returns the range, if there is one; `now` is the time of asking.
    pub(crate) fn range(self, now: Timestamp) -> Result<Option<Range>, Error> {
        let Some(first) = self.from else {
            return Ok(None);
        };
        let last = self.to.unwrap_or_else(|| day_before(day_of(now)));
        let range = Range::new(first, last, now).map_err(|error| Error::new(Kind::Usage, error))?;
        Ok(Some(range))
    }

    /// Returns the range of a command that cannot do without.
    pub(crate) fn required(self, now: Timestamp) -> Result<Range, Error> {
        let missing = || Error::new(Kind::Usage, "which days?").remedy("give --from, and --to (see --help)");
        self.range(now)?.ok_or_else(missing)
    }
}

/// Filters over conversations.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only conversations with a session of this type, such as voice, callback, chat, email or message; repeatable.
    #[arg(long, value_name = "TYPE")]
    media: Vec<String>,
    /// Only inbound or only outbound ones.
    #[arg(long, value_name = "DIRECTION", value_parser = ["inbound", "outbound"])]
    direction: Option<String>,
    /// Only those that went through the queue of this id; repeatable.
    #[arg(long, value_name = "ID")]
    queue: Vec<uuid::Uuid>,
    /// Only those of the division of this id; repeatable.
    #[arg(long, value_name = "ID")]
    division: Vec<uuid::Uuid>,
    /// Only those that lasted so long at least: 30s, 5m, 1h.
    #[arg(long, value_name = "TIME", value_parser = span)]
    min_duration: Option<SignedDuration>,
    /// Only those that lasted so long at most.
    #[arg(long, value_name = "TIME", value_parser = span)]
    max_duration: Option<SignedDuration>,
}

impl FilterArgs {
    /// Returns the filter.
    pub(crate) fn filter(&self) -> Filter {
        let Self {
            media,
            direction,
            queue,
            division,
            min_duration,
            max_duration,
        } = self.clone();
        Filter {
            media,
            direction,
            queue,
            division,
            min_duration,
            max_duration,
        }
    }
}

/// Reads a conversation's id.
pub(crate) fn conversation(text: &str) -> Result<ConversationId, String> {
    ConversationId::parse(text).map_err(|error| format!("it {error}"))
}

/// Reads a length of time: a whole number and its unit.
pub(crate) fn span(text: &str) -> Result<SignedDuration, String> {
    let unit = |letter: &str| match letter {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3_600),
        "d" => Some(86_400),
        _ => None,
    };
    let last = text.char_indices().next_back();
    let parsed = last.and_then(|(at, _)| Some((text[..at].parse::<i64>().ok()?, unit(&text[at..])?)));
    match parsed {
        Some((count, unit)) if count > 0 => count
            .checked_mul(unit)
            .map(SignedDuration::from_secs)
            .ok_or_else(|| "is too long".to_owned()),
        _ => Err("accepted: a whole number and s, m, h or d, such as 30s, 90m, 12h or 2d".to_owned()),
    }
}

/// Reads a number of conversations a minute.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/min").unwrap_or(text).parse::<f64>();
    let number = number.ok().filter(|number| (1.0..=1e9).contains(number));
    number.ok_or_else(|| "accepted: conversations a minute, at least 1, such as 50 or 50/min".to_owned())
}

/// Reads a share of a whole.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>();
    let number = number.ok().filter(|number| *number > 0.0 && *number <= 100.0);
    number
        .map(|number| number / 100.0)
        .ok_or_else(|| "accepted: more than 0% and at most 100%".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yesterday_is_the_default_end() {
        let days = |from: Option<&str>, to: Option<&str>| {
            let date = |text: &str| text.parse().unwrap();
            let days = Days {
                from: from.map(date),
                to: to.map(date),
            };
            days.range("2026-03-02T11:00:00Z".parse().unwrap())
        };
        let range = days(Some("2026-02-27"), None).unwrap().unwrap();
        assert_eq!(range.to_string(), "2026-02-27 to 2026-03-01");
        assert_eq!(days(None, None).unwrap(), None);
        assert!(days(Some("2026-03-02"), None).is_err());
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(span("90m").unwrap(), SignedDuration::from_mins(90));
        assert_eq!(span("2d").unwrap(), SignedDuration::from_hours(48));
        for bad in ["", "d", "2", "-1h", "2w", "1.5h", "99999999999999999d", "é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
