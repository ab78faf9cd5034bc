//! The API of orphan recordings (docs/genesys.md, "Orphans").

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::sim::genesys::answer::ApiError;
use crate::sim::genesys::model::Kind;
use crate::sim::genesys::state::{Shared, lock};

type Answer = Result<Response, ApiError>;

const PERMISSION: [&str; 1] = ["recording:orphan:view"];
/// Without `hasConversation=true` no more than these are listed.
const MOST_LISTED: usize = 500;
/// `pageSize`; the maximum is not verified.
const LARGEST_PAGE: usize = 100;

/// Answers `GET /orphanrecordings`.
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Answer {
    let get = |name: &str| {
        let mut values = parameters.iter().filter(|(key, _)| key == name);
        values.next().map(|(_, value)| value.as_str())
    };
    let number = |name: &str, default: usize, most: usize| {
        let parsed = get(name).map_or(Some(default), |text| text.parse().ok());
        let parsed = parsed.filter(|number| (1..=most).contains(number));
        parsed.ok_or_else(|| ApiError::bad_value(name))
    };
    let size = number("pageSize", 25, LARGEST_PAGE)?;
    let page = number("pageNumber", 1, usize::MAX)?;
    let with_conversation = match get("hasConversation") {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => return Err(ApiError::bad_value(other)),
    };
    let screens = match get("media") {
        None => None,
        Some("Call") => Some(false),
        Some("Screen") => Some(true),
        Some(other) => return Err(ApiError::bad_value(other)),
    };
    let state = lock(&shared);
    state.permissions.any(&PERMISSION)?;
    let matching = state.orphans.values().filter(|orphan| {
        (!with_conversation || orphan.conversation.is_some())
            && screens.is_none_or(|screens| screens == (orphan.kind == Kind::Screen))
    });
    let most = if with_conversation {
        usize::MAX
    } else {
        MOST_LISTED
    };
    let matching: Vec<_> = matching.take(most).collect();
    let begin = (page - 1).saturating_mul(size);
    let entities = matching.iter().skip(begin).take(size);
    let entities: Vec<_> = entities.map(|orphan| orphan.body()).collect();
    let pages = matching.len().div_ceil(size);
    let uri = |number: usize| {
        format!(
            "/api/v2/orphanrecordings?pageSize={size}&pageNumber={number}&hasConversation={with_conversation}"
        )
    };
    let mut answer = json!({
        "entities": entities,
        "pageSize": size,
        "pageNumber": page,
        "total": matching.len(),
        "pageCount": pages,
        "firstUri": uri(1),
        "lastUri": uri(pages.max(1)),
        "selfUri": uri(page),
    });
    if page < pages {
        answer["nextUri"] = uri(page + 1).into();
    }
    if page > 1 {
        answer["previousUri"] = uri(page - 1).into();
    }
    Ok(Json(answer).into_response())
}

/// Answers `GET /orphanrecordings/{id}`.
pub(super) async fn one(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let state = lock(&shared);
    state.permissions.any(&PERMISSION)?;
    let orphan = state.orphans.get(&id);
    let orphan = orphan.ok_or_else(|| ApiError::not_found(&format!("The orphan recording [{id}]")))?;
    Ok(Json(orphan.body()).into_response())
}
