//! Which jobs need not be sent.

use crate::domain::job::Job;
use crate::domain::record::{Record, State};

/// Returns what a checkpoint remembers a job by.
pub(super) fn key(job: &Job) -> String {
    match (job.recording, job.segment) {
        (None, _) => job.conversation.to_string(),
        (Some(recording), None) => format!("{}/{recording}", job.conversation),
        (Some(recording), Some(segment)) => format!(
            "{}/{recording}#{}-{}",
            job.conversation, segment.start, segment.end
        ),
    }
}

/// Says whether the ledger has all that the job asks for: with settling, a conversation of which nothing more can come; else
/// so far as it knows the conversation. One that was settled without a recording is looked at again: of days, only those are
/// asked about in which analytics say that one was started, and somebody put it on a list.
pub(super) fn is_archived(job: &Job, records: &[Record], settles: bool) -> bool {
    // Whether the bytes are the expected ones is for the function to say.
    if job.expected_sha256.is_some() {
        return false;
    }
    if settles && job.recording.is_none() {
        return records.iter().any(Record::is_settled) && !Record::is_settled_empty(records);
    }
    let wanted = |record: &&Record| match job.recording {
        Some(id) if job.segment.is_none() => record.recording_id == id.to_string(),
        Some(_) => false,
        None => record.recording_id != "-",
    };
    let mut about = records.iter().filter(wanted).peekable();
    about.peek().is_some() && about.all(|record| record.is_archived() || record.state == State::Skipped)
}
