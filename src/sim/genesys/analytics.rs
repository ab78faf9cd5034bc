//! Analytics beside the conversations themselves: its jobs, and how far behind it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::conversation::Conversation;

/// Whatever analytics knows beyond the conversations.
#[derive(Debug)]
pub(super) struct Analytics {
    /// The end of the data of the jobs; `None`: now.
    pub(super) available: Option<Timestamp>,
    /// Number of looks that find a job unfinished.
    pub(super) looks: usize,
    /// Number of the next jobs that fail.
    pub(super) failing: usize,
    /// Number of conversations at the end of a page that stand at the start of the next one, too.
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
    /// Number of further looks that find it unfinished.
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
    /// Notes that the conversations changed.
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
