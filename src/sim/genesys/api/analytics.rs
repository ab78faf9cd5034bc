//! Analytics: lists of conversations, by query and by job (docs/genesys.md, "Conversations and analytics"). Filters are
//! taken and ignored, as Genesys ignores those in the wrong place: a client has to filter the answer itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::details;
use crate::sim::genesys::analytics::Job;
use crate::sim::genesys::answer::{ApiError, time};
use crate::sim::genesys::permissions::DETAILS;
use crate::sim::genesys::state::{Shared, State as Simulated, lock};

type Answer = Result<Response, ApiError>;

/// `pageSize` of the query; the maximum is not verified, 100 is in common use.
const LARGEST_QUERY_PAGE: usize = 100;
/// `pageSize` of a job's results; the maximum is not verified, 1000 is in common use.
const LARGEST_JOB_PAGE: usize = 1000;
const LONGEST_QUERY: SignedDuration = SignedDuration::from_hours(7 * 24);
const DAY: i64 = 86_400;

/// Answers `POST /analytics/conversations/details/query`.
pub(super) async fn query(State(shared): State<Shared>, Json(body): Json<Value>) -> Answer {
    let (from, to) = interval(&body)?;
    if to.duration_since(from) > LONGEST_QUERY {
        return Err(ApiError::bad_value("interval"));
    }
    let paging = |name: &str, default: u64| body["paging"].get(name).map_or(Some(default), Value::as_u64);
    let size = paging("pageSize", 25).and_then(|size| usize::try_from(size).ok());
    let size = size.filter(|size| (1..=LARGEST_QUERY_PAGE).contains(size));
    let size = size.ok_or_else(|| ApiError::bad_value("pageSize"))?;
    let number = paging("pageNumber", 1).and_then(|number| usize::try_from(number).ok());
    let number = number.filter(|number| *number > 0);
    let number = number.ok_or_else(|| ApiError::bad_value("pageNumber"))?;
    let mut state = lock(&shared);
    state.permissions.any(&DETAILS)?;
    let sorted = sorted(&mut state);
    // Those that started on a day which the interval touches.
    let first = from.as_second().div_euclid(DAY) * DAY;
    let end = (to.as_second() - 1).div_euclid(DAY) * DAY + DAY;
    let at = |second: i64| sorted.partition_point(|(start, _)| start.as_second() < second);
    let hits = &sorted[at(first)..at(end)];
    let stride = size.saturating_sub(state.analytics.overlap).max(1);
    let page = hits.iter().skip((number - 1).saturating_mul(stride)).take(size);
    let page: Vec<Value> = page
        .filter_map(|(_, id)| state.conversations.get(id))
        .map(details::listed)
        .collect();
    // Past the end there is no list at all, and the count is never exact.
    let mut answer = json!({ "totalHits": hits.len() + hits.len() / 100 });
    if !page.is_empty() {
        answer["conversations"] = page.into();
    }
    Ok(Json(answer).into_response())
}

/// Answers `POST /analytics/conversations/details/jobs`.
pub(super) async fn submit(State(shared): State<Shared>, Json(body): Json<Value>) -> Answer {
    let (from, to) = interval(&body)?;
    if let Some(name) = ["paging", "aggregations"]
        .iter()
        .find(|name| body.get(name).is_some())
    {
        return Err(ApiError::bad_value(name));
    }
    let mut state = lock(&shared);
    state.permissions.any(&DETAILS)?;
    let sorted = sorted(&mut state);
    let until = state
        .analytics
        .available
        .map_or(to, |available| available.min(to));
    // Those with any activity in it, as far as the data reaches.
    let active = sorted.iter().take_while(|(start, _)| *start < until);
    let active = active.filter(|(_, id)| {
        let end = state
            .conversations
            .get(id)
            .and_then(|conversation| conversation.end);
        end.is_none_or(|end| end >= from)
    });
    let ids = active.map(|(_, id)| id.clone()).collect();
    let fails = state.analytics.failing > 0;
    state.analytics.failing = state.analytics.failing.saturating_sub(1);
    let looks = state.analytics.looks;
    let job = Job {
        ids: Arc::new(ids),
        looks,
        fails,
    };
    let id = Uuid::new_v4().to_string();
    state.analytics.jobs.insert(id.clone(), job);
    Ok((StatusCode::ACCEPTED, Json(json!({ "jobId": id }))).into_response())
}

