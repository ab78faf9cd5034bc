//! Sends the jobs whose recordings are not archived yet.

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::done::{Proof, is_archived};
use super::{Backfill, Candidate, Item, Refused, Unexpected};
use crate::aws::ledger::Ledger;
use crate::domain::record::{Record, State};
use crate::domain::recording::ConversationId;
use crate::ops::sink::{BATCH, Done};
use crate::ops::{Error, custody};

/// Number of conversations that the ledger is asked about at a time.
pub(super) const LOOKUPS: usize = 16;

/// Returns the first recording of the conversation that a job refused for its hash. The audit is read only if a
/// recording failed.
async fn unexpected(
    ledger: &Ledger,
    id: ConversationId,
    records: &[Record],
) -> Result<Option<Unexpected>, Error> {
    if records.iter().all(|record| record.state != State::Failed) {
        return Ok(None);
    }
    let (custodies, _) = custody::of(ledger, id).await?;
    let found = custodies.iter().find_map(|custody| {
        let error = custody::unexpected(custody.record.as_ref(), &custody.events)?;
        Some((custody.recording.clone(), error))
    });
    Ok(found.map(|(recording_id, error)| Unexpected {
        interaction_id: id.to_string(),
        recording_id,
        error,
    }))
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
        // A list decides itself which hash is expected of a conversation that it names.
        let by_name = self.by_name;
        let lookups = new.into_iter().map(|mut candidate| async move {
            let known = ledger.all_records(candidate.job.conversation).await?;
            // A record that cannot be read may be unfinished: the function finds out.
            let archived = known.unreadable.is_empty() && is_archived(&candidate.job, &known.records, proof);
            // Without it the function would answer from the ledger.
            candidate.job.recheck |= proof == Proof::Settled
                && candidate.job.recording.is_none()
                && Record::is_settled_empty(&known.records);
            let unexpected = if archived || by_name {
                None
            } else {
                unexpected(ledger, candidate.job.conversation, &known.records).await?
            };
            Ok::<_, Error>((archived, unexpected, candidate))
        });
        let looked_up = futures_util::stream::iter(lookups)
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>();
        for (archived, unexpected, candidate) in self.session.unless_interrupted(looked_up).await? {
            if archived {
                self.totals.counts.archived += 1;
                continue;
            }
            if let Some(unexpected) = unexpected {
                self.findings.unexpected += 1;
                self.listener.item(Item::Unexpected(unexpected));
                continue;
            }
            self.batch.push(candidate);
            if self.batch.len() == BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Sends the batch at the pace that was asked for.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        let batch = std::mem::take(&mut self.batch);
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
        let jobs: Vec<_> = batch.iter().map(|candidate| candidate.job.clone()).collect();
        // Not interrupted once begun: only the answer says which jobs arrived.
        let listener = self.listener;
        let report = |archived| listener.item(Item::Archived(archived));
        let ends = sink.take(&jobs, self.session, &report).await?;
        if let Some(checkpoint) = &mut self.checkpoint {
            let arrived = keys
                .into_iter()
                .zip(&ends)
                .filter(|(_, end)| **end != Done::Refused);
            checkpoint.sent(arrived.map(|(key, _)| key).collect())?;
        }
        self.pace.spend(batch.len());
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
