//! The custody of a conversation: all that ledger and audit hold of it, and whether both agree.

use std::collections::BTreeMap;

use super::finding::{Code, Finding};
use crate::aws::ledger::{Events, Ledger, RecordPage};
use crate::domain::audit::{self, AuditEvent};
use crate::domain::record::{Record, State};
use crate::domain::recording::{ArchivedFile, ConversationId};
use crate::error::Error;
use jiff::Timestamp;

/// All that ledger and audit hold of one recording.
#[derive(Debug)]
pub struct Custody {
    /// The recording as ledger and audit spell it; `-` is the conversation as a whole.
    pub recording: String,
    /// Its record in the ledger.
    pub record: Option<Record>,
    /// Its audit events, in order.
    pub events: Vec<AuditEvent>,
    /// All its events can be read, and their chain has no gap and no change.
    pub intact: bool,
    /// This is the conversation as a whole, and its recordings are known by now, which supersedes it.
    pub superseded: bool,
    /// The findings about the chain.
    pub findings: Vec<Finding>,
}

/// Reads the custody of each recording of a conversation, and the findings that belong to none of them.
pub async fn of(ledger: &Ledger, id: ConversationId) -> Result<(Vec<Custody>, Vec<Finding>), Error> {
    let (known, audit) = tables(ledger, id).await?;
    if known == RecordPage::default() && audit == Events::default() {
        return Ok((Vec::new(), vec![Finding::unknown(id)]));
    }
    let mut chains: BTreeMap<String, Events> = BTreeMap::new();
    for event in audit.events {
        let chain = chains
            .entry(event.recording().unwrap_or_default().to_owned())
            .or_default();
        chain.events.push(event);
    }
    let mut findings: Vec<_> = known
        .unreadable
        .iter()
        .cloned()
        .map(Finding::unreadable)
        .collect();
    for event in audit.unreadable {
        match &event.recording_id {
            Some(recording) => chains
                .entry(recording.clone())
                .or_default()
                .unreadable
                .push(event),
            None => findings.push(Finding::unreadable_event(id, &event)),
        }
    }
    for (_, recording) in &known.unreadable {
        let chain = chains.remove(recording).unwrap_or_default();
        findings.extend(
            chain
                .unreadable
                .iter()
                .map(|event| Finding::unreadable_event(id, event)),
        );
    }
    let mut custodies = Vec::new();
    for record in known.records {
        let chain = chains.remove(&record.recording_id).unwrap_or_default();
        custodies.push(Custody::new(id, record.recording_id.clone(), Some(record), chain));
    }
    for (recording, chain) in chains {
        custodies.push(Custody::new(id, recording, None, chain));
    }
    if custodies.len() > 1 {
        custodies
            .iter_mut()
            .for_each(|custody| custody.superseded = custody.recording == "-");
    }
    Ok((custodies, findings))
}

/// Number of times that tables are read while a run writes to them.
const TRIES: usize = 3;

/// Reads ledger and audit of a conversation as they are at one moment: a run may be writing both.
async fn tables(ledger: &Ledger, id: ConversationId) -> Result<(RecordPage, Events), Error> {
    let mut before = ledger.all_records(id).await?;
    let mut tries = 1;
    loop {
        let events = ledger.events(id).await?;
        let after = ledger.all_records(id).await?;
        if before == after || tries == TRIES {
            return Ok((after, events));
        }
        (before, tries) = (after, tries + 1);
    }
}

impl Custody {
    /// Sorts the events and checks that none is missing and that they end where the ledger says. A chain with an item
    /// that cannot be read is not checked beyond that.
    fn new(id: ConversationId, recording: String, record: Option<Record>, chain: Events) -> Self {
        let Events {
            mut events,
            unreadable,
        } = chain;
        events.sort_by_key(AuditEvent::seq);
        if !unreadable.is_empty() {
            let findings = unreadable
                .iter()
                .map(|event| Finding::unreadable_event(id, event));
            return Self {
                recording,
                record,
                events,
                intact: false,
                superseded: false,
                findings: findings.collect(),
            };
        }
        let end = audit::verify(&events);
        let mut custody = Self {
            recording,
            record,
            events,
            intact: end.is_ok(),
            superseded: false,
            findings: Vec::new(),
        };
        let wrong = match (&custody.record, end) {
            (None, _) => Some((
                Code::LedgerDiffers,
                "the audit has events of it, and the ledger has no record".to_owned(),
            )),
            (Some(_), Err(broken)) => Some((Code::AuditBroken, broken.to_string())),
            (Some(record), Ok(end)) if end.seq < record.seq => Some((
                Code::AuditMissing,
                format!(
                    "the audit ends with event {}, and the ledger counts {}",
                    end.seq, record.seq
                ),
            )),
            (Some(record), Ok(end)) if end.seq > record.seq || end.head != record.chain_head => Some((
                Code::LedgerDiffers,
                format!(
                    "the audit's event {} does not end the chain that the ledger knows ({} events)",
                    end.seq, record.seq
                ),
            )),
            (Some(_), Ok(_)) => None,
        };
        if let Some((code, detail)) = wrong {
            let finding = custody.finding(id.to_string(), None, code, detail);
            custody.findings.push(finding);
        }
        custody
    }

    /// Makes a finding about this recording, or about one of its files.
    pub fn finding(
        &self,
        interaction_id: String,
        file: Option<&ArchivedFile>,
        code: Code,
        detail: String,
    ) -> Finding {
        Finding {
            code,
            interaction_id: Some(interaction_id),
            recording_id: Some(self.recording.clone()),
            archive_key: file.map(|file| file.archive_key.to_string()),
            detail,
        }
    }
}

/// The words with which the archiver reports bytes that a job did not expect.
const UNEXPECTED: &str = ", not the expected ";

/// Returns the error of a recording that failed because its bytes were not those which its job expected. A job
/// without the expected SHA-256 would archive them unseen.
pub(super) fn unexpected(record: Option<&Record>, events: &[AuditEvent]) -> Option<String> {
    record.filter(|record| record.state == State::Failed)?;
    let error = last_error(events)?;
    error.contains(UNEXPECTED).then(|| error.to_owned())
}

/// Returns the last error that these events hold.
pub fn last_error(events: &[AuditEvent]) -> Option<&str> {
    events.iter().rev().find_map(AuditEvent::error)
}

/// Names a recording, or the conversation as a whole, for people.
pub fn named(recording: &str) -> String {
    match recording {
        "-" => "the conversation as a whole".to_owned(),
        recording => format!("recording {recording}"),
    }
}

/// Returns a moment that Genesys names for the recording, by the last event that has it.
pub fn noted(events: &[AuditEvent], name: &str) -> Option<Timestamp> {
    events.iter().rev().find_map(|event| event.genesys_moment(name))
}

/// Returns when the recording began.
pub fn started(events: &[AuditEvent]) -> Option<Timestamp> {
    noted(events, "startTime").or_else(|| noted(events, "originalRecordingStartTime"))
}
