//! Interactions of the tutorial's API as a test describes them.

use super::format::Format;
use super::media::Media;

/// An interaction and its recording.
#[derive(Debug, Clone)]
pub struct Interaction {
    /// Its UUID.
    pub id: String,
    /// The `id` in its metadata, which names the recording; that of the interaction at first.
    pub recording_id: String,
    /// `status` of its metadata.
    pub status: Status,
    /// Number of looks that say `processing` before `status` shows.
    pub processing: usize,
    /// `duration` of its metadata in seconds; that of the file when `None`.
    pub duration: Option<u64>,
    /// `format` of its metadata, and of a download that asks for none.
    pub format: Format,
    /// Id and name of its retention policy.
    pub retention_policy: Option<(String, String)>,
    /// The part that the retention policy has left; the rest is answered 410.
    pub retention: Retention,
    /// The file, in whatever format it is asked for.
    pub media: Media,
    pub(super) looks: usize,
}

/// `status` of an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub enum Status {
    Ready,
    Processing,
    Failed,
    NotFound,
}

impl Status {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::NotFound => "not_found",
        }
    }
}

/// The part of an interaction that retention has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Everything.
    Kept,
    /// Its metadata; the download is answered 410.
    MetadataOnly,
    /// Nothing; everything is answered 410.
    Nothing,
}

impl Interaction {
    /// Returns an interaction that is ready, in WAV.
    pub fn new(id: impl Into<String>, media: Media) -> Self {
        let id = id.into();
        Self {
            recording_id: id.clone(),
            id,
            status: Status::Ready,
            processing: 0,
            duration: None,
            format: Format::Wav,
            retention_policy: Some((
                "00000000-0000-4000-8000-00000000f00d".to_owned(),
                "Keep for 90 days".to_owned(),
            )),
            retention: Retention::Kept,
            media,
            looks: 0,
        }
    }

    /// Sets the id of its recording.
    #[must_use]
    pub fn recording_id(mut self, id: impl Into<String>) -> Self {
        self.recording_id = id.into();
        self
    }

    /// Sets the status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Answers the first `looks` looks with `processing`.
    #[must_use]
    pub fn processing(mut self, looks: usize) -> Self {
        self.processing = looks;
        self
    }

    /// Removes the retention policy.
    #[must_use]
    pub fn without_retention_policy(mut self) -> Self {
        self.retention_policy = None;
        self
    }

    /// Sets the part that retention has left.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    pub(super) fn current_status(&self) -> Status {
        if self.looks > self.processing || self.processing == 0 {
            self.status
        } else {
            Status::Processing
        }
    }
}
