//! The login host: client credentials in, bearer tokens out (docs/genesys.md, "Login").

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::sim::genesys::state::{Shared, lock};

/// Answers `POST /oauth/token`.
pub(super) async fn token(
    State(shared): State<Shared>,
    headers: HeaderMap,
    form: Result<Form<BTreeMap<String, String>>, FormRejection>,
) -> Response {
    let grant_type = form.ok().and_then(|Form(mut form)| form.remove("grant_type"));
    let (status, body) = match grant_type.as_deref() {
        Some("client_credentials") => {
            let mut state = lock(&shared);
            let now = state.now();
            match state.login.grant(&headers, now) {
                Ok(token) => (
                    StatusCode::OK,
                    json!({
                        "access_token": token,
                        "token_type": "bearer",
                        "expires_in": state.login.lifetime.as_secs(),
                    }),
                ),
                Err(text) => (StatusCode::BAD_REQUEST, error("invalid_client", text)),
            }
        }
        Some(_) => (
            StatusCode::BAD_REQUEST,
            error("unsupported_grant_type", "grant type not supported"),
        ),
        None => (
            StatusCode::BAD_REQUEST,
            error("invalid_request", "grant_type is missing"),
        ),
    };
    (status, Json(body)).into_response()
}

fn error(error: &str, text: &str) -> serde_json::Value {
    json!({ "error": error, "description": text, "error_description": text })
}
