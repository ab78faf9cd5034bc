//! Genesys' lists of conversations, day after day; the next days are prepared in advance.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::session::PATIENCE;
use super::{Error, Session};
use crate::genesys::analytics::{Analytics, Day, Page, Prepared};

/// Number of days that are prepared side by side: a job of Genesys' analytics takes seconds, also for a day without a
/// call.
const AHEAD: usize = 8;

/// Longest age of a prepared day when its turn comes. Genesys does not document for how long it keeps the results of
/// a job.
const FRESH: Duration = Duration::from_secs(600);

/// A day that is being prepared, and the time at which it was.
type Preparing = JoinHandle<Result<(Prepared, Instant), crate::error::Error>>;

/// The lists of several days.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    session: &'a Session,
    analytics: Arc<Analytics>,
    available: Timestamp,
    dates: VecDeque<Date>,
    all: usize,
    ahead: VecDeque<(Date, Preparing)>,
}

/// The position of a day among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) date: Date,
    /// Number of days before it.
    pub(super) before: u64,
    /// Number of days in all.
    pub(super) all: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (day {} of {})", self.date, self.before + 1, self.all)
    }
}

impl<'a> Listing<'a> {
    /// Asks up to which time Genesys' data is complete.
    pub(super) async fn begin(
        session: &'a Session,
        dates: impl IntoIterator<Item = Date>,
    ) -> Result<Self, Error> {
        let analytics = session.analytics()?;
        let deadline = session.deadline(PATIENCE);
        let available = session
            .unless_interrupted(analytics.available_until(&deadline))
            .await?;
        let dates: VecDeque<_> = dates.into_iter().collect();
        Ok(Self {
            session,
            analytics: Arc::new(analytics),
            available,
            all: dates.len(),
            dates,
            ahead: VecDeque::new(),
        })
    }

    /// Opens the next day. Returns `None` after the last one.
    pub(super) async fn next(&mut self) -> Result<Option<(Place, Day<'_>)>, Error> {
        while self.ahead.len() < AHEAD
            && let Some(date) = self.dates.pop_front()
        {
            self.ahead.push_back((date, self.prepare(date)));
        }
        let Some((date, preparing)) = self.ahead.pop_front() else {
            return Ok(None);
        };
        let (mut prepared, at) = self.prepared(preparing).await?;
        if at.elapsed() > FRESH {
            (prepared, _) = self.prepared(self.prepare(date)).await?;
        }
        let left = self.dates.len() + self.ahead.len();
        let place = Place {
            date,
            before: (self.all - left).saturating_sub(1) as u64,
            all: self.all as u64,
        };
        Ok(Some((place, self.analytics.open(prepared))))
    }

    fn prepare(&self, date: Date) -> Preparing {
        let (analytics, available) = (self.analytics.clone(), self.available);
        let deadline = self.session.deadline(PATIENCE);
        tokio::spawn(async move {
            let prepared = analytics.prepare(date, available, &deadline).await?;
            Ok((prepared, Instant::now()))
        })
    }

    async fn prepared(&self, preparing: Preparing) -> Result<(Prepared, Instant), Error> {
        self.session
            .unless_interrupted(async { Ok::<_, Error>(preparing.await??) })
            .await
    }
}

/// Asks for the next page of a day. Returns `None` after the last one.
pub(super) async fn next_page(session: &Session, day: &mut Day<'_>) -> Result<Option<Page>, Error> {
    let deadline = session.deadline(PATIENCE);
    session.unless_interrupted(day.next_page(&deadline)).await
}
