//! A day: each conversation that Genesys lists is held against both tables.

use std::collections::HashSet;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::reason::{Class, Evidence, Reason, Verdict, verdict};
use super::state::{Day, Walk};
use super::survey::{Known, SOON};
use super::{Deletion, Figures, Open, OpenRecording, Stater};
use crate::clock::Deadline;
use crate::custody::standing::{Cause, Patience, Reason as Standing, judge};
use crate::custody::{self, Held, noted};
use crate::domain::days::Age;
use crate::domain::job::Job;
use crate::domain::recording::ConversationId;
use crate::error::Error;
use crate::genesys::Conversation;
use crate::genesys::analytics::{self, Page};

/// Number of conversations that the tables are asked about at a time.
const LOOKUPS: usize = 16;

/// Conversations that are kept in memory; a document of its own takes more. The state of a run names these documents,
/// so they must not be many.
const MOST_OPEN: usize = 10_000;

/// Recordings of a conversation that are named, and the length of their errors.
const NAMED: usize = 5;

/// How a day was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Its list was read to the end.
    Read,
    /// There is no time for another page.
    Midway,
}

/// What is known before a page is read.
struct Before<'a> {
    /// What Genesys lists besides.
    known: &'a Known,
    /// The conversations of which a recording came late.
    late: HashSet<ConversationId>,
    /// The conversations for which a job was sent.
    sent: HashSet<ConversationId>,
}

/// What a page of the list brought.
#[derive(Default)]
struct Found {
    figures: Figures,
    open: Vec<Open>,
    jobs: Vec<Job>,
    deletions: Vec<Deletion>,
    orphans: u64,
    late: HashSet<String>,
}

impl Stater {
    /// Goes through a day from where it was left. A page counts as a whole or not at all.
    pub(super) async fn read_day(
        &self,
        day: &mut Day,
        walk: &mut Walk,
        known: &Known,
        deadline: &Deadline,
    ) -> Result<Left, Error> {
        let mut before = Before {
            known,
            late: walk.late_conversations(),
            sent: deadline.in_time(self.sent_before(day)).await?,
        };
        before.sent.extend(walk.sent_conversations());
        let mut list = self.open_day(day, deadline).await?;
        loop {
            if !deadline.allows_new_work() {
                return Ok(Left::Midway);
            }
            let page = match deadline.in_time(list.next_page(deadline)).await {
                Ok(page) => page,
                // Genesys does not say for how long it keeps the results of a job. Without them the day begins anew.
                Err(error) if day.position.is_some() && error.kind().is_not_found() => {
                    *day = Day::new(day.date, day.previous.take());
                    list = self.open_day(day, deadline).await?;
                    continue;
                }
                Err(error) => {
                    // Its job goes on.
                    day.position = Some(list.position());
                    return Err(error);
                }
            };
            let Some(page) = page else {
                day.complete &= !list.is_listless();
                let orphans = known.orphans_of(day.date);
                day.end(orphans);
                return Ok(Left::Read);
            };
            list.forget();
            let found = deadline.in_time(self.compare(page, day, &before)).await?;
            before.sent.extend(found.jobs.iter().map(|job| job.conversation));
            self.take(day, walk, found).await?;
            day.position = Some(list.position());
            if day.open.len() >= MOST_OPEN {
                self.write_part(day).await?;
            }
        }
    }

