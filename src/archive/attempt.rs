//! One attempt to archive a recording: from the claim to the notification.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::endings::{MOST_DEFERRALS, log_end};
use super::{Archiver, Run, filtered_out};
use crate::aws::ledger::{Claim, Lease};
use crate::domain::audit::{Action, AuditEvent};
use crate::domain::format::Format;
use crate::domain::outcome::{Consequence, Outcome, RecordingResult, Timings, consequence};
use crate::domain::record::State;
use crate::domain::recording::{ArchivedFile, RecordingRef};
use crate::error::{Error, ErrorKind};
use crate::genesys::{Availability, Listed, not_listed};
use crate::webhook::News;

/// Longest time after archiving for which a notification is retried.
const WEBHOOK_PATIENCE: SignedDuration = SignedDuration::from_hours(72);

/// One run at one recording that it has claimed. Ends in [`notify`](Self::notify) or in [`conclude`](Self::conclude),
/// which end the lease.
pub(super) struct Attempt<'a> {
    pub(super) archiver: &'a Archiver,
    pub(super) run: Run<'a>,
    pub(super) lease: Lease<'a>,
    /// The format to ask for. Until Genesys says what was recorded, audio is assumed.
    pub(super) format: Format,
    /// The cost of storing; `None` as long as this run stored nothing.
    timings: Option<Timings>,
}

impl<'a> Attempt<'a> {
    /// Claims a recording. The error is the result of the run: a former run finished it, another run holds the lease,
    /// or the claim failed.
    pub(super) async fn claim(
        archiver: &'a Archiver,
        run: Run<'a>,
        target: RecordingRef,
        listed: Option<&Listed>,
    ) -> Result<Self, RecordingResult> {
        if !run.deadline.allows_new_work() {
            let error = Error::new(ErrorKind::DeadlineNear, format!("no time left to begin {target}"));
            return Err(RecordingResult::ended(target, Outcome::Retry, error));
        }
        let format = archiver.format(run.job, listed.map(|listed| listed.media));
        let mut entry = AuditEvent::new(Action::DownloadInitiated, State::Claimed, format.as_str());
        if let Some(listed) = listed {
            entry = entry.with_genesys(listed.notes.clone());
        }
        let writer = run.writer(target);
        match archiver.ledger.claim(writer, &entry, archiver.goal()).await {
            Ok(Claim::Granted(lease)) => Ok(Self {
                archiver,
                run,
                lease,
                format,
                timings: None,
            }),
            Ok(Claim::Done(record)) => Err(archiver.already_archived(run, target, record)),
            Ok(Claim::Busy { remaining }) => {
                let message = format!("another run works on {target}");
                let error = Error::new(ErrorKind::Busy { remaining }, message);
                let error = archiver.judged(run, None, error);
                Err(RecordingResult::ended(
                    target,
                    consequence(error.kind()).outcome,
                    error,
                ))
            }
            Err(error) => Err(RecordingResult::ended(target, Outcome::Retry, error)),
        }
    }

    /// Makes every file of the recording visible and records it as archived, unless a former run did.
    pub(super) async fn store(&mut self, listed: Option<Listed>) -> Result<(), Error> {
        if self.lease.record().is_archived() {
            return Ok(());
        }
        let begun = Instant::now();
        let mut timings = Timings::default();
        let mut end = None;
        let visible = self.adopt_former().await?;
        let files = if let Some(files) = self.lease.record().complete(&visible) {
            files
        } else {
            let listed = self.ready(listed).await?;
            end = listed.end;
            let (files, took) = self.transfer(&listed, visible).await?;
            timings.download = Some(took);
            files
        };
        // The hash of a multipart object is known too late to be sent along, and the run that completed the upload may
        // have died before it tagged the object.
        for file in files.iter().filter(|file| file.crc64nvme.is_some()) {
            let tagging = self.archiver.storage.tag(file);
            self.run.deadline.in_time(tagging).await?;
        }
        timings.archive = Some(begun.elapsed());
        let age = self
            .archiver
            .clock
            .now()
            .duration_since(end.unwrap_or(self.run.since));
        timings.age = age.try_into().ok();
        self.archived(files, timings).await
    }

    /// Returns the recording as Genesys lists it, if it is wanted and can be downloaded now.
    async fn ready(&mut self, listed: Option<Listed>) -> Result<Listed, Error> {
        let Run { job, deadline, .. } = self.run;
        let listed = match listed {
            Some(listed) => listed,
            None => {
                let listing = self.archiver.genesys.recordings(job, deadline);
                let recordings = deadline.in_time(listing).await?.recordings;
                recordings.into_iter().next().ok_or_else(|| not_listed(job))?
            }
        };
        self.format = self.archiver.format(job, Some(listed.media));
        if !self.archiver.wants(listed.media) {
            return Err(filtered_out(self.lease.target(), listed.media));
        }
        match &listed.availability {
            Availability::Ready => Ok(listed),
            Availability::Not(kind, text) => Err(Error::new(*kind, text.clone())),
        }
    }

