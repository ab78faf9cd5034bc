//! The outcome of a recording's run, and the consequence of an error for ledger, audit and trigger.

use std::time::Duration;

use super::audit::Action;
use super::record::State;
use super::recording::{ArchivedFile, RecordingRef};
use crate::error::{Disposition, Error, ErrorKind};

/// The outcome of a recording's run: docs/interface.md, "Outcomes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// In S3, verified, audited, webhook delivered.
    Archived,
    /// A former run did it.
    AlreadyArchived,
    /// Retried later by the work queue.
    Deferred,
    /// A look at a conversation found nothing to do, and another one follows.
    Settling,
    /// Nothing more can come of a conversation.
    Settled,
    /// A conversation ended without a recording having been started.
    Unrecorded,
    /// Deleted from the archive on purpose; nothing is archived again.
    Erased,
    /// Deleted at the source.
    Expired,
    /// Filtered out by configuration.
    Skipped,
    /// Cannot be archived until somebody fixes the cause.
    Failed,
    /// Ended by a transient error; the trigger redelivers.
    Retry,
}

impl Outcome {
    /// Returns the name in summaries, metrics and event files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::AlreadyArchived => "already_archived",
            Self::Deferred => "deferred",
            Self::Settling => "settling",
            Self::Settled => "settled",
            Self::Unrecorded => "unrecorded",
            Self::Erased => "erased",
            Self::Expired => "expired",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Retry => "retry",
        }
    }
}

/// The result of a run for one recording, or for a conversation without one.
#[derive(Debug)]
pub struct RecordingResult {
    /// The recording or the conversation.
    pub target: RecordingRef,
    /// Its outcome.
    pub outcome: Outcome,
    /// Its files in S3.
    pub files: Vec<ArchivedFile>,
    /// The reason of the outcome, unless it was archived.
    pub error: Option<Error>,
    /// The times it took; none where nothing was archived in this run.
    pub timings: Timings,
    /// Its deferred job is sent already.
    pub sent: bool,
    /// An end event asked for it first, whoever works on it now: what the service levels count.
    pub live: bool,
}

/// The first service level: how long after the end of its conversation a recording that an end event asked for is
/// archived at the latest.
pub const AN_HOUR: Duration = Duration::from_secs(3_600);

/// The second service level: see [`AN_HOUR`].
pub const A_DAY: Duration = Duration::from_secs(24 * 3_600);

/// The times that archiving took in a run, for capacity planning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From the first request for media to the last byte checked.
    pub download: Option<Duration>,
    /// From the claim to the object verified.
    pub archive: Option<Duration>,
    /// From the end of the conversation to the object verified.
    pub age: Option<Duration>,
}

impl RecordingResult {
    /// Makes the result of an archived recording.
    pub fn done(target: RecordingRef, outcome: Outcome, files: Vec<ArchivedFile>, timings: Timings) -> Self {
        Self {
            target,
            outcome,
            files,
            error: None,
            timings,
            sent: false,
            live: false,
        }
    }

    /// Returns this result with another outcome, and the error that made it so.
    pub(crate) fn but(self, outcome: Outcome, error: Error) -> Self {
        Self {
            outcome,
            error: Some(error),
            ..self
        }
    }

    /// Makes the result of a run that did not archive the recording.
    pub fn ended(target: RecordingRef, outcome: Outcome, error: Error) -> Self {
        Self {
            target,
            outcome,
            files: Vec::new(),
            error: Some(error),
            timings: Timings::default(),
            sent: false,
            live: false,
        }
    }
}

/// The consequence of an error for ledger, audit and trigger.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Consequence {
    pub(crate) outcome: Outcome,
    /// The ledger's new state; `None` if it stays as it is.
    pub(crate) state: Option<State>,
    pub(crate) action: Action,
}

/// Returns the consequence of an error that ended a recording's run.
pub(crate) fn consequence(kind: ErrorKind) -> Consequence {
    let consequence = |outcome, state, action| Consequence {
        outcome,
        state,
        action,
    };
    match (kind, kind.disposition()) {
        (ErrorKind::Expired, _) => {
            consequence(Outcome::Expired, Some(State::Expired), Action::DownloadExpired)
        }
        (ErrorKind::FilteredOut, _) => {
            consequence(Outcome::Skipped, Some(State::Skipped), Action::DownloadSkipped)
        }
        (ErrorKind::WebhookUndeliverable | ErrorKind::WebhookUnsignable, _) => {
            consequence(Outcome::Failed, None, Action::WebhookFailed)
        }
        (ErrorKind::WebhookDown, _) => consequence(Outcome::Deferred, None, Action::WebhookFailed),
        (_, Disposition::Discard) => {
            consequence(Outcome::Failed, Some(State::Failed), Action::DownloadFailed)
        }
        (_, Disposition::Defer) => {
            consequence(Outcome::Deferred, Some(State::Deferred), Action::DownloadDeferred)
        }
        (_, Disposition::Retry) => consequence(Outcome::Retry, None, Action::DownloadFailed),
    }
}
