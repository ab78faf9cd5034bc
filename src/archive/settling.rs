//! When a conversation has been looked at often enough. Pure: what is known goes in, what to do next comes out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::LimitConfig;
use crate::domain::job::{Job, LOOKS};
use crate::domain::record::{Record, State};
use crate::genesys::{Conversation, Told};

/// What to do with a job for a conversation, by what the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: this look, or a later one, was taken before.
    Stale,
    /// Answer from the ledger: nothing more can come.
    Answer,
    /// Archive what is listed. The looks of another end event go on.
    Join,
    /// Take this look.
    Take(u32),
}

/// A look that is overdue by this much never comes: its message is lost, or lies among the dead letters.
const OVERDUE: SignedDuration = SignedDuration::from_hours(1);

/// Returns what to do with a job for a conversation, of which the ledger has this record.
pub(super) fn plan(job: &Job, record: Option<&Record>, now: Timestamp) -> Plan {
    let looks = record.map_or(0, |record| record.looks);
    let settled = record.is_some_and(Record::is_settled) && !job.recheck;
    match job.look {
        Some(number) if settled || looks >= number => Plan::Stale,
        Some(number) => Plan::Take(number),
        None if settled => Plan::Answer,
        None if !job.recheck && record.is_some_and(|record| is_under_way(record, now)) => Plan::Join,
        None => Plan::Take(looks.saturating_add(1)),
    }
}

/// Tells whether another look is to come by itself.
fn is_under_way(record: &Record, now: Timestamp) -> bool {
    let pending = record.looks > 0 && matches!(record.state, State::Settling | State::Deferred);
    let next = record.next_look_at;
    pending && next.is_some_and(|next| now.duration_since(next) <= OVERDUE)
}

/// A recording that was deferred has a job of its own, which writes to its record at least this often.
const DEFERRED_JOB_ALIVE: SignedDuration = SignedDuration::from_hours(6);

/// Tells whether a look has to see to a recording of which the ledger has this record.
pub(super) fn needs_work(record: Option<&Record>, now: Timestamp) -> bool {
    record.is_none_or(|record| match record.state {
        State::Deferred => now.duration_since(record.updated_at) > DEFERRED_JOB_ALIVE,
        // Its run is at it, or died: another one may take it over when the lease ends.
        _ => !record.is_final() && record.lease_end(now.as_millisecond()) <= now.as_millisecond(),
    })
}

/// What is known when a look was taken.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// Which look it is, from 1.
    pub(super) look: u32,
    /// The recordings that it listed, sorted.
    pub(super) listed: &'a [String],
    /// Nothing more comes of any recording that was ever listed by itself.
    pub(super) complete: bool,
    /// What the ledger knew of the conversation before.
    pub(super) before: Option<&'a Record>,
    /// Since when the conversation is waited for.
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
    pub(super) limits: &'a LimitConfig,
}

/// What follows a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another look, so much later.
    Again(Duration),
    /// The same look, soon: a recording was started and is not listed yet.
    Defer,
    /// Nothing: no more can come, and this proves it.
    Settled(&'static str),
    /// Nothing: there is no recording, and none was started.
    Unrecorded,
    /// Nothing by itself: the readiness deadline passed, and the conversation has not ended.
    Open,
    /// Nothing by itself: patience is at its end.
    Never,
}

/// Longest time between two looks.
const LONGEST_DELAY: Duration = Duration::from_secs(6 * 3600);

/// Recordings are made when a conversation ends, and appear some time after. A list read sooner proves nothing.
const QUIET_AFTER_END: Duration = Duration::from_secs(300);

/// Without the details, a list has to stay the same for this long.
const LISTING_PROVES: SignedDuration = SignedDuration::from_hours(1);

impl View<'_> {
    /// Tells whether the details are needed for what follows. As long as recordings turn up, or are being archived,
    /// another look follows anyway.
    pub(super) fn needs_details(&self) -> bool {
        self.is_empty() || (self.look > 1 && ((self.is_same() && self.complete) || self.is_late()))
    }

    /// Returns what follows. `told` is what the details say, unless they were not needed; `started` tells whether a
    /// conversation may have a recording.
    pub(super) fn next(&self, told: Option<&Told>, started: impl Fn(&Conversation) -> bool) -> Next {
        match told {
            Some(Told::Known(known)) if self.is_empty() => self.nothing_listed(known, started(known)),
            Some(Told::Known(known)) if self.is_over(known) && self.is_same() && self.complete => {
                Next::Settled("details")
            }
            Some(Told::Known(known)) if known.end.is_none() && self.is_late() => Next::Open,
            Some(Told::Unknown) if self.is_late() && self.is_empty() => Next::Never,
            // Without a word about the end, a list that stays the same has to do. Patience costs nothing where it is
            // empty, or where the permission may be there and the data is not.
            Some(Told::Denied) if self.listing_proves() && (!self.is_empty() || self.is_late()) => {
                Next::Settled("listing")
            }
            Some(Told::Unknown) if self.listing_proves() && self.is_late() => Next::Settled("listing"),
            _ => self.again(),
        }
    }

    /// Returns what follows where nothing was ever listed of a conversation that is known.
    fn nothing_listed(&self, known: &Conversation, started: bool) -> Next {
        let ended = self.is_over(known);
        let believed = seconds(self.limits.unrecorded_after);
        match (started, ended) {
            _ if known.end.is_none() && self.is_late() => Next::Open,
            (true, true) if self.is_late() => Next::Never,
            (true, _) if self.look == 1 => Next::Defer,
            (false, true) if self.is_same() && self.waited() >= believed => Next::Unrecorded,
            (false, _) if self.look == 1 || (ended && self.waited() < believed) => {
                let left = Duration::try_from(believed - self.waited()).unwrap_or_default();
                self.again_after(left.max(self.limits.settle))
            }
            _ => self.again(),
        }
    }

    /// Returns another look after the usual delay, which doubles; one of them falls on the readiness deadline.
    fn again(&self) -> Next {
        let doubled = self.look.saturating_sub(1).min(16);
        let delay = self.limits.settle.saturating_mul(1 << doubled).min(LONGEST_DELAY);
        let left = seconds(self.limits.readiness) - self.waited() + SignedDuration::from_secs(1);
        match Duration::try_from(left) {
            Ok(left) if !self.is_late() => self.again_after(delay.min(left.max(self.limits.settle))),
            _ => self.again_after(delay),
        }
    }

    fn again_after(&self, delay: Duration) -> Next {
        if self.look >= *LOOKS.end() {
            Next::Never
        } else {
            Next::Again(delay)
        }
    }

    /// Tells whether a conversation has been over for long enough.
    fn is_over(&self, known: &Conversation) -> bool {
        let quiet = seconds(QUIET_AFTER_END.min(self.limits.settle));
        known.end.is_some_and(|end| self.now.duration_since(end) >= quiet)
    }

    fn waited(&self) -> SignedDuration {
        self.now.duration_since(self.since)
    }

    fn is_late(&self) -> bool {
        self.waited() > seconds(self.limits.readiness)
    }

    /// Tells whether no look ever listed anything.
    fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.before.is_none_or(|before| before.recordings.is_empty())
    }

    /// Tells whether the look before listed the same.
    fn is_same(&self) -> bool {
        let before = self.before.filter(|before| before.looks > 0);
        before.is_some_and(|before| before.listed == self.listed)
    }

    fn listing_proves(&self) -> bool {
        let since = self.before.and_then(|before| before.listed_since);
        self.is_same()
            && self.complete
            && since.is_some_and(|since| self.now.duration_since(since) >= LISTING_PROVES)
    }
}

fn seconds(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests;
