//! Spans of days over the audit: by the day of the call, or by the day on which it was archived.

use std::fmt;

use jiff::civil::Date;
use serde::Serialize;

use super::custody::{ApartChain, Custody, started};
use crate::aws::ledger::Mark;
use crate::domain::audit::AuditEvent;
use crate::domain::days::{Range, start_of};

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
    /// Returns the days on which its events were written, seen from `today`: a call is archived on its day or on any
    /// later one.
    pub(super) fn written(self, today: Date) -> Range {
        let last = match self.axis {
            Axis::Call => today.max(self.range.last),
            Axis::Archived => self.range.last,
        };
        Range { last, ..self.range }
    }

    /// Returns whether an event of a conversation may mean that the span holds it. An event without a time may, and so
    /// may one whose attribute `day` says another day than its time: one of them was changed.
    pub(super) fn may_hold(self, mark: &Mark) -> bool {
        let at = mark.began.filter(|_| self.axis == Axis::Call).or(mark.at);
        let day = mark.day.filter(|_| self.axis == Axis::Archived);
        at.is_none_or(|at| self.range.holds(at)) || day.is_some_and(|day| self.range.holds(start_of(day)))
    }

    /// Returns whether the span holds a recording. No time of a broken chain can be relied on, so each span that leads
    /// to its conversation holds it.
    pub(super) fn holds(self, custody: &Custody) -> bool {
        if !custody.intact {
            return true;
        }
        let events = &custody.events;
        let at = match self.axis {
            Axis::Call => started(events).or_else(|| events.first()?.timestamp()),
            Axis::Archived => {
                let record = custody.record.as_ref();
                if record
                    .and_then(|record| record.archived_at)
                    .is_some_and(|at| self.range.holds(at))
                {
                    return true;
                }
                custody.archived_at().or_else(|| events.last()?.timestamp())
            }
        };
        at.is_none_or(|at| self.range.holds(at))
    }

    /// Returns whether the span holds a chain that is not about archiving: an event of it was written on these days, or
    /// may have been.
    pub(super) fn holds_apart(self, chain: &ApartChain) -> bool {
        let holds = |event: &AuditEvent| event.timestamp().is_none_or(|at| self.range.holds(at));
        !chain.intact || chain.events.iter().any(holds)
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
