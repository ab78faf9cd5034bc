//! A job: a request to archive a conversation, or a recording of it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::Origin;
use super::format::Format;
use super::recording::{ConversationId, RecordingId, Segment};
use crate::domain::format::RecordingApi;
use crate::error::{Error, ErrorKind};

/// A request to archive a conversation or a recording, validated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The conversation.
    pub conversation: ConversationId,
    /// The recording; `None` for all of the conversation.
    pub recording: Option<RecordingId>,
    /// The format, if not the configured one.
    pub format: Option<Format>,
    /// The part of the recording; `None` for all of it.
    pub segment: Option<Segment>,
    /// The SHA-256 that the bytes must have, in lower-case hex.
    pub expected_sha256: Option<String>,
    /// The person or system that asked, in its own words.
    pub requested_by: Option<String>,
    /// Number of times that it was deferred.
    pub deferrals: u32,
    /// The time of the first request, or of the conversation's end, from which readiness is counted.
    pub first_seen: Option<Timestamp>,
    /// The number of the look at the conversation; `None` for the first, or for the next one due.
    pub look: Option<u32>,
    /// The time before which the job waits.
    pub not_before: Option<Timestamp>,
    /// Look at the conversation again, even if it is settled.
    pub recheck: bool,
    /// Who asked first, as the job says.
    pub origin: Option<Box<Origin>>,
}

/// The job as users and queues write it: docs/interface.md, "Job".
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wire {
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interaction_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deferrals: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    look: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recheck: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Box<Origin>>,
}

/// Returns whether a text is fit for `requestedBy`: one line without characters that change how the audit is shown.
pub fn is_plain(text: &str) -> bool {
    text.chars().count() <= LONGEST_REQUESTER && !text.chars().any(crate::redact::is_deceptive)
}

/// Longest `requestedBy`; it is kept as given in every audit event.
pub(super) const LONGEST_REQUESTER: usize = 256;

/// The numbers of looks that a job may ask for. The first look has none, and none follows the last.
pub const LOOKS: std::ops::RangeInclusive<u32> = 2..=5_000;

impl Job {
    /// Makes a job for all recordings of a conversation.
    pub fn new(conversation: ConversationId) -> Self {
        Self {
            conversation,
            recording: None,
            format: None,
            segment: None,
            expected_sha256: None,
            requested_by: None,
            deferrals: 0,
            first_seen: None,
            look: None,
            not_before: None,
            recheck: false,
            origin: None,
        }
    }

    /// Reads a job for this API. The error names the field, its value and the accepted values.
    pub fn parse(value: &serde_json::Value, api: RecordingApi) -> Result<Self, Error> {
        let malformed = |message: String| Error::new(ErrorKind::MalformedJob, message);
        if !value.is_object() {
            return Err(malformed(format!(
                "a job is a JSON object such as {{\"conversationId\":\"UUID\"}}, not {}",
                kind_of(value)
            )));
        }
        let wire = Wire::deserialize(value).map_err(|error| {
            let why = crate::redact::people(&error.to_string());
            malformed(format!("the job is malformed: {why}"))
        })?;
        wire.read(api)
            .map_err(|what| malformed(format!("the job's {what}")))
    }

    /// Returns the job as a queue message.
    pub fn to_json(&self) -> serde_json::Value {
        let wire = Wire {
            conversation_id: Some(self.conversation.to_string()),
            interaction_id: None,
            recording_id: self.recording.map(|id| id.to_string()),
            format: self.format.map(|format| format.as_str().to_owned()),
            start_time: self.segment.map(|segment| segment.start),
            end_time: self.segment.map(|segment| segment.end),
            expected_sha256: self.expected_sha256.clone(),
            requested_by: self.requested_by.clone(),
            deferrals: (self.deferrals > 0).then_some(self.deferrals),
            first_seen: self.first_seen.map(|time| time.to_string()),
            look: self.look,
            not_before: self.not_before.map(|time| time.to_string()),
            recheck: self.recheck.then_some(true),
            origin: self.origin.clone(),
        };
        // A struct of strings and numbers always serialises.
        serde_json::to_value(wire).unwrap_or_default()
    }
}

