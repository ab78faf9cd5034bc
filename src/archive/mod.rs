//! The use case: archive what a job asks for. Read [`Archiver::archive`] from top to bottom; whoever calls it,
//! there is no other way into the archive.
//!
//! `attempt` and `transfer` are what a run does with a recording that it has claimed, `endings` is what needs no claim,
//! and `look` repeats the listing until a conversation is settled. `bulk` is what a batch download has at hand instead
//! of a list.

mod attempt;
mod bulk;
mod describe;
mod endings;
mod look;
mod settling;
mod transfer;

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;

use self::attempt::Attempt;
pub(crate) use self::bulk::left_to_live;
pub use self::bulk::{Bulked, Given, Left};
pub(crate) use self::endings::asked;
pub use self::look::{AtHand, Concluded, Gave, Looked, Taken};
pub use self::settling::OVERDUE;
use crate::aws::Clients;
use crate::aws::ledger::{Goal, Ledger, Writer};
use crate::aws::storage::Storage;
use crate::catalog::Catalog;
use crate::clock::{Clock, Deadline};
use crate::config::Config;
use crate::domain::audit::{Action, Actor, AuditEvent};
use crate::domain::format::{Format, MediaKind};
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::domain::record::{Record, State};
use crate::domain::recording::RecordingRef;
use crate::error::{Error, ErrorKind};
use crate::genesys::{Genesys, Listed, Listing};
use crate::retry::RetryPolicy;
use crate::telemetry::{Counters, Lines};
use crate::webhook::Webhook;

/// Takes recordings out of Genesys Cloud into S3, and remembers what it did. One for the life of a container.
#[derive(Debug)]
pub struct Archiver {
    config: Config,
    clock: Clock,
    policy: RetryPolicy,
    genesys: Genesys,
    ledger: Ledger,
    storage: Storage,
    webhook: Option<Webhook>,
    catalog: Option<Catalog>,
    /// One for each recording that may be transferred at a time. They limit the memory of a batch.
    slots: Semaphore,
    /// The same for results of batch downloads, of up to one part each.
    bulk_slots: Semaphore,
    counters: Arc<Counters>,
}

/// One run: what is asked for, by whom, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The job.
    pub job: &'a Job,
    /// The trigger and its ids, for the audit.
    pub actor: &'a Actor,
    /// The end of the invocation.
    pub deadline: &'a Deadline,
    /// The time from which waiting counts: the end of the conversation, or the time at which the job was seen first.
    since: Timestamp,
}

impl<'a> Run<'a> {
    /// Makes a run for this job, and stamps the job with the time at which it was seen first: from there on readiness
    /// is counted, however often the job is deferred. A time in the future counts as now.
    pub fn new(job: &'a mut Job, actor: &'a Actor, deadline: &'a Deadline, now: Timestamp) -> Self {
        let since = job.first_seen.map_or(now, |seen| seen.min(now));
        job.first_seen = Some(since);
        Self {
            job,
            actor,
            deadline,
            since,
        }
    }

    /// Returns the run as one that waits since the latest end event that the conversation's record knows.
    fn waiting_since(self, record: Option<&Record>) -> Self {
        let known = record.and_then(|record| record.since);
        Self {
            since: known.map_or(self.since, |known| known.max(self.since)),
            ..self
        }
    }

    /// Returns when the conversation ended, if an event says so.
    fn ended(self) -> Option<Timestamp> {
        self.actor.event_id.is_some().then_some(self.since)
    }

    /// Names the conversation of the job as a whole.
    fn conversation(self) -> RecordingRef {
        RecordingRef::whole(self.job.conversation)
    }

    /// Returns what the ledger has to know of this run to write about `target`.
    fn writer(self, target: RecordingRef) -> Writer<'a> {
        Writer {
            target,
            actor: self.actor,
            deadline: self.deadline,
        }
    }
}

impl Archiver {
    /// Wires everything together. Sends nothing. Audit lines go to `lines`.
    pub fn connect(config: Config, clients: &Clients, clock: Clock, lines: Lines) -> Result<Self, Error> {
        let counters = Arc::new(Counters::default());
        let secrets = clients.secrets(&config, clock.clone());
        let mut genesys = Genesys::new(&config, secrets.clone(), clock.clone(), counters.clone())?;
        if let Some(secrets) = clients.bulk_secrets(&config, clock.clone()) {
            genesys = genesys.with_bulk(&config, secrets, clock.clone(), counters.clone())?;
        }
        Ok(Self {
            webhook: Webhook::new(&config, secrets, clock.clone(), counters.clone())?,
            genesys,
            bulk_slots: Semaphore::new(config.limits.bulk_concurrency.get()),
            slots: Semaphore::new(config.limits.record_concurrency.get()),
            policy: config.limits.retry_policy(),
            ledger: clients.ledger(&config, clock.clone(), lines),
            storage: clients.storage(&config, counters.clone()),
            catalog: Catalog::connect(clients, &config),
            config,
            clock,
            counters,
        })
    }

