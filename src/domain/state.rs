//! The states of a recording or a conversation.

use serde::{Deserialize, Serialize};

/// The progress of a recording, or of a conversation as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A run is downloading, or was until it died or gave up for now.
    Claimed,
    /// All bytes were checked; the objects named in `files` may be visible.
    Storing,
    /// The objects named in `files` are visible and verified.
    Archived,
    /// Archived, and the webhook's receiver accepted the notification.
    Notified,
    /// Not ready at the source; the job is retried later.
    Deferred,
    /// Filtered out by configuration.
    Skipped,
    /// Cannot be archived until somebody fixes the cause.
    Failed,
    /// Deleted at the source.
    Expired,
    /// A conversation that is looked at again.
    Settling,
    /// A conversation of which nothing more can come.
    Settled,
    /// A conversation that ended without a recording having been started.
    Unrecorded,
    /// Deleted from the archive on purpose, by `archivectl erase`. Nothing is archived of it again.
    Erased,
}

impl State {
    /// Returns the value of the attribute `state`, and of `status` in the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Storing => "storing",
            Self::Archived => "archived",
            Self::Notified => "notified",
            Self::Deferred => "deferred",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Settling => "settling",
            Self::Settled => "settled",
            Self::Unrecorded => "unrecorded",
            Self::Erased => "erased",
        }
    }
}
