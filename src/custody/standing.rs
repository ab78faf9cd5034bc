//! The reasons why a conversation that was recorded has no archive.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::finding::{Code, Finding};
use super::{Custody, last_error};
use crate::archive::OVERDUE;
use crate::config::Config;
use crate::domain::audit::AuditEvent;
use crate::domain::days::Age;
use crate::domain::record::{Record, State};
use crate::domain::recording::RecordingId;

/// The standing of a conversation, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// All wanted recordings are archived, and no more can come.
    Archived,
    /// All listed recordings are archived, and another look follows.
    Settling,
    /// A run is working on it.
    InProgress,
    /// A recording may still become ready.
    TooEarly,
    /// Archived, and no call record names it, so nobody finds it in the catalog.
    Undescribed,
    /// Archived and described, and the catalog has no item of it.
    Uncatalogued,
    /// All listed recordings are archived, and no look found out whether there are more.
    Unsettled,
    /// Deleted at Genesys before it was archived.
    Expired,
    /// Settled without a recording, and analytics say that one was started.
    NothingFound,
    /// Was not ready, and its job was not retried.
    Deferred,
    /// A run died, and no other took over.
    Unfinished,
    /// Began more than five years ago: Genesys has a special job for these.
    #[serde(rename = "older_than_5_years")]
    OlderThan5Years,
    /// Began more than a year and a half ago: Genesys gives these to organisations on its list only.
    #[serde(rename = "older_than_18_months")]
    OlderThan18Months,
    /// A run ended without an archive.
    Failed,
    /// No run ever saw it.
    NeverSeen,
    /// Ledger and audit contradict each other, or the audit cannot be relied on.
    Contradicted,
}

impl Reason {
    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Settling => "settling",
            Self::InProgress => "in_progress",
            Self::TooEarly => "too_early",
            Self::Undescribed => "undescribed",
            Self::Uncatalogued => "uncatalogued",
            Self::Expired => "expired",
            Self::Unsettled => "unsettled",
            Self::NothingFound => "nothing_found",
            Self::Deferred => "deferred",
            Self::Unfinished => "unfinished",
            Self::OlderThan5Years => "older_than_5_years",
            Self::OlderThan18Months => "older_than_18_months",
            Self::Failed => "failed",
            Self::NeverSeen => "never_seen",
            Self::Contradicted => "contradicted",
        }
    }

    /// Returns the reason for a conversation of this age. An old recording that Genesys withholds is not lost, and
    /// the run that failed or never came is not the cause.
    pub fn at_age(self, age: Age) -> Self {
        let withheld = matches!(
            self,
            Self::Failed | Self::NeverSeen | Self::Deferred | Self::NothingFound
        );
        match age {
            Age::OverFiveYears if withheld => Self::OlderThan5Years,
            Age::OverEighteenMonths if withheld => Self::OlderThan18Months,
            Age::Recent | Age::OverEighteenMonths | Age::OverFiveYears => self,
        }
    }

    /// Returns whether all of its recordings that are known are archived.
    pub fn is_archived(self) -> bool {
        matches!(
            self,
            Self::Archived | Self::Settling | Self::Unsettled | Self::Undescribed | Self::Uncatalogued
        )
    }

    /// Returns whether it may still be archived by itself.
    pub fn is_early(self) -> bool {
        matches!(self, Self::InProgress | Self::TooEarly)
    }

    /// Returns whether somebody has to look into it.
    pub fn is_finding(self) -> bool {
        match self {
            Self::Archived | Self::Settling | Self::InProgress | Self::TooEarly => false,
            Self::Undescribed
            | Self::Uncatalogued
            | Self::Unsettled
            | Self::Expired
            | Self::NothingFound
            | Self::Deferred
            | Self::Unfinished
            | Self::OlderThan5Years
            | Self::OlderThan18Months
            | Self::Failed
            | Self::NeverSeen
            | Self::Contradicted => true,
        }
    }

    /// Returns whether a job may fix it. A job would go by the ledger.
    pub fn can_be_sent(self) -> bool {
        let no_job_helps = matches!(
            self,
            Self::Uncatalogued | Self::Expired | Self::OlderThan5Years | Self::Contradicted
        );
        self.is_finding() && !no_job_helps
    }
}

/// The state of what cannot be read.
const UNREADABLE: &str = "unreadable";

