//! `archivectl redrive`: what ended in the exception queue or in a dead-letter queue goes back to the work queue.
//!
//! A message is sent before it is deleted, so an interruption in between can only send it twice, and the function
//! answers the second with `already_archived`.

mod case;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, SendMessageBatchRequestEntry,
};
use jiff::{SignedDuration, Timestamp};
use recording_archiver::aws::failed;
use recording_archiver::config::Config;
use serde_json::{Value, json};

use crate::filter::span;
use crate::out::{BAD, DIM, Out, Text};
use crate::session::Session;
use crate::{Failure, Verdict};
use case::{Case, case};

/// Send cases and dead letters back to the work queue, once their cause is mended.
///
/// Reads the exception queue (or the dead-letter queue, or any queue given by its URL), takes out the jobs that the filters
/// match, sends them to the work queue, and only then deletes them. Whatever does not match, or holds no job, stays.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  archivectl redrive --dry-run                         what lies there, by code
  archivectl redrive --code forbidden --newer-than 2d  after the permission was granted
  archivectl redrive --queue dead-letters              after an outage")]
pub(crate) struct Args {
    /// Where to take from: exceptions, dead-letters (WORK_DEAD_LETTER_QUEUE_URL or --stack), or a queue's URL.
    #[arg(long, default_value = "exceptions", value_name = "QUEUE")]
    queue: String,
    /// Only cases with this `code`, such as forbidden or never_ready; repeatable. Dead letters have none.
    #[arg(long = "code", value_name = "CODE")]
    codes: Vec<String>,
    /// Only what was sent there less than so long ago: 90m, 12h, 2d.
    #[arg(long, value_name = "AGE", value_parser = span)]
    newer_than: Option<SignedDuration>,
    /// Only what was sent there longer ago than this.
    #[arg(long, value_name = "AGE", value_parser = span)]
    older_than: Option<SignedDuration>,
    /// Send no more than so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only say what would be sent.
    #[arg(long)]
    dry_run: bool,
}

/// How long a message that was received is hidden from others, at most: the longest that a run may take.
const HIDDEN: Duration = Duration::from_secs(3_600);

/// SQS gives, takes and deletes at most so many at once.
const BATCH: usize = 10;

/// What becomes of a message.
enum Fate {
    Send(Case),
    /// The filters leave it out.
    Leave,
    /// It holds no job; why.
    Unreadable(String),
}

pub(crate) async fn run(args: &Args, session: &Session, out: Out) -> Result<Verdict, Failure> {
    let queues = &session.config.queues;
    let from = match args.queue.as_str() {
        "exceptions" => queues
            .exceptions
            .clone()
            .ok_or("there is no exception queue: set EXCEPTION_QUEUE_URL, or name the stack (--stack)")?,
        "dead-letters" => session.dead_letter_queue.clone().ok_or(
            "there is no dead-letter queue: set WORK_DEAD_LETTER_QUEUE_URL, or name the stack (--stack)",
        )?,
        url if url.contains("://") => url.to_owned(),
        other => {
            return Err(format!(
                "--queue is {other:?}; accepted: exceptions, dead-letters, or a queue's URL"
            )
            .into());
        }
    };
    let to = queues
        .work
        .clone()
        .ok_or("there is no work queue: set WORK_QUEUE_URL, or name the stack (--stack)")?;
    if from == to {
        return Err("--queue is the work queue itself".into());
    }
    let mut redrive = Redrive {
        args,
        out,
        config: &session.config,
        now: session.clock.now(),
        client: Client::new(&session.sdk),
        from,
        to,
        hidden: Vec::new(),
        tally: Tally::default(),
    };
    let ended = redrive.all(session).await;
    // Also after a failure: what stays shall not stay hidden.
    let shown = redrive.show_again().await;
    redrive.summary(session.is_interrupted());
    ended?;
    shown?;
    Ok(match &redrive.tally {
        _ if session.is_interrupted() => Verdict::Interrupted,
        Tally {
            unreadable: 0,
            failed: 0,
            ..
        } => Verdict::Clean,
        _ => Verdict::Findings,
    })
}

#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    left: usize,
    unreadable: usize,
    failed: usize,
    by_code: BTreeMap<String, usize>,
}

