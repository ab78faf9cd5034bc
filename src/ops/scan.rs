//! Going through the whole ledger, conversation by conversation, with no more than a page in memory.

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use recording_archiver::archive::recording::ConversationId;
use recording_archiver::aws::ledger::{Ledger, PageKey, Record};
use recording_archiver::error::Error;

use crate::Failure;
use crate::session::Session;

/// A page of conversations.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    pub(crate) ids: Vec<ConversationId>,
    /// Items whose conversation has no id that can be read, by their keys.
    pub(crate) unreadable: Vec<(String, String)>,
}

/// A walk through the ledger.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    ledger: &'a Ledger,
    /// Only what was written since.
    since: Option<Timestamp>,
    from: Option<PageKey>,
    last: String,
    ended: bool,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(ledger: &'a Ledger, since: Option<Timestamp>) -> Self {
        Self {
            ledger,
            since,
            from: None,
            last: String::new(),
            ended: false,
        }
    }

    /// The next page of the conversations that have a record which is wanted, or one that cannot be read: that tells
    /// nothing of itself. `None` after the last page.
    pub(crate) async fn next(
        &mut self,
        wants: impl Fn(&Record) -> bool,
    ) -> Result<Option<Conversations>, Error> {
        if self.ended {
            return Ok(None);
        }
        let page = self.ledger.page(self.from.take(), self.since).await?;
        self.ended = page.next.is_none();
        self.from = page.next;
        let wanted = page.records.into_iter().filter(wants);
        let wanted = wanted.map(|record| (record.interaction_id, record.recording_id));
        let mut conversations = Conversations::default();
        for keys in wanted.chain(page.unreadable) {
            // The records of a conversation stand side by side, and may go on with the next page.
            if keys.0 == self.last {
                continue;
            }
            self.last.clone_from(&keys.0);
            match ConversationId::parse(&keys.0) {
                Ok(id) => conversations.ids.push(id),
                Err(_) => conversations.unreadable.push(keys),
            }
        }
        Ok(Some(conversations))
    }
}

/// Does `work` with each of `items`, so many at a time and on all processors, and gives what comes of it to `take`, until
/// somebody interrupts.
pub(crate) async fn each<T, R, F>(
    session: &Session,
    concurrency: usize,
    items: Vec<T>,
    work: impl Fn(T) -> F,
    mut take: impl FnMut(R),
) -> Result<(), Failure>
where
    F: Future<Output = Result<R, Error>> + Send + 'static,
    R: Send + 'static,
{
    let mut running = stream::iter(items)
        .map(|item| tokio::spawn(work(item)))
        .buffer_unordered(concurrency);
    loop {
        let done = tokio::select! {
            done = running.next() => done,
            () = session.interruption() => None,
        };
        let Some(done) = done else { return Ok(()) };
        take(done??);
    }
}
