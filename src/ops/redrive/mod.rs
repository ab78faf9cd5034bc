//! Sends messages of the exception queue or of a dead-letter queue back to the work queue.
//!
//! A message is sent before it is deleted, so an interruption in between can only send it twice, and the function
//! answers the second with `already_archived`.

mod case;
mod queue;

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::error::{Error, Kind};
use super::sink::Delivery;
use super::{Ended, Listener, Session, Verdict};
use crate::error::ErrorKind;
use case::{Case, case};
use queue::Queues;

/// A redrive, as it is asked for.
#[derive(Debug)]
pub struct Request {
    /// The queue to take from: `exceptions`, `dead-letters`, or a queue's URL.
    pub queue: String,
    /// The filter over its messages.
    pub filter: Filter,
    /// Largest number of messages to send.
    pub limit: Option<usize>,
    /// Send nothing.
    pub dry_run: bool,
}

/// A filter over messages.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only cases with one of these codes; empty: all but those whose recording was deleted at Genesys.
    pub codes: Vec<String>,
    /// Only messages that are younger than this.
    pub newer_than: Option<SignedDuration>,
    /// Only messages that are older than this.
    pub older_than: Option<SignedDuration>,
}

/// A message that the filters kept.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The id of the message.
    pub message_id: String,
    /// The action taken.
    pub action: Action,
    /// The code of the exception.
    pub code: Option<String>,
    /// The conversation of its job.
    pub interaction_id: Option<String>,
    /// The recording of its job.
    pub recording_id: Option<String>,
    /// The reason why it was not sent.
    pub error: Option<String>,
}

/// The action taken with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Sent to the work queue.
    Sent,
    /// Not sent, as this is a dry run.
    WouldSend,
    /// Refused by the work queue.
    Refused,
    /// Not sent, as it holds no job.
    Unreadable,
}

/// A redrive in figures.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Sent to the work queue, or to be sent in a dry run.
    pub sent: usize,
    /// Left by the filters.
    pub left: usize,
    /// Left because their recording was deleted at Genesys, and no filter names their code.
    pub expired: usize,
    /// Left because they came in after the redrive began, perhaps because of it.
    pub came_meanwhile: usize,
    /// Left because the limit was reached.
    pub beyond_limit: usize,
    /// Left because they hold no job.
    pub unreadable: usize,
    /// Refused by the work queue.
    pub refused: usize,
    /// Sent messages by code.
    pub by_code: BTreeMap<String, usize>,
    /// Nothing was sent.
    pub dry_run: bool,
    /// Ctrl-C ended it early.
    pub interrupted: bool,
}

