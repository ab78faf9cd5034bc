//! One item of the ledger table, as a value.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::annotations::Annotation;
use super::audit::Chain;
use super::recording::ArchivedFile;

pub use super::state::State;

/// Longest invocation of Lambda: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const LONGEST_LEASE_MS: i64 = 15 * 60 * 1_000;

/// One item of the ledger table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Partition key.
    pub interaction_id: String,
    /// Sort key: see [`RecordingRef::recording_key`](crate::domain::recording::RecordingRef::recording_key).
    pub recording_id: String,
    /// Its state.
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
    /// The files that are about to become visible (`storing`), or are visible (`archived` and `notified`).
    #[serde(default)]
    pub files: Vec<ArchivedFile>,
    /// The channels with a file of their own, once known; `None` is the only file of all channels.
    #[serde(default)]
    pub channels: Vec<Option<u32>>,
    /// The files that former attempts were about to make visible when they died. Before `archived`, one of them may
    /// lie under each key. After it, they may lie in S3 beside `files`, as those attempts had another format or other
    /// channels.
    #[serde(default)]
    pub former_files: Vec<ArchivedFile>,
    /// The channels that the last attempt which knew them meant to store.
    #[serde(default)]
    pub former_channels: Vec<Option<u32>>,
    /// Pauses and holds of the recording; `None`: not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Vec<Annotation>>,
    /// Number of pauses and holds for which the item has no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations_omitted: Option<usize>,
    /// The format asked for; once archived, that of the first file.
    pub format: String,
    /// The time at which the objects were verified to be visible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Timestamp>,
    /// The error of the last notification, as in its audit event; absent once a notification was delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_error: Option<String>,
    /// The time at which this item was written.
    pub updated_at: Timestamp,
    /// Of a conversation: the number of looks that were taken at it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub looks: u32,
    /// Of a conversation: the last look that had something to do, recorded before it did it. If the look is retried,
    /// its run died in between, and results in the ledger may not have been sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub look_begun: u32,
    /// Of a conversation: all recordings that were ever listed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recordings: Vec<String>,
    /// Of a conversation: the recordings that the last look listed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<String>,
    /// Of a conversation: the time since which each look has listed just these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_since: Option<Timestamp>,
    /// Of a conversation that is settling: the time of the next look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_look_at: Option<Timestamp>,
    /// Of a settled conversation: the proof, `details` or `listing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_by: Option<String>,
    /// Of a deferred conversation: `deferrals` of the job that is sent; a job with fewer is another one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub deferrals: u32,
    /// Of a conversation: the time of its latest end event, from which waiting is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Of a conversation: the kinds of recordings that were ever listed, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Of a conversation: the unreadable entries of its list that were last sent to the exception queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// Of a conversation: the call records that are about to become visible, or that an attempt which died may have
    /// made visible. `files` are the visible ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub describing: Vec<ArchivedFile>,
    /// Of a conversation: the archived recordings that the last call record names, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub described: Vec<String>,
    /// Of a conversation: `details` where the last call record holds the conversation's details, else `listing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described_by: Option<String>,
    /// Of a recording: the time at which Genesys was first found transcoding it, from which waiting for that is
    /// counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcoding_since: Option<Timestamp>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Record {
    /// Returns the end of its audit chain.
    pub(crate) fn chain(&self) -> Chain {
        Chain {
            head: self.chain_head.clone(),
            seq: self.seq,
        }
    }

    /// Moves `files` to `former_files`, but for those in `kept`: they were about to become visible, and it is unknown
    /// whether they did.
    pub(crate) fn retire_files(&mut self, kept: &[ArchivedFile]) {
        for file in std::mem::take(&mut self.files) {
            // The file of an attempt is one, whether S3 answered by then or not.
            let same = |other: &ArchivedFile| {
                (&other.archive_key, other.attempt_id) == (&file.archive_key, file.attempt_id)
            };
            if !kept.iter().any(same) && !self.former_files.iter().any(same) {
                self.former_files.push(file);
            }
        }
        if !self.channels.is_empty() {
            self.former_channels = std::mem::take(&mut self.channels);
        }
    }

    /// Returns the visible files of all channels that the last attempt announced; `None` if one is missing, or if no
    /// attempt announced any.
    pub fn complete(&self, visible: &[ArchivedFile]) -> Option<Vec<ArchivedFile>> {
        if self.former_channels.is_empty() {
            return None;
        }
        let of_channel =
            |channel: &Option<u32>| visible.iter().find(|file| file.channel == *channel).cloned();
        self.former_channels.iter().map(of_channel).collect()
    }

    /// Returns whether no run has anything left to do for this recording. The webhook's receiver may not have been
    /// notified of an archived recording whose lease was never released.
    pub fn is_final(&self) -> bool {
        match self.state {
            State::Archived => self.lease_expires_at == 0,
            State::Notified | State::Skipped | State::Failed | State::Expired | State::Erased => true,
            State::Claimed
            | State::Storing
            | State::Deferred
            | State::Settling
            | State::Settled
            | State::Unrecorded => false,
        }
    }

    /// Returns whether nothing more can come of this conversation.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Settled | State::Unrecorded | State::Erased)
    }

    /// Returns whether it was deleted from the archive on purpose. No run changes it any more.
    pub fn is_erased(&self) -> bool {
        self.state == State::Erased
    }

    /// Returns whether a conversation, by all of its records, is settled without a recording: none was listed, or
    /// none that is wanted. A recording that appears later contradicts this end.
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

    /// Returns the end of the lease, in milliseconds since the epoch. No lease outlasts Lambda's longest invocation,
    /// so a longer one was written by a wrong clock: it ends 15 minutes after it was written. If that time lies in
    /// the future itself, it is unknown when the lease was taken, and it holds nobody up.
    pub fn lease_end(&self, now_ms: i64) -> i64 {
        let written = self.updated_at.as_millisecond();
        if written > now_ms.saturating_add(LONGEST_LEASE_MS) {
            return 0;
        }
        let latest = written.min(now_ms).saturating_add(LONGEST_LEASE_MS);
        self.lease_expires_at.min(latest)
    }

    /// Returns whether a run may be about to make a call record of this conversation visible: it named one less than
    /// the longest invocation ago.
    pub fn is_being_described(&self, now_ms: i64) -> bool {
        let since = now_ms.saturating_sub(self.updated_at.as_millisecond());
        !self.describing.is_empty() && (-LONGEST_LEASE_MS..LONGEST_LEASE_MS).contains(&since)
    }

    /// Returns whether a former run downloaded and stored this recording.
    pub fn is_archived(&self) -> bool {
        matches!(self.state, State::Archived | State::Notified)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_named_a_call_record_counts_for_as_long_as_it_may_live() {
        let file = serde_json::json!({"archiveKey": "s3://calls/call.json", "sha256": "", "sizeBytes": 2,
                                      "format": "json", "attemptId": Uuid::nil()});
        let mut record: Record = serde_json::from_value(serde_json::json!({
            "interactionId": "c", "recordingId": "-", "state": "settling", "leaseOwner": Uuid::nil(),
            "leaseExpiresAt": 0, "attempts": 0, "chainHead": "", "seq": 1, "format": "wav",
            "updatedAt": "2026-01-15T10:00:00Z", "describing": [file],
        }))
        .unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        assert!(record.is_being_described(at("2026-01-15T10:14:59Z")));
        assert!(!record.is_being_described(at("2026-01-15T10:15:00Z")));
        // Written by a wrong clock.
        assert!(!record.is_being_described(at("2026-01-15T09:30:00Z")));
        record.describing.clear();
        assert!(!record.is_being_described(at("2026-01-15T10:01:00Z")));
    }
}
