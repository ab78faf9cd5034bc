//! The ledger's item of a conversation as a whole, `-`, and all records beside it.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::ControlFlow;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::write::{Writing, always};
use super::{Ledger, Record, State, Writer, from_item};
use crate::aws::failure::failed;
use crate::domain::audit::AuditEvent;
use crate::domain::recording::ConversationId;
use crate::error::Error;

/// An item as DynamoDB gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A look at a conversation, as it is recorded.
#[derive(Debug)]
pub struct Look {
    /// The number of the look, from 1.
    pub number: u32,
    /// The conversation's state after the look: settling, settled or unrecorded.
    pub state: State,
    /// The findings.
    pub found: Found,
    /// The time of the next look.
    pub next_look_at: Option<Timestamp>,
    /// The proof that nothing more can come.
    pub settled_by: Option<&'static str>,
    /// The audit event.
    pub entry: AuditEvent,
}

/// The findings of a look, kept for the next one.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The listed recordings, sorted.
    pub listed: Vec<String>,
    /// Recordings that other jobs found and that are not listed any more.
    pub others: Vec<String>,
    /// The kinds of the listed recordings.
    pub kinds: Vec<String>,
    /// The unreadable entries that were handed over.
    pub unreadable: Option<String>,
    /// The time of the latest end event.
    pub since: Option<Timestamp>,
}

impl Found {
    /// Adds the findings to the record.
    fn apply(&self, next: &mut Record) {
        next.recordings.extend_from_slice(&self.listed);
        next.recordings.extend_from_slice(&self.others);
        next.kinds.extend_from_slice(&self.kinds);
        for known in [&mut next.recordings, &mut next.kinds] {
            known.sort();
            known.dedup();
        }
        next.since = next.since.max(self.since);
        if self.unreadable.is_some() {
            next.unreadable.clone_from(&self.unreadable);
        }
    }
}

/// The end of a run that claimed nothing, as it is recorded.
#[derive(Debug)]
pub struct Note {
    /// The state of the conversation or the recording after the run.
    pub state: State,
    /// A settled conversation is not settled any more.
    pub reopens: bool,
    /// The `deferrals` of the job that was sent, and the time until which it waits.
    pub sent: Option<(u32, Timestamp)>,
    /// The findings of the look that ends here.
    pub found: Option<Found>,
}

impl Note {
    pub(super) fn apply(&self, next: &mut Record) {
        if let Some((deferrals, at)) = self.sent {
            (next.deferrals, next.next_look_at) = (deferrals, Some(at));
        }
        if let Some(found) = &self.found {
            found.apply(next);
        }
    }
}

impl Ledger {
    /// Returns all records of a conversation, by recording id; `-` is the conversation itself.
    pub async fn records(&self, conversation: ConversationId) -> Result<Vec<Record>, Error> {
        let items = self.all_of(&self.tables.ledger, conversation).await?;
        items.into_iter().map(from_item).collect()
    }

    pub(super) async fn all_of(&self, table: &str, subject: impl Display) -> Result<Vec<Item>, Error> {
        self.client
            .query()
            .table_name(table)
            .key_condition_expression("interactionId = :id")
            .expression_attribute_values(":id", AttributeValue::S(subject.to_string()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| failed(&format!("reading {subject} from the table {table}"), error))
    }

    /// Records that a look has something to do, before it does it. Returns the record as written, or as it was where a
    /// later look had begun.
    pub async fn begin_look(
        &self,
        writer: Writer<'_>,
        seen: Option<Record>,
        number: u32,
        entry: &AuditEvent,
    ) -> Result<Option<Record>, Error> {
        let writing = Writing {
            writer,
            entry,
            audited: |seen, next| seen.is_none_or(|seen| seen.state != next.state),
        };
        let begun = self.update(writing, seen.map(Box::new), |seen| {
            if seen.is_some_and(|record| record.look_begun >= number || record.is_erased()) {
                return ControlFlow::Break(seen.cloned());
            }
            let mut next = self.next(&writer.target, seen, entry);
            next.look_begun = number;
            if seen.is_none() {
                next.state = State::Settling;
            }
            ControlFlow::Continue(next)
        });
        Ok(match begun.await? {
            ControlFlow::Continue(record) => Some(record),
            ControlFlow::Break(seen) => seen,
        })
    }

    /// Moves the time from which waiting counts on to a later end event, without an audit event.
    pub async fn wait_since(
        &self,
        writer: Writer<'_>,
        seen: Option<Record>,
        since: Timestamp,
        entry: &AuditEvent,
    ) -> Result<(), Error> {
        let writing = Writing {
            writer,
            entry,
            audited: |_, _| false,
        };
        self.update(writing, seen.map(Box::new), |seen| {
            let Some(record) = seen.filter(|record| record.since.is_none_or(|known| known < since)) else {
                return ControlFlow::Break(());
            };
            let mut next = record.clone();
            next.since = Some(since);
            ControlFlow::Continue(next)
        })
        .await
        .map(drop)
    }

    /// Records a look, in one transaction with its audit event, unless this look or a later one was recorded before.
    /// Where that one saw less, this one counts: another look follows what it saw.
    ///
    /// `seen` is the conversation's record as the look began with it.
    pub async fn looked(
        &self,
        writer: Writer<'_>,
        seen: Option<Box<Record>>,
        look: &Look,
    ) -> Result<(), Error> {
        let writing = Writing {
            writer,
            entry: &look.entry,
            audited: always,
        };
        self.update(writing, seen, |seen| {
            let later = seen.filter(|record| record.looks >= look.number);
            let found = &look.found;
            let erased = seen.is_some_and(Record::is_erased);
            if erased
                || later.is_some_and(|record| found.listed.iter().all(|id| record.recordings.contains(id)))
            {
                return ControlFlow::Break(());
            }
            let mut next = self.next(&writer.target, seen, &look.entry);
            let same = next.looks > 0 && next.listed == found.listed;
            if !same {
                next.listed_since = None;
            }
            next.listed_since.get_or_insert_with(|| self.clock.now());
            found.apply(&mut next);
            next.listed.clone_from(&found.listed);
            next.looks = look.number;
            next.state = look.state;
            next.next_look_at = look.next_look_at;
            next.settled_by = look.settled_by.map(str::to_owned);
            ControlFlow::Continue(next)
        })
        .await
        .map(drop)
    }
}