impl Figures {
    /// Returns whether a message was not sent that should have been.
    pub fn verdict(&self) -> Verdict {
        if self.unreadable + self.refused == 0 {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

/// Sends the messages of a queue back to the work queue.
pub async fn redrive(
    session: &Session,
    request: &Request,
    listener: Listener<'_, Item>,
) -> Result<Ended<Figures>, Error> {
    let (from, to) = queues(session, &request.queue)?;
    let mut redrive = Redrive {
        session,
        request,
        listener,
        now: session.now(),
        queues: Queues {
            client: session.clients.sqs.clone(),
            from,
            to,
            hidden: Vec::new(),
        },
        figures: Figures {
            dry_run: request.dry_run,
            ..Figures::default()
        },
    };
    if let Some(waiting) = redrive.queues.about_how_many().await {
        let limit = request.limit.and_then(|limit| u64::try_from(limit).ok());
        listener.total(limit.unwrap_or(waiting).min(waiting));
    }
    let ended = redrive.all().await;
    // Also after a failure: messages that stay must not stay hidden.
    let shown = redrive.queues.show_again().await;
    redrive.figures.interrupted = ended.as_ref().is_err_and(Error::is_interruption);
    Ok(Ended {
        figures: redrive.figures,
        end: ended.and(shown),
    })
}

/// Returns about how many messages wait in a queue; `None` if the queue does not say. Fails if there is no such
/// queue, or no work queue.
pub async fn waiting(session: &Session, queue: &str) -> Result<Option<u64>, Error> {
    let (from, to) = queues(session, queue)?;
    let queues = Queues {
        client: session.clients.sqs.clone(),
        from,
        to,
        hidden: Vec::new(),
    };
    Ok(queues.about_how_many().await)
}

/// Returns the URLs of the queue to take from and of the work queue.
fn queues(session: &Session, queue: &str) -> Result<(String, String), Error> {
    let queues = &session.config.queues;
    let missing = |name: &str, variable: &str| {
        Error::new(Kind::Configuration, format!("there is no {name} queue"))
            .remedy(format!("set {variable}, or name the stack (--stack)"))
    };
    let from = match queue {
        "exceptions" => queues
            .exceptions
            .clone()
            .ok_or_else(|| missing("exception", "EXCEPTION_QUEUE_URL"))?,
        "dead-letters" => session
            .dead_letter_queue
            .clone()
            .ok_or_else(|| missing("dead-letter", "WORK_DEAD_LETTER_QUEUE_URL"))?,
        url if url.contains("://") => url.to_owned(),
        other => {
            return Err(Error::usage(
                format!("--queue is {other:?}"),
                "accepted: exceptions, dead-letters, or a queue's URL",
            ));
        }
    };
    let to = queues
        .work
        .clone()
        .ok_or_else(|| missing("work", "WORK_QUEUE_URL"))?;
    if from == to {
        let message = "--queue is the work queue itself";
        return Err(Error::usage(
            message,
            "name the queue in which cases or dead letters lie",
        ));
    }
    Ok((from, to))
}

/// The decision about a message.
enum Fate {
    Send(Case),
    /// The filters leave it out.
    Leave,
    /// The recording was deleted at Genesys, and no filter names its code.
    Expired,
    /// The message came in after the redrive began: a job that was just sent may have failed again.
    Meanwhile,
    /// The message holds no job, for this reason.
    Unreadable(String),
}

struct Redrive<'a> {
    session: &'a Session,
    request: &'a Request,
    listener: Listener<'a, Item>,
    now: Timestamp,
    queues: Queues,
    figures: Figures,
}

impl Redrive<'_> {
    /// Takes batch after batch until the queue gives none, the limit is reached, or somebody interrupts.
    async fn all(&mut self) -> Result<(), Error> {
        let mut empty = 0;
        // One empty answer does not prove an empty queue: SQS asks only some of its servers.
        while empty < 2 && self.room() > 0 {
            self.session.go_on()?;
            let messages = self.queues.receive().await?;
            empty = if messages.is_empty() { empty + 1 } else { 0 };
            let batch = self.sift(messages);
            self.send(batch).await?;
        }
        Ok(())
    }

    /// Returns the messages that are to be sent, and counts the others.
    fn sift(&mut self, messages: Vec<Message>) -> Vec<(Message, Case)> {
        let mut batch = Vec::new();
        for message in messages {
            match self.fate(&message) {
                Fate::Send(case) if batch.len() < self.room() => batch.push((message, case)),
                Fate::Send(_) => {
                    self.figures.beyond_limit += 1;
                    self.queues.hidden.extend(message.receipt_handle);
                }
                Fate::Leave => {
                    self.figures.left += 1;
                    self.queues.hidden.extend(message.receipt_handle);
                }
                Fate::Expired => {
                    self.figures.expired += 1;
                    self.queues.hidden.extend(message.receipt_handle);
                }
                Fate::Meanwhile => {
                    self.figures.came_meanwhile += 1;
                    self.queues.hidden.extend(message.receipt_handle);
                }
                Fate::Unreadable(why) => {
                    self.figures.unreadable += 1;
                    self.listener
                        .item(item(&message, None, Action::Unreadable, Some(why)));
                    self.queues.hidden.extend(message.receipt_handle);
                }
            }
        }
        batch
    }

    /// Returns how many messages may still be sent.
    fn room(&self) -> usize {
        let spent = self.figures.sent + self.figures.refused;
        self.request
            .limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(spent))
    }

