//! The organisation itself: its limits, the topics of its events, how long recordings are kept.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::sim::genesys::answer::{ApiError, time};
use crate::sim::genesys::state::{Shared, lock};

type Answer = Result<Response, ApiError>;
type Parameters = Query<Vec<(String, String)>>;

/// The namespaces that an archiver may ask for. Of the keys within, only those of `platform.api` are known.
const NAMESPACES: [&str; 9] = [
    "recording",
    "platform.api",
    "analytics",
    "analytics.data.extraction",
    "speech.and.text.analytics",
    "quality",
    "audit",
    "conversation",
    "notifications",
];

/// Answers `GET /organizations/limits/namespaces/{namespace}`.
pub(super) async fn limits(State(shared): State<Shared>, Path(namespace): Path<String>) -> Answer {
    let allowed = lock(&shared).limiter.allowed;
    limits_of(&namespace, allowed)
}

/// Answers `GET /organizations/limits/namespaces/{namespace}/defaults`.
pub(super) async fn default_limits(Path(namespace): Path<String>) -> Answer {
    limits_of(&namespace, 300)
}

fn limits_of(namespace: &str, allowed: u32) -> Answer {
    if !NAMESPACES.contains(&namespace) {
        return Err(ApiError::bad_value(namespace));
    }
    let limits: &[(&str, u32)] = match namespace {
        "platform.api" => &[
            ("client.credentials.token.rate.per.minute", allowed),
            ("token.rate.per.minute", 300),
            ("org.app.user.rate.per.minute", 3000),
            ("request.bytes.max", 512_000),
        ],
        // Made up: what stands in these is not known, only that numbers have names.
        "recording" => &[("simulated.recording.rate.per.minute", 1200)],
        "analytics.data.extraction" => &[("simulated.jobs.per.day", 500)],
        _ => &[],
    };
    let entities: Vec<_> = limits
        .iter()
        .map(|(key, value)| json!({"key": key, "namespace": namespace, "value": value}))
        .collect();
    Ok(Json(json!({ "entities": entities })).into_response())
}

/// Answers `GET /notifications/availabletopics`: `transports` and the like only where they are asked for.
pub(super) async fn topics(State(shared): State<Shared>, Query(parameters): Parameters) -> Response {
    let expand = parameters.iter().filter(|(name, _)| name == "expand");
    let expand: Vec<_> = expand.flat_map(|(_, names)| names.split(',')).collect();
    let state = lock(&shared);
    let topics = state.topics.iter().map(|(id, transports)| {
        let mut topic = json!({"id": id, "visibility": "Public"});
        if expand.contains(&"transports") {
            topic["transports"] = json!(transports);
        }
        if expand.contains(&"description") {
            topic["description"] = json!("A topic");
        }
        topic
    });
    let topics: Vec<Value> = topics.collect();
    Json(json!({ "entities": topics })).into_response()
}

/// `pageSize` of the retention query.
const LARGEST_PAGE: usize = 500;

/// Answers `GET /recordings/retention/query`: the recordings that are kept longer than this.
pub(super) async fn retention(State(shared): State<Shared>, Query(parameters): Parameters) -> Answer {
    let number = |name: &str| {
        let mut values = parameters.iter().filter(|(key, _)| key == name);
        let text = values.next().map(|(_, value)| value.parse::<u32>());
        text.transpose().map_err(|_| ApiError::bad_value(name))
    };
    let days =
        number("retentionThresholdDays")?.ok_or_else(|| ApiError::bad_value("retentionThresholdDays"))?;
    let size = usize::try_from(number("pageSize")?.unwrap_or(25)).unwrap_or(usize::MAX);
    if !(1..=LARGEST_PAGE).contains(&size) {
        return Err(ApiError::bad_value("pageSize"));
    }
    let begin = usize::try_from(number("cursor")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let state = lock(&shared);
    state.permissions.any(&["recording:recording:view"])?;
    if days < state.least_retention {
        return Err(ApiError::bad_value("retentionThresholdDays"));
    }
    let now = i64::try_from(state.now().as_millis()).unwrap_or(i64::MAX);
    let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX);
    let kept_since = now.saturating_sub(SignedDuration::from_hours(24 * i64::from(days)));
    let kept_since = kept_since.unwrap_or(Timestamp::MIN);
    let recordings = state.conversations.values().flat_map(|conversation| {
        let of = conversation.recordings.iter();
        of.map(move |recording| (&conversation.id, recording))
    });
    let kept: Vec<_> = recordings
        .filter(|(_, recording)| recording.start < kept_since)
        .collect();
    let entities = kept
        .iter()
        .skip(begin)
        .take(size)
        .map(|(conversation, recording)| {
            json!({
                "conversationId": conversation,
                "recordingId": recording.id,
                "creationTime": time(recording.start),
                "deleteDate": recording.delete_date.map(time),
                "archiveDate": recording.archive_date.map(time),
            })
        });
    let mut answer = json!({ "entities": entities.collect::<Vec<_>>() });
    if begin.saturating_add(size) < kept.len() {
        let next = begin + size;
        let uri = format!(
            "/api/v2/recordings/retention/query?retentionThresholdDays={days}&pageSize={size}&cursor={next}"
        );
        answer["nextUri"] = uri.into();
    }
    Ok(Json(answer).into_response())
}
