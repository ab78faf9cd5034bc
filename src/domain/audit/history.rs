//! What the events of one recording say of it: its state, its files, its times. The ledger is held against this.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize as _;
use serde_json::Value;

use super::{Action, AuditEvent};
use crate::domain::recording::{ArchiveKey, ArchivedFile, ObjectKind, StoredAs};
use crate::domain::state::State;

/// Largest difference between two clocks that is no finding: as long as the longest invocation of Lambda.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(15);

/// A file that an event `archive.stored` or `call.described` names.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The place of the object.
    pub archive_key: ArchiveKey,
    /// SHA-256 of its bytes, in lower-case hex.
    pub sha256: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// The attempt that wrote it.
    pub attempt_id: String,
    /// Its channel, for a recording with a file for each.
    pub channel: Option<u64>,
    /// Its number among consecutive files.
    pub part: Option<u64>,
    /// The time of the event.
    pub at: Option<Timestamp>,
    /// What S3 keeps beside the bytes; `None`: not recorded then.
    pub stored_as: Option<StoredAs>,
    /// What the object is, which its tag says.
    pub kind: ObjectKind,
}

impl Stored {
    /// Reads an event that names a file.
    fn of(event: &AuditEvent) -> Option<Self> {
        let attributes = Value::Object(event.0.clone());
        Some(Self {
            archive_key: ArchiveKey::parse(event.archive_key()?).ok()?,
            sha256: event.sha256()?.to_owned(),
            size_bytes: event.number("sizeBytes")?,
            attempt_id: event.text("attemptId")?.to_owned(),
            channel: event.number("channel"),
            part: event.number("part"),
            at: event.timestamp(),
            stored_as: StoredAs::deserialize(attributes).ok(),
            kind: match event.action() {
                Some(Action::CallDescribed) => ObjectKind::CallRecord,
                _ => ObjectKind::Recording,
            },
        })
    }

    /// Returns how the ledger's file differs, in words; `None` if it does not.
    pub fn difference(&self, file: &ArchivedFile) -> Option<String> {
        let attempt = file.attempt_id.to_string();
        let size = [file.size_bytes, self.size_bytes].map(|size| size.to_string());
        let number =
            |number: Option<u64>| number.map_or_else(|| "none".to_owned(), |number| number.to_string());
        // An event names the channel of a file that is no part of a sequence. Older events name neither.
        let channel = file.channel.filter(|_| file.part.is_none()).map(u64::from);
        let channel = [channel, self.channel].map(number);
        let part = [file.part.map(u64::from), self.part].map(number);
        let mut told = vec![
            ("SHA-256", &file.sha256, &self.sha256),
            ("attempt", &attempt, &self.attempt_id),
            ("size", &size[0], &size[1]),
        ];
        if self.stored_as.is_some() || self.channel.or(self.part).is_some() {
            told.extend([
                ("channel", &channel[0], &channel[1]),
                ("part", &part[0], &part[1]),
            ]);
        }
        let differs = told.into_iter().find(|(_, ledger, audit)| ledger != audit);
        differs
            .map(|(name, ledger, audit)| format!("{name} is {ledger} in the ledger and {audit} in the audit"))
    }
}

/// Returns the state that the events lead to.
pub fn state(events: &[AuditEvent]) -> Option<State> {
    events.iter().rev().find_map(AuditEvent::status)
}

/// Returns the files that lie in S3, verified.
pub fn stored(events: &[AuditEvent]) -> Vec<Stored> {
    let events = events.iter();
    let events = events.filter(|event| event.action().is_some_and(Action::stores));
    events.filter_map(Stored::of).collect()
}

/// Returns when the recording was archived.
pub fn archived_at(events: &[AuditEvent]) -> Option<Timestamp> {
    let mut events = events.iter();
    let stored = events.find(|event| event.action() == Some(Action::ArchiveStored))?;
    stored.timestamp()
}

/// Returns whether an end event of Genesys asked for the recording first, whoever worked on it then.
pub fn is_live(events: &[AuditEvent]) -> bool {
    let first = events.iter().find_map(AuditEvent::actor);
    first.is_some_and(|actor| {
        let origin = actor.origin.as_ref();
        actor.event_id.is_some() || origin.is_some_and(|origin| origin.event_id.is_some())
    })
}

/// Returns whether an event announced this file before it became visible.
pub fn announces(event: &AuditEvent, file: &ArchivedFile) -> bool {
    event.action() == Some(Action::DownloadCompleted)
        && Stored::of(event).is_some_and(|announced| {
            announced.archive_key == file.archive_key && announced.difference(file).is_none()
        })
}

/// A time that cannot be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// An event has no time.
    #[error("event {seq} has no time")]
    Missing {
        /// Its `seq`.
        seq: u64,
    },
    /// An event is older than the one before it.
    #[error("event {seq} is of {at}, and the one before it of {before}")]
    Backwards {
        /// Its `seq`.
        seq: u64,
        /// Its time.
        at: Timestamp,
        /// The time of the event before it.
        before: Timestamp,
    },
    /// An event lies in the future.
    #[error("event {seq} is of {at}, which is in the future")]
    Future {
        /// Its `seq`.
        seq: u64,
        /// Its time.
        at: Timestamp,
    },
}

/// Returns whether a moment is so far ahead of another that no two clocks explain it.
pub fn is_ahead(moment: Timestamp, other: Timestamp) -> bool {
    moment.duration_since(other) > CLOCKS_APART
}

/// Returns the first time that cannot be right, as seen at `now`.
pub fn time_fault(events: &[AuditEvent], now: Timestamp) -> Option<TimeFault> {
    let mut before = Timestamp::MIN;
    for event in events {
        let seq = event.seq().unwrap_or_default();
        let Some(at) = event.timestamp() else {
            return Some(TimeFault::Missing { seq });
        };
        if is_ahead(before, at) {
            return Some(TimeFault::Backwards { seq, at, before });
        }
        if is_ahead(at, now) {
            return Some(TimeFault::Future { seq, at });
        }
        before = at;
    }
    None
}
