//! Recordings outside any conversation: among others those whose conversation never
//! ended, as an agent left after-call work open.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::time;
use super::model::{Kind, default_start};

/// A recording without a conversation, or whose conversation is not complete.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// Its UUID.
    pub id: String,
    /// The conversation that it belongs to, where that is known.
    pub conversation: Option<String>,
    /// The kind of recording: a call or a screen.
    pub kind: Kind,
    /// `orphanStatus`, such as `CONVERSATION_NOT_COMPLETE`.
    pub status: &'static str,
    /// When it was made.
    pub created: Timestamp,
}

impl Orphan {
    /// Returns the recording of a call whose conversation never ended.
    pub fn of(conversation: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            conversation: Some(conversation.into()),
            kind: Kind::Audio,
            status: "CONVERSATION_NOT_COMPLETE",
            created: default_start(),
        }
    }

    /// Returns the recording of a call that nobody knows of.
    pub fn unknown(id: impl Into<String>) -> Self {
        Self {
            conversation: None,
            status: "NO_CONVERSATION",
            ..Self::of("", id)
        }
    }

    pub(super) fn body(&self) -> Value {
        let media = match self.kind {
            Kind::Screen => "SCREEN",
            _ => "CALL",
        };
        let mut body = json!({
            "id": self.id,
            "createdTime": time(self.created),
            "recoveredTime": time(self.created),
            "providerType": if self.kind == Kind::Screen { "SCREEN_RECORDING" } else { "EDGE" },
            "mediaSizeBytes": 2_400_123,
            "mediaType": media,
            "mediaSubtype": if self.kind == Kind::Screen { "Screen" } else { "Trunk" },
            "fileState": "AVAILABLE",
            "orphanStatus": self.status,
            "region": "eu-central-1",
            "selfUri": format!("/api/v2/orphanrecordings/{}", self.id),
        });
        if let Some(conversation) = &self.conversation {
            body["recording"] = json!({
                "id": self.id,
                "conversationId": conversation,
                "media": if self.kind == Kind::Screen { "screen" } else { "audio" },
                "selfUri": format!("/api/v2/conversations/{conversation}/recordings/{}", self.id),
            });
        }
        body
    }
}
