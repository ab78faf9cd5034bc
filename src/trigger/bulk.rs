//! Bulk jobs as invocations take them: submitted, asked about by deferred messages, and worked off until nothing is
//! left. The state of a job travels in its message; what is archived is in the ledger, so that a message that comes
//! twice does nothing twice.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::handler::{Handler, Settled};
use crate::archive::{Bulked, Given, Left, Run, asked, left_to_live};
use crate::aws::queues;
use crate::clock::Deadline;
use crate::domain::audit::{Actor, is_own};
use crate::domain::bulk::{Batch, BulkJob, Entry};
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::domain::recording::RecordingRef;
use crate::error::{Disposition, Error, ErrorKind};
use crate::genesys::{Batched, Details};

/// Delay of the first poll, and as much more for each entry: an estimate of the time that a batch download takes, as
/// Genesys names none. Doubles from there.
const FIRST_POLL: Duration = Duration::from_secs(30);
const FIRST_POLL_EACH: Duration = Duration::from_secs(1);

/// Longest delay of a poll: as long as SQS delays a message.
const LONGEST_POLL: Duration = Duration::from_secs(900);

/// No poll comes later than this after the submission: the URLs of the results are good for an hour, unless the
/// organisation shortened that.
const POLLED_FOR: Duration = Duration::from_secs(46 * 60);

/// Messages that one batch download may be worked off in.
const MOST_MESSAGES: u32 = 14;

/// Times in a row that a job waits for a limit of Genesys: a submission for about a day.
const MOST_WAITS: u32 = 100;

/// Times that a batch download is submitted again: Genesys does not say what came of it, or it did not give an entry.
const MOST_RESUBMISSIONS: u32 = 1;

/// What a batch download did not give waits for the next quarter of an hour: the entries of all jobs come back at the
/// same time then, and one batch download gives those of many.
const GATHERED_EVERY: i64 = 900;

/// The end of one message of a bulk job, in the making.
struct Ending {
    results: Vec<RecordingResult>,
    sent: Result<(), Error>,
}

/// A bulk job in an invocation.
#[derive(Clone, Copy)]
struct Running<'a> {
    job: &'a BulkJob,
    actor: &'a Actor,
    deadline: &'a Deadline,
}

impl Handler {
    /// Takes the next step of a bulk job.
    pub(super) async fn bulk(&self, mut job: BulkJob, mut actor: Actor, deadline: &Deadline) -> Settled {
        actor.requested_by.clone_from(&job.requested_by);
        let own_role = self.archiver().config().role_id.as_deref();
        if !is_own(actor.sender_id.as_deref(), own_role) {
            job.entries.iter_mut().for_each(|entry| entry.asked = None);
        }
        job.origin = Some(actor.asked_first(job.origin.take(), own_role));
        if !deadline.allows_new_work() {
            let error = Error::new(ErrorKind::DeadlineNear, "no time left to begin a batch download");
            return Settled::retry(error);
        }
        let running = Running {
            job: &job,
            actor: &actor,
            deadline,
        };
        let ending = match &job.batch {
            None => self.submit(running).await,
            Some(batch) => self.poll(running, batch).await,
        };
        Settled::of(ending.results, ending.sent)
    }

    /// Submits a batch download of the entries that it can settle, and leaves the others to the live lane.
    async fn submit(&self, running: Running<'_>) -> Ending {
        let job = running.job;
        let now = self.archiver().clock().now();
        let (entries, young): (Vec<_>, Vec<_>) =
            job.entries.iter().cloned().partition(|entry| entry.is_over(now));
        let mut live: Vec<_> = young.iter().map(|entry| (entry, YOUNG.to_owned())).collect();
        if !entries.is_empty() {
            let sent = match self.archiver().submit(&entries, running.deadline).await {
                Ok(id) => {
                    tracing::info!(batch_id = id, entries = entries.len(), "batch download submitted");
                    let delay = poll_after(entries.len(), 0);
                    let batch = Some(Batch { id, polls: 0 });
                    self.go_on(job, entries.clone(), batch, delay).await
                }
                Err(error) if let Some(after) = limited(job, &error) => {
                    let after = queues::delay(job.waits).max(after);
                    self.wait(job, entries.clone(), after, &error).await
                }
                Err(error) if error.disposition() == Disposition::Retry => Err(error),
                Err(error) => {
                    let why = format!("could not be submitted: {error}");
                    live.extend(entries.iter().map(|entry| (entry, why.clone())));
                    Ok(())
                }
            };
            if let Err(error) = sent {
                return Ending::of(Err(error));
            }
        }
        self.leave(running, &live).await
    }

