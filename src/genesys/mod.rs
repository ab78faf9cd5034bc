//! Genesys Cloud: which recordings a conversation has, and their media.
//!
//! Two APIs, one meaning: the public one of today (`conversations`), and the tutorial's (`interactions`). Both give the
//! values of `listing`; `media` fetches what those name. Facts about the public one come from the official SDKs;
//! whatever they leave open is taken either way.

pub mod analytics;
mod api;
mod auth;
mod batch;
mod bounded;
mod budget;
mod conversations;
mod details;
mod interactions;
mod listing;
mod media;
mod names;
mod orphans;
#[cfg(feature = "cli")]
mod probe;
mod refusal;
pub mod survey;

use std::sync::{Arc, Once};

use self::api::{Api, RECORDING_ACCESS};
use self::budget::Share;
use crate::aws::secrets::Secrets;
use crate::clock::{Clock, Deadline};
use crate::config::Config;
use crate::domain::bulk::Entry;
use crate::domain::call::{CallRecord, Names};
use crate::domain::format::{Channels, Format, RecordingApi};
use crate::domain::job::Job;
use crate::domain::recording::ConversationId;
use crate::error::{Error, ErrorKind};
use crate::retry::Retry;
use crate::telemetry::Counters;

pub use batch::{Batched, Lack};
pub use details::{Conversation, Details, Told};
pub use listing::{Availability, Listed, Listing, Opened, Opening, Source};
pub use media::Media;
pub use orphans::Named as OrphanRecording;
#[cfg(feature = "cli")]
pub use probe::{Limit, Topic};

/// One organisation's recordings.
#[derive(Debug)]
pub struct Genesys {
    api: Api,
    /// Submits and polls batch downloads, which can wait: with another OAuth client, or with what this one can spare.
    bulk: Api,
    variant: RecordingApi,
    channels: Channels,
    media: media::MediaClient,
    /// The warning about denied details appears once in the life of a container.
    details_denied: Once,
    names: names::Known,
}

impl Genesys {
    /// Connects to the organisation and the API of this configuration. Sends nothing.
    pub fn new(
        config: &Config,
        secrets: Arc<Secrets>,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        let api = Api::new(config, secrets, clock.clone(), counters, RECORDING_ACCESS)?;
        Ok(Self {
            bulk: api.later(Share::Quarter),
            api,
            variant: config.genesys.api,
            channels: config.recording.channels,
            media: media::MediaClient::new(config)?,
            details_denied: Once::new(),
            names: names::Known::new(&clock),
        })
    }

    /// Asks for batch downloads as the OAuth client of another secret, with a limit of requests of its own.
    pub fn with_bulk(
        self,
        config: &Config,
        secrets: Arc<Secrets>,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        let api = Api::new(config, secrets, clock, counters, RECORDING_ACCESS)?;
        Ok(Self {
            bulk: api.later(Share::All),
            ..self
        })
    }

    /// Submits a batch download of up to 100 entries. Returns its id. A limit of Genesys is [`ErrorKind::NotReady`],
    /// with the time after which to come back; so it is for [`Genesys::poll`].
    pub async fn submit(&self, entries: &[Entry], deadline: &Deadline) -> Result<String, Error> {
        batch::submit(&self.bulk, entries, deadline).await
    }

    /// Asks what came of a batch download that this client submitted.
    pub async fn poll(&self, id: &str, deadline: &Deadline) -> Result<Batched, Error> {
        batch::poll(&self.bulk, id, deadline).await
    }

    /// Returns all recordings that Genesys lists for a conversation, which may be none.
    pub async fn list(&self, conversation: ConversationId, deadline: &Deadline) -> Result<Listing, Error> {
        match self.variant {
            RecordingApi::Conversations => conversations::list(&self.api, conversation, deadline).await,
            RecordingApi::Interactions => interactions::list(&self.api, conversation, deadline).await,
        }
    }

