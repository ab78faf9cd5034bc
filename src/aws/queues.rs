//! SQS: jobs to be retried, and cases for people.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::failed;
use crate::config::QueueConfig;
use crate::domain::audit::Actor;
use crate::domain::bulk::BulkJob;
use crate::domain::job::Job;
use crate::error::{Error, ErrorKind};

/// SQS delays a message by at most 15 minutes:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>.
const LONGEST_DELAY: Duration = Duration::from_secs(900);

/// Delay of the first deferral; doubles from there.
const FIRST_DELAY: Duration = Duration::from_secs(30);

/// The work queue and the exception queue; each may be missing.
#[derive(Debug, Clone)]
pub struct Queues {
    client: Client,
    config: QueueConfig,
}

/// A job that waits before it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delayed {
    /// The job as it is sent.
    pub job: Job,
    /// The time that it waits.
    pub delay: Duration,
}

/// Returns a job as it is deferred: its `deferrals` grow by one, and the delay with them, or it waits as long as the
/// source `asked` for. Neither waits longer than SQS delays a message: a source that asks for more is asked again
/// sooner.
pub fn deferred(job: &Job, asked: Option<Duration>) -> Delayed {
    let delay = delay(job.deferrals).max(asked.unwrap_or_default());
    Delayed {
        job: Job {
            deferrals: job.deferrals.saturating_add(1),
            not_before: None,
            ..job.clone()
        },
        delay: delay.min(LONGEST_DELAY),
    }
}

/// The content of a case: a valid job, or the part of an invalid message that may be kept.
#[derive(Debug)]
pub enum Handover<'a> {
    /// Can be replayed as it is.
    Job(&'a Job),
    /// The part of an invalid message that may be kept.
    Body {
        /// Its fields that may be kept, as JSON text; length and SHA-256 of what is no JSON object.
        body: &'a Value,
        /// Number of fields that may not be kept.
        dropped: usize,
    },
}

/// A case for people: everything needed to understand it and to replay it by hand.
#[derive(Debug)]
pub struct Exception<'a> {
    /// The final error.
    pub error: &'a Error,
    /// The conversation, when known.
    pub interaction_id: Option<String>,
    /// The recording, when known.
    pub recording_id: Option<String>,
    /// The job or message to replay.
    pub handover: Handover<'a>,
    /// Time of the error.
    pub timestamp: Timestamp,
    /// The cause of the run. Its ids lead to the log lines and to the message or event itself.
    pub actor: &'a Actor,
}

impl Queues {
    /// Makes the queues of a configuration.
    pub fn new(client: Client, config: QueueConfig) -> Self {
        Self { client, config }
    }

    /// Says whether jobs can be deferred at all.
    pub fn can_defer(&self) -> bool {
        self.config.work.is_some()
    }

    /// Says whether there is an exception queue.
    pub fn has_exception_queue(&self) -> bool {
        self.config.exceptions.is_some()
    }

    /// Puts a job on the work queue, delayed as long as it waits or as long as SQS allows. SQS counts whole seconds:
    /// the delay is rounded up, or a job would come back early again and again.
    pub async fn send(&self, delayed: &Delayed) -> Result<(), Error> {
        self.send_job(&delayed.job.to_json(), delayed.delay).await
    }

    /// Puts a bulk job on the work queue in the same way.
    pub async fn send_bulk(&self, job: &BulkJob, delay: Duration) -> Result<(), Error> {
        self.send_job(&job.to_json(), delay).await
    }

    async fn send_job(&self, job: &Value, delay: Duration) -> Result<(), Error> {
        let Some(url) = &self.config.work else {
            return Err(Error::transient(
                "a job has to wait, but WORK_QUEUE_URL is not set",
            ));
        };
        let delay = delay.min(LONGEST_DELAY).as_millis().div_ceil(1000);
        self.client
            .send_message()
            .queue_url(url)
            .message_body(job.to_string())
            .delay_seconds(i32::try_from(delay).unwrap_or(900))
            .send()
            .await
            .map_err(|error| failed("sending a job to the work queue (WORK_QUEUE_URL)", error))?;
        Ok(())
    }

