//! Sends the jobs whose recordings are not archived yet.

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::done::{Proof, concerns, is_archived};
use super::{Backfill, Bulk, Candidate, Item, LeftOut, Refused, estimate};
use crate::aws::ledger::Ledger;
use crate::domain::bulk::{BulkJob, MOST_ENTRIES};
use crate::domain::job::Job;
use crate::domain::record::Record;
use crate::ops::custody::Held;
use crate::ops::finding::Code;
use crate::ops::sink::{BATCH, Done, Sink};
use crate::ops::{Error, custody};

/// Number of conversations that the tables are asked about at a time.
pub(super) const LOOKUPS: usize = 16;

/// What becomes of a job.
enum Fate {
    /// Everything that it asks for is archived.
    Archived,
    /// Its bytes were not those that an earlier job expected.
    Unexpected(LeftOut),
    /// The function would go by a ledger that the audit contradicts.
    Contradicted(LeftOut),
    /// It has to be sent.
    Due,
}

/// What decides whether a conversation is archived.
#[derive(Clone, Copy)]
struct Rules {
    proof: Proof,
    /// A list decides itself which hash is expected of a conversation that it names.
    by_name: bool,
}

/// Decides by audit and ledger what becomes of a job, and whether the function has to look at its conversation anew.
async fn fate(ledger: &Ledger, job: &mut Job, Rules { proof, by_name }: Rules) -> Result<Fate, Error> {
    let id = job.conversation;
    let Held {
        custodies, findings, ..
    } = custody::of(ledger, id).await?;
    let left_out = |recording: &str, error: &str| LeftOut {
        interaction_id: id.to_string(),
        recording_id: recording.to_owned(),
        error: error.to_owned(),
    };
    // A record that cannot be read may be unfinished: the function finds out.
    let readable = findings
        .iter()
        .all(|finding| finding.code != Code::LedgerUnreadable);
    let about = custodies
        .iter()
        .filter(|custody| concerns(job, &custody.recording));
    let mut contradicted =
        about.filter_map(|custody| Some((&custody.recording, custody.contradiction.as_ref()?)));
    if let Some((recording, contradiction)) = contradicted.next().filter(|_| readable) {
        return Ok(Fate::Contradicted(left_out(recording, contradiction)));
    }
    // Their states are those of the audit.
    let records: Vec<_> = custodies
        .iter()
        .filter_map(|custody| custody.record.as_ref())
        .collect();
    if readable && is_archived(job, &records, proof) {
        return Ok(Fate::Archived);
    }
    // Without it the function would answer from the ledger.
    let empty = Record::is_settled_empty(records);
    job.recheck |= proof == Proof::Settled && job.recording.is_none() && empty;
    let mut failed = custodies.iter().filter_map(|custody| {
        let error = custody::unexpected(custody.record.as_ref(), &custody.events)?;
        Some(left_out(&custody.recording, &error))
    });
    let unexpected = if by_name { None } else { failed.next() };
    Ok(unexpected.map_or(Fate::Due, Fate::Unexpected))
}

