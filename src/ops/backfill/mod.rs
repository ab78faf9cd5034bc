//! Archives calls that were recorded before the archiver was deployed, or while it did not run.

mod checkpoint;
mod days;
mod done;
mod estimate;
mod lane;
mod lines;
mod list;
mod rate;
mod send;

use std::ops::Sub;
use std::path::PathBuf;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::sink::{Archived, Pace, Sink};
use super::{Ended, Error, Kind, Listener, Session, Verdict};
use crate::aws::ledger::Ledger;
use crate::domain::days::{Age, Range};
use crate::domain::format::{Format, MediaKind, RecordingApi};
use crate::domain::job::Job;
use crate::genesys::Genesys;
use checkpoint::{Checkpoint, Totals};
pub use estimate::{Estimate, Lane};
pub use rate::Rate;

/// A backfill, as it is asked for.
#[derive(Debug)]
pub struct Request {
    /// The conversations to archive.
    pub source: Source,
    /// Archive on this machine, this many at a time, without queue and function.
    pub local: Option<usize>,
    /// Send bulk jobs, which archive a hundred conversations by one batch download.
    pub bulk: Option<Bulk>,
    /// Send nothing.
    pub dry_run: bool,
    /// The pace.
    pub rate: Rate,
    /// The checkpoint file, if not the source's own.
    pub checkpoint: Option<PathBuf>,
}

/// Bulk jobs, as they are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    /// The jobs themselves say that recordings come as they were recorded, whatever `RECORDING_FORMAT` says.
    pub original: bool,
}

/// The conversations to archive.
#[derive(Debug)]
pub enum Source {
    /// The conversations of these days that the filter keeps.
    Days(Range, Filter),
    /// The conversations in this file; `-` is stdin.
    List(PathBuf),
}

/// A result of a backfill on its way.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// The checkpoint continues an earlier run.
    #[serde(skip)]
    Resumed(Resumed),
    /// Some of the days are so long ago that Genesys may withhold recordings.
    #[serde(skip)]
    Aged(Age),
    /// A day is done.
    Day(Day),
    /// A line of the list is no job.
    BadLine(BadLine),
    /// The work queue refused a job.
    Refused(Refused),
    /// A conversation is left out because its bytes were not those that a job expected, or because ledger and audit
    /// contradict each other.
    LeftOut(LeftOut),
    /// A recording was archived on this machine, or was not.
    Archived(Archived),
}

/// A recording for which its conversation is left out.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// Its conversation, which is left out.
    pub interaction_id: String,
    /// The recording as ledger and audit spell it.
    pub recording_id: String,
    /// The error in its audit, or what ledger and audit say differently.
    pub error: String,
}

/// The state in which an earlier run left the checkpoint.
#[derive(Debug, PartialEq, Eq)]
pub struct Resumed {
    /// All days up to this one are done.
    pub through: Option<Date>,
    /// Number of jobs sent since then.
    pub sent: usize,
    /// Number of jobs that were perhaps sent: the run ended before it could note it.
    pub unknown: usize,
    /// The checkpoint file, if nothing was left to do.
    pub finished: Option<PathBuf>,
}

/// A day that is done.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day.
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
    /// The fault.
    pub error: String,
}

/// A job that the work queue refused.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// Its conversation.
    pub interaction_id: String,
    /// The reason.
    pub error: &'static str,
    /// The key of the job in a checkpoint.
    #[serde(skip)]
    pub key: String,
}

/// Counts of conversations. A checkpoint holds them across interruptions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Conversations seen.
    pub listed: u64,
    /// No recording of a wanted kind was started.
    pub unrecorded: u64,
    /// Left out by the filters.
    pub filtered: u64,
    /// Not over yet.
    pub ongoing: u64,
    /// Archived already, according to audit and ledger.
    pub archived: u64,
    /// Sent, or archived on this machine.
    pub sent: u64,
}

