//! The simulated state: all requests, and the handles of the tests, work on it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;

use super::analytics::Analytics;
use super::answer::ApiError;
use super::batch::Batches;
use super::conversation::Conversation;
use super::interaction::Interaction;
use super::limit::Limiter;
use super::login::Login;
use super::naming::Named;
use super::orphan::Orphan;
use super::permissions::Permissions;
use super::signing::Signer;

/// The state that all requests work on.
pub(super) type Shared = Arc<Mutex<State>>;

#[derive(Debug)]
pub(super) struct State {
    /// The time that the simulated clock is ahead.
    pub(super) ahead: Duration,
    pub(super) login: Login,
    pub(super) limiter: Limiter,
    pub(super) signer: Signer,
    pub(super) media_url: String,
    pub(super) conversations: BTreeMap<String, Conversation>,
    pub(super) analytics: Analytics,
    pub(super) batches: Batches,
    pub(super) interactions: BTreeMap<String, Interaction>,
    /// Number of requests for the media of a recording, in each format anew, that are answered 202.
    pub(super) transcoding: usize,
    pub(super) orphans: BTreeMap<String, Orphan>,
    pub(super) uploads: Uploads,
    /// The smallest threshold that the retention query takes.
    pub(super) least_retention: u32,
    pub(super) permissions: Permissions,
    pub(super) names: Vec<Named>,
    /// Topics of events, and the ways on which each is delivered.
    pub(super) topics: Vec<(String, Vec<String>)>,
}

/// Recordings that did not get to Genesys' store, and the reports about them.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// Conversations of the recordings that failed.
    pub(super) failed: Vec<String>,
    /// Number of looks that find a new report unfinished.
    pub(super) looks: usize,
    /// Number of further looks that find a report unfinished.
    pub(super) reports: BTreeMap<String, usize>,
}

impl State {
    /// Returns time since 1970.
    pub(super) fn now(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.ahead
    }
}

/// Locks the state. A panic in a test that holds the lock does not hide behind poison errors elsewhere.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn known<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Conversation, ApiError> {
    known_with_permissions(state, id).map(|(conversation, _)| conversation)
}

/// Returns the conversation of this id, unless every question about it is refused.
pub(super) fn known_with_permissions<'a>(
    state: &'a mut State,
    id: &str,
) -> Result<(&'a mut Conversation, &'a Permissions), ApiError> {
    let conversation = state.conversations.get_mut(id).ok_or_else(|| {
        let message = format!("The conversation [{id}] was not found");
        ApiError::new(StatusCode::NOT_FOUND, "conversation.not.found", message)
    })?;
    match &conversation.denied {
        None => Ok((conversation, &state.permissions)),
        Some(code) => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            code,
            "Unable to perform the requested action. You must have at least one of the following permissions \
             assigned: recording:recording:view, recording:recordingSegment:view",
        )),
    }
}
