//! Recordings as a test describes them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::annotations::Annotation;
use super::format::Format;
use super::media::Media;
use super::model::{FileState, Kind, TranscodingBody, default_start};

/// The key of the merged file in `mediaUris`: field knowledge, not official text (docs/genesys.md, "Media").
pub(super) const MERGED: &str = "S";

/// One recording of a conversation.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its UUID.
    pub id: String,
    /// The kind of recording.
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
    /// Number of looks at the list of recordings that do not show it.
    pub appears_after: usize,
    /// Number of requests for its media, in each format anew, that are answered 202; `None`: as many as the world says
    /// ([`set_transcoding`](super::Genesys::set_transcoding)).
    pub transcoding: Option<usize>,
    /// The body of those answers.
    pub transcoding_body: TranscodingBody,
    /// `Retry-After` of those answers, in seconds; undocumented, so absent at first.
    pub transcoding_retry_after: Option<u64>,
    /// True where answers hold size and duration of the transcoded file. The one real answer that is known does not.
    pub figures: bool,
    /// The marks in it.
    pub annotations: Vec<Annotation>,
    /// When it began.
    pub start: Timestamp,
    /// Its duration; `None`: that of the first WAV, else a little over six minutes.
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
    /// Returns the recording of a call, one file per channel.
    pub fn audio(id: impl Into<String>, channels: impl IntoIterator<Item = Media>) -> Self {
        Self::new(id, Kind::Audio, "Trunk", channels)
    }

    /// Returns a part of a call that an agent recorded on demand.
    pub fn snippet(id: impl Into<String>, media: Media) -> Self {
        Self::new(id, Kind::Audio, "Snippet", [media])
    }

    /// Returns the recording of a screen.
    pub fn screen(id: impl Into<String>, media: Media) -> Self {
        Self::new(id, Kind::Screen, "Screen", [media])
    }

    /// Returns the recording of a screen in several files, one after the other.
    pub fn screen_parts(id: impl Into<String>, parts: impl IntoIterator<Item = Media>) -> Self {
        Self::new(id, Kind::Screen, "Screen", parts)
    }

    /// Returns a chat, an e-mail or a message conversation.
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
            transcoding: None,
            transcoding_body: TranscodingBody::Empty,
            transcoding_retry_after: None,
            figures: false,
            annotations: Vec::new(),
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

    /// Sets the file for `download=true`.
    #[must_use]
    pub fn merged(mut self, media: Media) -> Self {
        self.merged = Some(media);
        self
    }

    /// Sets the state.
    #[must_use]
    pub fn state(mut self, state: FileState) -> Self {
        self.state = state;
        self
    }

    /// Changes the state after `looks` looks at its metadata.
    #[must_use]
    pub fn then_after(mut self, looks: usize, state: FileState) -> Self {
        self.then = Some((looks, state));
        self
    }

    /// Hides it from the first `looks` looks at the list: recordings can turn up one after another.
    #[must_use]
    pub fn appears_after(mut self, looks: usize) -> Self {
        self.appears_after = looks;
        self
    }

    /// Answers the first `answers` requests for its media, in each format, with 202 and this body.
    #[must_use]
    pub fn transcoding(mut self, answers: usize, body: TranscodingBody) -> Self {
        self.transcoding = Some(answers);
        self.transcoding_body = body;
        self
    }

    /// Answers tell size and duration of what was transcoded.
    #[must_use]
    pub fn with_figures(mut self) -> Self {
        self.figures = true;
        self
    }

    /// Adds these marks.
    #[must_use]
    pub fn annotated(mut self, annotations: impl IntoIterator<Item = Annotation>) -> Self {
        self.annotations.extend(annotations);
        self
    }

    /// Sets a field of its `Recording`.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Removes a field from its `Recording`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.insert(name.to_owned(), None);
        self
    }

    /// Sets a field of its `RecordingMetadata`.
    #[must_use]
    pub fn metadata_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.metadata_fields.insert(name.to_owned(), Some(value.into()));
        self
    }

    /// Removes a field from its `RecordingMetadata`.
    #[must_use]
    pub fn metadata_without(mut self, name: &str) -> Self {
        self.metadata_fields.insert(name.to_owned(), None);
        self
    }

    /// Returns the file under a key of `mediaUris`: `"S"` or a channel number.
    pub(super) fn media(&self, key: &str) -> Option<&Media> {
        if key == MERGED {
            return self.merged.as_ref().or_else(|| self.channels.first());
        }
        self.channels.get(key.parse::<usize>().ok()?)
    }

    /// Returns the keys of its files in `mediaUris`. A download of a call is one file; a screen may still have several.
    pub(super) fn keys(&self, download: bool) -> Vec<String> {
        let several = self.kind == Kind::Screen && self.channels.len() > 1;
        if download && !several {
            return vec![MERGED.to_owned()];
        }
        (0..self.channels.len())
            .map(|number| number.to_string())
            .collect()
    }

    pub(super) fn is_snippet(&self) -> bool {
        self.subtype == "Snippet"
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
