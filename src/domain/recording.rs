//! Identities: conversations, recordings and their archived files. Parsed at the edge, trusted after.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The error of a text that is not an id. Displays as a sentence that can follow the field's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID such as c0000000-0000-4000-8000-000000000001, but is {found}")]
pub struct NotAnId {
    found: String,
}

fn parse_uuid(text: &str) -> Result<Uuid, NotAnId> {
    // Only the hyphenated form: the others that `uuid` reads (urn:, braces, no hyphens) are not what Genesys writes.
    let uuid = (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten();
    uuid.ok_or_else(|| NotAnId {
        found: crate::redact::quote(text),
    })
}

/// A Genesys conversation id ("interaction id" in the older wording).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConversationId(Uuid);

impl ConversationId {
    /// Reads the hyphenated form, the only one that may appear in a URL or a key.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        parse_uuid(text).map(Self)
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A Genesys recording id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(Uuid);

impl RecordingId {
    /// Reads the hyphenated form, the only one that may appear in a URL or a key.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        parse_uuid(text).map(Self)
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A cut out of a recording, in milliseconds from its start; only the tutorial's API can cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Segment {
    /// First millisecond.
    pub start: u64,
    /// First millisecond after the segment.
    pub end: u64,
}

/// The subject of a ledger record and its audit chain: a recording, a segment of it, or a conversation as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordingRef {
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The recording; `None` for the conversation as a whole.
    pub recording: Option<RecordingId>,
    /// The segment, which is archived on its own, so that it is never taken for the whole recording.
    pub segment: Option<Segment>,
}

impl RecordingRef {
    /// Names a conversation as a whole.
    pub fn whole(conversation: ConversationId) -> Self {
        Self {
            conversation,
            recording: None,
            segment: None,
        }
    }

    /// Reads the `recordingId` of ledger and audit; `None` for a text that [`Self::recording_key`] does not write.
    pub fn of_key(conversation: ConversationId, key: &str) -> Option<Self> {
        if key == "-" {
            return Some(Self::whole(conversation));
        }
        let (id, segment) = match key.split_once('#') {
            None => (key, None),
            Some((id, cut)) => {
                let (start, end) = cut.split_once('-')?;
                let (start, end) = (start.parse().ok()?, end.parse().ok()?);
                (id, Some(Segment { start, end }))
            }
        };
        let read = Self {
            conversation,
            recording: Some(RecordingId::parse(id).ok()?),
            segment,
        };
        (read.recording_key() == key).then_some(read)
    }

    /// Returns the `recordingId` of ledger and audit: the id, `-` for the conversation as a whole, or `id#start-end`
    /// for a segment.
    pub fn recording_key(&self) -> String {
        match (self.recording, self.segment) {
            (None, _) => "-".to_owned(),
            (Some(id), None) => id.to_string(),
            (Some(id), Some(Segment { start, end })) => format!("{id}#{start}-{end}"),
        }
    }
}

impl fmt::Display for RecordingRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conversation = self.conversation;
        match self.recording {
            None => write!(f, "conversation {conversation}"),
            Some(_) => write!(
                f,
                "recording {} of conversation {conversation}",
                self.recording_key()
            ),
        }
    }
}

/// The place of an archived object. Shown, stored and read as `s3://bucket/key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ArchiveKey {
    /// The bucket.
    pub bucket: String,
    /// The object's key in it.
    pub key: String,
}

/// The error of a text that is not the place of an archived object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be s3://BUCKET/KEY, but is {found}")]
pub struct NotAnArchiveKey {
    found: String,
}

impl ArchiveKey {
    /// Reads `s3://bucket/key`.
    pub fn parse(text: &str) -> Result<Self, NotAnArchiveKey> {
        let place = text
            .strip_prefix("s3://")
            .and_then(|place| place.split_once('/'))
            .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
        match place {
            Some((bucket, key)) => Ok(Self {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            }),
            None => Err(NotAnArchiveKey {
                found: crate::redact::quote(text),
            }),
        }
    }
}

impl fmt::Display for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl TryFrom<String> for ArchiveKey {
    type Error = NotAnArchiveKey;

    fn try_from(text: String) -> Result<Self, NotAnArchiveKey> {
        Self::parse(&text)
    }
}

impl From<ArchiveKey> for String {
    fn from(place: ArchiveKey) -> Self {
        place.to_string()
    }
}

/// What an object in the archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A file of a recording.
    Recording,
    /// The call record of a conversation. Its tag keeps it out of transitions to colder storage.
    CallRecord,
}

impl ObjectKind {
    /// Returns the value of the tag `compliance`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Recording => "archive",
            Self::CallRecord => "call-record",
        }
    }
}

