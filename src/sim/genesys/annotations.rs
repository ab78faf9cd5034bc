//! Annotations of a recording: nested where pauses overlap, at negative offsets where
//! a hold began before the recording, and with ids that are good for nothing.

use serde_json::{Value, json};
use uuid::Uuid;

/// The kind of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A pause, with its `reason`: `Hold`, `SecurePause`, `FlowOrQueue` or `Pause`. All pauses of a recording share an
    /// id.
    Pause(&'static str),
    /// A hold, which has no reason. Its id is another one in each answer.
    Hold,
    /// A note at a place. The spelling of the type is not verified.
    Bookmark(&'static str),
}

/// A marked stretch of a recording.
#[derive(Debug, Clone)]
pub struct Annotation {
    /// The kind of mark.
    pub mark: Mark,
    /// Where it begins, in milliseconds from the start of the file; negative: before it.
    pub location: i64,
    /// Its duration in milliseconds.
    pub duration: i64,
    /// The annotations that were merged into it.
    pub nested: Vec<Self>,
}

impl Annotation {
    /// Returns a stretch without others in it.
    pub fn new(mark: Mark, location: i64, duration: i64) -> Self {
        Self {
            mark,
            location,
            duration,
            nested: Vec::new(),
        }
    }

    /// Merges these into it.
    #[must_use]
    pub fn nested(mut self, nested: impl IntoIterator<Item = Self>) -> Self {
        self.nested.extend(nested);
        self
    }

    pub(super) fn is_system(&self) -> bool {
        !matches!(self.mark, Mark::Bookmark(_))
    }

    pub(super) fn body(&self, recording: &str) -> Value {
        let own = |name: &str| Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{name} {recording}").as_bytes());
        let (kind, id) = match self.mark {
            Mark::Pause(_) => ("Pause", own("pauses")),
            Mark::Hold => ("Hold", Uuid::new_v4()),
            Mark::Bookmark(_) => ("Bookmark", own(&format!("bookmark {}", self.location))),
        };
        let mut body = json!({
            "id": id.to_string(),
            "type": kind,
            "location": self.location,
            "durationMs": self.duration,
            "absoluteLocation": self.location,
            "absoluteDurationMs": self.duration,
            "recordingLocation": self.location,
            "recordingDurationMs": self.duration,
            "realtimeLocation": self.location,
            "description": "",
            "annotations": self.nested.iter().map(|nested| nested.body(recording)).collect::<Vec<_>>(),
        });
        match self.mark {
            Mark::Pause(reason) => body["reason"] = reason.into(),
            Mark::Hold => {}
            Mark::Bookmark(text) => body["description"] = text.into(),
        }
        body
    }
}
