//! Answers other than 2xx: which error each means, and how long Genesys asks to wait.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::budget::{RESET, WINDOW, number};
use crate::error::{Error, ErrorKind};
use crate::http::retry_after;

/// Genesys' error body; every field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: Option<String>,
    code: Option<String>,
    #[serde(rename = "contextId")]
    context_id: Option<String>,
    /// The limit that was exceeded.
    limit: Option<serde::de::IgnoredAny>,
}

/// Checks whether Genesys refused a request for what it asks for. Another id in it may be the reason.
pub(super) fn is_refusal(error: &Error) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::Rejected | ErrorKind::Expired) || kind.is_not_found()
}

/// Returns how long to wait if a limit of Genesys is why it refused: as long as it asks for, else a window.
pub(super) fn limited(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Duration> {
    let named = || {
        let body: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
        status.is_client_error() && body.limit.is_some()
    };
    let refused = status == StatusCode::TOO_MANY_REQUESTS || named();
    refused.then(|| asked_to_wait(status, headers, body).unwrap_or(WINDOW))
}

/// Returns the wait that Genesys asks for. A 429 may lack `Retry-After`; then the end of the rate limit's window gives
/// it, or the text of the error.
pub(super) fn asked_to_wait(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Duration> {
    let told = retry_after(headers);
    if told.is_some() || status != StatusCode::TOO_MANY_REQUESTS {
        return told;
    }
    let text = || {
        let body: ErrorBody = serde_json::from_slice(body).ok()?;
        let message = body.message?.to_ascii_lowercase();
        let (_, rest) = message.split_once("retry the request in [")?;
        rest.split_once(']')?.0.trim().parse().ok()
    };
    let seconds = number(headers, RESET).or_else(text)?;
    Some(Duration::from_secs(seconds)).filter(|wait| !wait.is_zero())
}

/// Returns the error that a status other than 2xx means.
pub(super) fn refusal(
    what: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    access: &str,
) -> Error {
    let body: ErrorBody = serde_json::from_slice(body).unwrap_or_default();
    let code = body.code.as_deref().unwrap_or_default();
    let mut told = format!("Genesys answered {} about {what}", status.as_u16());
    if !code.is_empty() {
        told.push_str(&format!(", {}", crate::redact::clip(code)));
    }
    if let Some(message) = &body.message {
        told.push_str(&format!(": {}", crate::redact::quote(message)));
    }
    told.push_str(&match &body.context_id {
        Some(id) if !headers.contains_key(CORRELATION[0]) => {
            format!(" (correlation id {})", crate::redact::clip(id))
        }
        _ => correlation(headers),
    });
    let (kind, hint) = match status.as_u16() {
        401 => (
            ErrorKind::Transient,
            "; a fresh token did not help: check that the OAuth client is active",
        ),
        403 => {
            told.push_str("; ");
            (ErrorKind::Forbidden, access)
        }
        404 if code == "conversation.not.found" => (ErrorKind::UnknownConversation, ""),
        // Also how "no recording yet" can look: an empty list is the other way.
        404 => (ErrorKind::NotReady { after: None }, ""),
        410 => (ErrorKind::Expired, "; the retention period is over"),
        // A redirect is a proxy or a maintenance page in between.
        300..=399 | 408 | 409 | 425 | 429 | 500.. => (ErrorKind::Transient, ""),
        _ => (ErrorKind::Rejected, ""),
    };
    Error::new(kind, format!("{told}{hint}"))
}

/// The header goes by either name: one client reads the newer one first.
const CORRELATION: [&str; 2] = ["inin-correlation-id", "genesys-correlation-id"];

/// Returns the id by which Genesys finds the request, as a piece of a text; empty if there is none.
pub(super) fn correlation(headers: &HeaderMap) -> String {
    let id = CORRELATION
        .iter()
        .find_map(|name| headers.get(HeaderName::from_static(name)));
    let id = id.map(HeaderValue::as_bytes).map(String::from_utf8_lossy);
    id.map_or_else(String::new, |id| {
        format!(" (correlation id {})", crate::redact::clip(&id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesys::api::RECORDING_ACCESS;

    fn of(status: u16, body: &str) -> Error {
        refusal(
            "x",
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            RECORDING_ACCESS,
        )
    }

    #[test]
    fn each_status_leads_where_the_interface_says() {
        assert_eq!(of(403, "").kind(), ErrorKind::Forbidden);
        assert_eq!(
            of(404, r#"{"code":"conversation.not.found"}"#).kind(),
            ErrorKind::UnknownConversation
        );
        assert_eq!(
            of(404, r#"{"code":"not.found"}"#).kind(),
            ErrorKind::NotReady { after: None }
        );
        assert_eq!(of(410, "").kind(), ErrorKind::Expired);
        assert_eq!(of(400, "").kind(), ErrorKind::Rejected);
        for transient in [401, 408, 409, 429, 500, 502, 503, 504] {
            assert_eq!(
                of(transient, "<html>").kind(),
                ErrorKind::Transient,
                "{transient}"
            );
        }
    }

    #[test]
    fn a_429_says_when_to_come_back_in_one_of_three_places() {
        let asked = |named: &[(&'static str, &str)], message: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in named {
                headers.insert(*name, HeaderValue::from_str(value).unwrap());
            }
            let body = serde_json::json!({ "message": message }).to_string();
            asked_to_wait(StatusCode::TOO_MANY_REQUESTS, &headers, body.as_bytes()).map(|wait| wait.as_secs())
        };
        let text = "Rate limit exceeded the maximum. Retry the request in [12] seconds";
        let (after, reset) = (("retry-after", "7"), ("inin-ratelimit-reset", "34"));
        assert_eq!(asked(&[after, reset], text), Some(7));
        assert_eq!(asked(&[reset], text), Some(34));
        assert_eq!(asked(&[], text), Some(12));
        assert_eq!(
            asked(&[("retry-after", "soon"), ("inin-ratelimit-reset", "x")], text),
            Some(12)
        );
        // The old text names a window, and the new one may come with its blank not filled in.
        for silent in [
            "Rate limit exceeded the maximum [300] requests within [60] seconds",
            "Retry the request in [%s] seconds",
            "",
        ] {
            assert_eq!(asked(&[], silent), None, "{silent}");
        }
        assert_eq!(
            asked(&[("inin-ratelimit-reset", "0")], ""),
            None,
            "backoff knows better"
        );
        let mut headers = HeaderMap::new();
        headers.insert("inin-ratelimit-reset", HeaderValue::from_static("34"));
        assert_eq!(
            asked_to_wait(StatusCode::SERVICE_UNAVAILABLE, &headers, b""),
            None
        );
    }

    #[test]
    fn a_403_names_the_permission_and_what_genesys_said() {
        let error = of(
            403,
            r#"{"code":"missing.permissions","message":"no","contextId":"7d-8e"}"#,
        )
        .to_string();
        for part in [
            "403",
            "missing.permissions",
            "\"no\"",
            "7d-8e",
            "recording:recording:view",
            "recording:snippetRecording:view",
            "recording:screenRecording:view",
            "division",
        ] {
            assert!(error.contains(part), "{error} lacks {part}");
        }
    }
}
