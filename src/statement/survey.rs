//! What Genesys says beside its lists of conversations: orphans, failed uploads, and all recordings that it keeps.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Span, Timestamp};
use uuid::Uuid;

use super::day::Left;
use super::state::{State, Walk};
use super::{Checked, Deletion, Late, Stater, Survey};
use crate::clock::Deadline;
use crate::custody::{self, Custody};
use crate::domain::days::{day_of, start_of};
use crate::domain::job::Job;
use crate::domain::recording::{ConversationId, RecordingId};
use crate::domain::state::State as Recorded;
use crate::error::{Error, ErrorKind};
use crate::genesys::OrphanRecording;
use crate::genesys::survey::KeptRecording;

/// A deletion is named when it is no farther ahead.
pub(super) const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Recordings made this long before the newest day are looked up, whether or not they were archived.
const RECENT: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Entries of each kind that a statement names; more are counted.
const NAMED: usize = 100;

/// Pages of all recordings that are read at least.
const LEAST_PAGES: u64 = 20;

/// Conversations listed for each page beyond these, so that a statement takes no more than 0.02 requests for each.
const LISTED_A_PAGE: u64 = 60;

/// Number of conversations that the tables are asked about at a time.
const LOOKUPS: usize = 16;

/// Orphans and failed uploads, as Genesys lists them now.
#[derive(Debug, Default)]
pub(super) struct Known {
    orphans: Vec<OrphanRecording>,
    orphans_checked: Checked,
    with_orphan: HashSet<String>,
    failed_uploads: HashSet<Uuid>,
    uploads_checked: Checked,
}

impl Known {
    pub(super) fn has_orphan(&self, id: ConversationId) -> bool {
        self.with_orphan.contains(&id.to_string())
    }

    pub(super) fn has_failed_upload(&self, id: ConversationId) -> bool {
        Uuid::try_parse(&id.to_string()).is_ok_and(|id| self.failed_uploads.contains(&id))
    }
}

/// Returns whether Genesys does not answer a question, however often it is asked.
fn is_refused(error: &Error) -> bool {
    let kind = error.kind();
    matches!(kind, ErrorKind::Forbidden | ErrorKind::Rejected) || kind.is_not_found()
}

/// Returns why a question was not answered; an error that another try may not have is returned as such.
fn unanswered(error: Error) -> Result<Checked, Error> {
    if !is_refused(&error) {
        return Err(error);
    }
    Ok(Checked {
        why: Some(crate::redact::clip(&error.redacted())),
        ..Checked::default()
    })
}

impl Stater {
    /// Asks Genesys for orphans and failed uploads since a moment. What it does not answer is noted.
    pub(super) async fn known(&self, since: Timestamp, deadline: &Deadline) -> Result<Known, Error> {
        let mut known = Known::default();
        match self.genesys.orphan_recordings(deadline).await {
            Ok((orphans, more)) => {
                known.orphans_checked = Checked {
                    complete: !more,
                    read: orphans.len() as u64,
                    why: more.then(|| "Genesys lists more orphans than are read".to_owned()),
                };
                known.with_orphan = orphans
                    .iter()
                    .filter_map(|orphan| orphan.interaction_id.clone())
                    .collect();
                known.orphans = orphans;
            }
            Err(error) => known.orphans_checked = unanswered(error)?,
        }
        match self.genesys.failed_uploads(since, deadline).await {
            Ok(ids) => {
                known.uploads_checked = Checked {
                    complete: true,
                    read: ids.len() as u64,
                    why: None,
                };
                known.failed_uploads = ids.into_iter().collect();
            }
            // A report that does not come must not hold the statement up.
            Err(error) => {
                known.uploads_checked = Checked {
                    why: Some(crate::redact::clip(&error.redacted())),
                    ..Checked::default()
                };
            }
        }
        Ok(known)
    }