impl Backfill<'_> {
    /// Puts the jobs that have to be sent into the batch, and sends it whenever it is full.
    pub(super) async fn offer(&mut self, candidates: Vec<Candidate>) -> Result<(), Error> {
        let (known, new): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| {
            let checkpoint = self.checkpoint.as_ref();
            checkpoint.is_some_and(|checkpoint| checkpoint.was_sent(&candidate.key))
        });
        known.iter().for_each(|candidate| self.count_sent(candidate));
        let ledger = &self.ledger;
        // A recording that is archived on this machine is not settled: that takes later looks.
        let proof = if self.session.config.settles() && !self.local {
            Proof::Settled
        } else {
            Proof::KnownRecordings
        };
        let rules = Rules {
            proof,
            by_name: self.by_name,
        };
        let lookups = new.into_iter().map(|mut candidate| async move {
            let fate = fate(ledger, &mut candidate.job, rules).await?;
            Ok::<_, Error>((fate, candidate))
        });
        let looked_up = futures_util::stream::iter(lookups)
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>();
        for (fate, candidate) in self.session.unless_interrupted(looked_up).await? {
            let (count, left) = match fate {
                Fate::Due => {
                    self.batch.push(candidate);
                    if self.batch.len() == self.most() {
                        self.give(self.most()).await?;
                    }
                    continue;
                }
                Fate::Archived => (&mut self.totals.counts.archived, None),
                Fate::Unexpected(left) => (&mut self.findings.unexpected, Some(left)),
                Fate::Contradicted(left) => (&mut self.findings.contradicted, Some(left)),
            };
            *count += 1;
            if let Some(left) = left {
                self.listener.item(Item::LeftOut(left));
            }
        }
        Ok(())
    }

    /// Sends whatever waits.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        self.give(0).await
    }

    /// Sends the jobs that go alone, and the batch if that is at least so many then.
    async fn give(&mut self, least: usize) -> Result<(), Error> {
        let mut alone = self.part().await?;
        while !alone.is_empty() {
            let some: Vec<_> = alone.drain(..alone.len().min(BATCH)).collect();
            self.totals.alone += some.len() as u64;
            self.send(some, None).await?;
        }
        if self.batch.len() < least {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.send(batch, self.bulk).await
    }

    /// Sends jobs, all in a `bulk` job or each by itself, at the pace that was asked for.
    async fn send(&mut self, batch: Vec<Candidate>, bulk: Option<Bulk>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let Some(sink) = &self.sink else {
            batch.iter().for_each(|candidate| self.count_sent(candidate));
            return Ok(());
        };
        self.pace.wait(self.session).await?;
        let keys: Vec<_> = batch.iter().map(|candidate| candidate.key.clone()).collect();
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.sending(keys.clone())?;
        }
        // Not interrupted once begun: only the answer says which jobs arrived.
        let ends = self.hand_in(sink, &batch, bulk).await?;
        if let Some(checkpoint) = &mut self.checkpoint {
            let arrived = keys
                .into_iter()
                .zip(&ends)
                .filter(|(_, end)| **end != Done::Refused);
            checkpoint.sent(arrived.map(|(key, _)| key).collect())?;
        }
        let price = match (self.bulk, bulk) {
            (Some(_), None) => estimate::ALONE,
            _ => 1,
        };
        self.pace.spend(batch.len() * price);
        let all = !ends.contains(&Done::Refused);
        for (candidate, end) in batch.iter().zip(ends) {
            match end {
                Done::Taken => self.count_sent(candidate),
                Done::Expired => {
                    self.findings.expired += 1;
                    self.listener.steps(1);
                }
                Done::Refused => self.count_refused(candidate),
            }
        }
        // Jobs that Ctrl-C interrupted are left to the next run.
        if all { Ok(()) } else { self.session.go_on() }
    }

    /// Returns how many jobs are sent at once.
    fn most(&self) -> usize {
        match self.bulk {
            Some(_) => MOST_ENTRIES,
            None => BATCH,
        }
    }

    /// Gives a batch to the sink: as jobs of their own, or all in a bulk job. Returns the end of each.
    async fn hand_in(
        &self,
        sink: &Sink,
        batch: &[Candidate],
        bulk: Option<Bulk>,
    ) -> Result<Vec<Done>, Error> {
        let Some(bulk) = bulk else {
            let jobs: Vec<_> = batch.iter().map(|candidate| candidate.job.clone()).collect();
            let listener = self.listener;
            let report = |archived| listener.item(Item::Archived(archived));
            return sink.take(&jobs, self.session, &report).await;
        };
        let job = BulkJob {
            entries: batch.iter().map(Candidate::entry).collect(),
            original: bulk.original,
            requested_by: batch.first().and_then(|first| first.job.requested_by.clone()),
            batch: None,
            deferrals: 0,
            waits: 0,
            origin: None,
        };
        Ok(vec![sink.take_bulk(&job).await?; batch.len()])
    }

    fn count_sent(&mut self, candidate: &Candidate) {
        if self.checkpoint.is_some() {
            self.sent.push(candidate.key.clone());
        }
        self.totals.counts.sent += 1;
        self.totals.seconds += candidate.seconds;
        self.listener.steps(1);
    }

    /// Counts a job that was refused. A job that failed on this machine is reported already.
    fn count_refused(&mut self, candidate: &Candidate) {
        self.findings.refused += 1;
        if !self.local {
            self.listener.item(Item::Refused(Refused {
                interaction_id: candidate.job.conversation.to_string(),
                error: "the work queue did not take it",
                key: candidate.key.clone(),
            }));
        }
    }
}
