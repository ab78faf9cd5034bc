//! The use case: archive what a job asks for. Read [`Archiver::archive`] from top to bottom; whoever calls it,
//! there is no other way into the archive.

mod endings;
mod look;
mod settling;
mod transfer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use aws_config::SdkConfig;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use jiff::SignedDuration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tracing::Instrument as _;

use self::endings::MOST_DEFERRALS;
pub(crate) use self::endings::asked;
pub use self::look::{Looked, Taken};
pub use self::settling::OVERDUE;
use crate::aws::ledger::{Claim, Lease, Ledger};
use crate::aws::queues::Queues;
use crate::aws::secrets::Secrets;
use crate::aws::storage::Storage;
use crate::clock::{Clock, Deadline};
use crate::config::Config;
use crate::domain::audit::{Action, Actor, Entry};
use crate::domain::format::{Format, MediaKind};
use crate::domain::job::Job;
use crate::domain::outcome::{Figures, Outcome, RecordingResult, verdict};
use crate::domain::record::State;
use crate::domain::recording::RecordingRef;
use crate::error::{Error, ErrorKind};
use crate::genesys::{Availability, Genesys, Listed, Listing};
use crate::retry::RetryPolicy;
use crate::telemetry::{Counters, Lines};
use crate::webhook::{News, Webhook};

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
    queues: Queues,
    /// One for each recording that may be transferred at a time: what bounds the memory of a batch.
    slots: Semaphore,
    counters: Arc<Counters>,
}

/// One run: what is asked for, by whom, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// What is asked for.
    pub job: &'a Job,
    /// Who made it happen.
    pub actor: &'a Actor,
    /// Until when.
    pub deadline: &'a Deadline,
    /// What the recording at hand is of, once Genesys told.
    media: Option<MediaKind>,
}

impl<'a> Run<'a> {
    /// A run for this job.
    pub fn new(job: &'a Job, actor: &'a Actor, deadline: &'a Deadline) -> Self {
        Self {
            job,
            actor,
            deadline,
            media: None,
        }
    }
}

/// How long a webhook's receiver that does not take the news is tried again, from the time of archiving.
const WEBHOOK_PATIENCE: SignedDuration = SignedDuration::from_hours(72);

impl Archiver {
    /// Wires everything together. Nothing is sent yet. Audit lines go to `lines`.
    pub fn connect(config: Config, sdk: &SdkConfig, clock: Clock, lines: Lines) -> Result<Self, Error> {
        let counters = Arc::new(Counters::default());
        let policy = RetryPolicy::new(config.limits.max_attempts, config.limits.backoff_base);
        let secrets = aws_sdk_secretsmanager::Client::new(sdk);
        let secrets = Arc::new(Secrets::new(
            secrets,
            config.genesys.secret_id.clone(),
            clock.clone(),
        ));
        let webhook = Webhook::new(&config, secrets.clone(), clock.clone(), counters.clone())?;
        let s3 = aws_sdk_s3::config::Builder::from(sdk)
            .force_path_style(config.storage.path_style)
            .build();
        let storage = Storage::new(
            aws_sdk_s3::Client::from_conf(s3),
            config.storage.clone(),
            counters.clone(),
        );
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        let ledger = Ledger::new(dynamodb, config.tables.clone(), policy, clock.clone(), lines);
        Ok(Self {
            genesys: Genesys::new(&config, secrets, counters.clone())?,
            queues: Queues::new(aws_sdk_sqs::Client::new(sdk), config.queues.clone()),
            webhook,
            slots: Semaphore::new(config.limits.record_concurrency.get()),
            config,
            clock,
            policy,
            ledger,
            storage,
            counters,
        })
    }

    /// The configuration it was made of.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What happened deep inside since it was asked last.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Where deferred jobs and exceptions go.
    pub fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Archives every recording that the job asks for and Genesys lists now. They share the slots for transfers, so that
    /// one that waits for its transcoding holds up no other. Never fails as a whole: what went wrong stands in the result
    /// of the recording that it went wrong with.
    pub async fn archive(&self, run: Run<'_>) -> Vec<RecordingResult> {
        if run.job.recording.is_some() {
            // The recording is named, so the ledger is asked first: what is archived needs no word of Genesys.
            return vec![self.archive_recording(run, None).await];
        }
        let of = RecordingRef {
            conversation: run.job.conversation,
            recording: None,
            segment: None,
        };
        let listing = self.genesys.recordings(run.job, run.deadline);
        match self.in_time(run, listing).await {
            Ok(listing) => self.archive_listed(run, listing).await,
            Err(error) => {
                let error = self.never_ready(run, error).await;
                vec![self.conclude_unclaimed(run, of, error).await]
            }
        }
    }