    /// Goes through all recordings that Genesys keeps, as far as the budget of requests reaches: from where the run
    /// before this one came to, or from the beginning of the list. Looks at what that run found again.
    pub(super) async fn walk(&self, state: &mut State, deadline: &Deadline) -> Result<Left, Error> {
        let survey = match &state.walk.before {
            Some(document) => deadline.in_time(self.survey_of(document)).await?,
            None => Survey::default(),
        };
        let before = Before::of(&survey, self.clock.now());
        if !state.walk.again {
            state.walk.resume(survey.kept_next);
            let again = self.look_up(&mut state.walk, &before.found, &before);
            deadline.in_time(again).await?;
            state.walk.again = true;
        }
        let listed: u64 = state.days.iter().map(|day| day.figures.listed).sum();
        let most = LEAST_PAGES.max(listed / LISTED_A_PAGE);
        let Some(newest) = state.days.last().map(|day| day.date) else {
            return Ok(Left::Read);
        };
        while !state.walk.ended {
            if !deadline.allows_new_work() {
                return Ok(Left::Midway);
            }
            if state.walk.pages == most {
                let read = state.walk.checked.read;
                state.walk.end(Some(format!(
                    "Genesys keeps more than the {read} recordings that were read; the next run goes on from there"
                )));
                break;
            }
            let page = match self.genesys.kept(state.walk.cursor.as_deref(), deadline).await {
                Ok(page) => page,
                // Genesys does not say for how long a cursor holds.
                Err(error) if state.walk.resumed && state.walk.pages == 0 && is_refused(&error) => {
                    state.walk.resume(None);
                    continue;
                }
                Err(error) => {
                    state.walk.cursor = None;
                    state.walk.end(unanswered(error)?.why);
                    break;
                }
            };
            let end = start_of(newest.saturating_add(Span::new().days(1)));
            let recent = end - RECENT..end;
            let is_recent = |kept: &KeptRecording| kept.created.is_some_and(|at| recent.contains(&at));
            let read = page.recordings.len() as u64 + page.unreadable;
            let asked: Vec<_> = page
                .recordings
                .into_iter()
                .filter(|kept| is_recent(kept) || self.is_soon(kept))
                .filter(|kept| !before.holds(kept))
                .collect();
            deadline
                .in_time(self.look_up(&mut state.walk, &asked, &before))
                .await?;
            state.walk.checked.read += read;
            state.walk.pages += 1;
            state.walk.cursor = page.next;
            if state.walk.cursor.is_none() {
                let began =
                    "the list was read from where the run before this one came to; the next run begins anew";
                state.walk.end(state.walk.resumed.then(|| began.to_owned()));
            }
        }
        Ok(Left::Read)
    }

    fn is_soon(&self, kept: &KeptRecording) -> bool {
        kept.deletes.is_some_and(|at| at <= self.clock.now() + SOON)
    }

    /// Holds recordings that Genesys keeps against both tables.
    async fn look_up(&self, walk: &mut Walk, asked: &[KeptRecording], before: &Before) -> Result<(), Error> {
        let ids: HashSet<_> = asked.iter().map(|kept| kept.conversation).collect();
        let lookups = ids.into_iter().map(|id| async move {
            let held = custody::of(&self.ledger, id).await?;
            Ok::<_, Error>((id, held.custodies))
        });
        let lookups = futures_util::stream::iter(lookups).buffer_unordered(LOOKUPS);
        let held: HashMap<ConversationId, Vec<Custody>> = lookups.try_collect().await?;
        let mut jobs = HashMap::new();
        for kept in asked {
            let custodies = held
                .get(&kept.conversation)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let id = kept.recording.to_string();
            let known = custodies.iter().find(|custody| custody.recording == id);
            let done = known.is_some_and(|custody| {
                let state = custody.state();
                custody.archived_at().is_some() || matches!(state, Some(Recorded::Skipped | Recorded::Erased))
            });
            if done {
                continue;
            }
            if let Some(at) = kept.deletes.filter(|_| self.is_soon(kept)) {
                walk.delete(Deletion {
                    delete_date: at,
                    interaction_id: kept.conversation.to_string(),
                    recording_id: id.clone(),
                });
            }
            // The looks at its conversation ended without it.
            let settled = custodies.iter().any(|custody| {
                custody.recording == "-"
                    && matches!(custody.state(), Some(Recorded::Settled | Recorded::Unrecorded))
            });
            if known.is_none() && settled {
                let sent = before.sent.contains(&kept.conversation) || walk.has_sent(kept.conversation);
                if !sent {
                    let mut job = Job::new(kept.conversation);
                    job.requested_by =
                        Some(format!("completeness statement of {}", day_of(self.clock.now())));
                    job.recheck = true;
                    jobs.insert(kept.conversation, job);
                }
                walk.late(Late {
                    interaction_id: kept.conversation.to_string(),
                    recording_id: id,
                    created_at: kept.created,
                    sent: sent || self.queues.can_defer(),
                });
            }
        }
        let jobs: Vec<_> = jobs.into_values().collect();
        self.queues.send_all(&jobs).await
    }
}

