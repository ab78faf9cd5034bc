//! Arguments that several commands take, and how they are read.

use std::path::PathBuf;

use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp};
use recording_archiver::domain::days::{Range, day_of};
use recording_archiver::domain::job::is_plain;
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::filter::Filter;
use recording_archiver::ops::log::Outside;
use recording_archiver::ops::{Error, Kind};

use crate::words::Zone;

/// What every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Common {
    /// Take the configuration from this CloudFormation stack; it wins over the environment.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) stack: Option<String>,
    /// JSON Lines on stdout: one object per item, and {"summary": ...} as the last line; errors as {"error": ...} on
    /// stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show times to people in this zone, such as Europe/Berlin, or local; days, JSON and files stay in UTC.
    #[arg(long, global = true, value_name = "ZONE", default_value = "UTC", value_parser = Zone::parse)]
    pub(crate) time_zone: Zone,
    /// No progress and no notes; errors and results only.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Every detail in results, and on stderr what is done (-v) and how (-vv).
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}
/// Names the days of a command that goes by when conversations began.
pub(crate) const BEGAN: &str = "First day (UTC) on which conversations began: 2026-01-01, today, yesterday, or 7d (seven days \
     ago)";

/// Names the days of a command that goes by when recordings were archived.
pub(crate) const ARCHIVED: &str =
    "First day (UTC) of archiving: 2026-01-01, today, yesterday, or 7d (seven days ago)";

/// Names the days of a command that goes by either.
pub(crate) const EITHER: &str = "First day (UTC) of archiving, or with --by call of the calls: 2026-01-01, today, yesterday, or 7d (seven days ago)";

/// Which days.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Days {
    /// First day (UTC): 2026-01-01, today, yesterday, or 7d (seven days ago).
    #[arg(long, value_name = "DAY", value_parser = day, allow_hyphen_values = true)]
    from: Option<Day>,
    /// Last day (UTC), itself included. Default: yesterday.
    #[arg(long, value_name = "DAY", requires = "from", value_parser = day, allow_hyphen_values = true)]
    to: Option<Day>,
}

/// A day as people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Day {
    /// This one.
    On(Date),
    /// So many days ago.
    Ago(i64),
}

impl Day {
    fn date(self, today: Date) -> Date {
        match self {
            Self::On(date) => date,
            Self::Ago(days) => today.saturating_sub(Span::new().days(days)),
        }
    }
}

/// Reads a day.
pub(crate) fn day(text: &str) -> Result<Day, String> {
    const ACCEPTED: &str = "accepted: a day such as 2026-01-05, today, yesterday, or 7d (seven days ago)";
    /// More than a century ago nothing was recorded.
    const MOST: i64 = 36_525;
    let ago = |text: &str| {
        text.strip_suffix('d')?
            .parse()
            .ok()
            .filter(|days| (0..=MOST).contains(days))
    };
    match text {
        "today" => return Ok(Day::Ago(0)),
        "yesterday" => return Ok(Day::Ago(1)),
        _ => {}
    }
    if let Some(days) = ago(text) {
        return Ok(Day::Ago(days));
    }
    let digits =
        |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<_> = text.split('-').collect();
    if let [year, month, of_month] = parts[..]
        && digits(year, 4)
        && let (Ok(month), Ok(of_month)) = (month.parse::<u8>(), of_month.parse::<u8>())
    {
        let full = format!("{year}-{month:02}-{of_month:02}");
        return match full.parse() {
            Ok(date) if full == text => Ok(Day::On(date)),
            Ok(_) => Err(format!("{ACCEPTED}; did you mean {full}?")),
            Err(_) => Err(format!("{ACCEPTED}; there is no {full}")),
        };
    }
    match text.strip_prefix('-').filter(|rest| ago(rest).is_some()) {
        Some(rest) => Err(format!("{ACCEPTED}; did you mean {rest}?")),
        None => Err(ACCEPTED.to_owned()),
    }
}

impl Days {
    /// Makes the range of one day.
    pub(crate) fn on(day: Day) -> Self {
        Self {
            from: Some(day),
            to: Some(day),
        }
    }

    /// Returns the range, if there is one; `now` is the time of asking.
    pub(crate) fn range(self, now: Timestamp) -> Result<Option<Range>, Error> {
        let Some(first) = self.from else {
            return Ok(None);
        };
        let today = day_of(now);
        let last = self.to.unwrap_or(Day::Ago(1)).date(today);
        let range = Range::new(first.date(today), last, now);
        range.map(Some).map_err(|error| Error::new(Kind::Usage, error))
    }

