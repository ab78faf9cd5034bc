//! Authorised calls to Genesys' API: token, retries, throttling, and errors that name the way out.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use secrecy::ExposeSecret as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::auth::{Token, Tokens};
use super::bounded::TOO_MANY;
use super::budget::{Asking, Budget, Share};
use super::refusal::{asked_to_wait, correlation, limited, refusal};
use crate::aws::secrets::Secrets;
use crate::clock::{Clock, Deadline};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::http::retry_after;
use crate::http::{self, Unread, read_within};
use crate::retry::{Retry, RetryPolicy, patience, pause};
use crate::telemetry::Counters;

/// A connection to one organisation's API; clones share token and budget.
#[derive(Debug, Clone)]
pub(super) struct Api {
    http: Client,
    base: Url,
    tokens: Arc<Tokens>,
    budget: Arc<Budget>,
    /// The share of the budget beyond which a request is refused, to be sent later. `None`: each waits for its turn.
    later: Option<Share>,
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
        clock: Clock,
        counters: Arc<Counters>,
        access: &'static str,
    ) -> Result<Self, Error> {
        let (policy, answer_timeout) = (config.limits.retry_policy(), config.limits.answer_timeout);
        let http = http::client(|builder| builder.timeout(answer_timeout))?;
        let tokens = Tokens::new(http.clone(), &config.genesys.login_base, secrets, policy);
        Ok(Self {
            http,
            base: config.genesys.api_base.clone(),
            tokens: Arc::new(tokens),
            budget: Arc::new(Budget::new(clock)),
            later: None,
            policy,
            counters,
            answer_timeout,
            access,
        })
    }

    /// Returns the same connection for requests that need not be sent now: a limit of Genesys makes them
    /// [`ErrorKind::NotReady`] with the time after which to come back, and so does the end of their share.
    pub(super) fn later(&self, share: Share) -> Self {
        Self {
            later: Some(share),
            ..self.clone()
        }
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
    /// for. A request that can be sent later is not repeated after a limit of Genesys refused it.
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
            let asking = self.turn(what, deadline).await?;
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
            asking.answered(&headers);
            drop(asking);
            if status.is_success() {
                return Ok((status, headers, response));
            }
            if status == StatusCode::TOO_MANY_REQUESTS {
                self.counters.genesys_throttled.add_one();
            }
            let body = read_within(response, LONGEST_ERROR).await.unwrap_or_default();
            let error = refusal(what, status, &headers, &body, self.access);
            let limit = self.later.and_then(|_| limited(status, &headers, &body));
            if let Some(wait) = limit {
                return Err(not_now(error.to_string(), wait));
            }
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

    /// Waits for the turn of a request: Genesys would refuse more than it allows.
    async fn turn(&self, what: &str, deadline: &Deadline) -> Result<Asking<'_>, Error> {
        loop {
            let wait = match self.budget.take(self.later.unwrap_or(Share::All)) {
                Ok(asking) => return Ok(asking),
                Err(wait) => wait,
            };
            let message =
                format!("asking Genesys for {what} has to wait: its share of this minute's requests is used");
            if self.later.is_some() {
                return Err(not_now(message, wait));
            }
            pause(wait, deadline, Error::transient(message)).await?;
        }
    }
}

/// Returns the error of a request that is to be sent later.
fn not_now(message: String, wait: Duration) -> Error {
    Error::new(ErrorKind::NotReady { after: Some(wait) }, message)
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