/// What the survey before this one named.
struct Before {
    /// Its recordings, unless Genesys has deleted them since.
    found: Vec<KeptRecording>,
    named: HashSet<(ConversationId, RecordingId)>,
    /// Conversations with a late recording for which a job was sent: those that it named.
    sent: HashSet<ConversationId>,
}

impl Before {
    fn of(survey: &Survey, now: Timestamp) -> Self {
        let mut found: HashMap<_, KeptRecording> = HashMap::new();
        let deletions = survey.deletions.iter().map(|one| {
            (
                &one.interaction_id,
                &one.recording_id,
                None,
                Some(one.delete_date),
            )
        });
        let late = survey.late.iter();
        let late = late.map(|one| (&one.interaction_id, &one.recording_id, one.created_at, None));
        for (conversation, recording, created, deletes) in deletions.chain(late) {
            let ids = ConversationId::parse(conversation)
                .ok()
                .zip(RecordingId::parse(recording).ok());
            let Some((conversation, recording)) = ids else {
                continue;
            };
            let one = found
                .entry((conversation, recording))
                .or_insert_with(|| KeptRecording {
                    conversation,
                    recording,
                    created,
                    deletes,
                });
            one.created = one.created.or(created);
        }
        let sent = survey.late.iter().filter(|late| late.sent);
        Self {
            named: found.keys().copied().collect(),
            found: found
                .into_values()
                .filter(|kept| kept.deletes.is_none_or(|at| at > now))
                .collect(),
            sent: sent
                .filter_map(|late| ConversationId::parse(&late.interaction_id).ok())
                .collect(),
        }
    }

    fn holds(&self, kept: &KeptRecording) -> bool {
        self.named.contains(&(kept.conversation, kept.recording))
    }
}

impl Walk {
    fn end(&mut self, why: Option<String>) {
        self.ended = true;
        self.checked.complete = why.is_none();
        self.checked.why = why;
    }

    /// Goes to the place at which the walk begins.
    fn resume(&mut self, cursor: Option<String>) {
        self.resumed = cursor.is_some();
        self.cursor = cursor;
    }

    /// Returns whether a job was sent for a conversation, as far as it is named.
    fn has_sent(&self, conversation: ConversationId) -> bool {
        let id = conversation.to_string();
        self.late
            .iter()
            .any(|late| late.sent && late.interaction_id == id)
    }

    /// Adds a recording that is deleted soon, unless it is there.
    pub(super) fn delete(&mut self, deletion: Deletion) {
        if self.deletions.contains(&deletion) {
            return;
        }
        self.deletions_ahead += 1;
        self.deletions.push(deletion);
        self.deletions.sort();
        self.deletions.truncate(NAMED);
    }

    fn late(&mut self, late: Late) {
        self.late_recordings += 1;
        if self.late.len() < NAMED {
            self.late.push(late);
        }
    }

    /// Returns what is to be stated of it, and of what is `known` beside it.
    pub(super) fn survey(&self, known: &Known) -> Survey {
        let mut ids: Vec<_> = known.failed_uploads.iter().copied().collect();
        ids.sort_unstable();
        ids.truncate(NAMED);
        Survey {
            deletions: self.deletions.clone(),
            deletions_ahead: self.deletions_ahead,
            late: self.late.clone(),
            late_recordings: self.late_recordings,
            kept: self.checked.clone(),
            kept_next: self.cursor.clone(),
            orphans: known.orphans.iter().take(NAMED).cloned().collect(),
            orphans_checked: known.orphans_checked.clone(),
            failed_uploads: ids,
            uploads_checked: known.uploads_checked.clone(),
        }
    }
}