    /// Archives what is listed and wanted, and writes down why the rest is not.
    async fn archive_listed(&self, run: Run<'_>, listing: Listing) -> Vec<RecordingResult> {
        let of = RecordingRef {
            conversation: run.job.conversation,
            recording: None,
            segment: None,
        };
        let (wanted, others): (Vec<_>, Vec<_>) = listing
            .recordings
            .into_iter()
            .partition(|recording| self.wants(recording.media));
        if run.job.expected_sha256.is_some() && wanted.len() > 1 {
            let error = several(wanted.len());
            return vec![self.conclude_unclaimed(run, of, error).await];
        }
        let mut results = Vec::new();
        if let Some(error) = listing.unreadable {
            results.push(self.conclude_unclaimed(run, of, error).await);
        }
        for recording in &others {
            if !run.deadline.allows_new_work() {
                let error = Error::new(
                    ErrorKind::DeadlineNear,
                    "no time left to write down what is not wanted",
                );
                results.push(RecordingResult::ended(of, Outcome::Retry, error));
                return results;
            }
            let of = RecordingRef {
                recording: Some(recording.id),
                segment: run.job.segment,
                ..of
            };
            results.push(
                self.conclude_unclaimed(run, of, filtered_out(of, recording.media))
                    .await,
            );
        }
        let archiving = wanted.into_iter().map(|recording| {
            let run = Run {
                media: Some(recording.media),
                ..run
            };
            self.archive_recording(run, Some(recording))
        });
        results.extend(join_all(archiving).await);
        results
    }

    /// Claims one recording and sees it through: downloaded, stored, verified, told.
    async fn archive_recording(&self, run: Run<'_>, listed: Option<Listed>) -> RecordingResult {
        let recording = listed.as_ref().map(|listed| listed.id).or(run.job.recording);
        let of = RecordingRef {
            conversation: run.job.conversation,
            recording,
            segment: run.job.segment,
        };
        let span = tracing::error_span!("recording", recording_id = of.recording_key());
        self.archive_one(run, of, listed).instrument(span).await
    }

    async fn archive_one(&self, run: Run<'_>, of: RecordingRef, listed: Option<Listed>) -> RecordingResult {
        if !run.deadline.allows_new_work() {
            let error = Error::new(ErrorKind::DeadlineNear, format!("no time left to begin {of}"));
            return RecordingResult::ended(of, Outcome::Retry, error);
        }
        let mut entry = self.entry(run, Action::DownloadInitiated, State::Claimed.as_str());
        if let Some(listed) = &listed {
            entry.genesys = listed.notes.clone();
        }
        let claim = self
            .ledger
            .claim(of, run.actor, &entry, self.webhook.is_some(), run.deadline)
            .await;
        let mut lease = match claim {
            Ok(Claim::Granted(lease)) => lease,
            Ok(Claim::Done(record)) => return self.already_archived(run, of, record),
            Ok(Claim::Busy { remaining }) => {
                let error = Error::new(ErrorKind::Busy { remaining }, format!("another run is at {of}"));
                let error = self.judged(run, None, error);
                return RecordingResult::ended(of, verdict(error.kind()).outcome, error);
            }
            Err(error) => return RecordingResult::ended(of, Outcome::Retry, error),
        };
        let mut outcome = Outcome::AlreadyArchived;
        let mut figures = Figures::default();
        if !lease.record().is_archived() {
            match self.store(run, of, &mut lease, listed).await {
                Ok(cost) => (outcome, figures) = (Outcome::Archived, cost),
                Err(error) => return self.conclude(run, of, lease, error).await,
            }
        }
        let files = lease.record().files.clone();
        match self.notify(run, of, lease).await {
            // Even `archived` may be what a former run made visible, whose job expected something else or nothing.
            Ok(()) => self.as_expected(run, RecordingResult::done(of, outcome, files, figures)),
            Err(ended) => RecordingResult {
                files,
                figures,
                ..ended
            },
        }
    }

