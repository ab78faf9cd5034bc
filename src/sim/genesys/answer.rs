//! The common parts of all answers of the API: the error body and the time format.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sim::wire::Fault;

/// An error on its way to the client; [`ApiError::render`] gives it the body.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) params: Value,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            params: json!({}),
        }
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not.found", format!("{what} not found"))
    }

    pub(super) fn bad_value(what: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid.value",
            format!("Value [{what}] is not valid"),
        )
    }

    /// Returns an `ErrorBody` (docs/genesys.md, "Errors and rate limits"); its `contextId` is the correlation id of
    /// the answer.
    pub(super) fn render(&self, correlation_id: &str) -> Response {
        let body = json!({
            "message": self.message,
            "code": self.code,
            "status": self.status.as_u16(),
            "messageParams": self.params,
            "contextId": correlation_id,
            "details": [],
            "errors": [],
        });
        (self.status, Json(body)).into_response()
    }
}

/// Handlers do not know the correlation id: the error travels beside an empty answer to who does.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Returns a fault for the wire: the API fails with this status and a proper `ErrorBody`.
pub fn failure(status: u16, code: &str) -> Fault {
    let body = json!({
        "message": "The request could not be served",
        "code": code,
        "status": status,
        "messageParams": {},
        "contextId": "00000000-0000-4000-8000-00000000fa17",
        "details": [],
        "errors": [],
    });
    let headers = [
        ("Content-Type", "application/json"),
        ("ININ-Correlation-Id", "00000000-0000-4000-8000-00000000fa17"),
    ];
    Fault::Respond {
        status,
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: body.to_string().into_bytes(),
    }
}

/// Returns a time as Genesys writes it, with milliseconds.
pub(super) fn time(timestamp: Timestamp) -> String {
    timestamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
