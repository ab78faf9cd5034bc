//! Spans of days over the audit: by the day of the call, or by the day on which it was archived.

use std::fmt;

use serde::Serialize;

use super::custody::{Custody, started};
use crate::aws::ledger::Mark;
use crate::domain::audit::AuditEvent;
use crate::domain::days::Range;

/// The kind of days that a span means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// Days on which recordings began; where Genesys told none, on which they were first worked on.
    Call,
    /// Days on which recordings were archived; of others, on which they were last worked on.
    Archived,
}

impl Axis {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Archived => "archived",
        }
    }
}

/// A span of days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its days.
    pub range: Range,
    /// What they are days of.
    pub axis: Axis,
}

impl Span {
    /// Returns whether an event of a conversation may mean that the span holds it. An event without a time may.
    pub(super) fn may_hold(self, mark: &Mark) -> bool {
        let at = mark.began.filter(|_| self.axis == Axis::Call).or(mark.at);
        at.is_none_or(|at| self.range.holds(at))
    }

    /// Returns whether the span holds a recording. Where the chain is broken, each of its times may be the right one.
    pub(super) fn holds(self, custody: &Custody) -> bool {
        let events = &custody.events;
        if !custody.intact {
            let mut times = events.iter().filter_map(AuditEvent::timestamp);
            return times.any(|at| self.range.holds(at)) || events.is_empty();
        }
        let at = match self.axis {
            Axis::Call => started(events).or_else(|| events.first()?.timestamp()),
            Axis::Archived => custody.archived_at().or_else(|| events.last()?.timestamp()),
        };
        at.is_none_or(|at| self.range.holds(at))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.axis {
            Axis::Call => write!(f, "calls of {}", self.range),
            Axis::Archived => write!(f, "archived {}", self.range),
        }
    }
}
