//! Ends of runs that have claimed nothing, and the judgement of the error that ends any run.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Archiver, Run};
use crate::aws::ledger::{Found, Note};
use crate::aws::queues::{Delayed, deferred};
use crate::domain::audit::AuditEvent;
use crate::domain::format::{MediaKind, RecordingApi};
use crate::domain::job::{Job, LOOKS};
use crate::domain::outcome::{Consequence, Outcome, RecordingResult, Timings, consequence};
use crate::domain::record::{Record, State};
use crate::domain::recording::{ConversationId, RecordingRef};
use crate::error::{Disposition, Error, ErrorKind};
use crate::genesys::Conversation;

/// A delay is 15 minutes in the end, so this is some 52 days: the guard behind every time limit.
pub(super) const MOST_DEFERRALS: u32 = 5_000;

/// Longest time after its end event for which an unknown conversation is waited for.
const UNKNOWN_AT_FIRST: SignedDuration = SignedDuration::from_hours(1);

/// The end of a run that claimed nothing, not recorded yet.
#[derive(Debug)]
pub(super) struct Ending {
    target: RecordingRef,
    outcome: Outcome,
    error: Error,
    /// The ledger's note and its audit event, where the state changes.
    note: Option<(Note, AuditEvent)>,
    /// The deferred job, which has to be sent before the note is recorded.
    pub(super) next: Option<Delayed>,
}

impl Archiver {
    /// Records why nothing was claimed: a conversation without recordings, or a kind that is not wanted.
    pub(super) async fn conclude_unclaimed(
        &self,
        run: Run<'_>,
        target: RecordingRef,
        error: Error,
    ) -> RecordingResult {
        let ending = self.ending(run, target, None, error);
        self.record_ending(run, ending).await
    }

    /// Decides what the error means that ended a run. At the end of a look that is recorded with what the look `found`,
    /// and a deferred job is sent before, as other jobs of the conversation rely on it from then on.
    pub(super) fn ending(
        &self,
        run: Run<'_>,
        target: RecordingRef,
        found: Option<Found>,
        error: Error,
    ) -> Ending {
        let error = self.judged(run, None, error);
        let Consequence {
            outcome,
            state,
            action,
        } = consequence(error.kind());
        log_end(target, outcome, &error);
        let next = (found.is_some() && outcome == Outcome::Deferred).then(|| {
            let job = Job {
                first_seen: Some(run.since),
                ..run.job.clone()
            };
            deferred(&job, asked(&error))
        });
        let sent = next.as_ref().map(|next| {
            let at = self.clock.now().saturating_add(next.delay);
            (next.job.deferrals, at.unwrap_or(Timestamp::MAX))
        });
        let note = state.map(|state| {
            let note = Note {
                state,
                reopens: run.job.recheck,
                sent,
                found,
            };
            let entry = self.entry(run.job, action, state).with_failure(&error);
            (note, entry)
        });
        Ending {
            target,
            outcome,
            error,
            note,
            next,
        }
    }

    /// Records that nobody works on the run's job any more, as the end of a run that claimed nothing: of its recording,
    /// else of its conversation as a whole. Where a run got farther, or was at it within a day, that stays; and what a
    /// conversation as a whole came to, its recordings say if the ledger knows any.
    pub async fn give_up(&self, run: Run<'_>, error: Error) -> Result<(), Error> {
        let records = self.ledger.records(run.job.conversation).await?;
        let target = RecordingRef {
            recording: run.job.recording,
            segment: run.job.segment,
            ..run.conversation()
        };
        let key = target.recording_key();
        let known = records.iter().find(|record| record.recording_id == key);
        let is_left = match known {
            Some(record) => is_abandoned(record, self.clock.now()),
            None => target.recording.is_some() || records.is_empty(),
        };
        if !is_left {
            return Ok(());
        }
        let result = self.conclude_unclaimed(run, target, error).await;
        match result.error {
            Some(error) if result.outcome == Outcome::Retry => Err(error),
            _ => Ok(()),
        }
    }

