//! Scans of the audit and of the ledger, subject by subject, with no more than a page in memory.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt as _};

use super::{Error, Session};
use crate::aws::ledger::{Ledger, Mark, PageKey};
use crate::domain::audit::Subject;
use crate::domain::record::Record;

/// A page of conversations, and of other subjects of the audit.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    pub(super) ids: Vec<Subject>,
    /// Keys (`interactionId` and the sort key) of the items that belong to none.
    pub(super) unreadable: Vec<(String, String)>,
    /// Number of items that were read for it.
    pub(super) scanned: u64,
}

impl Subjects {
    /// Adds the subject of an item, unless it is `last`, the one before it: the items of a subject stand side by side,
    /// and may go on with the next page.
    fn add(&mut self, keys: (String, String), last: &mut String) {
        if keys.0 == *last {
            return;
        }
        last.clone_from(&keys.0);
        match Subject::parse(&keys.0) {
            Some(id) => self.ids.push(id),
            None => self.unreadable.push(keys),
        }
    }
}

impl Subjects {
    /// Adds the subject of an item, unless it is among those `seen`.
    pub(super) fn add_new(&mut self, keys: (String, String), seen: &mut HashSet<Subject>) {
        match Subject::parse(&keys.0) {
            Some(id) if seen.insert(id) => self.ids.push(id),
            Some(_) => {}
            None => self.unreadable.push(keys),
        }
    }
}

/// A scan of one table, from its beginning.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    ledger: &'a Ledger,
    from: Option<PageKey>,
    last: String,
    ended: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(ledger: &'a Ledger) -> Self {
        Self {
            ledger,
            from: None,
            last: String::new(),
            ended: false,
        }
    }

    /// Returns the next page of subjects with an audit event that is wanted. `None` after the last page.
    pub(super) async fn events(&mut self, wants: impl Fn(&Mark) -> bool) -> Result<Option<Subjects>, Error> {
        if self.ended {
            return Ok(None);
        }
        let page = self.ledger.event_page(self.from.take()).await?;
        let keys = page.marks.into_iter().filter(wants).map(Mark::into_keys);
        Ok(Some(self.subjects(keys, page.scanned, page.next)))
    }

    /// Returns the next page of conversations with a ledger record that is wanted, or with one that cannot be read.
    /// `None` after the last page.
    pub(super) async fn records(
        &mut self,
        wants: impl Fn(&Record) -> bool,
    ) -> Result<Option<Subjects>, Error> {
        if self.ended {
            return Ok(None);
        }
        let page = self.ledger.page(self.from.take()).await?;
        let records = page.records.into_iter().filter(wants);
        let keys = records.map(|record| (record.interaction_id, record.recording_id));
        let keys = keys.chain(page.unreadable);
        Ok(Some(self.subjects(keys, page.scanned, page.next)))
    }

    /// Returns the subjects of a page's items, and remembers where the `next` page begins.
    fn subjects(
        &mut self,
        keys: impl Iterator<Item = (String, String)>,
        scanned: u64,
        next: Option<PageKey>,
    ) -> Subjects {
        self.ended = next.is_none();
        self.from = next;
        let mut subjects = Subjects {
            scanned,
            ..Subjects::default()
        };
        for keys in keys {
            subjects.add(keys, &mut self.last);
        }
        subjects
    }
}

/// Steps that are reported in proportion to the parts that are done.
#[derive(Debug, Default)]
pub(super) struct Portion {
    steps: u64,
    parts: u64,
    done: u64,
}

impl Portion {
    pub(super) fn new(steps: u64, parts: usize) -> Self {
        Self {
            steps,
            parts: parts as u64,
            done: 0,
        }
    }

    /// Notes that one more part is done. Returns the number of steps that it stands for.
    pub(super) fn next(&mut self) -> u64 {
        let steps = |done: u64| (self.steps * done).checked_div(self.parts).unwrap_or_default();
        let before = steps(self.done);
        self.done = (self.done + 1).min(self.parts);
        steps(self.done) - before
    }
}

/// Does `work` with each of `items`, `concurrency` at a time and on all processors, and passes each result to `take`.
pub(super) async fn each<T, R, F>(
    session: &Session,
    concurrency: usize,
    items: Vec<T>,
    work: impl Fn(T) -> F,
    mut take: impl FnMut(R),
) -> Result<(), Error>
where
    F: Future<Output = Result<R, crate::error::Error>> + Send + 'static,
    R: Send + 'static,
{
    let mut running = stream::iter(items)
        .map(|item| tokio::spawn(work(item)))
        .buffer_unordered(concurrency);
    loop {
        let done = tokio::select! {
            done = running.next() => done,
            () = session.interruption() => return Err(Error::interrupted()),
        };
        let Some(done) = done else { return Ok(()) };
        take(done??);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_told_whole_whatever_its_parts() {
        for (steps, parts) in [(1_000, 7), (3, 7), (0, 5), (10, 1)] {
            let mut portion = Portion::new(steps, parts);
            let told: u64 = (0..parts).map(|_| portion.next()).sum();
            assert_eq!((told, portion.next()), (steps, 0));
        }
        assert_eq!(Portion::new(9, 0).next(), 0);
    }
}
