//! Records of the audit table's stream, as leaves.
//!
//! Pure. An event that was added intact is its `eventHash`. Whatever else happened to the table becomes a record of its
//! own, kept in the log's bucket, and its SHA-256 the leaf: no record is refused, as one that is would stop the stream.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Sealer;
use crate::domain::audit::AuditEvent;
use crate::error::Error;
use crate::seal::batch::Via;
use crate::seal::{Entry, layout};

/// Name and version of the record.
const SCHEMA: &str = "recording-archiver/tampering/1";

/// The leaf of one record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The content of the leaf.
    pub entry: Entry,
    /// What the leaf stands for, unless it is an intact event.
    pub tampering: Option<Tampering>,
}

/// A change of the audit table that no archiver makes: an item that was changed or removed, or added without a hash
/// that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tampering {
    schema: String,
    /// `INSERT`, `MODIFY` or `REMOVE`.
    pub event_name: String,
    /// The key of the item, as DynamoDB writes it in JSON.
    pub keys: Value,
    /// Place of the record in the stream.
    pub sequence_number: String,
    /// When DynamoDB made the change, to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The item before the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Image>,
    /// The item after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Image>,
}

/// An item, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// SHA-256 of the item's canonical JSON (keys sorted, no spaces), as DynamoDB writes it with the types of values.
    pub sha256: String,
    /// Its attribute `eventHash`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_hash: Option<String>,
}

/// What became of the records of one delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Leaves that the log gained.
    pub sealed: u64,
    /// What was done to the table that no archiver does, whether it was sealed now or before.
    pub tampering: Vec<Tampering>,
}

impl Leaf {
    /// Returns the leaf of a record, as Lambda hands it over. Never fails: a record that is none becomes a leaf as
    /// well.
    pub fn of(record: &Value) -> Self {
        let intact = (record["eventName"] == "INSERT")
            .then(|| event(&record["dynamodb"]["NewImage"])?.intact_hash())
            .flatten();
        match intact.and_then(|hash| hash.parse().ok()) {
            Some(entry) => Self {
                entry,
                tampering: None,
            },
            None => {
                let tampering = Tampering::of(record);
                Self {
                    entry: Entry::of_record(&tampering.to_bytes()),
                    tampering: Some(tampering),
                }
            }
        }
    }
}

/// Reads an item in DynamoDB's JSON as an event.
fn event(image: &Value) -> Option<AuditEvent> {
    let item = serde_dynamo::Item::deserialize(image).ok()?;
    serde_dynamo::from_item(item).ok()
}

impl Tampering {
    fn of(record: &Value) -> Self {
        let change = &record["dynamodb"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        // Lambda writes seconds, with or without a fraction.
        let seconds = change["ApproximateCreationDateTime"].as_f64();
        #[expect(clippy::cast_possible_truncation, reason = "seconds, whole")]
        let at = seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        Self {
            schema: SCHEMA.to_owned(),
            event_name: text(&record["eventName"]),
            keys: change["Keys"].clone(),
            sequence_number: text(&change["SequenceNumber"]),
            at,
            before: Image::of(&change["OldImage"]),
            after: Image::of(&change["NewImage"]),
        }
    }

    /// Returns the record as it is kept: JSON in one line.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A struct of texts and JSON always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a record; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let tampering: Self = serde_json::from_slice(bytes).ok()?;
        (tampering.schema == SCHEMA).then_some(tampering)
    }

    /// Returns an attribute of the item's key that is a text.
    pub fn key(&self, name: &str) -> Option<&str> {
        self.keys[name]["S"].as_str()
    }
}

impl Image {
    fn of(image: &Value) -> Option<Self> {
        (!image.is_null()).then(|| Self {
            sha256: hex::encode(Sha256::digest(image.to_string())),
            event_hash: image["eventHash"]["S"].as_str().map(str::to_owned),
        })
    }
}

