//! Where results go: to people, to the work queue again, or nowhere.

use super::handler::Handler;
use crate::archive::asked;
use crate::aws::queues::{Exception, Handover, deferred};
use crate::domain::audit::{Actor, Source};
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::domain::recording::RecordingRef;
use crate::error::{Error, ErrorKind};

impl Handler {
    /// Sends each result where it has to go. When the trigger has to redeliver, nothing is sent: the next run meets
    /// the same results, and would send them twice.
    pub(super) async fn dispatch(
        &self,
        job: &Job,
        actor: &Actor,
        results: &mut [RecordingResult],
    ) -> Result<(), Error> {
        if let Some(again) = results.iter_mut().find(|result| result.outcome == Outcome::Retry) {
            return Err(again
                .error
                .take()
                .unwrap_or_else(|| Error::transient("another run is needed")));
        }
        for result in results {
            let Some(error) = &result.error else { continue };
            match result.outcome {
                Outcome::Failed | Outcome::Expired => self.to_people(job, actor, result, error).await?,
                Outcome::Deferred if result.sent => {}
                Outcome::Deferred => self.defer(job, result, error).await?,
                Outcome::Archived
                | Outcome::AlreadyArchived
                | Outcome::Settling
                | Outcome::Settled
                | Outcome::Unrecorded
                | Outcome::Erased
                | Outcome::Skipped
                | Outcome::Retry => {}
            }
        }
        Ok(())
    }

    /// Hands a result over to people. Without a queue for that, what failed stays with SQS, whose dead-letter queue
    /// gets it.
    async fn to_people(
        &self,
        job: &Job,
        actor: &Actor,
        result: &RecordingResult,
        error: &Error,
    ) -> Result<(), Error> {
        let (failed, from_sqs) = (result.outcome == Outcome::Failed, actor.source == Source::Sqs);
        // Whoever sent a malformed job waits for the answer.
        if failed && !from_sqs && error.kind() == ErrorKind::MalformedJob {
            return Err(Error::new(ErrorKind::MalformedJob, error.to_string()));
        }
        let replay = about(job, result);
        let handover = Handover::Job(&replay);
        let handed = self
            .hand_over(error, Some(result.target), handover, actor)
            .await?;
        if failed && from_sqs && !handed {
            return Err(Error::new(error.kind(), error.to_string()));
        }
        Ok(())
    }

    /// Puts the job of a result on the work queue again.
    async fn defer(&self, job: &Job, result: &RecordingResult, error: &Error) -> Result<(), Error> {
        let queues = self.queues();
        if !queues.can_defer() {
            let message = format!("{error}; with WORK_QUEUE_URL set, the job would have been deferred");
            return Err(Error::new(error.kind(), message));
        }
        let delayed = deferred(&about(job, result), asked(error));
        queues.send(&delayed).await
    }

    /// Hands a case over to people, if there is a queue for it. `recording` is what the case is about, where that is
    /// known.
    pub(super) async fn hand_over(
        &self,
        error: &Error,
        recording: Option<RecordingRef>,
        handover: Handover<'_>,
        actor: &Actor,
    ) -> Result<bool, Error> {
        let queues = self.queues();
        if !queues.has_exception_queue() {
            return Ok(false);
        }
        let exception = Exception {
            error,
            interaction_id: recording.map(|of| of.conversation.to_string()),
            recording_id: recording.and_then(|of| of.recording).map(|id| id.to_string()),
            handover,
            timestamp: self.archiver().clock().now(),
            actor,
        };
        queues.hand_over(&exception).await?;
        Ok(true)
    }
}

/// Returns the job to retry for a result: for this recording alone, not for those that are done.
fn about(job: &Job, result: &RecordingResult) -> Job {
    match result.target.recording.or(job.recording) {
        None => job.clone(),
        recording => Job {
            recording,
            look: None,
            recheck: false,
            ..job.clone()
        },
    }
}
