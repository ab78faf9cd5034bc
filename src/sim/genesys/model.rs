//! Conversations and their recordings, as a test describes them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::format::Format;
use super::media::Media;

/// A conversation with its recordings.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Its UUID.
    pub id: String,
    /// When the first participant joined.
    pub start: Timestamp,
    /// When the last participant left; `None` while it goes on.
    pub end: Option<Timestamp>,
    /// What was recorded.
    pub recordings: Vec<Recording>,
    /// So many looks at the list of recordings say `[]`, whatever was recorded.
    pub empty_lists: usize,
    /// The code of the 403 that every question about the conversation meets.
    pub denied: Option<String>,
    /// Looks at the list so far.
    pub(super) looks: usize,
}

impl Conversation {
    /// A conversation that has ended, with no recording yet.
    pub fn new(id: impl Into<String>) -> Self {
        let start = default_start();
        Self {
            id: id.into(),
            start,
            end: Some(start + SignedDuration::from_secs(400)),
            recordings: Vec::new(),
            empty_lists: 0,
            denied: None,
            looks: 0,
        }
    }

    /// With one more recording.
    #[must_use]
    pub fn recording(mut self, recording: Recording) -> Self {
        self.recordings.push(recording);
        self
    }

    /// The first `looks` looks at the list of recordings say `[]`.
    #[must_use]
    pub fn empty_for(mut self, looks: usize) -> Self {
        self.empty_lists = looks;
        self
    }

    /// Every question about it is answered with 403.
    #[must_use]
    pub fn denied(mut self) -> Self {
        self.denied = Some("missing.any.permissions".to_owned());
        self
    }

    /// It has not ended yet.
    #[must_use]
    pub fn ongoing(mut self) -> Self {
        self.end = None;
        self
    }

    /// The recordings that show by now.
    pub(super) fn visible(&mut self) -> impl Iterator<Item = &mut Recording> {
        let (looks, empty) = (self.looks, self.empty_lists);
        self.recordings.iter_mut().filter(move |recording| {
            let hidden = recording.appears_after.max(empty);
            hidden == 0 || looks > hidden
        })
    }

    /// The recording of this id, if it shows by now.
    pub(super) fn find(&mut self, recording_id: &str) -> Option<&mut Recording> {
        self.visible().find(|recording| recording.id == recording_id)
    }
}

/// One recording of a conversation.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its UUID.
    pub id: String,
    /// What was recorded.
    pub kind: Kind,
    /// `Trunk`, `Station`, `Consult`, `Screen` or `Snippet`.
    pub subtype: String,
    /// One file per channel.
    pub channels: Vec<Media>,
    /// The merged file of `download=true`; the first channel's when `None`.
    pub merged: Option<Media>,
    /// Where the recording is in its life.
    pub state: FileState,
    /// After so many looks at its metadata it is in this state instead.
    pub then: Option<(usize, FileState)>,
    /// So many looks at the list of recordings do not show it.
    pub appears_after: usize,
    /// So many requests for its media, in each format anew, are answered 202.
    pub transcoding: usize,
    /// The body of those answers.
    pub transcoding_body: TranscodingBody,
    /// `Retry-After` of those answers, in seconds; undocumented, so absent at first.
    pub transcoding_retry_after: Option<u64>,
    /// When it began.
    pub start: Timestamp,
    /// How long it lasts; the duration of the first WAV, else a little over six minutes, when `None`.
    pub duration: Option<SignedDuration>,
    /// When the file goes to the cold store.
    pub archive_date: Option<Timestamp>,
    /// When the recording will be deleted.
    pub delete_date: Option<Timestamp>,
    /// Where its source is stored.
    pub region: String,
    /// Fields of the `Recording` set to another value, or (`None`) left out, unknown ones among them.
    pub fields: BTreeMap<String, Option<Value>>,
    /// The same for its `RecordingMetadata`.
    pub metadata_fields: BTreeMap<String, Option<Value>>,
    /// Looks at its metadata so far.
    pub(super) looks: usize,
    /// Requests for its media so far, by format.
    pub(super) requests: BTreeMap<Format, usize>,
}

impl Recording {
    /// The recording of a call, one file per channel.
    pub fn audio(id: impl Into<String>, channels: impl IntoIterator<Item = Media>) -> Self {
        Self::new(id, Kind::Audio, "Trunk", channels)
    }

