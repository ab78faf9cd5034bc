//! OAuth client credentials: one token for the whole container, renewed before it expires.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::aws::secrets::{Credentials, Secrets};
use crate::clock::Deadline;
use crate::error::Error;
use crate::http::retry_after;
use crate::http::{self, Unread};
use crate::retry::{Retry, RetryPolicy, patience};

/// Gives out the token and replaces it when it is stale.
#[derive(Debug)]
pub(super) struct Tokens {
    http: Client,
    url: Url,
    secrets: Arc<Secrets>,
    policy: RetryPolicy,
    current: Mutex<Option<Token>>,
}

/// A bearer token. Tokens are compared by serial number, never by content.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) bearer: Arc<SecretString>,
    serial: u64,
    fresh_until: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: SecretString,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    description: String,
}

enum Answer {
    Granted(Granted),
    /// The client id or secret is wrong, in Genesys' words.
    InvalidClient(String),
}

/// Longest token answer that is read; a token has a few dozen bytes.
const LONGEST_TOKEN: usize = 64 * 1024;

/// The longest life that Genesys offers; whatever the login says, no token is kept longer.
const LONGEST_LIFE: Duration = Duration::from_secs(2 * 86_400);

/// Renewed this long before its end, or a tenth of its life before if that is shorter.
const MARGIN: Duration = Duration::from_secs(60);

impl Tokens {
    pub(super) fn new(http: Client, login_base: &Url, secrets: Arc<Secrets>, policy: RetryPolicy) -> Self {
        let url = http::join(login_base, "/oauth/token");
        Self {
            http,
            url,
            secrets,
            policy,
            current: Mutex::new(None),
        }
    }

    /// Returns the token in use, or a new one if that is about to expire.
    pub(super) async fn get(&self, deadline: &Deadline) -> Result<Token, Error> {
        let mut current = self.current.lock().await;
        if let Some(token) = current
            .as_ref()
            .filter(|token| token.fresh_until > Instant::now())
        {
            return Ok(token.clone());
        }
        let credentials = self.secrets.get().await?;
        self.replace(&mut current, credentials, deadline).await
    }

    /// Returns a token newer than `stale`, which Genesys just refused: from a fresh secret, unless another request
    /// renewed it in the meantime.
    pub(super) async fn renew(&self, stale: &Token, deadline: &Deadline) -> Result<Token, Error> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref().filter(|token| token.serial != stale.serial) {
            return Ok(token.clone());
        }
        let credentials = self.secrets.get().await?;
        let credentials = self.secrets.renew(&credentials).await?;
        self.replace(&mut current, credentials, deadline).await
    }

    async fn replace(
        &self,
        current: &mut Option<Token>,
        credentials: Arc<Credentials>,
        deadline: &Deadline,
    ) -> Result<Token, Error> {
        let granted = match self.request(&credentials, deadline).await? {
            Answer::Granted(granted) => granted,
            Answer::InvalidClient(_) => {
                // The secret may have been rotated since it was read: one look at the fresh one.
                let fresh = self.secrets.renew(&credentials).await?;
                match self.request(&fresh, deadline).await? {
                    Answer::Granted(granted) => granted,
                    Answer::InvalidClient(why) => {
                        let variable = self.secrets.variable();
                        return Err(Error::transient(format!(
                            "Genesys refuses the OAuth client ({why}): check clientId and clientSecret in the secret \
                             {variable}, and that GENESYS_CLOUD_REGION is the organisation's"
                        )));
                    }
                }
            }
        };
        let life = Duration::from_secs(granted.expires_in).min(LONGEST_LIFE);
        let token = Token {
            bearer: Arc::new(granted.access_token),
            serial: current.as_ref().map_or(1, |token| token.serial + 1),
            fresh_until: Instant::now() + life.saturating_sub(MARGIN.min(life / 10)),
        };
        *current = Some(token.clone());
        Ok(token)
    }

    async fn request(&self, credentials: &Credentials, deadline: &Deadline) -> Result<Answer, Error> {
        let mut retry = Retry::new(self.policy, deadline);
        loop {
            let sent = self
                .http
                .post(self.url.clone())
                .basic_auth(
                    &credentials.client_id,
                    Some(credentials.client_secret.expose_secret()),
                )
                .form(&[("grant_type", "client_credentials")])
                .send()
                .await;
            let (error, asked) = match sent {
                Err(error) if error.is_connect() => {
                    let failed = Error::transient("asking Genesys for a token failed");
                    let failed = failed.caused_by(crate::error::root(&error));
                    (failed.unreachable("genesys-login"), None)
                }
                Err(error) => (
                    Error::transient("asking Genesys for a token failed").caused_by(error.without_url()),
                    None,
                ),
                Ok(response) => {
                    let (status, asked) = (response.status(), retry_after(response.headers()));
                    let body = match http::read_within(response, LONGEST_TOKEN).await {
                        Ok(body) => body,
                        // The next answer would be as long.
                        Err(error @ Unread::TooLong(_)) => {
                            return Err(Error::transient("Genesys' token answer is none").caused_by(error));
                        }
                        Err(Unread::Broken(_)) => Vec::new(),
                    };
                    match status {
                        StatusCode::OK => match serde_json::from_slice(&body) {
                            Ok(granted) => return Ok(Answer::Granted(granted)),
                            Err(_) => (Error::transient("Genesys' token answer is not a token"), None),
                        },
                        // Genesys answers a wrong client with 400 invalid_client; RFC 6749 section 5.2 allows 401 too.
                        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                            let refused: Refused = serde_json::from_slice(&body).unwrap_or(Refused {
                                error: status.to_string(),
                                description: String::new(),
                            });
                            let why = format!("{} {}", refused.error, refused.description);
                            return Ok(Answer::InvalidClient(crate::redact::quote(why.trim())));
                        }
                        _ => (
                            Error::transient(format!("Genesys' login answered {status}")),
                            patience(status, asked),
                        ),
                    }
                }
            };
            retry.wait(error, asked).await?;
        }
    }
}