    /// Downloads every file of a claimed recording and makes it visible, or finds that a former run got that far.
    async fn store(
        &self,
        mut run: Run<'_>,
        of: RecordingRef,
        lease: &mut Lease,
        listed: Option<Listed>,
    ) -> Result<Figures, Error> {
        let begun = Instant::now();
        let mut figures = Figures::default();
        let visible = self.adopt_former(lease).await?;
        let mut end = None;
        let stored = if let Some(files) = lease.record().whole(&visible) {
            files
        } else {
            let listed = match listed {
                Some(listed) => listed,
                None => self
                    .in_time(run, self.genesys.recordings(run.job, run.deadline))
                    .await?
                    .recordings
                    .swap_remove(0),
            };
            run.media = Some(listed.media);
            if !self.wants(listed.media) {
                return Err(filtered_out(of, listed.media));
            }
            if let Availability::Not(kind, text) = &listed.availability {
                return Err(Error::new(*kind, text.clone()));
            }
            end = listed.end;
            let (files, took) = self.transfer_all(run, of, lease, &listed, visible).await?;
            figures.download = Some(took);
            files
        };
        // A multipart object's hash is known too late to be sent along, and who completed it may have died before this.
        for file in stored.iter().filter(|file| file.crc64nvme.is_some()) {
            self.in_time(run, self.storage.tag(file)).await?;
        }
        figures.archive = Some(begun.elapsed());
        figures.age = end
            .or(run.job.first_seen)
            .and_then(|end| self.clock.now().duration_since(end).try_into().ok());
        let stored_entry = self.entry(run, Action::ArchiveStored, State::Archived.as_str());
        let entries: Vec<Entry> = stored
            .iter()
            .map(|file| Entry {
                file: Some(file.clone()),
                latency: figures.archive,
                ..stored_entry.clone()
            })
            .collect();
        self.ledger
            .archived(lease, stored, &entries, self.webhook.is_some(), run.deadline)
            .await?;
        tracing::info!(interaction_id = %of.conversation, recording_id = of.recording_key(), "recording archived");
        Ok(figures)
    }

    /// Tells the webhook's receiver, if there is one. The recording is archived whatever comes of it.
    async fn notify(&self, run: Run<'_>, of: RecordingRef, lease: Lease) -> Result<(), RecordingResult> {
        let Some(webhook) = &self.webhook else {
            return Ok(());
        };
        let record = lease.record();
        let archived_at = record.archived_at.unwrap_or(record.updated_at);
        let news = News {
            of,
            files: record.files.clone(),
            format: record.format.clone(),
            archived_at,
        };
        let begun = Instant::now();
        if let Err(error) = self.in_time(run, webhook.deliver(&news, run.deadline)).await {
            // Whatever stood in the way, the recording is archived: only the news has to come again.
            let error = match error.kind() {
                ErrorKind::WebhookDown | ErrorKind::WebhookUnsignable => error,
                _ => Error::new(ErrorKind::WebhookDown, error.to_string()),
            };
            let too_long = self.clock.now().duration_since(archived_at) > WEBHOOK_PATIENCE;
            let too_often = run.job.deferrals >= MOST_DEFERRALS;
            let error = match error.kind() {
                ErrorKind::WebhookDown if too_long || too_often => {
                    let limit = if too_long {
                        "for 72 hours".to_owned()
                    } else {
                        format!("in {} deferrals", run.job.deferrals)
                    };
                    let message = format!("{of} is archived, but its webhook was not taken {limit}");
                    Error::new(ErrorKind::WebhookUndeliverable, message).caused_by(error)
                }
                _ => error,
            };
            return Err(self.conclude(run, of, lease, error).await);
        }
        let mut entry = self.entry(run, Action::WebhookDelivered, State::Notified.as_str());
        entry.latency = Some(begun.elapsed());
        match self
            .ledger
            .release(lease, Some(State::Notified), &entry, run.deadline)
            .await
        {
            Ok(()) => Ok(()),
            Err(error) => Err(RecordingResult::ended(of, Outcome::Retry, error)),
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

    /// The format asked for. Only audio comes in formats; anything else is archived as Genesys gives it.
    fn format(&self, run: Run<'_>) -> Format {
        match run.media {
            None | Some(MediaKind::Audio) => run.job.format.unwrap_or(self.config.recording.format),
            Some(_) => Format::Original,
        }
    }

    fn entry(&self, run: Run<'_>, action: Action, status: &'static str) -> Entry {
        Entry::new(action, status, self.format(run).as_str())
    }

    /// Does `work` until the working time ends, and turns a panic into an error, so that what `work` began can be
    /// undone by whoever called.
    async fn in_time<T>(
        &self,
        run: Run<'_>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            done = AssertUnwindSafe(work).catch_unwind() => done.unwrap_or_else(|panic| {
                Err(Error::new(ErrorKind::Panic, format!("a defect was caught: {}", panic_text(&*panic))))
            }),
            () = run.deadline.work_ends() => {
                Err(Error::new(ErrorKind::DeadlineNear, "the invocation ends before the work does"))
            }
        }
    }
}

/// Says that a hash is expected of one recording, and there are several.
fn several(count: usize) -> Error {
    let message =
        format!("the job's expectedSha256 is for one recording, but there are {count}: name its recordingId");
    Error::new(ErrorKind::MalformedJob, message)
}

fn filtered_out(of: RecordingRef, media: MediaKind) -> Error {
    Error::new(
        ErrorKind::FilteredOut,
        format!("{of} is {media}, which RECORDING_MEDIA does not name"),
    )
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no message").to_owned()
}
