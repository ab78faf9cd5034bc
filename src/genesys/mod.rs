//! Genesys Cloud: which recordings a conversation has, and their media.
//!
//! Two APIs, one meaning: the public one of today ([`conversations`](self)), and the tutorial's. Facts about the
//! public one come from the official SDKs; whatever they leave open is taken either way.

#[cfg(feature = "cli")]
pub mod analytics;
mod api;
mod auth;
mod bounded;
mod conversations;
mod details;
mod interactions;
mod media;
mod orphans;
#[cfg(feature = "cli")]
mod probe;

use std::sync::{Arc, Once};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::aws::secrets::Secrets;
use crate::clock::Deadline;
use crate::config::Config;
use crate::domain::annotations::Annotations;
use crate::domain::format::{Format, MediaKind, RecordingApi};
use crate::domain::job::Job;
use crate::domain::recording::{ConversationId, RecordingId};
use crate::error::{Error, ErrorKind};
use crate::retry::{Retry, RetryPolicy};
use crate::telemetry::Counters;

pub use details::{Conversation, Details, Told};
pub use media::Media;
#[cfg(feature = "cli")]
pub use probe::{Limit, Topic};

/// One organisation's recordings.
#[derive(Debug)]
pub struct Genesys {
    api: api::Api,
    variant: RecordingApi,
    split_channels: bool,
    media: media::MediaClient,
    /// That details are denied is said once in the life of a container.
    details_denied: Once,
}

/// What Genesys lists for a conversation.
#[derive(Debug, Default)]
pub struct Listing {
    /// The recordings.
    pub recordings: Vec<Listed>,
    /// How many entries cannot be asked for, and why the first cannot: each may be a recording that somebody has to
    /// look after.
    pub unreadable: Option<Error>,
}

/// A recording as the metadata tells it, before anything is downloaded.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its id.
    pub id: RecordingId,
    /// What was recorded.
    pub media: MediaKind,
    /// Whether it can be had.
    pub availability: Availability,
    /// When it began, as far as the metadata says.
    pub start: Option<Timestamp>,
    /// When it ended, as far as the metadata says.
    pub end: Option<Timestamp>,
    /// What the audit notes of it: retention policy, region, dates.
    pub notes: Map<String, Value>,
}

/// Whether a recording can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// Now.
    Ready,
    /// Not now, or never: the kind says which, the text why.
    Not(ErrorKind, String),
}

/// What came of asking for a recording's media.
#[derive(Debug)]
pub enum Opening {
    /// It can be fetched.
    Ready(Opened),
    /// Genesys is transcoding it (202); the request started that.
    Transcoding {
        /// `Retry-After`, where Genesys sent one.
        after: Option<Duration>,
    },
}

/// A recording whose media can be fetched.
#[derive(Debug)]
pub struct Opened {
    /// Its files, at least one.
    pub sources: Vec<Source>,
    /// When it began.
    pub start: Option<Timestamp>,
    /// What the audit notes of it, beyond what the metadata told.
    pub notes: Map<String, Value>,
    /// Its pauses and holds; `None` where the API does not tell of any.
    pub annotations: Option<Annotations>,
}

/// Where the bytes of one file come from.
#[derive(Debug)]
pub struct Source {
    /// `None` for the only file of a recording.
    pub channel: Option<u32>,
    /// The format that the request decided; `None`: look at the bytes.
    pub format: Option<Format>,
    /// What is recorded in it.
    pub media: MediaKind,
    /// Which of several consecutive files of a screen recording it is, from 0.
    pub part: Option<u32>,
    /// What Genesys calls that part, where it is not its number.
    pub part_name: Option<String>,
    location: Location,
}

#[derive(Debug)]
enum Location {
    /// A signed URL: a secret in itself, fetched without the token.
    Signed(media::SignedUrl),
    /// A path of the API, fetched with the token and an `Accept`.
    Api {
        path: String,
        query: Vec<(&'static str, String)>,
        accept: &'static str,
    },
}

impl Genesys {
    /// A client for the organisation and the API of this configuration. Nothing is sent yet.
    pub fn new(config: &Config, secrets: Arc<Secrets>, counters: Arc<Counters>) -> Result<Self, Error> {
        let policy = RetryPolicy::new(config.limits.max_attempts, config.limits.backoff_base);
        Ok(Self {
            api: api::Api::new(
                &config.genesys,
                secrets,
                policy,
                config.limits.answer_timeout,
                counters,
                api::RECORDING_ACCESS,
            )?,
            variant: config.genesys.api,
            split_channels: config.recording.split_channels,
            media: media::MediaClient::new(&config.genesys, policy, config.limits.media_idle)?,
            details_denied: Once::new(),
        })
    }

    /// Returns all recordings that Genesys lists for a conversation, which may be none.
    pub async fn list(&self, conversation: ConversationId, deadline: &Deadline) -> Result<Listing, Error> {
        match self.variant {
            RecordingApi::Conversations => conversations::list(&self.api, conversation, deadline).await,
            RecordingApi::Interactions => interactions::list(&self.api, conversation, deadline).await,
        }
    }

    /// All recordings of the job's conversation that Genesys knows of; only the job's one if it names one.
    ///
    /// None at all is [`ErrorKind::NotReady`]: shortly after a call an empty list proves nothing.
    pub async fn recordings(&self, job: &Job, deadline: &Deadline) -> Result<Listing, Error> {
        let mut listing = self.list(job.conversation, deadline).await?;
        if let Some(wanted) = job.recording {
            listing.recordings.retain(|recording| recording.id == wanted);
            // Not this job's business; a job for the whole conversation reports them.
            listing.unreadable = None;
        }
        if listing.recordings.is_empty() && listing.unreadable.is_none() {
            return Err(not_listed(job));
        }
        Ok(listing)
    }

    /// Asks for the media of one recording.
    pub async fn open(
        &self,
        job: &Job,
        listed: &Listed,
        format: Format,
        deadline: &Deadline,
    ) -> Result<Opening, Error> {
        match self.variant {
            RecordingApi::Conversations => {
                let split = self.split_channels;
                conversations::open(&self.api, job.conversation, listed, format, split, deadline).await
            }
            RecordingApi::Interactions => Ok(Opening::Ready(interactions::open(job, format))),
        }
    }

    /// Begins the download of one file; the tries that fail count as tries of the caller's.
    pub async fn fetch<'a>(
        &'a self,
        source: &'a Source,
        deadline: &'a Deadline,
        retry: &mut Retry<'_>,
    ) -> Result<Media<'a>, Error> {
        self.media.fetch(&self.api, source, deadline, retry).await
    }
}

/// Says that nothing is listed of what the job asks for: not ready, as far as anybody can tell.
pub(crate) fn not_listed(job: &Job) -> Error {
    let what = job
        .recording
        .map_or_else(|| "no recording".to_owned(), |id| format!("no recording {id}"));
    let message = format!("Genesys lists {what} for conversation {}", job.conversation);
    Error::new(ErrorKind::NotReady { after: None }, message)
}
