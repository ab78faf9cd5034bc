//! From a payload to an answer: each record by itself, each outcome sent where docs/interface.md says.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::SqsBatchResponse;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::event::{self, Incoming, Message, Request, Wanted};
use super::gather::gather;
use super::kept;
use super::metrics::Tally;
use crate::archive::{Archiver, Run};
use crate::aws::Clients;
use crate::aws::queues::{Handover, Queues};
use crate::clock::{Clock, Deadline, Stop};
use crate::config::Config;
use crate::domain::audit::{Actor, Source};
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::error::{Error, ErrorKind};
use crate::genesys::Details;
use crate::telemetry::Lines;

/// Answers invocations. One for the life of a container; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handler {
    archiver: Arc<Archiver>,
    queues: Queues,
    stop: Arc<Stop>,
    lines: Lines,
}

/// The runtime's facts about an invocation.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Lambda's request id.
    pub request_id: String,
    /// Lambda's function version.
    pub function_version: String,
    /// Time until the invocation is cut off.
    pub remaining: Duration,
}

/// The end of one message, event or job.
#[derive(Debug)]
pub(super) enum Settled {
    /// Each result was sent where it has to go.
    Done(Vec<RecordingResult>),
    /// Nothing was asked for, or there was nothing to do.
    Ignored,
    /// An invalid message, which the exception queue has.
    HandedOver,
    /// The trigger has to redeliver it; an event or a job fails.
    Retry {
        /// The results of this run so far.
        results: Vec<RecordingResult>,
        error: Error,
    },
}

impl Settled {
    /// Returns how it ended, from the results and from whether each of them could be sent on.
    pub(super) fn of(results: Vec<RecordingResult>, sent: Result<(), Error>) -> Self {
        match sent {
            Ok(()) => Self::Done(results),
            Err(error) => Self::Retry { results, error },
        }
    }

    /// Returns it with results that count for the service levels if an end event asked for them first.
    fn asked_by(mut self, job: &Job) -> Self {
        let event = job.origin.as_ref().and_then(|origin| origin.event_id.as_ref());
        if let Self::Done(results) | Self::Retry { results, .. } = &mut self {
            results
                .iter_mut()
                .for_each(|result| result.live = event.is_some());
        }
        self
    }

    /// Returns the end of a message whose entries this one took over.
    fn shared(&self) -> Self {
        match self {
            Self::Retry { .. } => {
                Self::retry(Error::transient("the message that took its entries over failed"))
            }
            Self::Done(_) | Self::Ignored | Self::HandedOver => Self::Done(Vec::new()),
        }
    }

    /// Leaves it to the trigger before there is any result.
    pub(super) fn retry(error: Error) -> Self {
        Self::Retry {
            results: Vec::new(),
            error,
        }
    }
}

impl Handler {
    /// Wires everything together. Sends nothing. Audit and metric lines go to `lines`.
    pub fn connect(config: Config, clients: &Clients, clock: Clock, lines: Lines) -> Result<Self, Error> {
        Ok(Self {
            queues: clients.queues(&config),
            archiver: Arc::new(Archiver::connect(config, clients, clock, lines.clone())?),
            stop: Arc::default(),
            lines,
        })
    }

    /// Returns the stop that SIGTERM pulls: current invocations clean up and answer.
    pub fn stop(&self) -> &Arc<Stop> {
        &self.stop
    }

    /// Returns the queues for jobs and exceptions.
    pub(super) fn queues(&self) -> &Queues {
        &self.queues
    }

    /// Returns the archiver.
    pub fn archiver(&self) -> &Archiver {
        &self.archiver
    }

    /// Answers one invocation. SQS: always an answer, naming the messages to redeliver. EventBridge and direct: the
    /// summary, or an error if the trigger has to retry.
    pub async fn handle(&self, payload: Value, invocation: &Invocation) -> Result<Value, Error> {
        // Spans are of level `error`, so that no `LOG_LEVEL` takes them from a line.
        let span = tracing::error_span!("invocation", request_id = invocation.request_id);
        self.answer(payload, invocation).instrument(span).await
    }

    async fn answer(&self, payload: Value, invocation: &Invocation) -> Result<Value, Error> {
        let deadline = Deadline::new(invocation.remaining, &self.stop);
        let mut tally = Tally::default();
        let actor = |source| Actor {
            source,
            request_id: invocation.request_id.clone(),
            function_version: invocation.function_version.clone(),
            ..Actor::default()
        };
        let answer = match event::read(payload, &Wanted::of(self.archiver.config())) {
            Incoming::Batch(messages) => Ok(self
                .batch(messages, actor(Source::Sqs), &deadline, &mut tally)
                .await),
            Incoming::Single { source, request } => {
                self.single(request, actor(source), &deadline, &mut tally).await
            }
        };
        if let Err(error) = &answer {
            let text = error.redacted();
            tracing::error!(code = error.kind().code(), error = text, "invocation failed");
        }
        for line in tally.lines(self.archiver.counters(), self.archiver.clock().now_ms()) {
            self.lines.json(&line);
        }
        answer
    }

