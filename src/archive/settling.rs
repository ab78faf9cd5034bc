//! When a conversation has been looked at often enough. Pure: what is known goes in, what to do next comes out.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::describe::Unnamed;
use crate::config::LimitConfig;
use crate::domain::format::MediaKind;
use crate::domain::job::{Job, LOOKS};
use crate::domain::record::{Record, State};
use crate::genesys::{Conversation, Told};

/// The way in which a job for a conversation is handled, by its record.
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

/// The proof that a conversation is settled whose recordings came by a batch download, two days after its end.
pub(super) const BULK: &str = "bulk";

/// A look that is overdue by this much never comes: its message is lost, or lies among the dead letters.
pub const OVERDUE: SignedDuration = SignedDuration::from_hours(1);

/// Returns what to do with a job for a conversation, of which the ledger has this record. An event says when the
/// conversation `ended`.
pub(super) fn plan(job: &Job, ended: Option<Timestamp>, record: Option<&Record>, now: Timestamp) -> Plan {
    let looks = record.map_or(0, |record| record.looks);
    let next = looks.saturating_add(1);
    let erased = record.is_some_and(Record::is_erased);
    let settled = erased || record.is_some_and(Record::is_settled) && !job.recheck;
    match job.look {
        Some(number) if settled || looks >= number => Plan::Stale,
        // A number that skips looks is invented, or that of a look whose run died before it was recorded.
        Some(_) => Plan::Take(next),
        None if record.is_some_and(|record| is_outdated(record, ended)) => Plan::Take(next),
        None if settled => Plan::Answer,
        None if !job.recheck && record.is_some_and(|record| is_under_way(record, job, now)) => Plan::Join,
        None => Plan::Take(next),
    }
}

/// Checks whether a conversation was settled without a word of Genesys about its end, before it `ended`.
fn is_outdated(record: &Record, ended: Option<Timestamp>) -> bool {
    let known = record.since.unwrap_or(record.updated_at);
    matches!(record.settled_by.as_deref(), Some("listing" | BULK))
        && record.state == State::Settled
        && ended.is_some_and(|ended| ended > known)
}

/// Checks whether another look is to come by itself, which is not this job's.
fn is_under_way(record: &Record, job: &Job, now: Timestamp) -> bool {
    let Some(next) = record.next_look_at else {
        return false;
    };
    let in_time = now.duration_since(next) <= OVERDUE;
    match record.state {
        State::Settling => record.looks > 0 && in_time,
        // One that was deferred as often is the job that was sent; any other one leaves it to that.
        State::Deferred => in_time && job.deferrals < record.deferrals,
        State::Claimed
        | State::Storing
        | State::Archived
        | State::Notified
        | State::Skipped
        | State::Failed
        | State::Expired
        | State::Settled
        | State::Unrecorded
        | State::Erased => false,
    }
}

/// A recording that was deferred has a job of its own, which writes to its record at least this often.
const DEFERRED_JOB_ALIVE: SignedDuration = SignedDuration::from_hours(6);

/// Checks whether a recording has a job of its own that sees to it.
pub(super) fn has_job(record: Option<&Record>, now: Timestamp) -> bool {
    record.is_some_and(|record| record.state == State::Deferred) && !needs_work(record, now)
}

/// Checks whether a look has to see to a recording of which the ledger has this record.
pub(super) fn needs_work(record: Option<&Record>, now: Timestamp) -> bool {
    record.is_none_or(|record| {
        if record.state == State::Deferred {
            return now.duration_since(record.updated_at) > DEFERRED_JOB_ALIVE;
        }
        // Another run may take the recording over when the lease ends.
        !record.is_final() && record.lease_end(now.as_millisecond()) <= now.as_millisecond()
    })
}

/// Everything that decides what follows a look.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// The number of the look, from 1.
    pub(super) look: u32,
    /// The listed recordings, sorted.
    pub(super) listed: &'a [String],
    /// The kinds of the listed recordings.
    pub(super) kinds: &'a [String],
    /// The list held nothing but unreadable entries.
    pub(super) garbled: bool,
    /// Nothing more comes of any recording that was ever listed by itself.
    pub(super) complete: bool,
    /// The conversation's record before the look.
    pub(super) before: Option<&'a Record>,
    /// Since when the conversation is waited for.
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
    pub(super) limits: &'a LimitConfig,
    /// The kinds of recordings that are archived.
    pub(super) wanted: &'a [MediaKind],
}

/// The step that follows a look.
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
    /// Nothing by itself: the readiness deadline passed, and a kind that was started was never listed.
    Missing(MediaKind),
}

/// Longest time between two looks.
const LONGEST_DELAY: Duration = Duration::from_secs(6 * 3600);

/// Recordings are made when a conversation ends, and appear some time after. A list read sooner proves nothing.
const QUIET_AFTER_END: Duration = Duration::from_secs(300);