    /// Puts jobs on the work queue, in batches, and fails unless it takes each. Without a work queue, sends nothing.
    pub async fn send_all(&self, jobs: &[Job]) -> Result<(), Error> {
        let Some(url) = &self.config.work else {
            return Ok(());
        };
        for jobs in jobs.chunks(BATCH) {
            let bodies: Vec<_> = jobs.iter().map(|job| job.to_json().to_string()).collect();
            let sent = send_batch(&self.client, url, bodies.iter().map(String::as_str)).await?;
            if sent.deliveries.contains(&Delivery::Refused) {
                let why = sent.refusal.unwrap_or_default();
                return Err(Error::transient(format!(
                    "the work queue (WORK_QUEUE_URL) refused a job: {why}"
                )));
            }
        }
        Ok(())
    }

    /// Hands a case over to people.
    pub async fn hand_over(&self, exception: &Exception<'_>) -> Result<(), Error> {
        let Some(url) = &self.config.exceptions else {
            return Err(Error::transient(
                "a case for people, but EXCEPTION_QUEUE_URL is not set",
            ));
        };
        self.client
            .send_message()
            .queue_url(url)
            .message_body(body(exception).to_string())
            .send()
            .await
            .map_err(|error| failed("sending to the exception queue (EXCEPTION_QUEUE_URL)", error))?;
        Ok(())
    }
}

/// The queue's answer to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The queue has it.
    Accepted,
    /// The queue does not have it.
    Refused,
}

/// The queue's answer to a batch.
#[derive(Debug)]
pub struct Sent {
    /// The answer to each message.
    pub deliveries: Vec<Delivery>,
    /// The reason given for the first message that it refused.
    pub refusal: Option<String>,
}

/// Largest batch of messages that SQS takes.
pub const BATCH: usize = 10;

/// Sends up to [`BATCH`] messages, once.
pub async fn send_batch<'b>(
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
    let entries = bodies.enumerate().map(entry).collect::<Result<Vec<_>, _>>();
    let entries = entries.map_err(|error| Error::transient("building messages").caused_by(error))?;
    let mut deliveries = vec![Delivery::Refused; entries.len()];
    let answer = client
        .send_message_batch()
        .queue_url(url)
        .set_entries(Some(entries))
        .send()
        .await
        .map_err(|error| failed(&format!("sending to the work queue {url}"), error))?;
    for sent in answer.successful() {
        let at: Option<usize> = sent.id().parse().ok();
        if let Some(delivery) = at.and_then(|at| deliveries.get_mut(at)) {
            *delivery = Delivery::Accepted;
        }
    }
    let refused = answer.failed().first();
    let refusal =
        refused.map(|refused| format!("{} {}", refused.code(), refused.message().unwrap_or_default()));
    Ok(Sent { deliveries, refusal })
}

/// Returns the delay of the `deferrals`-th deferral: 30 s, 60 s, ... up to 900 s.
pub fn delay(deferrals: u32) -> Duration {
    FIRST_DELAY
        .saturating_mul(1 << deferrals.min(10))
        .min(LONGEST_DELAY)
}

fn body(exception: &Exception<'_>) -> Value {
    let mut body = json!({
        "reason": reason(exception.error.kind()),
        "code": exception.error.kind().code(),
        "interactionId": exception.interaction_id,
        "error": exception.error.redacted(),
        "timestamp": exception.timestamp.to_string(),
        "requestId": exception.actor.request_id,
    });
    for (name, id) in [
        ("recordingId", &exception.recording_id),
        ("messageId", &exception.actor.message_id),
        ("eventId", &exception.actor.event_id),
    ] {
        if let Some(id) = id {
            body[name] = json!(id);
        }
    }
    match exception.handover {
        // A replayed job is a new job: its readiness deadline begins again.
        Handover::Job(job) => {
            body["job"] = Job {
                deferrals: 0,
                first_seen: None,
                look: None,
                not_before: None,
                origin: None,
                recheck: job.recheck || exception.error.kind() == ErrorKind::AfterCallWorkOpen,
                ..job.clone()
            }
            .to_json();
        }
        Handover::Body { body: kept, dropped } => {
            body["body"] = kept.clone();
            body["dropped"] = json!(dropped);
        }
    }
    body
}

