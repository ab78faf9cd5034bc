//! Builds the catalog again, from the audit and the call records that it names. Asks Genesys nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::custody::standing::Patience;
use super::finding::{Code, Finding};
use super::indexed::Indexed;
use super::scan::{Portion, each};
use super::span::{Axis, Span};
use super::{Ended, Error, Listener, Session, Verdict};
use crate::aws::ledger::Ledger;
use crate::aws::storage::Storage;
use crate::catalog::Catalog;
use crate::clock::{Clock, Deadline, Stop};
use crate::domain::audit::{self, Action, AuditEvent, Stored, Subject};
use crate::domain::call::CallRecord;
use crate::domain::days::Range;
use crate::domain::record::Record;
use crate::domain::recording::{ConversationId, ObjectKind};
use crate::domain::state::State;
use crate::retry::{Retry, RetryPolicy};

/// A rebuild in figures.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Conversations that the audit knows.
    pub conversations: u64,
    /// Those whose last call record names each archived recording.
    pub described: u64,
    /// Those with an archived recording that the last call record does not name, or without one, and at which no look
    /// follows; the catalog cannot find it.
    pub undescribed: u64,
    /// The first of them by id.
    pub undescribed_conversations: BTreeSet<String>,
    /// The same, and the next look is on the way and not overdue; or a run describes the conversation at this moment.
    pub settling: u64,
    /// Items that were put.
    pub items: u64,
    /// Items that were removed: they were made for another country, or with another key.
    pub removed: u64,
    /// Numbers that are left out: they are in national form, and no country is known.
    pub national: u64,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
    /// Everything was read.
    pub finished: bool,
}

impl Figures {
    /// Returns whether a call record was missing or changed, or a call has none.
    pub fn verdict(&self) -> Verdict {
        match (
            self.findings.is_empty() && self.undescribed == 0,
            self.conversations,
        ) {
            (false, _) => Verdict::Findings,
            (true, 0) => Verdict::Nothing,
            (true, _) => Verdict::Clean,
        }
    }
}

/// Conversations without a call record that are named.
const NAMED: usize = 10;
/// Longest time that the items of one call may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Returns how often a conversation was described or erased.
fn turns(events: &[AuditEvent]) -> usize {
    let turn =
        |event: &&AuditEvent| matches!(event.action(), Some(Action::CallDescribed | Action::ObjectErased));
    events.iter().filter(turn).count()
}

/// What the rebuild of one conversation works with.
struct Rebuild {
    ledger: Ledger,
    storage: Storage,
    catalog: Catalog,
    /// A rebuild may take hours, and runs and looks of meanwhile are judged by the time at which they are read.
    clock: Clock,
    /// As of the time at which it began.
    patience: Patience,
    retry: RetryPolicy,
    stop: Stop,
}

/// What came of one conversation.
#[derive(Default)]
struct Rebuilt {
    described: bool,
    undescribed: Option<ConversationId>,
    settling: bool,
    items: usize,
    removed: usize,
    national: usize,
    findings: Vec<Finding>,
}

/// Puts the items of every call that has a record, or of those of some days, and reports each call record that is
/// missing or changed. To do it again changes nothing.
pub async fn rebuild(
    session: &Session,
    (days, concurrency): (Option<Range>, usize),
    listener: Listener<'_, Finding>,
) -> Ended<Figures> {
    let mut figures = Figures::default();
    let span = days.map(|range| Span {
        range,
        axis: Axis::Call,
    });
    let end = all(session, (span, concurrency), listener, &mut figures).await;
    figures.finished = end.is_ok();
    Ended { figures, end }
}

async fn all(
    session: &Session,
    (span, concurrency): (Option<Span>, usize),
    listener: Listener<'_, Finding>,
    figures: &mut Figures,
) -> Result<(), Error> {
    let rebuild = Arc::new(Rebuild {
        ledger: session.ledger(),
        storage: session.storage(),
        catalog: session.catalog()?,
        clock: session.clock.clone(),
        patience: Patience::of(&session.config, session.now()),
        retry: session.config.limits.retry_policy(),
        stop: Stop::default(),
    });
    let mut events = Indexed::new(session, &rebuild.ledger, span).await?;
    if let Some(items) = events.items {
        listener.total(items);
    }
    while let Some(page) = events.next().await? {
        session.go_on()?;
        for keys in page.unreadable {
            report(Finding::unreadable_keys(keys), figures, listener);
        }
        let conversations = page.ids.into_iter().filter_map(Subject::conversation);
        let conversations: Vec<_> = conversations.collect();
        let mut portion = Portion::new(page.scanned, conversations.len());
        if conversations.is_empty() {
            listener.steps(page.scanned);
        }
        let work = |id| {
            let rebuild = rebuild.clone();
            async move { rebuild.conversation(id).await }
        };
        let take = |rebuilt: Rebuilt| {
            figures.conversations += 1;
            figures.described += u64::from(rebuilt.described);
            figures.settling += u64::from(rebuilt.settling);
            if let Some(id) = rebuilt.undescribed {
                figures.undescribed += 1;
                let named = &mut figures.undescribed_conversations;
                named.insert(id.to_string());
                if named.len() > NAMED {
                    named.pop_last();
                }
            }
            figures.items += rebuilt.items as u64;
            figures.removed += rebuilt.removed as u64;
            figures.national += rebuilt.national as u64;
            for finding in rebuilt.findings {
                report(finding, figures, listener);
            }
            listener.steps(portion.next());
        };
        each(session, concurrency, conversations, work, take).await?;
    }
    Ok(())
}

