//! Authorised calls to Genesys' API: token, retries, throttling, and errors that name the way out.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::auth::{Token, Tokens};
use super::bounded::TOO_MANY;
use crate::aws::secrets::Secrets;
use crate::clock::Deadline;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::http::retry_after;
use crate::http::{self, Unread, read_within};
use crate::retry::{Retry, RetryPolicy, patience};
use crate::telemetry::Counters;

/// A connection to one organisation's API.
#[derive(Debug)]
pub(super) struct Api {
    http: Client,
    base: Url,
    tokens: Tokens,
    policy: RetryPolicy,
    answer_timeout: Duration,
    counters: Arc<Counters>,
    access: &'static str,
}

/// A success of the API, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    body: Vec<u8>,
}

/// Longest answer that is read. Wave-form data makes them long; a recording itself is never read this way.
const LONGEST_ANSWER: usize = 32 * 1024 * 1024;

/// Longest list of recordings that is read.
pub(super) const LONGEST_LIST: usize = 1024 * 1024;

/// Longest answer with the details of conversations, or a page of orphans, that is read. Each `{}` in it becomes a
/// value of a hundred bytes and more, and all have to fit into a function's memory.
pub(super) const LONGEST_DETAILS: usize = 8 * 1024 * 1024;

/// The permissions to grant after a 403 about recordings.
pub(super) const RECORDING_ACCESS: &str = "grant the OAuth client a role with recording:recording:view (or \
     recording:recordingSegment:view), for snippets recording:snippetRecording:view, for screens \
     recording:screenRecording:view, and that role the conversation's division";

/// Name of the API in errors about an unreachable service.
const SERVICE: &str = "genesys-api";

impl Api {
    /// Connects to the organisation of this configuration. Sends nothing. `access` is the way out of a 403.
    pub(super) fn new(
        config: &Config,
        secrets: Arc<Secrets>,
        counters: Arc<Counters>,
        access: &'static str,
    ) -> Result<Self, Error> {
        let (policy, answer_timeout) = (config.limits.retry_policy(), config.limits.answer_timeout);
        let http = http::client(|builder| builder.timeout(answer_timeout))?;
        let tokens = Tokens::new(http.clone(), &config.genesys.login_base, secrets, policy);
        Ok(Self {
            http,
            base: config.genesys.api_base.clone(),
            tokens,
            policy,
            counters,
            answer_timeout,
            access,
        })
    }

    /// Gets `path`. `what` names the thing in errors.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
        what: &str,
        deadline: &Deadline,
    ) -> Result<Answer, Error> {
        self.get_within(LONGEST_ANSWER, path, query, what, deadline).await
    }

    /// Gets `path`, whose answer is at most `longest` bytes long.
    pub(super) async fn get_within(
        &self,
        longest: usize,
        path: &str,
        query: &[(&str, &str)],
        what: &str,
        deadline: &Deadline,
    ) -> Result<Answer, Error> {
        let mut url = http::join(&self.base, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.whole(longest, what, deadline, |token| {
            bearer(self.http.request(Method::GET, url.clone()), token)
        })
        .await
    }

    /// Posts `body` to `path`. Genesys may get it more than once.
    pub(super) async fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        what: &str,
        deadline: &Deadline,
    ) -> Result<Answer, Error> {
        let url = http::join(&self.base, path);
        let body = body.to_string();
        self.whole(LONGEST_ANSWER, what, deadline, |token| {
            let request = self.http.request(Method::POST, url.clone());
            let request = request.header(reqwest::header::CONTENT_TYPE, "application/json");
            bearer(request.body(body.clone()), token)
        })
        .await
    }

    /// Gets a token.
    #[cfg(feature = "cli")]
    pub(super) async fn log_in(&self, deadline: &Deadline) -> Result<(), Error> {
        self.tokens.get(deadline).await.map(drop)
    }

    /// Returns the headers of the answer to a request without a token.
    #[cfg(feature = "cli")]
    pub(super) async fn headers(&self) -> Result<HeaderMap, Error> {
        let answered = self.http.get(self.base.clone()).send().await;
        let answered = answered.map_err(|error| {
            Error::transient(format!("{} cannot be reached", self.base))
                .caused_by(crate::error::root(&error))
                .unreachable(SERVICE)
        })?;
        Ok(answered.headers().clone())
    }

    /// Sends the request that `build` makes of the token, and reads the answer of at most `longest` bytes.
    async fn whole(
        &self,
        longest: usize,
        what: &str,
        deadline: &Deadline,
        build: impl Fn(&Token) -> RequestBuilder,
    ) -> Result<Answer, Error> {
        let mut retry = Retry::new(self.policy, deadline);
        loop {
            let (status, headers, response) = self.authorised(what, deadline, &mut retry, &build).await?;
            let error = match read_within(response, longest).await {
                Ok(body) => {
                    return Ok(Answer {
                        status,
                        retry_after: retry_after(&headers),
                        body,
                    });
                }
                // The next answer would be as long.
                Err(error @ Unread::TooLong(_)) => {
                    let message = format!("Genesys' answer about {what} is refused{}", correlation(&headers));
                    return Err(Error::transient(message).caused_by(error).too_long());
                }
                Err(error) => error,
            };
            let message = format!("Genesys' answer about {what} broke off{}", correlation(&headers));
            retry
                .wait(Error::transient(message).caused_by(error), None)
                .await?;
        }
    }

    /// Sends the request that `build` makes of the token until it succeeds (2xx) or fails for good.
    ///
    /// 401: once more with a fresh token. 429, 5xx and broken connections: again, after the wait that Genesys asked
    /// for.
    pub(super) async fn authorised(
        &self,
        what: &str,
        deadline: &Deadline,
        retry: &mut Retry<'_>,
        build: impl Fn(&Token) -> RequestBuilder,
    ) -> Result<(StatusCode, HeaderMap, Response), Error> {
        let mut token = self.tokens.get(deadline).await?;
        let mut renewed = false;
        loop {
            self.counters.genesys_requests.add_one();
            let response = match timeout(self.answer_timeout, build(&token).send()).await {
                Ok(Ok(response)) => response,
                failed => {
                    let error = Error::transient(format!("asking Genesys for {what} failed"));
                    let error = match failed {
                        Ok(Err(cause)) if cause.is_connect() => {
                            error.caused_by(crate::error::root(&cause)).unreachable(SERVICE)
                        }
                        Ok(Err(cause)) => error.caused_by(cause.without_url()),
                        _ => error.caused_by("no answer came for too long"),
                    };
                    retry.wait(error, None).await?;
                    continue;
                }
            };
            let (status, headers) = (response.status(), response.headers().clone());
            if status.is_success() {
                return Ok((status, headers, response));
            }
            if status == StatusCode::TOO_MANY_REQUESTS {
                self.counters.genesys_throttled.add_one();
            }
            let body = read_within(response, LONGEST_ERROR).await.unwrap_or_default();
            let error = refusal(what, status, &headers, &body, self.access);
            if status == StatusCode::UNAUTHORIZED && !renewed {
                token = self.tokens.renew(&token, deadline).await?;
                renewed = true;
            } else if error.kind() == ErrorKind::Transient && status != StatusCode::UNAUTHORIZED {
                retry
                    .wait(error, patience(status, asked_to_wait(status, &headers, &body)))
                    .await?;
            } else {
                return Err(error);
            }
        }
    }
}

