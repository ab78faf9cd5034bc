//! Batch downloads (docs/genesys.md, "Batch download").

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sim::genesys::answer::ApiError;
use crate::sim::genesys::batch::{Item, Signing};
use crate::sim::genesys::permissions::RECORDINGS;
use crate::sim::genesys::state::{Shared, State as Simulated, lock};

type Answer = Result<Response, ApiError>;

/// Most items of a request.
const MOST: usize = 100;

/// Answers `POST /recording/batchrequests`.
pub(super) async fn submit(
    State(shared): State<Shared>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Answer {
    let mut state = lock(&shared);
    state.permissions.any(&RECORDINGS)?;
    let list = body["batchDownloadRequestList"].as_array();
    let list = list.filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| ApiError::bad_value("batchDownloadRequestList"))?;
    if list.len() > MOST {
        let message = format!("Batch download requests are limited to {MOST} items");
        let code = "batch.download.too.many.items";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, code, message));
    }
    let items = list.iter().map(item).collect::<Result<Vec<_>, _>>()?;
    let client = state.login.client(&headers).unwrap_or_default();
    let Simulated {
        batches,
        conversations,
        permissions,
        ..
    } = &mut *state;
    let id = batches.submit(&client, &items, conversations, permissions);
    let uri = format!("/api/v2/recording/batchrequests/{id}");
    Ok(Json(json!({ "id": id, "selfUri": uri })).into_response())
}

/// Answers `GET /recording/batchrequests/{job}`: no permission is needed, but to be who submitted the job.
pub(super) async fn job(State(shared): State<Shared>, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let mut state = lock(&shared);
    let now = state.now();
    let client = state.login.client(&headers).unwrap_or_default();
    let Simulated {
        batches,
        signer,
        media_url,
        ..
    } = &mut *state;
    let job = batches.jobs.get_mut(&id);
    let job = job.ok_or_else(|| ApiError::not_found(&format!("The batch download job [{id}]")))?;
    if job.client != client {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "batch.download.permission.denied",
            "Batch download results are only available to the submitter of the request",
        ));
    }
    let signing = Signing {
        signer,
        media_url,
        now,
    };
    Ok(Json(job.poll(&id, &signing)).into_response())
}

/// Reads one item of a request.
fn item(value: &Value) -> Result<Item, ApiError> {
    let id = |name: &str| match &value[name] {
        Value::Null => Ok(None),
        Value::String(text) if Uuid::try_parse(text).is_ok() => Ok(Some(text.clone())),
        _ => Err(ApiError::bad_value(name)),
    };
    Ok(Item {
        conversation: id("conversationId")?.ok_or_else(|| ApiError::bad_value("conversationId"))?,
        recording: id("recordingId")?,
    })
}
