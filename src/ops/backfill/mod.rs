//! What was recorded before the archiver was there, or while it was not.

mod checkpoint;
mod days;
mod done;
mod estimate;
mod lines;
mod list;
mod send;

use std::path::PathBuf;

use jiff::civil::Date;
use serde::Serialize;

use super::filter::Filter;
use super::sink::{Archived, Pace, Sink};
use super::{Ended, Error, Session, Tell, Verdict};
use crate::aws::ledger::Ledger;
use crate::domain::days::{Age, Range};
use crate::domain::job::Job;
use checkpoint::{Checkpoint, Tally};
pub use estimate::Estimate;

/// What is to be archived, and how.
#[derive(Debug)]
pub struct Request {
    /// What is to be archived.
    pub source: Source,
    /// Right here, so many at a time, without queue and function.
    pub local: Option<usize>,
    /// Nothing is sent.
    pub dry_run: bool,
    /// How many conversations a minute.
    pub rate: f64,
    /// The checkpoint file, if it is another than the source's own.
    pub checkpoint: Option<PathBuf>,
}

/// What is to be archived.
#[derive(Debug)]
pub enum Source {
    /// The conversations of these days that the filter keeps.
    Days(Range, Filter),
    /// Those in this file; `-` is stdin.
    List(PathBuf),
}

/// What a backfill tells on its way.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// The checkpoint knows of a former run.
    #[serde(skip)]
    Resumed(Resumed),
    /// Some of the days are so long ago that it matters.
    #[serde(skip)]
    Aged(Age),
    /// A day is done.
    Day(Day),
    /// A line of the list is no job.
    BadLine(BadLine),
    /// The work queue did not take a job.
    Refused(Refused),
    /// A conversation is left out, as its bytes were not those that a job expected.
    Unexpected(Unexpected),
    /// What came of archiving right here.
    Archived(Archived),
}

/// A recording whose bytes were not those that a job expected.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unexpected {
    /// Its conversation, which is left out.
    pub interaction_id: String,
    /// As ledger and audit spell it.
    pub recording_id: String,
    /// What its audit tells.
    pub error: String,
}

/// What a former run left behind.
#[derive(Debug, PartialEq, Eq)]
pub struct Resumed {
    /// All days up to this one are done.
    pub through: Option<Date>,
    /// Sent since then.
    pub sent: usize,
    /// Perhaps sent: the run ended before it could say.
    pub unknown: usize,
    /// Nothing was left to do; the file that says so.
    pub finished: Option<PathBuf>,
}

/// What a day brought.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Which day.
    pub day: Date,
    /// Its conversations.
    #[serde(flatten)]
    pub counts: Counts,
}

/// A line of a list that is no job.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct BadLine {
    /// Its number.
    pub line: u64,
    /// What is wrong with it.
    pub error: String,
}

/// A job that the work queue did not take.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Its conversation.
    pub interaction_id: String,
    /// What was wrong.
    pub error: &'static str,
    /// What a checkpoint remembers the job by.
    #[serde(skip)]
    pub key: String,
}

/// Conversations, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Seen.
    pub listed: u64,
    /// No recording of a wanted kind was started.
    pub unrecorded: u64,
    /// Left out by the filters.
    pub filtered: u64,
    /// Not over yet.
    pub ongoing: u64,
    /// The ledger says that they are archived.
    pub archived: u64,
    /// Sent, or archived right here.
    pub sent: u64,
}

/// How a backfill came out.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Its conversations, across interruptions.
    #[serde(flatten)]
    pub counts: Counts,
    /// Entries of Genesys' answers without id or start.
    pub unreadable: u64,
    /// Lines of the list that are no jobs.
    pub bad_lines: u64,
    /// Lines that repeat an earlier one.
    pub duplicates: u64,
    /// Jobs that did not work out.
    pub refused: u64,
    /// Of those counted as sent, the ones that earlier runs sent.
    pub sent_before: u64,
    /// Archived right here they would be, and are gone at Genesys.
    pub expired: u64,
    /// Left out, as a job refused the bytes for their hash.
    pub unexpected: u64,
    /// Nothing was sent.
    pub dry_run: bool,
    /// Ctrl-C ended it early.
    pub interrupted: bool,
    /// What is ahead, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// Entries that this run could not read; `unreadable` also counts those of former runs.
    #[serde(skip)]
    pub unreadable_now: u64,
}