/// Returns one sentence for the person who opens the message: the meaning of the code and what to do.
fn reason(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::MalformedJob => {
            "The job or event cannot be read. Correct it and send it to the work queue again. Fields that may hold \
             personal data are not kept."
        }
        ErrorKind::Forbidden => {
            "The OAuth client may not read this recording. Grant the permission or division, then replay the job."
        }
        ErrorKind::UnknownConversation => {
            "Genesys does not know this conversation. Check the id and the organisation."
        }
        ErrorKind::Rejected => "Genesys refuses this request for good. The error says why.",
        ErrorKind::NeverReady => {
            "No recording was ready within READINESS_DEADLINE_MINUTES. Check at Genesys whether there is one, then replay the job."
        }
        ErrorKind::AfterCallWorkOpen => {
            "The conversation has not ended at Genesys, which may hold recordings back. End its after-call work, then replay the job."
        }
        ErrorKind::ArchivedAtSource => {
            "The recording is in Genesys' cold storage. Restore it there, then replay the job."
        }
        ErrorKind::BrokenAtSource => {
            "Genesys reports the recording itself as broken. Open a case with Genesys."
        }
        ErrorKind::HashMismatch => {
            "The bytes are not those that were expected. Compare with the source of the expected hash."
        }
        ErrorKind::ForeignObject => {
            "An object that the archiver did not write lies under the key. It was left alone."
        }
        ErrorKind::DeferralsExhausted => {
            "The job was deferred 5,000 times. The error says what it waits for. Remove the cause, then replay the job."
        }
        ErrorKind::WebhookUnsignable => {
            "The recording is archived, but its webhook cannot be signed. Correct webhookSecret, then replay the job."
        }
        ErrorKind::WebhookUndeliverable => {
            "The recording is archived, but the webhook's receiver never accepted its notification. Fix the receiver, then replay the job."
        }
        ErrorKind::Expired => "The recording is gone at Genesys under its retention policy.",
        // Never handed over: these are deferred, retried or skipped, or a message lies in a queue already.
        ErrorKind::DeadLetter
        | ErrorKind::FilteredOut
        | ErrorKind::NotReady { .. }
        | ErrorKind::WebhookDown
        | ErrorKind::Busy { .. }
        | ErrorKind::LeaseLost
        | ErrorKind::DeadlineNear
        | ErrorKind::Transient
        | ErrorKind::Panic
        | ErrorKind::Defect
        | ErrorKind::LogInconsistent => "The recording could not be archived.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_up_to_what_sqs_takes() {
        let seconds: Vec<_> = (0..7).map(|n| delay(n).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 900, 900]);
        assert_eq!(delay(u32::MAX).as_secs(), 900);
    }

    #[test]
    fn a_case_names_the_message_and_the_event_it_came_from() {
        let error = Error::new(ErrorKind::MalformedJob, "no id near tel:+15555550100");
        let actor = Actor {
            request_id: "r-1".to_owned(),
            message_id: Some("m-1".to_owned()),
            event_id: Some("e-1".to_owned()),
            ..Actor::default()
        };
        let exception = Exception {
            error: &error,
            interaction_id: None,
            recording_id: None,
            handover: Handover::Body {
                body: &json!("{}"),
                dropped: 2,
            },
            timestamp: Timestamp::UNIX_EPOCH,
            actor: &actor,
        };
        let body = body(&exception);
        assert_eq!(body["error"], "no id near [redacted]");
        for (name, value) in [
            ("code", "malformed_job"),
            ("body", "{}"),
            ("requestId", "r-1"),
            ("messageId", "m-1"),
            ("eventId", "e-1"),
        ] {
            assert_eq!(body[name], value);
        }
        assert_eq!(body["dropped"], 2);
    }
}