    /// Returns the recordings of the job's conversation, or only the one that the job names.
    ///
    /// An empty list is [`ErrorKind::NotReady`]: shortly after a call it proves nothing.
    pub async fn recordings(&self, job: &Job, deadline: &Deadline) -> Result<Listing, Error> {
        let mut listing = self.list(job.conversation, deadline).await?;
        if let Some(wanted) = job.recording {
            listing.recordings.retain(|recording| recording.id == wanted);
            // A job for the whole conversation reports them.
            listing.unreadable = None;
        }
        if listing.recordings.is_empty() && listing.unreadable.is_none() {
            return Err(not_listed(job));
        }
        Ok(listing)
    }

    /// Asks for the media of one recording, unless a batch download gave it.
    pub async fn open(
        &self,
        job: &Job,
        listed: &Listed,
        format: Format,
        deadline: &Deadline,
    ) -> Result<Opening, Error> {
        if let Some(sources) = &listed.given {
            return Ok(Opening::Ready(Opened {
                sources: sources.clone(),
                start: None,
                notes: listed.notes.clone(),
                annotations: None,
            }));
        }
        match self.variant {
            RecordingApi::Conversations => {
                let asked = conversations::Asked {
                    conversation: job.conversation,
                    listed,
                    format,
                    channels: self.channels,
                };
                conversations::open(&self.api, &asked, deadline).await
            }
            RecordingApi::Interactions => Ok(Opening::Ready(interactions::open(job, format))),
        }
    }

    /// Returns what analytics say of a conversation. Those of `batch` are asked for together.
    pub async fn details(
        &self,
        batch: &Details,
        id: ConversationId,
        deadline: &Deadline,
    ) -> Result<Told, Error> {
        let told = batch.ask(&self.api, id, deadline).await?;
        if told == Told::Denied {
            // Once in the life of a container: the archive works without details, only more slowly.
            self.details_denied.call_once(|| {
                tracing::warn!(
                    "Genesys answers 403 about conversation details: conversations settle an hour later, on what is \
                     listed alone. Grant the OAuth client's role analytics:conversationDetail:view"
                );
            });
        }
        Ok(told)
    }

    /// Returns the names of the ids in a call, and the error of a kind that Genesys does not give all of now. Each is
    /// asked for once in the life of a container, those of the calls of `batch` together.
    pub async fn names(
        &self,
        batch: &Details,
        call: &CallRecord,
        deadline: &Deadline,
    ) -> Result<(Names, Option<Error>), Error> {
        let all = batch.named.get_or_try_init(|| async {
            let named = self.names.of(&self.api, &batch.ids(), deadline).await;
            named.map(drop)
        });
        all.await?;
        let ids = std::iter::once(call.facts(None)).collect();
        self.names.of(&self.api, &ids, deadline).await
    }

    /// Describes the orphan recording that Genesys holds for a conversation, in a sentence for the person who gets the
    /// case. Never fails, as the case is one without it.
    pub async fn orphan_of(&self, conversation: ConversationId, deadline: &Deadline) -> String {
        orphans::of(&self.api, conversation, deadline).await
    }

    /// Begins the download of one file. Failed tries count as tries of the caller's.
    pub async fn fetch<'a>(
        &'a self,
        source: &'a Source,
        deadline: &'a Deadline,
        retry: &mut Retry<'_>,
    ) -> Result<Media<'a>, Error> {
        self.media.fetch(&self.api, source, deadline, retry).await
    }
}

/// Returns the error of a job whose recordings are not listed: they may not be ready yet.
pub(crate) fn not_listed(job: &Job) -> Error {
    let what = job
        .recording
        .map_or_else(|| "no recording".to_owned(), |id| format!("no recording {id}"));
    let message = format!("Genesys lists {what} for conversation {}", job.conversation);
    Error::new(ErrorKind::NotReady { after: None }, message)
}
