//! Object keys from the template `S3_KEY_TEMPLATE`. The same parts always give the same key.

use jiff::Timestamp;

use super::recording::{RecordingRef, Segment};

/// The template of object keys.
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

/// The parts of a key.
#[derive(Debug, Clone, Copy)]
pub struct KeyParts<'a> {
    /// The recording that the file belongs to.
    pub recording: RecordingRef,
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
    /// Reads a template. The error names the fault.
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

    /// Returns whether two recordings of one conversation get different keys.
    pub fn tells_recordings_apart(&self) -> bool {
        self.has(Field::RecordingId)
    }

    /// Returns whether two conversations get different keys.
    pub fn tells_conversations_apart(&self) -> bool {
        self.has(Field::RecordingId) || self.has(Field::InteractionId)
    }

    /// Returns the text that every key begins with.
    pub fn prefix(&self) -> &str {
        match self.0.first() {
            Some(Piece::Text(text)) => text,
            Some(Piece::Field(_)) | None => "",
        }
    }

    fn has(&self, field: Field) -> bool {
        self.0.contains(&Piece::Field(field))
    }

    /// Returns the key of a file. A retry gets the key of the first attempt, as the same parts always give the same
    /// key.
    pub fn key(&self, parts: KeyParts<'_>) -> String {
        let start = parts.start;
        // The part that differs between the files of one recording.
        let mut suffix = parts
            .channel
            .map_or_else(String::new, |channel| format!("-{channel}"));
        if let Some(Segment { start, end }) = parts.recording.segment {
            suffix = format!("-{start}-{end}{suffix}");
        }
        let mut key = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => key.push_str(text),
                Piece::Field(Field::InteractionId) => key.push_str(&parts.recording.conversation.to_string()),
                Piece::Field(Field::RecordingId) => {
                    key.push_str(
                        &parts
                            .recording
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
            // Two files must not get one key because the template lacks {channel}.
            let file = key.rfind('/').map_or(0, |slash| slash + 1);
            let dot = key[file..].rfind('.').map_or(key.len(), |dot| file + dot);
            key.insert_str(dot, &suffix);
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::recording::{ConversationId, RecordingId};

    fn parts(channel: Option<u32>, segment: Option<Segment>) -> KeyParts<'static> {
        KeyParts {
            recording: RecordingRef {
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

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,80}") {
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
