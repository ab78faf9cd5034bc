//! The call record of a conversation in the ledger: named before its object appears, and once it lies in S3.

use std::ops::ControlFlow;

use super::write::{Writing, always};
use super::{Ledger, Record, Writer};
use crate::domain::audit::AuditEvent;
use crate::domain::recording::ArchivedFile;
use crate::error::Error;

/// A call record that lies in S3, verified.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its file.
    pub file: ArchivedFile,
    /// The archived recordings that it names, sorted.
    pub recordings: Vec<String>,
    /// `details` where it holds the conversation's details, else `listing`.
    pub by: &'static str,
}

impl Ledger {
    /// Names the call record that is about to appear, without an audit event. Returns the record as written, or as it
    /// was where the conversation is erased.
    pub async fn describing(
        &self,
        writer: Writer<'_>,
        seen: Box<Record>,
        file: &ArchivedFile,
        entry: &AuditEvent,
    ) -> Result<Box<Record>, Error> {
        let writing = Writing {
            writer,
            entry,
            audited: |_, _| false,
        };
        let named = self.update(writing, Some(seen), |seen| {
            let mut next = self.next(&writer.target, seen, entry);
            let same = |known: &ArchivedFile| known.attempt_id == file.attempt_id;
            if next.is_erased() || next.describing.iter().any(same) {
                return ControlFlow::Break(next);
            }
            next.describing.push(file.clone());
            ControlFlow::Continue(next)
        });
        match named.await? {
            ControlFlow::Continue(record) | ControlFlow::Break(record) => Ok(Box::new(record)),
        }
    }

    /// Records that a call record lies in S3, in one transaction with its audit event, unless that is recorded already.
    /// Returns the record as written, or as it was.
    pub async fn described(
        &self,
        writer: Writer<'_>,
        mut seen: Box<Record>,
        call: &Described,
        entry: &AuditEvent,
    ) -> Result<Box<Record>, Error> {
        loop {
            // The conversation's state does not change with the event.
            let state = seen.state;
            let entry = entry.clone().with("status", state.as_str());
            let writing = Writing {
                writer,
                entry: &entry,
                audited: always,
            };
            let done = self.update(writing, Some(seen), |seen| {
                let mut next = self.next(&writer.target, seen, &entry);
                if next.state != state || call.is_in(&next) {
                    return ControlFlow::Break(next);
                }
                next.files.push(call.file.clone());
                next.describing.clear();
                next.described.clone_from(&call.recordings);
                next.described_by = Some(call.by.to_owned());
                ControlFlow::Continue(next)
            });
            match done.await? {
                ControlFlow::Continue(record) => return Ok(Box::new(record)),
                ControlFlow::Break(record) if call.is_in(&record) => return Ok(Box::new(record)),
                ControlFlow::Break(record) if record.is_erased() => return Ok(Box::new(record)),
                // Another run settled the conversation meanwhile.
                ControlFlow::Break(record) => seen = Box::new(record),
            }
        }
    }
}

impl Described {
    fn is_in(&self, record: &Record) -> bool {
        let same = |file: &ArchivedFile| file.archive_key == self.file.archive_key;
        record.files.iter().any(same)
    }
}
