//! The part of an invalid message that is kept: the fields of an event or a job, where they hold values of their type.
//! Anything else may be somebody's name or number, and no pattern knows them all. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::audit::Source;
use crate::domain::bulk::{MOST_ENTRIES, MOST_KINDS, is_batch_id};
use crate::domain::format::{Format, MediaKind};
use crate::domain::job::is_plain;
use crate::error::Error;

/// A message's body as it may be kept.
#[derive(Debug, PartialEq)]
pub(super) struct Kept {
    /// JSON text of the kept fields; length and SHA-256 of a body that is no JSON object.
    pub(super) body: Value,
    /// Number of fields that were dropped.
    pub(super) dropped: usize,
    /// The id of the event, if it is one.
    pub(super) event_id: Option<String>,
}

/// The accepted content of a field.
enum Shape {
    Value(fn(&Value) -> bool),
    /// Up to [`MOST_ENTRIES`] of such fields.
    List(&'static [(&'static str, Shape)]),
    Fields(&'static [(&'static str, Shape)]),
}

/// An event, as EventBridge sends it or the rule's target transforms it.
const EVENT: &[(&str, Shape)] = &[
    ("id", Shape::Value(is_id)),
    ("detail-type", Shape::Value(is_topic)),
    ("time", Shape::Value(is_time)),
    (
        "detail",
        Shape::Fields(&[
            ("topicName", Shape::Value(is_topic)),
            (
                "eventBody",
                Shape::Fields(&[
                    ("conversationId", Shape::Value(is_id)),
                    ("participantId", Shape::Value(is_id)),
                    ("sessionId", Shape::Value(is_id)),
                    ("eventTime", Shape::Value(is_event_time)),
                    ("mediaType", Shape::Value(is_media_type)),
                ]),
            ),
        ]),
    ),
];

/// A job. `requestedBy` is kept as given: it is what the audit is for.
const JOB: &[(&str, Shape)] = &[
    ("conversationId", Shape::Value(is_id)),
    ("interactionId", Shape::Value(is_id)),
    ("recordingId", Shape::Value(is_id)),
    ("format", Shape::Value(is_format)),
    ("startTime", Shape::Value(Value::is_u64)),
    ("endTime", Shape::Value(Value::is_u64)),
    ("expectedSha256", Shape::Value(is_sha256)),
    ("requestedBy", Shape::Value(is_requester)),
    ("deferrals", Shape::Value(is_count)),
    ("look", Shape::Value(is_count)),
    ("recheck", Shape::Value(Value::is_boolean)),
    ("firstSeen", Shape::Value(is_time)),
    ("notBefore", Shape::Value(is_time)),
    ("origin", Shape::Fields(ORIGIN)),
];

const ORIGIN: &[(&str, Shape)] = &[
    ("source", Shape::Value(is_source)),
    ("requestId", Shape::Value(is_id)),
    ("messageId", Shape::Value(is_id)),
    ("eventId", Shape::Value(is_id)),
];

/// Who asked for an entry of a bulk job.
const ASKED: &[(&str, Shape)] = &[
    ("requestedBy", Shape::Value(is_requester)),
    ("origin", Shape::Fields(ORIGIN)),
];

/// A bulk job.
const BULK: &[(&str, Shape)] = &[
    (
        "bulk",
        Shape::List(&[
            ("conversationId", Shape::Value(is_id)),
            ("recordingId", Shape::Value(is_id)),
            ("conversationStart", Shape::Value(is_time)),
            ("conversationEnd", Shape::Value(is_time)),
            ("kinds", Shape::Value(is_kinds)),
            ("asked", Shape::Fields(ASKED)),
        ]),
    ),
    ("format", Shape::Value(is_format)),
    ("requestedBy", Shape::Value(is_requester)),
    (
        "batch",
        Shape::Fields(&[("id", Shape::Value(is_batch)), ("polls", Shape::Value(is_count))]),
    ),
    ("deferrals", Shape::Value(is_count)),
    ("origin", Shape::Fields(ORIGIN)),
];

