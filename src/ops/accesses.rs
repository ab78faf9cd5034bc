//! Who accessed recordings in a span of days, and why: by the chains of accesses, and where a trail of CloudTrail
//! writes down reads, also who read past `archivectl`.

mod reads;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;

use super::custody::{self, ApartChain};
use super::finding::{Code, Finding};
use super::indexed::Indexed;
use super::scan::{self, Portion};
use super::span::{Axis, Span};
use super::{Ended, Error, Listener, Session, Verdict};
use crate::aws::trail::Trail;
use crate::domain::audit::{Apart, AuditEvent};
use crate::domain::days::Range;
use crate::domain::recording::ArchiveKey;
pub use reads::{NAMED, Reads, TrailFigures, Untrailed};

/// Number of conversations read at a time.
const CONCURRENCY: usize = 8;

/// A result.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Item {
    /// An access that the audit holds.
    Access(Accessed),
    /// Reads of somebody on a day, for which the audit holds no access.
    Reads(Reads),
    /// An access of which the trail names no read.
    Untrailed(Untrailed),
    /// A fault.
    Finding(Finding),
}

/// An access that the audit holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Accessed {
    /// When it was written down.
    pub at: Timestamp,
    /// The conversation.
    pub interaction_id: String,
    /// The recording.
    pub recording_id: String,
    /// The kind of access: the attribute `access`.
    pub access: String,
    /// Who it was, by STS.
    pub by: Option<String>,
    /// Who asked, as the caller's machine names it.
    pub requested_by: Option<String>,
    /// Why, in the words of who did it.
    pub reason: String,
    /// The files, as `s3://bucket/key`.
    pub files: Vec<String>,
    /// The event.
    pub event_id: String,
}

/// All of it in figures.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
    /// Accesses that the audit holds.
    pub accesses: u64,
    /// Chains of accesses that were checked.
    pub chains: u64,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
    /// The reads that CloudTrail wrote down; null where no trail does.
    pub reads: Option<TrailFigures>,
    /// Everything was read.
    pub finished: bool,
}

impl Figures {
    /// Returns whether a chain is not whole, a log file cannot be read, or trail and audit differ: somebody read
    /// without an access, whatever the program calls itself, or the trail names no read of an access.
    pub fn verdict(&self) -> Verdict {
        let past = self.reads.as_ref().map_or(0, TrailFigures::unexplained);
        let seen = self.reads.as_ref().map_or(0, |reads| reads.reads);
        match (self.findings.is_empty() && past == 0, self.accesses + seen) {
            (false, _) => Verdict::Findings,
            (true, 0) => Verdict::Nothing,
            (true, _) => Verdict::Clean,
        }
    }
}

/// Lists the accesses of these days in order of time, and then the reads past `archivectl`.
pub async fn accesses(session: &Session, range: Range, listener: Listener<'_, Item>) -> Ended<Figures> {
    let mut search = Search {
        session,
        listener,
        range,
        figures: Figures {
            from: range.first,
            to: range.last,
            accesses: 0,
            chains: 0,
            findings: BTreeMap::new(),
            reads: None,
            finished: false,
        },
    };
    let end = Box::pin(search.all()).await;
    search.figures.finished = end.is_ok();
    Ended {
        figures: search.figures,
        end,
    }
}

struct Search<'a> {
    session: &'a Session,
    listener: Listener<'a, Item>,
    range: Range,
    figures: Figures,
}

impl Search<'_> {
    async fn all(&mut self) -> Result<(), Error> {
        let accesses = self.recorded().await?;
        for access in &accesses {
            if self.range.holds(access.at) {
                self.figures.accesses += 1;
                self.listener.item(Item::Access(access.clone()));
            }
        }
        let Some(bucket) = self.session.trail_bucket.clone() else {
            return Ok(());
        };
        let trail = Trail::new(self.session.clients.s3.clone(), bucket);
        let (figures, groups, unread) = self.reads(&trail, &accesses).await?;
        self.figures.reads = Some(figures);
        for group in groups {
            self.listener.item(Item::Reads(group));
        }
        for access in unread {
            self.listener.item(Item::Untrailed(access));
        }
        Ok(())
    }

    /// Returns the accesses of these days and of the day before, which may have led to reads on these, in order of
    /// time. Reports what is wrong with their chains.
    async fn recorded(&mut self) -> Result<Vec<Accessed>, Error> {
        let ledger = self.session.ledger();
        let first = self.range.first.yesterday().unwrap_or(self.range.first);
        let span = Span {
            range: Range { first, ..self.range },
            axis: Axis::Archived,
        };
        let mut events = Indexed::new(self.session, &ledger, Some(span)).await?;
        if let Some(items) = events.items {
            self.listener.total(items);
        }
        let mut found = Vec::new();
        let is_access = |mark: &crate::aws::ledger::Mark| Apart::is_access(&mark.event_id);
        while let Some(page) = events.next_of(is_access).await? {
            self.session.go_on()?;
            let mut portion = Portion::new(page.scanned, page.ids.len());
            if page.ids.is_empty() {
                self.listener.steps(page.scanned);
            }
            let read = |id| {
                let ledger = ledger.clone();
                async move { custody::of(&ledger, id).await }
            };
            let (figures, listener) = (&mut self.figures, self.listener);
            scan::each(self.session, CONCURRENCY, page.ids, read, |held| {
                for chain in &held.apart {
                    figures.chains += 1;
                    for finding in &chain.findings {
                        found_in(figures, listener, finding.clone());
                    }
                    found.extend(accessed(chain, span));
                }
                listener.steps(portion.next());
            })
            .await?;
        }
        found.sort();
        Ok(found)
    }
}

fn found_in(figures: &mut Figures, listener: Listener<'_, Item>, finding: Finding) {
    *figures.findings.entry(finding.code).or_default() += 1;
    listener.item(Item::Finding(finding));
}

/// Returns the accesses of a chain that lie in a span.
fn accessed(chain: &ApartChain, span: Span) -> Vec<Accessed> {
    let Apart::Access(recording) = chain.name else {
        return Vec::new();
    };
    let text = |event: &AuditEvent, name: &str| event.text(name).unwrap_or_default().to_owned();
    let told = |event: &AuditEvent| {
        let at = event.timestamp().filter(|at| span.range.holds(*at))?;
        let actor = event.get("actor").unwrap_or(&Value::Null);
        let of_actor = |name: &str| actor[name].as_str().map(str::to_owned);
        Some(Accessed {
            at,
            interaction_id: recording.conversation.to_string(),
            recording_id: recording.recording_key(),
            access: text(event, "access"),
            by: of_actor("identity"),
            requested_by: of_actor("requestedBy"),
            reason: text(event, "reason"),
            files: event.accessed().map(str::to_owned).collect(),
            event_id: text(event, "eventId"),
        })
    };
    chain.events.iter().filter_map(told).collect()
}

/// Returns whether an object lies where recordings are archived.
fn is_archived(place: &ArchiveKey, bucket: &str, prefix: &str) -> bool {
    place.bucket == bucket && place.key.starts_with(prefix)
}
