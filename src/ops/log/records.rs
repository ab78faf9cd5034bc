//! The records of the log: what was done to the audit table.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt as _};

use super::Log;
use crate::ops::finding::{Code, Finding};
use crate::ops::{Error, Session};
use crate::seal::{Entry, layout};
use crate::sealer::stream::Tampering;

/// Number of records that are read side by side.
const SIDE_BY_SIDE: usize = 64;

/// What records tell.
#[derive(Debug, Default)]
pub(in crate::ops) struct Modified {
    /// A finding for each item that was changed, removed or written by something else, and for each record that is not
    /// what its key says.
    pub(in crate::ops) findings: Vec<Finding>,
    /// The entries of the records of those items.
    pub(in crate::ops) entries: HashSet<Entry>,
}

impl Modified {
    /// Reads all records of the log, whether they are leaves yet or not, and keeps those about items whose
    /// `interactionId` is `wanted`: `None` for one that no archiver writes. Memory holds a page of the listing, and
    /// what was kept.
    pub(in crate::ops) async fn of(
        session: &Session,
        log: &Log,
        wanted: impl Fn(Option<&str>) -> bool,
    ) -> Result<Self, Error> {
        let mut modified = Self::default();
        let mut next = None;
        loop {
            session.go_on()?;
            let page = log.store.page(layout::RECORDS, None, next.take()).await?;
            let entries = page.keys.iter().filter_map(|key| layout::record_entry(key));
            let mut read = stream::iter(entries)
                .map(|entry| async move { (entry, log.store.get(&layout::record(&entry)).await) })
                .buffered(SIDE_BY_SIDE);
            while let Some((entry, bytes)) = read.next().await {
                session.go_on()?;
                // One that is gone again is wrong as well.
                modified.add(log, entry, &bytes?.unwrap_or_default(), &wanted);
            }
            next = page.next;
            if next.is_none() {
                return Ok(modified);
            }
        }
    }

    fn add(&mut self, log: &Log, entry: Entry, record: &[u8], wanted: impl Fn(Option<&str>) -> bool) {
        if Entry::of_record(record) != entry {
            let place = Some(log.store.place(&layout::record(&entry)));
            let detail = "its SHA-256 is not the one in its key";
            self.findings
                .push(Finding::of_log(Code::LogInconsistent, place, detail));
        } else if let Some(tampering) = Tampering::from_bytes(record)
            && wanted(tampering.key("interactionId"))
        {
            self.findings.push(modified(&tampering));
            self.entries.insert(entry);
        }
    }
}

/// Returns the finding that a record of a change of the audit table is.
pub(in crate::ops) fn modified(record: &Tampering) -> Finding {
    let what = match record.event_name.as_str() {
        "REMOVE" => "removed",
        "INSERT" => "written by something else than the archiver",
        _ => "changed",
    };
    let event_id = record.named("eventId");
    let conversation = record.key("interactionId");
    let of = match conversation {
        Some(_) => String::new(),
        None => format!(" and {}", record.named("interactionId")),
    };
    let at = record.at.map(|at| format!(" at {at}")).unwrap_or_default();
    Finding {
        interaction_id: conversation.map(str::to_owned),
        ..Finding::of_log(
            Code::AuditModified,
            None,
            format!("the item with {event_id}{of} was {what}{at}"),
        )
    }
}