/// Returns the payload of a failed asynchronous invocation, if `value` is Lambda's record of one, else `value`. Such a
/// record is what the dead letter queue holds of direct events, and what comes when it is moved to the work queue as it
/// is.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
pub(super) fn unwrapped(mut value: Value) -> Value {
    match value.get_mut("requestPayload") {
        Some(payload) => payload.take(),
        None => value,
    }
}

/// Returns the part of a body that may be kept.
pub(super) fn kept(text: &str) -> Kept {
    match serde_json::from_str(text).map(unwrapped) {
        Ok(Value::Object(fields)) => {
            let shape = match ["detail-type", "bulk"].map(|name| fields.contains_key(name)) {
                [true, _] => EVENT,
                [false, true] => BULK,
                [false, false] => JOB,
            };
            let mut dropped = 0;
            let body = of_shape(fields, shape, &mut dropped);
            let event_id = body.get("id").and_then(Value::as_str).map(str::to_owned);
            Kept {
                body: json!(Value::Object(body).to_string()),
                dropped,
                event_id,
            }
        }
        _ => Kept {
            body: json!({"bytes": text.len(), "sha256": hex::encode(Sha256::digest(text))}),
            dropped: 0,
            event_id: None,
        },
    }
}

/// Returns the error about a body without the values that it quotes.
pub(super) fn about(error: &Error) -> Error {
    let is_name = |name: &str| JOB.iter().chain(BULK).any(|(known, _)| *known == name);
    Error::new(error.kind(), crate::redact::unquoted(&error.to_string(), is_name))
}

fn of_shape(fields: Map<String, Value>, shape: &[(&str, Shape)], dropped: &mut usize) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in fields {
        let known = shape.iter().find(|(known, _)| *known == name);
        match (known, value) {
            (Some((_, Shape::Fields(shape))), Value::Object(fields)) => {
                kept.insert(name, Value::Object(of_shape(fields, shape, dropped)));
            }
            (Some((_, Shape::List(shape))), Value::Array(entries)) => {
                // A case has to fit into a message, and no list of a valid body is longer.
                *dropped += entries.len().saturating_sub(MOST_ENTRIES);
                let entries = entries.into_iter().take(MOST_ENTRIES);
                let entries = entries.filter_map(|entry| match entry {
                    Value::Object(fields) => Some(Value::Object(of_shape(fields, shape, dropped))),
                    _ => {
                        *dropped += 1;
                        None
                    }
                });
                kept.insert(name, entries.collect());
            }
            (Some((_, Shape::Value(fits))), value) if fits(&value) => {
                kept.insert(name, value);
            }
            _ => *dropped += 1,
        }
    }
    kept
}

fn holds(value: &Value, fits: impl FnOnce(&str) -> bool) -> bool {
    value.as_str().is_some_and(fits)
}

fn is_id(value: &Value) -> bool {
    holds(value, is_uuid)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::try_parse(text).is_ok()
}

/// Accepts `v2.detail.events.conversation.{id}.customer.end`, with the placeholder or an id.
pub(super) fn is_topic(value: &Value) -> bool {
    let word = |word: &str| {
        let letters = !word.is_empty() && word.len() <= 16 && word.bytes().all(|b| b.is_ascii_lowercase());
        letters || word == "{id}" || is_uuid(word)
    };
    holds(value, |text| {
        let rest = text.strip_prefix("v2.");
        rest.is_some_and(|rest| rest.split('.').count() <= 8 && rest.split('.').all(word))
    })
}

fn is_time(value: &Value) -> bool {
    holds(value, |text| text.parse::<Timestamp>().is_ok())
}

/// Accepts milliseconds, or by mistake microseconds, of this century, also quoted by a target's transformer.
fn is_event_time(value: &Value) -> bool {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.is_some_and(|time| (1_000_000_000_000..100_000_000_000_000_000).contains(&time))
}