    /// Asks what came of a batch download, and archives that once there is no more to come.
    async fn poll(&self, running: Running<'_>, batch: &Batch) -> Ending {
        let job = running.job;
        let next = Batch {
            id: batch.id.clone(),
            polls: batch.polls.saturating_add(1),
        };
        let again = is_awaited(job.entries.len(), next.polls);
        let batched = match self.archiver().poll(&batch.id, running.deadline).await {
            Ok(batched) => batched,
            Err(error) => match limited(job, &error) {
                Some(after) => {
                    return Ending::of(self.wait(job, job.entries.clone(), after, &error).await);
                }
                None => return self.not_told(running, next, error).await,
            },
        };
        if !batched.complete && again {
            tracing::info!(
                batch_id = batch.id,
                polls = next.polls,
                "batch download is in progress"
            );
            return Ending::of(self.poll_later(job, next).await);
        }
        // What is missing of a recording, or of a conversation, nobody can tell then.
        let why = if !batched.complete {
            "is one of a batch download that does not complete"
        } else if batched.unreadable > 0 {
            "may have one of the unreadable results"
        } else {
            return self.work_off(running, &batched, next).await;
        };
        let live = job.entries.iter().map(|entry| (entry, why.to_owned()));
        self.leave(running, &live.collect::<Vec<_>>()).await
    }

    /// Decides what follows where Genesys does not say what came of a batch download: another poll, another batch
    /// download, or the live lane.
    async fn not_told(&self, running: Running<'_>, next: Batch, error: Error) -> Ending {
        let job = running.job;
        let (batch_id, text) = (&next.id, error.redacted());
        let passing = error.disposition() == Disposition::Retry && !error.is_too_long();
        // Sooner than SQS redelivers a message: the URLs of the results expire.
        if passing && is_awaited(job.entries.len(), next.polls) {
            tracing::warn!(batch_id, error = text, "batch download is asked about again");
            return Ending::of(self.poll_later(job, next).await);
        }
        if !error.is_too_long() && job.deferrals < MOST_RESUBMISSIONS {
            tracing::warn!(batch_id, error = text, "batch download is submitted again");
            let again = BulkJob {
                deferrals: job.deferrals + 1,
                ..job.clone()
            };
            let entries = again.entries.clone();
            return Ending::of(self.go_on(&again, entries, None, queues::delay(0)).await);
        }
        let why = format!("cannot be had: {error}");
        let live = job.entries.iter().map(|entry| (entry, why.clone()));
        self.leave(running, &live.collect::<Vec<_>>()).await
    }

    /// Archives the results of a batch download side by side, and sends on what is left when time is up.
    async fn work_off(&self, running: Running<'_>, batched: &Batched, next: Batch) -> Ending {
        let job = running.job;
        let whole = job.entries.iter().filter(|entry| entry.recording.is_none());
        let details = Details::of_history(whole.map(|entry| entry.conversation));
        let given = Given {
            batched,
            details: &details,
            second: job.deferrals < MOST_RESUBMISSIONS,
            last: next.polls >= MOST_MESSAGES,
        };
        let entries = job.entries.iter().map(|entry| self.entry(running, entry, given));
        let mut ending = Ending::of(Ok(()));
        let (mut left, mut again, mut at_once) = (Vec::new(), Vec::new(), false);
        for (entry, ended) in job.entries.iter().zip(join_all(entries).await) {
            ending.results.extend(ended.results);
            left.extend(ended.left.map(|_| entry.clone()));
            at_once |= ended.left == Some(Left::Now);
            again.extend(ended.again.then(|| entry.clone()));
            // One message is redelivered for whatever could not be sent; the ledger knows the rest.
            ending.sent = ending.sent.and(ended.sent);
        }
        if !again.is_empty() && ending.sent.is_ok() {
            ending.sent = self.submit_later(job, again).await;
        }
        if left.is_empty() || ending.sent.is_err() {
            return ending;
        }
        tracing::info!(
            batch_id = next.id,
            entries = left.len(),
            "batch download goes on in another run"
        );
        if next.polls < MOST_MESSAGES {
            let delay = if at_once { Duration::ZERO } else { LONGEST_POLL };
            ending.sent = self.go_on(job, left, Some(next), delay).await;
            return ending;
        }
        let why = format!("was not done in {MOST_MESSAGES} runs");
        let live: Vec<_> = left.iter().map(|entry| (entry, why.clone())).collect();
        let live = self.leave(running, &live).await;
        ending.results.extend(live.results);
        ending.sent = live.sent;
        ending
    }

    /// Archives what a batch download gave of an entry, and sends each result where it has to go.
    async fn entry(&self, running: Running<'_>, entry: &Entry, given: Given<'_>) -> EntryEnd {
        let mut job = running.job.live(entry);
        let actor = running.actor_for(entry);
        let now = self.archiver().clock().now();
        let run = Run::new(&mut job, &actor, running.deadline, now);
        let Bulked {
            mut results,
            left,
            recheck,
            again,
        } = self.archiver().archive_given(run, entry, given).await;
        job.recheck = recheck;
        let sent = self.dispatch(&job, &actor, &mut results).await;
        EntryEnd {
            results,
            left,
            again,
            sent,
        }
    }

