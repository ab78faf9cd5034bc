//! Identities: conversations, recordings, and where a file of one lies. Parsed at the edge, trusted after.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::format::Format;

/// Why a text is not an id. Displays as a sentence that can follow the field's name.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConversationId(Uuid);

impl ConversationId {
    /// Reads the hyphenated form; anything else never gets near a URL or a key.
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
    /// Reads the hyphenated form; anything else never gets near a URL or a key.
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

/// What one ledger record and one audit chain are about: a recording, or a segment cut out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordingRef {
    /// The conversation it belongs to.
    pub conversation: ConversationId,
    /// The recording; `None` for what concerns the conversation as a whole.
    pub recording: Option<RecordingId>,
    /// A segment is archived as a thing of its own, so that it never passes for the whole recording.
    pub segment: Option<Segment>,
}

impl RecordingRef {
    /// The `recordingId` of ledger and audit: the id, `-` for the conversation as a whole, and
    /// `id#start-end` for a segment.
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
        write!(
            f,
            "recording {} of conversation {}",
            self.recording_key(),
            self.conversation
        )
    }
}

/// One file of an archived recording, as ledger, audit, webhook and summary name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedFile {
    /// `s3://bucket/key`.
    pub archive_key: String,
    /// SHA-256 of the object's bytes, in lower-case hex.
    pub sha256: String,
    /// Length in bytes.
    pub size_bytes: u64,
    /// The attempt that wrote it: also in the object's metadata, which proves whose object lies there.
    pub attempt_id: Uuid,
    /// `None` for the only file of a recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<u32>,
    /// CRC64NVME of the object's bytes in base64, as S3 reports it; only for multipart uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
}

impl ArchivedFile {
    /// Bucket and key.
    pub fn location(&self) -> (&str, &str) {
        self.archive_key
            .strip_prefix("s3://")
            .and_then(|rest| rest.split_once('/'))
            .unwrap_or(("", ""))
    }
}

/// Turns the key template into keys. See contract section 4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTemplate(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    InteractionId,
    RecordingId,
    Channel,
    Ext,
    Year,
    Month,
    Day,
    Hour,
    Region,
}

const FIELDS: [(&str, Field); 9] = [
    ("interactionId", Field::InteractionId),
    ("recordingId", Field::RecordingId),
    ("channel", Field::Channel),
    ("ext", Field::Ext),
    ("year", Field::Year),
    ("month", Field::Month),
    ("day", Field::Day),
    ("hour", Field::Hour),
    ("region", Field::Region),
];

/// What a key is made of.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// What the file belongs to.
    pub of: RecordingRef,
    /// `None` for the only file of a recording.
    pub channel: Option<u32>,
    /// File extension without the dot.
    pub extension: &'a str,
    /// Start of the recording.
    pub start: Timestamp,
    /// Region of the Genesys organisation.
    pub region: &'a str,
}

/// S3's limit on a key: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.
const LONGEST_TEMPLATE: usize = 512;

impl KeyTemplate {
    /// Reads a template; the error says what is wrong with it and what it may hold.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            if rest[open..].starts_with('}') {
                return Err("has a } without its {".to_owned());
            }
            let Some(length) = rest[open..].find('}') else {
                return Err("has a { without its }".to_owned());
            };
            let name = &rest[open + 1..open + length];
            let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
                return Err(format!(
                    "has the unknown placeholder {{{}}}",
                    crate::redact::clip(name)
                ));
            };
            if open > 0 {
                pieces.push(Piece::Text(rest[..open].to_owned()));
            }
            pieces.push(Piece::Field(*field));
            rest = &rest[open + length + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        let template = Self(pieces);
        if text.len() > LONGEST_TEMPLATE {
            return Err(format!(
                "is {} bytes long; the limit is {LONGEST_TEMPLATE}",
                text.len()
            ));
        }
        if text.starts_with('/')
            || text.contains("//")
            || text.split('/').any(|part| part == "." || part == "..")
        {
            return Err("must not start with / nor hold //, . or .. as a folder".to_owned());
        }
        if let Some(odd) = text
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || "!-_.*'()/{}=+@,:$ ".contains(*c)))
        {
            return Err(format!(
                "holds the character {odd:?}, which is not safe in an object key"
            ));
        }
        Ok(template)
    }

    /// Whether two recordings of one conversation get different keys.
    pub fn tells_recordings_apart(&self) -> bool {
        self.has(Field::RecordingId)
    }

    /// Whether two conversations get different keys.
    pub fn tells_conversations_apart(&self) -> bool {
        self.has(Field::RecordingId) || self.has(Field::InteractionId)
    }

    fn has(&self, field: Field) -> bool {
        self.0.contains(&Piece::Field(field))
    }

    /// The key of one file: the same parts always give the same key, so a retry lands where the first try did.
    pub fn key(&self, parts: KeyParts<'_>) -> String {
        let start = parts.start;
        // What sets this file apart from the others of the same recording.
        let mut suffix = parts
            .channel
            .map_or_else(String::new, |channel| format!("-{channel}"));
        if let Some(Segment { start, end }) = parts.of.segment {
            suffix = format!("-{start}-{end}{suffix}");
        }
        let mut key = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => key.push_str(text),
                Piece::Field(Field::InteractionId) => key.push_str(&parts.of.conversation.to_string()),
                Piece::Field(Field::RecordingId) => {
                    key.push_str(
                        &parts
                            .of
                            .recording
                            .map_or_else(|| "-".to_owned(), |id| id.to_string()),
                    );
                }
                Piece::Field(Field::Channel) => key.push_str(&suffix),
                Piece::Field(Field::Ext) => key.push_str(parts.extension),
                Piece::Field(Field::Year) => key.push_str(&start.strftime("%Y").to_string()),
                Piece::Field(Field::Month) => key.push_str(&start.strftime("%m").to_string()),
                Piece::Field(Field::Day) => key.push_str(&start.strftime("%d").to_string()),
                Piece::Field(Field::Hour) => key.push_str(&start.strftime("%H").to_string()),
                Piece::Field(Field::Region) => key.push_str(parts.region),
            }
        }
        if !suffix.is_empty() && !self.has(Field::Channel) {
            // A template that forgot {channel} must not make two files fight for one key.
            let file = key.rfind('/').map_or(0, |slash| slash + 1);
            let dot = key[file..].rfind('.').map_or(key.len(), |dot| file + dot);
            key.insert_str(dot, &suffix);
        }
        key
    }
}

