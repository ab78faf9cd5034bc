//! The ledger: who is at which recording, how far they got, and the audit event of every step.
//!
//! A state and its audit events are one `TransactWriteItems`: neither can exist without the other. Each write is
//! conditional on the record being exactly as this run last saw it, so a run that lost its lease cannot write.

mod apart;
mod call;
#[cfg(feature = "cli")]
mod erase;
mod look;
mod read;
mod write;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use uuid::Uuid;

use self::write::{Writing, always};
use crate::clock::{Clock, Deadline};
use crate::config::TableConfig;
use crate::domain::annotations::Annotations;
use crate::domain::audit::{Action, Actor, AuditEvent};
use crate::domain::record::{Record, State};
use crate::domain::recording::{ArchivedFile, RecordingRef};
use crate::error::Error;
use crate::retry::RetryPolicy;
use crate::telemetry::Lines;

pub use call::Described;
#[cfg(feature = "cli")]
pub use erase::Marking;
pub use look::{Found, Look, Note};
pub use read::{BY_DAY, EventPage, Events, Mark, PageKey, RecordPage, TableFacts, UnreadableEvent};

/// The answer to a claim. The caller has to handle each variant.
#[derive(Debug)]
pub enum Claim<'a> {
    /// The recording is this run's until the lease ends.
    Granted(Lease<'a>),
    /// A former run finished the recording, or it was erased.
    Done(Record),
    /// Another run holds the lease.
    Busy {
        /// The rest of its lease.
        remaining: Duration,
    },
}

/// The run that writes to a record.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The recording, or the conversation as a whole.
    pub target: RecordingRef,
    /// The run's trigger and its ids; every audit event names them.
    pub actor: &'a Actor,
    /// The end of the invocation: a lease lasts until then, and so do retries.
    pub deadline: &'a Deadline,
}

/// The state in which a recording needs no further run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Archived: no webhook is configured.
    Archived,
    /// The webhook's receiver accepted the notification.
    Notified,
}

/// The right to write one record, until its end. Only the ledger makes them.
#[derive(Debug)]
pub struct Lease<'a> {
    writer: Writer<'a>,
    record: Record,
}

impl Lease<'_> {
    /// Returns the record as this run last wrote it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Remembers pauses and holds for the next write.
    pub fn annotate(&mut self, annotations: &Annotations) {
        self.record.annotations = Some(annotations.kept.clone());
        self.record.annotations_omitted = Some(annotations.omitted).filter(|omitted| *omitted > 0);
    }

    /// Returns the recording that is leased.
    pub fn target(&self) -> RecordingRef {
        self.writer.target
    }

    /// Remembers since when Genesys is transcoding the recording, for the next write.
    pub fn transcoding(&mut self, now: Timestamp) {
        self.record.transcoding_since.get_or_insert(now);
    }

    /// Returns this attempt's id, which is unique to the run.
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

impl Ledger {
    /// Makes a ledger over these tables. Audit events are also written to `lines`.
    pub fn new(client: Client, tables: TableConfig, policy: RetryPolicy, clock: Clock, lines: Lines) -> Self {
        Self {
            client,
            tables,
            policy,
            clock,
            lines,
        }
    }

