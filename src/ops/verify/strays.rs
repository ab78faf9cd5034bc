//! The objects of the bucket that no audit event named so far: planted ones, and those of other days.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::check::{Checked, Checker, about, fingerprint};
use super::{Portion, Verification};
use crate::aws::storage::Label;
use crate::domain::audit::{Action, AuditEvent};
use crate::domain::recording::{ArchiveKey, ConversationId};
use crate::error::Error;
use crate::ops::finding::{Code, Finding};
use crate::ops::scan;

/// An object that was not named so far, as far as it says itself whose it is.
enum Stray {
    /// Deleted since it was listed: there is nothing left to be recorded.
    Gone,
    /// It cannot be looked at.
    Unreadable(Finding),
    /// Its place, and the ids that it carries.
    Labelled(ArchiveKey, Label),
}

/// Objects that say that they are of one conversation, or of none.
struct Group {
    id: Option<ConversationId>,
    objects: Vec<(ArchiveKey, Label)>,
}

impl Verification<'_> {
    /// Finds objects that no audit event names. Those that events named are known by now, and take no further request.
    pub(super) async fn objects(&mut self, checker: &Arc<Checker>) -> Result<(), crate::ops::Error> {
        let prefix = self.session.config.storage.key_template.prefix();
        let (mut from, mut seen) = (None, HashSet::new());
        loop {
            let listing = checker.storage.list(prefix, from);
            let page = self.session.unless_interrupted(listing).await?;
            let wanted = |written: Option<Timestamp>| {
                checker
                    .span
                    .is_none_or(|span| written.is_none_or(|written| span.range.holds(written)))
            };
            let listed = page.objects.into_iter().filter(|(_, written)| wanted(*written));
            let listed: Vec<_> = listed.map(|(key, _)| checker.storage.archive_key(&key)).collect();
            let count = listed.len() as u64;
            self.figures.objects += count;
            let strays = listed
                .into_iter()
                .filter(|place| !self.named.contains(&fingerprint(place)));
            let groups = self.labelled(strays.collect(), checker).await?;
            self.portion = Portion::new(count, groups.len());
            if groups.is_empty() {
                self.listener.steps(count);
            }
            self.each(groups, |group| {
                let checker = checker.clone();
                async move { checker.group(group).await }
            })
            .await?;
            // A conversation is checked once, however many of its objects led to it.
            let led_to: HashSet<_> = std::mem::take(&mut self.elsewhere).into_iter().collect();
            let others = led_to.into_iter().filter(|id| seen.insert(*id)).collect();
            self.portion = Portion::default();
            self.each(others, |id| {
                let checker = checker.clone();
                async move { checker.conversation_in(id, None).await }
            })
            .await?;
            from = page.next;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// Asks each object whose it is, and sorts them by conversation.
    async fn labelled(
        &mut self,
        strays: Vec<ArchiveKey>,
        checker: &Arc<Checker>,
    ) -> Result<Vec<Group>, crate::ops::Error> {
        let mut labelled = Vec::new();
        let ask = |place| {
            let checker = checker.clone();
            async move { Ok(checker.stray(place).await) }
        };
        scan::each(self.session, self.concurrency, strays, ask, |stray| {
            labelled.push(stray);
        })
        .await?;
        let mut groups: BTreeMap<Option<String>, Group> = BTreeMap::new();
        for stray in labelled {
            match stray {
                Stray::Gone => {}
                Stray::Unreadable(finding) => self.found(finding),
                Stray::Labelled(place, label) => {
                    let id = label.interaction_id.as_deref().map(ConversationId::parse);
                    let id = id.and_then(Result::ok);
                    let objects = Vec::new();
                    let group = groups.entry(id.map(|id| id.to_string()));
                    let group = group.or_insert(Group { id, objects });
                    group.objects.push((place, label));
                }
            }
        }
        Ok(groups.into_values().collect())
    }
}

impl Checker {
    /// Asks an object of the archive bucket whose it is.
    async fn stray(&self, place: ArchiveKey) -> Stray {
        match self.storage.label(&place.key).await {
            Ok(Some(label)) => Stray::Labelled(place, label),
            Ok(None) => Stray::Gone,
            Err(error) => Stray::Unreadable(about(&place, Code::ObjectUnreadable, error.to_string())),
        }
    }

    /// Checks whether the audit of a conversation names these objects, which say that they are of it.
    async fn group(&self, Group { id, objects }: Group) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        let events = match id {
            Some(id) => self.ledger.events(id).await?,
            None => Default::default(),
        };
        // An item that cannot be read may name them. It has a finding of its own, unless its conversation is of other
        // days.
        if !events.unreadable.is_empty() {
            checked.elsewhere = id.filter(|_| self.span.is_some());
            return Ok(checked);
        }
        for (place, label) in objects {
            let told = place.to_string();
            let names = |event: &&AuditEvent| event.archive_key() == Some(told.as_str());
            let named: Vec<_> = events.events.iter().filter(names).collect();
            let mut stored = named
                .iter()
                .filter(|event| event.action() == Some(Action::ArchiveStored));
            match stored.next() {
                // The bucket says that it is of these days, and its event does not.
                Some(event) => {
                    let holds = |at| self.span.is_none_or(|span| span.range.holds(at));
                    if !event.timestamp().is_some_and(holds) {
                        checked.elsewhere = id.filter(|_| self.span.is_some());
                    }
                }
                None => checked
                    .findings
                    .extend(self.unrecorded(&place, label, &named).await),
            }
        }
        Ok(checked)
    }

    /// Returns what is wrong with an object that no event says is stored.
    async fn unrecorded(&self, place: &ArchiveKey, label: Label, named: &[&AuditEvent]) -> Option<Finding> {
        // An attempt announced it; the run is still at it, or died, and another one archived the recording elsewhere.
        let attempt = label.attempt_id.as_deref();
        let announced = named.iter().find(|event| event.text("attemptId") == attempt);
        let (code, detail) = match announced {
            None => (Code::ObjectUnrecorded, "no audit event names it".to_owned()),
            Some(event) => match self.read(place).await {
                Ok(Some(found)) if event.sha256() != Some(&found.digest.hex()) => {
                    let detail = "it has other bytes than the attempt that announced it";
                    (Code::ObjectUnrecorded, detail.to_owned())
                }
                Ok(Some(_) | None) => return None,
                Err(error) => (Code::ObjectUnreadable, error.to_string()),
            },
        };
        Some(Finding {
            interaction_id: label.interaction_id,
            recording_id: label.recording_id,
            ..about(place, code, detail)
        })
    }
}