    /// Records the end of a run that claimed nothing.
    pub(super) async fn record_ending(&self, run: Run<'_>, ending: Ending) -> RecordingResult {
        let target = ending.target;
        if let Some((note, entry)) = &ending.note
            && let Err(error) = self.ledger.note(run.writer(target), note, entry).await
        {
            return RecordingResult::ended(target, Outcome::Retry, error);
        }
        RecordingResult {
            sent: ending.next.is_some(),
            ..RecordingResult::ended(target, ending.outcome, ending.error)
        }
    }

    /// Decides whether an error that defers is still believed. "Not ready" is, until the readiness deadline, which for
    /// a recording counts from its first request for a transcoding. Whatever the error, no job is deferred for ever:
    /// 5,000 deferrals, more than any time limit takes, end it too.
    pub(super) fn judged(&self, run: Run<'_>, transcoding: Option<Timestamp>, error: Error) -> Error {
        let error = self.in_good_time(run, transcoding, self.known_later(run, error));
        if error.disposition() != Disposition::Defer || run.job.deferrals < MOST_DEFERRALS {
            return error;
        }
        let message = format!("the job was deferred {} times", run.job.deferrals);
        Error::new(ErrorKind::DeferralsExhausted, message).caused_by(error)
    }

    /// Turns "unknown conversation" into "not ready" for an hour after its end event: Genesys may not know it
    /// everywhere yet. A job that was deferred once has proven itself as well as an event, and so has a later look.
    fn known_later(&self, run: Run<'_>, error: Error) -> Error {
        let proven = run.ended().is_some() || run.job.deferrals > 0 || run.job.look.is_some();
        let fresh = self.clock.now().duration_since(run.since) < UNKNOWN_AT_FIRST;
        if error.kind() == ErrorKind::UnknownConversation && proven && fresh {
            return Error::new(ErrorKind::NotReady { after: None }, error.to_string());
        }
        error
    }

    /// Turns "not ready" into "never ready" once the readiness deadline has passed.
    fn in_good_time(&self, run: Run<'_>, transcoding: Option<Timestamp>, error: Error) -> Error {
        let since = transcoding.map_or(run.since, |begun| begun.max(run.since));
        let waited = self.clock.now().duration_since(since);
        let waited: Duration = waited.try_into().unwrap_or_default();
        let readiness = self.config.limits.readiness;
        if !matches!(error.kind(), ErrorKind::NotReady { .. }) || waited <= readiness {
            return error;
        }
        let minutes = readiness.as_secs() / 60;
        let message = format!(
            "no recording was ready within {minutes} minutes of {since} (READINESS_DEADLINE_MINUTES)"
        );
        Error::new(ErrorKind::NeverReady, message).caused_by(error)
    }

    /// Adds to "never ready" whether Genesys holds an orphan recording, as far as it can be asked about the
    /// conversation. Any other error stays as it is.
    pub(super) async fn never_ready(&self, run: Run<'_>, error: Error) -> Error {
        let error = self.judged(run, None, error);
        if error.kind() != ErrorKind::NeverReady || self.config.genesys.api != RecordingApi::Conversations {
            return error;
        }
        let orphan = self.orphan(run).await;
        Error::new(ErrorKind::NeverReady, format!("{error}; {orphan}"))
    }

    /// Says whether Genesys holds an orphan recording for the job's conversation.
    pub(super) async fn orphan(&self, run: Run<'_>) -> String {
        let asking = async { Ok(self.genesys.orphan_of(run.job.conversation, run.deadline).await) };
        run.deadline
            .in_time(asking)
            .await
            .unwrap_or_else(|error| format!("orphan recordings were not asked for: {error}"))
    }

