//! Users, queues, wrap-up codes and divisions by id, for whoever has ids and wants names.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::sim::genesys::answer::ApiError;
use crate::sim::genesys::naming::{Named, Thing};
use crate::sim::genesys::state::{Shared, lock};

type Answer = Result<Response, ApiError>;
type Parameters = Query<Vec<(String, String)>>;

/// Largest `pageSize` of these lists.
const LARGEST_PAGE: usize = 100;

/// Answers `GET /users`: of the state `active`, unless another is asked for.
pub(super) async fn users(shared: State<Shared>, parameters: Parameters) -> Answer {
    let state = parameters.iter().find(|(name, _)| name == "state");
    let state = state.map_or("active", |(_, state)| state.as_str());
    if !["active", "inactive", "deleted", "any"].contains(&state) {
        return Err(ApiError::bad_value("state"));
    }
    let wanted = |named: &Named| state == "any" || state == named.state;
    answer(&shared, &parameters, Thing::User, wanted)
}

/// Answers `GET /routing/queues`.
pub(super) async fn queues(shared: State<Shared>, parameters: Parameters) -> Answer {
    lock(&shared)
        .permissions
        .any(&["routing:queue:view", "routing:queue:search"])?;
    answer(&shared, &parameters, Thing::Queue, |_| true)
}

/// Answers `GET /routing/wrapupcodes`.
pub(super) async fn wrap_up_codes(shared: State<Shared>, parameters: Parameters) -> Answer {
    lock(&shared).permissions.any(&["routing:wrapupCode:view"])?;
    answer(&shared, &parameters, Thing::WrapUpCode, |_| true)
}

/// Answers `GET /authorization/divisions`.
pub(super) async fn divisions(shared: State<Shared>, parameters: Parameters) -> Answer {
    answer(&shared, &parameters, Thing::Division, |_| true)
}

/// Answers with those of the asked ids that exist and are wanted, a page of them.
fn answer(
    shared: &Shared,
    parameters: &[(String, String)],
    thing: Thing,
    wanted: impl Fn(&Named) -> bool,
) -> Answer {
    let number = |name: &str, default: usize| match parameters.iter().find(|(key, _)| key == name) {
        Some((_, text)) => text.parse().map_err(|_| ApiError::bad_value(name)),
        None => Ok(default),
    };
    let (size, page) = (number("pageSize", 25)?, number("pageNumber", 1)?);
    if !(1..=LARGEST_PAGE).contains(&size) || page == 0 {
        return Err(ApiError::bad_value("pageSize"));
    }
    let ids = parameters.iter().filter(|(name, _)| name == "id");
    let ids: BTreeSet<_> = ids.map(|(_, id)| id.as_str()).collect();
    if ids.len() > LARGEST_PAGE {
        return Err(ApiError::bad_value("id"));
    }
    let state = lock(shared);
    let found: Vec<_> = state
        .names
        .iter()
        .filter(|named| named.thing == thing && wanted(named))
        .filter(|named| ids.is_empty() || ids.contains(named.id.as_str()))
        .collect();
    let entities: Vec<Value> = found
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .map(|named| json!({"id": named.id, "name": named.name}))
        .collect();
    let body = json!({"entities": entities, "pageSize": size, "pageNumber": page, "total": found.len(),
                      "pageCount": found.len().div_ceil(size)});
    Ok(Json(body).into_response())
}
