//! What the ledger knows of a conversation as a whole: the item `-`, and all records beside it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::write::Writing;
use super::{Ledger, Record, State, from_item};
use crate::aws::failed;
use crate::clock::Deadline;
use crate::domain::audit::{Actor, Entry};
use crate::domain::recording::{ConversationId, RecordingRef};
use crate::error::Error;

/// An item as DynamoDB gives it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// A look at a conversation, as it is written down.
#[derive(Debug)]
pub struct Look {
    /// Which one, from 1.
    pub number: u32,
    /// Where the conversation stands after it: settling, settled or unrecorded.
    pub state: State,
    /// The recordings that it listed, sorted.
    pub listed: Vec<String>,
    /// When the next one follows.
    pub next_look_at: Option<Timestamp>,
    /// What proved that nothing more can come.
    pub settled_by: Option<&'static str>,
    /// Its audit event.
    pub entry: Entry,
}

impl Ledger {
    /// Returns all records of a conversation, by recording id; `-` is the conversation itself.
    pub async fn records(&self, conversation: ConversationId) -> Result<Vec<Record>, Error> {
        let items = self.all_of(&self.tables.ledger, conversation).await?;
        items.into_iter().map(from_item).collect()
    }

    pub(super) async fn all_of(&self, table: &str, conversation: ConversationId) -> Result<Vec<Item>, Error> {
        self.client
            .query()
            .table_name(table)
            .key_condition_expression("interactionId = :id")
            .expression_attribute_values(":id", AttributeValue::S(conversation.to_string()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|error| failed(&format!("reading {conversation} from the table {table}"), error))
    }

    /// Writes down that a look has something to do, before it does it. Returns the record as written, or as it was
    /// where a later look was begun before.
    pub async fn begin_look(
        &self,
        of: RecordingRef,
        actor: &Actor,
        seen: Option<Record>,
        (number, entry): (u32, &Entry),
        deadline: &Deadline,
    ) -> Result<Option<Record>, Error> {
        let writing = Writing {
            of,
            actor,
            entry,
            silent: true,
            deadline,
        };
        let begun = self.update(writing, seen.map(Box::new), |seen| {
            if seen.is_some_and(|record| record.look_begun >= number) {
                return ControlFlow::Break(seen.cloned());
            }
            let mut next = self.next(&of, seen, entry);
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

    /// Writes a look down, in one transaction with its audit event, unless this look or a later one was written before.
    ///
    /// `seen` is the conversation's record as the look began with it.
    pub async fn looked(
        &self,
        of: RecordingRef,
        actor: &Actor,
        seen: Option<Record>,
        look: &Look,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let writing = Writing {
            of,
            actor,
            entry: &look.entry,
            silent: false,
            deadline,
        };
        self.update(writing, seen.map(Box::new), |seen| {
            if seen.is_some_and(|record| record.looks >= look.number) {
                return ControlFlow::Break(());
            }
            let mut next = self.next(&of, seen, &look.entry);
            let same = next.looks > 0 && next.listed == look.listed;
            if !same {
                next.listed_since = None;
            }
            next.listed_since.get_or_insert_with(|| self.clock.now());
            next.recordings.extend_from_slice(&look.listed);
            next.recordings.sort();
            next.recordings.dedup();
            next.listed.clone_from(&look.listed);
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
