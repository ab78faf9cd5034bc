//! The jobs that need not be sent, as their recordings are archived.

use crate::domain::job::Job;
use crate::domain::record::{Record, State};
use crate::domain::recording::RecordingRef;

/// The proof that a whole conversation is archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// The function settled it.
    Settled,
    /// All recordings of it that the ledger knows are archived.
    KnownRecordings,
}

/// Returns the key of a job in a checkpoint.
pub(super) fn key(job: &Job) -> String {
    let &Job {
        conversation,
        recording,
        segment,
        ..
    } = job;
    if recording.is_none() {
        return conversation.to_string();
    }
    let target = RecordingRef {
        conversation,
        recording,
        segment,
    };
    format!("{conversation}/{}", target.recording_key())
}

/// Returns whether a recording, as ledger and audit spell it, is among those that the job asks for.
pub(super) fn concerns(job: &Job, recording: &str) -> bool {
    job.recording.is_none_or(|id| {
        let segment = job.segment;
        let conversation = job.conversation;
        let target = RecordingRef {
            conversation,
            recording: Some(id),
            segment,
        };
        target.recording_key() == recording
    })
}

/// Returns whether everything that the job asks for is archived, a whole conversation by the `proof` that is
/// available. A conversation that was settled without a recording is not: analytics, or the author of the list,
/// say that there is one.
pub(super) fn is_archived(job: &Job, records: &[&Record], proof: Proof) -> bool {
    // The function compares the bytes with the expected hash.
    if job.expected_sha256.is_some() {
        return false;
    }
    if proof == Proof::Settled && job.recording.is_none() {
        return records.iter().any(|record| record.is_settled())
            && !Record::is_settled_empty(records.iter().copied());
    }
    let wanted = |record: &&Record| match job.recording {
        Some(id) if job.segment.is_none() => record.recording_id == id.to_string(),
        Some(_) => false,
        None => record.recording_id != "-",
    };
    let mut about = records.iter().copied().filter(wanted).peekable();
    about.peek().is_some()
        && about.all(|record| record.is_archived() || record.is_erased() || record.state == State::Skipped)
}
