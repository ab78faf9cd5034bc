//! A conversation that is settled without a look: a batch download gave its recordings, two days after its end.

use jiff::Timestamp;

use super::super::describe::{Proof, Unnamed};
use super::super::settling::BULK;
use super::super::{Archiver, Run};
use super::conclusion::Conclusion;
use super::known::Known;
use super::{Seen, Told};
use crate::domain::call::Extent;
use crate::domain::outcome::{Outcome, RecordingResult};
use crate::domain::record::{Record, State};
use crate::error::{Error, ErrorKind};
use crate::genesys::{Details, Listing};

/// What follows where a batch download gave all that it has of a conversation.
#[derive(Debug)]
pub enum AtHand {
    /// Nothing: the conversation is settled, by this run or by a former one.
    Settled(Option<RecordingResult>),
    /// The live lane looks at the conversation. One that is settled is looked at again.
    Live {
        /// It is settled.
        recheck: bool,
        /// Why this lane does not settle it.
        why: &'static str,
    },
    /// The same once more, as time is up, or as Genesys gives no details now.
    Left(Error),
}

impl Archiver {
    /// Settles the run's conversation, which ended at `end`, by the recordings that a batch download gave and that are
    /// archived now. Its call record has what the details of `batch` say. A conversation of which the live lane has
    /// begun to look is left to it.
    pub(in crate::archive) async fn settle_at_hand(
        &self,
        run: Run<'_>,
        told: Vec<Told>,
        end: Timestamp,
        batch: &Details,
    ) -> AtHand {
        let reading = self.ledger.records(run.job.conversation);
        let records = match run.deadline.in_time(reading).await {
            Ok(records) => records,
            Err(error) => return failed(error, UNRECORDED),
        };
        let (whole, recordings): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| record.recording_id == "-");
        let mut known = Known {
            conversation: whole.into_iter().next(),
            recordings,
        };
        if let Some(answer) = answered(known.conversation.as_ref(), &told) {
            return answer;
        }
        if !known.recordings.iter().all(Record::is_final) {
            let why = "a recording of it is not archived yet";
            return AtHand::Live { recheck: false, why };
        }
        let details = match self.config.call_record {
            Extent::Off => None,
            Extent::Standard | Extent::Full => {
                let asking = self.genesys.details(batch, run.job.conversation, run.deadline);
                match run.deadline.in_time(asking).await {
                    Ok(details) => Some(details),
                    Err(error) if batch.failed() => return AtHand::Left(error),
                    Err(error) => return failed(error, "its details cannot be had now"),
                }
            }
        };
        // Recorded before the call record is named: that needs a record, and a run that dies is followed by one that
        // finds it.
        if let Err(error) = self.begin(run, 1, &mut known).await {
            return failed(error, UNRECORDED);
        }
        let (by, details) = (BULK, details.as_ref());
        let proof = Proof { by, details, batch };
        let drafting = self.draft(run, proof, &told, Unnamed::Accepted).await;
        let draft = match drafting {
            Ok(draft) => draft,
            Err(error) => return failed(error, UNRECORDED),
        };
        let seen = seen(known, told, end);
        let concluded = self.looked(run, seen, Conclusion::Settled(BULK), None);
        let concluded = concluded.with(draft.map(Box::new));
        match self.record_look(run, concluded).await {
            Some(RecordingResult {
                outcome: Outcome::Retry,
                error: Some(error),
                ..
            }) => failed(error, UNRECORDED),
            result => AtHand::Settled(result),
        }
    }
}

/// Returns what follows where the conversation's record decides it.
fn answered(whole: Option<&Record>, told: &[Told]) -> Option<AtHand> {
    let whole = whole?;
    let knows = |one: &Told| whole.recordings.contains(&one.recording_id);
    if whole.is_erased() || whole.is_settled() && told.iter().all(knows) {
        return Some(AtHand::Settled(None));
    }
    if whole.is_settled() {
        let why = "it is settled without a recording that the batch download gave";
        return Some(AtHand::Live { recheck: true, why });
    }
    // Without a look that counts, a former run of this lane died, or the first look of the live lane is under way: the
    // ledger takes one of both.
    let begun = whole.state == State::Settling && whole.looks == 0;
    let why = "the live lane looks at it";
    (!begun).then_some(AtHand::Live { recheck: false, why })
}

fn seen(known: Known, told: Vec<Told>, end: Timestamp) -> Seen {
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
const UNRECORDED: &str = "writing that it is settled failed";

fn failed(error: Error, why: &'static str) -> AtHand {
    if error.kind() == ErrorKind::DeadlineNear {
        return AtHand::Left(error);
    }
    let text = error.redacted();
    tracing::warn!(
        error = text,
        "a conversation could not be settled by its batch download"
    );
    AtHand::Live { recheck: false, why }
}
