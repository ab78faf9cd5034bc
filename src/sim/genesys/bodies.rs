//! The JSON of a recording and of its metadata, with the fields real answers have (docs/genesys.md, "Recordings of a
//! conversation").

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::annotations::Annotation;
use super::answer::time;
use super::model::Kind;
use super::recording::Recording;
use super::signing::{Address, Signer};
use super::transcripts::inline;
use super::wish::Wish;

/// The means to give out signed URLs.
pub(super) struct Access<'a> {
    pub(super) wish: &'a Wish,
    pub(super) signer: &'a Signer,
    pub(super) media_url: &'a str,
    pub(super) now: Duration,
}

/// Returns a `RecordingMetadata`.
pub(super) fn metadata_of(conversation_id: &str, recording: &Recording) -> Value {
    let state = recording.current_state();
    let mut body = common(
        conversation_id,
        recording,
        recording.kind.in_metadata(),
        "recordingmetadata",
    );
    body.insert("path".to_owned(), json!(""));
    body.insert("region".to_owned(), json!(recording.region));
    body.insert(
        "endTime".to_owned(),
        json!(time(recording.start + recording.length())),
    );
    if recording.kind == Kind::Screen {
        body.insert("startTime".to_owned(), json!(time(recording.start)));
    }
    if state.playable() {
        // No pauses and holds: those stand in the recording only.
        let bookmarks = |annotation: &&Annotation| !annotation.is_system();
        body.insert("annotations".to_owned(), annotations(recording, bookmarks));
    }
    finish(body, &recording.metadata_fields)
}

/// Returns a `Recording`; without `access` (or when there is none to play) the stub that Genesys sends instead.
pub(super) fn recording_of(
    conversation_id: &str,
    recording: &Recording,
    access: Option<&Access<'_>>,
) -> Value {
    let mut body = common(
        conversation_id,
        recording,
        recording.kind.in_recording(),
        "recordings",
    );
    let creation = recording.start + recording.length() + SignedDuration::from_millis(1_181);
    body.insert("creationTime".to_owned(), json!(time(creation)));
    body.insert("recordingFileRole".to_owned(), json!("CUSTOMER_EXPERIENCE"));
    body.insert("annotations".to_owned(), annotations(recording, |_| true));
    body.insert("externalContacts".to_owned(), json!([])); // undocumented, but seen
    let Some(Access {
        wish,
        signer,
        media_url,
        now,
    }) = access.filter(|_| recording.current_state().playable())
    else {
        body.remove("sessionId"); // seen missing from stubs (docs/genesys.md, "Recordings of a conversation")
        return finish(body, &recording.fields);
    };
    let length = recording.length();
    body.insert("startTime".to_owned(), json!(time(recording.start)));
    body.insert("endTime".to_owned(), json!(time(recording.start + length)));
    body.insert(
        "originalRecordingStartTime".to_owned(),
        json!(time(recording.start)),
    );
    if let Some((name, messages)) = inline(recording).filter(|_| !wish.is_file(recording.kind)) {
        body.insert(name.to_owned(), messages);
        return finish(body, &recording.fields);
    }
    let (mut uris, mut size) = (Map::new(), 0);
    for key in recording.keys(wish.download) {
        let Some(file) = recording.media(&key) else {
            continue;
        };
        size += file.len().unwrap_or_default();
        let address = Address {
            conversation: conversation_id.to_owned(),
            recording: recording.id.clone(),
            key: key.clone(),
            format: wish.format(recording.kind),
            kind: recording.kind.in_metadata().to_ascii_uppercase(),
        };
        let target = signer.sign(&address, wish.file_name.as_deref(), *now);
        let waveform: Vec<f64> = (0..400).map(|i| f64::from(i % 17) / 16.0).collect();
        let uri = json!({ "mediaUri": format!("{media_url}{target}"), "waveformData": waveform });
        uris.insert(key, uri);
    }
    body.insert("mediaUris".to_owned(), Value::Object(uris));
    if recording.figures {
        body.insert("estimatedTranscodeTimeMs".to_owned(), json!(10_000));
        body.insert("actualTranscodeTimeMs".to_owned(), json!(3_999));
        body.insert("outputDurationMs".to_owned(), json!(length.as_millis()));
        body.insert("outputSizeInBytes".to_owned(), json!(size));
    }
    finish(body, &recording.fields)
}

fn annotations(recording: &Recording, wanted: impl Fn(&&Annotation) -> bool) -> Value {
    let bodies = recording.annotations.iter().filter(wanted);
    bodies.map(|annotation| annotation.body(&recording.id)).collect()
}

/// Returns the fields that `Recording` and `RecordingMetadata` share.
fn common(conversation_id: &str, recording: &Recording, media: &str, resource: &str) -> Map<String, Value> {
    let id = &recording.id;
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| _ = body.insert(name.to_owned(), value);
    put("id", json!(id));
    put("conversationId", json!(conversation_id));
    put("media", json!(media));
    put("mediaSubtype", json!(recording.subtype));
    put("fileState", json!(recording.current_state().as_str()));
    put(
        "sessionId",
        json!(Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string()),
    );
    put("maxAllowedRestorationsForOrg", json!(100));
    put("remainingRestorationsAllowedForOrg", json!(100));
    put(
        "selfUri",
        json!(format!("/api/v2/conversations/{conversation_id}/{resource}/{id}")),
    );
    if let Some(date) = recording.archive_date {
        put("archiveDate", json!(time(date)));
        put("archiveMedium", json!("CLOUDARCHIVE"));
    }
    if let Some(date) = recording.delete_date {
        put("deleteDate", json!(time(date)));
    }
    body
}

fn finish(mut body: Map<String, Value>, fields: &BTreeMap<String, Option<Value>>) -> Value {
    for (name, value) in fields {
        match value {
            Some(value) => _ = body.insert(name.clone(), value.clone()),
            None => _ = body.remove(name),
        }
    }
    Value::Object(body)
}
