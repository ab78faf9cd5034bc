//! The words for what is recorded, and in which state it is.

use jiff::Timestamp;

/// The kind of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Audio,
    Screen,
    Chat,
    Email,
    Message,
}

impl Kind {
    /// Returns `media` of a `Recording`.
    pub(super) fn in_recording(self) -> &'static str {
        match self {
            Self::Message => "messaging",
            other => other.in_metadata(),
        }
    }

    /// Returns `media` of a `RecordingMetadata`: the two models do not agree on messages (docs/genesys.md, "Recordings
    /// of a conversation").
    pub(super) fn in_metadata(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Screen => "screen",
            Self::Chat => "chat",
            Self::Email => "email",
            Self::Message => "message",
        }
    }
}

/// `fileState` (docs/genesys.md, "Recordings of a conversation").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of Genesys")]
pub enum FileState {
    Archived,
    Available,
    Deleted,
    Restored,
    Restoring,
    Uploading,
    Error,
}

impl FileState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Archived,
        Self::Available,
        Self::Deleted,
        Self::Restored,
        Self::Restoring,
        Self::Uploading,
        Self::Error,
    ];

    /// Returns the name that Genesys uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Archived => "ARCHIVED",
            Self::Available => "AVAILABLE",
            Self::Deleted => "DELETED",
            Self::Restored => "RESTORED",
            Self::Restoring => "RESTORING",
            Self::Uploading => "UPLOADING",
            Self::Error => "ERROR",
        }
    }

    /// Returns whether there is media to play.
    pub(super) fn playable(self) -> bool {
        matches!(self, Self::Available | Self::Restored)
    }
}

/// The body of a 202: declared as a `Recording`, in the field often less (docs/genesys.md, "Recordings of a
/// conversation").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscodingBody {
    /// No byte.
    Empty,
    /// `null`.
    Null,
    /// A `Recording` without `mediaUris`.
    Stub,
}

/// Returns the start of everything, unless a test says otherwise.
pub(super) fn default_start() -> Timestamp {
    Timestamp::constant(1_768_472_060, 14_000_000) // 2026-01-15T10:14:20.014Z
}
