//! The events that Amazon EventBridge delivers when part of a conversation is over (docs/genesys.md, "Events").

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::answer::time;

/// Which end an event tells of. All of them come once per session of a participant: several of each
/// for one conversation are normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the topics")]
pub enum Topic {
    CustomerEnd,
    UserEnd,
    AcdEnd,
    FlowEnd,
}

impl Topic {
    fn as_str(self) -> &'static str {
        match self {
            Self::CustomerEnd => "customer.end",
            Self::UserEnd => "user.end",
            Self::AcdEnd => "acd.end",
            Self::FlowEnd => "flow.end",
        }
    }

    /// Returns the fields of its body beyond those that all of them share.
    fn own_fields(self) -> Value {
        match self {
            Self::CustomerEnd => json!({ "interactingDurationMs": 369_505 }),
            Self::UserEnd => json!({
                "userId": Uuid::new_v4().to_string(),
                "queueId": Uuid::new_v4().to_string(),
                "interactingDurationMs": 369_505,
                "heldDurationMs": 0,
                "alertingDurationMs": 4_100,
            }),
            Self::AcdEnd => json!({
                "acdOutcome": "ANSWERED",
                "queueId": Uuid::new_v4().to_string(),
                "answeredUserId": Uuid::new_v4().to_string(),
                "connectedDurationMs": 12_000,
            }),
            Self::FlowEnd => json!({
                "flowType": "INBOUNDCALL",
                "flowId": Uuid::new_v4().to_string(),
                "flowVersion": "1.0",
                "exitReason": "TRANSFER",
                "connectedDurationMs": 8_000,
            }),
        }
    }
}

/// Returns an event about a voice conversation, with ids of its own; any field may be missing in the field, so
/// change it at will. Its `time` has whole seconds; with milliseconds it was seen, too.
pub fn event(topic: Topic, conversation_id: &str, at: Timestamp) -> Value {
    let topic_name = |id: &str| format!("v2.detail.events.conversation.{id}.{}", topic.as_str());
    let mut body = json!({
        "eventTime": at.as_millisecond(),
        "conversationId": conversation_id,
        "participantId": Uuid::new_v4().to_string(),
        "sessionId": Uuid::new_v4().to_string(),
        "disconnectType": "ENDPOINT",
        "mediaType": "VOICE",
        "provider": "Edge",
        "direction": "INBOUND",
        "ani": "tel:+15555550100",
        "dnis": "tel:+15555550199",
        "conversationExternalContactIds": [],
    });
    if let (Value::Object(body), Value::Object(own)) = (&mut body, topic.own_fields()) {
        body.extend(own);
    }
    json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": topic_name("{id}"), // the template itself
        "source": "aws.partner/genesys.com/cloud/11111111-2222-4333-8444-555555555555/call-archive",
        "account": "123456789012",
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": "eu-central-1",
        "resources": [],
        "detail": {
            "topicName": topic_name(conversation_id),
            "version": "2",
            "eventBody": body,
            "metadata": { "CorrelationId": Uuid::new_v4().to_string() },
            "timestamp": time(at),
        },
    })
}

/// Returns the topics of an organisation, with the ways on which each is delivered. The spelling of the latter is not
/// verified.
pub(super) fn default_topics() -> Vec<(String, Vec<String>)> {
    let all = ["All", "Websocket", "EventBridge", "ProcessAutomation"];
    let user = ["Websocket"];
    [
        ("v2.detail.events.conversation.{id}.customer.end", &all[1..]),
        ("v2.detail.events.conversation.{id}.user.end", &all[1..]),
        ("v2.detail.events.conversation.{id}.acd.end", &all[1..]),
        ("v2.audits.entitytype.{id}.entityid.{id}", &all[2..3]),
        ("v2.users.{id}.conversations.{id}.recordings", &user[..]),
    ]
    .map(|(id, transports)| {
        (
            id.to_owned(),
            transports.iter().map(|&name| name.to_owned()).collect(),
        )
    })
    .into()
}
