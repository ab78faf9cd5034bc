//! The ledger: who is at which recording, how far they got, and the audit event of every step.
//!
//! A state and its audit events are one `TransactWriteItems`: neither can exist without the other. Each write is
//! conditional on the record being exactly as this run last saw it, so a run that lost its lease cannot write.

mod look;
#[cfg(feature = "cli")]
mod read;
mod record;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::archive::annotations::Annotations;
use crate::archive::audit::{Action, Actor, AuditItem, Chain, Entry};
use crate::archive::recording::{ArchivedFile, RecordingRef};
use crate::clock::{Clock, Deadline};
use crate::config::TableConfig;
use crate::error::{Error, ErrorKind};
use crate::retry::{Retry, RetryPolicy};
use crate::telemetry::Lines;

pub use look::Look;
#[cfg(feature = "cli")]
pub use read::{Events, PageKey, RecordPage, UnreadableEvent};
pub use record::{Record, State};

/// What came of asking for a recording. The caller has to deal with each.
#[derive(Debug)]
pub enum Claim {
    /// It is ours until the lease ends.
    Granted(Lease),
    /// A former run did everything there is to do.
    Done(Record),
    /// Another run is at it.
    Busy {
        /// How long its lease still runs.
        remaining: Duration,
    },
}

/// The right to write one record, until its end. Only the ledger makes them.
#[derive(Debug)]
pub struct Lease {
    of: RecordingRef,
    actor: Actor,
    record: Record,
}

impl Lease {
    /// The record as this run last wrote it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Remembers pauses and holds for the next write.
    pub fn annotate(&mut self, annotations: &Annotations) {
        self.record.annotations = Some(annotations.kept.clone());
        self.record.annotations_omitted = Some(annotations.omitted).filter(|omitted| *omitted > 0);
    }

    /// This attempt's id; unique to the run.
    pub fn attempt(&self) -> Uuid {
        self.record.lease_owner
    }
}

/// Both DynamoDB tables.
#[derive(Debug, Clone)]
pub struct Ledger {
    client: Client,
    tables: TableConfig,
    policy: RetryPolicy,
    clock: Clock,
    lines: Lines,
}

/// What is about to be written, by whom, and until when.
#[derive(Clone, Copy)]
struct Writing<'a> {
    of: RecordingRef,
    actor: &'a Actor,
    entry: &'a Entry,
    /// Without the entry as an audit event.
    silent: bool,
    deadline: &'a Deadline,
}