    /// Sends each entry as the live lane's job.
    async fn leave(&self, running: Running<'_>, live: &[(&Entry, String)]) -> Ending {
        let sending = live.iter().map(|(entry, why)| async move {
            let job = running.job.live(entry);
            let target = RecordingRef {
                recording: entry.recording,
                ..RecordingRef::whole(entry.conversation)
            };
            let error = left_to_live(target, why);
            let mut results = vec![RecordingResult::ended(target, Outcome::Deferred, error)];
            let sent = self.dispatch(&job, &running.actor_for(entry), &mut results).await;
            (results, sent)
        });
        let mut ending = Ending::of(Ok(()));
        for (results, sent) in join_all(sending).await {
            ending.results.extend(results);
            ending.sent = ending.sent.and(sent);
        }
        ending
    }

    /// Sends the job of the next poll.
    async fn poll_later(&self, job: &BulkJob, next: Batch) -> Result<(), Error> {
        let delay = poll_after(job.entries.len(), next.polls);
        self.go_on(job, job.entries.clone(), Some(next), delay).await
    }

    /// Sends the job for the same step again, once Genesys takes more requests.
    async fn wait(
        &self,
        job: &BulkJob,
        entries: Vec<Entry>,
        after: Duration,
        why: &Error,
    ) -> Result<(), Error> {
        tracing::info!(seconds = after.as_secs(), why = why.redacted(), "bulk job waits");
        let next = BulkJob {
            entries,
            waits: job.waits.saturating_add(1),
            ..job.clone()
        };
        self.queues().send_bulk(&next, after).await
    }

    /// Sends the job of a second batch download, for what the first one did not give.
    async fn submit_later(&self, job: &BulkJob, entries: Vec<Entry>) -> Result<(), Error> {
        let again = BulkJob {
            deferrals: job.deferrals.saturating_add(1),
            ..job.clone()
        };
        let delay = until_gathered(self.archiver().clock().now());
        self.go_on(&again, entries, None, delay).await
    }

    /// Sends the job of the next step.
    async fn go_on(
        &self,
        job: &BulkJob,
        entries: Vec<Entry>,
        batch: Option<Batch>,
        delay: Duration,
    ) -> Result<(), Error> {
        let next = BulkJob {
            entries,
            batch,
            waits: 0,
            ..job.clone()
        };
        self.queues().send_bulk(&next, delay).await
    }
}

impl<'a> Running<'a> {
    /// Returns who asked for an entry.
    fn actor_for(&self, entry: &Entry) -> Cow<'a, Actor> {
        match &entry.asked {
            None => Cow::Borrowed(self.actor),
            Some(asked) => Cow::Owned(Actor {
                requested_by: asked.requested_by.clone(),
                origin: Some(asked.origin.clone()),
                ..self.actor.clone()
            }),
        }
    }
}

/// Returns the delay of a poll of so many entries, before which there were so many others.
fn poll_after(entries: usize, polls: u32) -> Duration {
    let each = FIRST_POLL_EACH.saturating_mul(u32::try_from(entries).unwrap_or(u32::MAX));
    let first = FIRST_POLL.saturating_add(each);
    first.saturating_mul(1 << polls.min(10)).min(LONGEST_POLL)
}

/// Checks whether there is time for another poll of so many entries after so many polls.
fn is_awaited(entries: usize, polls: u32) -> bool {
    let polls = polls.min(MOST_MESSAGES);
    let waited: Duration = (0..=polls).map(|before| poll_after(entries, before)).sum();
    waited < POLLED_FOR
}

/// Returns how long a job waits for the limit of Genesys that stopped it, if one did, and unless it waited for that
/// long enough.
fn limited(job: &BulkJob, error: &Error) -> Option<Duration> {
    asked(error).filter(|_| job.waits < MOST_WAITS)
}

/// Returns the time until the next quarter of an hour.
fn until_gathered(now: Timestamp) -> Duration {
    let past = now.as_second().rem_euclid(GATHERED_EVERY);
    Duration::from_secs((GATHERED_EVERY - past).unsigned_abs())
}

/// Why an entry is none for a batch download.
const YOUNG: &str = "has no conversationEnd that is 48 hours ago";

/// The end of one entry.
struct EntryEnd {
    results: Vec<RecordingResult>,
    left: Option<Left>,
    again: bool,
    sent: Result<(), Error>,
}

impl Ending {
    /// Makes the end of a step without results.
    fn of(sent: Result<(), Error>) -> Self {
        Self {
            results: Vec::new(),
            sent,
        }
    }
}
