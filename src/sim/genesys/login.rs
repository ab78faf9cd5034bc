//! The OAuth client of the archiver and its tokens (docs/genesys.md, "Login").

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::answer::ApiError;

/// The one OAuth client and its tokens.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) client_id: String,
    pub(super) secret: String,
    pub(super) lifetime: Duration,
    pub(super) issued: usize,
    /// Tokens that still count, with the moment they expire.
    pub(super) tokens: BTreeMap<String, Duration>,
}

impl Login {
    /// Returns whether a request with these headers may pass. Three codes, one status: which of them Genesys
    /// sends when is not documented.
    pub(super) fn check(&self, headers: &HeaderMap, now: Duration) -> Result<(), ApiError> {
        let refuse = |code, message| Err(ApiError::new(StatusCode::UNAUTHORIZED, code, message));
        let Some(token) = bearer(headers) else {
            return refuse(
                "authentication.required",
                "No authentication bearer token specified",
            );
        };
        match self.tokens.get(token) {
            Some(expires) if now < *expires => Ok(()),
            Some(_) => refuse("credentials.expired", "The supplied credentials are expired"),
            None => refuse("bad.credentials", "Invalid login credentials."),
        }
    }

    pub(super) fn grant(&mut self, headers: &HeaderMap, now: Duration) -> Result<String, &'static str> {
        let basic = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
            .and_then(|basic| String::from_utf8(STANDARD.decode(basic).ok()?).ok());
        match basic.as_deref().and_then(|basic| basic.split_once(':')) {
            Some((id, secret)) if id == self.client_id => {
                if secret != self.secret {
                    return Err("authentication failed");
                }
            }
            _ => return Err("client not found"),
        }
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        self.tokens.insert(token.clone(), now + self.lifetime);
        self.issued += 1;
        Ok(token)
    }
}

/// Returns the bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}
