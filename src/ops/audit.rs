//! The chain of custody of one conversation.

use serde::Serialize;

use super::custody::{self, Custody};
use super::finding::Finding;
use super::log::{self, Outside, SealedEvents};
use super::verify::{Checked, Checker, Gone, Proven};
use super::{Error, Session, Verdict};
use crate::domain::audit::Stored;
use crate::domain::record::State;
use crate::domain::recording::{ArchiveKey, ConversationId};

/// The custody of a conversation: all that ledger and audit hold of it.
#[derive(Debug)]
pub struct Audit {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its recordings.
    pub custodies: Vec<Custody>,
    /// All findings, of any of them.
    pub findings: Vec<Finding>,
    /// The files that were read back and are as they were archived; `None`: none was read.
    pub proven: Option<Vec<Proven>>,
    /// The events that the log holds; `None`: none is configured.
    pub sealed: Option<SealedEvents>,
    /// The files that ended lawfully, where they were to be read.
    pub gone: Vec<Gone>,
}

/// The chain of custody in figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures<'a> {
    interaction_id: String,
    recordings: Vec<RecordingFigures<'a>>,
    findings: &'a [Finding],
    read: bool,
    proven: &'a [Proven],
    sealed: Option<&'a SealedEvents>,
    gone: &'a [Gone],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingFigures<'a> {
    recording_id: &'a str,
    state: Option<&'static str>,
    events: usize,
    chain_head: Option<&'a str>,
    files: Vec<FileFigures>,
    #[serde(rename = "whole")]
    intact: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FileFigures {
    archive_key: ArchiveKey,
    sha256: String,
    size_bytes: u64,
    attempt_id: String,
}

impl FileFigures {
    fn of(stored: Stored) -> Self {
        Self {
            archive_key: stored.archive_key,
            sha256: stored.sha256,
            size_bytes: stored.size_bytes,
            attempt_id: stored.attempt_id,
        }
    }
}

/// Reads both tables, checks each chain, holds it against the log, and reads with `read` every file that the audit
/// names.
pub async fn audit(
    session: &Session,
    conversation: ConversationId,
    outside: &Outside,
    read: bool,
) -> Result<Audit, Error> {
    let checker = Checker {
        ledger: session.ledger(),
        storage: session.storage(),
        span: None,
    };
    let reading = async {
        let (custodies, mut findings) = custody::of(&checker.ledger, conversation).await?;
        findings.extend(custodies.iter().flat_map(|custody| custody.findings.clone()));
        let mut checked = Checked::default();
        for custody in custodies.iter().filter(|_| read) {
            checker.files(conversation, custody, &mut checked).await;
        }
        findings.append(&mut checked.findings);
        let sealed = log::sealed(session, outside, &custodies).await?;
        let (sealed, of_log) = sealed.unzip();
        findings.extend(of_log.into_iter().flatten());
        Ok::<_, Error>(Audit {
            conversation,
            custodies,
            findings,
            proven: read.then_some(checked.proven),
            sealed,
            gone: checked.gone,
        })
    };
    session.unless_interrupted(reading).await
}

impl Audit {
    /// Returns the figures of the conversation.
    pub fn figures(&self) -> Figures<'_> {
        let recordings = self.custodies.iter().map(|custody| {
            let record = custody.record.as_ref();
            RecordingFigures {
                recording_id: &custody.recording,
                state: custody.state().map(State::as_str),
                events: custody.events.len(),
                chain_head: record.map(|record| record.chain_head.as_str()),
                files: custody.files().into_iter().map(FileFigures::of).collect(),
                intact: custody.findings.is_empty(),
            }
        });
        Figures {
            interaction_id: self.conversation.to_string(),
            recordings: recordings.collect(),
            findings: &self.findings,
            read: self.proven.is_some(),
            proven: self.proven.as_deref().unwrap_or_default(),
            sealed: self.sealed.as_ref(),
            gone: &self.gone,
        }
    }

    /// Returns whether a recording of it was archived, by the audit.
    pub fn is_archived(&self) -> bool {
        let mut custodies = self.custodies.iter();
        custodies.any(|custody| custody.archived_at().is_some())
    }

    /// Returns the recordings of it that are not archived, by the audit, but for those that nobody wants.
    pub fn unarchived(&self) -> impl Iterator<Item = &Custody> {
        let wanted = self.custodies.iter().filter(|custody| !custody.superseded);
        let wanted =
            wanted.filter(|custody| !matches!(custody.state(), Some(State::Skipped | State::Erased)));
        wanted.filter(|custody| custody.archived_at().is_none())
    }

    /// Returns whether there are findings, or nothing is archived of which anything could be proven.
    pub fn verdict(&self) -> Verdict {
        if !self.findings.is_empty() {
            Verdict::Findings
        } else if self.is_archived() {
            Verdict::Clean
        } else {
            Verdict::Nothing
        }
    }
}