    /// Records that the files are visible and verified.
    async fn archived(&mut self, files: Vec<ArchivedFile>, timings: Timings) -> Result<(), Error> {
        let entry = self.entry(Action::ArchiveStored, State::Archived);
        let of_file = |file: &ArchivedFile| {
            let entry = entry.clone().with_file(file).with_stored_as(file);
            match timings.archive {
                Some(took) => entry.with_latency(took),
                None => entry,
            }
        };
        let entries: Vec<AuditEvent> = files.iter().map(of_file).collect();
        let (ledger, goal) = (&self.archiver.ledger, self.archiver.goal());
        ledger.archived(&mut self.lease, files, &entries, goal).await?;
        self.timings = Some(timings);
        let target = self.lease.target();
        let recording_id = target.recording_key();
        tracing::info!(interaction_id = %target.conversation, recording_id, "recording archived");
        Ok(())
    }

    /// Notifies the webhook's receiver, if there is one, and ends the lease.
    pub(super) async fn notify(self) -> RecordingResult {
        let Self { archiver, run, .. } = self;
        let done = self.result();
        let Some(webhook) = &archiver.webhook else {
            return archiver.as_expected(run, done);
        };
        let record = self.lease.record();
        let archived_at = record.archived_at.unwrap_or(record.updated_at);
        let news = News {
            of: self.lease.target(),
            files: record.files.clone(),
            format: record.format.clone(),
            archived_at,
        };
        let begun = Instant::now();
        let delivery = webhook.deliver(&news, run.deadline);
        if let Err(error) = run.deadline.in_time(delivery).await {
            let error = self.undelivered(archived_at, error);
            return self.conclude(error).await;
        }
        let entry = self
            .entry(Action::WebhookDelivered, State::Notified)
            .with_latency(begun.elapsed());
        let released = archiver.ledger.release(self.lease, Some(State::Notified), &entry);
        match released.await {
            // A former run may have stored the recording, for a job that expected another hash or none.
            Ok(()) => archiver.as_expected(run, done),
            Err(error) => done.but(Outcome::Retry, error),
        }
    }

    /// Decides what a failed notification means. Whatever the cause, the recording is archived, so only the
    /// notification is sent again, until its receiver has had 72 hours.
    fn undelivered(&self, archived_at: Timestamp, error: Error) -> Error {
        if error.kind() == ErrorKind::WebhookUnsignable {
            return error;
        }
        let error = if error.kind() == ErrorKind::WebhookDown {
            error
        } else {
            Error::new(ErrorKind::WebhookDown, error.to_string())
        };
        let deferrals = self.run.job.deferrals;
        let limit = if self.archiver.clock.now().duration_since(archived_at) > WEBHOOK_PATIENCE {
            "for 72 hours".to_owned()
        } else if deferrals >= MOST_DEFERRALS {
            format!("in {deferrals} deferrals")
        } else {
            return error;
        };
        let target = self.lease.target();
        let message = format!("{target} is archived, but its notification was not accepted {limit}");
        Error::new(ErrorKind::WebhookUndeliverable, message).caused_by(error)
    }

    /// Records why the run ended without its goal, and ends the lease.
    pub(super) async fn conclude(self, error: Error) -> RecordingResult {
        let Self { archiver, run, .. } = self;
        let record = self.lease.record();
        let mut error = archiver.judged(run, record.transcoding_since, error);
        let Consequence {
            mut outcome,
            state,
            action,
        } = consequence(error.kind());
        let ended = self.result();
        // A lost lease is the other run's to write with.
        if error.kind() != ErrorKind::LeaseLost {
            let entry = self
                .entry(action, state.unwrap_or(record.state))
                .with_failure(&error);
            // A key that still cannot sign is one event, however many jobs meet it.
            let known = error.kind() == ErrorKind::WebhookUnsignable
                && record.webhook_error.as_deref() == entry.error();
            let written = if known {
                archiver.ledger.let_go(self.lease).await
            } else {
                archiver.ledger.release(self.lease, state, &entry).await
            };
            if let Err(unwritten) = written {
                // An end that is not recorded did not happen; without the lease this run had no right to judge.
                let message =
                    format!("writing down the end of a run failed ({unwritten}); it had ended with");
                error = Error::new(unwritten.kind(), message).caused_by(error);
                outcome = Outcome::Retry;
            }
        }
        log_end(ended.target, outcome, &error);
        ended.but(outcome, error)
    }

    /// Begins an audit event of this recording.
    pub(super) fn entry(&self, action: Action, state: State) -> AuditEvent {
        AuditEvent::new(action, state, self.format.as_str())
    }

    /// Returns the result so far: what is archived, and what this run spent on it.
    fn result(&self) -> RecordingResult {
        let record = self.lease.record();
        let (outcome, timings) = match self.timings {
            Some(timings) => (Outcome::Archived, timings),
            None => (Outcome::AlreadyArchived, Timings::default()),
        };
        let files = if record.is_archived() {
            record.files.clone()
        } else {
            Vec::new()
        };
        RecordingResult::done(self.lease.target(), outcome, files, timings)
    }
}