    /// The recording of a screen.
    pub fn screen(id: impl Into<String>, media: Media) -> Self {
        Self::new(id, Kind::Screen, "Screen", [media])
    }

    /// A chat, an e-mail or a message conversation.
    pub fn text(id: impl Into<String>, kind: Kind, media: Media) -> Self {
        Self::new(id, kind, "Trunk", [media])
    }

    fn new(
        id: impl Into<String>,
        kind: Kind,
        subtype: &str,
        channels: impl IntoIterator<Item = Media>,
    ) -> Self {
        Self {
            id: id.into(),
            kind,
            subtype: subtype.to_owned(),
            channels: channels.into_iter().collect(),
            merged: None,
            state: FileState::Available,
            then: None,
            appears_after: 0,
            transcoding: 0,
            transcoding_body: TranscodingBody::Empty,
            transcoding_retry_after: None,
            start: default_start(),
            duration: None,
            archive_date: None,
            delete_date: None,
            region: "eu-central-1".to_owned(),
            fields: BTreeMap::new(),
            metadata_fields: BTreeMap::new(),
            looks: 0,
            requests: BTreeMap::new(),
        }
    }

    /// With this file for `download=true`.
    #[must_use]
    pub fn merged(mut self, media: Media) -> Self {
        self.merged = Some(media);
        self
    }

    /// In this state.
    #[must_use]
    pub fn state(mut self, state: FileState) -> Self {
        self.state = state;
        self
    }

    /// In another state after `looks` looks at its metadata.
    #[must_use]
    pub fn then_after(mut self, looks: usize, state: FileState) -> Self {
        self.then = Some((looks, state));
        self
    }

    /// Not shown by the first `looks` looks at the list: recordings can turn up one after another.
    #[must_use]
    pub fn appears_after(mut self, looks: usize) -> Self {
        self.appears_after = looks;
        self
    }

    /// The first `answers` requests for its media, in each format, are answered 202 with this body.
    #[must_use]
    pub fn transcoding(mut self, answers: usize, body: TranscodingBody) -> Self {
        self.transcoding = answers;
        self.transcoding_body = body;
        self
    }

    /// With this field in its `Recording`, whatever stood there before.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Without this field in its `Recording`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.insert(name.to_owned(), None);
        self
    }

    /// With this field in its `RecordingMetadata`.
    #[must_use]
    pub fn metadata_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata_fields.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Without this field in its `RecordingMetadata`.
    #[must_use]
    pub fn metadata_without(mut self, name: &str) -> Self {
        self.metadata_fields.insert(name.to_owned(), None);
        self
    }

    /// The file under a key of `mediaUris`: `"S"` or a channel number.
    pub(super) fn media(&self, key: &str) -> Option<&Media> {
        if key == MERGED {
            return self.merged.as_ref().or_else(|| self.channels.first());
        }
        self.channels.get(key.parse::<usize>().ok()?)
    }

    pub(super) fn current_state(&self) -> FileState {
        match self.then {
            Some((looks, state)) if self.looks > looks => state,
            _ => self.state,
        }
    }

    pub(super) fn length(&self) -> SignedDuration {
        let measured = || i64::try_from(self.channels.first()?.millis()?).ok();
        self.duration
            .unwrap_or_else(|| SignedDuration::from_millis(measured().unwrap_or(369_505)))
    }
}

/// The key of the merged file in `mediaUris`: field knowledge, not official text (Genesys facts, 1.3).
pub(super) const MERGED: &str = "S";

/// What a recording is of.
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
    /// `media` of a `Recording`.
    pub(super) fn in_recording(self) -> &'static str {
        match self {
            Self::Message => "messaging",
            other => other.in_metadata(),
        }
    }

    /// `media` of a `RecordingMetadata`: the two models do not agree on messages (Genesys facts, 1.2).
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

/// `fileState` (Genesys facts, 1.4).
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

    /// As Genesys writes it.
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

    /// Whether there is media to play.
    pub(super) fn playable(self) -> bool {
        matches!(self, Self::Available | Self::Restored)
    }
}

/// The body of a 202: declared as a `Recording`, in the field often less (Genesys facts, 1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TranscodingBody {
    /// No byte.
    Empty,
    /// `null`.
    Null,
    /// A `Recording` without `mediaUris`.
    Stub,
}

fn default_start() -> Timestamp {
    Timestamp::constant(1_768_472_060, 14_000_000) // 2026-01-15T10:14:20.014Z
}