    /// Returns the first and the last day as they were given, as dates.
    pub(crate) fn named(self, now: Timestamp) -> (Option<String>, Option<String>) {
        let today = day_of(now);
        let date = |day: Option<Day>| day.map(|day| day.date(today).to_string());
        (date(self.from), date(self.to))
    }

    /// Returns the range of a command that cannot do without.
    pub(crate) fn required(self, now: Timestamp) -> Result<Range, Error> {
        let missing = || Error::new(Kind::Usage, "which days?").remedy("give --from, and --to (see --help)");
        self.range(now)?.ok_or_else(missing)
    }
}

/// `mediaType` of a session in Genesys' analytics.
const MEDIA: [&str; 11] = [
    "voice",
    "callback",
    "chat",
    "email",
    "message",
    "internalmessage",
    "cobrowse",
    "screenshare",
    "screenmonitoring",
    "video",
    "unknown",
];

/// Filters over conversations.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct FilterArgs {
    /// Only conversations with a session of this type; repeatable.
    #[arg(long, value_name = "TYPE", value_parser = MEDIA, ignore_case = true)]
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

/// What somebody wants to hear or to have, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Access {
    /// The conversation's id.
    #[arg(value_name = "CONVERSATION", value_parser = conversation)]
    pub(crate) conversation: ConversationId,
    /// Only this recording of it, as archivectl audit names it.
    #[arg(value_name = "RECORDING")]
    pub(crate) recording: Option<String>,
    /// Why: kept in the audit for good, so name a case and no party to the call.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: String,
}

/// What to do about cold storage.
#[derive(Debug, clap::Args)]
pub(crate) struct Cold {
    /// Ask S3 to restore what lies in cold storage.
    #[arg(long)]
    restore: bool,
    /// How many days a restored copy stays. From the archive tiers of S3 Intelligent-Tiering an object moves back for
    /// good.
    #[arg(long, value_name = "N", requires = "restore", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=365))]
    days: u16,
}

impl Cold {
    /// Returns how many days restored copies stay; `None`: nothing is to be restored.
    pub(crate) fn days(&self) -> Option<u16> {
        self.restore.then_some(self.days)
    }
}

/// Reads a conversation's id.
pub(crate) fn conversation(text: &str) -> Result<ConversationId, String> {
    ConversationId::parse(text).map_err(|error| format!("it {error}"))
}

/// Reads a reason that is kept in the audit: what `requestedBy` takes, and not nothing.
pub(crate) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("accepted: a text, such as the number of a request".to_owned());
    }
    if !is_plain(text) {
        return Err(
            "accepted: one line of at most 256 characters, without control characters and marks of direction"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
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

/// A public key that was kept outside.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArg {
    /// The log's public key in this file (a verifier key, or PEM or DER), instead of the one that KMS gives.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

/// What was kept outside.
#[derive(Debug, clap::Args)]
pub(crate) struct OutsideArgs {
    #[command(flatten)]
    key: KeyArg,
    /// A checkpoint that was kept outside the account: the log has to go on from it.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
}

impl KeyArg {
    /// Reads the file.
    pub(crate) fn read(&self) -> Result<Outside, Error> {
        Outside::read(self.key.as_deref(), None)
    }
}

impl OutsideArgs {
    /// Reads the files.
    pub(crate) fn read(&self) -> Result<Outside, Error> {
        Outside::read(self.key.key.as_deref(), self.checkpoint.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: Option<&str>) -> String {
        let days = Days {
            from: Some(day(from).unwrap()),
            to: to.map(|to| day(to).unwrap()),
        };
        match days.range("2026-03-02T11:00:00Z".parse().unwrap()) {
            Ok(range) => range.unwrap().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn days_are_named_by_date_or_from_today_and_end_with_yesterday() {
        assert_eq!(range("2026-02-27", None), "2026-02-27 to 2026-03-01");
        assert_eq!(range("yesterday", Some("today")), "2026-03-01 to 2026-03-02");
        assert_eq!(range("7d", Some("1d")), "2026-02-23 to 2026-03-01");
        assert!(range("today", None).contains("is after"));
    }

    #[test]
    fn a_day_that_is_none_is_refused_with_what_is_accepted() {
        for (text, hint) in [
            ("2026-1-5", "did you mean 2026-01-05?"),
            ("-7d", "did you mean 7d?"),
            ("2026-02-30", "there is no 2026-02-30"),
            ("5.1.2026", "or 7d (seven days ago)"),
            ("99999999999d", "accepted"),
            ("20260105", "accepted"),
            ("", "accepted"),
        ] {
            let refused = day(text).unwrap_err();
            assert!(refused.contains(hint), "{text}: {refused}");
        }
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