/// A backfill in figures.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Its conversations, those of interrupted runs included.
    #[serde(flatten)]
    pub counts: Counts,
    /// Entries of Genesys' answers without id or start.
    pub unreadable: u64,
    /// Lines of the list that are no jobs.
    pub bad_lines: u64,
    /// Lines that repeat an earlier one.
    pub duplicates: u64,
    /// Jobs that were refused, or that failed on this machine.
    pub refused: u64,
    /// Jobs among `sent` that earlier runs sent.
    pub sent_before: u64,
    /// Not archived on this machine because the recording was deleted at Genesys.
    pub expired: u64,
    /// Left out because a job refused the bytes for their hash.
    pub unexpected: u64,
    /// Left out because ledger and audit contradict each other.
    pub contradicted: u64,
    /// Nothing was sent, as this is a dry run.
    pub dry_run: bool,
    /// Ctrl-C ended it early.
    pub interrupted: bool,
    /// The expected time and cost, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// Entries that this run could not read; `unreadable` also counts those of former runs.
    #[serde(skip)]
    pub unreadable_now: u64,
}

impl Figures {
    /// Counts the conversations that were left out.
    fn left_out(&self) -> u64 {
        self.unexpected + self.contradicted
    }

    /// Returns whether there are findings.
    pub fn verdict(&self) -> Verdict {
        if self.bad_lines + self.refused + self.expired + self.left_out() + self.unreadable_now == 0 {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

impl Sub for &Counts {
    type Output = Counts;

    fn sub(self, before: Self) -> Counts {
        Counts {
            listed: self.listed - before.listed,
            unrecorded: self.unrecorded - before.unrecorded,
            filtered: self.filtered - before.filtered,
            ongoing: self.ongoing - before.ongoing,
            archived: self.archived - before.archived,
            sent: self.sent - before.sent,
        }
    }
}

/// Sends a job for each conversation that is not archived yet, or archives it on this machine.
pub async fn backfill(
    session: &Session,
    request: Request,
    listener: Listener<'_, Item>,
) -> Result<Ended<Figures>, Error> {
    if let Some(bulk) = request.bulk {
        bulk.fits(session)?;
    }
    let sink = match (request.dry_run, request.local) {
        (true, _) => None,
        (_, Some(concurrency)) => Some(Sink::local(session, concurrency).await?),
        (_, None) => Some(Sink::queue(session)?),
    };
    // A list that cannot be opened leaves no checkpoint behind.
    let list = match &request.source {
        Source::List(path) => Some((path, lines::open(path)?)),
        Source::Days(..) => None,
    };
    let checkpoint = sink.as_ref().and_then(|sink| request.checkpoint(sink));
    let checkpoint = checkpoint
        .map(|(path, arguments)| Checkpoint::open(&path, arguments))
        .transpose()?;
    if let Some(resumed) = checkpoint.as_ref().and_then(Checkpoint::resumed) {
        listener.item(Item::Resumed(resumed));
    }
    if let Source::Days(range, _) = &request.source
        && let age @ (Age::OverEighteenMonths | Age::OverFiveYears) = Age::of(range.start(), session.now())
    {
        listener.item(Item::Aged(age));
    }
    let rate = request.rate.per_minute(session, request.bulk.is_some()).await?;
    let mut backfill = Backfill {
        session,
        genesys: request.bulk.map(|_| session.genesys()).transpose()?,
        listener,
        ledger: session.ledger(),
        local: request.local.is_some(),
        bulk: request.bulk,
        by_name: matches!(request.source, Source::List(_)),
        sink,
        sent_before: checkpoint.as_ref().map_or(0, Checkpoint::sent_before),
        totals: checkpoint
            .as_ref()
            .map_or_else(Totals::default, |known| known.totals.clone()),
        checkpoint,
        findings: Findings::default(),
        batch: Vec::new(),
        sent: Vec::new(),
        pace: Pace::new(rate),
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
    let estimate = request
        .dry_run
        .then(|| Estimate::new(&backfill.totals, rate, request.bulk.is_some()));
    Ok(Ended {
        figures: backfill.figures(&end, estimate),
        end,
    })
}

impl Request {
    /// Returns the checkpoint file and the arguments that it is for; stdin has none unless it is named.
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
        let lane = if self.bulk.is_some() { " --bulk" } else { "" };
        let place = match sink {
            Sink::Queue { url, .. } => format!(" to {url}"),
            Sink::Local { .. } => " --local".to_owned(),
        };
        Some((path, arguments + lane + &place))
    }
}

impl Bulk {
    /// Refuses a configuration for which the function would refuse the jobs.
    fn fits(self, session: &Session) -> Result<(), Error> {
        let config = &session.config;
        if config.genesys.api != RecordingApi::Conversations {
            let message = "a batch download needs GENESYS_RECORDING_API=conversations";
            return Err(Error::new(Kind::Configuration, message).remedy("leave --bulk out"));
        }
        let format = config.recording.format;
        if format == Format::Original || self.original {
            return Ok(());
        }
        let message = format!(
            "a batch download gives recordings as they were recorded, and RECORDING_FORMAT is {format}"
        );
        Err(Error::new(Kind::Configuration, message)
            .remedy("set RECORDING_FORMAT=original, give --format original, or leave --bulk out"))
    }
}

/// Findings of this run.
#[derive(Debug, Default)]
struct Findings {
    bad_lines: u64,
    duplicates: u64,
    refused: u64,
    unreadable: u64,
    expired: u64,
    unexpected: u64,
    contradicted: u64,
}

/// A job, with its key in the checkpoint and the length of its conversation for the estimate.
struct Candidate {
    key: String,
    job: Job,
    seconds: u64,
    /// When the conversation began and ended, as far as that is known.
    times: [Option<Timestamp>; 2],
    /// The kind of each recording that was started in it.
    kinds: Vec<MediaKind>,
    /// There may be a transcript of a wanted kind.
    text: bool,
}

impl Candidate {
    /// Makes one of a conversation of which nothing is known.
    fn new(key: String, job: Job) -> Self {
        Self {
            key,
            job,
            seconds: 0,
            times: [None; 2],
            kinds: Vec::new(),
            text: false,
        }
    }
}

struct Backfill<'a> {
    session: &'a Session,
    listener: Listener<'a, Item>,
    /// Asked about the conversations of a list, for bulk jobs.
    genesys: Option<Genesys>,
    ledger: Ledger,
    /// Archive on this machine, also in a dry run.
    local: bool,
    bulk: Option<Bulk>,
    /// A list names the conversations.
    by_name: bool,
    /// None in a dry run.
    sink: Option<Sink>,
    /// None in a dry run, and for stdin without a name.
    checkpoint: Option<Checkpoint>,
    totals: Totals,
    /// Number of jobs that earlier runs sent.
    sent_before: u64,
    findings: Findings,
    /// Waiting to be sent.
    batch: Vec<Candidate>,
    /// Keys of the jobs sent of the current day.
    sent: Vec<String>,
    pace: Pace,
    /// No day was listed that may still grow.
    settled: bool,
}

impl Backfill<'_> {
    /// Notes in the checkpoint that nothing is left to do, if nothing is.
    fn finish(&mut self) -> Result<(), Error> {
        let left = self.findings.refused + self.findings.bad_lines > 0 || !self.settled;
        if let Some(checkpoint) = &mut self.checkpoint
            && !left
        {
            checkpoint.finish()?;
        }
        Ok(())
    }

    fn figures(&self, end: &Result<(), Error>, estimate: Option<Estimate>) -> Figures {
        let Findings {
            bad_lines,
            duplicates,
            refused,
            unreadable,
            expired,
            unexpected,
            contradicted,
        } = self.findings;
        Figures {
            counts: self.totals.counts.clone(),
            unreadable: self.totals.unreadable,
            bad_lines,
            duplicates,
            refused,
            sent_before: self.sent_before.min(self.totals.counts.sent),
            expired,
            unexpected,
            contradicted,
            dry_run: self.sink.is_none(),
            interrupted: end.as_ref().is_err_and(Error::is_interruption),
            estimate,
            unreadable_now: unreadable,
        }
    }
}