struct Redrive<'a> {
    args: &'a Args,
    out: Out,
    config: &'a Config,
    now: Timestamp,
    client: Client,
    from: String,
    to: String,
    /// Receipt handles of what stays.
    hidden: Vec<String>,
    tally: Tally,
}

impl Redrive<'_> {
    /// Takes batch after batch until the queue gives none, the limit is reached, or somebody interrupts.
    async fn all(&mut self, session: &Session) -> Result<(), Failure> {
        let mut empty = 0;
        // One empty answer does not prove an empty queue: SQS asks only some of its servers.
        while empty < 2 && !session.is_interrupted() && self.room() > 0 {
            let messages = self.receive().await?;
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            let mut batch = Vec::new();
            for message in messages {
                match self.fate(&message) {
                    Fate::Send(case) if batch.len() < self.room() => batch.push((message, case)),
                    Fate::Send(_) | Fate::Leave => {
                        self.tally.left += 1;
                        self.hidden.extend(message.receipt_handle);
                    }
                    Fate::Unreadable(why) => {
                        self.tally.unreadable += 1;
                        self.tell(&message, None, "unreadable", Some(&why));
                        self.hidden.extend(message.receipt_handle);
                    }
                }
            }
            self.send(batch).await?;
        }
        Ok(())
    }

    /// How many more may be sent.
    fn room(&self) -> usize {
        self.args.limit.map_or(usize::MAX, |limit| {
            limit.saturating_sub(self.tally.sent + self.tally.failed)
        })
    }

    async fn receive(&self) -> Result<Vec<Message>, Failure> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.from)
            .max_number_of_messages(10)
            .wait_time_seconds(1)
            .visibility_timeout(i32::try_from(HIDDEN.as_secs())?)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| failed(&format!("receiving from the queue {}", self.from), error))?;
        Ok(received.messages.unwrap_or_default())
    }

    fn fate(&self, message: &Message) -> Fate {
        let case = match case(message.body().unwrap_or_default(), self.config) {
            Ok(case) => case,
            Err(why) => return Fate::Unreadable(why),
        };
        let sent = message
            .attributes()
            .and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp))
            .and_then(|text| Timestamp::from_millisecond(text.parse().ok()?).ok());
        let age = sent.map(|sent| self.now.duration_since(sent));
        let fits = |wanted: Option<SignedDuration>, fits: fn(SignedDuration, SignedDuration) -> bool| {
            wanted.is_none_or(|limit| age.is_some_and(|age| fits(age, limit)))
        };
        let coded = self.args.codes.is_empty()
            || case
                .code
                .as_ref()
                .is_some_and(|code| self.args.codes.contains(code));
        if coded
            && fits(self.args.newer_than, |age, limit| age < limit)
            && fits(self.args.older_than, |age, limit| age > limit)
        {
            Fate::Send(case)
        } else {
            Fate::Leave
        }
    }

    /// Sends a batch to the work queue, then deletes what got there.
    async fn send(&mut self, batch: Vec<(Message, Case)>) -> Result<(), Failure> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut arrived = vec![self.args.dry_run; batch.len()];
        if !self.args.dry_run {
            let entry = |(at, (_, case)): (usize, &(Message, Case))| {
                SendMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .message_body(&case.body)
                    .build()
            };
            let entries = batch
                .iter()
                .enumerate()
                .map(entry)
                .collect::<Result<Vec<_>, _>>()?;
            let answer = self
                .client
                .send_message_batch()
                .queue_url(&self.to)
                .set_entries(Some(entries))
                .send()
                .await;
            match answer {
                Ok(answer) => {
                    for sent in answer.successful() {
                        if let Some(arrived) =
                            sent.id().parse().ok().and_then(|at: usize| arrived.get_mut(at))
                        {
                            *arrived = true;
                        }
                    }
                }
                Err(error) => {
                    self.hidden.extend(
                        batch
                            .into_iter()
                            .filter_map(|(message, _)| message.receipt_handle),
                    );
                    return Err(failed(&format!("sending to the work queue {}", self.to), error).into());
                }
            }
        }
        let mut gone = Vec::new();
        for ((message, case), arrived) in batch.into_iter().zip(arrived) {
            let code = case.code.clone().unwrap_or_else(|| "no code".to_owned());
            if !arrived {
                self.tally.failed += 1;
                self.tell(
                    &message,
                    Some(&case),
                    "refused",
                    Some("the work queue did not take it"),
                );
                self.hidden.extend(message.receipt_handle);
                continue;
            }
            self.tally.sent += 1;
            *self.tally.by_code.entry(code).or_default() += 1;
            let action = if self.args.dry_run { "would send" } else { "sent" };
            self.tell(&message, Some(&case), action, None);
            if self.args.dry_run {
                self.hidden.extend(message.receipt_handle);
            } else {
                gone.extend(message.receipt_handle);
            }
        }
        self.delete(gone).await
    }

    async fn delete(&self, handles: Vec<String>) -> Result<(), Failure> {
        if handles.is_empty() {
            return Ok(());
        }
        let entry = |(at, handle): (usize, String)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(at.to_string())
                .receipt_handle(handle)
                .build()
        };
        let entries = handles
            .into_iter()
            .enumerate()
            .map(entry)
            .collect::<Result<Vec<_>, _>>()?;
        let deleted = self
            .client
            .delete_message_batch()
            .queue_url(&self.from)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| failed(&format!("deleting what was sent from {}", self.from), error))?;
        match deleted.failed().first() {
            None => Ok(()),
            Some(first) => Err(format!(
                "{} messages were sent but could not be deleted from {} ({}): they will come again, and the function will answer \
                 already_archived",
                deleted.failed().len(),
                self.from,
                first.code()
            )
            .into()),
        }
    }

    /// What stays can be received again at once.
    async fn show_again(&mut self) -> Result<(), Failure> {
        for handles in std::mem::take(&mut self.hidden).chunks(BATCH) {
            let entry = |(at, handle): (usize, &String)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .build()
            };
            let entries = handles
                .iter()
                .enumerate()
                .map(entry)
                .collect::<Result<Vec<_>, _>>()?;
            self.client
                .change_message_visibility_batch()
                .queue_url(&self.from)
                .set_entries(Some(entries))
                .send()
                .await
                .map_err(|error| failed(&format!("showing again what stays in {}", self.from), error))?;
        }
        Ok(())
    }

    fn tell(&self, message: &Message, case: Option<&Case>, action: &str, why: Option<&str>) {
        let id = message.message_id().unwrap_or("-");
        let job: Option<Value> = case.and_then(|case| serde_json::from_str(&case.body).ok());
        let field = |name: &str| job.as_ref().and_then(|job| job[name].as_str().map(str::to_owned));
        let conversation = field("conversationId")
            .or_else(|| field("interactionId"))
            .or_else(|| {
                Some(
                    job.as_ref()?["detail"]["eventBody"]["conversationId"]
                        .as_str()?
                        .to_owned(),
                )
            });
        let code = case.and_then(|case| case.code.clone());
        let item = json!({"messageId": id, "action": action.replace(' ', "_"), "code": code, "interactionId": conversation,
                          "recordingId": field("recordingId"), "error": why});
        self.out.item(&item, || match why {
            Some(why) => Text::styled(BAD, action).add(format!(" message {id}: {why}")),
            None => Text::new(format!("{action} {} ", conversation.unwrap_or_default()))
                .style(DIM, code.unwrap_or_default()),
        });
    }

    fn summary(&self, interrupted: bool) {
        let Tally {
            sent,
            left,
            unreadable,
            failed,
            by_code,
        } = &self.tally;
        let value = json!({"sent": sent, "left": left, "unreadable": unreadable, "refused": failed, "byCode": by_code,
                           "dryRun": self.args.dry_run, "interrupted": interrupted});
        self.out.summary(&value, || {
            let done = if self.args.dry_run {
                "would be sent"
            } else {
                "sent"
            };
            let mut text = Text::new(format!("{sent} {done}, {left} left by the filters"));
            for (code, count) in by_code {
                text = text.line().add(format!("  {count:>6}  {code}"));
            }
            for (count, what) in [
                (unreadable, "hold no job and stay where they are"),
                (failed, "were refused by the work queue and stay"),
            ] {
                if *count > 0 {
                    text = text.line().style(BAD, count).add(format!(" {what}"));
                }
            }
            if interrupted {
                text = text.line().add("interrupted: what was not sent is still there");
            }
            text
        });
    }
}
