//! The chain of custody of one conversation.

use serde::Serialize;

use super::custody::{self, Custody};
use super::finding::Finding;
use super::{Error, Session, Verdict};
use crate::domain::recording::{ArchivedFile, ConversationId};

/// The custody of a conversation: all that ledger and audit hold of it.
#[derive(Debug)]
pub struct Audit {
    /// The conversation.
    pub conversation: ConversationId,
    /// Its recordings.
    pub custodies: Vec<Custody>,
    /// All findings, of any of them.
    pub findings: Vec<Finding>,
}

/// The chain of custody in figures.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures<'a> {
    interaction_id: String,
    recordings: Vec<RecordingFigures<'a>>,
    findings: &'a [Finding],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RecordingFigures<'a> {
    recording_id: &'a str,
    state: Option<&'static str>,
    events: usize,
    chain_head: Option<&'a str>,
    files: Option<&'a [ArchivedFile]>,
    #[serde(rename = "whole")]
    intact: bool,
}

/// Reads both tables and checks each chain.
pub async fn audit(session: &Session, conversation: ConversationId) -> Result<Audit, Error> {
    let ledger = session.ledger();
    let (custodies, mut findings) = session
        .unless_interrupted(custody::of(&ledger, conversation))
        .await?;
    findings.extend(custodies.iter().flat_map(|custody| custody.findings.clone()));
    Ok(Audit {
        conversation,
        custodies,
        findings,
    })
}

impl Audit {
    /// Returns the figures of the conversation.
    pub fn figures(&self) -> Figures<'_> {
        let recordings = self.custodies.iter().map(|custody| {
            let record = custody.record.as_ref();
            RecordingFigures {
                recording_id: &custody.recording,
                state: record.map(|record| record.state.as_str()),
                events: custody.events.len(),
                chain_head: record.map(|record| record.chain_head.as_str()),
                files: record.map(|record| record.files.as_slice()),
                intact: custody.findings.is_empty(),
            }
        });
        Figures {
            interaction_id: self.conversation.to_string(),
            recordings: recordings.collect(),
            findings: &self.findings,
        }
    }

    /// Returns whether there are findings.
    pub fn verdict(&self) -> Verdict {
        if self.findings.is_empty() {
            Verdict::Clean
        } else {
            Verdict::Findings
        }
    }
}