    /// Settles one event or job, and returns its summary.
    async fn single(
        &self,
        request: Result<Request, Error>,
        actor: Actor,
        deadline: &Deadline,
        tally: &mut Tally,
    ) -> Result<Value, Error> {
        let settled = match request {
            Ok(request) => {
                let details = Details::default();
                let span = request.span(None);
                let work = self.settle(request, actor, deadline, &details).boxed();
                contained(work, deadline).instrument(span).await
            }
            Err(error) => Settled::retry(error),
        };
        count(tally, &settled);
        match settled {
            Settled::Done(results) => Ok(summary(&results)),
            Settled::Ignored | Settled::HandedOver => Ok(summary(&[])),
            Settled::Retry { error, .. } => Err(error),
        }
    }

    /// Settles a batch: messages of one conversation one after another, as they are about the same objects; all else
    /// side by side, with transfers bounded by the archiver's slots. The answer names the messages to redeliver, in
    /// the order of the batch.
    async fn batch(
        &self,
        mut messages: Vec<Message>,
        actor: Actor,
        deadline: &Deadline,
        tally: &mut Tally,
    ) -> Value {
        gather(&mut messages, self.archiver.config().role_id.as_deref());
        let ids: Vec<String> = messages
            .iter()
            .map(|message| message.id.clone().unwrap_or_default())
            .collect();
        // Tasks of their own, so that hashing spreads over the cores; dropped with the set if the invocation is.
        let mut running = JoinSet::new();
        let groups = by_conversation(messages);
        let details = Arc::new(self.details_of(&groups));
        for group in groups {
            let (handler, actor, deadline, details) =
                (self.clone(), actor.clone(), deadline.clone(), details.clone());
            let work = async move {
                let mut settled: Vec<(usize, Settled)> = Vec::new();
                for (index, message) in group {
                    let span = message.span();
                    let done = match settled.first().filter(|_| message.into.is_some()) {
                        Some((_, first)) => first.shared(),
                        None => {
                            let work = handler.message(message, actor.clone(), &deadline, &details);
                            contained(work.boxed(), &deadline).instrument(span.clone()).await
                        }
                    };
                    if let Settled::Retry { error, .. } = &done {
                        span.in_scope(|| log_left(error));
                    }
                    settled.push((index, done));
                }
                settled
            };
            running.spawn(work.in_current_span());
        }
        let mut settled: Vec<Option<Settled>> = ids.iter().map(|_| None).collect();
        while let Some(group) = running.join_next().await {
            for (index, message) in group.into_iter().flatten() {
                settled[index] = Some(message);
            }
        }
        let mut answer = SqsBatchResponse::default();
        for (id, settled) in ids.iter().zip(settled) {
            // A message without an end is not finished: SQS keeps it.
            let settled = settled.unwrap_or_else(|| {
                let error = Error::new(ErrorKind::Panic, "a task died");
                tracing::error_span!("message", message_id = id).in_scope(|| log_left(&error));
                Settled::retry(error)
            });
            count(tally, &settled);
            match settled {
                Settled::Done(_) | Settled::Ignored | Settled::HandedOver => {}
                Settled::Retry { .. } => {
                    answer.add_failure(id);
                    tally.item_failures += 1;
                }
            }
        }
        json!(answer)
    }

    /// Settles one message. The exception queue gets the part of an invalid one that may be kept.
    async fn message(
        &self,
        message: Message,
        actor: Actor,
        deadline: &Deadline,
        details: &Details,
    ) -> Settled {
        let actor = Actor {
            message_id: message.id,
            sender_id: message.sender_id,
            queue_arn: message.queue_arn,
            ..actor
        };
        let error = match message.request {
            Ok(request) => return self.settle(request, actor, deadline, details).await,
            Err(error) => error,
        };
        let error = kept::about(&error);
        let kept = kept::kept(&message.body);
        let actor = Actor {
            event_id: kept.event_id,
            ..actor
        };
        let handover = Handover::Body {
            body: &kept.body,
            dropped: kept.dropped,
        };
        match self.hand_over(&error, None, handover, &actor).await {
            Ok(true) => Settled::HandedOver,
            Ok(false) => Settled::retry(error),
            Err(error) => Settled::retry(error),
        }
    }

