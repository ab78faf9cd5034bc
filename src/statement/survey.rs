//! What Genesys says beside its lists of conversations: orphans, failed uploads, and all recordings that it keeps.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp};
use uuid::Uuid;

use super::day::Left;
use super::state::{State, Walk};
use super::{Checked, Deletion, Late, Stater, Survey, Unchecked};
use crate::clock::Deadline;
use crate::custody::{self, Custody, started};
use crate::domain::days::{day_of, start_of};
use crate::domain::format::MediaKind;
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

/// Deletions and late recordings at which a run reads no further. All of them are named.
const MOST_FOUND: usize = 10_000;

/// Orphans and failed uploads that a statement names; more are counted.
const NAMED: usize = 1_000;

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
    /// The numbers of orphans of wanted kinds, by the day on which they were made.
    orphans_by_day: BTreeMap<Date, u64>,
    /// The days of these by conversation, where that is known.
    with_orphan: HashMap<String, Vec<Option<Date>>>,
    failed_uploads: HashSet<Uuid>,
    uploads_checked: Checked,
}

impl Known {
    /// Adds the orphans that Genesys lists, of which those of these kinds are `wanted`.
    fn add_orphans(&mut self, orphans: Vec<OrphanRecording>, wanted: &[MediaKind]) {
        for orphan in orphans.iter().filter(|orphan| orphan.may_be(wanted)) {
            let day = orphan.created_at.map(day_of);
            if let Some(day) = day {
                *self.orphans_by_day.entry(day).or_default() += 1;
            }
            if let Some(id) = orphan.interaction_id.clone() {
                self.with_orphan.entry(id).or_default().push(day);
            }
        }
        self.orphans = orphans;
    }

    /// Returns whether Genesys holds a wanted recording as an orphan of a conversation.
    pub(super) fn has_orphan(&self, id: ConversationId) -> bool {
        self.with_orphan.contains_key(&id.to_string())
    }

    /// Returns the number of wanted orphans that were made on a day.
    pub(super) fn orphans_of(&self, day: Date) -> u64 {
        self.orphans_by_day.get(&day).copied().unwrap_or_default()
    }

    /// Returns the number of those of a conversation.
    pub(super) fn orphans_with(&self, id: ConversationId, day: Date) -> u64 {
        let days = self.with_orphan.get(&id.to_string()).into_iter().flatten();
        days.filter(|made| **made == Some(day)).count() as u64
    }

