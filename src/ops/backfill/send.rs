//! From what may have to be archived to what was sent.

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::done::is_archived;
use super::{Backfill, Candidate, Item, Refused, Unexpected};
use crate::aws::ledger::Ledger;
use crate::domain::record::{Record, State};
use crate::domain::recording::ConversationId;
use crate::ops::sink::{BATCH, Taken};
use crate::ops::{Error, custody};

/// How many conversations the ledger is asked about at a time.
pub(super) const LOOKUPS: usize = 16;

/// Returns the first recording of the conversation that a job refused for its hash. The audit is read only of what failed.
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
    /// Puts what has to be sent into the batch, and sends it whenever it is full.
    pub(super) async fn offer(&mut self, candidates: Vec<Candidate>) -> Result<(), Error> {
        let (known, new): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|candidate| {
            let checkpoint = self.checkpoint.as_ref();
            checkpoint.is_some_and(|checkpoint| checkpoint.was_sent(&candidate.key))
        });
        known.iter().for_each(|candidate| self.count_sent(candidate));
        let ledger = &self.ledger;
        // Nothing settles what is archived right here: that takes later looks.
        let settles = self.session.config.settles() && !self.local;
        // Who names a conversation decides what is expected of it.
        let by_name = self.by_name;
        let lookups = new.into_iter().map(|mut candidate| async move {
            let known = ledger.all_records(candidate.job.conversation).await?;
            // What cannot be read may be open: the function finds out.
            let archived =
                known.unreadable.is_empty() && is_archived(&candidate.job, &known.records, settles);
            // Else the function would answer from the ledger.
            candidate.job.recheck |=
                settles && candidate.job.recording.is_none() && Record::is_settled_empty(&known.records);
            let unexpected = match archived || by_name {
                true => None,
                false => unexpected(ledger, candidate.job.conversation, &known.records).await?,
            };
            Ok::<_, Error>((archived, unexpected, candidate))
        });
        let looked_up = futures_util::stream::iter(lookups)
            .buffered(LOOKUPS)
            .try_collect::<Vec<_>>();
        for (archived, unexpected, candidate) in self.session.unless_interrupted(looked_up).await? {
            if archived {
                self.tally.archived += 1;
                continue;
            }
            if let Some(unexpected) = unexpected {
                self.findings.unexpected += 1;
                self.tell.item(Item::Unexpected(unexpected));
                continue;
            }
            self.batch.push(candidate);
            if self.batch.len() == BATCH {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Sends the batch, when its time has come.
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
        // Begun, it is seen through: only its answer tells what arrived.
        let tell = self.tell;
        let told = |archived| tell.item(Item::Archived(archived));
        let taken = sink.take(&jobs, self.session, &told).await?;
        if let Some(checkpoint) = &mut self.checkpoint {
            let arrived = keys
                .into_iter()
                .zip(&taken)
                .filter(|(_, taken)| **taken != Taken::Not);
            checkpoint.sent(arrived.map(|(key, _)| key).collect())?;
        }
        self.pace.spend(batch.len());
        let all = !taken.contains(&Taken::Not);
        for (candidate, taken) in batch.iter().zip(taken) {
            match taken {
                Taken::Done => self.count_sent(candidate),
                Taken::Gone => {
                    self.findings.expired += 1;
                    self.tell.steps(1);
                }
                Taken::Not => self.count_refused(candidate),
            }
        }
        // What Ctrl-C broke off is left to the next run.
        if all { Ok(()) } else { self.session.go_on() }
    }

    fn count_sent(&mut self, candidate: &Candidate) {
        if self.checkpoint.is_some() {
            self.sent.push(candidate.key.clone());
        }
        self.tally.sent += 1;
        self.tally.seconds += candidate.seconds;
        self.tell.steps(1);
    }

    /// Counts what was not taken. What came of archiving right here is told already.
    fn count_refused(&mut self, candidate: &Candidate) {
        self.findings.refused += 1;
        if !self.local {
            self.tell.item(Item::Refused(Refused {
                interaction_id: candidate.job.conversation.to_string(),
                error: "the work queue did not take it",
                key: candidate.key.clone(),
            }));
        }
    }
}
