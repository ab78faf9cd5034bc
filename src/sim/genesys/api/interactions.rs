//! The API of the tutorial: one recording per interaction, downloaded from the API itself. No Genesys
//! documentation knows it (docs/genesys.md, "What the tutorial says"); the tutorial describes it.

use axum::Json;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::sim::genesys::answer::ApiError;
use crate::sim::genesys::delivery::deliver;
use crate::sim::genesys::format::Format;
use crate::sim::genesys::interaction::{Interaction, Retention, Status};
use crate::sim::genesys::media::Media;
use crate::sim::genesys::state::{Shared, State as Simulated, lock};

/// Answers `GET /recordings/interactions/{id}`.
pub(super) async fn interaction(
    State(shared): State<Shared>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let mut state = lock(&shared);
    let interaction = known(&mut state, &id)?;
    if interaction.retention == Retention::Nothing {
        return Err(gone(&id));
    }
    interaction.looks += 1;
    let duration = interaction
        .duration
        .or_else(|| Some(interaction.media.millis()? / 1000))
        .unwrap_or(369);
    let policy = interaction.retention_policy.as_ref();
    let body = json!({
        "id": interaction.recording_id,
        "status": interaction.current_status().as_str(),
        "duration": duration,
        "format": interaction.format.name(),
        "retentionPolicy": policy.map(|(id, name)| json!({ "id": id, "name": name })),
    });
    Ok(Json(body).into_response())
}

/// Returns the media of an interaction, if it can be downloaded now, and its own format.
fn ready(shared: &Shared, id: &str) -> Result<(Media, Format), ApiError> {
    let mut state = lock(shared);
    let interaction = known(&mut state, id)?;
    if interaction.retention != Retention::Kept {
        return Err(gone(id));
    }
    match interaction.current_status() {
        Status::Ready => Ok((interaction.media.clone(), interaction.format)),
        Status::Processing => {
            let message = format!("The recording of [{id}] is being processed");
            Err(ApiError::new(
                StatusCode::CONFLICT,
                "recording.processing",
                message,
            ))
        }
        Status::Failed | Status::NotFound => Err(ApiError::not_found(&format!("The recording of [{id}]"))),
    }
}

/// Answers `GET /recordings/interactions/{id}/download`.
pub(super) async fn download(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(parameters): Query<Vec<(String, String)>>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let get = |name: &str| {
        let mut values = parameters.iter().filter(|(key, _)| key == name);
        values.next().map(|(_, value)| value.as_str())
    };
    let moment = |name: &str| match get(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| ApiError::bad_value(text)),
    };
    let (media, default_format) = ready(&shared, &id)?;
    let format = match get("format") {
        None => default_format,
        Some(name) => Format::from_name(name).ok_or_else(|| ApiError::bad_value(name))?,
    };
    if !accepts(&headers, format.content_type()) {
        let message = format!("Accept has to name {}", format.content_type());
        return Err(ApiError::new(
            StatusCode::NOT_ACCEPTABLE,
            "not.acceptable",
            message,
        ));
    }
    let (start, end) = (moment("start")?, moment("end")?);
    if start.is_none() && end.is_none() {
        let turn = media.turn().transcoded(format);
        return Ok(deliver(turn, format.content_type(), &uri, &headers));
    }
    let Some(millis) = media.millis() else {
        return Err(ApiError::bad_value("start or end: only a WAV can be cut"));
    };
    let (start, end) = (start.unwrap_or(0), end.unwrap_or(millis).min(millis));
    if start >= end {
        return Err(ApiError::bad_value(&format!("start={start}, end={end}")));
    }
    let mut turn = media.turn();
    turn.tag = format!("{}-{start}-{end}", turn.tag);
    // A file that has just changed into something else than a WAV is sent whole.
    turn.content = match turn.content.clone().cut(start, end) {
        Some(part) => part,
        None => turn.content,
    };
    Ok(deliver(
        turn.transcoded(format),
        format.content_type(),
        &uri,
        &headers,
    ))
}

fn known<'a>(state: &'a mut Simulated, id: &str) -> Result<&'a mut Interaction, ApiError> {
    let interaction = state.interactions.get_mut(id);
    interaction.ok_or_else(|| ApiError::not_found(&format!("The interaction [{id}]")))
}

fn gone(id: &str) -> ApiError {
    let message = format!("The retention period of the recording of [{id}] is over");
    ApiError::new(StatusCode::GONE, "recording.retention.expired", message)
}

/// Returns whether `Accept` names the type itself: strict.
fn accepts(headers: &HeaderMap, content_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(content_type))
}
