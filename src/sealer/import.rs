//! Seals what the stream did not bring: events older than the log, and those of a time in which the sealer did not run.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use super::checkpoint::When;
use super::known::Known;
use super::{MOST_ENTRIES, Sealer};
use crate::aws::audit::AuditTable;
use crate::clock::Deadline;
use crate::domain::audit::AuditEvent;
use crate::error::Error;
use crate::seal::Entry;
use crate::seal::batch::Via;

/// Time kept for the rest of an invocation: no further page is begun in it.
const MARGIN: Duration = Duration::from_secs(60);

/// How far an import came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Events that were looked at.
    pub seen: u64,
    /// Events that were sealed now and are older than the log.
    pub imported: u64,
    /// Events that were sealed now although the stream should have brought them.
    pub sealed_late: u64,
    /// Items that are no events or whose hash is not theirs, as `interactionId/eventId`. None of them is sealed: the
    /// stream seals such an item as tampering when it is written, `verify` finds one that is older than the log.
    pub refused: Vec<String>,
    /// Where to go on; `None` at the end of the table.
    pub next: Option<String>,
}

/// The entries of some pages that are not sealed yet.
#[derive(Debug, Default)]
struct Waiting {
    imported: Vec<Entry>,
    late: Vec<Entry>,
    /// Days of theirs that the audit's index does not hold whole.
    undated: BTreeSet<Date>,
}

impl Sealer {
    /// Scans the audit table from `from` on (the `next` of an earlier import) until less than a minute is left, and
    /// seals the events that are not sealed yet: as `imported` those that are older than the log, as `sealed_late` the
    /// others. Signs checkpoints on the way when they are due.
    ///
    /// Reads all batches of the log first, and holds 32 bytes for each of its leaves while it runs.
    pub async fn import(
        &self,
        table: &AuditTable,
        from: Option<String>,
        deadline: &Deadline,
    ) -> Result<Imported, Error> {
        let began = self.genesis().await?.began;
        let mut sealed_before = Vec::new();
        self.follow(0, |batch| sealed_before.extend(batch.entries))
            .await?;
        self.known(|known| known.remember_older(sealed_before)).await?;
        let imported = self.import_pages(table, from, deadline, began).await;
        self.known(Known::forget_older).await?;
        imported
    }

    async fn import_pages(
        &self,
        table: &AuditTable,
        mut from: Option<String>,
        deadline: &Deadline,
        began: Timestamp,
    ) -> Result<Imported, Error> {
        let mut done = Imported::default();
        let mut waiting = Waiting::default();
        loop {
            let page = table.page(from.as_deref()).await?;
            for (key, event) in page.items {
                done.seen += 1;
                let entry = event.as_ref().and_then(|event| event.intact_hash()?.parse().ok());
                let at = event.as_ref().and_then(|event| event.timestamp());
                waiting
                    .undated
                    .extend(event.as_ref().and_then(AuditEvent::undated));
                match entry {
                    Some(entry) if at.is_some_and(|at| at < began) => waiting.imported.push(entry),
                    Some(entry) => waiting.late.push(entry),
                    None => done.refused.push(key),
                }
            }
            from = page.next;
            let ends = from.is_none() || deadline.remaining() < MARGIN;
            if ends || waiting.imported.len() + waiting.late.len() >= MOST_ENTRIES {
                let Waiting {
                    imported,
                    late,
                    undated,
                } = std::mem::take(&mut waiting);
                self.note_undated(undated.into_iter()).await?;
                done.imported += self.seal(&imported, Via::Imported).await?;
                done.sealed_late += self.seal(&late, Via::SealedLate).await?;
                self.checkpoint(When::Due).await?;
            }
            if ends {
                done.next = from;
                return Ok(done);
            }
        }
    }
}
