//! The bulk lane: a batch download gives the recordings of up to 100 entries, of which nobody asks for the rest.
//!
//! Only where the bytes come from differs, and what is at hand in place of a look. An entry is the live lane's job of
//! the same conversation or recording; where the batch download has not all of it, that is what becomes of it.

use tokio::sync::SemaphorePermit;

use super::endings::log_end;
use super::{Archiver, AtHand, Gave, Run};
use crate::clock::Deadline;
use crate::domain::bulk::{Entry, is_over};
use crate::domain::call::Told;
use crate::domain::format::MediaKind;
use crate::domain::outcome::{Outcome, RecordingResult, Timings};
use crate::domain::record::Record;
use crate::domain::recording::RecordingRef;
use crate::error::{Error, ErrorKind};
use crate::genesys::{self, Batched, Details, Listed, Listing};

/// What is at hand of a batch download.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Its results.
    pub batched: &'a Batched,
    /// The details of its conversations, once they are needed.
    pub details: &'a Details,
    /// Another batch download may follow for what this one did not give.
    pub second: bool,
    /// No other run follows for what Genesys does not tell now.
    pub last: bool,
}

/// When another run goes on with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// At once: time is up.
    Now,
    /// After a while: Genesys gives no details or names now.
    Later,
}

/// What came of an entry in a run.
#[derive(Debug)]
pub struct Bulked {
    /// Results that have to be sent where they have to go.
    pub results: Vec<RecordingResult>,
    /// The entry is not done.
    pub left: Option<Left>,
    /// The live lane has to look at a conversation that is settled.
    pub recheck: bool,
    /// Another batch download is to give the entry.
    pub again: bool,
}

impl Archiver {
    /// Submits a batch download. Returns its id.
    pub async fn submit(&self, entries: &[Entry], deadline: &Deadline) -> Result<String, Error> {
        deadline.in_time(self.genesys.submit(entries, deadline)).await
    }

    /// Asks what came of a batch download.
    pub async fn poll(&self, id: &str, deadline: &Deadline) -> Result<Batched, Error> {
        deadline.in_time(self.genesys.poll(id, deadline)).await
    }

    /// Archives what a batch download gave of an entry, and settles its conversation where that is all of it. Whatever
    /// failed is deferred to another batch download, where one may follow, and to the live lane like everything else
    /// that this one did not give.
    pub async fn archive_given(&self, run: Run<'_>, entry: &Entry, given: Given<'_>) -> Bulked {
        let (batched, second) = (given.batched, given.second);
        let target = RecordingRef {
            recording: entry.recording,
            ..run.conversation()
        };
        if entry.recording.is_none()
            && let Some(ended) = self.unless_erased(run, target).await
        {
            return ended;
        }
        let recordings = match batched.of(entry) {
            Ok(recordings) => recordings,
            Err(lack) if lack.again && second => return Bulked::again(target, Vec::new(), &lack.why),
            Err(lack) => return Bulked::live(target, Vec::new(), left_to_live(target, &lack.why)),
        };
        let told: Vec<Told> = recordings.iter().map(Listed::told).collect();
        let listing = Listing {
            recordings,
            unreadable: None,
        };
        let mut results = self.archive_listed(run, listing).await;
        let is_late = |result: &RecordingResult| {
            let kind = result.error.as_ref().map(Error::kind);
            kind == Some(ErrorKind::DeadlineNear)
        };
        if results.iter().any(is_late) {
            return Bulked::left(results, Left::Now);
        }
        if let Some(failed) = results.iter().position(|result| result.outcome == Outcome::Retry) {
            let failed = results.swap_remove(failed);
            let why = failed.error.map_or_else(String::new, |error| error.to_string());
            let why = format!("could not be archived: {why}");
            if second {
                return Bulked::again(target, results, &why);
            }
            return Bulked::live(target, results, left_to_live(target, &why));
        }
        let end = entry
            .end
            .filter(|_| entry.recording.is_none() && self.settles(run.job));
        let Some(end) = end else {
            return Bulked::done(results);
        };
        let gave = Gave {
            started: entry.kinds.clone(),
            told,
            end,
        };
        match self.settle_at_hand(run, gave, given).await {
            AtHand::Settled(settled) => {
                results.extend(settled.map(|settled| *settled));
                Bulked::done(results)
            }
            AtHand::Left(left) => Bulked::left(results, left),
            AtHand::Live { recheck, why } => Bulked {
                recheck,
                ..Bulked::live(target, results, left_to_live(target, &why))
            },
        }
    }

