//! The details of a conversation from analytics: in lists, and for those that are
//! named. It knows no end while after-call work is open, and lags behind.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::calls::{AGENT, WRAP_UP_CODE, part};
use crate::sim::genesys::answer::{ApiError, time};
use crate::sim::genesys::conversation::Conversation;
use crate::sim::genesys::permissions::DETAILS;
use crate::sim::genesys::state::{Shared, lock};

type Answer = Result<Response, ApiError>;

/// Answers `GET /analytics/conversations/details?id=a,b`: those that analytics does not know are left out.
pub(super) async fn several(
    State(shared): State<Shared>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Answer {
    let ids = parameters.iter().filter(|(name, _)| name == "id");
    let ids: Vec<_> = ids.flat_map(|(_, ids)| ids.split(',')).collect();
    let mut state = lock(&shared);
    state.permissions.any(&DETAILS)?;
    if ids.is_empty() || ids.len() > state.analytics.most_ids {
        return Err(ApiError::bad_value("id"));
    }
    let found = ids
        .iter()
        .filter_map(|id| looked_at(state.conversations.get_mut(*id)?));
    let found: Vec<_> = found.collect();
    Ok(Json(json!({ "conversations": found })).into_response())
}

/// Answers `GET /analytics/conversations/{id}/details`.
pub(super) async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut state = lock(&shared);
    state.permissions.any(&DETAILS)?;
    let found = state.conversations.get_mut(&id).and_then(looked_at);
    let found = found.ok_or_else(|| ApiError::not_found(&format!("The conversation [{id}]")))?;
    Ok(Json(found).into_response())
}

/// Returns the details as far as analytics got; one more look at them.
fn looked_at(conversation: &mut Conversation) -> Option<Value> {
    let looks = conversation.details_looks;
    conversation.details_looks += 1;
    if looks < conversation.details_absent_for {
        return None;
    }
    let ended = looks >= conversation.details_absent_for + conversation.details_open_for;
    let mut details = details(conversation, ended);
    // `AnalyticsConversationWithoutAttributes`: only the jobs give attributes of participants.
    let participants = details["participants"].as_array_mut();
    for participant in participants
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        participant.remove("attributes");
    }
    Some(details)
}

/// Returns one entry of a list, as far as an archiver looks at it.
pub(super) fn listed(conversation: &Conversation) -> Value {
    details(conversation, true)
}

fn details(conversation: &Conversation, ended: bool) -> Value {
    let mut details = json!({
        "conversationId": conversation.id,
        "conversationStart": time(conversation.start),
        "divisionIds": [conversation.division],
        "originatingDirection": conversation.direction,
        "participants": [customer(conversation, ended), agent(conversation, ended)],
    });
    if let Some(participants) = &conversation.participants {
        details["participants"] = participants.clone();
    }
    if let Some(end) = conversation.end.filter(|_| ended && !conversation.acw_open) {
        details["conversationEnd"] = time(end).into();
    }
    details
}

/// Returns the customer's participant. Each recording of a call is one of a connection of its own.
fn customer(conversation: &Conversation, ended: bool) -> Value {
    let first = session(conversation, ["session", "agent session"], ended);
    let others = (1..conversation.calls()).map(|number| {
        let names = ["session", "agent session"].map(|name| format!("{name} {number}"));
        session(conversation, names.each_ref().map(String::as_str), ended)
    });
    let sessions: Vec<_> = std::iter::once(first).chain(others).collect();
    json!({"participantId": part(conversation, "participant"), "purpose": "customer", "sessions": sessions})
}

/// Returns the agent's participant. Screens are recorded of participants, calls and snippets on sessions.
fn agent(conversation: &Conversation, ended: bool) -> Value {
    let mut session = session(conversation, ["agent session", "session"], ended);
    session["recording"] = false.into();
    session["snippetRecording"] = conversation.is_snippet_marked().into();
    if let (Some(from), Some(to)) = (conversation.talk_end(), conversation.end.filter(|_| ended)) {
        let mut acw = json!({"segmentType": "wrapup", "segmentStart": time(from), "conference": false});
        if !conversation.acw_open {
            acw["segmentEnd"] = time(to).into();
            acw["wrapUpCode"] = WRAP_UP_CODE.into();
        }
        if let Some(segments) = session["segments"].as_array_mut() {
            segments.push(acw);
        }
    }
    json!({
        "participantId": part(conversation, "agent"),
        "participantName": "Agent One",
        "purpose": "agent",
        "userId": AGENT,
        "screenRecording": conversation.is_screen_marked(),
        "sessions": [session],
    })
}

/// Returns the session of a participant: `names` are those of its own and of the one at the other end.
fn session(conversation: &Conversation, names: [&str; 2], ended: bool) -> Value {
    let [id, peer] = names.map(|name| part(conversation, name));
    let mut segment =
        json!({"segmentType": "interact", "segmentStart": time(conversation.start), "conference": false});
    if let Some(queue) = &conversation.queue {
        segment["queueId"] = queue.as_str().into();
    }
    if let Some(end) = conversation.talk_end().filter(|_| ended) {
        segment["segmentEnd"] = time(end).into();
    }
    json!({
        "sessionId": id,
        "peerId": peer,
        "mediaType": conversation.media_type,
        "direction": conversation.direction,
        "ani": "tel:+15555550100",
        "recording": conversation.is_marked(),
        "segments": [segment],
    })
}