/// Without the details, a list has to stay the same for this long.
const LISTING_PROVES: SignedDuration = SignedDuration::from_hours(1);

impl View<'_> {
    /// Checks whether the details are needed for what follows. As long as recordings turn up, or are being archived,
    /// another look follows anyway.
    pub(super) fn needs_details(&self) -> bool {
        !self.garbled && (self.is_empty() || self.may_end())
    }

    /// Checks whether the list may be the last one.
    fn may_end(&self) -> bool {
        self.look > 1 && ((self.is_same() && self.complete) || self.is_late())
    }

    /// Returns what follows. `details` is what Genesys says of the conversation, unless that was not needed, or Genesys
    /// could not give it.
    pub(super) fn next(&self, details: Option<&Told>) -> Next {
        if self.garbled {
            return if self.is_late() { Next::Never } else { self.again() };
        }
        match details {
            None => self.again(),
            Some(Told::Known(known)) => self.known(known),
            Some(Told::Unknown | Told::TooLong) if self.is_late() && self.is_empty() => Next::Never,
            Some(Told::Unknown) => self.settled_by_listing(self.is_late()),
            // Without a word about the end, a list that stays the same has to do. Patience costs nothing where the list
            // is empty, or where the permission may be there and the data is not.
            Some(Told::Denied | Told::TooLong) => self.settled_by_listing(!self.is_empty() || self.is_late()),
        }
    }

    /// Returns what follows where the conversation is known.
    fn known(&self, known: &Conversation) -> Next {
        if self.is_empty() {
            return self.nothing_listed(known);
        }
        if self.is_over(known) && self.is_same() && self.complete {
            return match self.missing(known) {
                None => Next::Settled("details"),
                Some(kind) if self.is_late() => Next::Missing(kind),
                Some(_) => self.again(),
            };
        }
        if known.end.is_none() && self.is_late() {
            return Next::Open;
        }
        self.again()
    }

    /// Settles the conversation on its list alone, where that is `believed` and stayed the same for long enough.
    fn settled_by_listing(&self, believed: bool) -> Next {
        if believed && self.listing_proves() {
            return Next::Settled("listing");
        }
        self.again()
    }

    /// Returns what follows where nothing was ever listed of a conversation that is known.
    fn nothing_listed(&self, known: &Conversation) -> Next {
        let started = known.recorded || known.screen_recorded || known.snippet_recorded;
        let ended = self.is_over(known);
        let believed = seconds(self.limits.unrecorded_after);
        let end = known.end.map_or(self.since, |end| end.max(self.since));
        let waited = self.now.duration_since(end);
        match (started, ended) {
            _ if known.end.is_none() && self.is_late() => Next::Open,
            (true, true) if self.is_late() => Next::Never,
            (true, _) if self.look == 1 => Next::Defer,
            // The details do not say whether a chat, an e-mail or a message is recorded.
            (false, true) if self.may_have_text(known) && self.is_late() => Next::Unrecorded,
            (false, _) if self.may_have_text(known) => self.again(),
            (false, true) if self.is_same() && waited >= believed => Next::Unrecorded,
            (false, _) if self.look == 1 || (ended && waited < believed) => {
                let left = Duration::try_from(believed - waited).unwrap_or_default();
                self.again_after(left.max(self.limits.settle))
            }
            _ => self.again(),
        }
    }

    /// Checks whether a wanted recording may come of which the details do not say that it was started.
    fn may_have_text(&self, known: &Conversation) -> bool {
        let said = |kind: MediaKind| matches!(kind, MediaKind::Audio | MediaKind::Screen);
        self.wanted
            .iter()
            .any(|kind| !said(*kind) && known.may_have(*kind))
    }

    /// Returns a wanted kind that was started, and that no look ever listed.
    fn missing(&self, known: &Conversation) -> Option<MediaKind> {
        let before = self.before.map_or(&[][..], |before| &before.kinds);
        [MediaKind::Audio, MediaKind::Screen].into_iter().find(|kind| {
            let listed = |kinds: &[String]| kinds.iter().any(|listed| listed == kind.as_str());
            let wanted = self.wanted.contains(kind) && known.may_have(*kind);
            wanted && !listed(self.kinds) && !listed(before)
        })
    }

    /// Returns what a call record does without the names that Genesys does not give now.
    pub(super) fn unnamed(&self) -> Unnamed {
        if self.is_late() {
            Unnamed::Accepted
        } else {
            Unnamed::Waits
        }
    }

    /// Returns another look after the usual delay, which doubles; one of them falls on the readiness deadline.
    pub(super) fn again(&self) -> Next {
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

    /// Checks whether a conversation has been over for long enough.
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

    /// Checks whether no look ever listed anything.
    fn is_empty(&self) -> bool {
        self.listed.is_empty() && self.before.is_none_or(|before| before.recordings.is_empty())
    }

    /// Checks whether the look before listed the same.
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
