//! Reports of uploads (docs/genesys.md, "Orphans"): which recordings did not get to Genesys' store.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sim::genesys::answer::ApiError;
use crate::sim::genesys::delivery::access_denied;
use crate::sim::genesys::state::{Shared, State as Simulated, lock};

type Answer = Result<Response, ApiError>;

const STATUSES: [&str; 4] = ["Pending", "Success", "Failure", "WaitForConversation"];

/// Answers `POST /recording/uploads/reports`.
pub(super) async fn request(State(shared): State<Shared>, Json(body): Json<Value>) -> Answer {
    let mut state = lock(&shared);
    state.permissions.any(&["recording:uploadReport:add"])?;
    let since = body["dateSince"]
        .as_str()
        .and_then(|text| text.parse::<jiff::Timestamp>().ok());
    since.ok_or_else(|| ApiError::bad_value("dateSince"))?;
    let status = body
        .get("uploadStatus")
        .map(|status| status.as_str().unwrap_or_default());
    if status.is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(ApiError::bad_value("uploadStatus"));
    }
    let id = Uuid::new_v4();
    let looks = state.uploads.looks;
    state.uploads.reports.insert(id.to_string(), looks);
    let body = report(&state, &id.to_string(), looks);
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}

/// Answers `GET /recording/uploads/reports/{id}`.
pub(super) async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut state = lock(&shared);
    state.permissions.any(&["recording:uploadReport:view"])?;
    let looks = state.uploads.reports.get_mut(&id);
    let looks = looks.ok_or_else(|| ApiError::not_found(&format!("The report [{id}]")))?;
    *looks = looks.saturating_sub(1);
    let looks = *looks;
    Ok(Json(report(&state, &id, looks)).into_response())
}

fn report(state: &Simulated, id: &str, looks: usize) -> Value {
    let mut body = json!({"id": id, "state": "InProgress", "selfUri": format!("/api/v2/recording/uploads/reports/{id}")});
    if looks == 0 {
        body["state"] = "Completed".into();
        body["signedUrl"] = format!("{}/uploadreports/{id}?Signature=simulated", state.media_url).into();
    }
    body
}

/// Answers for a report's signed URL. Its real form is not documented: this one is made up.
pub(super) async fn document(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let state = lock(&shared);
    if headers.contains_key(header::AUTHORIZATION) || !state.uploads.reports.contains_key(&id) {
        return access_denied();
    }
    let rows = state.uploads.failed.iter();
    let rows: String = rows
        .map(|conversation| format!("{conversation},Failure\n"))
        .collect();
    (
        [(header::CONTENT_TYPE, "text/csv")],
        format!("conversationId,uploadStatus\n{rows}"),
    )
        .into_response()
}
