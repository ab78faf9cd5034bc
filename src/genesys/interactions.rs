//! The tutorial's API: one recording per interaction, its metadata at one endpoint and its media at another.
//!
//! These endpoints are not part of the public API; some installations put them in front of it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::{Api, LONGEST_LIST};
use super::listing::{Availability, Listed, Listing, Location, Opened, Source};
use crate::clock::Deadline;
use crate::domain::format::{Format, MediaKind};
use crate::domain::job::Job;
use crate::domain::recording::{ConversationId, RecordingId};
use crate::error::{Error, ErrorKind};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    id: Option<String>,
    status: Option<String>,
    duration: Option<Value>,
    retention_policy: Option<Value>,
}

pub(super) async fn list(
    api: &Api,
    conversation: ConversationId,
    deadline: &Deadline,
) -> Result<Listing, Error> {
    let what = format!("the recording of interaction {conversation}");
    let path = format!("/api/v2/recordings/interactions/{conversation}");
    let answer = api.get_within(LONGEST_LIST, &path, &[], &what, deadline).await?;
    if answer.is_blank() {
        return Ok(Listing::default());
    }
    let metadata: Metadata = answer.json(&what)?;
    let status = metadata.status.as_deref().unwrap_or_default();
    if status == "not_found" {
        return Ok(Listing::default());
    }
    let availability = availability(&what, status, answer.retry_after);
    let id = match (
        RecordingId::parse(metadata.id.as_deref().unwrap_or_default()),
        &availability,
    ) {
        (Ok(id), _) => id,
        // A recording that is not ready may have no id yet.
        (Err(_), Availability::Not(kind @ ErrorKind::NotReady { .. }, text)) => {
            return Err(Error::new(*kind, text.clone()));
        }
        (Err(error), _) => {
            let message = format!("in Genesys' answer about {what}, the id {error}");
            return Err(Error::new(ErrorKind::Rejected, message));
        }
    };
    let mut notes = Map::new();
    if let Some(Value::Object(policy)) = &metadata.retention_policy {
        let text = |name: &str| Some(crate::redact::clip(policy.get(name)?.as_str()?));
        notes.insert(
            "retentionPolicy".to_owned(),
            json!({"id": text("id"), "name": text("name")}),
        );
    }
    if let Some(duration) = metadata.duration.as_ref().and_then(Value::as_u64) {
        notes.insert("duration".to_owned(), duration.into());
    }
    let listed = Listed {
        id,
        media: MediaKind::Audio,
        availability,
        start: None,
        end: None,
        notes,
        given: None,
    };
    Ok(Listing {
        recordings: vec![listed],
        unreadable: None,
    })
}

/// Returns what a status means for the recording that `what` names.
fn availability(what: &str, status: &str, after: Option<Duration>) -> Availability {
    let (kind, text) = match status {
        "ready" => return Availability::Ready,
        "failed" => (
            ErrorKind::BrokenAtSource,
            "has the status failed at Genesys".to_owned(),
        ),
        "processing" => (
            ErrorKind::NotReady { after },
            "is still processing at Genesys".to_owned(),
        ),
        other => {
            let found = crate::redact::quote(other);
            let text =
                format!("has the status {found}, which is none of ready, processing, failed, not_found");
            (ErrorKind::NotReady { after: None }, text)
        }
    };
    Availability::Not(kind, format!("{what} {text}"))
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
        part: None,
        part_name: None,
        batch: false,
        location,
    };
    Opened {
        sources: vec![source],
        start: None,
        notes: Map::new(),
        annotations: None,
    }
}