    /// Leases a recording until the invocation ends, and writes `entry` as the audit event of the claim.
    ///
    /// An archived recording is leased again where its `goal` is a notification that is still pending, without an audit
    /// event, as its state does not change.
    pub async fn claim<'a>(
        &self,
        writer: Writer<'a>,
        entry: &AuditEvent,
        goal: Goal,
    ) -> Result<Claim<'a>, Error> {
        let owner = Uuid::new_v4();
        let writing = Writing {
            writer,
            entry,
            audited: always,
        };
        let claimed = self
            .update(writing, None, |seen| {
                let now = self.clock.now_ms();
                if let Some(record) = seen {
                    let archived = record.state == State::Archived && goal == Goal::Archived;
                    if archived || record.state == State::Notified || record.is_erased() {
                        return ControlFlow::Break(Claim::Done(record.clone()));
                    }
                    let end = record.lease_end(now);
                    if end > now {
                        let remaining = Duration::from_millis(end.abs_diff(now));
                        return ControlFlow::Break(Claim::Busy { remaining });
                    }
                }
                let mut next = self.next(&writer.target, seen, entry);
                next.lease_owner = owner;
                next.lease_expires_at = now.saturating_add_unsigned(millis(writer.deadline.remaining()));
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
            ControlFlow::Continue(record) => Claim::Granted(Lease { writer, record }),
        })
    }

    /// Records that all bytes of `files` are in S3 and checked, before the last of them becomes visible. The recording
    /// is whole once there is a file for each of `channels`.
    pub async fn storing(
        &self,
        lease: &mut Lease<'_>,
        files: Vec<ArchivedFile>,
        channels: Vec<Option<u32>>,
        entry: &AuditEvent,
    ) -> Result<(), Error> {
        let mut next = lease.record.clone();
        next.state = State::Storing;
        next.retire_files(&files);
        next.files = files;
        next.channels = channels;
        self.write(lease, next, std::slice::from_ref(entry)).await
    }

    /// Records that all of `files` are visible and verified. The lease ends where that is the `goal`.
    pub async fn archived(
        &self,
        lease: &mut Lease<'_>,
        files: Vec<ArchivedFile>,
        entries: &[AuditEvent],
        goal: Goal,
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
        if goal == Goal::Archived {
            next.lease_expires_at = 0;
        }
        self.write(lease, next, entries).await
    }

    /// Ends the lease. The record changes to `state` if there is one, and `entry` says why.
    pub async fn release(
        &self,
        mut lease: Lease<'_>,
        state: Option<State>,
        entry: &AuditEvent,
    ) -> Result<(), Error> {
        let mut next = lease.record.clone();
        next.state = state.unwrap_or(next.state);
        next.lease_expires_at = 0;
        let why = entry
            .error()
            .filter(|_| entry.action() == Some(Action::WebhookFailed));
        next.webhook_error = why.map(str::to_owned);
        self.write(&mut lease, next, std::slice::from_ref(entry)).await
    }

    /// Ends the lease without an audit event: nothing happened that is not recorded already.
    pub async fn let_go(&self, mut lease: Lease<'_>) -> Result<(), Error> {
        let mut next = lease.record.clone();
        next.lease_expires_at = 0;
        self.write(&mut lease, next, &[]).await
    }

    /// Records what concerns a conversation as a whole, or a recording that is not claimed.
    ///
    /// Changes nothing where another run holds the lease, where the recording is archived or skipped already, or where
    /// the conversation is settled.
    pub async fn note(&self, writer: Writer<'_>, note: &Note, entry: &AuditEvent) -> Result<(), Error> {
        let writing = Writing {
            writer,
            entry,
            audited: always,
        };
        self.update(writing, None, |seen| {
            let leave = seen.is_some_and(|record| {
                let now = self.clock.now_ms();
                let busy = record.lease_end(now) > now;
                let settled = record.is_settled() && !note.reopens;
                let skipped = record.state == State::Skipped && note.state == State::Skipped;
                busy || record.is_archived() || record.is_erased() || settled || skipped
            });
            if leave {
                return ControlFlow::Break(());
            }
            let mut next = self.next(&writer.target, seen, entry);
            next.state = note.state;
            next.lease_expires_at = 0;
            note.apply(&mut next);
            ControlFlow::Continue(next)
        })
        .await
        .map(drop)
    }
}

/// Reads an item of either table.
pub fn from_item<T: serde::de::DeserializeOwned>(item: HashMap<String, AttributeValue>) -> Result<T, Error> {
    serde_dynamo::aws_sdk_dynamodb_1::from_item(item).map_err(|error| {
        Error::transient("an item of the ledger or audit table cannot be read").caused_by(error)
    })
}

/// Returns an attribute of an item that is a text.
pub(super) fn text(item: &HashMap<String, AttributeValue>, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
