//! From a request to its answer: first who may ask, then what for.

use std::hint::black_box;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use recording_archiver::domain::recording::ConversationId;
use recording_archiver::ops::play::{Call, Check, Track};
use serde_json::json;

use super::answer::{self, Body, set};
use super::call;
use super::range::{Span, span};
use super::search;
use super::state::Site;

/// Longest form that is read, in bytes.
const LONGEST_FORM: usize = 256 * 1024;

/// Returns the last answer of the connection to somebody who does not know the page's URL.
pub(super) fn refused(site: &Site<'_>, request: &Request<Incoming>) -> Option<Response<Body>> {
    // A page of another site whose name leads here has another host, and no way to learn the token.
    let host = request.headers().get(header::HOST);
    let mut refused = if host.is_none_or(|host| host.as_bytes() != site.authority.as_bytes()) {
        answer::text(StatusCode::FORBIDDEN, "this is not the host of the page")
    } else {
        let token = request.uri().path().split('/').nth(1);
        if token.is_some_and(|token| same(token, &site.token)) {
            return None;
        }
        answer::text(StatusCode::NOT_FOUND, "not found")
    };
    set(&mut refused, header::CONNECTION, "close");
    Some(refused)
}

/// Answers a request of somebody who knows the page's URL.
pub(super) async fn answer(site: &Site<'_>, request: Request<Incoming>) -> Response<Body> {
    site.quiet.end();
    let path = request.uri().path().to_owned();
    let parts: Vec<_> = path.split('/').skip(2).collect();
    let read = matches!(*request.method(), Method::GET | Method::HEAD);
    match *parts {
        [""] if request.method() == Method::POST => sent(site, request).await,
        _ if !read => {
            let mut refused = answer::text(StatusCode::METHOD_NOT_ALLOWED, "not allowed");
            set(&mut refused, header::ALLOW, "GET, HEAD");
            refused
        }
        [""] => searched(site, None).await,
        ["search", number] => searched(site, Some(number)).await,
        ["call", conversation] => of_call(site, conversation, request.uri().query()).await,
        [what, conversation, number] => of_file(site, &request, what, (conversation, number)).await,
        ["state", conversation] => match open(site, conversation).await {
            Some(call) => answer::json(&state(&call)),
            None => answer::text(StatusCode::NOT_FOUND, "not found"),
        },
        _ => answer::text(StatusCode::NOT_FOUND, "not found"),
    }
}

/// Compares two texts in a time that says nothing of where they differ.
fn same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    let differences = pairs.fold(0, |found, (one, other)| black_box(found | (one ^ other)));
    one.len() == other.len() && differences == 0
}

/// Answers with the search of this number, or with the one that the page begins with.
async fn searched(site: &Site<'_>, number: Option<&str>) -> Response<Body> {
    let number = number.map(|number| number.parse::<u64>());
    match (site.search, number) {
        (None, _) | (_, Some(Err(_))) => answer::text(StatusCode::NOT_FOUND, "not found"),
        (Some(find), None) => search::page(site, find, (None, &site.form)).await,
        (Some(find), Some(Ok(number))) => match site.kept(number) {
            Some(form) => search::page(site, find, (Some(number), &form)).await,
            None => search::forgotten(site),
        },
    }
}

/// Keeps a search, and leads to its page: so what was searched for stands in no URL, and going back to the page sends
/// nothing again.
async fn sent(site: &Site<'_>, request: Request<Incoming>) -> Response<Body> {
    if site.search.is_none() {
        return answer::text(StatusCode::NOT_FOUND, "not found");
    }
    let body = Limited::new(request.into_body(), LONGEST_FORM).collect().await;
    let Ok(body) = body.map(http_body_util::Collected::to_bytes) else {
        return answer::text(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long");
    };
    let fields = url::form_urlencoded::parse(&body).into_owned();
    let number = site.keep(search::read(fields.collect()));
    let mut answer = answer::empty(StatusCode::SEE_OTHER);
    set(&mut answer, header::LOCATION, &search::path(site, Some(number)));
    answer
}

async fn open<'a>(site: &Site<'a>, conversation: &str) -> Option<Arc<Call<'a>>> {
    let conversation = ConversationId::parse(conversation).ok()?;
    site.call(conversation).await.ok()
}

