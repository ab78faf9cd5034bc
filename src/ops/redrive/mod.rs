//! What ended in the exception queue or in a dead-letter queue goes back to the work queue.
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
use super::{Ended, Session, Tell, Verdict};
use crate::error::ErrorKind;
use case::{Case, case};
use queue::Queues;

/// What goes back.
#[derive(Debug)]
pub struct Request {
    /// Where to take from: `exceptions`, `dead-letters`, or a queue's URL.
    pub queue: String,
    /// Which messages.
    pub filter: Filter,
    /// No more than so many.
    pub limit: Option<usize>,
    /// Nothing is sent.
    pub dry_run: bool,
}

/// Which messages.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only cases with one of these codes; empty: all but what is gone at Genesys.
    pub codes: Vec<String>,
    /// Only what was sent there less than so long ago.
    pub newer_than: Option<SignedDuration>,
    /// Only what was sent there longer ago than this.
    pub older_than: Option<SignedDuration>,
}

/// What became of a message that was not left by the filters.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// The message.
    pub message_id: String,
    /// What became of it.
    pub action: Action,
    /// Why it was an exception.
    pub code: Option<String>,
    /// The conversation of its job.
    pub interaction_id: Option<String>,
    /// The recording of its job.
    pub recording_id: Option<String>,
    /// What was wrong.
    pub error: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It went to the work queue.
    Sent,
    /// It would go there, were this no dry run.
    WouldSend,
    /// The work queue did not take it.
    Refused,
    /// It holds no job.
    Unreadable,
}

/// How a redrive came out.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Went, or would go, to the work queue.
    pub sent: usize,
    /// Left by the filters.
    pub left: usize,
    /// Gone at Genesys, and left as no filter names them.
    pub expired: usize,
    /// Came in after the redrive began, perhaps because of it, and stay.
    pub came_meanwhile: usize,
    /// Left because no more were to be sent.
    pub beyond_limit: usize,
    /// Hold no job and stay.
    pub unreadable: usize,
    /// Were refused by the work queue and stay.
    pub refused: usize,
    /// What went, by code.
    pub by_code: BTreeMap<String, usize>,
    /// Nothing was sent.
    pub dry_run: bool,
    /// Ctrl-C ended it early.
    pub interrupted: bool,
}

impl Figures {
    /// Says whether there is something to look after.
    pub fn verdict(&self) -> Verdict {
        if self.unreadable + self.refused == 0 {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}

/// Sends messages back.
pub async fn redrive(
    session: &Session,
    request: &Request,
    tell: Tell<'_, Item>,
) -> Result<Ended<Figures>, Error> {
    let (from, to) = queues(session, &request.queue)?;
    let mut redrive = Redrive {
        session,
        request,
        tell,
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
        tell.total(limit.unwrap_or(waiting).min(waiting));
    }
    let ended = redrive.all().await;
    // Also after a failure: what stays shall not stay hidden.
    let shown = redrive.queues.show_again().await;
    redrive.figures.interrupted = ended.as_ref().is_err_and(Error::is_interruption);
    Ok(Ended {
        figures: redrive.figures,
        end: ended.and(shown),
    })
}

/// Returns about how many messages lie in a queue, `None` where that is not told. A queue that is none, or that has none to
/// send to, is an error.
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

/// Returns where messages are taken from, and where they go.
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

/// What becomes of a message.
enum Fate {
    Send(Case),
    /// The filters leave it out.
    Leave,
    /// It is gone at Genesys, and nobody named such cases.
    Expired,
    /// It came in after the redrive began: what was just sent may have failed again.
    Meanwhile,
    /// It holds no job; why.
    Unreadable(String),
}

struct Redrive<'a> {
    session: &'a Session,
    request: &'a Request,
    tell: Tell<'a, Item>,
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

    /// Returns those that are to be sent.
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
                    self.tell
                        .item(item(&message, None, Action::Unreadable, Some(why)));
                    self.queues.hidden.extend(message.receipt_handle);
                }
            }
        }
        batch
    }

    /// Returns how many more may be sent.
    fn room(&self) -> usize {
        let spent = self.figures.sent + self.figures.refused;
        self.request
            .limit
            .map_or(usize::MAX, |limit| limit.saturating_sub(spent))
    }

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
        let arrived = if dry_run {
            vec![true; batch.len()]
        } else {
            let sent = self
                .queues
                .send(batch.iter().map(|(_, case)| case.body.as_str()))
                .await;
            match sent {
                Ok(arrived) => arrived,
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
        for ((message, case), arrived) in batch.into_iter().zip(arrived) {
            self.count(&message, &case, arrived);
            if arrived && !dry_run {
                gone.extend(message.receipt_handle);
            } else {
                self.queues.hidden.extend(message.receipt_handle);
            }
        }
        self.queues.delete(gone).await
    }

    fn count(&mut self, message: &Message, case: &Case, arrived: bool) {
        let (action, error) = match (arrived, self.request.dry_run) {
            (true, false) => (Action::Sent, None),
            (true, true) => (Action::WouldSend, None),
            (false, _) => (Action::Refused, Some("the work queue did not take it".to_owned())),
        };
        if arrived {
            let code = case.code.clone().unwrap_or_else(|| "no code".to_owned());
            self.figures.sent += 1;
            *self.figures.by_code.entry(code).or_default() += 1;
        } else {
            self.figures.refused += 1;
        }
        self.tell.item(item(message, Some(case), action, error));
        self.tell.steps(1);
    }
}

impl Filter {
    /// Returns what becomes of a case of this age.
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
