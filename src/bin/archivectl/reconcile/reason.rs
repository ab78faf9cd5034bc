//! Why a conversation that was recorded has no archive.

use jiff::{SignedDuration, Timestamp};
use recording_archiver::archive::recording::RecordingId;
use recording_archiver::aws::ledger::State;
use serde_json::{Value, json};

use crate::custody::{Custody, text};
use crate::days::Age;

/// How a conversation stands, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// All that is wanted of it is archived.
    Archived,
    /// A run is at it.
    InProgress,
    /// It may still become ready.
    TooEarly,
    /// Gone at Genesys before it was archived.
    Expired,
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
            Self::InProgress => "in_progress",
            Self::TooEarly => "too_early",
            Self::Expired => "expired",
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

    pub(super) fn json(&self) -> Value {
        json!({"recordingId": self.recording, "state": self.state, "since": self.since, "error": self.error})
    }
}

/// How a conversation that was over at `end` stands. `readiness` is how long a recording may take to become ready.
pub(super) fn judge(
    custodies: &[Custody],
    end: Timestamp,
    now: Timestamp,
    readiness: SignedDuration,
) -> (Reason, Vec<Cause>) {
    let early = |since: Timestamp| now < since + readiness;
    let mut worst = None;
    let mut causes = Vec::new();
    for custody in custodies.iter().filter(|custody| !custody.overtaken) {
        let Some(record) = &custody.record else { continue };
        let reason = match record.state {
            State::Archived | State::Notified | State::Skipped => Reason::Archived,
            State::Claimed | State::Storing
                if record.lease_end(now.as_millisecond()) > now.as_millisecond() =>
            {
                Reason::InProgress
            }
            State::Claimed | State::Storing => Reason::Unfinished,
            State::Deferred if early(record.updated_at) => Reason::TooEarly,
            State::Deferred => Reason::Deferred,
            State::Failed => Reason::Failed,
            State::Expired => Reason::Expired,
        };
        worst = worst.max(Some(reason));
        if reason.is_finding() {
            let told = custody
                .events
                .iter()
                .rev()
                .find(|event| event.contains_key("error"));
            causes.push(Cause {
                recording: record.recording_id.clone(),
                state: record.state.as_str(),
                since: Some(record.updated_at),
                error: told.map(|event| text(event, "error")),
            });
        }
    }
    let unseen = if early(end) {
        Reason::TooEarly
    } else {
        Reason::NeverSeen
    };
    (worst.unwrap_or(unseen), causes)
}
