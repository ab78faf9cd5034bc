//! Marks what is deleted from the archive on purpose.

use super::write::{CommitError, Expect};
use super::{Ledger, Writer};
use crate::domain::audit::AuditEvent;
use crate::domain::record::{Record, State};
use crate::error::Error;

/// The answer to an attempt to mark something as erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marking {
    /// It is marked now, and no run changes it any more.
    Marked,
    /// Another run wrote to it in the meantime, or works on it.
    Busy,
}

impl Ledger {
    /// Moves a record to `erased`, in one transaction with these events. `seen` is the record as it was read; `None`
    /// makes one.
    pub async fn erase(
        &self,
        writer: Writer<'_>,
        seen: Option<&Record>,
        entries: &[AuditEvent],
    ) -> Result<Marking, Error> {
        let now = self.clock.now_ms();
        let busy = |record: &Record| record.lease_end(now) > now || record.is_being_described(now);
        if seen.is_some_and(busy) {
            return Ok(Marking::Busy);
        }
        let Some(first) = entries.first() else {
            return Err(Error::transient("an erasure without an audit event"));
        };
        let next = Record {
            state: State::Erased,
            lease_expires_at: 0,
            next_look_at: None,
            describing: Vec::new(),
            ..self.next(&writer.target, seen, first)
        };
        let expect = seen.map_or(Expect::Absent, Expect::Unchanged);
        match self.commit(writer, expect, next, entries).await {
            Ok(_) => Ok(Marking::Marked),
            Err(CommitError::Conflict(_)) => Ok(Marking::Busy),
            Err(CommitError::Failed(error)) => Err(error),
        }
    }
}
