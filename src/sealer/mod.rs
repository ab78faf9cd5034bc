//! The sealer: makes each audit event exactly one leaf of the transparency log, and signs checkpoints.
//!
//! The bucket is the only state. `PutObject batches/START` with `If-None-Match: *` is the one step that seals: of any
//! number of sealers that try, one succeeds, and the others read what it sealed, drop those entries from their own, and
//! try again behind it. Whether an entry is sealed already is known from the batches of the last 26 hours, which is
//! longer than the stream repeats a record.

mod checkpoint;
mod genesis;
mod import;
mod known;
pub mod stream;

use std::collections::HashSet;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream as futures};
use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard};

pub use checkpoint::When;
pub use genesis::{Beginning, Genesis};
pub use import::Imported;

use crate::clock::Clock;
use crate::error::Error;
use crate::seal::batch::{Batch, Via};
use crate::seal::signer::Signer;
use crate::seal::store::{LogStore, Put};
use crate::seal::{Entry, layout};
use known::Known;

/// Most entries of a batch: what Lambda hands over at most in one event.
const MOST_ENTRIES: usize = 10_000;

/// Requests to the bucket in flight, where several are needed.
const IN_FLIGHT: usize = 16;

/// Seals entries and signs checkpoints. One for each container; several work on one log.
#[derive(Debug)]
pub struct Sealer {
    log: LogStore,
    signer: Signer,
    beginning: Beginning,
    clock: Clock,
    /// Age of a checkpoint at which another is due.
    interval: Duration,
    state: Mutex<Option<State>>,
}

/// What a container knows of the log.
#[derive(Debug)]
struct State {
    /// The leaf after the last one that is known: where the next batch is tried.
    end: u64,
    known: Known,
    /// When the last checkpoint was signed, as far as it is known.
    signed: Option<Timestamp>,
}

/// The time and the size in the key of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    time: Timestamp,
    size: u64,
}

impl Sealer {
    /// Makes the sealer of the log in the bucket of `log`. `beginning` is what an empty log begins with; a checkpoint
    /// is due when the last one is `interval` old. Sends nothing.
    pub fn new(
        log: LogStore,
        signer: Signer,
        beginning: Beginning,
        clock: Clock,
        interval: Duration,
    ) -> Self {
        Self {
            log,
            signer,
            beginning,
            clock,
            interval,
            state: Mutex::new(None),
        }
    }

    /// Returns the bucket of the log.
    pub fn log(&self) -> &LogStore {
        &self.log
    }

    /// Seals those of the entries that are not sealed yet, in their order, and returns how many these are. An entry
    /// that stands twice is sealed once. Begins the log if there is none.
    pub async fn seal(&self, entries: &[Entry], via: Via) -> Result<u64, Error> {
        let mut held = self.state().await?;
        match held.as_mut() {
            Some(state) => self.append(state, entries, via).await,
            None => Ok(0),
        }
    }