/// Sets the bearer token of a request.
pub(super) fn bearer(request: RequestBuilder, token: &Token) -> RequestBuilder {
    request.bearer_auth(token.bearer.expose_secret())
}

/// Longest error body that is read.
const LONGEST_ERROR: usize = 64 * 1024;

impl Answer {
    /// Returns an answer of this body, for the tests of other modules.
    #[cfg(test)]
    pub(super) fn of(body: String) -> Self {
        Self {
            status: StatusCode::OK,
            retry_after: None,
            body: body.into_bytes(),
        }
    }

    /// Says whether there is nothing to read: 202 answers come empty or as `null`.
    pub(super) fn is_blank(&self) -> bool {
        matches!(self.body.trim_ascii(), b"" | b"null")
    }

    /// Reads the body as JSON. An answer that is not what the API documents may be better next time.
    pub(super) fn json<T: DeserializeOwned>(&self, what: &str) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.unreadable(what, &error))
    }

    /// Says why the body cannot be read.
    pub(super) fn unreadable(&self, what: &str, error: &serde_json::Error) -> Error {
        if error.to_string().starts_with(TOO_MANY) {
            return Error::transient(format!("Genesys' answer about {what} has {TOO_MANY}")).too_long();
        }
        let start = crate::redact::beginning(&self.body);
        // Where, but not what: serde repeats what it found, and that may be a signed URL.
        Error::transient(format!(
            "Genesys' answer about {what} is not what the API documents at line {}, column {} (it starts with {start})",
            error.line(),
            error.column()
        ))
    }
}

/// Genesys' error body; every field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: Option<String>,
    code: Option<String>,
    #[serde(rename = "contextId")]
    context_id: Option<String>,
}

/// Returns the wait that Genesys asks for. A 429 may lack `Retry-After`; then the end of the rate limit's window gives
/// it, or the text of the error.
fn asked_to_wait(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Duration> {
    let told = retry_after(headers);
    if told.is_some() || status != StatusCode::TOO_MANY_REQUESTS {
        return told;
    }
    let reset = || {
        headers
            .get("inin-ratelimit-reset")?
            .to_str()
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let text = || {
        let body: ErrorBody = serde_json::from_slice(body).ok()?;
        let message = body.message?.to_ascii_lowercase();
        let (_, rest) = message.split_once("retry the request in [")?;
        rest.split_once(']')?.0.trim().parse().ok()
    };
    let seconds: u64 = reset().or_else(text)?;
    Some(Duration::from_secs(seconds)).filter(|wait| !wait.is_zero())
}

/// Returns the error that a status other than 2xx means.
fn refusal(what: &str, status: StatusCode, headers: &HeaderMap, body: &[u8], access: &str) -> Error {
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

fn correlation(headers: &HeaderMap) -> String {
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
