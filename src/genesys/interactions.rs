//! The tutorial's API: one recording per interaction, its metadata at one endpoint and its media at another.
//!
//! These endpoints are not part of the public API; some installations put them in front of it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::{Availability, Listed, Location, Opened, Source};
use crate::archive::format::{Format, MediaKind};
use crate::archive::job::Job;
use crate::archive::recording::{ConversationId, RecordingId};
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    id: Option<String>,
    status: Option<String>,
    duration: Option<Value>,
    retention_policy: Option<RetentionPolicy>,
}

#[derive(Debug, Deserialize)]
struct RetentionPolicy {
    id: Option<String>,
    name: Option<String>,
}

pub(super) async fn list(
    api: &Api,
    conversation: ConversationId,
    deadline: &Deadline,
) -> Result<Vec<Listed>, Error> {
    let what = format!("the recording of interaction {conversation}");
    let path = format!("/api/v2/recordings/interactions/{conversation}");
    let answer = api.get(&path, &[], &what, deadline).await?;
    if answer.is_blank() {
        return Ok(Vec::new());
    }
    let metadata: Metadata = answer.json(&what)?;
    let status = metadata.status.as_deref().unwrap_or_default();
    if status == "not_found" {
        return Ok(Vec::new());
    }
    let id = RecordingId::parse(metadata.id.as_deref().unwrap_or_default()).map_err(|error| {
        Error::new(
            ErrorKind::Rejected,
            format!("in Genesys' answer about {what}, the id {error}"),
        )
    })?;
    let not = |kind, text: String| Availability::Not(kind, format!("recording {id} {text}"));
    let availability = match status {
        "ready" => Availability::Ready,
        "failed" => not(
            ErrorKind::BrokenAtSource,
            "has the status failed at Genesys".to_owned(),
        ),
        "processing" => not(
            ErrorKind::NotReady {
                after: answer.retry_after,
            },
            "is still processing at Genesys".to_owned(),
        ),
        other => {
            let found = crate::redact::quote(other);
            let text =
                format!("has the status {found}, which is none of ready, processing, failed, not_found");
            not(ErrorKind::NotReady { after: None }, text)
        }
    };
    let mut notes = Map::new();
    if let Some(RetentionPolicy { id, name }) = metadata.retention_policy {
        let text = |value: Option<String>| value.map(|text| crate::redact::clip(&text));
        notes.insert(
            "retentionPolicy".to_owned(),
            json!({"id": text(id), "name": text(name)}),
        );
    }
    if let Some(duration) = metadata.duration.as_ref().and_then(Value::as_u64) {
        notes.insert("duration".to_owned(), duration.into());
    }
    Ok(vec![Listed {
        id,
        media: MediaKind::Audio,
        availability,
        start: None,
        end: None,
        notes,
    }])
}

pub(super) fn open(job: &Job, format: Format) -> Opened {
    let mut query = vec![("format", format.as_str().to_owned())];
    if let Some(segment) = job.segment {
        query.push(("start", segment.start.to_string()));
        query.push(("end", segment.end.to_string()));
    }
    let location = Location::Api {
        path: format!("/api/v2/recordings/interactions/{}/download", job.conversation),
        query,
        accept: format.content_type().unwrap_or("*/*"),
    };
    let source = Source {
        channel: None,
        format: Some(format),
        media: MediaKind::Audio,
        location,
    };
    Opened {
        sources: vec![source],
        start: None,
        notes: Map::new(),
    }
}
