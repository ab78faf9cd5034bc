//! Day after day: each is listed, sifted and sent before the next one begins.

use jiff::SignedDuration;
use jiff::civil::Date;

use super::done::key;
use super::{Backfill, Candidate, Counts, Day, Item};
use crate::domain::days::Range;
use crate::domain::job::Job;
use crate::genesys::analytics::Page;
use crate::ops::Error;
use crate::ops::filter::{Filter, Selection};
use crate::ops::listing::{self, Listing};

/// Time after its end in which a day may still grow in analytics.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);

impl Backfill<'_> {
    pub(super) async fn days(&mut self, range: Range, filter: &Filter) -> Result<(), Error> {
        let through = self.checkpoint.as_ref().and_then(|checkpoint| checkpoint.through);
        let left = range
            .days()
            .filter(|date| through.is_none_or(|through| *date > through));
        let mut listing = Listing::begin(self.session, left).await?;
        while let Some((place, mut day)) = listing.next().await? {
            self.listener.at(place);
            let before = self.totals.counts.clone();
            self.sent.clear();
            while let Some(page) = listing::next_page(self.session, &mut day).await? {
                let candidates = self.sift(page, range, filter);
                self.offer(candidates).await?;
            }
            self.flush().await?;
            self.day_done(place.date, &before)?;
            self.listener.parts(place.before + 1, place.all);
        }
        Ok(())
    }

    /// Returns jobs for the conversations of a page that may have wanted recordings, and counts the others.
    fn sift(&mut self, page: Page, range: Range, filter: &Filter) -> Vec<Candidate> {
        self.totals.unreadable += page.unreadable as u64;
        self.findings.unreadable += page.unreadable as u64;
        let mut wanted = Vec::new();
        for conversation in page.conversations {
            let counts = &mut self.totals.counts;
            counts.listed += 1;
            let left_out = match filter.select(&conversation, &self.session.config) {
                Selection::Wanted => None,
                Selection::Unrecorded => Some(&mut counts.unrecorded),
                Selection::Filtered => Some(&mut counts.filtered),
                Selection::Ongoing => Some(&mut counts.ongoing),
            };
            if let Some(count) = left_out {
                *count += 1;
                continue;
            }
            let mut job = Job::new(conversation.id);
            job.requested_by = Some(self.session.requester("backfill", &range.to_string()));
            let lasted = conversation.end.map(|end| end.duration_since(conversation.start));
            let seconds = lasted.map_or(0, |lasted| lasted.as_secs().max(0).unsigned_abs());
            let key = key(&job);
            let mut candidate = Candidate::new(key, job);
            candidate.seconds = seconds;
            candidate.tell(conversation, &self.session.config.recording.media);
            wanted.push(candidate);
        }
        wanted
    }

    /// Reports a day, and notes in the checkpoint that it is done: if it cannot grow any more, and if no job of it
    /// has to be retried.
    fn day_done(&mut self, date: Date, before: &Counts) -> Result<(), Error> {
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
            checkpoint.done(date, &self.totals, &std::mem::take(&mut self.sent))?;
        }
        let counts = &self.totals.counts - before;
        self.listener.item(Item::Day(Day { day: date, counts }));
        Ok(())
    }
}
