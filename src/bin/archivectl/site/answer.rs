//! Answers of the page's server: their headers, and bodies that stream.

use std::error::Error;
use std::sync::LazyLock;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use recording_archiver::ops::play::Reading;

use super::quiet::Quiet;
use crate::html::{self, hash};

/// A body of ours.
pub(super) type Body = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// The style of these pages, beside that of all.
const STYLE: &str = include_str!("style.css");
/// The only script.
const SCRIPT: &str = include_str!("script.js");

/// Nothing but this style and this script, and what this server has to give.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; style-src '{}' '{}'; script-src '{}'; connect-src 'self'; media-src 'self'; img-src data:; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(html::STYLE),
        hash(STYLE),
        hash(SCRIPT)
    )
});

/// Returns an answer without a body.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    with(
        status,
        "text/plain; charset=utf-8",
        Empty::new().map_err(Into::into).boxed_unsync(),
    )
}

/// Returns an answer of a line of plain text.
pub(super) fn text(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::from(format!("{text}\n")).map_err(Into::into).boxed_unsync();
    with(status, "text/plain; charset=utf-8", body)
}

/// Returns a value as JSON.
pub(super) fn json(value: &serde_json::Value) -> Response<Body> {
    let body = Full::from(value.to_string()).map_err(Into::into).boxed_unsync();
    with(StatusCode::OK, "application/json", body)
}

/// Returns a page with this title, which is about the subject if that is named; `body` is HTML already.
pub(super) fn page(status: StatusCode, title: (&str, &str), body: &str) -> Response<Body> {
    // Without an icon of its own, a browser asks for one.
    let head = format!(
        "<link rel=\"icon\" href=\"data:,\">\n<style>{}</style>\n<style>{STYLE}</style>\n",
        html::STYLE
    );
    let page = html::document(title, "", &head, &format!("{body}<script>{SCRIPT}</script>\n"));
    with(
        status,
        "text/html; charset=utf-8",
        Full::from(page).map_err(Into::into).boxed_unsync(),
    )
}

/// Returns an answer of the bytes of a file, of this type.
pub(super) fn file(status: StatusCode, kind: &str, reading: Reading, quiet: Quiet) -> Response<Body> {
    let chunks = stream::try_unfold((reading, quiet), |(mut reading, quiet)| async move {
        let bytes = reading.next().await?;
        quiet.end();
        Ok::<_, Box<dyn Error + Send + Sync>>(bytes.map(|bytes| (Frame::data(bytes), (reading, quiet))))
    });
    with(status, kind, StreamBody::new(chunks).boxed_unsync())
}

/// Adds a header to an answer; a value that is none is left out.
pub(super) fn set(answer: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// Makes an answer that nobody keeps, frames or takes for something else, and whose links say nothing of the page.
fn with(status: StatusCode, kind: &str, body: Body) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, &POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        set(&mut answer, name, value);
    }
    answer
}
