//! The end of a look: whether another one follows is decided, sent, and then recorded.
//!
//! The next look is sent before it is recorded. A run that dies in between does both again, and the second message is
//! dropped by its number; the other way round, a conversation would be recorded as looked at again, and never would be.

use jiff::Timestamp;

use super::super::describe::{Draft, Proof};
use super::super::endings::{Ending, lasting, missing, not_settled};
use super::super::settling::{Next, View};
use super::super::{Archiver, Run};
use super::{Seen, Taken};
use crate::aws::ledger::{Found, Look};
use crate::aws::queues::Delayed;
use crate::domain::audit::{Action, AuditEvent};
use crate::domain::call;
use crate::domain::job::Job;
use crate::domain::outcome::{Outcome, RecordingResult, Timings};
use crate::domain::record::{Record, State};
use crate::error::{Error, ErrorKind};
use crate::genesys::{self, Details, Told};

/// A look that is decided on and not recorded yet.
#[derive(Debug)]
pub struct Concluded(End);

#[derive(Debug)]
enum End {
    /// The look counts.
    Looked {
        look: Box<Look>,
        before: Option<Box<Record>>,
        next: Option<Box<Delayed>>,
        /// The call record of a conversation that is settled.
        draft: Option<Box<Draft>>,
        /// The outcome for the conversation as a whole, if there is one.
        outcome: Option<Outcome>,
    },
    /// The look ends in an error: the same look is taken again later, or a person has to act.
    Ended(Box<Ending>),
}

impl Concluded {
    /// Returns the job that has to be sent before the look is recorded.
    pub fn next(&self) -> Option<&Delayed> {
        match &self.0 {
            End::Looked { next, .. } => next.as_deref(),
            End::Ended(ending) => ending.next.as_ref(),
        }
    }

    /// Adds the call record that is written before the look is recorded.
    pub(super) fn with(mut self, call: Option<Box<Draft>>) -> Self {
        if let End::Looked { draft, .. } = &mut self.0 {
            *draft = call;
        }
        self
    }
}

impl Archiver {
    /// Decides what follows a look. The error is the result of a run that cannot decide.
    pub async fn conclude_look(
        &self,
        run: Run<'_>,
        taken: Taken,
        batch: &Details,
    ) -> Result<Concluded, RecordingResult> {
        let since = taken.since;
        let run = Run { since, ..run };
        let mut seen = match taken.seen {
            Ok(seen) => seen,
            Err(error) => return Ok(self.ended(run, Found::default(), error)),
        };
        let now = self.clock.now();
        let run = run.waiting_since(seen.before.as_ref());
        let since = run.since.min(now);
        let run = Run { since, ..run };
        seen.found.since = Some(since);
        let view = self.view(&seen, now);
        let mut details = None;
        if view.needs_details() {
            let asked = self.details(run, batch).await;
            details =
                asked.map_err(|error| RecordingResult::ended(run.conversation(), Outcome::Retry, error))?;
        }
        let (next, draft) = match view.next(details.as_ref()) {
            Next::Settled(by) => {
                let details = details.as_ref();
                let proof = Proof { by, details, batch };
                self.begin_call(run, &view, proof, &seen.told).await?
            }
            next => (next, None),
        };
        let error = match next {
            Next::Again(delay) => {
                let at = now.saturating_add(delay).unwrap_or(Timestamp::MAX);
                let job = next_look(run, seen.number, at);
                let next = Some(Delayed { job, delay });
                return Ok(self.looked(run, seen, Conclusion::Again(at), next));
            }
            Next::Settled(by) => {
                let settled = self.looked(run, seen, Conclusion::Settled(by), None);
                return Ok(settled.with(draft));
            }
            Next::Unrecorded => return Ok(self.looked(run, seen, Conclusion::Unrecorded, None)),
            Next::Defer => genesys::not_listed(run.job),
            Next::Open => self.still_open(run, details).await,
            Next::Never => self.not_settled(run).await,
            Next::Missing(kind) => missing(run, kind, &self.orphan(run).await),
        };
        Ok(self.ended(run, seen.found, error))
    }

    /// Begins the call record of a conversation that is settled by `proof`. Another look follows where Genesys gives no
    /// names now.
    async fn begin_call(
        &self,
        run: Run<'_>,
        view: &View<'_>,
        proof: Proof<'_>,
        told: &[call::Told],
    ) -> Result<(Next, Option<Box<Draft>>), RecordingResult> {
        match self.draft(run, proof, told, view.unnamed()).await {
            Ok(draft) => Ok((Next::Settled(proof.by), draft.map(Box::new))),
            Err(error) if error.kind() == ErrorKind::DeadlineNear => {
                Err(RecordingResult::ended(run.conversation(), Outcome::Retry, error))
            }
            Err(error) => {
                let error = error.redacted();
                tracing::warn!(error, "no names for a call record; another look follows");
                Ok((view.again(), None))
            }
        }
    }

    /// Records a look whose next job was sent. Returns the result for the conversation as a
    /// whole, if there is one.
    pub async fn record_look(&self, run: Run<'_>, concluded: Concluded) -> Option<RecordingResult> {
        let (look, mut before, outcome, draft) = match concluded.0 {
            End::Looked {
                look,
                before,
                outcome,
                draft,
                next: _,
            } => (look, before, outcome, draft),
            End::Ended(ending) => return Some(self.record_ending(run, *ending).await),
        };
        let conversation = run.conversation();
        if let Some(draft) = draft {
            match self.describe(run, *draft).await {
                Ok(described) => before = described,
                Err(error) if error.kind() == ErrorKind::ForeignObject => {
                    return Some(self.conclude_unclaimed(run, conversation, error).await);
                }
                Err(error) => return Some(RecordingResult::ended(conversation, Outcome::Retry, error)),
            }
        }
        let recording = self.ledger.looked(run.writer(conversation), before, &look);
        if let Err(error) = recording.await {
            return Some(RecordingResult::ended(conversation, Outcome::Retry, error));
        }
        let (look, state) = (look.number, look.state.as_str());
        tracing::info!(interaction_id = %conversation.conversation, look, state, "looked at a conversation");
        outcome.map(|outcome| RecordingResult::done(conversation, outcome, Vec::new(), Timings::default()))
    }

