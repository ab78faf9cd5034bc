//! Which events of a conversation the log holds.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Chain, Leaves, Modified, Outside};
use crate::domain::audit::AuditEvent;
use crate::domain::recording::ConversationId;
use crate::ops::custody::Held;
use crate::ops::finding::{Code, Finding};
use crate::ops::{Error, Session};
use crate::seal::Entry;

/// The age at which an event has to be sealed.
pub(in crate::ops) const SEALED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The leaves of a conversation's events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedEvents {
    /// The log's name.
    pub origin: String,
    /// Number of leaves at the newest checkpoint.
    pub size: u64,
    /// When it was signed; null without one.
    pub time: Option<Timestamp>,
    /// The log goes on from a checkpoint that was kept outside, unless a finding says that it does not.
    pub kept: bool,
    /// The leaf of each event that the log holds, by its `eventHash`.
    pub leaves: BTreeMap<String, u64>,
}

impl SealedEvents {
    /// Returns the leaf of an event.
    pub fn leaf(&self, event: &AuditEvent) -> Option<u64> {
        self.leaves.get(event.text("eventHash")?).copied()
    }
}

/// Looks for the events of a conversation in the log; `None` if none is configured. Returns findings, too: about events
/// older than an hour that it does not hold, about items of which it says that they were changed or removed, and about
/// the log.
pub(in crate::ops) async fn sealed(
    session: &Session,
    outside: &Outside,
    conversation: ConversationId,
    held: &Held,
) -> Result<Option<(SealedEvents, Vec<Finding>)>, Error> {
    let Some(log) = outside.log(session).await? else {
        return Ok(None);
    };
    let (began, chain) = (session.now(), Chain::read(&log).await?);
    let mut findings = chain.findings.clone();
    let mut sealed = SealedEvents {
        origin: log.key.origin().to_owned(),
        kept: outside.checkpoint.is_some(),
        ..SealedEvents::default()
    };
    if let Some(note) = &outside.checkpoint {
        findings.extend(chain.holds(&log, note).await?);
    }
    if let Some(newest) = &chain.newest {
        (sealed.size, sealed.time) = (newest.size, Some(newest.time));
        let tree = log.tree(newest);
        let first = held.events().filter_map(AuditEvent::timestamp).min();
        let first = first.map_or(0, |first| chain.size_at(first));
        let entries = held
            .events()
            .filter_map(|event| event.text("eventHash")?.parse::<Entry>().ok());
        let wanted: HashSet<_> = entries.collect();
        let (found, wrong) = Leaves::new(session, &tree, first, newest.size)
            .find(wanted)
            .await?;
        sealed.leaves = found
            .iter()
            .map(|(entry, leaf)| (entry.to_string(), *leaf))
            .collect();
        let about = |detail| Finding::of_log(Code::LogInconsistent, None, detail);
        findings.extend(wrong.into_iter().map(about));
    }
    for event in held.events() {
        let young = event
            .timestamp()
            .is_some_and(|at| began.duration_since(at) < SEALED_WITHIN);
        if !young && sealed.leaf(event).is_none() {
            findings.push(not_sealed(event));
        }
    }
    let conversation = conversation.to_string();
    let modified = Modified::of(session, &log, |id| id == Some(conversation.as_str())).await?;
    findings.extend(modified.findings);
    Ok(Some((sealed, findings)))
}

/// Makes the finding that the log does not hold an event.
pub(in crate::ops) fn not_sealed(event: &AuditEvent) -> Finding {
    let text = |name| event.text(name).map(str::to_owned);
    let [event_id, hash] = ["eventId", "eventHash"].map(|name| text(name).unwrap_or_default());
    Finding {
        interaction_id: text("interactionId"),
        recording_id: text("recordingId"),
        ..Finding::of_log(
            Code::EventNotSealed,
            None,
            format!("the log does not hold the event {event_id}, eventHash {hash}"),
        )
    }
}
