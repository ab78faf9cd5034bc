//! Looks at conversations as invocations take them: with one request for details in a batch, sent before they count,
//! and not before their time.

use std::time::Duration;

use super::event::{Message, Request};
use super::handler::{Handler, Settled};
use crate::archive::{Looked, Run, Taken};
use crate::aws::queues::Delayed;
use crate::domain::audit::Actor;
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::domain::recording::RecordingRef;
use crate::error::{Error, ErrorKind};
use crate::genesys::Details;

/// A job waits no longer than this: the longest delay between two looks is a quarter of it.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

impl Handler {
    /// Prepares the details of the conversations that a batch looks at again, in one request once the first of them
    /// needs it.
    pub(super) fn details_of(&self, groups: &[Vec<(usize, Message)>]) -> Details {
        let now = self.archiver().clock().now();
        let due = groups.iter().filter_map(|group| match &group.first()?.1.request {
            Ok(Request::Archive { job, .. }) => {
                let due = job.look.is_some() && job.not_before.is_none_or(|time| time <= now);
                (due && self.archiver().settles(job)).then_some(job.conversation)
            }
            Ok(Request::Bulk { .. } | Request::Nothing { .. }) | Err(_) => None,
        });
        Details::of(due)
    }

    /// Takes one look at a conversation. Its results are sent where they have to go before it is concluded: once it
    /// counts, it is not taken again.
    pub(super) async fn look(&self, run: Run<'_>, details: &Details) -> Settled {
        let Looked { mut results, taken } = self.archiver().look(run).await;
        let mut sent = self.dispatch(run.job, run.actor, &mut results).await;
        if let (Ok(()), Some(taken)) = (&sent, taken) {
            let mut concluded = Vec::from_iter(self.conclude(run, taken, details).await);
            sent = self.dispatch(run.job, run.actor, &mut concluded).await;
            results.extend(concluded);
        }
        match sent {
            Ok(()) if results.is_empty() => Settled::Ignored,
            sent => Settled::of(results, sent),
        }
    }

    /// Concludes a look. Returns what came of the conversation as a whole, if anything did. The next look is sent
    /// before this one is recorded: a run that dies in between does both again, and the second message is dropped by
    /// its number.
    pub async fn conclude(&self, run: Run<'_>, taken: Taken, details: &Details) -> Option<RecordingResult> {
        let concluded = match self.archiver().conclude_look(run, taken, details).await {
            Ok(concluded) => concluded,
            Err(ended) => return Some(ended),
        };
        if let Some(next) = concluded.next()
            && let Err(error) = self.queues().send(next).await
        {
            let conversation = RecordingRef::whole(run.job.conversation);
            return Some(RecordingResult::ended(conversation, Outcome::Retry, error));
        }
        self.archiver().record_look(run, concluded).await
    }

    /// Sends a job that came before its time back to the work queue, without any other request.
    pub(super) async fn postpone(&self, job: &Job, actor: &Actor, wait: Duration) -> Settled {
        let of = RecordingRef {
            conversation: job.conversation,
            recording: job.recording,
            segment: job.segment,
        };
        let time = job.not_before.unwrap_or_default();
        if wait > LONGEST_WAIT {
            let message = format!("the job's notBefore is {time}; accepted: a time within the next 24 hours");
            let error = Error::new(ErrorKind::MalformedJob, message);
            let mut results = vec![RecordingResult::ended(of, Outcome::Failed, error)];
            let sent = self.dispatch(job, actor, &mut results).await;
            return Settled::of(results, sent);
        }
        let delayed = Delayed {
            job: job.clone(),
            delay: wait,
        };
        let sent = self.queues().send(&delayed).await;
        let error = Error::new(
            ErrorKind::NotReady { after: Some(wait) },
            format!("the job waits until {time} (notBefore)"),
        );
        Settled::of(vec![RecordingResult::ended(of, Outcome::Settling, error)], sent)
    }
}
