//! The ledger's records of a conversation when a look begins, and the look's findings beside them.

use jiff::Timestamp;

use super::super::settling::needs_work;
use crate::aws::ledger::Found;
use crate::domain::record::{Record, State};
use crate::domain::recording::RecordingId;
use crate::genesys::Listing;

/// The ledger's records of a conversation.
pub(super) struct Known {
    pub(super) conversation: Option<Record>,
    pub(super) recordings: Vec<Record>,
}

impl Known {
    pub(super) fn of(&self, recording: &str) -> Option<&Record> {
        self.recordings
            .iter()
            .find(|record| record.recording_id == recording)
    }

    /// Returns the recordings that a look listed before, that are not listed any more, and that a run died with.
    pub(super) fn vanished(&self, listed: &[String], now: Timestamp) -> Vec<String> {
        let begun = |id: &String| self.of(id).is_some() && needs_work(self.of(id), now);
        let ever = self
            .ever_listed(listed)
            .filter(|id| !listed.contains(id) && begun(id));
        ever.cloned().collect()
    }

    /// Returns the last look that was recorded as having something to do.
    pub(super) fn begun(&self) -> u32 {
        self.conversation.as_ref().map_or(0, |record| record.look_begun)
    }

    /// Removes from the list the recordings that another run or job works on.
    pub(super) fn leave_to_their_runs(&self, listing: &mut Listing, now: Timestamp) {
        let alone = |id: &RecordingId| needs_work(self.of(&id.to_string()), now);
        listing.recordings.retain(|one| alone(&one.id));
    }

    /// Returns what a look found that listed this.
    pub(super) fn found(&self, listing: &Listing) -> Found {
        let mut found = Found {
            listed: listing.recordings.iter().map(|one| one.id.to_string()).collect(),
            kinds: Vec::from_iter(listing.recordings.iter().map(|one| one.media.to_string())),
            ..Found::default()
        };
        for names in [&mut found.listed, &mut found.kinds] {
            names.sort();
            names.dedup();
        }
        let unreadable = listing.unreadable.as_ref();
        found.unreadable = unreadable.map(|error| error.redacted());
        let others = self.recordings.iter().filter(|record| {
            let whole = RecordingId::parse(&record.recording_id).is_ok();
            whole && record.is_final() && record.state != State::Failed
        });
        let others = others.map(|record| record.recording_id.clone());
        found.others = others.filter(|id| !found.listed.contains(id)).collect();
        found
    }

    pub(super) fn unreadable(&self) -> Option<String> {
        self.conversation.as_ref()?.unreadable.clone()
    }

    /// Returns the recordings that any look listed, this one included.
    pub(super) fn ever_listed<'a>(&'a self, listed: &'a [String]) -> impl Iterator<Item = &'a String> {
        let before = self.conversation.iter().flat_map(|record| &record.recordings);
        listed.iter().chain(before.filter(|id| !listed.contains(id)))
    }
}
