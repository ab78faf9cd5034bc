//! One look at a conversation: what it lists is archived, and whether another look follows is decided.
//!
//! What follows is sent before it is written down. A run that dies in between does both again, and the second message
//! dies by its number; the other way round, a conversation would be written down as looked at again, and never would be.

mod conclusion;
mod known;

use jiff::Timestamp;

use self::conclusion::Conclusion;
use self::known::Known;
use super::endings::{lasting, missing, not_settled};
use super::settling::{Next, Plan, View, has_job, plan};
use super::{Archiver, Run, several};
use crate::aws::ledger::{Found, Look};
use crate::domain::audit::Action;
use crate::domain::job::Job;
use crate::domain::outcome::{Figures, Outcome, RecordingResult};
use crate::domain::record::{Record, State};
use crate::domain::recording::{RecordingId, RecordingRef};
use crate::error::{Error, ErrorKind};
use crate::genesys::{self, Details, Listed, Listing, Told};

/// What came of a look so far.
#[derive(Debug, Default)]
pub struct Looked {
    /// What became of the recordings. Nothing, where there was nothing to do.
    pub results: Vec<RecordingResult>,
    /// The look, to be concluded once the results were sent where they have to go.
    pub taken: Option<Taken>,
}

/// A look that is not concluded yet.
#[derive(Debug)]
pub struct Taken {
    number: u32,
    found: Found,
    garbled: bool,
    complete: bool,
    before: Option<Record>,
    /// It has no results of its own.
    quiet: bool,
}

impl Archiver {
    /// Tells whether a job is for a conversation that is looked at until nothing more can come.
    pub fn settles(&self, job: &Job) -> bool {
        self.config.settles() && job.recording.is_none() && job.segment.is_none()
    }

    /// Looks at the job's conversation, if the ledger does not say that there is no need to, and archives what is listed.
    /// The look counts only once it is concluded.
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
        let job = waiting_since(run.job, known.conversation.as_ref());
        let run = Run { job: &job, ..run };
        let event = run.actor.event_id.is_some();
        match plan(run.job, event, known.conversation.as_ref(), self.clock.now()) {
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

    /// Lets the looks go on for as long after a later end event as after the first one.
    async fn wait_on(&self, run: Run<'_>, known: &Known) -> Result<(), Error> {
        let before = known.conversation.as_ref().and_then(|record| record.since);
        let Some(since) = run.job.first_seen.filter(|since| Some(*since) > before) else {
            return Ok(());
        };
        let entry = self.entry(run.job, Action::ConversationListed, State::Settling);
        let seen = known.conversation.clone();
        let writer = run.writer(run.conversation());
        self.ledger.wait_since(writer, seen, since, &entry).await
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
            let unrecorded = known
                .conversation
                .is_some_and(|record| record.state == State::Unrecorded);
            let outcome = if unrecorded {
                Outcome::Unrecorded
            } else {
                Outcome::Settled
            };
            results.push(RecordingResult::done(of, outcome, Vec::new(), Figures::default()));
        }
        Looked { results, taken: None }
    }

