//! Why a conversation that was recorded has no archive.

use jiff::{SignedDuration, Timestamp};
use recording_archiver::archive::recording::RecordingId;
use recording_archiver::aws::ledger::{Record, State};
use serde_json::{Value, json};

use crate::custody::{Custody, text};
use crate::days::Age;

/// How a conversation stands, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// All that is wanted of it is archived, and no more can come.
    Archived,
    /// It ended without a recording.
    Unrecorded,
    /// All that was listed is archived, and it is looked at again.
    Settling,
    /// A run is at it.
    InProgress,
    /// It may still become ready.
    TooEarly,
    /// Gone at Genesys before it was archived.
    Expired,
    /// All that was listed is archived, and nobody looked whether there is more.
    Unsettled,
    /// Was not ready, and its job did not come again.
    Deferred,
    /// A run died, and no other took over.
    Unfinished,
    /// Began more than five years ago: Genesys has a special job for these.
    OlderThan5Years,
    /// Began more than a year and a half ago: Genesys gives these to organisations on its list only.
    OlderThan18Months,
    /// A run ended without an archive.
    Failed,
    /// No run ever heard of it.
    NeverSeen,
}

impl Reason {
    /// Its stable name.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::Unrecorded => "unrecorded",
            Self::Settling => "settling",
            Self::InProgress => "in_progress",
            Self::TooEarly => "too_early",
            Self::Expired => "expired",
            Self::Unsettled => "unsettled",
            Self::Deferred => "deferred",
            Self::Unfinished => "unfinished",
            Self::OlderThan5Years => "older_than_5_years",
            Self::OlderThan18Months => "older_than_18_months",
            Self::Failed => "failed",
            Self::NeverSeen => "never_seen",
        }
    }

    /// The same for a conversation of this age. What Genesys no longer gives just so is not lost, and a run that failed
    /// or never came is not the cause.
    pub(super) fn at_age(self, age: Age) -> Self {
        match (self, age) {
            (Self::Failed | Self::NeverSeen | Self::Deferred, Age::OverFiveYears) => Self::OlderThan5Years,
            (Self::Failed | Self::NeverSeen | Self::Deferred, Age::OverEighteenMonths) => {
                Self::OlderThan18Months
            }
            (reason, _) => reason,
        }
    }

    /// Whether somebody has to look after it.
    pub(super) fn is_finding(self) -> bool {
        self >= Self::Expired
    }

    /// Whether a job may mend it.
    pub(super) fn can_be_sent(self) -> bool {
        self > Self::Expired && self != Self::OlderThan5Years
    }
}

/// What is behind it: a recording that is not archived, and what its audit told last.
#[derive(Debug)]
pub(super) struct Cause {
    pub(super) recording: String,
    pub(super) state: &'static str,
    pub(super) since: Option<Timestamp>,
    pub(super) error: Option<String>,
}

impl Cause {
    /// Genesys lists it, and no run ever heard of it.
    pub(super) fn never_seen(id: RecordingId) -> Self {
        Self {
            recording: id.to_string(),
            state: Reason::NeverSeen.as_str(),
            since: None,
            error: None,
        }
    }

    /// Returns what the ledger and the audit say of it.
    fn of(custody: &Custody, record: &Record) -> Self {
        let told = custody
            .events
            .iter()
            .rev()
            .find(|event| event.contains_key("error"));
        Self {
            recording: record.recording_id.clone(),
            state: record.state.as_str(),
            since: Some(record.updated_at),
            error: told.map(|event| text(event, "error")),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({"recordingId": self.recording, "state": self.state, "since": self.since, "error": self.error})
    }
}

/// When what is known of a conversation is late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) now: Timestamp,
    /// How long a recording may take to become ready.
    pub(super) readiness: SignedDuration,
    /// The function looks at conversations until they are settled.
    pub(super) settles: bool,
}

impl Patience {
    fn is_early(&self, since: Timestamp) -> bool {
        self.now < since + self.readiness
    }
}

/// Returns how a conversation that was over at `end` stands.
pub(super) fn judge(custodies: &[Custody], end: Timestamp, patience: Patience) -> (Reason, Vec<Cause>) {
    let mut worst = None;
    let mut causes = Vec::new();
    for custody in custodies {
        let Some(record) = &custody.record else { continue };
        // What the function says of the conversation as a whole counts beside its recordings only where it settles.
        if custody.overtaken && !(patience.settles && record.looks > 0) {
            continue;
        }
        let reason = of_record(record, end, patience);
        worst = worst.max(Some(reason));
        if reason.is_finding() {
            causes.push(Cause::of(custody, record));
        }
    }
    let worst = worst.unwrap_or(if patience.is_early(end) {
        Reason::TooEarly
    } else {
        Reason::NeverSeen
    });
    // Archived before settling was there, or on a laptop.
    let looked_at = |custody: &Custody| custody.record.as_ref().is_some_and(|record| record.looks > 0);
    if worst == Reason::Archived && patience.settles && !custodies.iter().any(looked_at) {
        return (unsettled(end, patience), causes);
    }
    (worst, causes)
}

fn of_record(record: &Record, end: Timestamp, patience: Patience) -> Reason {
    let now = patience.now.as_millisecond();
    let busy = record.lease_end(now) > now;
    match record.state {
        State::Archived | State::Notified | State::Skipped | State::Settled => Reason::Archived,
        State::Unrecorded => Reason::Unrecorded,
        State::Settling => unsettled(end, patience),
        State::Claimed | State::Storing if busy => Reason::InProgress,
        State::Claimed | State::Storing => Reason::Unfinished,
        State::Deferred if patience.is_early(record.updated_at) => Reason::TooEarly,
        State::Deferred => Reason::Deferred,
        State::Failed => Reason::Failed,
        State::Expired => Reason::Expired,
    }
}

fn unsettled(end: Timestamp, patience: Patience) -> Reason {
    if patience.is_early(end) {
        Reason::Settling
    } else {
        Reason::Unsettled
    }
}
