//! Day after day: each is listed, sifted and sent before the next one begins.

use jiff::SignedDuration;
use jiff::civil::Date;

use super::done::key;
use super::{Backfill, Candidate, Counts, Day, Item, Tally};
use crate::domain::days::Range;
use crate::domain::job::Job;
use crate::genesys::analytics::Page;
use crate::ops::Error;
use crate::ops::filter::{Fate, Filter};
use crate::ops::listing::{self, Listing};

/// So long after its end a day may still grow in analytics.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);

impl Backfill<'_> {
    pub(super) async fn days(&mut self, range: Range, filter: &Filter) -> Result<(), Error> {
        let through = self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.through);
        let left = range
            .days()
            .filter(|date| through.is_none_or(|through| *date > through));
        let mut listing = Listing::begin(self.session, left).await?;
        while let Some((place, mut day)) = listing.next().await? {
            self.tell.at(place);
            let before = self.tally.clone();
            self.sent.clear();
            while let Some(page) = listing::next_page(self.session, &mut day).await? {
                let candidates = self.sift(page, range, filter);
                self.offer(candidates).await?;
            }
            self.flush().await?;
            self.day_done(place.date, &before)?;
            self.tell.parts(place.before + 1, place.all);
        }
        Ok(())
    }

    /// Returns, of a page, what may have wanted recordings.
    fn sift(&mut self, page: Page, range: Range, filter: &Filter) -> Vec<Candidate> {
        self.tally.unreadable += page.unreadable as u64;
        self.findings.unreadable += page.unreadable as u64;
        let mut wanted = Vec::new();
        for conversation in page.conversations {
            self.tally.listed += 1;
            match filter.fate(&conversation, &self.session.config) {
                Fate::Wanted => {}
                Fate::Unrecorded => {
                    self.tally.unrecorded += 1;
                    continue;
                }
                Fate::Filtered => {
                    self.tally.filtered += 1;
                    continue;
                }
                Fate::Ongoing => {
                    self.tally.ongoing += 1;
                    continue;
                }
            }
            let mut job = Job::new(conversation.id);
            job.requested_by = Some(self.session.requester("backfill", &range.to_string()));
            let lasted = conversation.end.map(|end| end.duration_since(conversation.start));
            let seconds = lasted.map_or(0, |lasted| lasted.as_secs().max(0).unsigned_abs());
            let key = key(&job);
            wanted.push(Candidate { key, job, seconds });
        }
        wanted
    }

    /// Tells what the day brought, and has the checkpoint remember that it is done: if it cannot grow any more, and if
    /// nothing of it has to be tried again.
    fn day_done(&mut self, date: Date, before: &Tally) -> Result<(), Error> {
        let end = Range {
            first: date,
            last: date,
        }
        .end();
        let settled = end + SETTLING <= self.session.now();
        self.settled &= settled;
        if settled
            && self.findings.refused == 0
            && let Some(checkpoint) = &mut self.checkpoint
        {
            checkpoint.done(date, &self.tally, &std::mem::take(&mut self.sent))?;
        }
        let (now, before) = (Counts::from(&self.tally), Counts::from(before));
        let counts = Counts {
            listed: now.listed - before.listed,
            unrecorded: now.unrecorded - before.unrecorded,
            filtered: now.filtered - before.filtered,
            ongoing: now.ongoing - before.ongoing,
            archived: now.archived - before.archived,
            sent: now.sent - before.sent,
        };
        self.tell.item(Item::Day(Day { day: date, counts }));
        Ok(())
    }
}
