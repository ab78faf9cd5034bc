//! What a look that is written down came to: state, outcome and audit event.

use jiff::Timestamp;

use super::Taken;
use crate::domain::audit::{Action, AuditEvent};
use crate::domain::outcome::Outcome;
use crate::domain::record::State;

/// What a look that is written down came to.
#[derive(Clone, Copy)]
pub(super) enum Conclusion {
    Again(Timestamp),
    Settled(&'static str),
    Unrecorded,
}

impl Conclusion {
    pub(super) fn goes_on(self) -> bool {
        matches!(self, Self::Again(_))
    }

    pub(super) fn state(self) -> State {
        match self {
            Self::Again(_) => State::Settling,
            Self::Settled(_) => State::Settled,
            Self::Unrecorded => State::Unrecorded,
        }
    }

    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Again(_) => Outcome::Settling,
            Self::Settled(_) => Outcome::Settled,
            Self::Unrecorded => Outcome::Unrecorded,
        }
    }

    pub(super) fn action(self) -> Action {
        match self {
            Self::Again(_) => Action::ConversationListed,
            Self::Settled(_) => Action::ConversationSettled,
            Self::Unrecorded => Action::ConversationUnrecorded,
        }
    }

    pub(super) fn next(self) -> Option<Timestamp> {
        match self {
            Self::Again(at) => Some(at),
            _ => None,
        }
    }

    pub(super) fn proof(self) -> Option<&'static str> {
        match self {
            Self::Settled(by) => Some(by),
            _ => None,
        }
    }

    /// Adds to the audit event which look it was and what it found: new recordings only, or all of them in the end.
    pub(super) fn describe(self, taken: &Taken, entry: AuditEvent) -> AuditEvent {
        let entry = entry.with("look", taken.number);
        let before = taken.before.as_ref().map_or(&[][..], |before| &before.recordings);
        let found = taken.found.listed.iter().chain(&taken.found.others);
        let new: Vec<_> = found.filter(|id| !before.contains(id)).cloned().collect();
        match self {
            Self::Again(at) if new.is_empty() => entry.with("nextLookAt", at.to_string()),
            Self::Again(at) => entry.with("nextLookAt", at.to_string()).with("recordings", new),
            Self::Settled(by) => {
                let mut all = [before, &new].concat();
                all.sort();
                entry.with("settledBy", by).with("recordings", all)
            }
            Self::Unrecorded => entry,
        }
    }
}
