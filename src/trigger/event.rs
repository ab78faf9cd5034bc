//! Reads trigger JSON: what asks, and for what. Pure: sources are known by their shape, each fault is named, nothing is
//! asked of anyone.

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use tracing::Span;

use super::kept::{is_topic, unwrapped};
use crate::config::Config;
use crate::domain::audit::Source;
use crate::domain::bulk::BulkJob;
use crate::domain::format::{Format, MediaKind, RecordingApi};
use crate::domain::job::Job;
use crate::domain::recording::ConversationId;
use crate::error::{Error, ErrorKind};
use crate::redact::NOT_SHOWN;

/// The part of the configuration that decides what a job or an event asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// `RECORDING_MEDIA`: an event asks only for conversations that may have one of these.
    pub media: &'a [MediaKind],
    /// `GENESYS_RECORDING_API`: decides which fields of a job are valid.
    pub api: RecordingApi,
    /// `RECORDING_FORMAT`: a batch download gives recordings as they were recorded only.
    pub format: Format,
    /// There is a `WORK_QUEUE_URL`, by which a batch download is asked about.
    pub defers: bool,
}

impl<'a> Wanted<'a> {
    /// Returns what this configuration wants.
    pub fn of(config: &'a Config) -> Self {
        Self {
            media: &config.recording.media,
            api: config.genesys.api,
            format: config.recording.format,
            defers: config.queues.work.is_some(),
        }
    }
}

/// An invocation's payload, read.
#[derive(Debug)]
pub enum Incoming {
    /// A batch of SQS messages, each read by itself: an invalid one leaves its neighbours alone.
    Batch(Vec<Message>),
    /// One event or job.
    Single {
        /// Where it comes from, as the audit names it: `eventbridge` or `direct`.
        source: Source,
        /// Its request.
        request: Result<Request, Error>,
    },
}

/// An SQS message and what it asks for.
#[derive(Debug)]
pub struct Message {
    /// Its id; `None` where it has none, which SQS never does.
    pub id: Option<String>,
    /// Who sent it, by SQS.
    pub sender_id: Option<String>,
    /// The queue that it came from, by SQS.
    pub queue_arn: Option<String>,
    /// Its body as it came; empty where it has none.
    pub body: String,
    /// The request in its body.
    pub request: Result<Request, Error>,
    /// The place of the message of its batch that took the entries of its bulk job over.
    pub into: Option<usize>,
}

impl Message {
    /// Reads a record of a batch.
    fn read(record: &Value, wanted: &Wanted<'_>) -> Self {
        let sqs = SqsMessage::deserialize(record).unwrap_or_else(|_| bare(record));
        let request = match &sqs.body {
            Some(body) => from_body(body, wanted),
            None => Err(malformed("the message has no body")),
        };
        Self {
            id: sqs.message_id,
            sender_id: sqs.attributes.get("SenderId").cloned(),
            queue_arn: sqs.event_source_arn,
            body: sqs.body.unwrap_or_default(),
            request,
            into: None,
        }
    }

    /// Returns the span of the log lines about this message.
    pub(super) fn span(&self) -> Span {
        let id = self.id.as_deref();
        match &self.request {
            Ok(request) => request.span(id),
            Err(_) => tracing::error_span!("message", message_id = id),
        }
    }
}

/// The request of a job or an event.
#[derive(Debug)]
pub enum Request {
    /// Archive something.
    Archive {
        /// The job.
        job: Job,
        /// The id of the EventBridge event that asks.
        event_id: Option<String>,
    },
    /// Archive many by a batch download.
    Bulk {
        /// The job.
        job: BulkJob,
    },
    /// Nothing: not the end of a conversation, or not of a wanted kind.
    Nothing {
        /// The reason.
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
            Self::Bulk { .. } | Self::Nothing { .. } => tracing::error_span!("message", message_id),
        }
    }
}

/// Reads an invocation's payload: a batch of SQS messages, an event straight from EventBridge, or a job.
pub fn read(mut payload: Value, wanted: &Wanted<'_>) -> Incoming {
    if payload.get("detail-type").is_some() {
        return Incoming::Single {
            source: Source::EventBridge,
            request: from_event(&payload, wanted),
        };
    }
    let request = match payload.get_mut("Records").map(Value::take) {
        None => from_job(&payload, wanted),
        Some(records) => match messages(records) {
            Ok(records) => {
                let read = |record| Message::read(record, wanted);
                return Incoming::Batch(records.iter().map(read).collect());
            }
            Err(error) => Err(error),
        },
    };
    Incoming::Single {
        source: Source::Direct,
        request,
    }
}

