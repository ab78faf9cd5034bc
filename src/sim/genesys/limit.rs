//! The rate limit of the API: so many requests per token and minute (docs/genesys.md, "Errors and rate limits").

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::answer::ApiError;

const WINDOW: Duration = Duration::from_secs(60);

/// Counts requests per token.
#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) allowed: u32,
    /// True where a 429 carries `Retry-After`, which may be missing in the field.
    pub(super) retry_after: bool,
    /// True where answers tell the count, as they do in the field.
    pub(super) told: bool,
    /// Per token, the end of its window and the requests in it.
    pub(super) windows: BTreeMap<String, (Duration, u32)>,
}

/// Where a token stands after one more request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    count: u32,
    allowed: u32,
    /// Seconds to the end of the window.
    reset: u64,
    retry_after: bool,
    told: bool,
}

impl Limiter {
    pub(super) fn count(&mut self, token: &str, now: Duration) -> Quota {
        let (end, count) = self.windows.entry(token.to_owned()).or_default();
        if *end <= now {
            (*end, *count) = (now + WINDOW, 0);
        }
        *count += 1;
        Quota {
            count: *count,
            allowed: self.allowed,
            reset: (*end - now).as_secs() + 1, // the sample of the docs says 61 at the start of a window
            retry_after: self.retry_after,
            told: self.told,
        }
    }
}

impl Quota {
    pub(super) fn check(self) -> Result<(), ApiError> {
        if self.count <= self.allowed {
            return Ok(());
        }
        let seconds = self.reset;
        let mut error = ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too.many.requests.retry.after",
            format!("Rate limit exceeded the maximum. Retry the request in [{seconds}] seconds"),
        );
        error.params = json!({ "retryAfter": seconds.to_string() });
        Err(error)
    }

    pub(super) fn describe(self, headers: &mut HeaderMap) {
        if self.told {
            headers.insert("inin-ratelimit-count", self.count.into());
            headers.insert("inin-ratelimit-allowed", self.allowed.into());
            headers.insert("inin-ratelimit-reset", HeaderValue::from(self.reset));
        }
        if self.count > self.allowed && self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.reset));
        }
    }
}
