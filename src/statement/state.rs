//! The state of a run: what it has found, and where it goes on. Another process can take it over.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Checked, Deletion, Figures, Late, Open, Part, Reference};
use crate::genesys::analytics::Position;

/// A run of statements, as far as it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Names the run in its documents.
    pub(super) run: Uuid,
    /// When it began.
    pub(super) began: Timestamp,
    /// Its days, the newest last.
    pub(super) days: Vec<Day>,
    /// Days that are not clean, and that are not stated again.
    pub(super) carried: Vec<Carried>,
    /// Days that are too many for this run: the next one states them.
    pub(super) left: Vec<Date>,
    /// It is the run of the schedule: the next one goes on with its days.
    pub(super) scheduled: bool,
    /// The walk through what Genesys keeps.
    pub(super) walk: Walk,
}

/// A day of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Day {
    pub(super) date: Date,
    /// Where its list goes on; `None`: at its beginning.
    pub(super) position: Option<Position>,
    /// Its list was read to the end.
    pub(super) read: bool,
    /// Its list is that of a job.
    pub(super) complete: bool,
    pub(super) figures: Figures,
    pub(super) open: Vec<Open>,
    pub(super) parts: Vec<Part>,
    /// The statement before this one.
    pub(super) previous: Option<Previous>,
    /// Its statement is in the bucket and in the audit.
    pub(super) issued: Option<Issued>,
}

/// The newest statement of a day, before this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Previous {
    pub(super) number: u32,
    pub(super) document: Reference,
}

/// A statement that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// Its day.
    pub day: Date,
    /// Its number.
    pub number: u32,
    /// Its document.
    #[serde(flatten)]
    pub document: Reference,
    /// It is clean.
    pub clean: bool,
    /// Its gaps.
    pub gaps: u64,
    /// Those that nobody can close any more.
    pub lost: u64,
}

/// A day that is not clean, and too old to be stated again by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Carried {
    pub(super) day: Date,
    pub(super) gaps: u64,
    pub(super) lost: u64,
}

/// The walk through all recordings that Genesys keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Walk {
    /// The statement with the survey before this one: its findings are looked at again.
    pub(super) before: Option<Reference>,
    /// These were looked at.
    pub(super) again: bool,
    /// It began where the walk before it was left, not at the beginning of the list.
    pub(super) resumed: bool,
    pub(super) cursor: Option<String>,
    pub(super) pages: u64,
    pub(super) ended: bool,
    pub(super) checked: Checked,
    pub(super) deletions: Vec<Deletion>,
    pub(super) deletions_ahead: u64,
    pub(super) late: Vec<Late>,
    pub(super) late_recordings: u64,
}

impl Day {
    pub(super) fn new(date: Date, previous: Option<Previous>) -> Self {
        Self {
            date,
            position: None,
            read: false,
            complete: false,
            figures: Figures::default(),
            open: Vec::new(),
            parts: Vec::new(),
            previous,
            issued: None,
        }
    }
}
