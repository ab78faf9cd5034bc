//! Trigger JSON to jobs. Pure: told apart by shape, each fault named, nothing asked of anyone.

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use tracing::Span;

use super::kept::is_topic;
use crate::config::Config;
use crate::domain::format::MediaKind;
use crate::domain::job::Job;
use crate::domain::recording::ConversationId;
use crate::error::{Error, ErrorKind};

/// What an invocation's payload is.
#[derive(Debug)]
pub enum Trigger {
    /// A batch of SQS messages; each may be fit or not.
    Sqs(Vec<SqsMessage>),
    /// A Genesys event, straight from EventBridge.
    EventBridge(Value),
    /// A job.
    Direct(Value),
}

/// What a job or an event asks for.
#[derive(Debug)]
pub enum Request {
    /// To archive something.
    Archive {
        /// What.
        job: Job,
        /// The id of the EventBridge event that asks.
        event_id: Option<String>,
    },
    /// Nothing: not the end of a conversation, or not of a wanted kind.
    Nothing {
        /// Why.
        why: String,
    },
}

impl Request {
    /// Returns the span of the log lines about this request, which may have come in a message.
    pub(super) fn span(&self, message_id: Option<&str>) -> Span {
        match self {
            Self::Archive { job, .. } => {
                tracing::error_span!("message", message_id, interaction_id = %job.conversation)
            }
            Self::Nothing { .. } => tracing::error_span!("message", message_id),
        }
    }
}

/// Tells the sources apart by shape.
pub fn trigger(payload: Value) -> Result<Trigger, Error> {
    if payload.get("detail-type").is_some() {
        return Ok(Trigger::EventBridge(payload));
    }
    let Some(records) = payload.get("Records") else {
        return Ok(Trigger::Direct(payload));
    };
    let malformed = |message: String| Error::new(ErrorKind::MalformedJob, message);
    let records = records
        .as_array()
        .ok_or_else(|| malformed("the event's Records is not an array".into()))?;
    let messages = records.iter().map(|record| {
        // Each message by itself, so that an odd one does not take the batch down.
        let message = SqsMessage::deserialize(record).unwrap_or_default();
        match record.get("eventSource").and_then(Value::as_str) {
            None | Some("aws:sqs") => Ok(message),
            Some(other) => Err(malformed(format!(
                "the event's records come from {}; accepted: aws:sqs",
                crate::redact::quote(other)
            ))),
        }
    });
    Ok(Trigger::Sqs(messages.collect::<Result<_, _>>()?))
}

/// Reads the body of an SQS message: a job, or a whole EventBridge event.
pub fn from_body(body: Option<&str>, config: &Config) -> Result<Request, Error> {
    let malformed = |message: String| Error::new(ErrorKind::MalformedJob, message);
    let body = body.ok_or_else(|| malformed("the message has no body".into()))?;
    let value: Value = serde_json::from_str(body).map_err(|error| {
        malformed(format!(
            "the message body is not JSON ({error}); accepted: a job or an EventBridge event"
        ))
    })?;
    if value.get("detail-type").is_some() {
        from_event(&value, config)
    } else {
        from_job(&value, config)
    }
}

/// Reads a job.
pub fn from_job(value: &Value, config: &Config) -> Result<Request, Error> {
    Ok(Request::Archive {
        job: Job::parse(value, config.genesys.api)?,
        event_id: None,
    })
}

/// Reads a Genesys event, as EventBridge sends it or as the rule's target transforms it. Only the three "end" topics ask
/// for something, and only where the kind of conversation can have a wanted recording.
///
/// No error repeats a value of the event: any of them may be somebody's name or number.
pub fn from_event(value: &Value, config: &Config) -> Result<Request, Error> {
    let malformed = |message: &str| {
        Error::new(
            ErrorKind::MalformedJob,
            format!("the EventBridge event {message}"),
        )
    };
    let detail_type = &value["detail-type"];
    let Some(kind) = detail_type.as_str() else {
        return Err(malformed("is malformed: its detail-type is not text"));
    };
    let Some(detail) = value.get("detail") else {
        return Err(malformed("is malformed: missing field `detail`"));
    };
    if !is_conversation_end(kind) {
        let shown = if is_topic(detail_type) {
            kind
        } else {
            "(not shown)"
        };
        let why = format!("the detail-type {shown} is not the end of a conversation");
        return Ok(Request::Nothing { why });
    }
    let body = &detail["eventBody"];
    let media_type = given(&body["mediaType"]).unwrap_or("UNKNOWN");
    if !may_have_wanted(media_type, &config.recording.media) {
        let why = format!("RECORDING_MEDIA names nothing that a conversation of type {media_type} has");
        return Ok(Request::Nothing { why });
    }
    let id = given(&body["conversationId"]).or_else(|| given(&detail["topicName"]).and_then(id_in_topic));
    let id = id.ok_or_else(|| {
        malformed(
            "names no conversation: neither detail.eventBody.conversationId nor detail.topicName holds an id",
        )
    })?;
    let conversation = ConversationId::parse(id).map_err(|_| {
        malformed("has a conversationId that must be a UUID such as c0000000-0000-4000-8000-000000000001, and is not")
    })?;
    let mut job = Job::new(conversation);
    job.first_seen = ended_at(detail, value);
    Ok(Request::Archive {
        job,
        event_id: given(&value["id"]).map(str::to_owned),
    })
}

