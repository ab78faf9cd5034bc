//! Everything that both tables know of a conversation, and whether it holds together.

use std::collections::BTreeMap;

use super::finding::{Code, Finding};
use crate::aws::ledger::{Events, Ledger, RecordPage};
use crate::domain::audit::{self, AuditItem};
use crate::domain::record::{Record, State};
use crate::domain::recording::{ArchivedFile, ConversationId};
use crate::error::Error;
use jiff::Timestamp;
use serde_json::Value;

/// What is known of one recording.
#[derive(Debug)]
pub struct Custody {
    /// As ledger and audit spell it; `-` is the conversation as a whole.
    pub recording: String,
    /// What the ledger knows.
    pub record: Option<Record>,
    /// Its audit, in order.
    pub events: Vec<AuditItem>,
    /// Whether its chain is whole so far as it goes.
    pub whole: bool,
    /// It is the conversation as a whole, and its recordings are known by now: what the ledger says of it is overtaken.
    pub overtaken: bool,
    /// What is wrong with the chain.
    pub findings: Vec<Finding>,
}

/// Reads what is known of each recording of a conversation, and what is wrong with the tables beside that.
pub async fn of(ledger: &Ledger, id: ConversationId) -> Result<(Vec<Custody>, Vec<Finding>), Error> {
    let (known, audit) = tables(ledger, id).await?;
    if known == RecordPage::default() && audit == Events::default() {
        return Ok((Vec::new(), vec![Finding::unknown(id)]));
    }
    let mut chains: BTreeMap<String, Events> = BTreeMap::new();
    for event in audit.events {
        let chain = chains.entry(text(&event, "recordingId")).or_default();
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
            .for_each(|custody| custody.overtaken = custody.recording == "-");
    }
    Ok((custodies, findings))
}

/// How often tables that are being written to are read again.
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
    /// Puts the events in order, and checks that they are all there and end where the ledger says. A chain with an item
    /// that cannot be read cannot be judged beyond that.
    fn new(id: ConversationId, recording: String, record: Option<Record>, chain: Events) -> Self {
        let Events {
            mut events,
            unreadable,
        } = chain;
        events.sort_by_key(|event| event.get("seq").and_then(Value::as_u64));
        if !unreadable.is_empty() {
            let findings = unreadable
                .iter()
                .map(|event| Finding::unreadable_event(id, event));
            return Self {
                recording,
                record,
                events,
                whole: false,
                overtaken: false,
                findings: findings.collect(),
            };
        }
        let end = audit::verify(&events);
        let mut custody = Self {
            recording,
            record,
            events,
            whole: end.is_ok(),
            overtaken: false,
            findings: Vec::new(),
        };
        let wrong = match (&custody.record, end) {
            (None, _) => Some((
                Code::LedgerDiffers,
                "the audit has events of it, and the ledger has no record".to_owned(),
            )),
            (_, Err(broken)) => Some((Code::AuditBroken, broken.to_string())),
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
            _ => None,
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
            archive_key: file.map(|file| file.archive_key.clone()),
            detail,
        }
    }
}

/// How the archiver tells of bytes that are not those which a job expects.
const UNEXPECTED: &str = ", not the expected ";

/// Returns what a run told of bytes that were not those which its job expected, if that is why this recording failed. A job
/// without the expected SHA-256 would archive them unseen.
pub(super) fn unexpected(record: Option<&Record>, events: &[AuditItem]) -> Option<String> {
    record.filter(|record| record.state == State::Failed)?;
    let told = events.iter().rev().find(|event| event.contains_key("error"))?;
    Some(text(told, "error")).filter(|error| error.contains(UNEXPECTED))
}

/// Names a recording, or the conversation as a whole, for people; ledger and audit spell the latter `-`.
pub fn named(recording: &str) -> String {
    match recording {
        "-" => "the conversation as a whole".to_owned(),
        recording => format!("recording {recording}"),
    }
}

/// Returns an attribute of an event that is a text; empty if it is none.
pub fn text(event: &AuditItem, name: &str) -> String {
    let value = event.get(name).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

/// Returns a moment of the recording as Genesys gave it, by the last event that has it.
pub fn noted(events: &[AuditItem], name: &str) -> Option<Timestamp> {
    let told = |event: &AuditItem| event.get("genesys")?.get(name)?.as_str()?.parse().ok();
    events.iter().rev().find_map(told)
}

/// Returns when the recording began.
pub fn started(events: &[AuditItem]) -> Option<Timestamp> {
    noted(events, "startTime").or_else(|| noted(events, "originalRecordingStartTime"))
}