/// A recording that is not archived, with the last error in its audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The recording as ledger and audit spell it.
    #[serde(rename = "recordingId")]
    pub recording: String,
    /// Its state by the audit, or `never_seen`, `never_listed`, or `unreadable`.
    pub state: &'static str,
    /// The time of that state.
    pub since: Option<Timestamp>,
    /// The last error in its audit.
    pub error: Option<String>,
}

impl Cause {
    /// Makes the cause of a recording that Genesys lists and no run ever saw.
    pub fn never_seen(id: RecordingId) -> Self {
        Self {
            recording: id.to_string(),
            state: Reason::NeverSeen.as_str(),
            since: None,
            error: None,
        }
    }

    /// Makes the cause of a conversation whose recordings are archived and which no look listed since.
    fn never_listed(custodies: &[Custody]) -> Self {
        let looked = records(custodies).any(|record| record.looks > 0);
        let error = if looked {
            "its looks listed nothing, and a job that named a recording archived that later"
        } else {
            "it was archived by a job for one recording, by backfill --local, or before the function settled conversations"
        };
        Self {
            recording: "-".to_owned(),
            state: "never_listed",
            since: None,
            error: Some(error.to_owned()),
        }
    }

    /// Makes the cause of an archived recording that nobody finds.
    #[cfg(feature = "cli")]
    pub(crate) fn unfound(custody: &Custody, why: &str) -> Self {
        Self {
            recording: custody.recording.clone(),
            state: custody.state().map_or(UNREADABLE, State::as_str),
            since: custody.events.last().and_then(AuditEvent::timestamp),
            error: Some(why.to_owned()),
        }
    }

    /// Makes the cause of a recording of which ledger and audit say different things, if they do.
    fn contradicted(custody: &Custody) -> Option<Self> {
        let contradiction = custody.contradiction.clone()?;
        Some(Self {
            recording: custody.recording.clone(),
            state: custody.state().map_or(UNREADABLE, State::as_str),
            since: custody.events.last().and_then(AuditEvent::timestamp),
            error: Some(contradiction),
        })
    }

    /// Makes the cause of an item of ledger or audit that cannot be read, if that is what was found.
    fn unreadable(finding: &Finding) -> Option<Self> {
        (finding.code != Code::Unknown).then(|| Self {
            recording: finding.recording_id.clone().unwrap_or_else(|| "-".to_owned()),
            state: UNREADABLE,
            since: None,
            error: Some(finding.detail.clone()),
        })
    }

    /// Makes the cause of a recording of which the ledger says what the audit says.
    fn of(custody: &Custody, record: &Record, patience: Patience) -> Self {
        let error = match record.state {
            State::Settling => Some(patience.why_settling(record)),
            State::Claimed
            | State::Storing
            | State::Archived
            | State::Notified
            | State::Deferred
            | State::Skipped
            | State::Failed
            | State::Expired
            | State::Settled
            | State::Unrecorded
            | State::Erased => last_error(&custody.events).map(str::to_owned),
        };
        Self {
            recording: record.recording_id.clone(),
            state: record.state.as_str(),
            since: custody.events.last().and_then(AuditEvent::timestamp),
            error,
        }
    }
}

/// The times by which it is decided whether a conversation is late.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The time here.
    pub now: Timestamp,
    /// Longest time that a recording may take to become ready.
    pub readiness: SignedDuration,
    /// The function looks at conversations until they are settled.
    pub settles: bool,
}

impl Patience {
    /// Returns the patience of a function with this configuration, at this time.
    pub fn of(config: &Config, now: Timestamp) -> Self {
        Self {
            now,
            readiness: SignedDuration::try_from(config.limits.readiness).unwrap_or(SignedDuration::MAX),
            settles: config.settles(),
        }
    }

    fn is_early(&self, since: Timestamp) -> bool {
        self.now < since + self.readiness
    }

    /// Returns whether the next look at a conversation is not overdue.
    pub fn expects_look(&self, record: &Record) -> bool {
        let next = record.next_look_at.filter(|_| record.looks > 0);
        next.is_some_and(|next| self.now.duration_since(next) <= OVERDUE)
    }

