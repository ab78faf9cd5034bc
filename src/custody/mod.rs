//! The custody of a conversation: all that ledger and audit hold of it, and whether both agree. The audit is the truth:
//! state, files and times come from its events, and the ledger is held against them. Events that are not about
//! archiving lie in chains apart, of which the ledger knows nothing.

mod apart;
pub mod finding;
pub mod standing;

use std::collections::BTreeMap;

use crate::aws::ledger::{Events, Ledger, RecordPage, UnreadableEvent};
use crate::domain::audit::{self, Apart, AuditEvent, Chain, ChainBreak, Stored, Subject};
use crate::domain::record::{Record, State};
use crate::domain::recording::{ArchiveKey, ArchivedFile};
use crate::error::Error;
pub use apart::ApartChain;
use finding::{Code, Finding};
use jiff::Timestamp;

/// All that ledger and audit hold of a conversation, or of another subject of the audit.
#[derive(Debug, Default)]
pub struct Held {
    /// Its recordings, and the conversation as a whole.
    pub custodies: Vec<Custody>,
    /// The chains of its events that are not about archiving.
    pub apart: Vec<ApartChain>,
    /// The findings that belong to none of them.
    pub findings: Vec<Finding>,
}

/// All that ledger and audit hold of one recording.
#[derive(Debug)]
pub struct Custody {
    /// The recording as ledger and audit spell it; `-` is the conversation as a whole.
    pub recording: String,
    /// Its record in the ledger.
    pub record: Option<Record>,
    /// Its audit events, in order.
    pub events: Vec<AuditEvent>,
    /// Items of its audit that are no events.
    pub unreadable: Vec<UnreadableEvent>,
    /// All its events can be read, and their chain has no gap and no change.
    pub intact: bool,
    /// This is the conversation as a whole, and its recordings are known by now, which supersedes it.
    pub superseded: bool,
    /// The findings about the chain.
    pub findings: Vec<Finding>,
    /// How audit and ledger contradict each other about what became of the recording, or why the audit cannot be relied
    /// on. Times are not among it: `findings` has them.
    pub contradiction: Option<String>,
}

/// Reads the custody of each recording of a conversation, and its chains apart. Where the tables agree, that takes one
/// Query of each.
pub async fn of(ledger: &Ledger, subject: impl Into<Subject>) -> Result<Held, Error> {
    let subject = subject.into();
    let (known, audit) = futures_util::try_join!(ledger.all_records(subject), ledger.events(subject))?;
    if known == RecordPage::default() && audit == Events::default() {
        return Ok(Held {
            findings: vec![Finding::unknown(subject)],
            ..Held::default()
        });
    }
    let held = Held::sorted(subject, known, audit, ledger.now());
    let mut custodies = held.custodies.iter();
    if !custodies.any(|custody| custody.contradiction.is_some()) {
        return Ok(held);
    }
    // A run may have written both between the two reads.
    let (known, audit) = tables(ledger, subject).await?;
    Ok(Held::sorted(subject, known, audit, ledger.now()))
}

impl Held {
    /// Sorts what both tables hold by recording, and checks each of them.
    fn sorted(subject: Subject, known: RecordPage, audit: Events, now: Timestamp) -> Self {
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
                None => findings.push(Finding::unreadable_event(subject, &event)),
            }
        }
        // Whatever the ledger says of them: it has nothing to say.
        let apart = chains.extract_if(.., |recording, _| Apart::parse(subject, recording).is_some());
        let apart: Vec<_> = apart.collect();
        for (_, recording) in &known.unreadable {
            let chain = chains.remove(recording).unwrap_or_default();
            findings.extend(
                chain
                    .unreadable
                    .iter()
                    .map(|event| Finding::unreadable_event(subject, event)),
            );
        }
        let mut custodies = Vec::new();
        for record in known.records {
            let chain = chains.remove(&record.recording_id).unwrap_or_default();
            let recording = record.recording_id.clone();
            custodies.push(Custody::checked(subject, recording, Some(record), chain, now));
        }
        for (recording, chain) in chains {
            custodies.push(Custody::checked(subject, recording, None, chain, now));
        }
        if custodies.len() > 1 {
            custodies
                .iter_mut()
                .for_each(|custody| custody.superseded = custody.recording == "-");
        }
        let known = |recording: &str| {
            let unreadable = |(_, key): &(String, String)| key == recording;
            custodies.iter().any(|custody| custody.recording == recording)
                || known.unreadable.iter().any(unreadable)
        };
        let apart = apart
            .into_iter()
            .filter_map(|(recording, chain)| {
                let name = Apart::parse(subject, &recording)?;
                Some(ApartChain::checked(name, chain, known, now))
            })
            .collect();
        Self {
            custodies,
            apart,
            findings,
        }
    }

    /// Returns all events, of chains apart too.
    pub fn events(&self) -> impl Iterator<Item = &AuditEvent> {
        let custodies = self.custodies.iter().flat_map(|custody| &custody.events);
        custodies.chain(self.apart.iter().flat_map(|chain| &chain.events))
    }
}

