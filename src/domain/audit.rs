//! The audit trail as values: what an event says, and the hash chain that makes a missing or changed one show.
//!
//! Pure. The ledger writes events, `cargo local` and the operator tools verify them with [`verify`].

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::recording::{ArchivedFile, RecordingRef};

/// One audit event as the table holds it, attribute by attribute.
pub type AuditItem = Map<String, Value>;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A run took the lease and begins.
    DownloadInitiated,
    /// All bytes of a file are here and checked; the object becomes visible next.
    DownloadCompleted,
    /// The run ended without an archive, for good or until the next try; `error` says why.
    DownloadFailed,
    /// The source is not ready; the job comes again.
    DownloadDeferred,
    /// Gone under the retention policy.
    DownloadExpired,
    /// Filtered out by configuration.
    DownloadSkipped,
    /// A file lies in S3, verified.
    ArchiveStored,
    /// The webhook's receiver took the news.
    WebhookDelivered,
    /// The webhook's receiver did not take the news this time.
    WebhookFailed,
    /// A look at a conversation listed its recordings, and another look follows.
    ConversationListed,
    /// Nothing more can come of a conversation.
    ConversationSettled,
    /// A conversation ended without a recording having been started.
    ConversationUnrecorded,
}

impl Action {
    /// The value of the attribute `action`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DownloadInitiated => "download.initiated",
            Self::DownloadCompleted => "download.completed",
            Self::DownloadFailed => "download.failed",
            Self::DownloadDeferred => "download.deferred",
            Self::DownloadExpired => "download.expired",
            Self::DownloadSkipped => "download.skipped",
            Self::ArchiveStored => "archive.stored",
            Self::WebhookDelivered => "webhook.delivered",
            Self::WebhookFailed => "webhook.failed",
            Self::ConversationListed => "conversation.listed",
            Self::ConversationSettled => "conversation.settled",
            Self::ConversationUnrecorded => "conversation.unrecorded",
        }
    }
}

/// Who made the run happen: the attribute `actor`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// `sqs`, `eventbridge` or `direct`.
    pub source: &'static str,
    /// Lambda's request id.
    pub request_id: String,
    /// Lambda's function version.
    pub function_version: String,
    /// The SQS message.
    pub message_id: Option<String>,
    /// The EventBridge event.
    pub event_id: Option<String>,
    /// Who asked, in the job's own words.
    pub requested_by: Option<String>,
}

impl Actor {
    fn to_json(&self) -> Value {
        let mut map = Map::new();
        map.insert("source".into(), self.source.into());
        map.insert("requestId".into(), self.request_id.clone().into());
        map.insert("functionVersion".into(), self.function_version.clone().into());
        for (name, value) in [
            ("messageId", &self.message_id),
            ("eventId", &self.event_id),
            ("requestedBy", &self.requested_by),
        ] {
            if let Some(value) = value {
                map.insert(name.into(), value.clone().into());
            }
        }
        Value::Object(map)
    }
}

/// What one event says beyond whom it is about.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What happened.
    pub action: Action,
    /// Where the recording stands after it: the ledger's state, or `deferred`.
    pub status: &'static str,
    /// The format asked for; a `file` names its own.
    pub format: &'static str,
    /// How long it took.
    pub latency: Option<Duration>,
    /// The file it is about.
    pub file: Option<ArchivedFile>,
    /// Why it did not work out.
    pub error: Option<String>,
    /// What Genesys says of the recording: retention policy, dates, region. The attribute `genesys`.
    pub genesys: Map<String, Value>,
    /// What a look at a conversation found: attributes of their own.
    pub look: Map<String, Value>,
}

impl Entry {
    /// An event without particulars.
    pub fn new(action: Action, status: &'static str, format: &'static str) -> Self {
        Self {
            action,
            status,
            format,
            latency: None,
            file: None,
            error: None,
            genesys: Map::new(),
            look: Map::new(),
        }
    }
}

/// The end of a chain: what the next event continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// `eventHash` of the last event; 64 zeros before the first.
    pub head: String,
    /// `seq` of the last event; 0 before the first.
    pub seq: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            head: "0".repeat(64),
            seq: 0,
        }
    }
}

impl Chain {
    /// Continues the chain with one event: the item to store, and the chain's new end.
    pub fn append(
        &self,
        of: &RecordingRef,
        entry: &Entry,
        actor: &Actor,
        now: Timestamp,
    ) -> (AuditItem, Self) {
        let seq = self.seq + 1;
        let recording = of.recording_key();
        let timestamp = now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string();
        let mut item = Map::new();
        let mut put = |name: &str, value: Value| item.insert(name.to_owned(), value);
        put("interactionId", of.conversation.to_string().into());
        put("eventId", format!("{timestamp}#{recording}#{seq:06}").into());
        put("timestamp", timestamp.into());
        put("recordingId", recording.into());
        put("action", entry.action.as_str().into());
        put("status", entry.status.into());
        let format = entry
            .file
            .as_ref()
            .map_or(entry.format, |file| file.format.as_str());
        put("format", format.into());
        put("actor", actor.to_json());
        put("seq", seq.into());
        put("prevEventHash", self.head.clone().into());
        if let Some(latency) = entry.latency {
            put(
                "latencyMs",
                u64::try_from(latency.as_millis()).unwrap_or(u64::MAX).into(),
            );
        }
        if let Some(file) = &entry.file {
            put("sizeBytes", file.size_bytes.into());
            put("hash", file.sha256.clone().into());
            put("archiveKey", file.archive_key.clone().into());
            put("attemptId", file.attempt_id.to_string().into());
            if let Some(found) = &file.format_found {
                put("formatFound", found.clone().into());
            }
            match (file.part, file.channel) {
                (Some(part), _) => _ = put("part", part.into()),
                (None, Some(channel)) => _ = put("channel", channel.into()),
                (None, None) => {}
            }
            if let Some(name) = &file.part_name {
                put("partName", name.clone().into());
            }
            if let Some(host) = &file.media_host {
                put("mediaHost", host.clone().into());
            }
        }
        if let Some(error) = &entry.error {
            put("error", crate::redact::people(error).into());
        }
        if !entry.genesys.is_empty() {
            put("genesys", Value::Object(entry.genesys.clone()));
        }
        for (name, value) in &entry.look {
            put(name, value.clone());
        }
        let head = event_hash(&item);
        item.insert("eventHash".to_owned(), head.clone().into());
        (item, Self { head, seq })
    }
}

