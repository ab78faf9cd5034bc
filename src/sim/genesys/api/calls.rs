//! A conversation beside its recordings: who took part, and whether after-call work is done.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sim::genesys::answer::{ApiError, time};
use crate::sim::genesys::conversation::Conversation;
use crate::sim::genesys::state::{Shared, known, lock};

/// A code for how a call ended, as an agent chose it.
pub(super) const WRAP_UP_CODE: &str = "a0000000-0000-4000-8000-0000000000f1";
/// The agent of every call.
pub(super) const AGENT: &str = "a0000000-0000-4000-8000-0000000000a1";

/// Answers `GET /conversations/{id}`.
pub(super) async fn conversation(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let mut state = lock(&shared);
    state.permissions.any(&["conversation:communication:view"])?;
    let conversation = known(&mut state, &id)?;
    let mut body = json!({
        "id": id,
        "startTime": time(conversation.start),
        "participants": [customer(conversation), agent(conversation)],
        "divisions": [{"division": {"id": conversation.division, "name": "Home"}, "entities": []}],
        "recordingState": if conversation.end.is_some() { "NONE" } else { "ACTIVE" },
        "securePause": false,
        "selfUri": format!("/api/v2/conversations/{id}"),
    });
    if let Some(end) = conversation.end {
        body["endTime"] = json!(time(end));
    }
    Ok(Json(body).into_response())
}

/// Returns an id that belongs to this part of the conversation, the same each time.
pub(super) fn part(conversation: &Conversation, name: &str) -> String {
    let name = format!("{name} {}", conversation.id);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}

fn customer(conversation: &Conversation) -> Value {
    let mut participant = json!({
        "id": part(conversation, "participant"),
        "purpose": "customer",
        "startTime": time(conversation.start),
        "connectedTime": time(conversation.start),
        "ani": "tel:+15555550100",
        "dnis": "tel:+15555550199",
        "calls": calls(conversation, ["session", "agent session"]),
    });
    if let Some(end) = conversation.talk_end() {
        participant["endTime"] = json!(time(end));
    }
    participant
}

fn agent(conversation: &Conversation) -> Value {
    let mut participant = json!({
        "id": part(conversation, "agent"),
        "purpose": "agent",
        "userId": AGENT,
        "startTime": time(conversation.start),
        "connectedTime": time(conversation.start),
        "wrapupRequired": true,
        "calls": calls(conversation, ["agent session", "session"]),
    });
    if let Some(queue) = &conversation.queue {
        participant["queueId"] = json!(queue);
    }
    if let (Some(talk_end), Some(end)) = (conversation.talk_end(), conversation.end) {
        participant["endTime"] = json!(time(talk_end));
        participant["startAcwTime"] = json!(time(talk_end));
        if !conversation.acw_open {
            participant["endAcwTime"] = json!(time(end));
            participant["wrapup"] = json!({
                "code": WRAP_UP_CODE,
                "name": "Done",
                "durationSeconds": end.duration_since(talk_end).as_secs(),
                "endTime": time(end),
                "provisional": false,
            });
        }
    }
    participant
}

/// Returns the call of a participant: `names` are those of its own session and of the one at the other end.
fn calls(conversation: &Conversation, names: [&str; 2]) -> Value {
    if conversation.media_type != "voice" {
        return json!([]);
    }
    let [id, peer] = names.map(|name| part(conversation, name));
    let mut call = json!({
        "id": id,
        "peerId": peer,
        "state": if conversation.end.is_some() { "terminated" } else { "connected" },
        "direction": conversation.direction,
        "recording": conversation.is_marked(),
        "recordingState": "none",
        "connectedTime": time(conversation.start),
        "provider": "Edge",
    });
    if let Some(end) = conversation.talk_end() {
        call["disconnectedTime"] = json!(time(end));
        call["disconnectType"] = json!("peer");
    }
    json!([call])
}