    fn view<'a>(&'a self, seen: &'a Seen, now: Timestamp) -> View<'a> {
        View {
            look: seen.number,
            listed: &seen.found.listed,
            kinds: &seen.found.kinds,
            garbled: seen.garbled,
            complete: seen.complete,
            before: seen.before.as_ref(),
            since: seen.found.since.unwrap_or(now),
            now,
            limits: &self.config.limits,
            wanted: &self.config.recording.media,
        }
    }

    /// Asks for the details of the job's conversation. `None`: Genesys could not give them, and may at the next look.
    async fn details(&self, run: Run<'_>, batch: &Details) -> Result<Option<Told>, Error> {
        let conversation = run.job.conversation;
        let details = self.genesys.details(batch, conversation, run.deadline);
        match run.deadline.in_time(details).await {
            Ok(details) => Ok(Some(details)),
            Err(error) if error.kind() == ErrorKind::DeadlineNear => Err(error),
            Err(error) => {
                let error = error.redacted();
                tracing::warn!(interaction_id = %conversation, error, "no details of a conversation; another look follows");
                Ok(None)
            }
        }
    }

    pub(super) fn looked(
        &self,
        run: Run<'_>,
        seen: Seen,
        conclusion: Conclusion,
        next: Option<Delayed>,
    ) -> Concluded {
        let state = conclusion.state();
        let entry = conclusion.describe(&seen, self.entry(run.job, conclusion.action(), state));
        let look = Look {
            number: seen.number,
            state,
            found: seen.found,
            next_look_at: conclusion.next(),
            settled_by: conclusion.proof(),
            entry,
        };
        let outcome = match conclusion {
            Conclusion::Again(_) => seen.quiet.then_some(Outcome::Settling),
            Conclusion::Settled(_) => Some(Outcome::Settled),
            Conclusion::Unrecorded => Some(Outcome::Unrecorded),
        };
        Concluded(End::Looked {
            look: Box::new(look),
            before: seen.before.map(Box::new),
            next: next.map(Box::new),
            draft: None,
            outcome,
        })
    }

    fn ended(&self, run: Run<'_>, found: Found, error: Error) -> Concluded {
        let ending = self.ending(run, run.conversation(), Some(found), error);
        Concluded(End::Ended(Box::new(ending)))
    }

    /// Says that the conversation has not ended by the readiness deadline.
    async fn still_open(&self, run: Run<'_>, details: Option<Told>) -> Error {
        let Some(Told::Known(known)) = details else {
            return self.not_settled(run).await;
        };
        let orphan = self.orphan(run).await;
        lasting(run, &known, self.config.limits.readiness, &orphan)
    }

    /// Says that nothing was ever ready, or else that the last look was taken.
    async fn not_settled(&self, run: Run<'_>) -> Error {
        let error = self.never_ready(run, genesys::not_listed(run.job)).await;
        if error.kind() == ErrorKind::NeverReady {
            return error;
        }
        not_settled(run.job.conversation)
    }
}

/// Returns the job of the look after this one.
fn next_look(run: Run<'_>, number: u32, at: Timestamp) -> Job {
    Job {
        expected_sha256: None,
        deferrals: 0,
        first_seen: Some(run.since),
        look: Some(number + 1),
        not_before: Some(at),
        recheck: false,
        ..run.job.clone()
    }
}

/// The outcome of a look that counts.
#[derive(Clone, Copy)]
pub(super) enum Conclusion {
    Again(Timestamp),
    Settled(&'static str),
    Unrecorded,
}

impl Conclusion {
    fn state(self) -> State {
        match self {
            Self::Again(_) => State::Settling,
            Self::Settled(_) => State::Settled,
            Self::Unrecorded => State::Unrecorded,
        }
    }

    fn action(self) -> Action {
        match self {
            Self::Again(_) => Action::ConversationListed,
            Self::Settled(_) => Action::ConversationSettled,
            Self::Unrecorded => Action::ConversationUnrecorded,
        }
    }

    fn next(self) -> Option<Timestamp> {
        match self {
            Self::Again(at) => Some(at),
            Self::Settled(_) | Self::Unrecorded => None,
        }
    }

    fn proof(self) -> Option<&'static str> {
        match self {
            Self::Settled(by) => Some(by),
            Self::Again(_) | Self::Unrecorded => None,
        }
    }

    /// Adds to the audit event which look it was and what it found: new recordings only, or all of them in the end.
    fn describe(self, seen: &Seen, entry: AuditEvent) -> AuditEvent {
        let entry = entry.with("look", seen.number);
        let before = seen.before.as_ref().map_or(&[][..], |before| &before.recordings);
        let found = seen.found.listed.iter().chain(&seen.found.others);
        let new: Vec<_> = found.filter(|id| !before.contains(id)).cloned().collect();
        match self {
            Self::Again(at) if new.is_empty() => entry.with("nextLookAt", at.to_string()),
            Self::Again(at) => entry.with("nextLookAt", at.to_string()).with("recordings", new),
            Self::Settled(by) => {
                let mut all = [before, &new].concat();
                all.sort();
                entry.with("settledBy", by).with("recordings", all)
            }
            Self::Unrecorded => entry,
        }
    }
}
