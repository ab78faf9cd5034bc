//! The API of the tutorial: one recording per interaction, downloaded from the API itself. No Genesys
//! documentation knows it (docs/genesys.md, "What the tutorial says"); the tutorial describes it.

use axum::Json;
use axum::extract::{OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::answer::ApiError;
use super::delivery::deliver;
use super::format::Format;
use super::media::Media;
use super::{Shared, State as Simulated, lock};

/// An interaction and its recording.
#[derive(Debug, Clone)]
pub struct Interaction {
    /// Its UUID.
    pub id: String,
    /// The `id` in its metadata, which names the recording; that of the interaction at first.
    pub recording_id: String,
    /// `status` of its metadata.
    pub status: Status,
    /// So many looks at it say `processing` before `status` shows.
    pub processing: usize,
    /// `duration` of its metadata in seconds; that of the file when `None`.
    pub duration: Option<u64>,
    /// `format` of its metadata, and of a download that asks for none.
    pub format: Format,
    /// Id and name of its retention policy.
    pub retention_policy: Option<(String, String)>,
    /// Whether the policy has taken the recording away: 410.
    pub retention: Retention,
    /// The file, in whatever format it is asked for.
    pub media: Media,
    pub(super) looks: usize,
}

/// `status` of an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the API")]
pub enum Status {
    Ready,
    Processing,
    Failed,
    NotFound,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Failed => "failed",
            Self::NotFound => "not_found",
        }
    }
}

/// What retention has left of an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// Everything.
    Kept,
    /// Its metadata; the download is answered 410.
    MetadataOnly,
    /// Nothing; everything is answered 410.
    Nothing,
}

impl Interaction {
    /// An interaction that is ready, in WAV.
    pub fn new(id: impl Into<String>, media: Media) -> Self {
        let id = id.into();
        Self {
            recording_id: id.clone(),
            id,
            status: Status::Ready,
            processing: 0,
            duration: None,
            format: Format::Wav,
            retention_policy: Some((
                "00000000-0000-4000-8000-00000000f00d".to_owned(),
                "Keep for 90 days".to_owned(),
            )),
            retention: Retention::Kept,
            media,
            looks: 0,
        }
    }

    /// With another id for its recording.
    #[must_use]
    pub fn recording_id(mut self, id: impl Into<String>) -> Self {
        self.recording_id = id.into();
        self
    }

    /// With this status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// `processing` for the first `looks` looks.
    #[must_use]
    pub fn processing(mut self, looks: usize) -> Self {
        self.processing = looks;
        self
    }

    /// Without a retention policy.
    #[must_use]
    pub fn without_retention_policy(mut self) -> Self {
        self.retention_policy = None;
        self
    }

    /// Partly or wholly gone.
    #[must_use]
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    fn current_status(&self) -> Status {
        if self.looks > self.processing || self.processing == 0 {
            self.status
        } else {
            Status::Processing
        }
    }
}

/// `GET /recordings/interactions/{id}`.
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

/// The media of an interaction, if it can be downloaded now, and its own format.
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

/// `GET /recordings/interactions/{id}/download`.
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

/// Strict: the type itself has to be named.
fn accepts(headers: &HeaderMap, content_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(content_type))
}
