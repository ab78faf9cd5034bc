//! What each payload asks for.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const ID: &str = "c0000000-0000-4000-8000-000000000001";

const AUDIO: Wanted<'static> = wanted(&[MediaKind::Audio]);

const fn wanted(media: &[MediaKind]) -> Wanted<'_> {
    Wanted {
        media,
        api: RecordingApi::Conversations,
        format: Format::Wav,
        defers: true,
    }
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
    let Request::Archive { job, event_id } = from_event(&value, &AUDIO).unwrap() else {
        panic!()
    };
    assert_eq!(job.conversation.to_string(), ID);
    assert_eq!(job.first_seen.unwrap().to_string(), "2026-01-15T10:20:30.383Z");
    assert_eq!(event_id.as_deref(), Some("6f0c"));
}

#[test]
fn the_id_may_stand_in_the_topic_alone_and_the_time_in_the_envelope() {
    let Request::Archive { job, .. } = from_event(&event(END, json!({})), &AUDIO).unwrap() else {
        panic!()
    };
    assert_eq!(job.conversation.to_string(), ID);
    assert_eq!(job.first_seen.unwrap().to_string(), "2026-01-15T10:20:31Z");
}

#[test]
fn what_nobody_wants_asks_for_nothing() {
    use MediaKind::{Audio, Chat, Screen};
    let of = |event: &str| format!("v2.detail.events.conversation.{{id}}.{event}");
    let (end, transcription) = (END.to_owned(), "v2.conversations.{id}.transcription".to_owned());
    for (detail_type, media_type, media, is_wanted) in [
        (&end, "VOICE", &[Audio][..], true),
        (&end, "CALLBACK", &[Audio], true),
        (&end, "CHAT", &[Audio], false),
        (&end, "CHAT", &[Audio, Chat], true),
        (&end, "CHAT", &[Screen], true),
        (&end, "HOLOGRAM", &[Audio], true),
        (&of("user.end"), "VOICE", &[Audio], true),
        (&of("acd.end"), "VOICE", &[Audio], true),
        (&of("customer.start"), "VOICE", &[Audio], false),
        (&transcription, "VOICE", &[Audio], false),
    ] {
        let body = json!({"conversationId": ID, "mediaType": media_type});
        let request = from_event(&event(detail_type, body), &wanted(media)).unwrap();
        assert_eq!(
            matches!(request, Request::Archive { .. }),
            is_wanted,
            "{detail_type} {media_type} {media:?}"
        );
    }
}

#[test]
fn an_event_without_a_usable_id_is_malformed() {
    let mut value = event(END, json!({"mediaType": "VOICE"}));
    value["detail"]["topicName"] = Value::Null;
    assert!(
        from_event(&value, &AUDIO)
            .unwrap_err()
            .to_string()
            .contains("eventBody.conversationId")
    );
    let value = event(END, json!({"conversationId": "../x"}));
    assert!(
        from_event(&value, &AUDIO)
            .unwrap_err()
            .to_string()
            .contains("must be a UUID")
    );
}

#[test]
fn sources_are_told_apart_by_shape() {
    let source = |payload| match read(payload, &AUDIO) {
        Incoming::Batch(_) => Source::Sqs,
        Incoming::Single { source, .. } => source,
    };
    assert_eq!(source(json!({"conversationId": ID})), Source::Direct);
    assert_eq!(source(event(END, json!({}))), Source::EventBridge);
    assert_eq!(source(json!({"Records": []})), Source::Sqs);
    for (records, why) in [
        (json!([{"eventSource": "aws:s3"}]), "aws:s3"),
        (json!("x"), "not an array"),
    ] {
        let Incoming::Single { request, .. } = read(json!({"Records": records}), &AUDIO) else {
            panic!("{records}")
        };
        let error = request.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn an_odd_message_keeps_its_id_and_leaves_its_neighbours_alone() {
    let job = json!({"conversationId": ID}).to_string();
    let records = json!([{"messageId": "m-0", "body": job}, 7, {"messageId": "m-2", "body": 7}]);
    let Incoming::Batch(messages) = read(json!({"Records": records}), &AUDIO) else {
        panic!()
    };
    let read: Vec<_> = messages
        .iter()
        .map(|message| (message.id.as_deref(), message.request.is_ok()))
        .collect();
    assert_eq!(read, [(Some("m-0"), true), (None, false), (Some("m-2"), false)]);
    let why = messages[2].request.as_ref().unwrap_err().to_string();
    assert!(why.contains("no body"), "{why}");
}

#[test]
fn a_dead_letter_that_lambda_wrapped_is_read_when_it_is_moved_as_it_is() {
    let wrapped = |payload: Value| {
        json!({"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": payload})
            .to_string()
    };
    for payload in [
        json!({"conversationId": ID}),
        event(END, json!({"conversationId": ID})),
    ] {
        let Ok(Request::Archive { job, .. }) = from_body(&wrapped(payload), &AUDIO) else {
            panic!()
        };
        assert_eq!(job.conversation.to_string(), ID);
    }
    let invalid = wrapped(json!({"conversationId": ID, "format": "tape", "ani": "tel:+15555550100"}));
    assert!(from_body(&invalid, &AUDIO).is_err());
    let kept = super::super::kept::kept(&invalid);
    assert_eq!(kept.body, json!(json!({"conversationId": ID}).to_string()));
    assert_eq!(kept.dropped, 2);
}

#[test]
fn a_body_that_is_not_json_says_so_without_repeating_itself() {
    let error = from_body("{\"ani\":\"tel:+15555550100\"", &AUDIO)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("not JSON") && !error.contains("5555550100"),
        "{error}"
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
        let _ = read(value.clone(), &AUDIO);
        let _ = read(json!({"Records": [value.clone(), {"body": value.to_string()}]}), &AUDIO);
        let _ = from_body(&value.to_string(), &AUDIO);
    }
}
