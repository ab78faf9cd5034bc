//! The sinks of jobs, the work queue or the archive itself, and the pace at which jobs go.

use std::time::Duration;

use aws_sdk_sqs::Client;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::Instant;

use super::error::{Error, Kind};
use super::{Session, clock, looks};
use crate::archive::{Archiver, Run};
pub(super) use crate::aws::queues::{BATCH, Delivery, send_batch};
use crate::domain::audit::Actor;
use crate::domain::bulk::BulkJob;
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult};

/// Longest run, as in Lambda.
const RUN: Duration = Duration::from_secs(900);

/// A limit of conversations a minute.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: f64,
    /// The time from which the next ones may go.
    next: Instant,
}

impl Pace {
    pub(super) fn new(per_minute: f64) -> Self {
        Self {
            per_minute,
            next: Instant::now(),
        }
    }

    /// Waits until the next ones may go.
    pub(super) async fn wait(&self, session: &Session) -> Result<(), Error> {
        tokio::select! {
            () = tokio::time::sleep_until(self.next) => session.go_on(),
            () = session.interruption() => session.go_on(),
        }
    }

    /// Counts `count` conversations as sent.
    pub(super) fn spend(&mut self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "some hundreds at most")]
        let share = Duration::from_secs_f64(count as f64 / self.per_minute * 60.0);
        self.next = self.next.max(Instant::now()) + share;
    }
}

/// A recording that was archived on this machine, or was not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archived {
    /// Its conversation.
    pub interaction_id: String,
    /// The recording as ledger and audit spell it.
    pub recording_id: String,
    /// The outcome as the function's summary names it.
    pub outcome: &'static str,
    /// The reason why it was not archived.
    pub reason: Option<String>,
    /// The places of its files, as `s3://bucket/key`.
    pub files: Vec<String>,
}

/// The end of a job, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Done {
    /// On the queue, or archived.
    Taken,
    /// Deleted at Genesys: there is nothing to retry.
    Expired,
    /// To be retried.
    Refused,
}

impl Done {
    fn of(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Accepted => Self::Taken,
            Delivery::Refused => Self::Refused,
        }
    }

    /// Returns the end of a job that this came of.
    pub(super) fn of_result(result: &RecordingResult) -> Self {
        match result.outcome {
            Outcome::Archived
            | Outcome::AlreadyArchived
            | Outcome::Skipped
            | Outcome::Settled
            | Outcome::Unrecorded
            | Outcome::Erased => Self::Taken,
            Outcome::Expired => Self::Expired,
            Outcome::Deferred | Outcome::Settling | Outcome::Failed | Outcome::Retry => Self::Refused,
        }
    }
}

/// A sink of jobs.
#[derive(Debug)]
pub(super) enum Sink {
    /// The function's work queue.
    Queue { client: Client, url: String },
    /// The archive, with the function's own code.
    Local {
        archiver: Box<Archiver>,
        operator: Box<Actor>,
        concurrency: usize,
    },
}

impl Sink {
    /// Makes a sink that sends to the work queue.
    pub(super) fn queue(session: &Session) -> Result<Self, Error> {
        let url = session.config.queues.work.clone().ok_or_else(|| {
            Error::new(Kind::Configuration, "there is no work queue").remedy(
                "set WORK_QUEUE_URL, name the stack (--stack), or archive right here (backfill --local)",
            )
        })?;
        Ok(Self::Queue {
            client: session.clients.sqs.clone(),
            url,
        })
    }

    /// Makes a sink that archives on this machine. Refuses a clock that is wrong, as the evidence would be.
    pub(super) async fn local(session: &Session, concurrency: usize) -> Result<Self, Error> {
        clock::check(session).await?;
        Ok(Self::Local {
            archiver: Box::new(session.archiver()?),
            operator: Box::new(session.operator(None).await),
            concurrency,
        })
    }

    /// Takes a bulk job. Returns its end; the archive itself takes none, as a batch download is polled by messages.
    pub(super) async fn take_bulk(&self, job: &BulkJob) -> Result<Done, Error> {
        let Self::Queue { client, url } = self else {
            return Ok(Done::Refused);
        };
        let deliveries = send(client, url, &[job.to_json().to_string()]).await?;
        Ok(deliveries
            .into_iter()
            .map(Done::of)
            .max()
            .unwrap_or(Done::Refused))
    }