/// The file extension and content type that the archive gives a file of this format, when its first bytes are known.
pub fn file_type(format: Option<Format>, head: &[u8], declared: Option<&str>) -> (String, String) {
    let sniffed = super::format::sniff(head);
    let by_format = format.and_then(|f| Some((f.extension()?, f.content_type()?)));
    let (extension, content_type) = by_format
        .or(sniffed)
        .unwrap_or(("bin", "application/octet-stream"));
    match (by_format, declared) {
        // Genesys' own word is the best one where the request did not decide the type.
        (None, Some(declared)) if !declared.is_empty() && declared != "application/octet-stream" => {
            let extension = match (sniffed, declared) {
                (Some((extension, _)), _) => extension,
                (None, "message/rfc822") => "eml",
                _ => extension,
            };
            (extension.to_owned(), declared.to_owned())
        }
        _ => (extension.to_owned(), content_type.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(channel: Option<u32>, segment: Option<Segment>) -> KeyParts<'static> {
        KeyParts {
            of: RecordingRef {
                conversation: ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap(),
                recording: Some(RecordingId::parse("e0000000-0000-4000-8000-000000000101").unwrap()),
                segment,
            },
            channel,
            extension: "wav",
            start: "2026-01-05T23:59:59.9Z".parse().unwrap(),
            region: "eu-central-1",
        }
    }

    #[test]
    fn the_default_template_names_conversation_recording_and_channel() {
        let template = KeyTemplate::parse("recordings/{interactionId}/{recordingId}{channel}.{ext}").unwrap();
        let stem = "recordings/c0000000-0000-4000-8000-000000000001/e0000000-0000-4000-8000-000000000101";
        assert_eq!(template.key(parts(None, None)), format!("{stem}.wav"));
        assert_eq!(template.key(parts(Some(1), None)), format!("{stem}-1.wav"));
        let segment = Some(Segment {
            start: 1000,
            end: 3000,
        });
        assert_eq!(
            template.key(parts(None, segment)),
            format!("{stem}-1000-3000.wav")
        );
    }

    #[test]
    fn dates_are_those_of_the_recording_in_utc() {
        let template = KeyTemplate::parse("{region}/{year}/{month}/{day}/{hour}/{recordingId}").unwrap();
        let key = template.key(parts(None, None));
        assert_eq!(
            key,
            "eu-central-1/2026/01/05/23/e0000000-0000-4000-8000-000000000101"
        );
    }

    #[test]
    fn two_channels_never_share_a_key_even_without_the_placeholder() {
        let template = KeyTemplate::parse("a.b/{recordingId}.{ext}").unwrap();
        assert_eq!(
            template.key(parts(Some(0), None)),
            "a.b/e0000000-0000-4000-8000-000000000101-0.wav"
        );
        let template = KeyTemplate::parse("a.b/{recordingId}").unwrap();
        assert_eq!(
            template.key(parts(Some(1), None)),
            "a.b/e0000000-0000-4000-8000-000000000101-1"
        );
    }

    #[test]
    fn bad_templates_are_refused_with_their_fault() {
        for (text, fault) in [
            ("{recordingId", "{ without its }"),
            ("recordingId}", "} without its {"),
            ("{recording}", "unknown placeholder {recording}"),
            ("/{recordingId}", "must not start with /"),
            ("a//{recordingId}", "must not start with /"),
            ("a/../{recordingId}", "must not start with /"),
            ("ä/{recordingId}", "'ä'"),
            ("a?{recordingId}", "'?'"),
        ] {
            let error = KeyTemplate::parse(text).unwrap_err();
            assert!(error.contains(fault), "{text}: {error}");
        }
    }

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

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
            let _ = ConversationId::parse(&text);
            let _ = KeyTemplate::parse(&text);
        }

        #[test]
        fn an_accepted_template_never_leaves_its_folder(text in "[a-z{}/.=I]{0,60}") {
            if let Ok(template) = KeyTemplate::parse(&text) {
                let key = template.key(parts(Some(1), None));
                prop_assert!(!key.starts_with('/'));
                prop_assert!(key.split('/').all(|part| part != ".."));
            }
        }
    }
}