    /// Returns its configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the counters of requests and failures, which each invocation takes and resets.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns its clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Archives every recording that the job asks for and Genesys lists now. They share the slots for transfers, so
    /// that one that waits for its transcoding holds up no other. Never fails as a whole: each result says what went
    /// wrong with its recording.
    pub async fn archive(&self, run: Run<'_>) -> Vec<RecordingResult> {
        if run.job.recording.is_some() {
            // The recording is named, so the ledger is asked first: an archived one takes no request to Genesys.
            return vec![self.archive_recording(run, None).await];
        }
        let listing = self.genesys.recordings(run.job, run.deadline);
        match run.deadline.in_time(listing).await {
            Ok(listing) => self.archive_listed(run, listing).await,
            Err(error) => {
                let error = self.never_ready(run, error).await;
                vec![self.conclude_unclaimed(run, run.conversation(), error).await]
            }
        }
    }

    /// Archives what is listed and wanted, and records why the rest is not.
    async fn archive_listed(&self, run: Run<'_>, listing: Listing) -> Vec<RecordingResult> {
        let conversation = run.conversation();
        let (wanted, others): (Vec<_>, Vec<_>) = listing
            .recordings
            .into_iter()
            .partition(|recording| self.wants(recording.media));
        if run.job.expected_sha256.is_some() && wanted.len() > 1 {
            let error = several(wanted.len());
            return vec![self.conclude_unclaimed(run, conversation, error).await];
        }
        let mut results = Vec::new();
        if let Some(error) = listing.unreadable {
            results.push(self.conclude_unclaimed(run, conversation, error).await);
        }
        for recording in &others {
            if !run.deadline.allows_new_work() {
                let message = "no time left to record the recordings that are not wanted";
                let error = Error::new(ErrorKind::DeadlineNear, message);
                results.push(RecordingResult::ended(conversation, Outcome::Retry, error));
                return results;
            }
            let target = RecordingRef {
                recording: Some(recording.id),
                segment: run.job.segment,
                ..conversation
            };
            let error = filtered_out(target, recording.media);
            results.push(self.conclude_unclaimed(run, target, error).await);
        }
        let archiving = wanted
            .into_iter()
            .map(|recording| self.archive_recording(run, Some(recording)));
        results.extend(join_all(archiving).await);
        results
    }

    /// Archives one recording, with log lines that name it.
    async fn archive_recording(&self, run: Run<'_>, listed: Option<Listed>) -> RecordingResult {
        let target = RecordingRef {
            conversation: run.job.conversation,
            recording: listed.as_ref().map(|listed| listed.id).or(run.job.recording),
            segment: run.job.segment,
        };
        let span = tracing::error_span!("recording", recording_id = target.recording_key());
        // Boxed, as the whole data path is in this one future, and the lanes and looks lead to it in several ways.
        Box::pin(self.attempt(run, target, listed)).instrument(span).await
    }

    /// Claims one recording and sees it through: stored, then notified.
    async fn attempt(&self, run: Run<'_>, target: RecordingRef, listed: Option<Listed>) -> RecordingResult {
        let given = listed.as_ref().is_some_and(|listed| listed.given.is_some());
        let _slot = match self.bulk_slot(run, given).await {
            Ok(slot) => slot,
            Err(error) => return RecordingResult::ended(target, Outcome::Retry, error),
        };
        let mut attempt = match Attempt::claim(self, run, target, listed.as_ref()).await {
            Ok(attempt) => attempt,
            Err(ended) => return ended,
        };
        match attempt.store(listed).await {
            Ok(()) => attempt.notify().await,
            Err(error) if given => attempt.conclude(bulk::passing(error)).await,
            Err(error) => attempt.conclude(error).await,
        }
    }

    /// Waits for the right to transfer a recording.
    async fn slot(&self) -> Result<SemaphorePermit<'_>, Error> {
        let slot = self.slots.acquire().await;
        slot.map_err(|closed| Error::transient("the function is shutting down").caused_by(closed))
    }

    fn wants(&self, media: MediaKind) -> bool {
        self.config.recording.media.contains(&media)
    }

    /// Returns the format to ask for. Only audio comes in formats; anything else is archived as Genesys gives it.
    /// A recording of a kind that is not known yet counts as audio.
    fn format(&self, job: &Job, media: Option<MediaKind>) -> Format {
        match media {
            None | Some(MediaKind::Audio) => job.format.unwrap_or(self.config.recording.format),
            Some(MediaKind::Screen | MediaKind::Chat | MediaKind::Email | MediaKind::Message) => {
                Format::Original
            }
        }
    }

    /// Begins an audit event of what is not claimed.
    fn entry(&self, job: &Job, action: Action, state: State) -> AuditEvent {
        AuditEvent::new(action, state, self.format(job, None).as_str())
    }

    /// Returns the state in which a recording needs no further run.
    fn goal(&self) -> Goal {
        match self.webhook {
            Some(_) => Goal::Notified,
            None => Goal::Archived,
        }
    }
}

/// Says that a hash is expected of one recording, and there are several.
fn several(count: usize) -> Error {
    let message =
        format!("the job's expectedSha256 is for one recording, but there are {count}: name its recordingId");
    Error::new(ErrorKind::MalformedJob, message)
}

/// Says that a recording is of a kind that is not archived.
fn filtered_out(target: RecordingRef, media: MediaKind) -> Error {
    let message = format!("{target} is {media}, which RECORDING_MEDIA does not name");
    Error::new(ErrorKind::FilteredOut, message)
}