/// Returns the text of a field. What a target's transformer may make of a field that is not there counts as none: nothing, the
/// word null, or the name of its variable.
fn given(value: &Value) -> Option<&str> {
    value
        .as_str()
        .filter(|text| !text.is_empty() && *text != "null" && !text.starts_with('<'))
}

/// `detail-type` is the topic's template with a literal `{id}`; the real id stands in `detail.topicName`.
fn is_conversation_end(detail_type: &str) -> bool {
    let Some(rest) = detail_type.strip_prefix("v2.detail.events.conversation.") else {
        return false;
    };
    let Some((_id, event)) = rest.split_once('.') else {
        return false;
    };
    matches!(event, "customer.end" | "user.end" | "acd.end")
}

fn id_in_topic(topic: &str) -> Option<&str> {
    topic
        .strip_prefix("v2.detail.events.conversation.")?
        .split('.')
        .next()
}

/// Whether a conversation of this `mediaType` can have a recording of a wanted kind. Screens are recorded with
/// conversations of every type, and a type that is not known may have anything.
fn may_have_wanted(media_type: &str, wanted: &[MediaKind]) -> bool {
    let kind = match media_type {
        "VOICE" | "CALLBACK" => MediaKind::Audio,
        "CHAT" => MediaKind::Chat,
        "EMAIL" => MediaKind::Email,
        "MESSAGE" | "INTERNALMESSAGE" => MediaKind::Message,
        "COBROWSE" | "VIDEO" | "SCREENSHARE" | "SCREENMONITORING" => MediaKind::Screen,
        _ => return true,
    };
    wanted.contains(&kind) || wanted.contains(&MediaKind::Screen)
}