    /// Decides about a message.
    fn fate(&self, message: &Message) -> Fate {
        let sent = message
            .attributes()
            .and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp))
            .and_then(|text| Timestamp::from_millisecond(text.parse().ok()?).ok());
        let age = sent.map(|sent| self.now.duration_since(sent));
        if age.is_some_and(|age| age <= SignedDuration::ZERO) {
            return Fate::Meanwhile;
        }
        match case(message.body().unwrap_or_default(), &self.session.config) {
            Ok(case) => self.request.filter.fate(case, age),
            Err(why) => Fate::Unreadable(why),
        }
    }

    /// Sends a batch to the work queue, then deletes what got there.
    async fn send(&mut self, batch: Vec<(Message, Case)>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let dry_run = self.request.dry_run;
        let deliveries = if dry_run {
            vec![Delivery::Accepted; batch.len()]
        } else {
            let sent = self
                .queues
                .send(batch.iter().map(|(_, case)| case.body.as_str()))
                .await;
            match sent {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    let handles = batch
                        .into_iter()
                        .filter_map(|(message, _)| message.receipt_handle);
                    self.queues.hidden.extend(handles);
                    return Err(error);
                }
            }
        };
        let mut gone = Vec::new();
        for ((message, case), delivery) in batch.into_iter().zip(deliveries) {
            self.count(&message, &case, delivery);
            match delivery {
                Delivery::Accepted if !dry_run => gone.extend(message.receipt_handle),
                Delivery::Accepted | Delivery::Refused => self.queues.hidden.extend(message.receipt_handle),
            }
        }
        self.queues.delete(gone).await
    }

    fn count(&mut self, message: &Message, case: &Case, delivery: Delivery) {
        let (action, error) = match delivery {
            Delivery::Accepted => {
                let code = case.code.clone().unwrap_or_else(|| "no code".to_owned());
                self.figures.sent += 1;
                *self.figures.by_code.entry(code).or_default() += 1;
                let dry_run = self.request.dry_run;
                (if dry_run { Action::WouldSend } else { Action::Sent }, None)
            }
            Delivery::Refused => {
                self.figures.refused += 1;
                (Action::Refused, Some("the work queue did not take it".to_owned()))
            }
        };
        self.listener.item(item(message, Some(case), action, error));
        self.listener.steps(1);
    }
}

impl Filter {
    /// Decides about a case of this age.
    fn fate(&self, case: Case, age: Option<SignedDuration>) -> Fate {
        let code = case.code.as_deref();
        let coded = match code {
            Some(code) => self.codes.is_empty() || self.codes.iter().any(|wanted| wanted == code),
            None => self.codes.is_empty(),
        };
        let newer = self
            .newer_than
            .is_none_or(|limit| age.is_some_and(|age| age < limit));
        let older = self
            .older_than
            .is_none_or(|limit| age.is_some_and(|age| age > limit));
        if !(coded && newer && older) {
            Fate::Leave
        } else if self.codes.is_empty() && code == Some(ErrorKind::Expired.code()) {
            Fate::Expired
        } else {
            Fate::Send(case)
        }
    }
}

fn item(message: &Message, case: Option<&Case>, action: Action, error: Option<String>) -> Item {
    let job: Option<Value> = case.and_then(|case| serde_json::from_str(&case.body).ok());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let field = |name: &str| job.as_ref().and_then(|job| text(&job[name]));
    let of_event = || text(&job.as_ref()?["detail"]["eventBody"]["conversationId"]);
    Item {
        message_id: message.message_id().unwrap_or("-").to_owned(),
        action,
        code: case.and_then(|case| case.code.clone()),
        interaction_id: field("conversationId")
            .or_else(|| field("interactionId"))
            .or_else(of_event),
        recording_id: field("recordingId"),
        error,
    }
}
