//! One event as it is written and read, and its chain.

use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::*;
use crate::domain::recording::{ArchiveKey, ConversationId, RecordingId, RecordingRef};

fn chain_of(length: usize) -> Vec<AuditEvent> {
    let recording = RecordingRef {
        conversation: ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap(),
        recording: Some(RecordingId::parse("e0000000-0000-4000-8000-000000000101").unwrap()),
        segment: None,
    };
    let actor = Actor {
        source: Source::Direct,
        request_id: "r".into(),
        ..Actor::default()
    };
    let mut chain = Chain::default();
    (0..length)
        .map(|n| {
            let file = ArchivedFile {
                media_host: Some("media.example".to_owned()),
                ..ArchivedFile::sample("k.wav")
            };
            let event = AuditEvent::new(Action::ArchiveStored, State::Archived, "wav")
                .with_latency(Duration::from_millis(n as u64))
                .with_file(&file)
                .with_error("called +15555550100");
            let now = Timestamp::from_second(1_768_472_430 + n as i64).unwrap();
            let (event, next) = chain.append(&recording, event, &actor, now);
            chain = next;
            event
        })
        .collect()
}

#[test]
fn an_event_reads_as_documented() {
    let event = &chain_of(1)[0];
    let expected = json!({
        "interactionId": "c0000000-0000-4000-8000-000000000001",
        "eventId": "2026-01-15T10:20:30.000000Z#e0000000-0000-4000-8000-000000000101#000001",
        "day": "2026-01-15#3", "timestamp": "2026-01-15T10:20:30.000000Z",
        "recordingId": "e0000000-0000-4000-8000-000000000101",
        "action": "archive.stored", "status": "archived", "format": "wav",
        "actor": {"source": "direct", "requestId": "r", "functionVersion": ""},
        "seq": 1, "prevEventHash": "0".repeat(64), "latencyMs": 0, "sizeBytes": 7, "hash": "ab".repeat(32),
        "archiveKey": "s3://archive/k.wav", "mediaHost": "media.example", "attemptId": "00000000-0000-0000-0000-000000000000",
        "error": "called [redacted]",
        "eventHash": "77d3bdf1c73d8d466674b2e9dba367ca70dae3169d0826b75c169a154183af30",
    });
    assert_eq!(serde_json::to_value(event).unwrap(), expected);
}

#[test]
fn an_event_is_written_as_the_stored_ones_were() {
    let recording = RecordingRef {
        conversation: ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap(),
        recording: Some(RecordingId::parse("e0000000-0000-4000-8000-000000000101").unwrap()),
        segment: None,
    };
    let actor = Actor {
        source: Source::EventBridge,
        request_id: "request-1".into(),
        function_version: "7".into(),
        message_id: Some("m-1".into()),
        event_id: Some("ev-1".into()),
        requested_by: Some("Anna +1".into()),
        ..Actor::default()
    };
    let file = ArchivedFile {
        archive_key: ArchiveKey::parse("s3://archive/k-1.wav").unwrap(),
        sha256: "cd".repeat(32),
        size_bytes: 144_044,
        format: "WAV".to_owned(),
        attempt_id: Uuid::nil(),
        channel: Some(1),
        part: Some(1),
        part_name: Some("a".to_owned()),
        format_found: Some("MP3".to_owned()),
        crc64nvme: Some("x".to_owned()),
        media_host: None,
        stored_as: None,
    };
    let notes = json!({"fileState": "AVAILABLE", "deleteDate": "2026-02-01T00:00:00Z"});
    let event = AuditEvent::new(Action::DownloadCompleted, State::Storing, "ogg")
        .with_latency(Duration::from_millis(1_234))
        .with_file(&file)
        .with_genesys(notes.as_object().unwrap().clone())
        .with("look", 3)
        .with("recordings", vec!["a", "b"])
        .with("settledBy", "details");
    let now = Timestamp::from_millisecond(1_768_472_430_123).unwrap();
    let (event, end) = Chain::default().append(&recording, event, &actor, now);
    let stored = include_str!("stored.json").trim_end();
    assert_eq!(
        serde_json::to_string(&event).unwrap(),
        stored,
        "not a byte differs"
    );
    assert_eq!(
        end.head,
        "07ba8b3c7de584a457d0a1f2b35255d94550316522c75dd602d31e07b0ca5150"
    );
    assert_eq!(
        chain_of(2)[1]["eventHash"],
        "fca7dff0f006e0c3366db6582e85c2d9767be7a8cd598a454ef5de71c370dcec"
    );
}

