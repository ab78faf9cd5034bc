//! Where jobs go, and how fast: to the work queue, or straight into the archive.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::StreamExt as _;
use serde::Serialize;
use tokio::time::Instant;

use super::error::{Error, Kind};
use super::{Session, clock};
use crate::archive::{Archiver, Run};
use crate::aws::failed;
use crate::domain::audit::Actor;
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult};

/// SQS takes at most so many messages at once.
pub(super) const BATCH: usize = 10;

/// As long as Lambda would give it.
const RUN: Duration = Duration::from_secs(900);

/// So many conversations a minute, and no more.
#[derive(Debug)]
pub(super) struct Pace {
    per_minute: f64,
    /// When the next ones may go.
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

    /// Takes into account that so many went.
    pub(super) fn spend(&mut self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "at most ten")]
        let share = Duration::from_secs_f64(count as f64 / self.per_minute * 60.0);
        self.next = self.next.max(Instant::now()) + share;
    }
}

/// What came of archiving one recording right here.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Archived {
    /// Its conversation.
    pub interaction_id: String,
    /// As ledger and audit spell it.
    pub recording_id: String,
    /// As the function's summary says it.
    pub outcome: &'static str,
    /// Why it was not archived.
    pub reason: Option<String>,
    /// Where its files lie.
    pub files: Vec<String>,
}

/// What came of a job, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Taken {
    /// On the queue, or archived.
    Done,
    /// Gone at Genesys: there is nothing to try again.
    Gone,
    /// To be tried again.
    Not,
}

/// Where jobs go.
#[derive(Debug)]
pub(super) enum Sink {
    /// The function's work queue.
    Queue { client: Client, url: String },
    /// The archive, with the function's own code.
    Local {
        archiver: Box<Archiver>,
        concurrency: usize,
    },
}

impl Sink {
    pub(super) fn queue(session: &Session) -> Result<Self, Error> {
        let url = session.config.queues.work.clone().ok_or_else(|| {
            Error::new(Kind::Configuration, "there is no work queue").remedy(
                "set WORK_QUEUE_URL, name the stack (--stack), or archive right here (backfill --local)",
            )
        })?;
        Ok(Self::Queue {
            client: Client::new(&session.sdk),
            url,
        })
    }

    /// Refuses a clock that is off: the evidence would be.
    pub(super) async fn local(session: &Session, concurrency: usize) -> Result<Self, Error> {
        clock::check(session).await?;
        Ok(Self::Local {
            archiver: Box::new(session.archiver()?),
            concurrency,
        })
    }

    /// Takes up to [`BATCH`] jobs; says what came of each.
    pub(super) async fn take(
        &self,
        jobs: &[Job],
        session: &Session,
        tell: &dyn Fn(Archived),
    ) -> Result<Vec<Taken>, Error> {
        match self {
            Self::Queue { client, url } => {
                let arrived = send(client, url, jobs).await?;
                let taken = |arrived| if arrived { Taken::Done } else { Taken::Not };
                Ok(arrived.into_iter().map(taken).collect())
            }
            Self::Local {
                archiver,
                concurrency,
            } => {
                let work = futures_util::stream::iter(jobs)
                    .map(|job| archive(archiver, job, session, tell))
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

/// Sends the jobs, those that SQS refuses once more.
async fn send(client: &Client, url: &str, jobs: &[Job]) -> Result<Vec<bool>, Error> {
    let bodies: Vec<_> = jobs.iter().map(|job| job.to_json().to_string()).collect();
    let mut arrived = vec![false; bodies.len()];
    let mut refusal = None;
    for _ in 0..2 {
        let left: Vec<_> = (0..bodies.len()).filter(|at| !arrived[*at]).collect();
        if left.is_empty() {
            break;
        }
        let sent = send_batch(client, url, left.iter().map(|at| bodies[*at].as_str())).await?;
        for (at, taken) in left.into_iter().zip(sent.taken) {
            arrived[at] = taken;
        }
        refusal = sent.refusal.or(refusal);
    }
    match refusal {
        Some(refusal) if !arrived.contains(&true) => {
            let message = format!("the work queue {url} takes none of the jobs: {refusal}");
            Err(Error::new(Kind::Service, message))
        }
        _ => Ok(arrived),
    }
}

/// What came of sending a batch.
pub(super) struct Sent {
    /// Of each message, whether the queue took it.
    pub(super) taken: Vec<bool>,
    /// Why it did not take the first of those that it did not.
    refusal: Option<String>,
}

/// Sends up to [`BATCH`] messages, once.
pub(super) async fn send_batch<'b>(
    client: &Client,
    url: &str,
    bodies: impl Iterator<Item = &'b str>,
) -> Result<Sent, Error> {
    let entry = |(at, body): (usize, &str)| {
        SendMessageBatchRequestEntry::builder()
            .id(at.to_string())
            .message_body(body)
            .build()
    };
    let entries = bodies.enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
    let mut taken = vec![false; entries.len()];
    let answer = client
        .send_message_batch()
        .queue_url(url)
        .set_entries(Some(entries))
        .send()
        .await
        .map_err(|error| failed(&format!("sending to the work queue {url}"), error))?;
    for sent in answer.successful() {
        if let Some(taken) = sent.id().parse().ok().and_then(|at: usize| taken.get_mut(at)) {
            *taken = true;
        }
    }
    let refused = answer.failed().first();
    let refusal =
        refused.map(|refused| format!("{} {}", refused.code(), refused.message().unwrap_or_default()));
    Ok(Sent { taken, refusal })
}

/// Archives one conversation and tells what came of it.
async fn archive(archiver: &Archiver, job: &Job, session: &Session, tell: &dyn Fn(Archived)) -> Taken {
    let deadline = session.deadline(RUN);
    let begun = Instant::now();
    let actor = Actor {
        source: "direct",
        request_id: uuid::Uuid::new_v4().to_string(),
        function_version: concat!("archivectl ", env!("CARGO_PKG_VERSION")).to_owned(),
        requested_by: job.requested_by.clone(),
        ..Actor::default()
    };
    let mut job = job.clone();
    let run = Run::new(&mut job, &actor, &deadline, session.now());
    let results = archiver.archive(run).await;
    tracing::debug!(elapsed_ms = begun.elapsed().as_millis(), "archived");
    results.iter().for_each(|result| tell(Archived::of(result)));
    let of = |result: &RecordingResult| match result.outcome {
        Outcome::Archived
        | Outcome::AlreadyArchived
        | Outcome::Skipped
        | Outcome::Settled
        | Outcome::Unrecorded => Taken::Done,
        Outcome::Expired => Taken::Gone,
        Outcome::Deferred | Outcome::Settling | Outcome::Failed | Outcome::Retry => Taken::Not,
    };
    results.iter().map(of).max().unwrap_or(Taken::Done)
}

impl Archived {
    fn of(result: &RecordingResult) -> Self {
        Self {
            interaction_id: result.of.conversation.to_string(),
            recording_id: result.of.recording_key(),
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
