//! The OAuth client of the archiver, further ones, and their tokens (docs/genesys.md, "Login").

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::answer::ApiError;

/// The OAuth clients and their tokens.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) client_id: String,
    pub(super) secret: String,
    /// Secrets of further clients, by id.
    pub(super) others: BTreeMap<String, String>,
    pub(super) lifetime: Duration,
    pub(super) issued: usize,
    /// Tokens that still count.
    pub(super) tokens: BTreeMap<String, Token>,
}

/// A token that was issued.
#[derive(Debug)]
pub(super) struct Token {
    expires: Duration,
    client: String,
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
            Some(issued) if now < issued.expires => Ok(()),
            Some(_) => refuse("credentials.expired", "The supplied credentials are expired"),
            None => refuse("bad.credentials", "Invalid login credentials."),
        }
    }

    /// Returns the id of the client whose token a request has.
    pub(super) fn client(&self, headers: &HeaderMap) -> Option<String> {
        let issued = self.tokens.get(bearer(headers)?)?;
        Some(issued.client.clone())
    }

    /// Issues a token to the client that these headers name.
    pub(super) fn grant(&mut self, headers: &HeaderMap, now: Duration) -> Result<String, &'static str> {
        let basic = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
            .and_then(|basic| String::from_utf8(STANDARD.decode(basic).ok()?).ok());
        let named = basic.as_deref().and_then(|basic| basic.split_once(':'));
        let (client, secret) = named.ok_or("client not found")?;
        let accepted = match self.others.get(client) {
            _ if client == self.client_id => &self.secret,
            Some(accepted) => accepted,
            None => return Err("client not found"),
        };
        if secret != accepted {
            return Err("authentication failed");
        }
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let issued = Token {
            expires: now + self.lifetime,
            client: client.to_owned(),
        };
        self.tokens.insert(token.clone(), issued);
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