    /// Returns the end of an entry whose conversation was erased on purpose, or of which nobody can tell.
    async fn unless_erased(&self, run: Run<'_>, target: RecordingRef) -> Option<Bulked> {
        let reading = self.ledger.records(run.job.conversation);
        let erased = |record: &Record| record.recording_id == "-" && record.is_erased();
        match run.deadline.in_time(reading).await {
            Ok(records) if !records.iter().any(erased) => None,
            Ok(_) => {
                let (erased, timings) = (Outcome::Erased, Timings::default());
                let result = RecordingResult::done(target, erased, Vec::new(), timings);
                Some(Bulked::done(vec![result]))
            }
            Err(error) if error.kind() == ErrorKind::DeadlineNear => {
                Some(Bulked::left(Vec::new(), Left::Now))
            }
            Err(error) => {
                let error = left_to_live(target, &error.to_string());
                Some(Bulked::live(target, Vec::new(), error))
            }
        }
    }

    /// Says what there is of a conversation beyond what a batch download gave, if its details tell of more.
    pub(super) fn more(&self, details: Option<&genesys::Told>, told: &[Told]) -> Option<String> {
        let Some(genesys::Told::Known(known)) = details else {
            return None;
        };
        if !is_over(known.end, self.clock.now()) {
            return Some("did not end 48 hours ago, as analytics say".to_owned());
        }
        self.lacks(&known.started, told)
    }

    /// Says which recordings are missing of those that were started, if any is: a batch download leaves sensitive ones
    /// out without a word.
    pub(super) fn lacks(&self, kinds: &[MediaKind], told: &[Told]) -> Option<String> {
        kinds.iter().filter(|kind| self.wants(**kind)).find_map(|kind| {
            let started = kinds.iter().filter(|other| *other == kind).count();
            let given = told.iter().filter(|one| one.media == kind.as_str()).count();
            let text = format!("has {given} recordings of the kind {kind}, of which {started} were started");
            (given < started).then_some(text)
        })
    }

    /// Waits for the right to transfer what a batch download gave.
    pub(super) async fn bulk_slot(
        &self,
        run: Run<'_>,
        given: bool,
    ) -> Result<Option<SemaphorePermit<'_>>, Error> {
        if !given {
            return Ok(None);
        }
        let waiting = async {
            let slot = self.bulk_slots.acquire().await;
            slot.map_err(|closed| Error::transient("the function is shutting down").caused_by(closed))
        };
        run.deadline.in_time(waiting).await.map(Some)
    }
}

impl Bulked {
    /// Makes the end of an entry of which nothing is left to do.
    fn done(results: Vec<RecordingResult>) -> Self {
        Self {
            results,
            left: None,
            recheck: false,
            again: false,
        }
    }

    /// Makes the end of an entry that another run goes on with. That meets again what is deferred, and all that needs a
    /// person: whoever waits would get the same case from each run.
    fn left(mut results: Vec<RecordingResult>, left: Left) -> Self {
        results.retain(|result| match result.outcome {
            Outcome::Deferred | Outcome::Retry => false,
            Outcome::Failed | Outcome::Expired => left == Left::Now,
            _ => true,
        });
        Self {
            left: Some(left),
            ..Self::done(results)
        }
    }

    /// Makes the end of an entry that the live lane goes on with. Its job sees to all that is deferred.
    fn live(target: RecordingRef, mut results: Vec<RecordingResult>, error: Error) -> Self {
        results.retain(|result| !matches!(result.outcome, Outcome::Deferred | Outcome::Retry));
        results.push(RecordingResult::ended(target, Outcome::Deferred, error));
        Self::done(results)
    }

    /// Makes the end of an entry that another batch download is to give.
    fn again(target: RecordingRef, results: Vec<RecordingResult>, why: &str) -> Self {
        let message = format!("{target} {why}: another batch download is to give it");
        let mut ended = Self::live(target, results, waits(target, message));
        for result in &mut ended.results {
            result.sent |= result.outcome == Outcome::Deferred;
        }
        Self { again: true, ..ended }
    }
}

/// Says, also in the log, that the live lane has to archive what a batch download did not give.
pub(crate) fn left_to_live(target: RecordingRef, why: &str) -> Error {
    let message = format!("{target} {why}: the live lane takes it from the batch download");
    waits(target, message)
}

/// Says, also in the log, why a recording is deferred.
fn waits(target: RecordingRef, message: String) -> Error {
    let error = Error::new(ErrorKind::NotReady { after: None }, message);
    log_end(target, Outcome::Deferred, &error);
    error
}

/// Turns an error about bytes that a batch download gave into a passing one, where only Genesys can tell whether it is
/// for good: the batch's results end before the recordings do.
pub(super) fn passing(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Expired | ErrorKind::NotReady { .. } | ErrorKind::Rejected => {
            Error::transient("what a batch download gave cannot be fetched").caused_by(error)
        }
        _ => error,
    }
}