/// Answers with the page of a call, whose `query` may name the search that it was found by.
async fn of_call(site: &Site<'_>, conversation: &str, query: Option<&str>) -> Response<Body> {
    let Ok(conversation) = ConversationId::parse(conversation) else {
        return answer::text(StatusCode::NOT_FOUND, "not found");
    };
    let back = call::back(site, query);
    let described = async {
        let call = site.call(conversation).await?;
        let described = call.describe().await?;
        Ok(call::page(site, conversation, (&call, &described), &back))
    };
    match described.await {
        Ok(page) => page,
        Err(error) => call::failed(conversation, &error, back),
    }
}

async fn of_file(
    site: &Site<'_>,
    request: &Request<Incoming>,
    what: &str,
    (conversation, number): (&str, &str),
) -> Response<Body> {
    let call = open(site, conversation).await;
    let file = call.and_then(|call| {
        let track = call.tracks().get(number.parse::<usize>().ok()?)?.clone();
        Some((call, track))
    });
    match (what, file) {
        ("media", Some((call, track))) => media(site, request, &call, &track).await,
        ("download", Some((call, track))) => download(site, request, &call, &track).await,
        _ => answer::text(StatusCode::NOT_FOUND, "not found"),
    }
}

/// Answers with the bytes of a file for a player, and has the whole of it checked.
async fn media<'a>(
    site: &Site<'a>,
    request: &Request<Incoming>,
    call: &Arc<Call<'a>>,
    track: &Arc<Track>,
) -> Response<Body> {
    let stored = &track.file.stored;
    let (tag, size) = (format!("\"{}\"", stored.sha256), stored.size_bytes);
    let value = |name: HeaderName| request.headers().get(name)?.to_str().ok();
    let span = span(value(header::RANGE), value(header::IF_RANGE), &tag, size);
    let (status, range, length) = match span {
        Span::Whole => (StatusCode::OK, None, size),
        Span::Part(first, last) => (StatusCode::PARTIAL_CONTENT, Some((first, last)), last - first + 1),
        Span::Beyond => {
            let mut refused = answer::empty(StatusCode::RANGE_NOT_SATISFIABLE);
            set(&mut refused, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return refused;
        }
    };
    let mut answer = match request.method() {
        &Method::HEAD => answer::empty(status),
        _ => match call.listen(track, range).await {
            Ok(reading) => {
                if track.begin_check() {
                    // The receiver lives as long as the server.
                    let _ = site.jobs.send((call.clone(), track.clone()));
                }
                answer::file(status, "", reading, site.quiet.clone())
            }
            Err(error) => return answer::text(StatusCode::BAD_GATEWAY, &error.to_string()),
        },
    };
    set(&mut answer, header::CONTENT_TYPE, call::media(track).1);
    set(&mut answer, header::ACCEPT_RANGES, "bytes");
    set(&mut answer, header::ETAG, &tag);
    set(&mut answer, header::CONTENT_LENGTH, &length.to_string());
    if let Some((first, last)) = range {
        let range = format!("bytes {first}-{last}/{size}");
        set(&mut answer, header::CONTENT_RANGE, &range);
    }
    answer
}

/// Answers with a file to keep, whose last bytes only come if all of them are those that were archived.
async fn download(
    site: &Site<'_>,
    request: &Request<Incoming>,
    call: &Call<'_>,
    track: &Arc<Track>,
) -> Response<Body> {
    const KIND: &str = "application/octet-stream";
    let mut answer = match request.method() {
        &Method::HEAD => answer::empty(StatusCode::OK),
        _ => match call.download(track).await {
            Ok(reading) => answer::file(StatusCode::OK, KIND, reading, site.quiet.clone()),
            Err(error) => return answer::text(StatusCode::BAD_GATEWAY, &error.to_string()),
        },
    };
    let length = track.file.stored.size_bytes.to_string();
    let attachment = format!("attachment; filename=\"{}\"", track.name());
    set(&mut answer, header::CONTENT_TYPE, KIND);
    set(&mut answer, header::CONTENT_LENGTH, &length);
    set(&mut answer, header::CONTENT_DISPOSITION, &attachment);
    answer
}

/// Returns what is known of each file, in words.
fn state(call: &Call<'_>) -> serde_json::Value {
    let tracks = call.tracks().iter();
    let files = tracks.map(|track| {
        let (class, text) = call::check(track);
        let check = track.check();
        let busy = matches!(check, Check::Running(_));
        let done = matches!(check, Check::Matches | Check::Differs(_) | Check::Failed(_));
        json!({"class": class, "text": text, "busy": busy, "done": done})
    });
    json!({"files": files.collect::<Vec<_>>()})
}
