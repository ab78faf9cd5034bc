//! The audit trail as values: one event, for those who write it and for those who read it, and the hash chain in
//! which a missing or changed event shows.
//!
//! Pure. The ledger writes events; `cargo local` and the operator tools read them and check their chain with
//! [`verify`].

mod actor;
mod apart;
mod chain;
mod history;

use std::ops::Index;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::recording::ArchivedFile;
use super::state::State;
use crate::error::Error;

pub use actor::{Actor, Origin, Source, is_own};
pub use apart::{Apart, Subject};
pub use chain::{Chain, ChainBreak, Shard, verify};
pub use history::{Stored, TimeFault, announces, archived_at, is_ahead, is_live, state, stored, time_fault};

/// The kind of an event: the attribute `action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A run took the lease and begins.
    DownloadInitiated,
    /// All bytes of a file were received and checked; the object becomes visible next.
    DownloadCompleted,
    /// The run ended without an archive, for good or until the next attempt; `error` says why.
    DownloadFailed,
    /// The source is not ready; the job is retried later.
    DownloadDeferred,
    /// Deleted at the source under its retention policy.
    DownloadExpired,
    /// Filtered out by configuration.
    DownloadSkipped,
    /// A file lies in S3, verified.
    ArchiveStored,
    /// The webhook's receiver accepted the notification.
    WebhookDelivered,
    /// The webhook's receiver did not accept the notification this time.
    WebhookFailed,
    /// A look at a conversation listed its recordings, and another look follows.
    ConversationListed,
    /// Nothing more can come of a conversation.
    ConversationSettled,
    /// A conversation ended without a recording having been started.
    ConversationUnrecorded,
    /// The call record of a conversation lies in S3, and in the catalog.
    CallDescribed,
    /// A file is deleted from the archive on purpose, or a recording without files is marked so. Written before the
    /// deletion.
    ObjectErased,
    /// Somebody is about to read a recording, or asks S3 to restore it. Written before its first byte is read.
    RecordingAccessed,
    /// A completeness statement lies in the bucket.
    StatementIssued,
    /// The document of a run of statements lies in the bucket: the next run goes on from there.
    StatementRun,
}

impl Action {
    /// All of them: what reading knows.
    pub const ALL: [Self; 17] = [
        Self::DownloadInitiated,
        Self::DownloadCompleted,
        Self::DownloadFailed,
        Self::DownloadDeferred,
        Self::DownloadExpired,
        Self::DownloadSkipped,
        Self::ArchiveStored,
        Self::WebhookDelivered,
        Self::WebhookFailed,
        Self::ConversationListed,
        Self::ConversationSettled,
        Self::ConversationUnrecorded,
        Self::CallDescribed,
        Self::ObjectErased,
        Self::RecordingAccessed,
        Self::StatementIssued,
        Self::StatementRun,
    ];

    /// Returns the value of the attribute `action`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DownloadInitiated => "download.initiated",
            Self::DownloadCompleted => "download.completed",
            Self::DownloadFailed => "download.failed",
            Self::DownloadDeferred => "download.deferred",
            Self::DownloadExpired => "download.expired",
            Self::DownloadSkipped => "download.skipped",
            Self::ArchiveStored => "archive.stored",
            Self::WebhookDelivered => "webhook.delivered",
            Self::WebhookFailed => "webhook.failed",
            Self::ConversationListed => "conversation.listed",
            Self::ConversationSettled => "conversation.settled",
            Self::ConversationUnrecorded => "conversation.unrecorded",
            Self::CallDescribed => "call.described",
            Self::ObjectErased => "object.erased",
            Self::RecordingAccessed => "recording.accessed",
            Self::StatementIssued => "statement.issued",
            Self::StatementRun => "statement.run",
        }
    }

    /// Returns whether an object lies in S3 with the event, verified: a file of a recording, or a call record.
    pub fn stores(self) -> bool {
        matches!(self, Self::ArchiveStored | Self::CallDescribed)
    }

    /// Reads the attribute `action`; `None` for one that this version does not write.
    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// One audit event: the item of the audit table, the audit line of the log, and the event that operators read.
///
/// A run makes an event of what happened; [`Chain::append`] adds the recording, the time and the place in the chain.
/// An event that is read stays as it was stored, attributes of other versions included, so that its hash covers all
/// of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuditEvent(Map<String, Value>);

impl AuditEvent {
    /// Makes an event without particulars. `status` is the ledger's state after it, `format` the format asked for.
    pub fn new(action: Action, status: State, format: &str) -> Self {
        Self::apart(action)
            .with("status", status.as_str())
            .with("format", format)
    }

    /// Makes an event of a chain apart without particulars: the ledger has no state for it.
    pub fn apart(action: Action) -> Self {
        Self(Map::new()).with("action", action.as_str())
    }

    /// Sets an attribute.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// Adds how long it took.
    #[must_use]
    pub fn with_latency(self, latency: Duration) -> Self {
        self.with(
            "latencyMs",
            u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
        )
    }

