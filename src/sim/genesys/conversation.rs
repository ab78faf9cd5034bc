//! Conversations as a test describes them.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::model::{Kind, default_start};
use super::recording::Recording;

/// A conversation with its recordings.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Its UUID.
    pub id: String,
    /// When the first participant joined.
    pub start: Timestamp,
    /// When the last participant left; `None` while it goes on.
    pub end: Option<Timestamp>,
    /// The kind of recording.
    pub recordings: Vec<Recording>,
    /// Number of looks at the list of recordings that say `[]`, whatever was recorded.
    pub empty_lists: usize,
    /// The code of the 403 that every question about the conversation meets.
    pub denied: Option<String>,
    /// Its `originatingDirection`, and its sessions': `inbound` or `outbound`.
    pub direction: &'static str,
    /// `mediaType` of its sessions.
    pub media_type: &'static str,
    /// Id of the queue that it went through.
    pub queue: Option<String>,
    /// Id of its division.
    pub division: String,
    /// The answer of analytics whether a call was recorded; `None`: yes if there is such a recording.
    pub marked: Option<bool>,
    /// The same for a screen.
    pub screen_marked: Option<bool>,
    /// The same for a snippet, which an agent records on demand.
    pub snippet_marked: Option<bool>,
    /// `participants` of its details; `None`: a customer and an agent.
    pub participants: Option<Value>,
    /// The agent has not finished after-call work: there is no wrap-up yet, and analytics knows no end.
    pub acw_open: bool,
    /// Number of requests for its details that find it unknown to analytics.
    pub details_absent_for: usize,
    /// Number of further ones that find its end unknown to analytics.
    pub details_open_for: usize,
    /// Looks at the list so far.
    pub(super) looks: usize,
    /// Requests for its details so far.
    pub(super) details_looks: usize,
}

impl Conversation {
    /// Returns a conversation that has ended, with no recording yet.
    pub fn new(id: impl Into<String>) -> Self {
        let start = default_start();
        Self {
            id: id.into(),
            start,
            end: Some(start + SignedDuration::from_secs(400)),
            recordings: Vec::new(),
            empty_lists: 0,
            denied: None,
            direction: "inbound",
            media_type: "voice",
            queue: None,
            division: "d0000000-0000-4000-8000-000000000001".to_owned(),
            marked: None,
            screen_marked: None,
            snippet_marked: None,
            participants: None,
            acw_open: false,
            details_absent_for: 0,
            details_open_for: 0,
            looks: 0,
            details_looks: 0,
        }
    }

    /// Sets the start, and the end so much later.
    #[must_use]
    pub fn lasting(mut self, start: Timestamp, duration: SignedDuration) -> Self {
        self.start = start;
        self.end = Some(start + duration);
        self
    }

    /// Adds a recording.
    #[must_use]
    pub fn recording(mut self, recording: Recording) -> Self {
        self.recordings.push(recording);
        self
    }

    /// Empties the list of recordings for the first `looks` looks.
    #[must_use]
    pub fn empty_for(mut self, looks: usize) -> Self {
        self.empty_lists = looks;
        self
    }

    /// Answers every question about it with 403.
    #[must_use]
    pub fn denied(mut self) -> Self {
        self.denied = Some("missing.any.permissions".to_owned());
        self
    }

    /// Removes the end: the conversation goes on.
    #[must_use]
    pub fn ongoing(mut self) -> Self {
        self.end = None;
        self
    }

    /// Leaves after-call work open.
    #[must_use]
    pub fn acw_open(mut self) -> Self {
        self.acw_open = true;
        self
    }

    /// Hides it from analytics at the first `absent` requests for its details, and its end at the next `open` ones.
    #[must_use]
    pub fn details_lag(mut self, absent: usize, open: usize) -> Self {
        (self.details_absent_for, self.details_open_for) = (absent, open);
        self
    }

    /// Returns when the talk was over; the rest, a tenth, is after-call work.
    pub(super) fn talk_end(&self) -> Option<Timestamp> {
        let end = self.end?;
        Some(end - end.duration_since(self.start) / 10)
    }

    /// Returns whether analytics says that a call's recording was started.
    pub(super) fn is_marked(&self) -> bool {
        self.marked.unwrap_or_else(|| self.calls() > 0)
    }

    /// Returns the number of recordings of calls.
    pub(super) fn calls(&self) -> usize {
        let calls = self.recordings.iter();
        calls
            .filter(|recording| recording.kind == Kind::Audio && !recording.is_snippet())
            .count()
    }

    pub(super) fn is_screen_marked(&self) -> bool {
        self.screen_marked
            .unwrap_or_else(|| self.has(|recording| recording.kind == Kind::Screen))
    }

    pub(super) fn is_snippet_marked(&self) -> bool {
        self.snippet_marked
            .unwrap_or_else(|| self.has(Recording::is_snippet))
    }

    fn has(&self, wanted: impl Fn(&Recording) -> bool) -> bool {
        self.recordings.iter().any(wanted)
    }

    /// Returns the recordings that show by now.
    pub(super) fn visible(&mut self) -> impl Iterator<Item = &mut Recording> {
        let (looks, empty) = (self.looks, self.empty_lists);
        self.recordings.iter_mut().filter(move |recording| {
            let hidden = recording.appears_after.max(empty);
            hidden == 0 || looks > hidden
        })
    }

    /// Returns the recording of this id, if it shows by now.
    pub(super) fn find(&mut self, recording_id: &str) -> Option<&mut Recording> {
        self.visible().find(|recording| recording.id == recording_id)
    }
}
