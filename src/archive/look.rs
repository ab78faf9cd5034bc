//! One look at a conversation: its listed recordings are archived, and then the look is concluded.

mod at_hand;
mod conclusion;
mod known;

use jiff::Timestamp;

pub use self::at_hand::{AtHand, Gave};
pub use self::conclusion::Concluded;
use self::known::Known;
use super::settling::{Plan, has_job, plan};
use super::{Archiver, Run, several};
use crate::aws::ledger::Found;
use crate::domain::audit::Action;
use crate::domain::call::Told;
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult, Timings};
use crate::domain::record::{Record, State};
use crate::domain::recording::{RecordingId, RecordingRef};
use crate::error::{Error, ErrorKind};
use crate::genesys::{Listed, Listing};

/// The result of a look so far.
#[derive(Debug, Default)]
pub struct Looked {
    /// One result for each recording that the look had something to do with.
    pub results: Vec<RecordingResult>,
    /// The look, to be concluded once the results were sent where they have to go.
    pub taken: Option<Taken>,
}

/// A look that is not concluded yet.
#[derive(Debug)]
pub struct Taken {
    /// The latest end event that was known when the look began.
    since: Timestamp,
    /// The error is why Genesys listed nothing.
    seen: Result<Seen, Error>,
}

/// The findings of a look.
#[derive(Debug)]
struct Seen {
    /// The number of the look, from 1.
    number: u32,
    found: Found,
    /// The list held nothing but unreadable entries.
    garbled: bool,
    /// No recording that was ever listed needs another run.
    complete: bool,
    /// The conversation's record when the look began.
    before: Option<Record>,
    /// The look has no results of its own.
    quiet: bool,
    /// What the list said of each recording.
    told: Vec<Told>,
}

impl Archiver {
    /// Checks whether a job is for a conversation that is looked at until nothing more can come.
    pub fn settles(&self, job: &Job) -> bool {
        self.config.settles() && job.recording.is_none() && job.segment.is_none()
    }

    /// Looks at the job's conversation, if the ledger does not say that there is no need to, and archives what is
    /// listed. The look counts only once it is concluded.
    pub async fn look(&self, run: Run<'_>) -> Looked {
        let of = run.conversation();
        let reading = self.ledger.records(run.job.conversation);
        let records = match run.deadline.in_time(reading).await {
            Ok(records) => records,
            Err(error) => return Looked::ended(RecordingResult::ended(of, Outcome::Retry, error)),
        };
        let (whole, recordings) = records.into_iter().partition(|record| record.recording_id == "-");
        let known = Known {
            conversation: Vec::into_iter(whole).next(),
            recordings,
        };
        let run = run.waiting_since(known.conversation.as_ref());
        match plan(
            run.job,
            run.ended(),
            known.conversation.as_ref(),
            self.clock.now(),
        ) {
            Plan::Stale => {
                tracing::info!(interaction_id = %of.conversation, look = run.job.look, "look was taken before");
                Looked::default()
            }
            Plan::Answer => self.answer_from_ledger(run, known),
            Plan::Join => match self.wait_on(run, &known).await {
                Ok(()) => self.take(run, known, None).await,
                Err(error) => Looked::ended(RecordingResult::ended(of, Outcome::Retry, error)),
            },
            Plan::Take(number) => self.take(run, known, Some(number)).await,
        }
    }

    /// Makes the looks continue for as long after a later end event as after the first one.
    async fn wait_on(&self, run: Run<'_>, known: &Known) -> Result<(), Error> {
        let before = known.conversation.as_ref().and_then(|record| record.since);
        if Some(run.since) <= before {
            return Ok(());
        }
        let entry = self.entry(run.job, Action::ConversationListed, State::Settling);
        let seen = known.conversation.clone();
        let writer = run.writer(run.conversation());
        self.ledger.wait_since(writer, seen, run.since, &entry).await
    }

    /// Answers a job for a settled conversation without looking at it.
    fn answer_from_ledger(&self, run: Run<'_>, known: Known) -> Looked {
        let of = run.conversation();
        let archived = known.recordings.iter().filter(|record| record.is_archived());
        let archived = archived.count();
        if run.job.expected_sha256.is_some() && archived > 1 {
            let error = several(archived);
            return Looked::ended(RecordingResult::ended(of, Outcome::Failed, error));
        }
        let mut results = Vec::new();
        for record in known.recordings {
            let Ok(recording) = RecordingId::parse(&record.recording_id) else {
                continue;
            };
            let of = RecordingRef {
                recording: Some(recording),
                ..of
            };
            if record.is_archived() {
                results.push(self.already_archived(run, of, record));
            }
        }
        if results.is_empty() {
            let outcome = match known.conversation.map(|record| record.state) {
                Some(State::Unrecorded) => Outcome::Unrecorded,
                Some(State::Erased) => Outcome::Erased,
                _ => Outcome::Settled,
            };
            results.push(RecordingResult::done(of, outcome, Vec::new(), Timings::default()));
        }
        Looked { results, taken: None }
    }

