//! The entries that are sealed already.

use std::collections::{HashSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::seal::Entry;
use crate::seal::batch::Batch;

/// Time for which an entry is kept after it was sealed. The stream keeps a record for 24 hours, so no record comes
/// again later; two hours are for clocks that disagree.
pub(super) const MEMORY: SignedDuration = SignedDuration::from_hours(26);

/// Longest time between the first and the last batch of a generation.
const GENERATION: SignedDuration = SignedDuration::from_hours(1);

/// The entries sealed in the last 26 hours and, while events are imported, all older ones.
///
/// An entry takes 32 bytes and its share of a set, about 70 in all; one of the older ones takes 32.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// By the hour in which they were sealed, oldest first: a whole hour is forgotten at a time.
    recent: VecDeque<Generation>,
    /// Sorted.
    older: Option<Vec<Entry>>,
}

#[derive(Debug)]
struct Generation {
    first: Timestamp,
    last: Timestamp,
    entries: HashSet<Entry>,
}

impl Known {
    /// Remembers a batch that was sealed after all before it.
    pub(super) fn learn(&mut self, batch: &Batch) {
        match self.recent.back_mut() {
            Some(latest) if batch.at.duration_since(latest.first) < GENERATION => {
                latest.last = latest.last.max(batch.at);
                latest.entries.extend(&batch.entries);
            }
            _ => self.recent.push_back(Generation {
                first: batch.at,
                last: batch.at,
                entries: batch.entries.iter().copied().collect(),
            }),
        }
    }

    /// Forgets what was sealed more than 26 hours ago; nothing while older ones are known, too.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let old = |generation: &Generation| now.duration_since(generation.last) > MEMORY;
        while self.older.is_none() && self.recent.front().is_some_and(old) {
            self.recent.pop_front();
        }
    }

    /// Adds what was sealed before.
    pub(super) fn remember_older(&mut self, mut entries: Vec<Entry>) {
        entries.sort_unstable();
        self.older = Some(entries);
    }

    /// Forgets what was added by [`Self::remember_older`].
    pub(super) fn forget_older(&mut self) {
        self.older = None;
    }

    /// Returns whether an entry is sealed.
    pub(super) fn contains(&self, entry: &Entry) -> bool {
        let older = self.older.as_deref().unwrap_or_default();
        older.binary_search(entry).is_ok()
            || self
                .recent
                .iter()
                .any(|generation| generation.entries.contains(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::batch::Via;

    fn batch(hour: i64, byte: u8) -> Batch {
        Batch {
            start: 0,
            via: Via::Stream,
            at: Timestamp::from_second(1_800_000_000 + hour * 3_600).unwrap(),
            entries: vec![Entry([byte; 32])],
        }
    }

    #[test]
    fn an_entry_is_known_for_26_hours_and_while_events_are_imported() {
        let mut known = Known::default();
        for hour in 0..40_u8 {
            known.learn(&batch(hour.into(), hour));
            known.forget(batch(hour.into(), 0).at);
        }
        let held = (0..40).filter(|byte| known.contains(&Entry([*byte; 32])));
        assert_eq!(held.collect::<Vec<_>>(), (13..40).collect::<Vec<_>>());
        known.remember_older(vec![Entry([5; 32]), Entry([3; 32])]);
        known.forget(batch(100, 0).at);
        assert!([3, 5, 13].iter().all(|byte| known.contains(&Entry([*byte; 32]))));
        known.forget_older();
        known.forget(batch(100, 0).at);
        assert!(!(0..40).any(|byte| known.contains(&Entry([byte; 32]))));
    }
}
