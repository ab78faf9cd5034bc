//! The routes of the simulator, the names of its operations, and what every API request passes first.

mod analytics;
mod batch;
mod calls;
mod conversations;
mod details;
mod interactions;
mod names;
mod organisation;
mod orphans;
mod token;
mod uploads;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use uuid::Uuid;

use super::answer::ApiError;
use super::delivery::{access_denied, deliver, xml};
use super::format::Format;
use super::login::bearer;
use super::state::{Shared, lock};
use super::transcripts::inline;
use crate::sim::wire::Service;

/// Returns the router of API and login in one: the archiver only sees two base URLs, which may be the same.
pub(super) fn router(shared: Shared) -> Router {
    let api = Router::new()
        .route("/conversations/{id}", get(calls::conversation))
        .route(
            "/conversations/{id}/recordingmetadata",
            get(conversations::metadata_list),
        )
        .route(
            "/conversations/{id}/recordingmetadata/{recording}",
            get(conversations::metadata),
        )
        .route("/conversations/{id}/recordings", get(conversations::recordings))
        .route(
            "/conversations/{id}/recordings/{recording}",
            get(conversations::recording),
        )
        .route("/recording/settings", get(conversations::settings))
        .route("/recording/batchrequests", post(batch::submit))
        .route("/recording/batchrequests/{job}", get(batch::job))
        .route("/recordings/retention/query", get(organisation::retention))
        .route("/recording/uploads/reports", post(uploads::request))
        .route("/recording/uploads/reports/{id}", get(uploads::one))
        .route("/orphanrecordings", get(orphans::list))
        .route("/orphanrecordings/{id}", get(orphans::one))
        .route(
            "/organizations/limits/namespaces/{namespace}",
            get(organisation::limits),
        )
        .route(
            "/organizations/limits/namespaces/{namespace}/defaults",
            get(organisation::default_limits),
        )
        .route("/users", get(names::users))
        .route("/routing/queues", get(names::queues))
        .route("/routing/wrapupcodes", get(names::wrap_up_codes))
        .route("/authorization/divisions", get(names::divisions))
        .route("/notifications/availabletopics", get(organisation::topics))
        .route("/recordings/interactions/{id}", get(interactions::interaction))
        .route(
            "/recordings/interactions/{id}/download",
            get(interactions::download),
        )
        .route("/analytics/conversations/{id}/details", get(details::one))
        .route("/analytics/conversations/details", get(details::several))
        .route("/analytics/conversations/details/query", post(analytics::query))
        .route("/analytics/conversations/details/jobs", post(analytics::submit))
        .route(
            "/analytics/conversations/details/jobs/availability",
            get(analytics::availability),
        )
        .route("/analytics/conversations/details/jobs/{job}", get(analytics::job))
        .route(
            "/analytics/conversations/details/jobs/{job}/results",
            get(analytics::results),
        )
        .fallback(async || ApiError::not_found("The requested resource"))
        .method_not_allowed_fallback(async || {
            ApiError::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method.not.allowed",
                "Method not allowed",
            )
        })
        .layer(middleware::from_fn_with_state(shared.clone(), gate));
    Router::new()
        .route("/oauth/token", post(token::token))
        .nest("/api/v2", api)
        .layer(middleware::from_fn(correlate))
        .with_state(shared)
}