    /// Lists the conversation's recordings and archives them. A look of a series archives only those without a run or a
    /// job of their own.
    async fn take(&self, run: Run<'_>, mut known: Known, number: Option<u32>) -> Looked {
        let of = run.conversation();
        let listing = self.genesys.list(of.conversation, run.deadline);
        let mut listing = match run.deadline.in_time(listing).await {
            Ok(listing) => listing,
            // Genesys answers 404 instead of with an empty list, too.
            Err(error) if matches!(error.kind(), ErrorKind::NotReady { .. }) => Listing::default(),
            Err(error) => {
                let error = self.never_ready(run, error).await;
                let taken = Taken {
                    since: run.since,
                    seen: Err(error),
                };
                return Looked {
                    results: Vec::new(),
                    taken: Some(taken),
                };
            }
        };
        let found = known.found(&listing);
        let told = listing.recordings.iter().map(Listed::told).collect();
        let garbled = listing.recordings.is_empty() && listing.unreadable.is_some();
        if found.unreadable.is_some() && found.unreadable == known.unreadable() {
            // A person has that case already.
            listing.unreadable = None;
        }
        let now = self.clock.now();
        if number.is_none() {
            let alone = |one: &Listed| !has_job(known.of(&one.id.to_string()), now);
            listing.recordings.retain(alone);
        }
        let vanished = known.vanished(&found.listed, now);
        // A job from outside works on everything, and so does a look whose run died: what that run recorded may not
        // have been sent.
        if let Some(number) = number.filter(|number| run.job.look.is_some() && *number > known.begun()) {
            known.leave_to_their_runs(&mut listing, now);
            let has_work =
                !listing.recordings.is_empty() || listing.unreadable.is_some() || !vanished.is_empty();
            if has_work && let Err(error) = self.begin(run, number, &mut known).await {
                return Looked::ended(RecordingResult::ended(of, Outcome::Retry, error));
            }
        }
        let mut results = self.archive_listed(run, listing).await;
        for id in &vanished {
            results.extend(self.see_to(run, id).await);
        }
        if number.is_none() && results.is_empty() {
            let outcome = Outcome::Settling;
            results.push(RecordingResult::done(of, outcome, Vec::new(), Timings::default()));
        }
        let undecided = results.iter().any(is_undecided);
        let complete = known
            .ever_listed(&found.listed)
            .all(|id| is_final(id, &results, &known));
        let seen = number.filter(|_| !undecided).map(|number| Seen {
            number,
            complete,
            quiet: results.is_empty(),
            found,
            garbled,
            before: known.conversation,
            told,
        });
        let taken = seen.map(|seen| Taken {
            since: run.since,
            seen: Ok(seen),
        });
        Looked { results, taken }
    }

    /// Records that a look has something to do.
    async fn begin(&self, run: Run<'_>, number: u32, known: &mut Known) -> Result<(), Error> {
        let entry = self.entry(run.job, Action::ConversationListed, State::Settling);
        let (writer, seen) = (run.writer(run.conversation()), known.conversation.take());
        known.conversation = self.ledger.begin_look(writer, seen, number, &entry).await?;
        Ok(())
    }

    /// Archives a recording of the conversation as a job of its own would.
    async fn see_to(&self, run: Run<'_>, id: &str) -> Option<RecordingResult> {
        let job = Job {
            recording: Some(RecordingId::parse(id).ok()?),
            ..run.job.clone()
        };
        Some(self.archive_recording(Run { job: &job, ..run }, None).await)
    }
}

impl Looked {
    fn ended(result: RecordingResult) -> Self {
        Self {
            results: vec![result],
            taken: None,
        }
    }
}

/// Checks whether a result leaves open what was archived: another run is needed, or the job was refused.
fn is_undecided(result: &RecordingResult) -> bool {
    let kind = result.error.as_ref().map(Error::kind);
    result.outcome == Outcome::Retry || kind == Some(ErrorKind::MalformedJob)
}

/// Checks whether a recording needs no further run, by its result in this look or else by its record.
fn is_final(id: &str, results: &[RecordingResult], known: &Known) -> bool {
    let result = results.iter().find(|result| result.target.recording_key() == id);
    let Some(result) = result else {
        return known.of(id).is_some_and(Record::is_final);
    };
    let archived = result
        .error
        .as_ref()
        .is_some_and(|error| error.kind() == ErrorKind::WebhookDown);
    match result.outcome {
        Outcome::Deferred => archived,
        Outcome::Retry => false,
        Outcome::Archived
        | Outcome::AlreadyArchived
        | Outcome::Settling
        | Outcome::Settled
        | Outcome::Unrecorded
        | Outcome::Erased
        | Outcome::Expired
        | Outcome::Skipped
        | Outcome::Failed => true,
    }
}