/// SHA-256 over the canonical JSON of an item without its `eventHash`, in hex.
///
/// Canonical: keys sorted, no spaces, as `serde_json` writes a map; numbers are whole, so they have one spelling.
pub fn event_hash(item: &AuditItem) -> String {
    let mut bare = item.clone();
    bare.remove("eventHash");
    hex::encode(Sha256::digest(Value::Object(bare).to_string()))
}

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    /// An event's content does not match its own hash.
    #[error("event {seq} was changed after it was written")]
    Changed {
        /// Its `seq`.
        seq: u64,
    },
    /// An event is missing, stands twice, or does not continue the one before it.
    #[error("event {seq} is missing or does not continue the one before it")]
    Gap {
        /// The `seq` that was expected.
        seq: u64,
    },
}

/// Checks all events of one recording, in order of `seq`; gives the end of the chain, which must be the ledger's.
pub fn verify(events: &[AuditItem]) -> Result<Chain, ChainBreak> {
    events.iter().try_fold(Chain::default(), |chain, event| {
        let expected = chain.seq + 1;
        let seq = event.get("seq").and_then(Value::as_u64);
        let prev = event.get("prevEventHash").and_then(Value::as_str);
        if seq != Some(expected) || prev != Some(chain.head.as_str()) {
            return Err(ChainBreak::Gap { seq: expected });
        }
        let head = event_hash(event);
        if event.get("eventHash") != Some(&json!(head)) {
            return Err(ChainBreak::Changed { seq: expected });
        }
        Ok(Chain { head, seq: expected })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::recording::{ConversationId, RecordingId};

    fn chain_of(length: usize) -> Vec<AuditItem> {
        let of = RecordingRef {
            conversation: ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap(),
            recording: Some(RecordingId::parse("e0000000-0000-4000-8000-000000000101").unwrap()),
            segment: None,
        };
        let actor = Actor {
            source: "direct",
            request_id: "r".into(),
            ..Actor::default()
        };
        let mut chain = Chain::default();
        (0..length)
            .map(|n| {
                let entry = Entry {
                    latency: Some(Duration::from_millis(n as u64)),
                    file: Some(ArchivedFile {
                        media_host: Some("media.example".to_owned()),
                        ..ArchivedFile::sample("k.wav")
                    }),
                    error: Some("called +15555550100".into()),
                    ..Entry::new(Action::ArchiveStored, "archived", "wav")
                };
                let now = Timestamp::from_second(1_768_472_430 + n as i64).unwrap();
                let (item, next) = chain.append(&of, &entry, &actor, now);
                chain = next;
                item
            })
            .collect()
    }

    #[test]
    fn an_event_reads_as_documented() {
        let item = &chain_of(1)[0];
        let expected = json!({
            "interactionId": "c0000000-0000-4000-8000-000000000001",
            "eventId": "2026-01-15T10:20:30.000000Z#e0000000-0000-4000-8000-000000000101#000001",
            "timestamp": "2026-01-15T10:20:30.000000Z",
            "recordingId": "e0000000-0000-4000-8000-000000000101",
            "action": "archive.stored", "status": "archived", "format": "wav",
            "actor": {"source": "direct", "requestId": "r", "functionVersion": ""},
            "seq": 1, "prevEventHash": "0".repeat(64), "latencyMs": 0, "sizeBytes": 7, "hash": "ab".repeat(32),
            "archiveKey": "s3://archive/k.wav", "mediaHost": "media.example", "attemptId": "00000000-0000-0000-0000-000000000000",
            "error": "called [redacted]",
            "eventHash": event_hash(item),
        });
        assert_eq!(Value::Object(item.clone()), expected);
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
            let names: Vec<String> = events[event].keys().cloned().collect();
            let name = field.get(&names);
            if drop {
                events[event].remove(name);
            } else {
                let changed = match &events[event][name] {
                    Value::Number(n) => json!(n.as_u64().unwrap() + 1),
                    Value::Object(_) => json!({"source": "sqs"}),
                    other => json!(format!("{}x", other.as_str().unwrap())),
                };
                events[event].insert(name.clone(), changed);
            }
            prop_assert!(verify(&events).is_err(), "{name} of event {event}");
        }
    }
}
