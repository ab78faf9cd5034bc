//! A span of days in figures: recordings, bytes, locks, latencies, failures, deadlines, and what Genesys recorded.

mod compared;
mod gather;
mod histogram;
mod months;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::indexed::Indexed;
use super::scan::{self, Portion};
use super::span::{Axis, Span};
use super::{Error, Listener, Session, Verdict, custody};
use crate::domain::days::Range;
pub use compared::Compared;
use gather::Gathered;
pub use histogram::Lengths;
pub use months::Month;

/// The names of the states in a report, in the order in which it shows them.
pub const OUTCOMES: [&str; 7] = [
    "archived",
    "waiting",
    "in progress",
    "failed",
    "expired",
    "skipped",
    "no recording",
];

/// The time ahead within which a deletion at Genesys is reported.
pub const NEAR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The objective of the service level of an hour, in percent.
pub const HOUR_OBJECTIVE: f64 = 95.0;

/// The objective of the service level of 24 hours, in percent.
pub const DAY_OBJECTIVE: f64 = 99.9;

/// Number of deadlines, and of reasons, that a report lists.
pub const LISTED: usize = 25;

/// Number of conversations or recordings that a report names for a reason or a state.
pub const NAMED: usize = 10;

/// The name of all reasons beyond those that are counted separately.
pub const OTHER: &str = "other reasons";

/// Number of conversations read at a time.
const CONCURRENCY: usize = 8;

/// A report, as it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// The days.
    pub range: Range,
    /// Compare the conversations of these days with the lists of Genesys.
    pub genesys: bool,
    /// Ask S3 for lock and hold of each file as they are now.
    pub locks: bool,
}

/// A recording behind the figures, or with `genesys` a conversation that is not archived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behind {
    /// Its conversation.
    pub interaction_id: String,
    /// The recording; `-`: the conversation as a whole.
    pub recording_id: String,
    /// Its state as a report calls it, or why it is not archived.
    pub state: &'static str,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
    /// Bytes of its files.
    pub bytes: u64,
    /// When the last lock of its files ends, by the audit or with `locks` by S3.
    pub retain_until: Option<Timestamp>,
}

/// A span of days in figures.
#[derive(Debug)]
pub struct Report {
    /// Every day of the span, days without a recording included.
    pub days: Vec<Day>,
    /// All figures but those of the days.
    pub figures: Figures,
}

/// A day in figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day.
    pub day: Date,
    /// Recordings archived.
    pub recordings: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// A recording that is not archived, and will be deleted at Genesys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deadline {
    /// The time of its deletion.
    pub delete_date: Timestamp,
    /// Its conversation.
    pub interaction_id: String,
    /// The recording.
    pub recording_id: String,
    /// Its state, as a report calls it.
    pub state: &'static str,
}

/// All figures of a report but those of its days.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Recordings archived.
    pub recordings: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Recordings by state: [`OUTCOMES`].
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Recordings that an end event asked for, and that are archived, failed or expired.
    pub live_recordings: u64,
    /// Those archived within an hour of the recording's end.
    pub live_within_hour: u64,
    /// Those archived within 24 hours of the recording's end.
    pub live_within_day: u64,
    /// The recordings behind each state but the archived ones, as `conversation/recording`, the first ones found.
    pub recordings_by_state: BTreeMap<&'static str, BTreeSet<String>>,
    /// Files by the month in which they were archived.
    pub months: Vec<Month>,
    /// The comparison with Genesys; null where it was not asked for.
    pub genesys: Option<Compared>,
    /// From the claim to the verified object.
    pub latency_ms: Lengths,
    /// From the start of a recording to its archive.
    pub age_ms: Lengths,
    /// Failed runs and deliveries by reason.
    pub failures: BTreeMap<String, u64>,
    /// The conversations behind each reason, the first ones found.
    pub failed_conversations: BTreeMap<String, BTreeSet<String>>,
    /// Number of times that a job was deferred because Genesys was not ready.
    pub deferrals: u64,
    /// Number of deadlines that are near; `deadlines` holds the next ones.
    pub deadlines_near: u64,
    /// The next ones.
    pub deadlines: Vec<Deadline>,
    /// Audit chains that were checked.
    pub chains: u64,
    /// Chains with a finding.
    pub broken_chains: u64,
}

impl Figures {
    /// Returns figures of nothing.
    pub fn of(range: Range) -> Self {
        Self {
            from: range.first,
            to: range.last,
            recordings: 0,
            bytes: 0,
            outcomes: BTreeMap::new(),
            live_recordings: 0,
            live_within_hour: 0,
            live_within_day: 0,
            recordings_by_state: BTreeMap::new(),
            months: Vec::new(),
            genesys: None,
            latency_ms: Lengths::default(),
            age_ms: Lengths::default(),
            failures: BTreeMap::new(),
            failed_conversations: BTreeMap::new(),
            deferrals: 0,
            deadlines_near: 0,
            deadlines: Vec::new(),
            chains: 0,
            broken_chains: 0,
        }
    }

    /// Returns the failures, the most frequent first.
    pub fn reasons(&self) -> Vec<(&str, u64)> {
        let failures = self.failures.iter();
        let mut reasons: Vec<_> = failures
            .map(|(reason, count)| (reason.as_str(), *count))
            .collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
        reasons
    }

    /// Returns whether a chain is broken or Genesys recorded what is not archived, or nothing was checked.
    pub fn verdict(&self) -> Verdict {
        let missing = self.genesys.as_ref().map_or(0, Compared::findings);
        match (self.chains, self.broken_chains + missing) {
            (_, 1..) => Verdict::Findings,
            (0, 0) => Verdict::Nothing,
            (_, 0) => Verdict::Clean,
        }
    }
}

/// Reads both tables and makes the report; each recording behind it is an item. An interruption leaves no report: half
/// of one would be wrong.
pub async fn report(
    session: &Session,
    request: Request,
    listener: Listener<'_, Behind>,
) -> Result<Report, Error> {
    let ledger = session.ledger();
    let storage = request.locks.then(|| session.storage());
    let span = Span {
        range: request.range,
        axis: Axis::Archived,
    };
    let mut gathered = Gathered::new(span, session.now(), request.locks);
    let mut events = Indexed::new(session, &ledger, Some(span)).await?;
    if let Some(items) = events.items {
        listener.total(items);
    }
    while let Some(page) = events.next().await? {
        session.go_on()?;
        let mut portion = Portion::new(page.scanned, page.ids.len());
        if page.ids.is_empty() {
            listener.steps(page.scanned);
        }
        let read = |id| {
            let (ledger, storage) = (ledger.clone(), storage.clone());
            async move {
                let held = custody::of(&ledger, id).await?;
                let locks = months::asked(storage.as_ref(), span, &held.custodies).await?;
                Ok((held, locks))
            }
        };
        scan::each(session, CONCURRENCY, page.ids, read, |(held, locks)| {
            for custody in &held.custodies {
                if let Some(behind) = gathered.add(custody, &locks) {
                    listener.item(behind);
                }
            }
            held.apart.iter().for_each(|chain| gathered.add_apart(chain));
            listener.steps(portion.next());
        })
        .await?;
    }
    let mut report = gathered.finish();
    if request.genesys {
        report.figures.genesys = Some(compared::with_genesys(session, request.range, listener).await?);
    }
    Ok(report)
}