    /// Returns the days on which wanted orphans were made.
    pub(super) fn days_of_orphans(&self) -> impl Iterator<Item = Date> {
        self.orphans_by_day.keys().copied()
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

/// Returns whether a recording was made in the two weeks that end with this day.
fn is_recent(kept: &KeptRecording, newest: Date) -> bool {
    let end = start_of(newest.saturating_add(Span::new().days(1)));
    kept.created.is_some_and(|at| (end - RECENT..end).contains(&at))
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
                known.add_orphans(orphans, &self.config.recording.media);
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
    /// before this one came to, or from the beginning of the list. Looks at what that run found again. The budget goes
    /// by the conversations of the statements before.
    pub(super) async fn walk(&self, state: &mut State, deadline: &Deadline) -> Result<Left, Error> {
        if state.walk.ended {
            return Ok(Left::Read);
        }
        let before = self.begin_walk(&mut state.walk, deadline).await?;
        let previous = state.days.iter().filter_map(|day| day.previous.as_ref());
        let listed: u64 = previous.map(|previous| previous.listed).sum();
        let most = LEAST_PAGES.max(listed / LISTED_A_PAGE);
        let Some(newest) = state.days.last().map(|day| day.date) else {
            return Ok(Left::Read);
        };
        while !state.walk.ended {
            if !deadline.allows_new_work() {
                return Ok(Left::Midway);
            }
            let found = state.walk.late.len().max(state.walk.deletions.len());
            if state.walk.pages >= most || found >= MOST_FOUND {
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
                    state.walk.began = Some(self.clock.now());
                    continue;
                }
                Err(error) => {
                    state.walk.cursor = None;
                    state.walk.end(unanswered(error)?.why);
                    break;
                }
            };
            let read = page.recordings.len() as u64 + page.unreadable;
            let asked: Vec<_> = page
                .recordings
                .into_iter()
                .filter(|kept| is_recent(kept, newest) || self.is_soon(kept))
                // What was named before was looked at again; its date may have come near since.
                .filter(|kept| !before.holds(kept) || self.is_soon(kept))
                .collect();
            deadline
                .in_time(self.look_up(&mut state.walk, &asked, &before))
                .await?;
            state.walk.checked.read += read;
            state.walk.unreadable += page.unreadable;
            state.walk.pages += 1;
            state.walk.cursor = page.next;
            if state.walk.cursor.is_none() {
                state.walk.end_of_list(page.listed);
            }
        }
        Ok(Left::Read)
    }

    /// Reads what the run before this one found, and looks at that again. Returns it.
    async fn begin_walk(&self, walk: &mut Walk, deadline: &Deadline) -> Result<Before, Error> {
        let survey = match &walk.before {
            Some(document) => deadline.in_time(self.survey_of(document)).await?,
            None => Some(Survey::default()),
        };
        walk.survey_lost = survey.is_none();
        let survey = survey.unwrap_or_default();
        let before = Before::of(&survey, self.clock.now());
        if !walk.again {
            walk.passed = survey.kept_passed;
            walk.began = survey.kept_began.filter(|_| survey.kept_next.is_some());
            walk.began.get_or_insert(self.clock.now());
            walk.resume(survey.kept_next);
            let again = self.look_up(walk, &before.found, &before);
            deadline.in_time(again).await?;
            walk.again = true;
        }
        Ok(before)
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
            if known.is_none() && settled && !walk.names(&id) {
                let sent = before.sent.contains(&kept.conversation) || walk.has_sent(kept.conversation);
                if !sent {
                    let mut job = Job::new(kept.conversation);
                    job.requested_by =
                        Some(format!("completeness statement of {}", day_of(self.clock.now())));
                    job.recheck = true;
                    jobs.insert(kept.conversation, job);
                }
                let began = custodies.iter().filter_map(|custody| started(&custody.events));
                walk.late_recordings += 1;
                walk.late.push(Late {
                    interaction_id: kept.conversation.to_string(),
                    recording_id: id,
                    created_at: kept.created,
                    day: began.chain(kept.created).min().map(day_of),
                    sent: sent || self.queues.can_defer(),
                    stated: false,
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

    /// Ends at the end of Genesys' list.
    fn end_of_list(&mut self, listed: bool) {
        let why = if !listed || self.checked.read == 0 {
            Some("Genesys lists no recording that it keeps".to_owned())
        } else if self.unreadable > 0 {
            let unreadable = self.unreadable;
            Some(format!("{unreadable} entries of the list cannot be read"))
        } else {
            self.passed = self.began;
            let began =
                "the list was read from where the run before this one came to; the next run begins anew";
            self.resumed.then(|| began.to_owned())
        };
        self.end(why);
    }

    /// Returns whether all that Genesys keeps was looked at within the last two weeks, in one pass or in several runs.
    fn is_checked(&self, now: Timestamp) -> bool {
        let recent = |began: Timestamp| now.duration_since(began) <= RECENT;
        !self.survey_lost && (self.checked.complete || self.passed.is_some_and(recent))
    }

    /// Goes to the place at which the walk begins.
    fn resume(&mut self, cursor: Option<String>) {
        self.resumed = cursor.is_some();
        self.cursor = cursor;
    }

    /// Returns whether it found out before that a recording came late.
    fn names(&self, recording: &str) -> bool {
        self.late.iter().any(|late| late.recording_id == recording)
    }

    /// Returns whether a job was sent for a conversation, as far as it is named.
    fn has_sent(&self, conversation: ConversationId) -> bool {
        let id = conversation.to_string();
        self.late
            .iter()
            .any(|late| late.sent && late.interaction_id == id)
    }

    /// Adds a recording that is deleted soon, unless it is there. The first ones are kept, in order.
    pub(super) fn delete(&mut self, deletion: Deletion) {
        if let Err(at) = self.deletions.binary_search(&deletion) {
            self.deletions_ahead += 1;
            self.deletions.insert(at, deletion);
            self.deletions.truncate(MOST_FOUND);
        }
    }

    /// Returns the conversations of which a recording came late.
    pub(super) fn late_conversations(&self) -> HashSet<ConversationId> {
        let ids = self.late.iter();
        ids.filter_map(|late| ConversationId::parse(&late.interaction_id).ok())
            .collect()
    }

    /// Returns those of them for which a job was sent.
    pub(super) fn sent_conversations(&self) -> impl Iterator<Item = ConversationId> {
        let sent = self.late.iter().filter(|late| late.sent);
        sent.filter_map(|late| ConversationId::parse(&late.interaction_id).ok())
    }

    /// Returns what Genesys did not answer to its end, of it and of what is `known` beside it.
    pub(super) fn not_checked(&self, known: &Known, now: Timestamp) -> Vec<Unchecked> {
        let questions = [
            (Unchecked::Kept, self.is_checked(now)),
            (Unchecked::Orphans, known.orphans_checked.complete),
            (Unchecked::FailedUploads, known.uploads_checked.complete),
        ];
        let open = questions.into_iter().filter(|(_, checked)| !checked);
        open.map(|(question, _)| question).collect()
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
            kept_began: self.began,
            kept_passed: self.passed,
            orphans: known.orphans.iter().take(NAMED).cloned().collect(),
            orphans_checked: known.orphans_checked.clone(),
            failed_uploads: ids,
            uploads_checked: known.uploads_checked.clone(),
        }
    }
}
