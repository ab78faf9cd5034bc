//! The public API of today: recordings of a conversation (docs/genesys.md, "Recordings of a conversation").

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::sim::genesys::answer::ApiError;
use crate::sim::genesys::bodies::{Access, metadata_of, recording_of};
use crate::sim::genesys::conversation::Conversation;
use crate::sim::genesys::model::TranscodingBody;
use crate::sim::genesys::permissions::RECORDINGS;
use crate::sim::genesys::recording::Recording;
use crate::sim::genesys::state::{Shared, State as Simulated, known_with_permissions, lock};
use crate::sim::genesys::wish::Wish;

type Answer = Result<Response, ApiError>;
type Parameters = Query<Vec<(String, String)>>;

/// Answers `GET /conversations/{id}/recordingmetadata`.
pub(super) async fn metadata_list(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut state = lock(&shared);
    state.permissions.any(&RECORDINGS)?;
    let (conversation, permissions) = known_with_permissions(&mut state, &id)?;
    conversation.looks += 1;
    let list: Vec<_> = conversation
        .visible()
        .filter(|recording| permissions.show(recording))
        .map(|recording| {
            recording.looks += 1;
            metadata_of(&id, recording)
        })
        .collect();
    Ok(Json(list).into_response())
}

/// Answers `GET /conversations/{id}/recordingmetadata/{recording}`.
pub(super) async fn metadata(
    State(shared): State<Shared>,
    Path((id, recording)): Path<(String, String)>,
) -> Answer {
    let mut state = lock(&shared);
    let recording = known_recording(&mut state, &id, &recording)?;
    recording.looks += 1;
    Ok(Json(metadata_of(&id, recording)).into_response())
}

/// Answers `GET /conversations/{id}/recordings`: 202 without a body while any of them is being transcoded.
pub(super) async fn recordings(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(parameters): Parameters,
) -> Answer {
    let wish = Wish::parse(&parameters)?;
    let mut state = lock(&shared);
    let (now, usually) = (state.now(), state.transcoding);
    state.permissions.any(&RECORDINGS)?;
    let (conversation, permissions) = known_with_permissions(&mut state, &id)?;
    conversation.looks += 1;
    let mut pending = false;
    for recording in conversation
        .visible()
        .filter(|recording| permissions.show(recording))
    {
        pending |= still_transcoding(recording, &wish, usually);
    }
    if pending {
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    let Simulated {
        conversations,
        signer,
        media_url,
        permissions,
        ..
    } = &mut *state;
    let access = Access {
        wish: &wish,
        signer,
        media_url,
        now,
    };
    let list: Vec<_> = conversations
        .get_mut(&id)
        .into_iter()
        .flat_map(Conversation::visible)
        .filter(|recording| permissions.show(recording))
        .map(|recording| recording_of(&id, recording, Some(&access)))
        .collect();
    Ok(Json(list).into_response())
}

/// Answers `GET /conversations/{id}/recordings/{recording}`.
pub(super) async fn recording(
    State(shared): State<Shared>,
    Path((id, recording_id)): Path<(String, String)>,
    Query(parameters): Parameters,
) -> Answer {
    let wish = Wish::parse(&parameters)?;
    let mut state = lock(&shared);
    let now = state.now();
    let usually = state.transcoding;
    let recording = known_recording(&mut state, &id, &recording_id)?;
    if still_transcoding(recording, &wish, usually) {
        let mut response = match recording.transcoding_body {
            TranscodingBody::Empty => Body::empty().into_response(),
            TranscodingBody::Null => Json(Value::Null).into_response(),
            TranscodingBody::Stub => Json(recording_of(&id, recording, None)).into_response(),
        };
        *response.status_mut() = StatusCode::ACCEPTED;
        if let Some(seconds) = recording.transcoding_retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        return Ok(response);
    }
    let recording = recording.clone();
    let access = Access {
        wish: &wish,
        signer: &state.signer,
        media_url: &state.media_url,
        now,
    };
    Ok(Json(recording_of(&id, &recording, Some(&access))).into_response())
}

/// Answers `GET /recording/settings`.
pub(super) async fn settings(State(shared): State<Shared>) -> Response {
    let minutes = lock(&shared).signer.lifetime.as_secs().div_ceil(60);
    Json(json!({
        "maxSimultaneousStreams": 1,
        "maxConfigurableScreenRecordingStreams": 4,
        "regionalRecordingStorageEnabled": false,
        "recordingPlaybackUrlTtl": minutes,
        "recordingBatchDownloadUrlTtl": minutes,
    }))
    .into_response()
}

fn known_recording<'a>(
    state: &'a mut Simulated,
    id: &str,
    recording_id: &str,
) -> Result<&'a mut Recording, ApiError> {
    state.permissions.any(&RECORDINGS)?;
    let (conversation, permissions) = known_with_permissions(state, id)?;
    conversation
        .find(recording_id)
        .filter(|recording| permissions.show(recording))
        .ok_or_else(|| ApiError::not_found(&format!("The recording [{recording_id}]")))
}

/// Counts a request for the media, which starts the transcoding of its format: so the first one is answered 202 unless
/// a test says otherwise (`usually`). Where the answer holds all there is, nothing is transcoded.
fn still_transcoding(recording: &mut Recording, wish: &Wish, usually: usize) -> bool {
    if !recording.current_state().playable() || !wish.is_file(recording.kind) {
        return false;
    }
    let requests = recording.requests.entry(wish.format(recording.kind)).or_default();
    *requests += 1;
    *requests <= recording.transcoding.unwrap_or(usually)
}
