//! With batch downloads: which conversations go by them, and which by jobs of their own, as a batch download would not
//! settle them.

use jiff::Timestamp;

use super::{Backfill, Candidate};
use crate::domain::bulk::{Entry, MOST_KINDS, is_over};
use crate::domain::format::{Format, MediaKind};
use crate::genesys::analytics::Conversation;
use crate::genesys::{Details, Told};
use crate::ops::Error;
use crate::ops::session::PATIENCE;

impl Candidate {
    /// Takes over what analytics say of the conversation, for a configuration that wants these kinds.
    pub(super) fn tell(&mut self, conversation: Conversation, wanted: &[MediaKind]) {
        let is_text =
            |kind: &MediaKind| matches!(kind, MediaKind::Chat | MediaKind::Email | MediaKind::Message);
        self.text = wanted
            .iter()
            .any(|kind| is_text(kind) && conversation.may_have(*kind));
        self.times = [Some(conversation.start), conversation.end];
        self.kinds = conversation.started;
    }

    /// Says whether a batch download can settle it: it is over for long enough, an entry names all that was started,
    /// there is no transcript, and nothing was settled before.
    fn fits(&self, now: Timestamp) -> bool {
        let [_, end] = self.times;
        is_over(end, now) && !self.text && self.kinds.len() <= MOST_KINDS && !self.job.recheck
    }

    /// Returns the entry of a bulk job that asks for it.
    pub(super) fn entry(&self) -> Entry {
        let [start, end] = self.times;
        Entry {
            conversation: self.job.conversation,
            recording: self.job.recording,
            start,
            end,
            kinds: self.kinds.clone(),
            asked: None,
        }
    }
}

impl Backfill<'_> {
    /// Takes the jobs that a batch download cannot settle out of the batch. Returns them as they go alone.
    pub(super) async fn part(&mut self) -> Result<Vec<Candidate>, Error> {
        if self.bulk.is_none() {
            return Ok(Vec::new());
        }
        let mut batch = std::mem::take(&mut self.batch);
        let described = self.describe(&mut batch);
        self.session.unless_interrupted(described).await?;
        let now = self.session.now();
        let (batch, mut alone): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|candidate| candidate.fits(now));
        self.batch = batch;
        for candidate in &mut alone {
            candidate.job.format = Some(Format::Original);
        }
        Ok(alone)
    }

    /// Asks Genesys' analytics when conversations of a list began and ended, and what was recorded of them. Those of
    /// which they say nothing are left as they are.
    async fn describe(&self, batch: &mut [Candidate]) -> Result<(), Error> {
        let unknown = |candidate: &&mut Candidate| candidate.times[1].is_none();
        let ids = batch.iter().filter(|candidate| candidate.times[1].is_none());
        let details = Details::of_history(ids.map(|candidate| candidate.job.conversation));
        let deadline = self.session.deadline(PATIENCE);
        for candidate in batch.iter_mut().filter(unknown) {
            let Some(genesys) = &self.genesys else { break };
            let id = candidate.job.conversation;
            if let Told::Known(known) = genesys.details(&details, id, &deadline).await? {
                candidate.tell(*known, &self.session.config.recording.media);
            }
        }
        Ok(())
    }
}
