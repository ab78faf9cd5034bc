//! The call record: what Genesys knew of a conversation when it settled, kept beside its recordings.
//!
//! Pure. The same details, names and recordings always give the same bytes, so that a repeated attempt writes the same
//! object.

mod facts;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::annotations::Annotation;
use super::bulk::LANE;
use super::record::Record;
use super::recording::{ArchiveKey, ArchivedFile, ConversationId};
use super::state::State;

pub use facts::{Facet, Facts, may_be_id};

/// `schema` of a call record.
pub const SCHEMA: &str = "genesys-recording-archiver/call";
/// `version` of the records that are written.
pub const VERSION: u32 = 1;
/// `Content-Type` of the object.
pub const CONTENT_TYPE: &str = "application/json";
/// `format` of the file, in ledger and audit.
pub const FORMAT: &str = "json";

/// What is kept of a call: `CALL_RECORD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Nothing: there is no call record.
    Off,
    /// Everything but the attributes of participants.
    Standard,
    /// Everything.
    Full,
}

impl Extent {
    /// Reads the value of the variable.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "standard" => Some(Self::Standard),
            "full" => Some(Self::Full),
            _ => None,
        }
    }
}

/// Names of the ids in a call, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Names {
    /// Of users.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, String>,
    /// Of queues.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub queues: BTreeMap<String, String>,
    /// Of wrap-up codes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wrap_up_codes: BTreeMap<String, String>,
    /// Of divisions.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub divisions: BTreeMap<String, String>,
    /// Why names of a kind (`users`, `queues`, `wrapUpCodes`, `divisions`) are missing: `denied` or `unavailable`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
}

/// A call record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecord {
    /// [`SCHEMA`].
    pub schema: String,
    /// [`VERSION`].
    pub version: u32,
    /// The conversation.
    pub interaction_id: String,
    /// 1 for the first record of the conversation.
    pub number: u32,
    /// The proof that nothing more can come: `details`, `listing` or `bulk`.
    pub settled_by: String,
    /// The conversation's details as Genesys gave them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Why there are no details: `denied`, `too_long` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details_missing: Option<String>,
    /// The names of the ids in the details.
    #[serde(default)]
    pub names: Names,
    /// The recordings, by id.
    pub recordings: Vec<CallRecording>,
}

/// A recording, as the call record names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRecording {
    /// Its id.
    pub recording_id: String,
    /// Its state in the ledger.
    pub state: State,
    /// Its kind, if the last list of recordings said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// When it began, if that list said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it ended, if that list said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    /// When it was archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// Its files.
    pub files: Vec<CallFile>,
    /// Its pauses and holds; `None`: not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<Annotation>>,
    /// Number of pauses and holds that are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_omitted: Option<usize>,
    /// Why there are no pauses and holds: `not_asked`, as a batch download gave the files. Its start and end are then
    /// those of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_missing: Option<String>,
}

/// A file of a recording, as the call record names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallFile {
    /// The place of the object.
    pub archive_key: ArchiveKey,
    /// SHA-256 of its bytes, in lower-case hex.
    pub sha256: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The format asked for.
    pub format: String,
    /// `None` for the only file of a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u32>,
}

/// What the last list of recordings said of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub recording_id: String,
    /// Its kind.
    pub media: String,
    /// When it began.
    pub start: Option<Timestamp>,
    /// When it ended.
    pub end: Option<Timestamp>,
}

/// Most bytes of pauses and holds that a call record keeps, of all of its recordings together.
const MOST_ANNOTATIONS: usize = 4 * 1024 * 1024;