impl Wire {
    /// Reads each field. The error begins with the field's name.
    fn read(self, api: RecordingApi) -> Result<Job, String> {
        let conversation = conversation(self.conversation_id, self.interaction_id)?;
        let recording = self.recording_id.map(|id| RecordingId::parse(&id)).transpose();
        let recording = recording.map_err(|error| format!("recordingId {error}"))?;
        let segment = segment(self.start_time, self.end_time, api)?;
        let is_part = recording.is_some() || segment.is_some();
        let recheck = self.recheck.unwrap_or(false);
        if recheck && is_part {
            return Err(
                "recheck is for whole conversations: a job that names a recording, or a part of one, needs none".into(),
            );
        }
        if let Some(who) = self.requested_by.as_deref().filter(|who| !is_plain(who)) {
            return Err(format!(
                "requestedBy must be up to {LONGEST_REQUESTER} characters without control characters, line ends and \
                 marks that turn the direction of writing, but is {}",
                crate::redact::quote(who)
            ));
        }
        let origin = self.origin.as_ref();
        if let Some(text) = origin.and_then(|origin| origin.texts().find(|text| !is_plain(text))) {
            return Err(format!(
                "origin must have texts of up to {LONGEST_REQUESTER} characters, as requestedBy, but has {}",
                crate::redact::quote(text)
            ));
        }
        Ok(Job {
            conversation,
            recording,
            format: self.format.map(|text| format(&text, api)).transpose()?,
            segment,
            expected_sha256: self.expected_sha256.map(|hash| sha256(&hash)).transpose()?,
            requested_by: self.requested_by,
            deferrals: self.deferrals.unwrap_or(0),
            first_seen: time("firstSeen", self.first_seen)?,
            look: look(self.look, is_part, api)?,
            not_before: time("notBefore", self.not_before)?,
            recheck,
            origin: self.origin,
        })
    }
}

/// Reads the conversation's id, which has two names.
fn conversation(
    conversation_id: Option<String>,
    interaction_id: Option<String>,
) -> Result<ConversationId, String> {
    let (name, id) = match (conversation_id, interaction_id) {
        (Some(one), Some(other)) if !one.eq_ignore_ascii_case(&other) => {
            return Err("conversationId and interactionId differ; they are synonyms, give one".into());
        }
        (Some(id), _) => ("conversationId", id),
        (None, Some(id)) => ("interactionId", id),
        (None, None) => return Err("conversationId is missing".into()),
    };
    ConversationId::parse(&id).map_err(|error| format!("{name} {error}"))
}

fn format(text: &str, api: RecordingApi) -> Result<Format, String> {
    api.parse_format(text)
        .map_err(|accepted| format!("format is {}; accepted: {accepted}", crate::redact::quote(text)))
}

fn sha256(hash: &str) -> Result<String, String> {
    let hash = hash.to_ascii_lowercase();
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(hash)
    } else {
        Err(format!(
            "expectedSha256 must be 64 hex digits, but is {}",
            crate::redact::quote(&hash)
        ))
    }
}

/// Reads `startTime` and `endTime`, in milliseconds from the recording's start. Both 0 or absent: the whole recording.
fn segment(start: Option<u64>, end: Option<u64>, api: RecordingApi) -> Result<Option<Segment>, String> {
    match (start.unwrap_or(0), end.unwrap_or(0)) {
        (0, 0) => Ok(None),
        _ if api == RecordingApi::Conversations => {
            Err("startTime and endTime need GENESYS_RECORDING_API=interactions: the conversations API gives whole \
                 recordings only"
                .to_owned())
        }
        (start, end) if end > start => Ok(Some(Segment { start, end })),
        (start, end) => Err(format!("endTime ({end}) must be greater than startTime ({start}), in milliseconds")),
    }
}

/// Reads a time as jobs write it.
fn time(name: &str, text: Option<String>) -> Result<Option<Timestamp>, String> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let found = crate::redact::quote(&text);
        format!("{name} must be a time such as 2026-01-15T10:20:30Z (RFC 3339), but is {found}")
    })
}

/// Reads the number of a look. Numbers begin at 2, as a job without a number is the first look, and belong to
/// conversations.
fn look(look: Option<u32>, names_recording: bool, api: RecordingApi) -> Result<Option<u32>, String> {
    let Some(number) = look else { return Ok(None) };
    if !LOOKS.contains(&number) {
        let (first, last) = (LOOKS.start(), LOOKS.end());
        return Err(format!(
            "look is {number}; accepted: a whole number from {first} to {last}, or none for the first look"
        ));
    }
    if names_recording {
        return Err(
            "look is for whole conversations: leave recordingId, startTime and endTime out".to_owned(),
        );
    }
    if api != RecordingApi::Conversations {
        return Err(
            "look needs GENESYS_RECORDING_API=conversations: the interactions API lists one recording only"
                .to_owned(),
        );
    }
    Ok(look)
}