    /// Lists the conversation's recordings and archives them; one look of a series only those that nobody sees to.
    async fn take(&self, run: Run<'_>, mut known: Known, number: Option<u32>) -> Looked {
        let of = run.conversation();
        let listing = self.genesys.list(of.conversation, run.deadline);
        let mut listing = match run.deadline.in_time(listing).await {
            Ok(listing) => listing,
            // Genesys answers 404 instead of with an empty list, too.
            Err(error) if matches!(error.kind(), ErrorKind::NotReady { .. }) => Listing::default(),
            Err(error) => {
                let error = self.never_ready(run, error).await;
                let found = Some(Found::default());
                return Looked::ended(self.conclude_with(run, of, found, error).await);
            }
        };
        let found = known.found(&listing);
        let garbled = listing.recordings.is_empty() && listing.unreadable.is_some();
        if found.unreadable.is_some() && found.unreadable == known.unreadable() {
            // It is somebody's case already.
            listing.unreadable = None;
        }
        let now = self.clock.now();
        if number.is_none() {
            let alone = |one: &Listed| !has_job(known.of(&one.id.to_string()), now);
            listing.recordings.retain(alone);
        }
        let vanished = known.vanished(&found.listed, now);
        // A job that somebody sent sees to everything, and so does a look whose run died: what that run recorded may not
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
            results.push(RecordingResult::done(of, outcome, Vec::new(), Figures::default()));
        }
        let undecided = results.iter().any(is_undecided);
        let complete = known
            .ever_listed(&found.listed)
            .all(|id| is_final(id, &results, &known));
        let taken = number.filter(|_| !undecided).map(|number| Taken {
            number,
            complete,
            quiet: results.is_empty(),
            found,
            garbled,
            before: known.conversation,
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

    /// Sees to a recording of the conversation as a job of its own would.
    async fn see_to(&self, run: Run<'_>, id: &str) -> Option<RecordingResult> {
        let job = Job {
            recording: Some(RecordingId::parse(id).ok()?),
            ..run.job.clone()
        };
        Some(self.archive_recording(Run { job: &job, ..run }, None).await)
    }

    /// Decides what follows a look, sends it, and writes the look down. Returns what came of the conversation as a whole,
    /// if anything did.
    pub async fn conclude_look(
        &self,
        run: Run<'_>,
        mut taken: Taken,
        batch: &Details,
    ) -> Option<RecordingResult> {
        let of = run.conversation();
        let now = self.clock.now();
        let job = waiting_since(run.job, taken.before.as_ref());
        let run = Run { job: &job, ..run };
        taken.found.since = Some(job.first_seen.unwrap_or(now).min(now));
        let view = self.view(&taken, now);
        let mut told = None;
        if view.needs_details() {
            match self.told(run, batch).await {
                Ok(details) => told = details,
                Err(error) => return Some(RecordingResult::ended(of, Outcome::Retry, error)),
            }
        }
        let conclusion = match view.next(told.as_ref()) {
            Next::Again(delay) => {
                let at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
                let job = next_look(run.job, taken.number, at, view.since);
                if let Err(error) = self.queues.send(&job, delay).await {
                    return Some(RecordingResult::ended(of, Outcome::Retry, error));
                }
                Conclusion::Again(at)
            }
            Next::Settled(by) => Conclusion::Settled(by),
            Next::Unrecorded => Conclusion::Unrecorded,
            Next::Defer => {
                let error = genesys::not_listed(run.job);
                return Some(self.conclude_with(run, of, Some(taken.found), error).await);
            }
            next @ (Next::Open | Next::Never | Next::Missing(_)) => {
                let error = self.at_the_end_of_patience(run, next, told).await;
                return Some(self.conclude_with(run, of, Some(taken.found), error).await);
            }
        };
        let quiet = taken.quiet;
        match self.write_look(run, taken, conclusion).await {
            Ok(()) if conclusion.goes_on() && !quiet => None,
            Ok(()) => {
                let outcome = conclusion.outcome();
                Some(RecordingResult::done(of, outcome, Vec::new(), Figures::default()))
            }
            Err(error) => Some(RecordingResult::ended(of, Outcome::Retry, error)),
        }
    }

    fn view<'a>(&'a self, taken: &'a Taken, now: Timestamp) -> View<'a> {
        View {
            look: taken.number,
            listed: &taken.found.listed,
            kinds: &taken.found.kinds,
            garbled: taken.garbled,
            complete: taken.complete,
            before: taken.before.as_ref(),
            since: taken.found.since.unwrap_or(now),
            now,
            limits: &self.config.limits,
            wanted: &self.config.recording.media,
        }
    }

    /// Asks for the details of the job's conversation; `None`: Genesys did not get to tell, and may at the next look.
    async fn told(&self, run: Run<'_>, batch: &Details) -> Result<Option<Told>, Error> {
        let conversation = run.job.conversation;
        let details = self.genesys.details(batch, conversation, run.deadline);
        match run.deadline.in_time(details).await {
            Ok(told) => Ok(Some(told)),
            Err(error) if error.kind() == ErrorKind::DeadlineNear => Err(error),
            Err(error) => {
                let error = error.redacted();
                tracing::warn!(interaction_id = %conversation, error, "no details of a conversation; another look follows");
                Ok(None)
            }
        }
    }

    async fn write_look(&self, run: Run<'_>, taken: Taken, conclusion: Conclusion) -> Result<(), Error> {
        let state = conclusion.state();
        let entry = conclusion.describe(&taken, self.entry(run.job, conclusion.action(), state));
        let look = Look {
            number: taken.number,
            state,
            found: taken.found,
            next_look_at: conclusion.next(),
            settled_by: conclusion.proof(),
            entry,
        };
        let writer = run.writer(run.conversation());
        self.ledger.looked(writer, taken.before, &look).await?;
        let (look, state) = (look.number, state.as_str());
        tracing::info!(interaction_id = %run.job.conversation, look, state, "looked at a conversation");
        Ok(())
    }

    /// Says why nothing follows by itself, with what an orphan recording tells.
    async fn at_the_end_of_patience(&self, run: Run<'_>, next: Next, told: Option<Told>) -> Error {
        match (next, told) {
            (Next::Open, Some(Told::Known(known))) => {
                let since = run.job.first_seen.unwrap_or_else(|| self.clock.now());
                let orphan = self.orphan(run).await;
                lasting(&known, since, self.config.limits.readiness, &orphan)
            }
            (Next::Missing(kind), _) => {
                let since = run.job.first_seen.unwrap_or_else(|| self.clock.now());
                missing(run, kind, since, &self.orphan(run).await)
            }
            _ => {
                let error = self.never_ready(run, genesys::not_listed(run.job)).await;
                match error.kind() {
                    ErrorKind::NeverReady => error,
                    _ => not_settled(run.job.conversation),
                }
            }
        }
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

/// Returns the job of the look after this one.
fn next_look(job: &Job, number: u32, at: Timestamp, since: Timestamp) -> Job {
    Job {
        expected_sha256: None,
        deferrals: 0,
        first_seen: Some(since),
        look: Some(number + 1),
        not_before: Some(at),
        recheck: false,
        ..job.clone()
    }
}

/// Returns the job as one since the latest end event that is known.
fn waiting_since(job: &Job, record: Option<&Record>) -> Job {
    Job {
        first_seen: job.first_seen.max(record.and_then(|record| record.since)),
        ..job.clone()
    }
}

/// Tells whether a result leaves open what was archived: another run is needed, or the job was refused.
fn is_undecided(result: &RecordingResult) -> bool {
    let kind = result.error.as_ref().map(Error::kind);
    result.outcome == Outcome::Retry || kind == Some(ErrorKind::MalformedJob)
}

/// Tells whether nothing more comes of a recording by itself, by what this look made of it, or else by its record.
fn is_final(id: &str, results: &[RecordingResult], known: &Known) -> bool {
    let result = results.iter().find(|result| result.of.recording_key() == id);
    let Some(result) = result else {
        return known.of(id).is_some_and(Record::is_final);
    };
    let archived = result
        .error
        .as_ref()
        .is_some_and(|error| error.kind() == ErrorKind::WebhookDown);
    match result.outcome {
        Outcome::Deferred => archived,
        outcome => outcome != Outcome::Retry,
    }
}
