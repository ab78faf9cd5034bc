//! The conversations with audit events of a span: by the index of the audit by days where that holds all of them, else
//! by a scan.
//!
//! Events of versions before the index have no `day`, so no Query finds them. The index holds every event that was
//! written once all writers were of a later version, and the first event in it says when that was. An event in the
//! index that is a whole day older than a span therefore shows that all of the span is in it: no function of before was
//! still running then. Without such an event in the days before the span, all of the table is read.

use std::collections::{HashSet, VecDeque};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;

use super::Error;
use super::scan::{Conversations, Scan};
use super::span::Span;
use crate::aws::ledger::{Ledger, Mark, PageKey};
use crate::domain::audit::Shard;
use crate::domain::days::{Range, day_of};
use crate::domain::recording::ConversationId;

/// Number of days before a span in which an event has to be indexed: more than an archive is idle.
const SEARCHED: i64 = 14;

/// Number of Queries at a time: those of a day.
const SIDE_BY_SIDE: usize = 16;

/// The conversations with audit events of a span, page by page.
#[derive(Debug)]
pub(super) struct Indexed<'a> {
    span: Option<Span>,
    /// About how many items are going to be read, where that is known.
    pub(super) items: Option<u64>,
    way: Way<'a>,
}

#[derive(Debug)]
enum Way<'a> {
    Scan(Scan<'a>),
    Days(Days<'a>),
}

/// Queries of the index, in order of days.
#[derive(Debug)]
struct Days<'a> {
    ledger: &'a Ledger,
    left: VecDeque<(Date, Shard, Option<PageKey>)>,
    /// What was returned, 16 bytes each: the events of a conversation are spread over days.
    seen: HashSet<ConversationId>,
}

impl<'a> Indexed<'a> {
    /// Decides how to read the events of a span; `None`: all of the audit.
    pub(super) async fn new(ledger: &'a Ledger, span: Option<Span>) -> Result<Self, Error> {
        let table = ledger.audit_table().await;
        let days = match span {
            Some(span) if table.by_day && is_complete(ledger, span.range.first).await? => {
                Some(span.written(day_of(ledger.now())))
            }
            Some(_) | None => None,
        };
        Ok(Self {
            span,
            items: table.items.filter(|_| days.is_none()),
            way: match days {
                None => Way::Scan(Scan::new(ledger)),
                Some(days) => Way::Days(Days::new(ledger, days)),
            },
        })
    }

    /// Returns the next page. `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<Conversations>, Error> {
        let span = self.span;
        let wants = |mark: &Mark| span.is_none_or(|span| span.may_hold(mark));
        match &mut self.way {
            Way::Scan(scan) => scan.events(wants).await,
            Way::Days(days) => days.next(wants).await,
        }
    }
}

/// Returns whether the index holds all events from `first` on.
async fn is_complete(ledger: &Ledger, first: Date) -> Result<bool, Error> {
    for ago in 2..2 + SEARCHED {
        let day = first.saturating_sub(jiff::Span::new().days(ago));
        let found = stream::iter(Shard::all())
            .map(|shard| Box::pin(ledger.has_events_on(day, shard)))
            .buffer_unordered(SIDE_BY_SIDE);
        if found.try_any(|found| async move { found }).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl<'a> Days<'a> {
    fn new(ledger: &'a Ledger, days: Range) -> Self {
        let shards = days
            .days()
            .flat_map(|day| Shard::all().map(move |shard| (day, shard, None)));
        Self {
            ledger,
            left: shards.collect(),
            seen: HashSet::new(),
        }
    }

    /// Asks for a page of each of the next shards.
    async fn next(&mut self, wants: impl Fn(&Mark) -> bool) -> Result<Option<Conversations>, Error> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let asked: Vec<_> = self.left.drain(..self.left.len().min(SIDE_BY_SIDE)).collect();
        let ledger = self.ledger;
        let pages = stream::iter(asked).map(|(day, shard, from)| {
            Box::pin(async move {
                let page = ledger.day_page(day, shard, from).await?;
                Ok::<_, Error>((day, shard, page))
            })
        });
        let pages: Vec<_> = pages.buffered(SIDE_BY_SIDE).try_collect().await?;
        let mut conversations = Conversations::default();
        for (day, shard, page) in pages {
            conversations.scanned += page.scanned;
            if page.next.is_some() {
                self.left.push_back((day, shard, page.next));
            }
            for mark in page.marks.into_iter().filter(&wants) {
                conversations.add_new(mark.into_keys(), &mut self.seen);
            }
        }
        Ok(Some(conversations))
    }
}