/// Number of times that tables are read while a run writes to them.
const TRIES: usize = 10;

/// Reads ledger and audit of a conversation as they are at one moment: a run may be writing both.
async fn tables(ledger: &Ledger, subject: Subject) -> Result<(RecordPage, Events), Error> {
    let mut before = ledger.all_records(subject).await?;
    let mut tries = 1;
    loop {
        let events = ledger.events(subject).await?;
        let after = ledger.all_records(subject).await?;
        if before == after || tries == TRIES {
            return Ok((after, events));
        }
        (before, tries) = (after, tries + 1);
    }
}

impl Custody {
    /// Sorts the events, and checks that none is missing, that times go forward, and that the ledger says the same. A
    /// chain with an item that cannot be read is not checked beyond that.
    fn checked(
        subject: Subject,
        recording: String,
        record: Option<Record>,
        mut chain: Events,
        now: Timestamp,
    ) -> Self {
        chain.events.sort_by_key(AuditEvent::seq);
        let end = audit::verify(&chain.events);
        let unreadable = chain.unreadable.iter();
        let mut custody = Self {
            recording,
            record,
            intact: chain.unreadable.is_empty() && end.is_ok(),
            findings: unreadable
                .map(|event| Finding::unreadable_event(subject, event))
                .collect(),
            events: chain.events,
            unreadable: chain.unreadable,
            superseded: false,
            contradiction: None,
        };
        if custody.unreadable.is_empty() {
            (custody.findings, custody.contradiction) = custody.disagreements(subject, end, now);
        } else {
            let first = custody.findings.first();
            custody.contradiction = first.map(|finding| finding.detail.clone());
        }
        custody
    }

    /// Returns the findings about a chain whose items are all events and which verified to this `end`, and what of it
    /// is a contradiction.
    fn disagreements(
        &self,
        subject: Subject,
        end: Result<Chain, ChainBreak>,
        now: Timestamp,
    ) -> (Vec<Finding>, Option<String>) {
        let mut found = Vec::new();
        let broken_off = self.broken_off(end);
        let compared = self.record.as_ref().filter(|_| broken_off.is_none());
        found.extend(broken_off.map(|(code, detail)| (None, code, detail)));
        let differs = |(key, detail)| (key, Code::LedgerDiffers, detail);
        found.extend(
            compared
                .iter()
                .flat_map(|record| self.differences(record))
                .map(differs),
        );
        let contradiction = found.first().map(|(_, _, detail)| detail.clone());
        let times = compared.and_then(|record| self.wrong_times(record, now));
        found.extend(times.map(|detail| (None, Code::LedgerDiffers, detail)));
        if let Some(fault) = audit::time_fault(&self.events, now) {
            found.push((None, Code::TimeImplausible, fault.to_string()));
        }
        let finding = |(key, code, detail): (Option<ArchiveKey>, Code, String)| {
            self.finding(subject.to_string(), key.as_ref(), code, detail)
        };
        (found.into_iter().map(finding).collect(), contradiction)
    }