    /// Adds the file that it is about, which names its own format.
    #[must_use]
    pub fn with_file(self, file: &ArchivedFile) -> Self {
        let event = self
            .with("format", file.format.as_str())
            .with("sizeBytes", file.size_bytes)
            .with("hash", file.sha256.as_str())
            .with("archiveKey", file.archive_key.to_string())
            .with("attemptId", file.attempt_id.to_string());
        let channel = file.channel.filter(|_| file.part.is_none());
        event
            .with_some("formatFound", file.format_found.as_deref())
            .with_some("part", file.part)
            .with_some("channel", channel)
            .with_some("partName", file.part_name.as_deref())
            .with_some("mediaHost", file.media_host.as_deref())
    }

    /// Adds what S3 keeps of the file beside its bytes, as far as it is known.
    #[must_use]
    pub fn with_stored_as(self, file: &ArchivedFile) -> Self {
        // A struct of texts always serialises.
        match file.stored_as.as_ref().map(serde_json::to_value) {
            Some(Ok(Value::Object(attributes))) => attributes
                .into_iter()
                .fold(self, |event, (name, value)| event.with(&name, value)),
            _ => self,
        }
    }

    /// Adds the file that another event names: its place, SHA-256 and length.
    #[must_use]
    pub fn naming(self, other: &Self) -> Self {
        ["archiveKey", "hash", "sizeBytes", "channel", "part"]
            .into_iter()
            .filter_map(|name| Some((name, other.get(name)?.clone())))
            .fold(self, |event, (name, value)| event.with(name, value))
    }

    /// Adds why it did not succeed: the code, and a text without addresses of people.
    #[must_use]
    pub fn with_failure(self, error: &Error) -> Self {
        self.with("code", error.kind().code())
            .with_error(&error.to_string())
    }

    /// Adds why it did not succeed, without addresses of people.
    #[must_use]
    pub fn with_error(self, error: &str) -> Self {
        self.with("error", crate::redact::people(error))
    }

    /// Adds what Genesys says of the recording: retention policy, dates, region.
    #[must_use]
    pub fn with_genesys(self, notes: Map<String, Value>) -> Self {
        self.with_some("genesys", (!notes.is_empty()).then_some(Value::Object(notes)))
    }

    /// Sets an attribute that not every event has.
    fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Returns the kind of the event; `None` for one that this version does not write.
    pub fn action(&self) -> Option<Action> {
        self.text("action").and_then(Action::parse)
    }

    /// Returns the cause of its run.
    pub fn actor(&self) -> Option<Actor> {
        Actor::deserialize(self.get("actor")?).ok()
    }

    /// Returns the place in its chain, from 1.
    pub fn seq(&self) -> Option<u64> {
        self.number("seq")
    }

    /// Returns the state that the ledger went to with it.
    pub fn status(&self) -> Option<State> {
        State::deserialize(self.get("status")?).ok()
    }

    /// Returns when it was written.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.text("timestamp")?.parse().ok()
    }

    /// Returns the recording as ledger and audit spell it.
    pub fn recording(&self) -> Option<&str> {
        self.text("recordingId")
    }

    /// Returns the format asked for.
    pub fn format(&self) -> Option<&str> {
        self.text("format")
    }

    /// Returns why it did not succeed.
    pub fn error(&self) -> Option<&str> {
        self.text("error")
    }

    /// Returns `s3://bucket/key` of the file that it is about.
    pub fn archive_key(&self) -> Option<&str> {
        self.text("archiveKey")
    }

    /// Returns `s3://bucket/key` of each file that was accessed.
    pub fn accessed(&self) -> impl Iterator<Item = &str> {
        let files = self.get("files").and_then(Value::as_array).into_iter().flatten();
        files.filter_map(|file| file.get("archiveKey")?.as_str())
    }

    /// Returns the SHA-256 of the file that it is about, in lower-case hex.
    pub fn sha256(&self) -> Option<&str> {
        self.text("hash")
    }

    /// Returns how long it took, in milliseconds.
    pub fn latency_ms(&self) -> Option<u64> {
        self.number("latencyMs")
    }

    /// Returns a moment that Genesys names for the recording.
    pub fn genesys_moment(&self, name: &str) -> Option<Timestamp> {
        self.get("genesys")?.get(name)?.as_str()?.parse().ok()
    }

    /// Returns an attribute that is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// Returns an attribute that is a whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.as_u64()
    }

    /// Returns an attribute as it is stored.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Returns all attributes as they are stored.
    pub fn into_attributes(self) -> Map<String, Value> {
        self.0
    }
}

impl Index<&str> for AuditEvent {
    type Output = Value;

    /// Returns an attribute as it is stored, null for one that the event has not.
    fn index(&self, name: &str) -> &Value {
        self.get(name).unwrap_or(&Value::Null)
    }
}

#[cfg(test)]
mod tests;