/// One file of an archived recording, as ledger, audit, webhook and summary name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedFile {
    /// The place of the object.
    pub archive_key: ArchiveKey,
    /// SHA-256 of the object's bytes, in lower-case hex.
    pub sha256: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// The format asked for when it was downloaded.
    pub format: String,
    /// The attempt that wrote it: also in the object's metadata, which proves whose object lies there.
    pub attempt_id: Uuid,
    /// `None` for the only file of a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u32>,
    /// The number of the file among the consecutive files of a screen recording, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// The name of that part at Genesys, if it is not its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_name: Option<String>,
    /// The format of the bytes, if it is not the format asked for; `unknown` if no known one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_found: Option<String>,
    /// CRC64NVME of the object's bytes in base64, as S3 reports it; only for multipart uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
    /// The host that its bytes came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_host: Option<String>,
    /// What S3 was told to keep beside the bytes, and what it answered; absent in files of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_as: Option<StoredAs>,
}

/// How an object was stored, beside its bytes. With the file it says all user metadata and tags. The attributes of the
/// audit event `archive.stored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredAs {
    /// The metadata `archived-at`.
    pub archived_at: Timestamp,
    /// It was sent in parts, before its digest was known, so the metadata does not name that.
    #[serde(default, skip_serializing_if = "is_false")]
    pub multipart: bool,
    /// The metadata `lane`: `bulk` where a batch download gave the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// What S3 was told to keep, and what it answered.
    #[serde(flatten)]
    pub kept: Kept,
}

/// What S3 keeps of an object beside its bytes, metadata and tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// `Content-Type`.
    pub content_type: String,
    /// Storage class.
    pub storage_class: String,
    /// Mode of the lock; absent: not locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_mode: Option<String>,
    /// End of the lock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain_until: Option<Timestamp>,
    /// What S3 answered.
    #[serde(flatten)]
    pub answer: StoreAnswer,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// What S3 says of an object that it made visible.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreAnswer {
    /// Its version; absent where the bucket keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// Its encryption at rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<String>,
    /// The KMS key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key_id: Option<String>,
}

impl ArchivedFile {
    /// Adds what S3 answered.
    #[must_use]
    pub fn answered(mut self, answer: StoreAnswer) -> Self {
        if let Some(stored) = &mut self.stored_as {
            stored.kept.answer = answer;
        }
        self
    }
}

#[cfg(test)]
impl ArchivedFile {
    /// Returns a file of 7 bytes under this key, for the tests of other modules.
    pub(crate) fn sample(key: &str) -> Self {
        Self {
            archive_key: ArchiveKey {
                bucket: "archive".to_owned(),
                key: key.to_owned(),
            },
            sha256: "ab".repeat(32),
            size_bytes: 7,
            format: "wav".to_owned(),
            attempt_id: Uuid::nil(),
            channel: None,
            part: None,
            part_name: None,
            format_found: None,
            crc64nvme: None,
            media_host: None,
            stored_as: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_that_are_not_plain_uuids_are_refused_without_being_echoed_at_length() {
        for bad in [
            "",
            "../../etc/passwd",
            "%2e%2e%2f",
            "c0000000000040008000000000000001",
            "urn:uuid:c0000000-0000-4000-8000-000000000001",
            "{c0000000-0000-4000-8000-000000000001}",
            "c0000000-0000-4000-8000-00000000000g",
            "ｃ0000000-0000-4000-8000-000000000001",
        ] {
            assert!(ConversationId::parse(bad).is_err(), "{bad}");
        }
        let long = "a".repeat(10_000);
        assert!(RecordingId::parse(&long).unwrap_err().to_string().len() < 500);
        let upper = ConversationId::parse("C0000000-0000-4000-8000-00000000000A").unwrap();
        assert_eq!(
            upper.to_string(),
            "c0000000-0000-4000-8000-00000000000a",
            "one identity, one spelling"
        );
    }

    #[test]
    fn a_text_that_names_no_bucket_or_no_key_is_no_archive_key() {
        for bad in [
            "",
            "s3://",
            "s3://calls",
            "s3://calls/",
            "s3:///key",
            "https://calls/key",
            "calls/key",
        ] {
            let error = ArchiveKey::parse(bad).unwrap_err().to_string();
            assert_eq!(error, format!("must be s3://BUCKET/KEY, but is {bad:?}"));
        }
    }

    proptest! {
        #[test]
        fn an_archive_key_is_read_as_it_is_shown(bucket in "[a-z0-9.-]{3,63}", key in ".{1,100}") {
            let place = ArchiveKey { bucket, key };
            prop_assert_eq!(ArchiveKey::parse(&place.to_string()), Ok(place.clone()));
            let json = serde_json::to_value(&place).unwrap();
            prop_assert_eq!(&json, &serde_json::json!(place.to_string()));
            prop_assert_eq!(serde_json::from_value::<ArchiveKey>(json).unwrap(), place);
        }

        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = ConversationId::parse(&text);
            let _ = RecordingId::parse(&text);
        }
    }
}