/// Answers `GET /analytics/conversations/details/jobs/{job}`.
pub(super) async fn job(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    let mut state = lock(&shared);
    let job = known(&mut state, &id)?;
    let (status, body) = match job.looks {
        0 if job.fails => (
            StatusCode::OK,
            json!({"state": "FAILED", "errorMessage": "The query could not be run"}),
        ),
        0 => (StatusCode::OK, json!({"state": "FULFILLED"})),
        1 => (StatusCode::ACCEPTED, json!({"state": "PENDING"})),
        _ => (StatusCode::ACCEPTED, json!({"state": "QUEUED"})),
    };
    job.looks = job.looks.saturating_sub(1);
    Ok((status, Json(body)).into_response())
}

/// Answers `GET /analytics/conversations/details/jobs/{job}/results`.
pub(super) async fn results(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(parameters): Query<BTreeMap<String, String>>,
) -> Answer {
    let number = |name: &str, default: usize| {
        let text = parameters.get(name);
        text.map_or(Some(default), |text| text.parse().ok())
            .ok_or_else(|| ApiError::bad_value(name))
    };
    let size = number("pageSize", LARGEST_JOB_PAGE)?;
    if !(1..=LARGEST_JOB_PAGE).contains(&size) {
        return Err(ApiError::bad_value("pageSize"));
    }
    let begin = number("cursor", 0)?;
    let mut state = lock(&shared);
    let job = known(&mut state, &id)?;
    if job.fails || job.looks > 0 {
        return Err(ApiError::bad_value("jobId"));
    }
    let ids = job.ids.clone();
    let page = ids.iter().skip(begin).take(size);
    let page: Vec<Value> = page
        .filter_map(|id| state.conversations.get(id))
        .map(details::listed)
        .collect();
    let mut answer = json!({"conversations": page, "dataAvailabilityDate": time(available(&state))});
    if begin + size < ids.len() {
        answer["cursor"] = (begin + size).to_string().into();
    }
    Ok(Json(answer).into_response())
}

/// Answers `GET /analytics/conversations/details/jobs/availability`.
pub(super) async fn availability(State(shared): State<Shared>) -> Answer {
    let state = lock(&shared);
    state.permissions.any(&DETAILS)?;
    Ok(Json(json!({ "dataAvailabilityDate": time(available(&state)) })).into_response())
}

fn sorted(state: &mut Simulated) -> Arc<Vec<(Timestamp, String)>> {
    state.analytics.sorted(&state.conversations)
}

fn available(state: &Simulated) -> Timestamp {
    let now = i64::try_from(state.now().as_millis()).unwrap_or(i64::MAX);
    let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX);
    state.analytics.available.unwrap_or(now)
}

fn known<'a>(state: &'a mut Simulated, id: &str) -> Result<&'a mut Job, ApiError> {
    let job = state.analytics.jobs.get_mut(id);
    job.ok_or_else(|| ApiError::not_found(&format!("The job [{id}]")))
}

/// Returns start and end of the body's `interval`, which is "start/end".
fn interval(body: &Value) -> Result<(Timestamp, Timestamp), ApiError> {
    let parsed = body["interval"].as_str().and_then(|text| {
        let (from, to) = text.split_once('/')?;
        Some((from.parse::<Timestamp>().ok()?, to.parse::<Timestamp>().ok()?))
    });
    parsed
        .filter(|(from, to)| from < to)
        .ok_or_else(|| ApiError::bad_value("interval"))
}