    /// Takes up to [`BATCH`] jobs. Returns the end of each.
    pub(super) async fn take(
        &self,
        jobs: &[Job],
        session: &Session,
        report: &dyn Fn(Archived),
    ) -> Result<Vec<Done>, Error> {
        match self {
            Self::Queue { client, url } => {
                let bodies: Vec<_> = jobs.iter().map(|job| job.to_json().to_string()).collect();
                let deliveries = send(client, url, &bodies).await?;
                Ok(deliveries.into_iter().map(Done::of).collect())
            }
            Self::Local {
                archiver,
                operator,
                concurrency,
            } => {
                let work = futures_util::stream::iter(jobs)
                    .map(|job| archive(archiver, operator, job, (session, report)))
                    .buffered(*concurrency)
                    .collect();
                tokio::pin!(work);
                tokio::select! {
                    done = &mut work => return Ok(done),
                    () = session.interruption() => {}
                }
                // Uploads are aborted and leases released before anything ends.
                session.stop();
                Ok(work.await)
            }
        }
    }
}

/// Sends the jobs, and those that SQS refuses a second time.
async fn send(client: &Client, url: &str, bodies: &[String]) -> Result<Vec<Delivery>, Error> {
    let mut deliveries = vec![Delivery::Refused; bodies.len()];
    let mut refusal = None;
    for _ in 0..2 {
        let refused = |at: &usize| deliveries[*at] == Delivery::Refused;
        let left: Vec<_> = (0..bodies.len()).filter(refused).collect();
        if left.is_empty() {
            break;
        }
        let sent = send_batch(client, url, left.iter().map(|at| bodies[*at].as_str())).await?;
        for (at, delivery) in left.into_iter().zip(sent.deliveries) {
            deliveries[at] = delivery;
        }
        refusal = sent.refusal.or(refusal);
    }
    match refusal {
        Some(refusal) if !deliveries.contains(&Delivery::Accepted) => {
            let message = format!("the work queue {url} takes none of the jobs: {refusal}");
            Err(Error::new(Kind::Service, message))
        }
        Some(_) | None => Ok(deliveries),
    }
}

/// Archives one conversation and reports each of its recordings; then looks at it, where conversations are settled.
async fn archive(
    archiver: &Archiver,
    operator: &Actor,
    job: &Job,
    (session, report): (&Session, &dyn Fn(Archived)),
) -> Done {
    let deadline = session.deadline(RUN);
    let begun = Instant::now();
    let mut actor = Actor {
        request_id: uuid::Uuid::new_v4().to_string(),
        requested_by: job.requested_by.clone(),
        ..operator.clone()
    };
    let mut job = job.clone();
    actor.asked_first(job.origin.take(), None);
    let run = Run::new(&mut job, &actor, &deadline, session.now());
    // Boxed, as the whole data path is in this one future.
    let results = Box::pin(archiver.archive(run)).await;
    tracing::debug!(elapsed_ms = begun.elapsed().as_millis(), "archived");
    results.iter().for_each(|result| report(Archived::of(result)));
    let all = results.iter().map(Done::of_result).max().unwrap_or(Done::Taken);
    if all != Done::Taken || !archiver.settles(run.job) {
        return all;
    }
    let tell = |result: &RecordingResult| report(Archived::of(result));
    match looks::settle((session, archiver), run, tell).await {
        Ok(done) => done,
        Err(error) => {
            report(Archived {
                interaction_id: job.conversation.to_string(),
                recording_id: "-".to_owned(),
                outcome: Outcome::Retry.as_str(),
                reason: Some(error.to_string()),
                files: Vec::new(),
            });
            Done::Refused
        }
    }
}

impl Archived {
    fn of(result: &RecordingResult) -> Self {
        Self {
            interaction_id: result.target.conversation.to_string(),
            recording_id: result.target.recording_key(),
            outcome: result.outcome.as_str(),
            reason: result.error.as_ref().map(ToString::to_string),
            files: result
                .files
                .iter()
                .map(|file| file.archive_key.to_string())
                .collect(),
        }
    }
}
