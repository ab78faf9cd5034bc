//! Builds the catalog again, from the audit and the call records that it names. Asks Genesys nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::finding::{Code, Finding};
use super::scan::{Portion, Scan, each};
use super::{Ended, Error, Listener, Session, Verdict};
use crate::aws::ledger::Ledger;
use crate::aws::storage::Storage;
use crate::catalog::Catalog;
use crate::clock::{Deadline, Stop};
use crate::domain::audit::{self, Action, AuditEvent, Stored, Subject};
use crate::domain::call::CallRecord;
use crate::domain::recording::{ConversationId, ObjectKind};

/// A rebuild in figures.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Conversations that the audit knows.
    pub conversations: u64,
    /// Those with a call record.
    pub described: u64,
    /// Those with an archived recording and without a call record; the catalog cannot find them.
    pub undescribed: u64,
    /// Items that were put.
    pub items: u64,
    /// Findings by kind.
    pub findings: BTreeMap<Code, u64>,
    /// Everything was read.
    pub finished: bool,
}

impl Figures {
    /// Returns whether a call record was missing or changed.
    pub fn verdict(&self) -> Verdict {
        match (self.findings.is_empty(), self.conversations) {
            (false, _) => Verdict::Findings,
            (true, 0) => Verdict::Nothing,
            (true, _) => Verdict::Clean,
        }
    }
}

/// Longest time that the items of one call may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the rebuild of one conversation works with.
struct Rebuild {
    ledger: Ledger,
    storage: Storage,
    catalog: Catalog,
    stop: Stop,
}

/// What came of one conversation.
#[derive(Default)]
struct Rebuilt {
    described: bool,
    undescribed: bool,
    items: usize,
    findings: Vec<Finding>,
}

/// Puts the items of every call that has a record, and reports each call record that is missing or changed.
pub async fn rebuild(
    session: &Session,
    concurrency: usize,
    listener: Listener<'_, Finding>,
) -> Ended<Figures> {
    let mut figures = Figures::default();
    let end = all(session, concurrency, listener, &mut figures).await;
    figures.finished = end.is_ok();
    Ended { figures, end }
}

async fn all(
    session: &Session,
    concurrency: usize,
    listener: Listener<'_, Finding>,
    figures: &mut Figures,
) -> Result<(), Error> {
    let rebuild = Arc::new(Rebuild {
        ledger: session.ledger(),
        storage: session.storage(),
        catalog: session.catalog()?,
        stop: Stop::default(),
    });
    if let Some(items) = rebuild.ledger.audit_table().await.items {
        listener.total(items);
    }
    let mut events = Scan::new(&rebuild.ledger);
    while let Some(page) = events.events(|_| true).await? {
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
            figures.undescribed += u64::from(rebuilt.undescribed);
            figures.items += rebuilt.items as u64;
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
    /// Puts the items of one conversation, from the last of its call records that can be read.
    async fn conversation(&self, id: ConversationId) -> Result<Rebuilt, crate::error::Error> {
        let mut events = self.ledger.events(id).await?.events;
        events.sort_by_key(AuditEvent::seq);
        if events
            .iter()
            .any(|event| event.action() == Some(Action::ObjectErased))
        {
            return Ok(Rebuilt::default());
        }
        let (described, recordings): (Vec<_>, Vec<_>) = audit::stored(&events)
            .into_iter()
            .partition(|stored| stored.kind == ObjectKind::CallRecord);
        let mut rebuilt = Rebuilt {
            undescribed: described.is_empty() && !recordings.is_empty(),
            ..Rebuilt::default()
        };
        let mut calls = Vec::new();
        for stored in described {
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
            let deadline = Deadline::new(PATIENCE, &self.stop);
            rebuilt.described = true;
            rebuilt.items = self.catalog.put(&last, &calls, &deadline).await?;
        }
        Ok(rebuilt)
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