    /// Settles a request.
    async fn settle(
        &self,
        request: Request,
        mut actor: Actor,
        deadline: &Deadline,
        details: &Details,
    ) -> Settled {
        let (mut job, event_id) = match request {
            Request::Archive { job, event_id } => (job, event_id),
            Request::Bulk { job } => return Box::pin(self.bulk(job, actor, deadline)).await,
            Request::Nothing { why } => {
                tracing::info!(why, "event ignored");
                return Settled::Ignored;
            }
        };
        actor.event_id = event_id;
        actor.requested_by.clone_from(&job.requested_by);
        let own_role = self.archiver.config().role_id.as_deref();
        job.origin = Some(actor.asked_first(job.origin.take(), own_role));
        let now = self.archiver.clock().now();
        if let Some(time) = job.not_before {
            let wait = Duration::try_from(time.duration_since(now));
            if let Ok(wait) = wait
                && !wait.is_zero()
            {
                return self.postpone(&job, &actor, wait).await;
            }
        }
        if !deadline.allows_new_work() {
            let error = Error::new(ErrorKind::DeadlineNear, "no time left to begin another recording");
            return Settled::retry(error);
        }
        let run = Run::new(&mut job, &actor, deadline, now);
        if self.archiver.settles(run.job) {
            return self.look(run, details).await.asked_by(run.job);
        }
        let mut results = self.archiver.archive(run).await;
        let sent = self.dispatch(run.job, run.actor, &mut results).await;
        Settled::of(results, sent).asked_by(run.job)
    }
}

/// Groups messages by conversation, each with its place in the batch.
fn by_conversation(messages: Vec<Message>) -> Vec<Vec<(usize, Message)>> {
    let mut groups: Vec<Vec<(usize, Message)>> = Vec::new();
    let (mut group_of, mut group_at) = (HashMap::new(), Vec::new());
    for (index, message) in messages.into_iter().enumerate() {
        let group = match (message.into, &message.request) {
            (Some(into), _) => group_at[into],
            (None, Ok(Request::Archive { job, .. })) => {
                *group_of.entry(job.conversation).or_insert(groups.len())
            }
            (None, Ok(Request::Bulk { .. } | Request::Nothing { .. }) | Err(_)) => groups.len(),
        };
        group_at.push(group);
        if group == groups.len() {
            groups.push(Vec::new());
        }
        groups[group].push((index, message));
    }
    groups
}

fn log_left(error: &Error) {
    let text = error.redacted();
    tracing::warn!(code = error.kind().code(), error = text, "message left to SQS");
}

/// Catches a panic, and drops work that would keep the answer back: a drop is a crash of this record alone, and the
/// next run heals it. Boxed, as the whole data path is in this one future.
async fn contained(work: BoxFuture<'_, Settled>, deadline: &Deadline) -> Settled {
    let error = tokio::select! {
        settled = AssertUnwindSafe(work).catch_unwind() => match settled {
            Ok(settled) => return settled,
            Err(panic) => Error::caught(&*panic),
        },
        () = deadline.answer_due() => {
            Error::new(ErrorKind::DeadlineNear, "the invocation is about to end and a request is still unanswered")
        }
    };
    Settled::retry(error)
}

/// Counts how a message, event or job ended.
fn count(tally: &mut Tally, settled: &Settled) {
    match settled {
        Settled::Ignored => tally.ignored += 1,
        Settled::HandedOver => tally.count_unreadable(Outcome::Failed),
        Settled::Retry { results, error } if results.is_empty() => {
            tally.count_unreadable(match error.kind() == ErrorKind::MalformedJob {
                true => Outcome::Failed,
                false => Outcome::Retry,
            });
        }
        Settled::Done(results) | Settled::Retry { results, .. } => {
            results.iter().for_each(|result| tally.count(result));
        }
    }
}

/// Returns the answer to EventBridge and direct invocations.
fn summary(results: &[RecordingResult]) -> Value {
    let results: Vec<Value> = results
        .iter()
        .map(|result| {
            let files: Vec<Value> = result
                .files
                .iter()
                .map(|file| json!({"archiveKey": file.archive_key, "sha256": file.sha256, "sizeBytes": file.size_bytes}))
                .collect();
            let mut summary = json!({
                "interactionId": result.target.conversation.to_string(),
                "recordingId": result.target.recording.map(|_| result.target.recording_key()),
                "outcome": result.outcome.as_str(),
                "files": files,
            });
            if let Some(error) = &result.error {
                summary["reason"] = error.redacted().into();
            }
            summary
        })
        .collect();
    json!({"results": results})
}