fn is_media_type(value: &Value) -> bool {
    const TYPES: [&str; 11] = [
        "UNKNOWN",
        "VOICE",
        "CHAT",
        "EMAIL",
        "CALLBACK",
        "COBROWSE",
        "VIDEO",
        "SCREENSHARE",
        "MESSAGE",
        "INTERNALMESSAGE",
        "SCREENMONITORING",
    ];
    holds(value, |text| TYPES.contains(&text))
}

fn is_format(value: &Value) -> bool {
    holds(value, |text| Format::parse(text).is_some())
}

fn is_kinds(value: &Value) -> bool {
    let known = |kind: &Value| holds(kind, |text| MediaKind::parse(text).is_some());
    value
        .as_array()
        .is_some_and(|kinds| kinds.len() <= MOST_KINDS && kinds.iter().all(known))
}

fn is_batch(value: &Value) -> bool {
    holds(value, is_batch_id)
}

fn is_sha256(value: &Value) -> bool {
    holds(value, |text| {
        text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

fn is_requester(value: &Value) -> bool {
    holds(value, is_plain)
}

fn is_source(value: &Value) -> bool {
    holds(value, |text| {
        Source::KNOWN.iter().any(|known| known.as_str() == text)
    })
}

fn is_count(value: &Value) -> bool {
    value.as_u64().is_some_and(|count| count <= 1_000_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::format::RecordingApi;
    use crate::domain::job::Job;
    use crate::error::ErrorKind;

    #[test]
    fn an_error_keeps_the_names_of_a_job_and_nothing_that_was_in_it() {
        for (text, expected) in [
            (
                "the job's recordingId must be a UUID, but is \"Anna \\\"Schmidt\\\" 030 1234567\"; send it again",
                "the job's recordingId must be a UUID, but is (not shown); send it again",
            ),
            (
                "unknown field `Anna`, expected one of `conversationId`, `requestedBy`",
                "unknown field (not shown), expected one of `conversationId`, `requestedBy`",
            ),
            (
                "invalid type: integer `301234567`, expected a string",
                "invalid type: integer (not shown), expected a string",
            ),
            ("it breaks off \"Anna", "it breaks off (not shown)"),
            ("nothing to hide", "nothing to hide"),
        ] {
            assert_eq!(
                about(&Error::new(ErrorKind::MalformedJob, text)).to_string(),
                expected
            );
        }
    }

    #[test]
    fn every_field_of_a_job_is_known_here() {
        let unknown = json!({"conversationId": "c0000000-0000-4000-8000-000000000001", "unknown": 1});
        let error = Job::parse(&unknown, RecordingApi::Conversations)
            .unwrap_err()
            .to_string();
        let (_, expected) = error.split_once("expected one of").unwrap();
        let names: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
        assert!(names.contains(&"conversationId"), "{error}");
        for name in names {
            assert!(
                JOB.iter().any(|(known, _)| *known == name),
                "what may {name} hold? It would be dropped"
            );
        }
    }

    #[test]
    fn of_a_bulk_job_that_is_too_long_as_many_entries_are_kept_as_one_may_have() {
        let entry = |n: usize| json!({"conversationId": format!("c0000000-0000-4000-8000-{n:012}")});
        let entries: Vec<_> = (0..5_000).map(entry).collect();
        let kept = kept(&json!({"bulk": entries}).to_string());
        let body = kept.body.as_str().unwrap();
        assert!(body.len() < 256 * 1024, "{}", body.len());
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["bulk"].as_array().unwrap()[..], entries[..100]);
        assert_eq!(kept.dropped, 4_900);
    }

    proptest! {
        #[test]
        fn no_value_of_an_unknown_field_survives(name in "[a-zA-Z ]{1,12}", inside in any::<bool>()) {
            let mut event = json!({"detail-type": "v2.detail.events.conversation.{id}.user.end", "detail": {"eventBody": {}}});
            let fields = if inside { &mut event["detail"]["eventBody"] } else { &mut event };
            fields[&name] = json!("Anna 0301234567");
            let kept = kept(&event.to_string());
            prop_assert!(!kept.body.to_string().contains("Anna 030"), "{:?}", kept);
            prop_assert_eq!(kept.dropped, 1);
        }
    }
}
