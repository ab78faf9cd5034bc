//! Analytics beside the conversations themselves: its jobs, and how far behind it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::conversation::Conversation;

/// Whatever analytics knows beyond the conversations.
#[derive(Debug)]
pub(super) struct Analytics {
    /// How far the data of the jobs reaches; `None`: to now.
    pub(super) available: Option<Timestamp>,
    /// So many looks at a job find it unfinished.
    pub(super) looks: usize,
    /// So many jobs to come fail.
    pub(super) failing: usize,
    /// So many conversations stand at the end of a page and at the start of the next one.
    pub(super) overlap: usize,
    /// The most ids in one request for details; what Genesys allows is not verified.
    pub(super) most_ids: usize,
    pub(super) jobs: BTreeMap<String, Job>,
    /// Conversations by their start; `None`: to be sorted again.
    sorted: Option<Arc<Vec<(Timestamp, String)>>>,
}

#[derive(Debug)]
pub(super) struct Job {
    /// The conversations that it found.
    pub(super) ids: Arc<Vec<String>>,
    /// So many looks at it are still answered that it is not finished.
    pub(super) looks: usize,
    pub(super) fails: bool,
}

impl Default for Analytics {
    fn default() -> Self {
        Self {
            available: None,
            looks: 2,
            failing: 0,
            overlap: 0,
            most_ids: 100,
            jobs: BTreeMap::new(),
            sorted: None,
        }
    }
}

impl Analytics {
    /// The conversations are not what they were.
    pub(super) fn changed(&mut self) {
        self.sorted = None;
    }

    /// Returns start and id of all conversations, the earliest first.
    pub(super) fn sorted(
        &mut self,
        conversations: &BTreeMap<String, Conversation>,
    ) -> Arc<Vec<(Timestamp, String)>> {
        let sorted = self.sorted.get_or_insert_with(|| {
            let mut sorted: Vec<_> = conversations
                .values()
                .map(|conversation| (conversation.start, conversation.id.clone()))
                .collect();
            sorted.sort();
            Arc::new(sorted)
        });
        sorted.clone()
    }
}