fn report(finding: Finding, figures: &mut Figures, listener: Listener<'_, Finding>) {
    *figures.findings.entry(finding.code).or_default() += 1;
    listener.item(finding);
}

impl Rebuild {
    /// Puts the items of one conversation, and again where it was erased or described meanwhile: what was put may be
    /// what that took away.
    async fn conversation(&self, id: ConversationId) -> Result<Rebuilt, crate::error::Error> {
        let deadline = Deadline::new(PATIENCE, &self.stop);
        let mut retry = Retry::new(self.retry, &deadline);
        let mut put = Vec::new();
        let mut events = self.ledger.events(id).await?.events;
        loop {
            let seen = turns(&events);
            let mut rebuilt = self.put(id, events, &mut put, &deadline).await?;
            if put.is_empty() {
                return Ok(rebuilt);
            }
            // Before the events: a run that ends in between leaves one.
            let described = self.is_being_described(id).await?;
            events = self.ledger.events(id).await?.events;
            if turns(&events) > seen {
                continue;
            }
            if !described {
                return Ok(rebuilt);
            }
            let wait = crate::error::Error::transient(format!("a run describes the conversation {id}"));
            if retry.wait(wait, None).await.is_err() {
                // Its run puts the items, or else the next rebuild.
                (rebuilt.settling, rebuilt.described, rebuilt.undescribed) = (true, false, None);
                return Ok(rebuilt);
            }
        }
    }

    /// Puts the items of one conversation, from the last of its call records that can be read. `put` are the call
    /// records whose items were put before; of a conversation that was erased meanwhile, these are removed.
    async fn put(
        &self,
        id: ConversationId,
        mut events: Vec<AuditEvent>,
        put: &mut Vec<CallRecord>,
        deadline: &Deadline,
    ) -> Result<Rebuilt, crate::error::Error> {
        events.sort_by_key(AuditEvent::seq);
        let erased = |event: &AuditEvent| event.action() == Some(Action::ObjectErased);
        if events.iter().any(erased) {
            let items = self.catalog.items(&std::mem::take(put)).await?;
            self.catalog.remove(items, deadline).await?;
            return Ok(Rebuilt::default());
        }
        let stored = |event: &AuditEvent| audit::stored(std::slice::from_ref(event)).pop();
        let (described, recordings): (Vec<_>, Vec<_>) = events
            .iter()
            .filter_map(|event| Some((event.recording()?, stored(event)?)))
            .partition(|(_, stored)| stored.kind == ObjectKind::CallRecord);
        let mut unnamed: BTreeSet<_> = recordings.into_iter().map(|(recording, _)| recording).collect();
        let mut rebuilt = Rebuilt::default();
        let mut calls = Vec::new();
        for (_, stored) in described {
            match self.read(&stored).await {
                Ok(call) => calls.push(call),
                Err((code, detail)) => rebuilt.findings.push(Finding {
                    code,
                    interaction_id: Some(id.to_string()),
                    recording_id: Some("-".to_owned()),
                    archive_key: Some(stored.archive_key.to_string()),
                    detail,
                }),
            }
        }
        if let Some(last) = calls.pop() {
            for recording in last.archived() {
                unnamed.remove(recording.recording_id.as_str());
            }
            rebuilt.described = unnamed.is_empty();
            // Before the item that names them is replaced.
            let (stale, national) = self.catalog.stale(&last).await?;
            rebuilt.removed = stale.len();
            rebuilt.national = national;
            self.catalog.remove(stale, deadline).await?;
            rebuilt.items = self.catalog.put(&last, &calls, deadline).await?;
            put.push(last);
        }
        // A record that is there and cannot be read is a finding.
        if !unnamed.is_empty() && rebuilt.findings.is_empty() {
            rebuilt.settling = self.looks_go_on(id).await?;
            rebuilt.undescribed = Some(id).filter(|_| !rebuilt.settling);
        }
        Ok(rebuilt)
    }

    /// Checks whether a run is about to make a call record visible.
    async fn is_being_described(&self, id: ConversationId) -> Result<bool, crate::error::Error> {
        let now = self.clock.now_ms();
        Ok(self
            .whole(id)
            .await?
            .is_some_and(|whole| whole.is_being_described(now)))
    }

    /// Returns the record of a conversation as a whole.
    async fn whole(&self, id: ConversationId) -> Result<Option<Record>, crate::error::Error> {
        let records = self.ledger.all_records(id).await?.records;
        Ok(records.into_iter().find(|record| record.recording_id == "-"))
    }

    /// Checks whether the next look at a conversation is to come by itself, which may describe it.
    async fn looks_go_on(&self, id: ConversationId) -> Result<bool, crate::error::Error> {
        let whole = self.whole(id).await?;
        let patience = Patience {
            now: self.clock.now(),
            ..self.patience
        };
        Ok(whole.is_some_and(|whole| {
            matches!(whole.state, State::Settling | State::Deferred) && patience.expects_look(&whole)
        }))
    }

    async fn read(&self, stored: &Stored) -> Result<CallRecord, (Code, String)> {
        let place = &stored.archive_key;
        match self.storage.read_call(place, &stored.sha256).await {
            Ok(Some(bytes)) => CallRecord::read(&bytes).map_err(|fault| (Code::ObjectChanged, fault)),
            Ok(None) => Err((Code::ObjectMissing, "there is no object under its key".to_owned())),
            Err(error) => Err((Code::ObjectUnreadable, error.to_string())),
        }
    }
}
