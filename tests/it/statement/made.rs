//! What runs left in both tables, made at once: thousands of conversations would take minutes to archive.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::domain::audit::{Action, Actor, AuditEvent, Chain, Source};
use recording_archiver::domain::record::State;
use recording_archiver::domain::recording::{ConversationId, RecordingRef};
use recording_archiver::sim::{AUDIT_TABLE, LEDGER_TABLE};
use serde_json::{Value, json};

use super::{conversation, recording};
use crate::support::Bench;

/// Items that are about to be written.
#[derive(Default)]
pub(crate) struct Made {
    events: Vec<Value>,
    records: Vec<Value>,
}

/// One recording, or a conversation as a whole, and what the last event says of it.
pub(crate) struct Entry<'a> {
    pub(crate) number: usize,
    /// The recording; `None`: the conversation as a whole.
    pub(crate) recording: Option<&'a str>,
    pub(crate) action: Action,
    pub(crate) state: State,
    pub(crate) at: Timestamp,
}

impl Made {
    /// Adds a chain of one event and its record; `event` and `record` have what else stands in these.
    pub(crate) fn entry(&mut self, entry: &Entry<'_>, event: Value, record: Value) {
        let id = ConversationId::parse(&conversation(entry.number)).unwrap();
        let target = RecordingRef::of_key(id, entry.recording.unwrap_or("-")).unwrap();
        let made = AuditEvent::new(entry.action, entry.state, "wav");
        let made = event
            .as_object()
            .unwrap()
            .iter()
            .fold(made, |made, (name, value)| made.with(name, value.clone()));
        let actor = Actor {
            source: Source::Sqs,
            ..Actor::default()
        };
        let (made, _) = Chain::default().append(&target, made, &actor, entry.at);
        let made = Value::Object(made.into_attributes());
        let mut item = json!({
            "interactionId": made["interactionId"], "recordingId": made["recordingId"], "state": entry.state,
            "leaseOwner": uuid::Uuid::nil(), "leaseExpiresAt": 0, "attempts": 1, "format": "wav",
            "chainHead": made["eventHash"], "seq": 1, "updatedAt": entry.at.to_string(),
        });
        for (name, value) in record.as_object().unwrap() {
            item[name] = value.clone();
        }
        self.events.push(made);
        self.records.push(item);
    }

    /// Adds an archived recording.
    pub(crate) fn stored(&mut self, number: usize, at: Timestamp, more: Value) {
        let recording = recording(number);
        let key = format!(
            "s3://recording-archive/recordings/{}/{recording}.wav",
            conversation(number)
        );
        let attempt = uuid::Uuid::nil().to_string();
        let hash = "0".repeat(64);
        let mut event =
            json!({"archiveKey": key, "hash": hash, "sizeBytes": 1, "attemptId": attempt, "format": "wav"});
        for (name, value) in more.as_object().unwrap() {
            event[name] = value.clone();
        }
        let file =
            json!({"archiveKey": key, "sha256": hash, "sizeBytes": 1, "attemptId": attempt, "format": "wav"});
        let entry = Entry {
            number,
            recording: Some(&recording),
            action: Action::ArchiveStored,
            state: State::Archived,
            at,
        };
        self.entry(
            &entry,
            event,
            json!({"archivedAt": at.to_string(), "files": [file]}),
        );
    }

    /// Adds another recording of a conversation, archived without a file.
    pub(crate) fn also_archived(&mut self, number: usize, recording: &str, at: Timestamp) {
        let entry = Entry {
            number,
            recording: Some(recording),
            action: Action::ArchiveStored,
            state: State::Archived,
            at,
        };
        self.entry(&entry, json!({}), json!({}));
    }

    /// Adds the record of a conversation that is settled with its recording.
    pub(crate) fn settled(&mut self, number: usize, at: Timestamp) {
        let entry = Entry {
            number,
            recording: None,
            action: Action::ConversationSettled,
            state: State::Settled,
            at,
        };
        let record = json!({"looks": 3, "recordings": [recording(number)], "listed": [recording(number)], "settledBy": "details"});
        self.entry(
            &entry,
            json!({"look": 3, "recordings": [recording(number)], "settledBy": "details"}),
            record,
        );
    }

    /// Adds a conversation that is archived and settled.
    pub(crate) fn archived(&mut self, number: usize, at: Timestamp) {
        self.stored(number, at, json!({}));
        self.settled(number, at + SignedDuration::from_mins(15));
    }

    /// Adds a recording, or a conversation as a whole, that ended otherwise.
    pub(crate) fn ended(
        &mut self,
        (number, of_recording): (usize, bool),
        action: Action,
        state: State,
        (at, error): (Timestamp, &str),
        code: &str,
    ) {
        let id = recording(number);
        let entry = Entry {
            number,
            recording: of_recording.then_some(id.as_str()),
            action,
            state,
            at,
        };
        self.entry(&entry, json!({"error": error, "code": code}), json!({}));
    }

    /// Writes everything.
    pub(crate) async fn write(self, bench: &Bench) {
        for (table, items) in [(AUDIT_TABLE, self.events), (LEDGER_TABLE, self.records)] {
            for items in items.chunks(25) {
                let requests = items.iter().map(|item| {
                    let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(item).unwrap();
                    let put = PutRequest::builder().set_item(Some(item)).build().unwrap();
                    WriteRequest::builder().put_request(put).build()
                });
                let write = bench.world.aws.dynamodb().batch_write_item();
                write
                    .request_items(table, requests.collect())
                    .send()
                    .await
                    .unwrap();
            }
        }
    }
}
