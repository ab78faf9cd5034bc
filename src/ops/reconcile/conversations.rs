//! The conversations that are listed and not archived.

use super::{Cause, Item, LOOKUPS, Reason, Reconciliation, Standing};
use crate::custody::standing::{Patience, judge};
use crate::domain::days::Age;
use crate::domain::job::Job;
use crate::domain::recording::ConversationId;
use crate::genesys::analytics::{Conversation, Page};
use crate::ops::Error;
use crate::ops::custody::{self, Custody};
use crate::ops::filter::Selection;
use crate::ops::finding::Finding;
use crate::ops::session::PATIENCE;
use crate::ops::sink::{BATCH, Done};
use futures_util::{StreamExt as _, TryStreamExt as _};

impl Reconciliation<'_> {
    /// Asks the tables about each wanted conversation of a page.
    pub(super) async fn page(&mut self, page: Page) -> Result<(), Error> {
        let wanted = self.sift(page);
        let ledger = &self.ledger;
        let lookups = wanted.into_iter().map(|conversation| async move {
            let found = custody::of(ledger, conversation.id).await?;
            Ok::<_, Error>((conversation, found))
        });
        let looked_up = futures_util::stream::iter(lookups)
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>();
        for (conversation, found) in self.session.unless_interrupted(looked_up).await? {
            self.listener.steps(1);
            let held = (found.custodies.as_slice(), found.findings.as_slice());
            self.compare(&conversation, held).await?;
            if self.batch.len() == BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Returns the conversations of a page that may have wanted recordings, and counts the others.
    fn sift(&mut self, page: Page) -> Vec<Conversation> {
        self.figures.unreadable += page.unreadable as u64;
        let mut wanted = Vec::new();
        for conversation in page.conversations {
            self.listed.insert(conversation.id);
            let count = match self.request.filter.select(&conversation, &self.session.config) {
                Selection::Wanted => {
                    wanted.push(conversation);
                    continue;
                }
                Selection::Unrecorded => &mut self.figures.unrecorded,
                Selection::Filtered => &mut self.figures.filtered,
                Selection::Ongoing => &mut self.figures.ongoing,
            };
            *count += 1;
        }
        wanted
    }

    /// Judges a conversation and reports it if it is a finding.
    async fn compare(
        &mut self,
        conversation: &Conversation,
        (custodies, findings): (&[Custody], &[Finding]),
    ) -> Result<(), Error> {
        let end = conversation.end.unwrap_or(conversation.start);
        let patience = Patience::of(&self.session.config, self.session.now());
        let (mut reason, mut causes) = judge((custodies, findings), end, patience);
        let archived = matches!(reason, Reason::Archived | Reason::Settling | Reason::Unsettled);
        let asked = archived || matches!(reason, Reason::NothingFound | Reason::Expired);
        if asked && self.request.recordings {
            let unknown = self.unknown_recordings(conversation.id, custodies).await?;
            if !unknown.is_empty() {
                reason = Reason::NeverSeen;
                causes.retain(|cause| cause.recording != "-");
                causes.extend(unknown);
            } else if archived {
                // Everything that Genesys lists is archived, whatever the looks found. An empty list does not prove
                // that.
                (reason, causes) = (Reason::Archived, unknown);
            }
        }
        if reason == Reason::Archived
            && let Some(catalogued) = &mut self.catalogued
            && let Some((lack, of)) = catalogued.lacks(conversation.id, custodies).await?
        {
            reason = lack;
            causes.extend(of);
        }
        self.session.go_on()?;
        let reason = reason.at_age(Age::of(conversation.start, self.session.now()));
        *self.figures.reasons.entry(reason).or_default() += 1;
        if !reason.is_finding() && causes.is_empty() {
            return Ok(());
        }
        let id = conversation.id;
        self.listener.item(Item {
            interaction_id: id.to_string(),
            start: conversation.start,
            reason: Standing::Missing(reason),
            recordings: Some(causes),
        });
        // A job without the expected hash would archive what one with it refused.
        let unexpected = custodies
            .iter()
            .any(|custody| custody::unexpected(custody.record.as_ref(), &custody.events).is_some());
        if self.sink.is_some() && reason.can_be_sent() && !unexpected {
            let mut job = Job::new(id);
            let days = self.request.range.to_string();
            job.requested_by = Some(self.session.requester("reconcile", &days));
            // The function may consider it settled, and there is a reason to doubt that.
            job.recheck = self.session.config.settles();
            self.batch.push(job);
        }
        Ok(())
    }

    /// Asks Genesys for the recordings of a conversation. Returns those that are wanted and that no run ever saw;
    /// none unless `recordings` was asked for.
    async fn unknown_recordings(
        &mut self,
        id: ConversationId,
        custodies: &[Custody],
    ) -> Result<Vec<Cause>, Error> {
        let Some(genesys) = &self.genesys else {
            return Ok(Vec::new());
        };
        self.pace.wait(self.session).await?;
        let (job, deadline) = (Job::new(id), self.session.deadline(PATIENCE));
        let asked = async {
            match genesys.recordings(&job, &deadline).await {
                Ok(listing) => Ok(listing.recordings),
                // Deleted there, after it was archived.
                Err(error) if error.kind().is_not_found() => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        };
        let listed = self.session.unless_interrupted(asked).await?;
        self.pace.spend(1);
        let wanted = &self.session.config.recording.media;
        let known = |id: &str| custodies.iter().any(|custody| custody.recording == id);
        let unknown = listed
            .into_iter()
            .filter(|recording| wanted.contains(&recording.media) && !known(&recording.id.to_string()));
        Ok(unknown.map(|recording| Cause::never_seen(recording.id)).collect())
    }

    /// Sends the batch at the pace that was asked for.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let jobs = std::mem::take(&mut self.batch);
        let Some(sink) = self.sink.as_ref().filter(|_| !jobs.is_empty()) else {
            return Ok(());
        };
        self.pace.wait(self.session).await?;
        let done = sink.take(&jobs, self.session, &|_| {}).await?;
        self.pace.spend(jobs.len());
        let sent = done.into_iter().filter(|done| *done != Done::Refused).count() as u64;
        self.figures.sent += sent;
        self.figures.refused += jobs.len() as u64 - sent;
        Ok(())
    }
}