    /// Returns what this container knows of the log, read from the bucket if it knows nothing yet.
    async fn state(&self) -> Result<MutexGuard<'_, Option<State>>, Error> {
        let mut held = self.state.lock().await;
        if held.is_none() {
            *held = Some(self.load().await?);
        }
        Ok(held)
    }

    /// Reads the end of the log, and the entries of the last 26 hours. Fails if a batch is missing.
    async fn load(&self) -> Result<State, Error> {
        let now = self.clock.now();
        let heads = self.heads(now).await?;
        let before = heads
            .iter()
            .rev()
            .find(|head| now.duration_since(head.time) > known::MEMORY);
        let start = before.map_or(0, |head| head.size);
        let signed = heads.last().map(|head| head.time);
        let mut state = State {
            end: start,
            known: Known::default(),
            signed,
        };
        self.follow(start, |batch| state.take(&batch)).await?;
        if state.end == 0 && heads.is_empty() {
            self.begin(&mut state).await?;
        }
        let signed = heads.iter().map(|head| head.size).max().unwrap_or_default();
        if state.end < signed {
            let why = format!("the batch is missing, as a checkpoint of {signed} leaves is signed");
            return Err(self.log.inconsistent(&layout::batch(state.end), &why));
        }
        Ok(state)
    }

    /// Returns times and sizes of the checkpoints by their keys, in order of time: all of the last 26 hours, and the
    /// last before them.
    async fn heads(&self, now: Timestamp) -> Result<Vec<Head>, Error> {
        let horizon = now.saturating_sub(2 * known::MEMORY).unwrap_or(Timestamp::MIN);
        let heads = |keys: Vec<String>| -> Vec<Head> {
            let parts = keys.iter().filter_map(|key| layout::checkpoint_parts(key));
            parts.map(|(time, size)| Head { time, size }).collect()
        };
        let recent = heads(self.log.checkpoints(Some(horizon)).await?);
        let old = |head: &Head| now.duration_since(head.time) > known::MEMORY;
        if recent.iter().any(old) {
            return Ok(recent);
        }
        // A young log, or one whose sealer did not run for two days.
        Ok(heads(self.log.checkpoints(None).await?))
    }

    /// Returns the batches from the leaf `start` on, in order. Fails with `log_inconsistent` if one is missing.
    async fn batches(&self, start: u64) -> Result<Vec<Batch>, Error> {
        let mut batches = Vec::new();
        self.follow(start, |batch| batches.push(batch)).await?;
        Ok(batches)
    }

    /// Hands the batches from the leaf `start` on to `each`, in order. Fails with `log_inconsistent` if one is missing.
    async fn follow(&self, start: u64, mut each: impl FnMut(Batch)) -> Result<(), Error> {
        let starts = self.log.batches_from(start).await?;
        let reads = futures::iter(starts).map(|start| async move {
            let missing = || {
                self.log
                    .inconsistent(&layout::batch(start), "the batch is missing")
            };
            self.log.batch(start).await?.ok_or_else(missing)
        });
        let mut reads = std::pin::pin!(reads.buffered(IN_FLIGHT));
        let mut end = start;
        while let Some(batch) = reads.try_next().await? {
            if batch.start != end {
                let why = format!("the batch is missing, as the next one starts at {}", batch.start);
                return Err(self.log.inconsistent(&layout::batch(end), &why));
            }
            end = batch.end();
            each(batch);
        }
        Ok(())
    }

    /// Changes which entries this container knows.
    async fn known(&self, change: impl FnOnce(&mut Known)) -> Result<(), Error> {
        if let Some(state) = self.state().await?.as_mut() {
            change(&mut state.known);
        }
        Ok(())
    }

    /// Puts batches of the entries that are not sealed yet behind the end of the log, wherever that is by now.
    async fn append(&self, state: &mut State, entries: &[Entry], via: Via) -> Result<u64, Error> {
        state.known.forget(self.clock.now());
        let mut seen = HashSet::new();
        let mut left: Vec<Entry> = entries
            .iter()
            .copied()
            .filter(|entry| seen.insert(*entry))
            .collect();
        let mut sealed = 0;
        loop {
            left.retain(|entry| !state.known.contains(entry));
            if left.is_empty() {
                return Ok(sealed);
            }
            let batch = Batch {
                start: state.end,
                via,
                at: self.clock.now(),
                entries: left[..left.len().min(MOST_ENTRIES)].to_vec(),
            };
            let key = layout::batch(batch.start);
            let there = match self.log.put(&key, batch.to_bytes()).await? {
                Put::Created => batch.clone(),
                Put::Taken => {
                    let gone = || self.log.inconsistent(&key, "the batch was there and is missing");
                    self.log.batch(batch.start).await?.ok_or_else(gone)?
                }
            };
            // Equal, too, where S3 took the batch and its answer was lost.
            if there == batch {
                sealed += there.entries.len() as u64;
            }
            state.take(&there);
        }
    }
}

impl State {
    /// Goes on behind a batch that starts at the end.
    fn take(&mut self, batch: &Batch) {
        self.known.learn(batch);
        self.end = batch.end();
    }
}
