//! What a span of days brought, in figures.

mod histogram;
mod tally;

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::scan::{self, Portion, Scan};
use super::{Error, Session, Tell, Verdict, custody};
use crate::domain::days::Range;
pub use histogram::Lengths;
use tally::Tally;

/// What a report calls the states, in the order in which it shows them.
pub const OUTCOMES: [&str; 7] = [
    "archived",
    "waiting",
    "in progress",
    "failed",
    "expired",
    "skipped",
    "no recording",
];

/// So far ahead a deletion at Genesys is told.
pub const NEAR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many deadlines, and how many reasons, a report lists.
pub const LISTED: usize = 25;

/// What reasons beyond those that are counted apart are called.
pub const OTHER: &str = "other reasons";

/// How many conversations are read at a time.
const CONCURRENCY: usize = 8;

/// What a span of days brought.
#[derive(Debug)]
pub struct Report {
    /// Every day of the span, also those that brought nothing.
    pub days: Vec<Day>,
    /// All else.
    pub figures: Figures,
}

/// What a day brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Day {
    /// Which day.
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
    /// When.
    pub delete_date: Timestamp,
    /// Its conversation.
    pub interaction_id: String,
    /// The recording.
    pub recording_id: String,
    /// How far it got.
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
    /// Recordings by how far they got: [`OUTCOMES`].
    pub outcomes: BTreeMap<&'static str, u64>,
    /// From the claim to the verified object.
    pub latency_ms: Lengths,
    /// From the start of a recording to its archive.
    pub age_ms: Lengths,
    /// Failed runs and deliveries by reason.
    pub failures: BTreeMap<String, u64>,
    /// How often a job was put off because Genesys was not ready.
    pub deferrals: u64,
    /// How many deadlines are near, of which `deadlines` holds the next ones.
    pub deadlines_near: u64,
    /// The next ones.
    pub deadlines: Vec<Deadline>,
    /// Audit chains that were checked.
    pub chains: u64,
    /// Those that are not whole.
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
            latency_ms: Lengths::default(),
            age_ms: Lengths::default(),
            failures: BTreeMap::new(),
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

    /// Says whether there is something to look after.
    pub fn verdict(&self) -> Verdict {
        match (self.chains, self.broken_chains) {
            (0, _) => Verdict::Nothing,
            (_, 0) => Verdict::Clean,
            _ => Verdict::Findings,
        }
    }
}

/// Reads both tables. Half a report says the wrong thing, so an interruption leaves none.
pub async fn report(session: &Session, range: Range, tell: Tell<'_, ()>) -> Result<Report, Error> {
    let ledger = session.ledger();
    let mut tally = Tally::new(range, session.now());
    if let Some(items) = ledger.about_how_many().await {
        tell.total(items);
    }
    let mut scan = Scan::new(&ledger, Some(range.start()));
    while let Some(page) = scan.next(|record| tally::is_meant(record, range)).await? {
        session.go_on()?;
        let mut portion = Portion::new(page.scanned, page.ids.len());
        if page.ids.is_empty() {
            tell.steps(page.scanned);
        }
        let read = |id| {
            let ledger = ledger.clone();
            async move { custody::of(&ledger, id).await }
        };
        scan::each(session, CONCURRENCY, page.ids, read, |(custodies, _)| {
            custodies.iter().for_each(|custody| tally.add(custody));
            tell.steps(portion.next());
        })
        .await?;
    }
    Ok(tally.finish())
}