    /// Answers for a recording that a former run archived.
    pub(super) fn already_archived(
        &self,
        run: Run<'_>,
        target: RecordingRef,
        record: Record,
    ) -> RecordingResult {
        if record.is_erased() {
            return RecordingResult::done(target, Outcome::Erased, Vec::new(), Timings::default());
        }
        let outcome = Outcome::AlreadyArchived;
        self.as_expected(
            run,
            RecordingResult::done(target, outcome, record.files, Timings::default()),
        )
    }

    /// Holds what a former run archived against the hash that this job expects.
    pub(super) fn as_expected(&self, run: Run<'_>, result: RecordingResult) -> RecordingResult {
        let Some(expected) = &run.job.expected_sha256 else {
            return result;
        };
        if result.files.iter().any(|file| file.sha256 == *expected) {
            return result;
        }
        let hashes: Vec<_> = result.files.iter().map(|file| file.sha256.as_str()).collect();
        let message = format!(
            "{} is archived with SHA-256 {}, not the expected {expected}",
            result.target,
            hashes.join(", ")
        );
        let error = Error::new(ErrorKind::HashMismatch, message);
        log_end(result.target, Outcome::Failed, &error);
        result.but(Outcome::Failed, error)
    }
}

/// Deferred jobs and looks write to their record more often: a look is never more than 6 hours away.
const ABANDONED: SignedDuration = SignedDuration::from_hours(24);

/// Returns whether a run left its work undone, and no other one is at it.
fn is_abandoned(record: &Record, now: Timestamp) -> bool {
    match record.state {
        State::Claimed | State::Storing | State::Deferred | State::Settling => {
            now.duration_since(record.updated_at) > ABANDONED
        }
        State::Archived
        | State::Notified
        | State::Skipped
        | State::Failed
        | State::Expired
        | State::Settled
        | State::Unrecorded
        | State::Erased => false,
    }
}

/// Says that the conversation has not ended by the readiness deadline.
pub(super) fn lasting(run: Run<'_>, known: &Conversation, readiness: Duration, orphan: &str) -> Error {
    let (minutes, since) = (readiness.as_secs() / 60, run.since);
    let open = match known.open.as_slice() {
        [] => "no segment is open, and it has no end".to_owned(),
        open => format!("open: {}", open.join(", ")),
    };
    let message = format!(
        "conversation {} has not ended {minutes} minutes after {since} (READINESS_DEADLINE_MINUTES), so recordings of it may be \
         held back; {open}; {orphan}",
        known.id
    );
    Error::new(ErrorKind::AfterCallWorkOpen, message)
}

/// Returns how long the source asked to wait before a job is retried.
pub(crate) fn asked(error: &Error) -> Option<Duration> {
    if let ErrorKind::Busy { remaining } = error.kind() {
        return Some(remaining + Duration::from_secs(1));
    }
    let ErrorKind::NotReady { after } = error.kind() else {
        return None;
    };
    after
}

/// Says that a kind of recording was started and never listed.
pub(super) fn missing(run: Run<'_>, kind: MediaKind, orphan: &str) -> Error {
    let (conversation, since) = (run.job.conversation, run.since);
    let message = format!(
        "Genesys says that {kind} of conversation {conversation} was recorded, and listed no {kind} recording of it since \
         {since} (READINESS_DEADLINE_MINUTES); {orphan}"
    );
    Error::new(ErrorKind::NeverReady, message)
}

/// Says that the last look was taken, and the conversation is not settled.
pub(super) fn not_settled(conversation: ConversationId) -> Error {
    let last = LOOKS.end();
    let message =
        format!("conversation {conversation} was looked at {last} times, and more may still come of it");
    Error::new(ErrorKind::NeverReady, message)
}

/// Logs that a run ended without its goal.
pub(super) fn log_end(target: RecordingRef, outcome: Outcome, error: &Error) {
    let error_text = error.redacted();
    tracing::warn!(
        interaction_id = %target.conversation,
        recording_id = target.recording_key(),
        outcome = outcome.as_str(),
        code = error.kind().code(),
        error = error_text,
        "recording not archived in this run"
    );
}
