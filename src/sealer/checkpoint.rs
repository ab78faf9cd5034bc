//! Checkpoints: the tree is derived from the bucket each time, so that a checkpoint signs what is there.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, TryStreamExt as _, stream as futures};
use jiff::{SignedDuration, Timestamp};

use super::{Head, IN_FLIGHT, Sealer, State};
use crate::error::Error;
use crate::seal::batch::Batch;
use crate::seal::checkpoint::Checkpoint;
use crate::seal::layout;
use crate::seal::store::Put;
use crate::seal::tree::{Fault, Tree, edge};

/// Entries that are added to the tree before its new tiles are stored: 8 MiB, and twice that for tiles and bundles.
const STEP: usize = 1 << 18;

/// Whether a checkpoint has to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// If the last one is old enough.
    Due,
    /// In any case: a log in which nothing happened says so.
    Now,
}

impl Sealer {
    /// Signs a checkpoint over all batches if it is time. Puts the tiles that the tree gained before it. Returns the
    /// checkpoint; `None` if none was due.
    ///
    /// Fails with `log_inconsistent`, without a signature, if batches or tiles are missing or contradict the newest
    /// checkpoint, or if that was signed by another key.
    pub async fn checkpoint(&self, when: When) -> Result<Option<Checkpoint>, Error> {
        let mut held = self.state().await?;
        let Some(state) = held.as_mut() else {
            return Ok(None);
        };
        if when == When::Due && !self.is_due(state.signed) {
            return Ok(None);
        }
        let heads = self.heads(self.clock.now()).await?;
        // Another sealer may have signed one in the meantime.
        state.signed = heads.last().map(|head| head.time).max(state.signed);
        if when == When::Due && !self.is_due(state.signed) {
            return Ok(None);
        }
        let newest = heads.iter().max_by_key(|head| (head.size, head.time));
        let mut tree = match newest {
            Some(head) => self.restore(*head).await?,
            None => Tree::default(),
        };
        let batches = self.batches(tree.size()).await?;
        self.catch_up(state, tree.size(), &batches)?;
        self.grow(&mut tree, &batches).await?;
        let checkpoint = self.sign(&tree, state.signed).await?;
        state.signed = Some(checkpoint.time);
        Ok(Some(checkpoint))
    }

    fn is_due(&self, signed: Option<Timestamp>) -> bool {
        let interval = SignedDuration::try_from(self.interval).unwrap_or(SignedDuration::MAX);
        signed.is_none_or(|signed| self.clock.now().duration_since(signed) >= interval)
    }

    /// Restores the tree of a checkpoint from its right edge.
    async fn restore(&self, head: Head) -> Result<Tree, Error> {
        let key = layout::checkpoint(head.time, head.size);
        let refused = |why: String| self.log.inconsistent(&key, &why);
        let note = self.log.get(&key).await?;
        let note = note.ok_or_else(|| refused("the checkpoint was listed and is missing".to_owned()))?;
        let opened = self.signer.key().await?.open(&note);
        let checkpoint = opened.map_err(|why| refused(why.to_string()))?;
        if (checkpoint.size, checkpoint.time) != (head.size, head.time) {
            return Err(refused(format!(
                "the object holds a checkpoint of {} leaves, signed {}",
                checkpoint.size, checkpoint.time
            )));
        }
        let keys = edge(head.size).into_iter().map(|tile| layout::tile(&tile));
        let reads = futures::iter(keys).map(|key| async move {
            let bytes = self.log.get(&key).await?;
            Ok::<_, Error>(bytes.map(|bytes| (key, bytes)))
        });
        let tiles: Vec<_> = reads.buffered(IN_FLIGHT).try_collect().await?;
        let tiles: BTreeMap<_, _> = tiles.into_iter().flatten().collect();
        let tree = Tree::restore(head.size, checkpoint.root, &tiles);
        tree.map_err(|fault| self.faulty(&key, fault))
    }

    /// Returns a fault of the tiles as an error that names the object.
    fn faulty(&self, checkpoint: &str, fault: Fault) -> Error {
        match fault {
            Fault::Missing(key) => {
                let why = format!("the tile is missing, and {checkpoint} needs it");
                self.log.inconsistent(&key, &why)
            }
            Fault::Length { ref key, .. } => self.log.inconsistent(key, &fault.to_string()),
            fault => self.log.inconsistent(checkpoint, &fault.to_string()),
        }
    }

    /// Takes over the batches that other sealers put, if they follow what this one knows: a batch in between holds
    /// entries that it has to know before it goes on. Fails if those that it knows are not all among them.
    fn catch_up(&self, state: &mut State, start: u64, batches: &[Batch]) -> Result<(), Error> {
        let end = batches.last().map_or(start, Batch::end);
        if end < state.end {
            let why = format!("the batch is missing, as {} leaves were sealed", state.end);
            return Err(self.log.inconsistent(&layout::batch(end), &why));
        }
        for batch in batches {
            if batch.start == state.end {
                state.take(batch);
            }
        }
        Ok(())
    }

    /// Adds the batches to the tree, and stores its new tiles.
    async fn grow(&self, tree: &mut Tree, batches: &[Batch]) -> Result<(), Error> {
        let mut entries = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            entries.extend_from_slice(&batch.entries);
            if entries.len() < STEP && number + 1 < batches.len() {
                continue;
            }
            let grown = tree.grow(&entries);
            let objects = grown.map_err(|fault| self.faulty(&layout::batch(batch.start), fault))?;
            entries.clear();
            let puts = futures::iter(objects).map(|(key, bytes)| self.put_tile(key, bytes));
            let puts = puts.buffer_unordered(IN_FLIGHT);
            puts.try_collect::<Vec<()>>().await?;
        }
        Ok(())
    }

    /// Puts a tile. One that is there already has to hold the same bytes: another sealer, or a run that died, put it.
    async fn put_tile(&self, key: String, bytes: Vec<u8>) -> Result<(), Error> {
        if self.log.put(&key, bytes.clone()).await? == Put::Taken
            && self.log.get(&key).await?.as_ref() != Some(&bytes)
        {
            let why = "the tile holds other hashes than the batches give";
            return Err(self.log.inconsistent(&key, why));
        }
        Ok(())
    }

    /// Signs the root of the tree, after the time of the last checkpoint, and puts the checkpoint.
    async fn sign(&self, tree: &Tree, last: Option<Timestamp>) -> Result<Checkpoint, Error> {
        let tick = SignedDuration::from_millis(1);
        let after = last.and_then(|last| last.checked_add(tick).ok());
        let time = after.map_or(self.clock.now(), |after| after.max(self.clock.now()));
        // The key holds milliseconds.
        let time = Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time);
        let key = layout::checkpoint(time, tree.size());
        let root = tree.root().map_err(|fault| self.faulty(&key, fault))?;
        let checkpoint = self.signer.sign(tree.size(), root, time).await?;
        // A key that is taken was signed by another sealer in the same millisecond, over the same tree: Ed25519 gives
        // equal signatures for equal texts.
        self.put_tile(key, checkpoint.note.clone()).await?;
        Ok(checkpoint)
    }
}