/// Returns the names under which the wire records requests to API and login.
pub(super) fn classify(parts: &Parts) -> Option<(Service, String)> {
    let path = parts.uri.path();
    if path == "/oauth/token" {
        return Some((Service::Login, "token".to_owned()));
    }
    let segments: Vec<_> = path.trim_start_matches("/api/v2/").split('/').collect();
    let operation = match segments.as_slice() {
        ["conversations", _] => "conversation",
        ["conversations", _, "recordingmetadata"] => "recordingmetadata",
        ["conversations", _, "recordingmetadata", _] => "recordingmetadata-one",
        ["conversations", _, "recordings"] => "recordings",
        ["conversations", _, "recordings", _] => "recording",
        ["recording", "settings"] => "settings",
        ["recording", "batchrequests"] => "batch-submit",
        ["recording", "batchrequests", _] => "batch-job",
        ["recordings", "retention", "query"] => "retention",
        ["recording", "uploads", "reports"] => "upload-report-request",
        ["recording", "uploads", "reports", _] => "upload-report",
        ["orphanrecordings"] => "orphans",
        ["orphanrecordings", _] => "orphan",
        ["organizations", "limits", "namespaces", ..] => "limits",
        ["notifications", "availabletopics"] => "topics",
        ["users"] => "users",
        ["routing", "queues"] => "queues",
        ["routing", "wrapupcodes"] => "wrapupcodes",
        ["authorization", "divisions"] => "divisions",
        ["recordings", "interactions", _] => "interaction",
        ["recordings", "interactions", _, "download"] => "interaction-download",
        ["analytics", "conversations", "details", rest @ ..] => match rest {
            [] => "details",
            ["query"] => "details-query",
            ["jobs"] => "details-job-submit",
            ["jobs", "availability"] => "details-availability",
            ["jobs", _] => "details-job",
            ["jobs", _, "results"] => "details-results",
            _ => "unknown",
        },
        ["analytics", "conversations", _, "details"] => "details-one",
        _ => "unknown",
    };
    Some((Service::Genesys, operation.to_owned()))
}

/// Checks the token and counts the request.
async fn gate(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let (admission, quota) = {
        let mut state = lock(&shared);
        let now = state.now();
        let token = bearer(request.headers()).unwrap_or_default();
        let quota = state.limiter.count(token, now);
        let admission = state.login.check(request.headers(), now);
        (admission.and_then(|()| quota.check()), quota)
    };
    let mut response = match admission {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    quota.describe(response.headers_mut());
    response
}

/// Gives every answer a correlation id, and error bodies the same one.
async fn correlate(request: Request, next: Next) -> Response {
    let id = Uuid::new_v4().to_string();
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let mut rendered = error.render(&id);
        for (name, value) in response.headers() {
            if name != header::CONTENT_LENGTH {
                rendered.headers_mut().insert(name.clone(), value.clone());
            }
        }
        response = rendered;
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("ININ-Correlation-Id", id);
    }
    response
}

/// Returns the router of the media host: every path is a signed URL of a recording or of a report, or unknown.
pub(super) fn media_router(shared: Shared) -> Router {
    Router::new()
        .route("/uploadreports/{id}", get(uploads::document))
        .fallback(media)
        .with_state(shared)
}

/// Returns the name under which the wire records requests to the media host.
pub(super) fn classify_media(_parts: &Parts) -> Option<(Service, String)> {
    Some((Service::Media, "media".to_owned()))
}

async fn media(
    State(shared): State<Shared>,
    method: Method,
    headers: HeaderMap,
    request: Request,
) -> Response {
    if headers.contains_key(header::AUTHORIZATION) {
        // Stricter than what is known of Genesys: a bearer token must never travel to another host.
        let message = "Only one auth mechanism allowed";
        return xml(StatusCode::BAD_REQUEST, "InvalidArgument", message);
    }
    if method != Method::GET && method != Method::HEAD {
        return xml(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "The method is not allowed",
        );
    }
    let uri = request.uri();
    let (media, address, transcript) = {
        let mut state = lock(&shared);
        let now = state.now();
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        let Some(address) = state.signer.verify(target, now) else {
            return access_denied();
        };
        let recording = state
            .conversations
            .get_mut(&address.conversation)
            .and_then(|conversation| conversation.find(&address.recording));
        let media = recording
            .as_ref()
            .and_then(|recording| recording.media(&address.key).cloned());
        let transcript = recording
            .and_then(|recording| inline(recording))
            .map(|(_, messages)| messages);
        (media, address, transcript)
    };
    match media {
        Some(media) if address.format == Format::Json => {
            let transcript = transcript.unwrap_or_default().to_string();
            let content_type = Format::Json.content_type();
            deliver(media.turn().with(transcript), content_type, uri, &headers)
        }
        // Screens are films, and come as they were recorded.
        Some(media) if address.kind == "SCREEN" => deliver(media.turn(), "video/webm", uri, &headers),
        Some(media) => {
            let turn = media.turn().transcoded(address.format);
            let content_type = turn.content_type(address.format);
            deliver(turn, content_type, uri, &headers)
        }
        None => xml(
            StatusCode::NOT_FOUND,
            "NoSuchKey",
            "The specified key does not exist.",
        ),
    }
}