    /// Returns how the chain is broken, or does not end where the ledger says.
    fn broken_off(&self, end: Result<Chain, ChainBreak>) -> Option<(Code, String)> {
        let detail = match (&self.record, end) {
            (_, Err(broken)) => return Some((Code::AuditBroken, broken.to_string())),
            (None, Ok(_)) => "the audit has events of it, and the ledger has no record".to_owned(),
            (Some(record), Ok(end)) if self.events.is_empty() || end.seq < record.seq => {
                let (audit, ledger) = (end.seq, record.seq);
                let detail = format!("the audit ends with event {audit}, and the ledger counts {ledger}");
                return Some((Code::AuditMissing, detail));
            }
            (Some(record), Ok(end)) if end.seq > record.seq || end.head != record.chain_head => format!(
                "the audit's event {} does not end the chain that the ledger knows ({} events)",
                end.seq, record.seq
            ),
            (Some(_), Ok(_)) => return None,
        };
        Some((Code::LedgerDiffers, detail))
    }

    /// Returns what the ledger says differently from the audit but for times, with the object where it is about one.
    fn differences(&self, record: &Record) -> Vec<(Option<ArchiveKey>, String)> {
        let mut told = Vec::new();
        let name = |state: Option<State>| state.map_or("none", State::as_str);
        if self.state() != Some(record.state) {
            let (ledger, audit) = (record.state.as_str(), name(self.state()));
            told.push((
                None,
                format!("its state is {ledger} in the ledger and {audit} in the audit"),
            ));
        }
        let files = self.files();
        for stored in &files {
            let same = |file: &&ArchivedFile| file.archive_key == stored.archive_key;
            let detail = match record.files.iter().find(same) {
                Some(file) => stored.difference(file),
                None => Some("the audit says that it is stored, and the ledger does not name it".to_owned()),
            };
            told.extend(detail.map(|detail| (Some(stored.archive_key.clone()), detail)));
        }
        for file in record.files.iter().chain(&record.former_files) {
            let named = files.iter().any(|stored| stored.archive_key == file.archive_key);
            let announced = self.events.iter().any(|event| audit::announces(event, file));
            if !named && !announced {
                let detail = "the ledger names it, and no audit event does".to_owned();
                told.push((Some(file.archive_key.clone()), detail));
            }
        }
        told
    }

    /// Returns which of the ledger's times the audit contradicts, if one is.
    fn wrong_times(&self, record: &Record, now: Timestamp) -> Option<String> {
        let apart = |one, other| audit::is_ahead(one, other) || audit::is_ahead(other, one);
        let told = |at: Option<Timestamp>| at.map_or_else(|| "none".to_owned(), |at| at.to_string());
        let (ledger, audit) = (record.archived_at, self.archived_at());
        let differs = match (ledger, audit) {
            (Some(ledger), Some(audit)) => apart(ledger, audit),
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        };
        if differs {
            let (ledger, audit) = (told(ledger), told(audit));
            return Some(format!(
                "archivedAt is {ledger} in the ledger and {audit} in the audit"
            ));
        }
        let updated = record.updated_at;
        let last = self.events.last().and_then(AuditEvent::timestamp);
        if audit::is_ahead(updated, now) {
            return Some(format!("updatedAt is {updated}, which is in the future"));
        }
        let last = last.filter(|last| audit::is_ahead(*last, updated))?;
        Some(format!("updatedAt is {updated}, and its last event is of {last}"))
    }

    /// Returns the state that the events lead to.
    pub fn state(&self) -> Option<State> {
        audit::state(&self.events)
    }

    /// Returns the files that lie in S3, by the audit.
    pub fn files(&self) -> Vec<Stored> {
        audit::stored(&self.events)
    }

    /// Returns when the recording was archived, by the audit.
    pub fn archived_at(&self) -> Option<Timestamp> {
        audit::archived_at(&self.events)
    }

    /// Makes a finding about this recording, or about one of its objects.
    pub fn finding(
        &self,
        interaction_id: String,
        object: Option<&ArchiveKey>,
        code: Code,
        detail: String,
    ) -> Finding {
        Finding {
            code,
            interaction_id: Some(interaction_id),
            recording_id: Some(self.recording.clone()),
            archive_key: object.map(ToString::to_string),
            detail,
        }
    }
}

/// The words with which the archiver reports bytes that a job did not expect.
const UNEXPECTED: &str = ", not the expected ";

/// Returns the error of a recording that failed because its bytes were not those which its job expected. A job
/// without the expected SHA-256 would archive them unseen.
pub fn unexpected(record: Option<&Record>, events: &[AuditEvent]) -> Option<String> {
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