impl Figures {
    /// Says whether there is something to look after.
    pub fn verdict(&self) -> Verdict {
        if self.bad_lines + self.refused + self.expired + self.unexpected + self.unreadable_now == 0 {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

impl From<&Tally> for Counts {
    fn from(tally: &Tally) -> Self {
        Self {
            listed: tally.listed,
            unrecorded: tally.unrecorded,
            filtered: tally.filtered,
            ongoing: tally.ongoing,
            archived: tally.archived,
            sent: tally.sent,
        }
    }
}

/// Sends, or archives right here, what is not archived yet.
pub async fn backfill(
    session: &Session,
    request: Request,
    tell: Tell<'_, Item>,
) -> Result<Ended<Figures>, Error> {
    let sink = match (request.dry_run, request.local) {
        (true, _) => None,
        (_, Some(concurrency)) => Some(Sink::local(session, concurrency).await?),
        (_, None) => Some(Sink::queue(session)?),
    };
    // A list that is not there leaves no checkpoint behind.
    let list = match &request.source {
        Source::List(path) => Some((path, lines::open(path)?)),
        Source::Days(..) => None,
    };
    let checkpoint = sink.as_ref().and_then(|sink| request.checkpoint(sink));
    let checkpoint = checkpoint
        .map(|(path, arguments)| Checkpoint::open(&path, arguments))
        .transpose()?;
    if let Some(resumed) = checkpoint.as_ref().and_then(Checkpoint::resumed) {
        tell.item(Item::Resumed(resumed));
    }
    if let Source::Days(range, _) = &request.source
        && let age @ (Age::OverEighteenMonths | Age::OverFiveYears) = Age::of(range.start(), session.now())
    {
        tell.item(Item::Aged(age));
    }
    let mut backfill = Backfill {
        session,
        tell,
        ledger: session.ledger(),
        local: request.local.is_some(),
        by_name: matches!(request.source, Source::List(_)),
        sink,
        sent_before: checkpoint.as_ref().map_or(0, Checkpoint::sent_before),
        tally: checkpoint
            .as_ref()
            .map_or_else(Tally::default, |known| known.tally.clone()),
        checkpoint,
        findings: Findings::default(),
        batch: Vec::new(),
        sent: Vec::new(),
        pace: Pace::new(request.rate),
        settled: true,
    };
    let end = match (&request.source, list) {
        (Source::Days(range, filter), _) => backfill.days(*range, filter).await,
        (Source::List(_), Some((path, file))) => backfill.list(path, file).await,
        (Source::List(_), None) => Ok(()),
    };
    let end = match end {
        Ok(()) => backfill.finish(),
        ended => ended,
    };
    let interrupted = end.as_ref().is_err_and(Error::is_interruption);
    let estimate = request
        .dry_run
        .then(|| Estimate::new(&backfill.tally, request.rate));
    Ok(Ended {
        figures: backfill.figures(interrupted, estimate),
        end,
    })
}

impl Request {
    /// Returns the checkpoint file, and what it is for; stdin has none unless it is named.
    fn checkpoint(&self, sink: &Sink) -> Option<(PathBuf, String)> {
        let (arguments, own) = match &self.source {
            Source::List(path) if path.as_os_str() == "-" => ("--ids -".to_owned(), None),
            Source::List(path) => {
                let beside = path.with_added_extension("checkpoint");
                (format!("--ids {}", path.display()), Some(beside))
            }
            Source::Days(Range { first, last }, filter) => {
                let name = format!("backfill-{first}-{last}.checkpoint");
                let arguments = format!("--from {first} --to {last}{}", filter.describe());
                (arguments, Some(PathBuf::from(name)))
            }
        };
        let path = self.checkpoint.clone().or(own)?;
        let place = match sink {
            Sink::Queue { url, .. } => format!(" to {url}"),
            Sink::Local { .. } => " --local".to_owned(),
        };
        Some((path, arguments + &place))
    }
}

/// What somebody has to look after, of this run.
#[derive(Debug, Default)]
struct Findings {
    bad_lines: u64,
    duplicates: u64,
    refused: u64,
    unreadable: u64,
    expired: u64,
    unexpected: u64,
}

/// A job and what the checkpoint and the estimate need of it.
struct Candidate {
    key: String,
    job: Job,
    seconds: u64,
}

struct Backfill<'a> {
    session: &'a Session,
    tell: Tell<'a, Item>,
    ledger: Ledger,
    /// Archives right here, or would.
    local: bool,
    /// A list names the conversations.
    by_name: bool,
    /// None in a dry run.
    sink: Option<Sink>,
    /// None in a dry run, and for stdin without a name.
    checkpoint: Option<Checkpoint>,
    tally: Tally,
    /// Sent by earlier runs.
    sent_before: u64,
    findings: Findings,
    /// Waiting to be sent.
    batch: Vec<Candidate>,
    /// What was sent of the day at hand.
    sent: Vec<String>,
    pace: Pace,
    /// No day was listed that may still grow.
    settled: bool,
}

impl Backfill<'_> {
    /// Has the checkpoint say that nothing is left, if nothing is.
    fn finish(&mut self) -> Result<(), Error> {
        let left = self.findings.refused + self.findings.bad_lines > 0 || !self.settled;
        match &mut self.checkpoint {
            Some(checkpoint) if !left => checkpoint.finish(),
            _ => Ok(()),
        }
    }

    fn figures(&self, interrupted: bool, estimate: Option<Estimate>) -> Figures {
        let Findings {
            bad_lines,
            duplicates,
            refused,
            unreadable,
            expired,
            unexpected,
        } = self.findings;
        Figures {
            counts: Counts::from(&self.tally),
            unreadable: self.tally.unreadable,
            bad_lines,
            duplicates,
            refused,
            sent_before: self.sent_before.min(self.tally.sent),
            expired,
            unexpected,
            dry_run: self.sink.is_none(),
            interrupted,
            estimate,
            unreadable_now: unreadable,
        }
    }
}