impl Sealer {
    /// Seals the records of one delivery of the stream, and keeps the record of each tampering before its leaf.
    pub async fn deliver(&self, records: &[Value]) -> Result<Delivered, Error> {
        let leaves: Vec<Leaf> = records.iter().map(Leaf::of).collect();
        for leaf in &leaves {
            if let Some(tampering) = &leaf.tampering {
                self.log()
                    .put(&layout::record(&leaf.entry), tampering.to_bytes())
                    .await?;
            }
        }
        let entries: Vec<Entry> = leaves.iter().map(|leaf| leaf.entry).collect();
        Ok(Delivered {
            sealed: self.seal(&entries, Via::Stream).await?,
            tampering: leaves.into_iter().filter_map(|leaf| leaf.tampering).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::audit::{Action, Actor, Chain};
    use crate::domain::recording::{ConversationId, RecordingRef};
    use crate::domain::state::State;

    fn image() -> Value {
        let conversation = ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap();
        let of = RecordingRef {
            conversation,
            recording: None,
            segment: None,
        };
        let event = AuditEvent::new(Action::DownloadInitiated, State::Claimed, "wav");
        let now = "2026-11-27T15:44:36Z".parse().unwrap();
        let (event, _) = Chain::default().append(&of, event, &Actor::default(), now);
        let item: serde_dynamo::Item = serde_dynamo::to_item(event).unwrap();
        serde_json::to_value(item).unwrap()
    }

    fn record(name: &str, change: Value) -> Value {
        let mut record = json!({"eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change});
        let change = &mut record["dynamodb"];
        change["Keys"] = json!({"interactionId": {"S": "c"}, "eventId": {"S": "e"}});
        change["SequenceNumber"] = json!("1405400000000002063282832");
        change["ApproximateCreationDateTime"] = json!(1.795_794_276e9);
        record
    }

    #[test]
    fn an_event_that_was_added_intact_is_its_own_hash() {
        let image = image();
        let leaf = Leaf::of(&record("INSERT", json!({"NewImage": image})));
        assert_eq!(leaf.tampering, None);
        assert_eq!(image["eventHash"]["S"], leaf.entry.to_string());
    }

    #[test]
    fn whatever_else_happens_to_the_table_is_a_record_without_the_item() {
        let (image, mut changed) = (image(), image());
        changed["status"] = json!({"S": "archived"});
        let mut bare = image.clone();
        bare.as_object_mut().unwrap().remove("eventHash");
        for (name, change) in [
            ("MODIFY", json!({"OldImage": image, "NewImage": changed})),
            ("REMOVE", json!({"OldImage": image})),
            ("INSERT", json!({"NewImage": changed})),
            ("INSERT", json!({"NewImage": bare})),
            ("INSERT", json!({"NewImage": {"binary": {"B": "AAAA"}}})),
            ("INSERT", json!({"NewImage": {"odd": 7}})),
            ("UPSERT", json!({})),
        ] {
            let record = record(name, change);
            let leaf = Leaf::of(&record);
            let tampering = leaf.tampering.unwrap();
            let bytes = tampering.to_bytes();
            assert_eq!(leaf.entry, Entry::of_record(&bytes));
            assert_eq!(Tampering::from_bytes(&bytes), Some(tampering.clone()));
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("download.initiated"), "{text}");
            assert_eq!(tampering.event_name, name);
            assert_eq!(tampering.key("eventId"), Some("e"));
            assert_eq!(
                tampering.before.is_some(),
                !record["dynamodb"]["OldImage"].is_null()
            );
            assert_eq!(tampering.at, Some("2026-11-27T15:44:36Z".parse().unwrap()));
        }
    }

    #[test]
    fn no_record_is_refused() {
        for record in [
            json!(null),
            json!(7),
            json!({"dynamodb": []}),
            json!({"eventName": ["INSERT"]}),
        ] {
            assert!(Leaf::of(&record).tampering.is_some(), "{record}");
        }
    }
}
