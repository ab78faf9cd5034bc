//! The permissions of the OAuth client's role. Everything, unless a test takes a permission away.

use std::collections::BTreeSet;

use axum::http::StatusCode;

use super::answer::ApiError;
use super::model::Kind;
use super::recording::Recording;

/// Any of these permits asking for recordings.
pub(super) const RECORDINGS: [&str; 4] = [
    "recording:recording:view",
    "recording:recordingSegment:view",
    "recording:snippetRecording:view",
    "recording:screenRecording:view",
];

/// Any of these permits asking analytics for conversations.
pub(super) const DETAILS: [&str; 1] = ["analytics:conversationDetail:view"];

/// The permissions that the role lacks.
#[derive(Debug, Default)]
pub(super) struct Permissions {
    lacking: BTreeSet<String>,
}

impl Permissions {
    pub(super) fn set(&mut self, permission: &str, lacking: bool) {
        if lacking {
            self.lacking.insert(permission.to_owned());
        } else {
            self.lacking.remove(permission);
        }
    }

    fn has(&self, permission: &str) -> bool {
        !self.lacking.contains(permission)
    }

    /// Refuses with 403 unless the role has one of `permissions`.
    pub(super) fn any(&self, permissions: &[&str]) -> Result<(), ApiError> {
        if permissions.iter().any(|permission| self.has(permission)) {
            return Ok(());
        }
        let code = match permissions {
            [_] => "missing.permissions",
            _ => "missing.any.permissions",
        };
        let message = format!(
            "Unable to perform the requested action. You are missing the following permission(s): {}",
            permissions.join(", ")
        );
        Err(ApiError::new(StatusCode::FORBIDDEN, code, message))
    }

    /// Returns whether the role lets this recording show. To leave out one of a kind that is not permitted, without a
    /// word, is the worst case: which way Genesys takes is not verified.
    pub(super) fn show(&self, recording: &Recording) -> bool {
        match (recording.kind, recording.subtype.as_str()) {
            (Kind::Screen, _) => self.has("recording:screenRecording:view"),
            (_, "Snippet") => self.has("recording:snippetRecording:view"),
            _ => self.has(RECORDINGS[0]) || self.has(RECORDINGS[1]),
        }
    }
}
