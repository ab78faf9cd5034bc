//! How a run ends that has claimed nothing, and what the end of any run means.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Archiver, Run};
use crate::aws::ledger::{Found, Note};
use crate::domain::format::{MediaKind, RecordingApi};
use crate::domain::job::LOOKS;
use crate::domain::outcome::{Figures, Outcome, RecordingResult, Verdict, verdict};
use crate::domain::record::Record;
use crate::domain::recording::{ConversationId, RecordingRef};
use crate::error::{Disposition, Error, ErrorKind};
use crate::genesys::Conversation;

/// A delay is 15 minutes in the end, so this is some 52 days: the guard behind every time limit.
pub(super) const MOST_DEFERRALS: u32 = 5_000;

/// So long after its end event a conversation that Genesys does not know is waited for.
const UNKNOWN_AT_FIRST: SignedDuration = SignedDuration::from_hours(1);

impl Archiver {
    /// Records why nothing was claimed: a conversation without recordings, or a kind that is not wanted.
    pub(super) async fn conclude_unclaimed(
        &self,
        run: Run<'_>,
        target: RecordingRef,
        error: Error,
    ) -> RecordingResult {
        self.conclude_with(run, target, None, error).await
    }

    /// The same at the end of a look: with what that found. A deferred job is sent before that is recorded, as other jobs
    /// of the conversation rely on it from then on.
    pub(super) async fn conclude_with(
        &self,
        run: Run<'_>,
        target: RecordingRef,
        found: Option<Found>,
        error: Error,
    ) -> RecordingResult {
        let error = self.judged(run, None, error);
        let Verdict {
            outcome,
            state,
            action,
        } = verdict(error.kind());
        log_end(target, outcome, &error);
        let mut sent = None;
        if found.is_some() && outcome == Outcome::Deferred {
            let now = self.clock.now();
            match self.queues.defer(run.job, asked(&error)).await {
                Ok(delay) => {
                    let at = now.checked_add(delay).unwrap_or(Timestamp::MAX);
                    sent = Some((run.job.deferrals.saturating_add(1), at));
                }
                Err(error) => return RecordingResult::ended(target, Outcome::Retry, error),
            }
        }
        if let Some(state) = state {
            let entry = self.entry(run.job, action, state).with_error(&error.to_string());
            let note = Note {
                state,
                reopens: run.job.recheck,
                sent,
                found,
            };
            let noted = self.ledger.note(run.writer(target), &note, &entry);
            if let Err(error) = noted.await {
                return RecordingResult::ended(target, Outcome::Retry, error);
            }
        }
        RecordingResult {
            sent: sent.is_some(),
            ..RecordingResult::ended(target, outcome, error)
        }
    }

    /// "Not ready" is believed until the readiness deadline; after that it is a failure. Whatever is put off, no job comes
    /// again for ever: 5,000 deferrals, more than any time limit takes, end it too.
    /// The transcoding of a recording is waited for from its first request on.
    pub(super) fn judged(&self, run: Run<'_>, transcoding: Option<Timestamp>, error: Error) -> Error {
        let error = self.in_good_time(run, transcoding, error);
        if error.disposition() != Disposition::Defer || run.job.deferrals < MOST_DEFERRALS {
            return error;
        }
        let message = format!("the job was deferred {} times", run.job.deferrals);
        Error::new(ErrorKind::DeferralsExhausted, message).caused_by(error)
    }

    /// The same, with what time alone decides. That a conversation is unknown is not believed at first where an event told
    /// of its end: Genesys may not know it everywhere yet.
    fn in_good_time(&self, run: Run<'_>, transcoding: Option<Timestamp>, error: Error) -> Error {
        let fresh = |since: Timestamp| self.clock.now().duration_since(since) < UNKNOWN_AT_FIRST;
        let error = match error.kind() {
            // A job that was deferred once has proven itself as well as an event, and so has a later look.
            ErrorKind::UnknownConversation
                if (run.actor.event_id.is_some() || run.job.deferrals > 0 || run.job.look.is_some())
                    && run.job.first_seen.is_some_and(fresh) =>
            {
                Error::new(ErrorKind::NotReady { after: None }, error.to_string())
            }
            _ => error,
        };
        let ErrorKind::NotReady { .. } = error.kind() else {
            return error;
        };
        let since = run.job.first_seen.unwrap_or_else(|| self.clock.now());
        let since = transcoding.map_or(since, |begun| begun.max(since));
        let waited: Duration = self
            .clock
            .now()
            .duration_since(since)
            .try_into()
            .unwrap_or_default();
        if waited <= self.config.limits.readiness {
            return error;
        }
        let minutes = self.config.limits.readiness.as_secs() / 60;
        let message = format!(
            "no recording was ready within {minutes} minutes of {since} (READINESS_DEADLINE_MINUTES)"
        );
        Error::new(ErrorKind::NeverReady, message).caused_by(error)
    }

    /// Adds to "never ready" whether Genesys holds an orphan recording, as far as it can be asked about the conversation.
    /// Any other error stays as it is.
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
        let outcome = Outcome::AlreadyArchived;
        self.as_expected(
            run,
            RecordingResult::done(target, outcome, record.files, Figures::default()),
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
            result.of,
            hashes.join(", ")
        );
        let error = Error::new(ErrorKind::HashMismatch, message);
        log_end(result.of, Outcome::Failed, &error);
        result.but(Outcome::Failed, error)
    }
}

/// Says that the conversation has not ended by the readiness deadline.
pub(super) fn lasting(known: &Conversation, since: Timestamp, readiness: Duration, orphan: &str) -> Error {
    let minutes = readiness.as_secs() / 60;
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

/// Returns how long the source asked for before a job comes again.
pub(crate) fn asked(error: &Error) -> Option<Duration> {
    match error.kind() {
        ErrorKind::NotReady { after } => after,
        ErrorKind::Busy { remaining } => Some(remaining + Duration::from_secs(1)),
        _ => None,
    }
}

/// Says that a kind of recording was started and never listed.
pub(super) fn missing(run: Run<'_>, kind: MediaKind, since: Timestamp, orphan: &str) -> Error {
    let conversation = run.job.conversation;
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