#[test]
fn an_event_of_another_version_is_read_as_it_was_stored() {
    let stored = json!({
        "action": "archive.moved", "actor": {"source": "step-functions", "requestId": "r", "queue": "q"}, "moved": [1, "a"],
        "seq": 1, "prevEventHash": "0".repeat(64), "status": 7,
    });
    let mut event = AuditEvent::deserialize(&stored).unwrap();
    assert_eq!(
        (event.action(), event.text("action")),
        (None, Some("archive.moved"))
    );
    let source = event.actor().unwrap().source;
    assert_eq!(source, Source::Other("step-functions".to_owned()));
    assert_eq!(serde_json::to_value(source).unwrap(), "step-functions");
    let hash = hex::encode(Sha256::digest(stored.to_string()));
    event = event.with("eventHash", hash.as_str());
    assert_eq!(
        verify(&[event]).unwrap().head,
        hash,
        "with all that this version does not know"
    );
}

#[test]
fn every_action_and_every_source_is_read_as_it_is_written() {
    for action in Action::ALL {
        let event = AuditEvent::new(action, State::Claimed, "WAV");
        assert_eq!(event.action(), Some(action));
    }
    for source in Source::KNOWN {
        assert_eq!(Source::from(source.to_string()), source);
    }
}

#[test]
fn an_untouched_chain_verifies_to_its_last_event() {
    let events = chain_of(4);
    let end = verify(&events).unwrap();
    assert_eq!(end.seq, 4);
    assert_eq!(events[3]["eventHash"], json!(end.head));
}

#[test]
fn a_removed_or_reordered_event_shows() {
    for gone in 0..3 {
        let mut events = chain_of(4);
        events.remove(gone);
        assert_eq!(verify(&events), Err(ChainBreak::Gap { seq: gone as u64 + 1 }));
    }
    let mut events = chain_of(4);
    events.swap(1, 2);
    assert_eq!(verify(&events), Err(ChainBreak::Gap { seq: 2 }));
}

proptest! {
    #[test]
    fn any_single_changed_field_shows(event in 0_usize..4, field in any::<prop::sample::Index>(), drop in any::<bool>()) {
        let mut events = chain_of(4);
        let names: Vec<String> = events[event].0.keys().cloned().collect();
        let name = field.get(&names);
        if drop {
            events[event].0.remove(name);
        } else {
            let changed = match &events[event][name] {
                Value::Number(n) => json!(n.as_u64().unwrap() + 1),
                Value::Object(_) => json!({"source": "sqs"}),
                other => json!(format!("{}x", other.as_str().unwrap())),
            };
            events[event].0.insert(name.clone(), changed);
        }
        prop_assert!(verify(&events).is_err(), "{name} of event {event}");
    }
}

#[test]
fn an_event_id_has_a_form() {
    const RECORDING: &str = "e0000000-0000-4000-8000-000000000101";
    let conversation = Subject::parse("c0000000-0000-4000-8000-000000000001").unwrap();
    let statement = Subject::parse("statement#2026-01-15").unwrap();
    let at = "2026-01-15T10:21:08.216955Z";
    for (subject, text, expected) in [
        (conversation, format!("{at}#{RECORDING}#000003"), true),
        (conversation, format!("{at}#{RECORDING}#1000-3000#1234567"), true),
        (conversation, format!("{at}#-#000001"), true),
        (conversation, format!("{RECORDING}!access#{:020}", 7), true),
        (statement, format!("statement#2026-01-15#{:020}", 7), true),
        (conversation, format!("{at}#{RECORDING}#3"), false),
        (conversation, format!("{at}#{RECORDING}#+00003"), false),
        (conversation, format!("{at}#John Doe#000003"), false),
        (conversation, format!("{at}[Europe/Berlin]#-#000003"), false),
        (conversation, "2026-01-15T10:21:08Z#-#000003".to_owned(), false),
        (conversation, format!("{RECORDING}!access#7"), false),
        (conversation, format!("statement#2026-01-15#{:020}", 7), false),
        (conversation, "John Doe".to_owned(), false),
        (statement, format!("statement#2026-01-16#{:020}", 7), false),
        (statement, format!("{at}#-#000001"), false),
    ] {
        assert_eq!(subject.has_event_id(&text), expected, "{subject} {text}");
    }
    assert!(
        chain_of(2)
            .iter()
            .all(|event| conversation.has_event_id(event.text("eventId").unwrap()))
    );
}