impl CallRecord {
    /// Makes the record of a conversation that was settled by `proof`, without details and recordings.
    pub fn new(conversation: ConversationId, proof: &str) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            interaction_id: conversation.to_string(),
            number: 1,
            settled_by: proof.to_owned(),
            details: None,
            details_missing: None,
            names: Names::default(),
            recordings: Vec::new(),
        }
    }

    /// Adds the recordings of which the ledger has these records and the last list said this, and makes it the record
    /// number `number` of its conversation.
    #[must_use]
    pub fn with_recordings(mut self, number: u32, records: &[Record], told: &[Told]) -> Self {
        let mut room = MOST_ANNOTATIONS;
        let recordings = records.iter().filter(|record| record.recording_id != "-");
        self.recordings = recordings
            .map(|record| CallRecording::new(record, told, &mut room))
            .collect();
        self.recordings
            .sort_by(|one, other| one.recording_id.cmp(&other.recording_id));
        self.number = number;
        self
    }

    /// Adds the details as Genesys gave them, without the attributes of participants where `extent` leaves those out.
    #[must_use]
    pub fn with_details(mut self, given: &str, extent: Extent) -> Self {
        let mut details: Option<Value> = serde_json::from_str(given).ok();
        if extent != Extent::Full
            && let Some(participants) = details
                .as_mut()
                .and_then(|details| details.get_mut("participants")?.as_array_mut())
        {
            for participant in participants.iter_mut().filter_map(Value::as_object_mut) {
                participant.remove("attributes");
                participant.remove("participantAttributes");
            }
        }
        self.details = details;
        self
    }

    /// Returns the recordings that are archived.
    pub fn archived(&self) -> impl Iterator<Item = &CallRecording> {
        let archived = |state| matches!(state, State::Archived | State::Notified);
        self.recordings
            .iter()
            .filter(move |recording| archived(recording.state))
    }

    /// Returns its canonical JSON: keys sorted, no spaces.
    pub fn bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        // A value's maps are sorted, a struct's fields are not.
        serde_json::to_vec(&serde_json::to_value(self)?)
    }

    /// Reads the bytes of a call record. A later version may have more fields, which do no harm.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let record: Self = serde_json::from_slice(bytes).map_err(|error| {
            format!(
                "cannot be read at line {}, column {}",
                error.line(),
                error.column()
            )
        })?;
        if record.schema != SCHEMA || record.version > VERSION {
            let (schema, version) = (crate::redact::quote(&record.schema), record.version);
            return Err(format!(
                "has the schema {schema}, version {version}; known: {SCHEMA:?} up to version {VERSION}"
            ));
        }
        Ok(record)
    }
}

impl CallRecording {
    fn new(record: &Record, told: &[Told], room: &mut usize) -> Self {
        let told = told.iter().find(|told| told.recording_id == record.recording_id);
        let mut omitted = record.annotations_omitted;
        let mut annotations = record.annotations.clone();
        let length = annotations
            .as_ref()
            .and_then(|kept| serde_json::to_vec(kept).ok())
            .map_or(0, |json| json.len());
        match room.checked_sub(length) {
            Some(left) => *room = left,
            None => {
                let left_out = annotations.take().map_or(0, |kept| kept.len());
                omitted = Some(omitted.unwrap_or_default() + left_out);
            }
        }
        Self {
            recording_id: record.recording_id.clone(),
            // Whether a receiver was told by now is no property of the call.
            state: match record.state {
                State::Notified => State::Archived,
                state => state,
            },
            media: told.map(|told| told.media.clone()),
            start: told.and_then(|told| told.start),
            end: told.and_then(|told| told.end),
            archived_at: record.archived_at,
            files: match record.is_archived() {
                true => record.files.iter().map(CallFile::of).collect(),
                false => Vec::new(),
            },
            annotations_missing: (annotations.is_none() && is_of_batch(record))
                .then(|| "not_asked".to_owned()),
            annotations,
            annotations_omitted: omitted,
        }
    }
}

/// Checks whether a batch download gave the files of a recording.
fn is_of_batch(record: &Record) -> bool {
    let lanes = record
        .files
        .iter()
        .map(|file| file.stored_as.as_ref()?.lane.as_deref());
    lanes.into_iter().any(|lane| lane == Some(LANE))
}

impl CallFile {
    fn of(file: &ArchivedFile) -> Self {
        Self {
            archive_key: file.archive_key.clone(),
            sha256: file.sha256.clone(),
            size_bytes: file.size_bytes,
            format: file.format.clone(),
            channel: file.channel,
        }
    }
}

/// Returns the key of a conversation's call record: beside its recordings where their keys begin with the
/// conversation's id.
pub fn key(prefix: &str, conversation: ConversationId, number: u32) -> String {
    match number {
        0 | 1 => format!("{prefix}{conversation}/call.json"),
        number => format!("{prefix}{conversation}/call-{number}.json"),
    }
}

#[cfg(test)]
mod tests;
