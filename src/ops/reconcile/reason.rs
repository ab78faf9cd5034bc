//! Why a conversation that was recorded has no archive.

use crate::archive::recording::RecordingId;
use crate::aws::ledger::State;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::domain::days::Age;
use crate::ops::custody::{Custody, text};

/// How a conversation stands, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
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
    #[serde(rename = "older_than_5_years")]
    OlderThan5Years,
    /// Began more than a year and a half ago: Genesys gives these to organisations on its list only.
    #[serde(rename = "older_than_18_months")]
    OlderThan18Months,
    /// A run ended without an archive.
    Failed,
    /// No run ever heard of it.
    NeverSeen,
}

impl Reason {
    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
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

    /// Returns the reason for a conversation of this age. What Genesys no longer gives just so is not lost, and a run that
    /// failed or never came is not the cause.
    pub(super) fn at_age(self, age: Age) -> Self {
        match (self, age) {
            (Self::Failed | Self::NeverSeen | Self::Deferred, Age::OverFiveYears) => Self::OlderThan5Years,
            (Self::Failed | Self::NeverSeen | Self::Deferred, Age::OverEighteenMonths) => {
                Self::OlderThan18Months
            }
            (reason, _) => reason,
        }
    }

    /// Says whether somebody has to look after it.
    pub fn is_finding(self) -> bool {
        self >= Self::Expired
    }

    /// Says whether a job may mend it.
    pub(super) fn can_be_sent(self) -> bool {
        self > Self::Expired && self != Self::OlderThan5Years
    }
}

/// What is behind it: a recording that is not archived, and what its audit told last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// As ledger and audit spell it.
    #[serde(rename = "recordingId")]
    pub recording: String,
    /// How far it got.
    pub state: &'static str,
    /// When it got there.
    pub since: Option<Timestamp>,
    /// What its audit told last.
    pub error: Option<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_one_name() {
        use Reason::{
            Archived, Deferred, Expired, Failed, InProgress, NeverSeen, OlderThan5Years, OlderThan18Months,
            TooEarly, Unfinished,
        };
        for reason in [
            Archived,
            InProgress,
            TooEarly,
            Expired,
            Deferred,
            Unfinished,
            OlderThan5Years,
            OlderThan18Months,
            Failed,
            NeverSeen,
        ] {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
    }
}