    async fn open_day(&self, day: &mut Day, deadline: &Deadline) -> Result<analytics::Day<'_>, Error> {
        if let Some(position) = day.position.clone() {
            return Ok(self.analytics.resume(position));
        }
        let available = self.analytics.available_until(deadline).await?;
        let list = self.analytics.begin(day.date, available);
        day.complete = list.is_of_job();
        Ok(list)
    }

    /// Sends the jobs of a page, and adds what it brought to its day and to the walk.
    async fn take(&self, day: &mut Day, walk: &mut Walk, found: Found) -> Result<(), Error> {
        self.queues.send_all(&found.jobs).await?;
        // What the tables know, where Genesys' own list was not read to its end.
        if !walk.checked.complete {
            found.deletions.into_iter().for_each(|one| walk.delete(one));
        }
        let late = walk.late.iter_mut();
        late.filter(|late| found.late.contains(&late.interaction_id))
            .for_each(|late| late.stated = true);
        day.orphans_met += found.orphans;
        day.figures.sent += found.jobs.len() as u64;
        let Figures {
            listed,
            unrecorded,
            unreadable,
            held,
            reasons,
            gaps,
            lost,
            // Of the day as a whole.
            orphans: _,
            vanished: _,
            sent: _,
        } = found.figures;
        day.figures.listed += listed;
        day.figures.unrecorded += unrecorded;
        day.figures.unreadable += unreadable;
        day.figures.held += held;
        day.figures.gaps += gaps;
        day.figures.lost += lost;
        for (reason, count) in reasons {
            *day.figures.reasons.entry(reason).or_default() += count;
        }
        day.open.extend(found.open);
        Ok(())
    }

    /// Asks the tables about each conversation of a page that was recorded.
    async fn compare(&self, page: Page, day: &Day, before: &Before<'_>) -> Result<Found, Error> {
        let mut found = Found::default();
        found.figures.unreadable = page.unreadable as u64;
        found.figures.listed = page.conversations.len() as u64;
        let wanted = &self.config.recording.media;
        let mut asked = Vec::new();
        for conversation in page.conversations {
            let late = before.late.contains(&conversation.id);
            let orphan = before.known.has_orphan(conversation.id);
            if late || orphan || wanted.iter().any(|kind| conversation.may_have(*kind)) {
                asked.push(conversation);
            } else if conversation.recorded || conversation.snippet_recorded || conversation.screen_recorded {
                found.count(&Reason::Filtered.into());
            } else {
                found.figures.unrecorded += 1;
            }
        }
        let lookups = asked.into_iter().map(|conversation| async move {
            let held = custody::of(&self.ledger, conversation.id).await?;
            Ok::<_, Error>((conversation, held))
        });
        let lookups = futures_util::stream::iter(lookups).buffered(LOOKUPS);
        let looked_up: Vec<_> = lookups.try_collect().await?;
        for (conversation, held) in &looked_up {
            self.add(&mut found, conversation, held, (day, before));
        }
        Ok(found)
    }

    /// Finds the reason of a conversation, and adds it.
    fn add(
        &self,
        found: &mut Found,
        conversation: &Conversation,
        held: &Held,
        (day, before): (&Day, &Before<'_>),
    ) {
        let now = self.clock.now();
        let patience = Patience::of(&self.config, now);
        let end = conversation.end.unwrap_or(now);
        let (standing, causes) = judge((&held.custodies, &held.findings), end, patience);
        let standing = standing.at_age(Age::of(conversation.start, now));
        let evidence = Evidence {
            custodies: &held.custodies,
            ended: conversation.end.is_some(),
            open: !conversation.open.is_empty(),
            orphan: before.known.has_orphan(conversation.id),
            upload_failed: before.known.has_failed_upload(conversation.id),
            late: before.late.contains(&conversation.id),
        };
        let verdict = verdict(standing, &evidence);
        found.orphans += before.known.orphans_with(conversation.id, day.date);
        if evidence.late {
            found.late.insert(conversation.id.to_string());
        }
        found.count(&verdict);
        found.figures.held += u64::from(evidence.holds());
        if verdict.reason.class() == Class::Settled {
            return;
        }
        let was_sent = before.sent.contains(&conversation.id);
        let sends = standing == Standing::NeverSeen && !was_sent && self.queues.can_defer();
        if sends {
            let mut job = Job::new(conversation.id);
            job.requested_by = Some(format!("completeness statement of {}", day.date));
            job.recheck = self.config.settles();
            found.jobs.push(job);
        }
        let deletes = first_deletion(held);
        if let Some((recording, at)) = deletes.filter(|(_, at)| *at <= now + SOON) {
            found.deletions.push(Deletion {
                delete_date: at,
                interaction_id: conversation.id.to_string(),
                recording_id: recording.to_owned(),
            });
        }
        found.open.push(Open {
            interaction_id: conversation.id.to_string(),
            start: conversation.start,
            reason: verdict.label(),
            delete_date: deletes.map(|(_, at)| at),
            sent: sends || was_sent,
            recordings: causes.into_iter().take(NAMED).map(OpenRecording::from).collect(),
        });
    }
}

/// Returns the recording that Genesys deletes first of those that are not archived, and when, as the tables know it.
fn first_deletion(held: &Held) -> Option<(&str, Timestamp)> {
    let left = held
        .custodies
        .iter()
        .filter(|custody| custody.archived_at().is_none());
    let deletes = left.filter_map(|one| Some((one.recording.as_str(), noted(&one.events, "deleteDate")?)));
    deletes.min_by_key(|(_, at)| *at)
}

impl Day {
    /// Ends the list of a day on which so many orphan recordings were made.
    fn end(&mut self, orphans: u64) {
        let figures = &mut self.figures;
        figures.orphans = orphans.saturating_sub(self.orphans_met);
        let listed = self.previous.as_ref().map_or(0, |previous| previous.listed);
        if self.complete {
            figures.vanished = listed.saturating_sub(figures.listed);
        }
        // What nobody lists any more nobody can look for: it rings while the day is stated again.
        figures.lost += figures.vanished;
        figures.gaps += figures.orphans + figures.vanished;
        // What the statement before this one said is unknown.
        figures.gaps += u64::from(self.previous.as_ref().is_some_and(|previous| previous.lost));
        self.read = true;
    }
}

impl Found {
    fn count(&mut self, verdict: &Verdict) {
        *self.figures.reasons.entry(verdict.label()).or_default() += 1;
        self.figures.gaps += u64::from(verdict.reason.class() == Class::Gap);
        self.figures.lost += u64::from(verdict.is_final);
    }
}

impl From<Cause> for OpenRecording {
    fn from(cause: Cause) -> Self {
        Self {
            recording_id: cause.recording,
            state: cause.state.to_owned(),
            error: cause.error.map(|error| crate::redact::clip(&error)),
        }
    }
}