/// Returns the id and the body of a record that is no message of SQS otherwise, as far as they are text. With its id,
/// SQS redelivers it alone.
fn bare(record: &Value) -> SqsMessage {
    let text = |field: &str| record.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut message = SqsMessage::default();
    (message.message_id, message.body) = (text("messageId"), text("body"));
    message
}

/// Checks that `Records` is a list, and that SQS sent all of it.
fn messages(records: Value) -> Result<Vec<Value>, Error> {
    let Value::Array(records) = records else {
        return Err(malformed("the event's Records is not an array"));
    };
    let sources = records.iter().map(|record| record.get("eventSource"));
    match sources
        .flatten()
        .find_map(|source| source.as_str().filter(|source| *source != "aws:sqs"))
    {
        None => Ok(records),
        Some(other) => Err(malformed(format!(
            "the event's records come from {}; accepted: aws:sqs",
            crate::redact::quote(other)
        ))),
    }
}

/// Reads the body of an SQS message: a job, a whole EventBridge event, or Lambda's record of a failed invocation with
/// either.
pub fn from_body(body: &str, wanted: &Wanted<'_>) -> Result<Request, Error> {
    let value: Value = serde_json::from_str(body).map_err(|error| {
        malformed(format!(
            "the message body is not JSON ({error}); accepted: a job or an EventBridge event"
        ))
    })?;
    let value = unwrapped(value);
    if value.get("detail-type").is_some() {
        from_event(&value, wanted)
    } else {
        from_job(&value, wanted)
    }
}

fn from_job(value: &Value, wanted: &Wanted<'_>) -> Result<Request, Error> {
    if value.get("bulk").is_some() {
        return from_bulk(value, wanted);
    }
    Ok(Request::Archive {
        job: Job::parse(value, wanted.api)?,
        event_id: None,
    })
}

/// Reads a bulk job, if batch downloads fit the configuration.
fn from_bulk(value: &Value, wanted: &Wanted<'_>) -> Result<Request, Error> {
    let job = BulkJob::parse(value)?;
    if wanted.api != RecordingApi::Conversations {
        return Err(malformed(
            "a bulk job needs GENESYS_RECORDING_API=conversations: batch downloads belong to the public API",
        ));
    }
    if !wanted.defers {
        return Err(malformed(
            "a bulk job needs WORK_QUEUE_URL: its batch download is asked about by deferred messages",
        ));
    }
    if wanted.format != Format::Original && !job.original {
        let format = wanted.format;
        return Err(malformed(format!(
            "a bulk job needs RECORDING_FORMAT=original, which is {format}: a batch download gives recordings as they \
             were recorded. Set that, or say \"format\": \"original\" in the job; else send jobs of one conversation"
        )));
    }
    Ok(Request::Bulk { job })
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::MalformedJob, message)
}

/// Reads a Genesys event, as EventBridge sends it or as the rule's target transforms it. Only the three "end" topics
/// ask for something, and only where the kind of conversation can have a wanted recording.
///
/// No error repeats a value of the event: any of them may be somebody's name or number.
fn from_event(value: &Value, wanted: &Wanted<'_>) -> Result<Request, Error> {
    let malformed = |message: &str| malformed(format!("the EventBridge event {message}"));
    let detail_type = &value["detail-type"];
    let Some(kind) = detail_type.as_str() else {
        return Err(malformed("is malformed: its detail-type is not text"));
    };
    let Some(detail) = value.get("detail") else {
        return Err(malformed("is malformed: missing field `detail`"));
    };
    if !is_conversation_end(kind) {
        let shown = if is_topic(detail_type) { kind } else { NOT_SHOWN };
        let why = format!("the detail-type {shown} is not the end of a conversation");
        return Ok(Request::Nothing { why });
    }
    let body = &detail["eventBody"];
    let media_type = given(&body["mediaType"]).unwrap_or("UNKNOWN");
    if !may_have_wanted(media_type, wanted.media) {
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

/// Returns the text of a field. The values that a target's transformer may write for a missing field count as none:
/// nothing, the word null, or the name of its variable.
fn given(value: &Value) -> Option<&str> {
    value
        .as_str()
        .filter(|text| !text.is_empty() && *text != "null" && !text.starts_with('<'))
}

/// Says whether the topic is one of the three ends. `detail-type` is the topic's template with a literal `{id}`; the
/// real id stands in `detail.topicName`.
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

/// Says whether a conversation of this `mediaType` can have a recording of a wanted kind. Screens are recorded with
/// conversations of every type, and an unknown type may have anything.
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

/// Returns the end of the session: the event's own time, else the time at which Genesys or EventBridge sent it.
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
mod tests;