/// When the session ended: the event's own time, else when Genesys or EventBridge sent it.
fn ended_at(detail: &Value, event: &Value) -> Option<Timestamp> {
    let time = &detail["eventBody"]["eventTime"];
    // A target's transformer may have quoted the number.
    let ms = time.as_i64().or_else(|| time.as_str()?.parse().ok());
    let by_genesys = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let text = |value: &Value| value.as_str()?.parse().ok();
    by_genesys
        .or_else(|| text(&detail["timestamp"]))
        .or_else(|| text(&event["time"]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: &str = "c0000000-0000-4000-8000-000000000001";

    fn config(media: &'static str) -> Config {
        Config::from_lookup(move |name| {
            let value = match name {
                "RECORDING_MEDIA" => media,
                "AUDIT_TABLE_NAME" => "audit",
                "LEDGER_TABLE_NAME" => "ledger",
                "GENESYS_SECRET_ID" | "S3_BUCKET_NAME" => "name",
                _ => return None,
            };
            Some(value.to_owned())
        })
        .unwrap()
    }

    fn event(detail_type: &str, body: Value) -> Value {
        json!({"id": "6f0c", "detail-type": detail_type, "source": "aws.partner/genesys.com/cloud/o/s",
               "time": "2026-01-15T10:20:31Z",
               "detail": {"topicName": format!("v2.detail.events.conversation.{ID}.customer.end"), "eventBody": body}})
    }

    const END: &str = "v2.detail.events.conversation.{id}.customer.end";

    #[test]
    fn an_end_event_becomes_a_job_that_is_as_old_as_the_end() {
        let value = event(
            END,
            json!({"conversationId": ID, "mediaType": "VOICE", "eventTime": 1_768_472_430_383_i64}),
        );
        let Request::Archive { job, event_id } = from_event(&value, &config("audio")).unwrap() else {
            panic!()
        };
        assert_eq!(job.conversation.to_string(), ID);
        assert_eq!(job.first_seen.unwrap().to_string(), "2026-01-15T10:20:30.383Z");
        assert_eq!(event_id.as_deref(), Some("6f0c"));
    }

    #[test]
    fn the_id_may_stand_in_the_topic_alone_and_the_time_in_the_envelope() {
        let Request::Archive { job, .. } = from_event(&event(END, json!({})), &config("audio")).unwrap()
        else {
            panic!()
        };
        assert_eq!(job.conversation.to_string(), ID);
        assert_eq!(job.first_seen.unwrap().to_string(), "2026-01-15T10:20:31Z");
    }

    #[test]
    fn what_nobody_wants_asks_for_nothing() {
        for (detail_type, media_type, media, wanted) in [
            (END, "VOICE", "audio", true),
            (END, "CALLBACK", "audio", true),
            (END, "CHAT", "audio", false),
            (END, "CHAT", "audio,chat", true),
            (END, "CHAT", "screen", true),
            (END, "HOLOGRAM", "audio", true),
            (
                "v2.detail.events.conversation.{id}.user.end",
                "VOICE",
                "audio",
                true,
            ),
            (
                "v2.detail.events.conversation.{id}.acd.end",
                "VOICE",
                "audio",
                true,
            ),
            (
                "v2.detail.events.conversation.{id}.customer.start",
                "VOICE",
                "audio",
                false,
            ),
            ("v2.conversations.{id}.transcription", "VOICE", "audio", false),
        ] {
            let value = event(
                detail_type,
                json!({"conversationId": ID, "mediaType": media_type}),
            );
            let request = from_event(&value, &config(media)).unwrap();
            assert_eq!(
                matches!(request, Request::Archive { .. }),
                wanted,
                "{detail_type} {media_type} {media}"
            );
        }
    }

    #[test]
    fn an_event_without_a_usable_id_is_malformed() {
        let mut value = event(END, json!({"mediaType": "VOICE"}));
        value["detail"]["topicName"] = Value::Null;
        assert!(
            from_event(&value, &config("audio"))
                .unwrap_err()
                .to_string()
                .contains("eventBody.conversationId")
        );
        let value = event(END, json!({"conversationId": "../x"}));
        assert!(
            from_event(&value, &config("audio"))
                .unwrap_err()
                .to_string()
                .contains("must be a UUID")
        );
    }

    #[test]
    fn sources_are_told_apart_by_shape() {
        assert!(matches!(
            trigger(json!({"conversationId": ID})),
            Ok(Trigger::Direct(_))
        ));
        assert!(matches!(
            trigger(event(END, json!({}))),
            Ok(Trigger::EventBridge(_))
        ));
        let batch = json!({"Records": [{"messageId": "1", "body": "{}", "eventSource": "aws:sqs"}, 7]});
        let Ok(Trigger::Sqs(messages)) = trigger(batch) else {
            panic!()
        };
        assert_eq!(messages.len(), 2, "an odd record does not take the batch down");
        let error = trigger(json!({"Records": [{"eventSource": "aws:s3"}]})).unwrap_err();
        assert!(error.to_string().contains("aws:s3"), "{error}");
    }

    #[test]
    fn a_body_that_is_not_json_says_so_without_repeating_itself() {
        let error = from_body(Some("{\"ani\":\"tel:+15555550100\""), &config("audio"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("not JSON") && !error.contains("5555550100"),
            "{error}"
        );
        assert!(
            from_body(None, &config("audio"))
                .unwrap_err()
                .to_string()
                .contains("no body")
        );
    }

    fn arbitrary_json() -> impl Strategy<Value = Value> {
        let keys = prop::sample::select(vec![
            "Records",
            "detail-type",
            "detail",
            "eventBody",
            "conversationId",
            "mediaType",
            "body",
            "messageId",
            "source",
            "x",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            Just(json!(END)),
        ];
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(keys.clone(), inner, 0..5)
                    .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn arbitrary_json_never_panics(value in arbitrary_json()) {
            let config = config("audio");
            match trigger(value.clone()) {
                Ok(Trigger::Sqs(messages)) => {
                    for message in messages {
                        let _ = from_body(message.body.as_deref(), &config);
                    }
                }
                Ok(Trigger::EventBridge(value)) => { let _ = from_event(&value, &config); }
                Ok(Trigger::Direct(value)) => { let _ = from_job(&value, &config); }
                Err(_) => {}
            }
            let _ = from_body(Some(&value.to_string()), &config);
        }
    }
}