fn kind_of(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
        serde_json::Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "c0000000-0000-4000-8000-000000000001";

    #[track_caller]
    fn refused(job: serde_json::Value, mentions: &[&str]) {
        let error = Job::parse(&job, RecordingApi::Conversations).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MalformedJob);
        for mention in mentions {
            assert!(error.to_string().contains(mention), "{error} lacks {mention}");
        }
    }

    #[test]
    fn a_full_job_survives_the_queue() {
        let job = json!({"conversationId": ID, "recordingId": "e0000000-0000-4000-8000-000000000101", "format": "WAV",
            "startTime": 1000, "endTime": 3000, "expectedSha256": "AB".repeat(32), "requestedBy": "anna@example.com",
            "deferrals": 2, "firstSeen": "2026-01-15T10:20:30Z"});
        let parsed = Job::parse(&job, RecordingApi::Interactions).unwrap();
        assert_eq!(
            Job::parse(&parsed.to_json(), RecordingApi::Interactions).unwrap(),
            parsed
        );
        assert_eq!(
            parsed.requested_by.as_deref(),
            Some("anna@example.com"),
            "kept as given"
        );
    }

    #[test]
    fn a_look_survives_the_queue_and_is_at_conversations_of_the_public_api() {
        let job =
            json!({"conversationId": ID, "look": 3, "notBefore": "2026-01-15T10:20:30Z", "recheck": true});
        let parsed = Job::parse(&job, RecordingApi::Conversations).unwrap();
        assert_eq!(parsed.to_json(), job);
        let error = Job::parse(&job, RecordingApi::Interactions).unwrap_err();
        assert!(
            error.to_string().contains("GENESYS_RECORDING_API=conversations"),
            "{error}"
        );
    }

    #[test]
    fn interaction_id_is_a_synonym() {
        let by = |job| {
            Job::parse(&job, RecordingApi::Conversations)
                .unwrap()
                .conversation
                .to_string()
        };
        assert_eq!(by(json!({"interactionId": ID})), ID);
        assert_eq!(by(json!({"interactionId": ID, "conversationId": ID})), ID);
        refused(
            json!({"interactionId": ID, "conversationId": ID.replace('1', "2")}),
            &["differ"],
        );
    }

    #[test]
    fn every_fault_is_named() {
        refused(json!([]), &["a job is a JSON object", "an array"]);
        refused(json!({}), &["conversationId is missing"]);
        refused(
            json!({"conversationId": ID, "recordngId": "x"}),
            &["unknown field `recordngId`", "recordingId"],
        );
        refused(
            json!({"conversationId": "../../etc/passwd"}),
            &["conversationId must be a UUID", "../../etc/passwd"],
        );
        refused(
            json!({"conversationId": ID, "recordingId": "%2e%2e"}),
            &["recordingId must be a UUID"],
        );
        refused(json!({"conversationId": 7}), &["malformed", "string"]);
        refused(
            json!({"conversationId": ID, "format": "flac"}),
            &["format is \"flac\"", "ogg_opus"],
        );
        refused(
            json!({"conversationId": ID, "startTime": 1, "endTime": 2}),
            &["startTime", "interactions"],
        );
        refused(
            json!({"conversationId": ID, "expectedSha256": "beef"}),
            &["expectedSha256 must be 64 hex digits"],
        );
        refused(
            json!({"conversationId": ID, "firstSeen": "yesterday"}),
            &["firstSeen", "yesterday"],
        );
        refused(json!({"conversationId": ID, "deferrals": -1}), &["malformed"]);
        refused(
            json!({"conversationId": ID, "requestedBy": "x".repeat(257)}),
            &["requestedBy"],
        );
        refused(
            json!({"conversationId": ID, "origin": {"source": "sqs", "senderId": "a\nb"}}),
            &["origin must have texts"],
        );
        for look in [0, 1, 5_001] {
            refused(
                json!({"conversationId": ID, "look": look}),
                &[&format!("look is {look}"), "from 2 to 5000"],
            );
        }
        refused(json!({"conversationId": ID, "look": -2}), &["malformed"]);
        let recording = "e0000000-0000-4000-8000-000000000101";
        refused(
            json!({"conversationId": ID, "recordingId": recording, "look": 2}),
            &["look is for whole conversations"],
        );
        refused(
            json!({"conversationId": ID, "recordingId": recording, "recheck": true}),
            &["recheck is for whole conversations"],
        );
        refused(
            json!({"conversationId": ID, "recheck": "yes"}),
            &["malformed", "boolean"],
        );
        refused(
            json!({"conversationId": ID, "notBefore": "soon"}),
            &["notBefore", "soon"],
        );
        refused(json!({"conversationId": "tel:+15555550100"}), &["[redacted]"]);
    }

    #[test]
    fn segments_belong_to_the_tutorials_api_and_an_empty_one_is_none() {
        let job = |start: u64, end: u64, api| {
            Job::parse(
                &json!({"conversationId": ID, "startTime": start, "endTime": end}),
                api,
            )
            .map(|job| job.segment)
        };
        assert_eq!(job(0, 0, RecordingApi::Conversations).unwrap(), None);
        assert_eq!(
            job(1, 3, RecordingApi::Interactions).unwrap(),
            Some(Segment { start: 1, end: 3 })
        );
        assert!(
            job(3, 1, RecordingApi::Interactions)
                .unwrap_err()
                .to_string()
                .contains("endTime (1)")
        );
    }

    proptest::proptest! {
        #[test]
        fn parsing_arbitrary_json_never_panics(text in "[\\[\\]{}\":,a-zA-Z0-9\\-]{0,100}") {
            if let Ok(value) = serde_json::from_str(&text) {
                let _ = Job::parse(&value, RecordingApi::Conversations);
            }
        }
    }
}
