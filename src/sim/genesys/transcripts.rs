//! Chats, e-mails and messages as a `Recording` carries them when no file is asked for:
//! then there is nothing to download.

use serde_json::{Value, json};

use super::answer::time;
use super::model::Kind;
use super::recording::Recording;

/// Returns the name of the field and its content.
pub(super) fn inline(recording: &Recording) -> Option<(&'static str, Value)> {
    let (id, at) = (&recording.id, time(recording.start));
    match recording.kind {
        Kind::Audio | Kind::Screen => None,
        Kind::Chat => Some((
            "transcript",
            json!([{"id": id, "from": "customer", "to": "agent", "utc": at, "body": "Hello", "bodyType": "STANDARD"}]),
        )),
        Kind::Email => Some((
            "emailTranscript",
            json!([{"id": id, "from": {"email": "customer@example.com", "name": "Customer"},
                    "to": [{"email": "agent@example.com", "name": "Agent"}],
                    "subject": "Hello", "textBody": "Hello", "time": at}]),
        )),
        Kind::Message => Some((
            "messagingTranscript",
            json!([{"id": id, "from": "customer", "to": "agent", "timestamp": at, "purpose": "customer",
                    "messageText": "Hello"}]),
        )),
    }
}
