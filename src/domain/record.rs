//! One item of the ledger table, as a value.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::annotations::Annotation;
use super::audit::Chain;
use super::recording::ArchivedFile;

pub use super::state::State;

/// Lambda's longest invocation: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const LONGEST_LEASE_MS: i64 = 15 * 60 * 1_000;

/// One item of the ledger table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Partition key.
    pub interaction_id: String,
    /// Sort key: see [`RecordingRef::recording_key`](crate::domain::recording::RecordingRef::recording_key).
    pub recording_id: String,
    /// How far it got.
    pub state: State,
    /// Attempt id of the run that holds the lease, or held it last.
    pub lease_owner: Uuid,
    /// End of the lease in milliseconds since the epoch; 0: released.
    pub lease_expires_at: i64,
    /// Runs that began to download.
    pub attempts: u32,
    /// `eventHash` of the last audit event.
    pub chain_head: String,
    /// `seq` of the last audit event.
    pub seq: u64,
    /// `storing`: what is about to become visible; `archived` and `notified`: what is.
    #[serde(default)]
    pub files: Vec<ArchivedFile>,
    /// The channels that the recording has a file for, once known; `None` is the only file of all channels.
    #[serde(default)]
    pub channels: Vec<Option<u32>>,
    /// What former attempts were about to make visible when they died. Before `archived`: one of them may lie under
    /// each key. After it: what may lie in S3 beside `files`, as another format or other channels were asked for then.
    #[serde(default)]
    pub former_files: Vec<ArchivedFile>,
    /// The channels that the last attempt which knew them meant to store.
    #[serde(default)]
    pub former_channels: Vec<Option<u32>>,
    /// Pauses and holds of the recording; `None`: not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<Annotation>>,
    /// How many more of them there are, which had no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_omitted: Option<usize>,
    /// The format asked for; once archived, that of the first file.
    pub format: String,
    /// When the objects were verified to be visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// Why the notification was not delivered the last time, as its audit event says; absent once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_error: Option<String>,
    /// When this item was written.
    pub updated_at: Timestamp,
    /// Of a conversation: how many looks were taken at it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
    /// Of a conversation: the last look that had something to do, written down before it did it. Should it come again,
    /// its run died in between, and whatever the ledger says of the recordings may not have been passed on.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub look_begun: u32,
    /// Of a conversation: all recordings that were ever listed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<String>,
    /// Of a conversation: the recordings that the last look listed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<String>,
    /// Of a conversation: since when each look has listed just these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_since: Option<Timestamp>,
    /// Of a conversation that is settling: when it is looked at next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_look_at: Option<Timestamp>,
    /// Of a settled conversation: what proved it, `details` or `listing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    /// Of a deferred conversation: `deferrals` of the job that comes again; one with fewer is not that job.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deferrals: u32,
    /// Of a conversation: when its latest end event was; patience counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Of a conversation: the kinds of recordings that were ever listed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Of a conversation: the unreadable entries of its list that were handed over last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Of a recording: when Genesys was first found transcoding it; patience for that counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcoding_since: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record {
    pub(crate) fn chain(&self) -> Chain {
        Chain {
            head: self.chain_head.clone(),
            seq: self.seq,
        }
    }

    /// Remembers the files that were about to become visible and are not among those that are now: whether they
    /// did become visible is not known.
    pub(crate) fn retire_files(&mut self, kept: &[ArchivedFile]) {
        for file in std::mem::take(&mut self.files) {
            if !kept.contains(&file) && !self.former_files.contains(&file) {
                self.former_files.push(file);
            }
        }
        if !self.channels.is_empty() {
            self.former_channels = std::mem::take(&mut self.channels);
        }
    }

    /// Of `visible`, the files that make the recording whole as the last attempt which knew meant it; `None` if one is
    /// missing, or no attempt got to know how many there are.
    pub fn whole(&self, visible: &[ArchivedFile]) -> Option<Vec<ArchivedFile>> {
        if self.former_channels.is_empty() {
            return None;
        }
        let of_channel =
            |channel: &Option<u32>| visible.iter().find(|file| file.channel == *channel).cloned();
        self.former_channels.iter().map(of_channel).collect()
    }

    /// Tells whether no run has anything left to do for this recording. An archived one whose lease was never released
    /// may not have been told to the webhook's receiver.
    pub fn is_final(&self) -> bool {
        match self.state {
            State::Archived => self.lease_expires_at == 0,
            State::Notified | State::Skipped | State::Failed | State::Expired => true,
            _ => false,
        }
    }

    /// Tells whether nothing more can come of this conversation.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Settled | State::Unrecorded)
    }

    /// Tells whether, by all that the ledger knows of a conversation, it is settled without a recording: none was listed, or none
    /// that is wanted. It is the one end that a recording which appears later contradicts.
    pub fn is_settled_empty<'a>(records: impl IntoIterator<Item = &'a Self>) -> bool {
        let mut settled = false;
        for record in records {
            settled |= record.is_settled();
            if record.recording_id != "-" && record.state != State::Skipped {
                return false;
            }
        }
        settled
    }

    /// Returns when the lease ends, in milliseconds since the epoch. No lease outlasts Lambda's longest invocation, so one that
    /// says otherwise was written by a wrong clock: it ends 15 minutes after it was written. Where that lies in the
    /// future itself, nothing tells when the lease was taken, and it holds nobody up.
    pub fn lease_end(&self, now_ms: i64) -> i64 {
        let written = self.updated_at.as_millisecond();
        if written > now_ms.saturating_add(LONGEST_LEASE_MS) {
            return 0;
        }
        let latest = written.min(now_ms).saturating_add(LONGEST_LEASE_MS);
        self.lease_expires_at.min(latest)
    }

    /// Whether a former run finished with this recording, so far as downloading is concerned.
    pub fn is_archived(&self) -> bool {
        matches!(self.state, State::Archived | State::Notified)
    }
}
