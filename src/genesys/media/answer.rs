//! Checks of a media host's answer: whether it is media at all, how long, and whether it can be resumed.

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap};

use crate::domain::format::MediaKind;
use crate::error::{Error, ErrorKind};
use crate::http::retry_after;

pub(super) fn refusal(status: StatusCode) -> Error {
    match status {
        StatusCode::GONE => Error::new(
            ErrorKind::Expired,
            "the media host answered 410: the recording is gone",
        ),
        // CloudFront's answer to an expired or wrong signature: a new URL may do.
        StatusCode::FORBIDDEN => {
            Error::transient("the media host answered 403: the signed URL is expired or refused")
        }
        _ => Error::transient(format!("the media host answered {}", status.as_u16())),
    }
}

pub(super) fn check_headers(
    status: StatusCode,
    headers: &HeaderMap,
    content_type: Option<&str>,
    media: MediaKind,
) -> Result<(), Error> {
    if status == StatusCode::ACCEPTED {
        let after = retry_after(headers);
        return Err(Error::new(
            ErrorKind::NotReady { after },
            "the media is still being prepared (202)",
        ));
    }
    if status != StatusCode::OK {
        return Err(Error::transient(format!(
            "the media host answered {} to a plain GET",
            status.as_u16()
        )));
    }
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        return Err(Error::transient(
            "the media host sent an encoded body, though none was asked for",
        ));
    }
    match content_type {
        Some(found) if says_error_page(found, media) => Err(Error::transient(format!(
            "the media host sent {} instead of media: an error page",
            crate::redact::clip(found)
        ))),
        _ => Ok(()),
    }
}

/// Says whether a content type is that of an error page: no media is text, and only an e-mail may be plain text.
pub(super) fn says_error_page(content_type: &str, media: MediaKind) -> bool {
    let text =
        content_type.starts_with("text/") && !(media == MediaKind::Email && content_type == "text/plain");
    let data = ["/json", "+json", "/xml", "+xml"]
        .iter()
        .any(|end| content_type.ends_with(end));
    text || data
}

pub(super) fn check_head(head: &[u8], media: MediaKind) -> Result<(), Error> {
    if head.is_empty() {
        return Err(Error::transient("the media host sent an empty body"));
    }
    // An e-mail is text and may begin with anything.
    let start = head
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(head)
        .trim_ascii_start();
    let text = media != MediaKind::Email && matches!(start.first(), Some(b'<' | b'{'));
    if text {
        return Err(Error::transient(
            "the media host sent markup or JSON instead of media: an error page",
        ));
    }
    Ok(())
}

pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    )
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Returns the ETag if it is a strong one: only that proves that two answers are of the same bytes,
/// <https://www.rfc-editor.org/rfc/rfc9110#section-13.1.5>.
pub(super) fn strong_e_tag(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(header::ETAG)?.to_str().ok()?;
    (tag.starts_with('"') && tag.len() > 2).then(|| tag.to_owned())
}

/// Returns first byte and total length of a partial answer.
pub(super) fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = headers
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?;
    let (range, total) = value.split_once('/')?;
    let (first, _last) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_pages_are_told_from_media_by_their_first_byte() {
        for page in [&b"<html>"[..], b" \n<?xml", b"{\"message\":1}", b""] {
            assert!(check_head(page, MediaKind::Audio).is_err());
        }
        assert!(check_head(b"RIFF", MediaKind::Audio).is_ok());
        assert!(check_head(b"<anna@example.com> wrote", MediaKind::Email).is_ok());
    }

    #[test]
    fn only_strong_etags_allow_resuming() {
        let tag = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ETAG, header::HeaderValue::from_static(value));
            strong_e_tag(&headers)
        };
        assert_eq!(tag("\"abc\"").as_deref(), Some("\"abc\""));
        assert_eq!(tag("W/\"abc\""), None);
        assert_eq!(tag("\"\""), None);
    }
}