/// What the record has to be like for a write to go through.
enum Expect<'a> {
    /// There is none.
    Absent,
    /// Nobody wrote to it since this state of it was read.
    Unchanged(&'a Record),
    /// As before, and the lease, which is ours, still runs.
    Held(&'a Record),
}

enum CommitError {
    /// The record is not as expected, but like this.
    Conflict(Option<Box<Record>>),
    Failed(Error),
}

impl Ledger {
    /// A ledger over these tables. Audit events are also written to `lines`.
    pub fn new(client: Client, tables: TableConfig, policy: RetryPolicy, clock: Clock, lines: Lines) -> Self {
        Self {
            client,
            tables,
            policy,
            clock,
            lines,
        }
    }

    /// Asks for a recording until the invocation ends.
    ///
    /// `notify`: an archived recording whose webhook is not delivered yet is granted again, without an audit
    /// event, as its state does not change. Otherwise `entry` is written as the audit event of the claim.
    pub async fn claim(
        &self,
        of: RecordingRef,
        actor: &Actor,
        entry: &Entry,
        notify: bool,
        deadline: &Deadline,
    ) -> Result<Claim, Error> {
        let owner = Uuid::new_v4();
        let writing = Writing {
            of,
            actor,
            entry,
            silent: false,
            deadline,
        };
        let claimed = self
            .update(writing, None, |seen| {
                let now = self.clock.now_ms();
                if let Some(record) = seen {
                    if record.state == State::Notified || (record.state == State::Archived && !notify) {
                        return ControlFlow::Break(Claim::Done(record.clone()));
                    }
                    let end = record.lease_end(now);
                    if end > now {
                        let remaining = Duration::from_millis(end.abs_diff(now));
                        return ControlFlow::Break(Claim::Busy { remaining });
                    }
                }
                let mut next = self.next(&of, seen, entry);
                next.lease_owner = owner;
                next.lease_expires_at = now.saturating_add_unsigned(millis(deadline.remaining()));
                if !next.is_archived() {
                    next.state = State::Claimed;
                    next.attempts += 1;
                    next.retire_files(&[]);
                }
                ControlFlow::Continue(next)
            })
            .await?;
        Ok(match claimed {
            ControlFlow::Break(claim) => claim,
            ControlFlow::Continue(record) => Claim::Granted(Lease {
                of,
                actor: actor.clone(),
                record,
            }),
        })
    }

    /// All bytes of `files` are here and checked; the last of them becomes visible next. In the end there is to be
    /// one file for each of `channels`.
    pub async fn storing(
        &self,
        lease: &mut Lease,
        files: Vec<ArchivedFile>,
        channels: Vec<Option<u32>>,
        entry: &Entry,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let mut next = lease.record.clone();
        next.state = State::Storing;
        next.retire_files(&files);
        next.files = files;
        next.channels = channels;
        self.write(lease, next, std::slice::from_ref(entry), deadline)
            .await
    }

    /// All of `files` are visible and verified.
    pub async fn archived(
        &self,
        lease: &mut Lease,
        files: Vec<ArchivedFile>,
        entries: &[Entry],
        keep_lease: bool,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let mut next = lease.record.clone();
        next.state = State::Archived;
        next.channels = files.iter().map(|file| file.channel).collect();
        // S3 takes one object per key, so under these keys nothing else can appear any more.
        let taken = |old: &ArchivedFile| files.iter().any(|file| file.archive_key == old.archive_key);
        next.retire_files(&files);
        next.former_files.retain(|old| !taken(old));
        next.former_channels = Vec::new();
        next.archived_at = Some(self.clock.now());
        if let Some(file) = files.first() {
            next.format.clone_from(&file.format);
        }
        next.files = files;
        if !keep_lease {
            next.lease_expires_at = 0;
        }
        self.write(lease, next, entries, deadline).await
    }

    /// Ends the lease: the record goes to `state`, or stays where it is, and `entry` says why.
    pub async fn release(
        &self,
        mut lease: Lease,
        state: Option<State>,
        entry: &Entry,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let mut next = lease.record.clone();
        next.state = state.unwrap_or(next.state);
        next.lease_expires_at = 0;
        let why = entry
            .error
            .as_deref()
            .filter(|_| entry.action == Action::WebhookFailed);
        next.webhook_error = why.map(crate::redact::people);
        self.write(&mut lease, next, std::slice::from_ref(entry), deadline)
            .await
    }

    /// Ends the lease and leaves all else as it is: nothing happened that is not written down already.
    pub async fn let_go(&self, mut lease: Lease, deadline: &Deadline) -> Result<(), Error> {
        let mut next = lease.record.clone();
        next.lease_expires_at = 0;
        self.write(&mut lease, next, &[], deadline).await
    }

    /// Writes down what concerns a conversation as a whole, or a recording that is not begun.
    ///
    /// Leaves alone what another run is at, and what is archived or in `state` already and not to be `repeated`.
    pub async fn note(
        &self,
        of: RecordingRef,
        actor: &Actor,
        state: State,
        repeated: bool,
        entry: &Entry,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let writing = Writing {
            of,
            actor,
            entry,
            silent: false,
            deadline,
        };
        self.update(writing, None, |seen| {
            let leave = seen.is_some_and(|record| {
                let now = self.clock.now_ms();
                let busy = record.lease_end(now) > now;
                busy || record.is_archived() || (record.state == state && !repeated)
            });
            if leave {
                return ControlFlow::Break(());
            }
            let mut next = self.next(&of, seen, entry);
            next.state = state;
            next.lease_expires_at = 0;
            ControlFlow::Continue(next)
        })
        .await
        .map(drop)
    }

    /// Writes what `decide` makes of the record as it is now, with `entry` as its audit event, unless it breaks off.
    /// The first write takes it that the record is as `seen`, or that there is none: if it is another one, the refusal
    /// shows it.
    async fn update<T>(
        &self,
        writing: Writing<'_>,
        mut seen: Option<Box<Record>>,
        decide: impl Fn(Option<&Record>) -> ControlFlow<T, Record>,
    ) -> Result<ControlFlow<T, Record>, Error> {
        let Writing {
            of,
            actor,
            entry,
            silent,
            deadline,
        } = writing;
        let mut retry = Retry::new(self.policy, deadline);
        loop {
            let next = match decide(seen.as_deref()) {
                ControlFlow::Continue(next) => next,
                ControlFlow::Break(done) => return Ok(ControlFlow::Break(done)),
            };
            // What is archived does not change its state here, so there is nothing to tell.
            let entries = if silent || next.is_archived() {
                &[][..]
            } else {
                std::slice::from_ref(entry)
            };
            let expect = seen.as_deref().map_or(Expect::Absent, Expect::Unchanged);
            match self.commit(&of, actor, expect, next, entries, deadline).await {
                Ok(record) => return Ok(ControlFlow::Continue(record)),
                Err(CommitError::Failed(error)) => return Err(error),
                Err(CommitError::Conflict(now_there)) => {
                    if seen.is_some() || now_there.is_none() {
                        let error = Error::transient(format!("several runs write about {of} at once"));
                        retry.wait(error, None).await?;
                    }
                    seen = now_there;
                }
            }
        }
    }

    /// The record that follows `seen`, or the first one.
    fn next(&self, of: &RecordingRef, seen: Option<&Record>, entry: &Entry) -> Record {
        let Chain { head, seq } = Chain::default();
        let mut next = seen.cloned().unwrap_or_else(|| Record {
            interaction_id: of.conversation.to_string(),
            recording_id: of.recording_key(),
            state: State::Claimed,
            lease_owner: Uuid::nil(),
            lease_expires_at: 0,
            attempts: 0,
            chain_head: head,
            seq,
            files: Vec::new(),
            channels: Vec::new(),
            former_files: Vec::new(),
            former_channels: Vec::new(),
            annotations: None,
            annotations_omitted: None,
            format: String::new(),
            archived_at: None,
            webhook_error: None,
            updated_at: self.clock.now(),
            looks: 0,
            look_begun: 0,
            recordings: Vec::new(),
            listed: Vec::new(),
            listed_since: None,
            next_look_at: None,
            settled_by: None,
        });
        if !next.is_archived() {
            next.format = entry.format.to_owned();
        }
        next
    }

    async fn write(
        &self,
        lease: &mut Lease,
        next: Record,
        entries: &[Entry],
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let expect = Expect::Held(&lease.record);
        match self
            .commit(&lease.of, &lease.actor, expect, next, entries, deadline)
            .await
        {
            Ok(record) => {
                lease.record = record;
                Ok(())
            }
            Err(CommitError::Failed(error)) => Err(error),
            Err(CommitError::Conflict(_)) => Err(Error::new(
                ErrorKind::LeaseLost,
                format!("the lease on {} ended or went to another run", lease.of),
            )),
        }
    }

    /// One transaction: the record and its audit events. Gives the record as written.
    async fn commit(
        &self,
        of: &RecordingRef,
        actor: &Actor,
        expect: Expect<'_>,
        mut next: Record,
        entries: &[Entry],
        deadline: &Deadline,
    ) -> Result<Record, CommitError> {
        let now = self.clock.now();
        let mut chain = next.chain();
        let mut events = Vec::with_capacity(entries.len());
        for entry in entries {
            let (event, longer) = chain.append(of, entry, actor, now);
            events.push(event);
            chain = longer;
        }
        (next.chain_head, next.seq, next.updated_at) = (chain.head, chain.seq, now);
        let ledger_put = self
            .ledger_put(&expect, &next, now)
            .map_err(CommitError::Failed)?;
        let mut puts = vec![ledger_put];
        for event in &events {
            puts.push(self.audit_put(event).map_err(CommitError::Failed)?);
        }
        let mut retry = Retry::new(self.policy, deadline);
        loop {
            let request = self
                .client
                .transact_write_items()
                .set_transact_items(Some(puts.clone()));
            let error = match request.send().await {
                Ok(_) => break,
                Err(error) => error,
            };
            let doing = format!(
                "writing ledger and audit of {of} (tables {}, {})",
                self.tables.ledger, self.tables.audit
            );
            let reasons = cancellation(error.as_service_error());
            if reasons.first().and_then(CancellationReason::code) == Some("ConditionalCheckFailed") {
                let there = reasons[0]
                    .item()
                    .map(|item| from_item::<Record>(item.clone()))
                    .transpose();
                match there.map_err(CommitError::Failed)? {
                    // This very write went through before, though its answer was lost.
                    Some(record) if record == next => break,
                    there => return Err(CommitError::Conflict(there.map(Box::new))),
                }
            }
            let error = if reasons.is_empty() {
                super::failed(&doing, error)
            } else {
                // TransactionConflict, ThrottlingError and the like: nothing was written.
                let codes: Vec<_> = reasons.iter().filter_map(CancellationReason::code).collect();
                Error::transient(format!("{doing} was cancelled: {}", codes.join(", ")))
            };
            // The same again, whether or not this one went through: its condition lets it through once.
            retry.wait(error, None).await.map_err(CommitError::Failed)?;
        }
        for event in events {
            self.lines.audit(event);
        }
        Ok(next)
    }

    fn ledger_put(
        &self,
        expect: &Expect<'_>,
        next: &Record,
        now: Timestamp,
    ) -> Result<TransactWriteItem, Error> {
        let put = Put::builder()
            .table_name(&self.tables.ledger)
            .set_item(Some(to_item(next)?))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = match expect {
            Expect::Absent => put.condition_expression("attribute_not_exists(interactionId)"),
            Expect::Unchanged(old) => put
                .condition_expression("seq = :seq AND leaseOwner = :owner AND leaseExpiresAt = :expires")
                .expression_attribute_values(":expires", AttributeValue::N(old.lease_expires_at.to_string())),
            Expect::Held(_) => put
                .condition_expression("seq = :seq AND leaseOwner = :owner AND leaseExpiresAt > :now")
                .expression_attribute_values(":now", AttributeValue::N(now.as_millisecond().to_string())),
        };
        let put = match expect {
            Expect::Absent => put,
            Expect::Unchanged(old) | Expect::Held(old) => put
                .expression_attribute_values(":seq", AttributeValue::N(old.seq.to_string()))
                .expression_attribute_values(":owner", AttributeValue::S(old.lease_owner.to_string())),
        };
        transact(put)
    }

    fn audit_put(&self, event: &AuditItem) -> Result<TransactWriteItem, Error> {
        transact(
            Put::builder()
                .table_name(&self.tables.audit)
                .set_item(Some(to_item(&Value::Object(event.clone()))?))
                .condition_expression("attribute_not_exists(eventId)"),
        )
    }
}

fn transact(put: aws_sdk_dynamodb::types::builders::PutBuilder) -> Result<TransactWriteItem, Error> {
    let put = put
        .build()
        .map_err(|error| Error::transient("building a DynamoDB request failed").caused_by(error))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// Why a transaction was cancelled, item by item; empty for any other failure.
fn cancellation(error: Option<&TransactWriteItemsError>) -> Vec<CancellationReason> {
    match error {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().to_vec()
        }
        _ => Vec::new(),
    }
}

fn to_item(value: &impl Serialize) -> Result<HashMap<String, AttributeValue>, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(value)
        .map_err(|error| Error::transient("an item does not fit DynamoDB").caused_by(error))
}

/// Reads an item of either table.
pub fn from_item<T: serde::de::DeserializeOwned>(item: HashMap<String, AttributeValue>) -> Result<T, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|error| {
        Error::transient("an item of the ledger or audit table cannot be read").caused_by(error)
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
