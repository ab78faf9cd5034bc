//! Where jobs go, and how fast: to the work queue, or straight into the archive.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use futures_util::StreamExt as _;
use recording_archiver::archive::audit::Actor;
use recording_archiver::archive::job::Job;
use recording_archiver::archive::outcome::{Outcome, RecordingResult};
use recording_archiver::archive::{Archiver, Run};
use recording_archiver::aws::failed;
use recording_archiver::telemetry::Lines;
use serde_json::json;
use tokio::time::Instant;

use crate::Failure;
use crate::out::{BAD, Out, Text};
use crate::session::Session;

/// SQS takes at most so many messages at once.
pub(crate) const BATCH: usize = 10;

/// As long as Lambda would give it.
const RUN: Duration = Duration::from_secs(900);

/// So many conversations a minute, and no more.
#[derive(Debug)]
pub(crate) struct Pace {
    per_minute: f64,
    /// When the next ones may go.
    next: Instant,
}

impl Pace {
    pub(crate) fn new(per_minute: f64) -> Self {
        Self {
            per_minute,
            next: Instant::now(),
        }
    }

    /// Waits until the next ones may go; false: somebody interrupted.
    pub(crate) async fn wait(&self, session: &Session) -> bool {
        tokio::select! {
            () = tokio::time::sleep_until(self.next) => {}
            () = session.interruption() => {}
        }
        !session.is_interrupted()
    }

    /// So many went.
    pub(crate) fn spend(&mut self, count: usize) {
        #[expect(clippy::cast_precision_loss, reason = "at most ten")]
        let share = Duration::from_secs_f64(count as f64 / self.per_minute * 60.0);
        self.next = self.next.max(Instant::now()) + share;
    }
}

/// Reads a number of conversations a minute.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("/min").unwrap_or(text).parse::<f64>();
    let number = number.ok().filter(|number| (1.0..=1e9).contains(number));
    number.ok_or_else(|| "accepted: conversations a minute, at least 1, such as 50 or 50/min".to_owned())
}

/// Who asks, as the audit will tell: the command, of what, and the user of this machine.
pub(crate) fn requester(command: &str, what: &str) -> String {
    let user = ["USER", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let user = user
        .map(|user| format!(" by {}", user.chars().take(64).collect::<String>()))
        .unwrap_or_default();
    format!("archivectl {command} of {what}{user}")
}

/// Where jobs go.
#[derive(Debug)]
pub(crate) enum Sink {
    /// The function's work queue.
    Queue { client: Client, url: String },
    /// The archive, with the function's own code.
    Local {
        archiver: Box<Archiver>,
        concurrency: usize,
    },
}

impl Sink {
    pub(crate) fn queue(session: &Session) -> Result<Self, Failure> {
        let url = session.config.queues.work.clone();
        let url = url.ok_or(
            "there is no work queue: set WORK_QUEUE_URL, name the stack (--stack), or archive right here (--local)",
        )?;
        Ok(Self::Queue {
            client: Client::new(&session.sdk),
            url,
        })
    }

    pub(crate) fn local(session: &Session, concurrency: usize) -> Result<Self, Failure> {
        // The audit table has every event; here nobody collects the lines.
        let archiver = session.archiver(Lines::new(|_| {}))?;
        Ok(Self::Local {
            archiver: Box::new(archiver),
            concurrency,
        })
    }

    /// Takes up to [`BATCH`] jobs; says of each whether it need not be given again.
    pub(crate) async fn take(&self, jobs: &[Job], session: &Session, out: Out) -> Result<Vec<bool>, Failure> {
        match self {
            Self::Queue { client, url } => send(client, url, jobs).await,
            Self::Local {
                archiver,
                concurrency,
            } => {
                let work = futures_util::stream::iter(jobs)
                    .map(|job| archive(archiver, job, session, out))
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
async fn send(client: &Client, url: &str, jobs: &[Job]) -> Result<Vec<bool>, Failure> {
    let mut arrived = vec![false; jobs.len()];
    let mut refusal = String::new();
    for _ in 0..2 {
        let entries = jobs
            .iter()
            .enumerate()
            .filter(|(at, _)| !arrived[*at])
            .map(|(at, job)| {
                SendMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .message_body(job.to_json().to_string())
                    .build()
            });
        let entries = entries.collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            break;
        }
        let answer = client
            .send_message_batch()
            .queue_url(url)
            .set_entries(Some(entries))
            .send()
            .await;
        let answer = answer.map_err(|error| failed(&format!("sending to the work queue {url}"), error))?;
        for sent in answer.successful() {
            if let Some(arrived) = sent.id().parse().ok().and_then(|at: usize| arrived.get_mut(at)) {
                *arrived = true;
            }
        }
        if let Some(refused) = answer.failed().first() {
            refusal = format!("{} {}", refused.code(), refused.message().unwrap_or_default());
        }
    }
    if arrived.contains(&true) || refusal.is_empty() {
        Ok(arrived)
    } else {
        Err(format!("the work queue {url} takes none of the jobs: {refusal}").into())
    }
}

/// Archives one conversation and tells what did not work out.
async fn archive(archiver: &Archiver, job: &Job, session: &Session, out: Out) -> bool {
    let deadline = session.deadline(RUN);
    let begun = Instant::now();
    let actor = Actor {
        source: "direct",
        request_id: uuid::Uuid::new_v4().to_string(),
        function_version: concat!("archivectl ", env!("CARGO_PKG_VERSION")).to_owned(),
        requested_by: job.requested_by.clone(),
        ..Actor::default()
    };
    let results = archiver.archive(Run::new(job, &actor, &deadline)).await;
    tracing::debug!(elapsed_ms = begun.elapsed().as_millis(), "archived");
    results.iter().for_each(|result| tell(result, out));
    results.iter().all(|result| {
        use Outcome::{AlreadyArchived, Archived, Expired, Skipped};
        matches!(result.outcome, Archived | AlreadyArchived | Expired | Skipped)
    })
}

fn tell(result: &RecordingResult, out: Out) {
    let outcome = result.outcome.as_str();
    let reason = result.error.as_ref().map(ToString::to_string);
    let files: Vec<_> = result.files.iter().map(|file| &file.archive_key).collect();
    let item = json!({"interactionId": result.of.conversation.to_string(), "recordingId": result.of.recording_key(),
                      "outcome": outcome, "reason": reason, "files": files});
    out.item(&item, || match reason {
        None => Text::new(outcome).add(format!(" {}", result.of)),
        Some(reason) => Text::styled(BAD, outcome).add(format!(" {}: {reason}", result.of)),
    });
}
