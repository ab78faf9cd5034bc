//! Lambda, as far as whoever invokes a function sees it: `Invoke` of functions that run in this process.
//! <https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html>

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::sim::names::{ACCOUNT_ID, REGION};

/// The version of the API, which every path begins with.
const API: &str = "/2015-03-31/functions/";
/// Longest payload and longest answer of a synchronous invocation, in bytes:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const LONGEST: usize = 6 * 1024 * 1024;

/// The answer of a function: its response, or type and message of its error.
pub type Invoked = Result<Value, (String, String)>;

type Code = Arc<dyn Fn(Value) -> Pin<Box<dyn Future<Output = Invoked> + Send>> + Send + Sync>;

/// The functions by name.
#[derive(Default)]
pub(super) struct Functions(Mutex<BTreeMap<String, Code>>);

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Functions")
    }
}

/// Returns whether a request is one to Lambda: a bucket may be called like the API's version.
pub(super) fn is_lambda(parts: &Parts) -> bool {
    let signature = parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    parts.uri.path().starts_with(API) && signature.is_some_and(|signature| signature.contains("/lambda/"))
}

/// Returns the function that an invocation names; `None` where it is another request.
fn invoked(parts: &Parts) -> Option<String> {
    let named = parts.uri.path().strip_prefix(API)?.strip_suffix("/invocations")?;
    // A whole or partial ARN has its colons escaped.
    let named = named.replace("%3A", ":");
    let name = named
        .split_once("function:")
        .map_or(named.as_str(), |(_, name)| name);
    (parts.method == Method::POST && !name.contains('/')).then(|| name.to_owned())
}

impl Functions {
    /// Puts a function into service, in the place of one of this name.
    pub(super) fn serve(&self, name: &str, code: Code) {
        let mut functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        functions.insert(name.to_owned(), code);
    }

    /// Answers a request.
    pub(super) async fn call(&self, parts: &Parts, body: &[u8]) -> Response<Body> {
        let Some(name) = invoked(parts) else {
            return refused(
                StatusCode::NOT_FOUND,
                "UnknownOperationException",
                "Lambda simulator: only Invoke",
            );
        };
        let kind = parts.headers.get("x-amz-invocation-type");
        if kind.is_some_and(|kind| kind != "RequestResponse") {
            return refused(
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                "Lambda simulator: only RequestResponse",
            );
        }
        if body.len() > LONGEST {
            let message =
                format!("Request must be smaller than {LONGEST} bytes for the InvokeFunction operation");
            return refused(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestTooLargeException",
                &message,
            );
        }
        let code = {
            let functions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            functions.get(&name).cloned()
        };
        let Some(code) = code else {
            let message = format!("Function not found: arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}");
            return refused(StatusCode::NOT_FOUND, "ResourceNotFoundException", &message);
        };
        let payload = match serde_json::from_slice(body) {
            Ok(payload) => payload,
            Err(error) => {
                let message = format!("Could not parse request body into json: {error}");
                return refused(
                    StatusCode::BAD_REQUEST,
                    "InvalidRequestContentException",
                    &message,
                );
            }
        };
        answered(code(payload).await)
    }
}

/// Returns what Lambda makes of a function's answer: the status of an error is 200 as well, and a header tells.
fn answered(answer: Invoked) -> Response<Body> {
    let failure = |kind: &str, message: &str| json!({"errorType": kind, "errorMessage": message}).to_string();
    let (failed, body) = match answer {
        Err((kind, message)) => (true, failure(&kind, &message)),
        Ok(answer) if answer.to_string().len() > LONGEST => {
            let message =
                format!("Response payload size exceeded maximum allowed payload size ({LONGEST} bytes).");
            (true, failure("Function.ResponseSizeTooLarge", &message))
        }
        Ok(answer) => (false, answer.to_string()),
    };
    let mut response = Response::new(Body::from(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amz-executed-version", HeaderValue::from_static("$LATEST"));
    if failed {
        headers.insert("x-amz-function-error", HeaderValue::from_static("Unhandled"));
    }
    response
}

/// Returns an error of Lambda itself.
fn refused(status: StatusCode, kind: &'static str, message: &str) -> Response<Body> {
    let body = json!({"Type": "User", "Message": message}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}
