//! How a recording's run ended, and what an error means for ledger, audit and trigger.

use std::time::Duration;

use super::audit::Action;
use super::record::State;
use super::recording::{ArchivedFile, RecordingRef};
use crate::error::{Disposition, Error, ErrorKind};

/// How a recording's run ended: docs/interface.md, "Outcomes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// In S3, verified, audited, webhook delivered.
    Archived,
    /// A former run did it.
    AlreadyArchived,
    /// Comes again by the work queue.
    Deferred,
    /// A look at a conversation found nothing to do, and another one follows.
    Settling,
    /// Nothing more can come of a conversation.
    Settled,
    /// A conversation ended without a recording having been started.
    Unrecorded,
    /// Gone at the source.
    Expired,
    /// Filtered out by configuration.
    Skipped,
    /// Cannot be archived until somebody mends the cause.
    Failed,
    /// Ended by something passing; the trigger redelivers.
    Retry,
}

impl Outcome {
    /// The name in summaries, metrics and event files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "archived",
            Self::AlreadyArchived => "already_archived",
            Self::Deferred => "deferred",
            Self::Settling => "settling",
            Self::Settled => "settled",
            Self::Unrecorded => "unrecorded",
            Self::Expired => "expired",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Retry => "retry",
        }
    }
}

/// What came of one recording, or of a conversation without one.
#[derive(Debug)]
pub struct RecordingResult {
    /// What it is about.
    pub of: RecordingRef,
    /// How it ended.
    pub outcome: Outcome,
    /// What lies in S3 of it.
    pub files: Vec<ArchivedFile>,
    /// Why it ended as it did, unless all went well.
    pub error: Option<Error>,
    /// What it cost; nothing where nothing was archived in this run.
    pub figures: Figures,
    /// The deferred job is sent already.
    pub sent: bool,
}

/// What a run's archiving cost, for capacity planning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// From the first request for media to the last byte checked.
    pub download: Option<Duration>,
    /// From the claim to the object verified.
    pub archive: Option<Duration>,
    /// From the end of the conversation to the object verified.
    pub age: Option<Duration>,
}

impl RecordingResult {
    /// An archived recording.
    pub fn done(of: RecordingRef, outcome: Outcome, files: Vec<ArchivedFile>, figures: Figures) -> Self {
        Self {
            of,
            outcome,
            files,
            error: None,
            figures,
            sent: false,
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

    /// Anything else.
    pub fn ended(of: RecordingRef, outcome: Outcome, error: Error) -> Self {
        Self {
            of,
            outcome,
            files: Vec::new(),
            error: Some(error),
            figures: Figures::default(),
            sent: false,
        }
    }
}

/// What an error means for whoever has to write it down.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// `None`: the ledger's state stays as it is.
    pub(crate) state: Option<State>,
    pub(crate) action: Action,
}

/// The meaning of an error that ended a recording's run.
pub(crate) fn verdict(kind: ErrorKind) -> Verdict {
    let verdict = |outcome, state, action| Verdict {
        outcome,
        state,
        action,
    };
    match (kind, kind.disposition()) {
        (ErrorKind::Expired, _) => verdict(Outcome::Expired, Some(State::Expired), Action::DownloadExpired),
        (ErrorKind::FilteredOut, _) => {
            verdict(Outcome::Skipped, Some(State::Skipped), Action::DownloadSkipped)
        }
        (ErrorKind::WebhookUndeliverable | ErrorKind::WebhookUnsignable, _) => {
            verdict(Outcome::Failed, None, Action::WebhookFailed)
        }
        (ErrorKind::WebhookDown, _) => verdict(Outcome::Deferred, None, Action::WebhookFailed),
        (_, Disposition::Discard) => verdict(Outcome::Failed, Some(State::Failed), Action::DownloadFailed),
        (_, Disposition::Defer) => {
            verdict(Outcome::Deferred, Some(State::Deferred), Action::DownloadDeferred)
        }
        (_, Disposition::Retry) => verdict(Outcome::Retry, None, Action::DownloadFailed),
    }
}
