//! A conversation that is settled without a look: a batch download gave its recordings, two days after its end.

use jiff::Timestamp;

use super::super::describe::{Proof, Unnamed};
use super::super::settling::BULK;
use super::super::{Archiver, Given, Left, Run};
use super::conclusion::Conclusion;
use super::known::Known;
use super::{Seen, Told};
use crate::domain::call::Extent;
use crate::domain::format::MediaKind;
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::domain::record::{Record, State};
use crate::error::{Disposition, Error, ErrorKind};
use crate::genesys::Listing;

/// What a batch download gave of a conversation, which is archived.
#[derive(Debug)]
pub struct Gave {
    /// Its recordings.
    pub told: Vec<Told>,
    /// The kind of each recording that was started, as far as the job says.
    pub started: Vec<MediaKind>,
    /// When the conversation ended.
    pub end: Timestamp,
}

/// What follows where a batch download gave all that it has of a conversation.
#[derive(Debug)]
pub enum AtHand {
    /// Nothing: the conversation is settled, by this run or by a former one.
    Settled(Option<Box<RecordingResult>>),
    /// The live lane looks at the conversation. One that is settled is looked at again.
    Live {
        /// It is settled.
        recheck: bool,
        /// Why this lane does not settle it.
        why: String,
    },
    /// The same once more: time is up, or Genesys gives no details or names now.
    Left(Left),
}

impl Archiver {
    /// Settles the run's conversation by the recordings that a batch download gave and that are archived now. Its call
    /// record has what its details say. A conversation of which the live lane has begun to look is left to it, and so
    /// is one of which the details say that there is more.
    pub(in crate::archive) async fn settle_at_hand(
        &self,
        run: Run<'_>,
        gave: Gave,
        given: Given<'_>,
    ) -> AtHand {
        let (batch, told) = (given.details, &gave.told);
        let reading = self.ledger.records(run.job.conversation);
        let records = match run.deadline.in_time(reading).await {
            Ok(records) => records,
            Err(error) => return failed(&error, UNRECORDED),
        };
        let (whole, recordings): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| record.recording_id == "-");
        let mut known = Known {
            conversation: whole.into_iter().next(),
            recordings,
        };
        if let Some(answer) = self.answered(&known, &gave) {
            return answer;
        }
        if let Some(why) = self.lacks(&gave.started, told) {
            return live(why);
        }
        if !known.recordings.iter().all(Record::is_final) {
            return live("has a recording that is not archived yet");
        }
        let details = match self.config.call_record {
            Extent::Off => None,
            Extent::Standard | Extent::Full => {
                let asking = self.genesys.details(batch, run.job.conversation, run.deadline);
                match run.deadline.in_time(asking).await {
                    Ok(details) => Some(details),
                    Err(error) if error.disposition() == Disposition::Retry => return left(run, &error),
                    Err(error) => return failed(&error, "has details that cannot be had"),
                }
            }
        };
        if let Some(why) = self.more(details.as_ref(), told) {
            return live(why);
        }
        // Recorded before the call record is named: that needs a record, and a run that dies is followed by one that
        // finds it.
        if let Err(error) = self.begin(run, 1, &mut known).await {
            return failed(&error, UNRECORDED);
        }
        let (by, details) = (BULK, details.as_ref());
        let proof = Proof { by, details, batch };
        let unnamed = match given.last {
            true => Unnamed::Accepted,
            false => Unnamed::WaitsUnlessRefused,
        };
        let draft = match self.draft(run, proof, told, unnamed).await {
            Ok(draft) => draft,
            Err(error) => return left(run, &error),
        };
        let seen = seen(known, gave);
        let concluded = self.looked(run, seen, Conclusion::Settled(BULK), None);
        let concluded = concluded.with(draft.map(Box::new));
        match self.record_look(run, concluded).await {
            Some(RecordingResult {
                outcome: Outcome::Retry,
                error: Some(error),
                ..
            }) => failed(&error, UNRECORDED),
            result => AtHand::Settled(result.map(Box::new)),
        }
    }

    /// Returns what follows where the conversation's record decides it.
    fn answered(&self, known: &Known, gave: &Gave) -> Option<AtHand> {
        let whole = known.conversation.as_ref()?;
        // A look may have listed one that was archived after it: the call record lacks it then.
        let describes = self.config.call_record != Extent::Off;
        let knows = |one: &Told| {
            let id = &one.recording_id;
            let archived = known.of(id).is_some_and(Record::is_archived);
            whole.recordings.contains(id) && !(describes && archived && !whole.described.contains(id))
        };
        let started = gave.started.iter().filter(|kind| self.wants(**kind)).count();
        let lacks = self.lacks(&gave.started, &gave.told).is_some() && started > whole.recordings.len();
        let complete = gave.told.iter().all(knows) && !lacks;
        if whole.is_erased() || whole.is_settled() && complete {
            return Some(AtHand::Settled(None));
        }
        if whole.is_settled() {
            let why = "is settled without a recording that there is".to_owned();
            return Some(AtHand::Live { recheck: true, why });
        }
        // Without a look that counts, a former run of this lane died, or the first look of the live lane is under way:
        // the ledger takes one of both.
        let begun = whole.state == State::Settling && whole.looks == 0;
        (!begun).then(|| live("is looked at by the live lane"))
    }
}

/// Leaves a conversation to another run.
fn left(run: Run<'_>, error: &Error) -> AtHand {
    if error.kind() == ErrorKind::DeadlineNear {
        return AtHand::Left(Left::Now);
    }
    let (id, error) = (run.job.conversation, error.redacted());
    tracing::warn!(interaction_id = %id, error, "a conversation waits to be settled");
    AtHand::Left(Left::Later)
}

/// Leaves a conversation that is not settled to the live lane.
fn live(why: impl Into<String>) -> AtHand {
    let (recheck, why) = (false, why.into());
    AtHand::Live { recheck, why }
}

fn seen(known: Known, gave: Gave) -> Seen {
    let Gave { told, end, .. } = gave;
    let mut found = known.found(&Listing::default());
    found.listed = told.iter().map(|one| one.recording_id.clone()).collect();
    found.kinds = told.iter().map(|one| one.media.clone()).collect();
    for names in [&mut found.listed, &mut found.kinds] {
        names.sort();
        names.dedup();
    }
    found.others.retain(|id| !found.listed.contains(id));
    found.since = Some(end);
    Seen {
        number: 1,
        found,
        garbled: false,
        complete: true,
        before: known.conversation,
        quiet: false,
        told,
    }
}

/// Why the live lane goes on where the ledger could not be read or written.
const UNRECORDED: &str = "could not be recorded as settled";

fn failed(error: &Error, why: &'static str) -> AtHand {
    if error.kind() == ErrorKind::DeadlineNear {
        return AtHand::Left(Left::Now);
    }
    let text = error.redacted();
    tracing::warn!(
        error = text,
        "a conversation could not be settled by its batch download"
    );
    live(why)
}
