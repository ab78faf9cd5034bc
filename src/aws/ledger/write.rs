//! One transaction: a record, as it has to be before and is to be after, and its audit events.

use std::collections::HashMap;
use std::ops::ControlFlow;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{Lease, Ledger, Record, State, Writer, from_item};
use crate::aws::failure::failed;
use crate::domain::audit::{AuditEvent, Chain};
use crate::domain::recording::RecordingRef;
use crate::error::{Error, ErrorKind};
use crate::retry::Retry;

/// One write, before its record is decided on.
#[derive(Clone, Copy)]
pub(super) struct Writing<'a> {
    pub(super) writer: Writer<'a>,
    pub(super) entry: &'a AuditEvent,
    /// Decides by the record before and after the write whether the entry becomes an audit event.
    pub(super) audited: fn(Option<&Record>, &Record) -> bool,
}

/// The condition on the record under which a write goes through.
pub(super) enum Expect<'a> {
    /// There is none.
    Absent,
    /// Nobody wrote to it since this state of it was read.
    Unchanged(&'a Record),
    /// As before, and the lease, which is ours, still runs.
    Held(&'a Record),
}

pub(super) enum CommitError {
    /// The record is another one than expected: this one.
    Conflict(Option<Box<Record>>),
    Failed(Error),
}

/// Gives every write its audit event.
pub(super) fn always(_: Option<&Record>, _: &Record) -> bool {
    true
}

impl Ledger {
    /// Writes the record that `decide` makes of the current one, with `entry` as its audit event, unless it breaks off.
    /// Optimistic: the first write assumes that the record is as `seen`, or that none exists. If that is wrong, the
    /// failed condition returns the current record.
    pub(super) async fn update<T>(
        &self,
        writing: Writing<'_>,
        mut seen: Option<Box<Record>>,
        decide: impl Fn(Option<&Record>) -> ControlFlow<T, Record>,
    ) -> Result<ControlFlow<T, Record>, Error> {
        let Writing {
            writer,
            entry,
            audited,
        } = writing;
        let mut retry = Retry::new(self.policy, writer.deadline);
        loop {
            let next = match decide(seen.as_deref()) {
                ControlFlow::Continue(next) => next,
                ControlFlow::Break(done) => return Ok(ControlFlow::Break(done)),
            };
            // An archived recording does not change its state here, so there is no event.
            let entries = if next.is_archived() || !audited(seen.as_deref(), &next) {
                &[][..]
            } else {
                std::slice::from_ref(entry)
            };
            let expect = seen.as_deref().map_or(Expect::Absent, Expect::Unchanged);
            match self.commit(writer, expect, next, entries).await {
                Ok(record) => return Ok(ControlFlow::Continue(record)),
                Err(CommitError::Failed(error)) => return Err(error),
                Err(CommitError::Conflict(now_there)) => {
                    if seen.is_some() || now_there.is_none() {
                        let message = format!("several runs write about {} at once", writer.target);
                        let error = Error::transient(message);
                        retry.wait(error, None).await?;
                    }
                    seen = now_there;
                }
            }
        }
    }

    /// Returns the record that follows `seen`, or the first one.
    pub(super) fn next(&self, of: &RecordingRef, seen: Option<&Record>, entry: &AuditEvent) -> Record {
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
            deferrals: 0,
            since: None,
            kinds: Vec::new(),
            unreadable: None,
            describing: Vec::new(),
            described: Vec::new(),
            described_by: None,
            transcoding_since: None,
        });
        if !next.is_archived() {
            next.format = entry.format().unwrap_or_default().to_owned();
        }
        next
    }

    pub(super) async fn write(
        &self,
        lease: &mut Lease<'_>,
        next: Record,
        entries: &[AuditEvent],
    ) -> Result<(), Error> {
        let expect = Expect::Held(&lease.record);
        match self.commit(lease.writer, expect, next, entries).await {
            Ok(record) => {
                lease.record = record;
                Ok(())
            }
            Err(CommitError::Failed(error)) => Err(error),
            Err(CommitError::Conflict(_)) => Err(Error::new(
                ErrorKind::LeaseLost,
                format!("the lease on {} ended or went to another run", lease.target()),
            )),
        }
    }

    /// Writes the record and its audit events in one transaction. Returns the record as written.
    pub(super) async fn commit(
        &self,
        writer: Writer<'_>,
        expect: Expect<'_>,
        mut next: Record,
        entries: &[AuditEvent],
    ) -> Result<Record, CommitError> {
        let target = writer.target;
        let now = self.clock.now();
        let mut chain = next.chain();
        let mut events = Vec::with_capacity(entries.len());
        for entry in entries {
            let (event, longer) = chain.append(&target, entry.clone(), writer.actor, now);
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
        let mut retry = Retry::new(self.policy, writer.deadline);
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
                "writing ledger and audit of {target} (tables {}, {})",
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
                failed(&doing, error)
            } else {
                // TransactionConflict, ThrottlingError and the like: nothing was written.
                let codes: Vec<_> = reasons.iter().filter_map(CancellationReason::code).collect();
                Error::transient(format!("{doing} was cancelled: {}", codes.join(", ")))
            };
            // The same again, whether or not this one went through: its condition lets it through once.
            retry.wait(error, None).await.map_err(CommitError::Failed)?;
        }
        for event in events {
            self.lines.audit(event.into_attributes());
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
                .condition_expression(
                    "seq = :seq AND leaseOwner = :owner AND leaseExpiresAt = :expires AND updatedAt = :updated",
                )
                // What was written without an audit event has the same `seq`.
                .expression_attribute_values(":updated", AttributeValue::S(old.updated_at.to_string()))
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

    fn audit_put(&self, event: &AuditEvent) -> Result<TransactWriteItem, Error> {
        transact(
            Put::builder()
                .table_name(&self.tables.audit)
                .set_item(Some(to_item(event)?))
                .condition_expression("attribute_not_exists(eventId)"),
        )
    }
}

pub(super) fn transact(
    put: aws_sdk_dynamodb::types::builders::PutBuilder,
) -> Result<TransactWriteItem, Error> {
    let put = put
        .build()
        .map_err(|error| Error::transient("building a DynamoDB request failed").caused_by(error))?;
    Ok(TransactWriteItem::builder().put(put).build())
}

/// Returns why a transaction was cancelled, item by item; nothing for any other failure.
pub(super) fn cancellation(error: Option<&TransactWriteItemsError>) -> Vec<CancellationReason> {
    match error {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().to_vec()
        }
        Some(_) | None => Vec::new(),
    }
}

pub(super) fn to_item(value: &impl Serialize) -> Result<HashMap<String, AttributeValue>, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::to_item(value)
        .map_err(|error| Error::transient("an item does not fit DynamoDB").caused_by(error))
}