    /// Explains why a conversation is not settled.
    fn why_settling(&self, record: &Record) -> String {
        let number = record.looks.saturating_add(1);
        let look = match record.next_look_at {
            Some(next) if self.expects_look(record) => format!("look {number} is due at {next:.0}"),
            Some(next) => format!(
                "look {number} was due at {next:.0} and was not taken: its message is lost, or lies in a dead-letter queue"
            ),
            None => "no further look was scheduled".to_owned(),
        };
        let Some(unreadable) = &record.unreadable else {
            return look;
        };
        let until = record.since.map_or_else(String::new, |since| {
            format!(" (READINESS_DEADLINE_MINUTES: {:.0})", since + self.readiness)
        });
        format!("{unreadable}; looks go on until the readiness deadline{until}: {look}")
    }
}

/// Returns the standing of a conversation that was over at `end` and in which, according to analytics, a wanted
/// recording was started. State and times are those of the audit: where the ledger has others, that is the standing.
/// `findings` belong to none of its recordings.
pub fn judge(
    (custodies, findings): (&[Custody], &[Finding]),
    end: Timestamp,
    patience: Patience,
) -> (Reason, Vec<Cause>) {
    let unreadable = findings.iter().filter_map(Cause::unreadable);
    let contradicted = custodies.iter().filter_map(Cause::contradicted);
    let contradicted: Vec<_> = contradicted.chain(unreadable).collect();
    if !contradicted.is_empty() {
        return (Reason::Contradicted, contradicted);
    }
    let mut worst = None;
    let mut causes = Vec::new();
    for custody in custodies {
        let Some(record) = &custody.record else { continue };
        // The conversation's own record counts beside those of its recordings only where the function settles.
        if custody.superseded && !(patience.settles && record.looks > 0) {
            continue;
        }
        let reason = of_record(custody, record, end, patience);
        worst = worst.max(Some(reason));
        // A list with entries that cannot be read is somebody's case, whatever the next look brings.
        let garbled = record.state == State::Settling && record.unreadable.is_some();
        if reason.is_finding() || garbled {
            causes.push(Cause::of(custody, record, patience));
        }
    }
    let worst = worst.unwrap_or(if patience.is_early(end) {
        Reason::TooEarly
    } else {
        Reason::NeverSeen
    });
    if worst != Reason::Archived {
        return (worst, causes);
    }
    if Record::is_settled_empty(records(custodies)) {
        let conversation = custodies.iter().filter(|custody| custody.recording == "-");
        let cause = |custody: &Custody| Some(Cause::of(custody, custody.record.as_ref()?, patience));
        let causes = conversation.filter_map(cause);
        return (Reason::NothingFound, causes.collect());
    }
    // Archived before settling was there, on a laptop, or by a job that named it after the looks had listed nothing.
    let looked_at = |record: &Record| record.looks > 0 && !record.recordings.is_empty();
    if patience.settles && !records(custodies).any(looked_at) {
        if patience.is_early(end) {
            return (Reason::Settling, causes);
        }
        causes.push(Cause::never_listed(custodies));
        return (Reason::Unsettled, causes);
    }
    (worst, causes)
}

fn records(custodies: &[Custody]) -> impl Iterator<Item = &Record> {
    custodies.iter().filter_map(|custody| custody.record.as_ref())
}

/// Returns the standing of a recording of which the ledger says what the audit says. Only the ledger knows leases and
/// looks to come.
fn of_record(custody: &Custody, record: &Record, end: Timestamp, patience: Patience) -> Reason {
    let last = custody.events.last().and_then(AuditEvent::timestamp);
    let now = patience.now.as_millisecond();
    let busy = record.lease_end(now) > now;
    match record.state {
        State::Archived
        | State::Notified
        | State::Skipped
        | State::Settled
        | State::Unrecorded
        | State::Erased => Reason::Archived,
        State::Settling if patience.is_early(end) || patience.expects_look(record) => Reason::Settling,
        State::Settling => Reason::Unsettled,
        State::Claimed | State::Storing if busy => Reason::InProgress,
        State::Claimed | State::Storing => Reason::Unfinished,
        State::Deferred if last.is_some_and(|last| patience.is_early(last)) => Reason::TooEarly,
        State::Deferred => Reason::Deferred,
        State::Failed => Reason::Failed,
        State::Expired => Reason::Expired,
    }
}

#[cfg(test)]
mod tests;
