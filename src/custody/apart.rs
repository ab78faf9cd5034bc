//! Chains of events that are not about archiving, as they are read.

use jiff::Timestamp;

use super::finding::{Code, Finding};
use crate::aws::ledger::Events;
use crate::domain::audit::{self, Apart, AuditEvent};

/// A chain of events that are not about archiving. No record of the ledger says where such a chain ends, so events that
/// are missing at its end are found by the transparency log alone.
#[derive(Debug)]
pub struct ApartChain {
    /// Its name.
    pub name: Apart,
    /// Its events, in order.
    pub events: Vec<AuditEvent>,
    /// All its events can be read, and the chain has no gap and no change.
    pub intact: bool,
    /// The findings about it.
    pub findings: Vec<Finding>,
}

impl ApartChain {
    /// Sorts the events, and checks that none but the last ones can be missing, and that times go forward. `is_known`
    /// says whether a recording is known to audit or ledger. A chain with an item that cannot be read is not checked
    /// beyond that.
    pub(super) fn checked(
        name: Apart,
        mut chain: Events,
        is_known: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Self {
        chain.events.sort_by_key(AuditEvent::seq);
        let mut checked = Self {
            name,
            intact: false,
            findings: Vec::new(),
            events: chain.events,
        };
        let subject = name.subject();
        if !chain.unreadable.is_empty() {
            let unreadable = chain.unreadable.iter();
            checked.findings = unreadable
                .map(|event| Finding::unreadable_event(subject, event))
                .collect();
            return checked;
        }
        let broken = match audit::verify(&checked.events) {
            Err(broken) => Some(broken.to_string()),
            Ok(_) => checked.misplaced(),
        };
        checked.intact = broken.is_none();
        let orphaned = match name {
            Apart::Access(recording) if !is_known(&recording.recording_key()) => {
                Some(format!("it tells of {recording}, of which nothing else is known"))
            }
            Apart::Access(_) | Apart::Statement(_) => None,
        };
        let time = audit::time_fault(&checked.events, now).map(|fault| fault.to_string());
        checked.findings = [
            (Code::AuditBroken, broken),
            (Code::AuditMissing, orphaned),
            (Code::TimeImplausible, time),
        ]
        .into_iter()
        .filter_map(|(code, detail)| {
            Some(Finding {
                code,
                interaction_id: Some(subject.to_string()),
                recording_id: Some(name.recording_key()),
                archive_key: None,
                detail: detail?,
            })
        })
        .collect();
        checked
    }

    /// Says which event is about archiving, and so was moved here from a chain that the ledger knows.
    fn misplaced(&self) -> Option<String> {
        let action = |event: &AuditEvent| event.action().filter(|action| !action.is_apart());
        let (event, action) = self
            .events
            .iter()
            .find_map(|event| Some((event, action(event)?)))?;
        let (seq, action) = (event.seq().unwrap_or_default(), action.as_str());
        Some(format!(
            "event {seq} is {action}, which does not belong into the {}",
            self.name
        ))
    }
}
