//! Turns a media file and what befalls it into an HTTP answer.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, Uri, header, response};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::oneshot;

use super::content::{CHUNK, Content};
use super::media::{Etag, Length, Mishap, Redirect, Turn};

/// Returns the answer of CloudFront to a URL that is expired or was not signed like this.
pub(super) fn access_denied() -> Response {
    xml(StatusCode::FORBIDDEN, "AccessDenied", "Access denied")
}

/// Returns an error in the way of S3 and CloudFront.
pub(super) fn xml(status: StatusCode, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

/// Answers one request for a file.
pub(super) fn deliver(turn: Turn, content_type: &str, uri: &Uri, request: &HeaderMap) -> Response {
    let (cut, stall) = match &turn.mishap {
        Mishap::Nothing | Mishap::ChangesTo(_) => (None, None),
        Mishap::CutAt(at) => (Some(*at), None),
        Mishap::StallAt(at, pause) => (None, Some((*at, *pause))),
        Mishap::Expired => return access_denied(),
        Mishap::Redirect(redirect) => return found(redirect, uri, request),
        Mishap::Instead {
            status,
            content_type,
            body,
        } => {
            let answer = response::Builder::new()
                .status(*status)
                .header(header::CONTENT_TYPE, content_type);
            return finish(answer, Body::from(body.clone()));
        }
    };
    match turn.content.len() {
        Ok(len) => send(turn, len, content_type, request, cut, stall),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn send(
    turn: Turn,
    len: u64,
    content_type: &str,
    request: &HeaderMap,
    cut: Option<u64>,
    stall: Option<(u64, Option<Duration>)>,
) -> Response {
    let Turn {
        content,
        tag,
        delivery,
        ..
    } = turn;
    let etag = match delivery.etag {
        Etag::None => None,
        Etag::Weak => Some(format!("W/\"{tag}\"")),
        Etag::Strong => Some(format!("\"{tag}\"")),
    };
    let mut answer = response::Builder::new().header(
        header::CONTENT_TYPE,
        delivery.content_type.as_deref().unwrap_or(content_type),
    );
    if let Some(etag) = &etag {
        answer = answer.header(header::ETAG, etag);
    }
    let range = if delivery.ranges {
        answer = answer.header(header::ACCEPT_RANGES, "bytes");
        asked_range(request, etag.as_deref(), len)
    } else {
        Range::Whole
    };
    let (at, end) = match range {
        Range::Whole => (0, len),
        Range::Part(at, end) => {
            answer = answer
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {at}-{}/{len}", end - 1));
            (at, end)
        }
        Range::Outside => {
            answer = answer
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header(header::CONTENT_RANGE, format!("bytes */{len}"));
            return finish(answer, Body::empty());
        }
    };
    match delivery.length {
        Length::Exact => answer = answer.header(header::CONTENT_LENGTH, end - at),
        Length::OffBy(bytes) => {
            let claim = (end - at).saturating_add_signed(bytes);
            answer = answer.header(header::CONTENT_LENGTH, claim);
        }
        Length::Absent => {}
    }
    let transfer = Transfer {
        content,
        at,
        end: cut.map_or(end, |cut| cut.clamp(at, end)),
        broken: cut.is_some_and(|cut| cut < end),
        stall,
        sent: None,
    };
    finish(answer, transfer.into_body())
}

fn found(redirect: &Redirect, uri: &Uri, request: &HeaderMap) -> Response {
    let host = request
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    let location = match redirect {
        Redirect::Back => uri.to_string(),
        Redirect::Scheme(scheme) => format!("{scheme}://{host}{uri}"),
        Redirect::To(location) => location.clone(),
    };
    let answer = response::Builder::new()
        .status(StatusCode::FOUND)
        .header(header::LOCATION, location);
    finish(answer, Body::empty())
}

/// Returns the answer with this header, or one that says that the test made up an invalid header.
fn finish(answer: response::Builder, body: Body) -> Response {
    answer
        .body(body)
        .unwrap_or_else(|error| (StatusCode::NOT_IMPLEMENTED, error.to_string()).into_response())
}

enum Range {
    Whole,
    Part(u64, u64),
    Outside,
}

/// Returns the range of a request (RFC 9110, 14.1-14.2). One that cannot be understood, or several, are ignored.
fn asked_range(request: &HeaderMap, etag: Option<&str>, len: u64) -> Range {
    let text = |name| request.get(name).and_then(|value| value.to_str().ok());
    if let Some(condition) = text(header::IF_RANGE)
        && (condition.starts_with("W/") || etag != Some(condition))
    {
        return Range::Whole;
    }
    let asked = text(header::RANGE)
        .and_then(|range| range.strip_prefix("bytes="))
        .and_then(|range| range.split_once('-'));
    let Some((first, last)) = asked else {
        return Range::Whole;
    };
    let (at, end) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.saturating_add(1).min(len)),
        (Ok(first), Err(_)) if last.is_empty() => (first, len),
        (Err(_), Ok(last)) if first.is_empty() => (len.saturating_sub(last), len),
        _ => return Range::Whole,
    };
    if at < end {
        Range::Part(at, end)
    } else {
        Range::Outside
    }
}

/// A body under way.
struct Transfer {
    content: Content,
    at: u64,
    end: u64,
    broken: bool,
    stall: Option<(u64, Option<Duration>)>,
    /// Resolves when the last chunk has been handed to the operating system.
    sent: Option<oneshot::Receiver<()>>,
}

impl Transfer {
    fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut transfer| async move {
            let chunk = transfer.next().await?;
            Some((chunk, transfer))
        }))
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if let Some((at, pause)) = self.stall
            && at <= self.at
        {
            self.stall = None;
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        }
        if self.at == self.end {
            // The server drops what it still holds when a body ends too early. What comes before the
            // break has to be on its way first, or a cut would not be at the offset that was asked for.
            match self.sent.take() {
                Some(sent) => _ = sent.await,
                None => tokio::task::yield_now().await,
            }
            return self.broken.then(|| {
                Err(io::Error::new(
                    io::ErrorKind::ConnectionAborted,
                    "cut by the script",
                ))
            });
        }
        let stop = self.stall.map_or(self.end, |(at, _)| at.min(self.end));
        let chunk = self.content.read(self.at, CHUNK.min(stop - self.at));
        Some(chunk.and_then(|chunk| {
            if chunk.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into()); // a file on disk became shorter
            }
            self.at += chunk.len() as u64;
            if self.at < self.end {
                return Ok(chunk);
            }
            let (dropped, sent) = oneshot::channel();
            self.sent = Some(sent);
            Ok(Bytes::from_owner(Last {
                chunk,
                _dropped: dropped,
            }))
        }))
    }
}

/// The last chunk of a body; the server drops it once it is written.
struct Last {
    chunk: Bytes,
    _dropped: oneshot::Sender<()>,
}

impl AsRef<[u8]> for Last {
    fn as_ref(&self) -> &[u8] {
        &self.chunk
    }
}
