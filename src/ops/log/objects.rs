//! The objects of the log's bucket: one version of each, every tile that the checkpoints need, and nothing else.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use futures_util::try_join;
use sha2::{Digest as _, Sha256};
use tlog_tiles::tile::Tile;

use super::timestamps::stamped;
use super::verify::Verification;
use super::{Chain, Log, inconsistency};
use crate::ops::Error;
use crate::ops::finding::{Code, Finding};
use crate::seal::Entry;
use crate::seal::layout::{self, TILE_HEIGHT};
use crate::seal::read::SignedTree;
use crate::seal::tree;

/// Number of objects that are read side by side.
const SIDE_BY_SIDE: usize = 64;

/// The full tiles of one level, or the full bundles.
type Kind = (u8, bool);

/// The objects of the bucket on their way.
pub(super) struct Objects<'a> {
    log: &'a Log,
    tree: Option<&'a SignedTree>,
    /// The leaf at which the batches end.
    end: u64,
    /// Partial tiles at the edges of the checkpoints that were not seen yet.
    edges: HashSet<String>,
    /// Full tiles: whether they were seen, by their number.
    full: HashMap<Kind, Vec<bool>>,
    /// The key before, as its versions stand side by side.
    last: String,
}

impl<'a> Objects<'a> {
    pub(super) fn new(log: &'a Log, chain: &Chain, tree: Option<&'a SignedTree>, end: u64) -> Self {
        let size = tree.map_or(0, SignedTree::size);
        let sizes = chain.marks.iter().map(|mark| mark.size).filter(|of| *of <= size);
        let edges = sizes
            .flat_map(tree::edge)
            .map(|tile| layout::tile(&tile))
            .collect();
        let mut full = HashMap::new();
        let width = 1 << TILE_HEIGHT;
        let (mut level, mut hashes) = (0, size);
        while hashes >= width {
            let tiles = usize::try_from(hashes / width).unwrap_or_default();
            full.insert((level, false), vec![false; tiles]);
            if level == 0 {
                full.insert((level, true), vec![false; tiles]);
            }
            (level, hashes) = (level + 1, hashes / width);
        }
        Self {
            log,
            tree,
            end,
            edges,
            full,
            last: String::new(),
        }
    }

    /// Goes through the bucket.
    pub(super) async fn check(&mut self, verification: &mut Verification<'_>) -> Result<(), Error> {
        let mut from = None;
        loop {
            verification.session.go_on()?;
            let page = self.log.store.versions(from).await?;
            for key in page.markers {
                let detail = "a delete marker lies there: it was deleted";
                verification.found(self.about(&key, detail));
            }
            let (mut tiles, mut records, mut timestamps) = (Vec::new(), Vec::new(), Vec::new());
            for key in page.keys {
                if key == self.last {
                    verification.found(self.about(&key, "it has a second version: it was written again"));
                    continue;
                }
                verification.figures.objects += 1;
                if let Some(tile) = layout::tile_of(&key) {
                    tiles.push(tile);
                } else if let Some(entry) = layout::record_entry(&key) {
                    records.push(entry);
                } else if layout::timestamped(&key).is_some() {
                    timestamps.push(key.clone());
                } else if !is_known(&key) {
                    verification.found(self.about(&key, "the sealer puts no such object"));
                }
                self.last = key;
            }
            for tiles in tiles.chunks(SIDE_BY_SIDE) {
                self.tiles(tiles, verification).await?;
            }
            for records in records.chunks(SIDE_BY_SIDE) {
                self.records(records, verification).await?;
            }
            for timestamps in timestamps.chunks(SIDE_BY_SIDE) {
                self.timestamps(timestamps, verification).await?;
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        verification.found(self.missing());
        Ok(())
    }

    /// Holds tiles and bundles against the tree.
    async fn tiles(&mut self, tiles: &[Tile], verification: &mut Verification<'_>) -> Result<(), Error> {
        let size = self.tree.map_or(0, SignedTree::size);
        let mut signed = Vec::new();
        for tile in tiles {
            let (key, end) = (layout::tile(tile), end(tile));
            if end <= size {
                self.seen(tile, &key);
                signed.push(*tile);
            } else if end > self.end {
                // A sealer at work: the batches were listed before.
                let behind = self.log.store.batches_from(self.end).await?;
                let last = behind.last().copied().unwrap_or(self.end);
                let batch = self.log.store.batch(last).await?;
                self.end = batch.map_or(self.end, |batch| batch.end());
                if end > self.end {
                    verification.found(self.about(&key, "it holds more leaves than the batches"));
                }
            }
        }
        let Some(tree) = self.tree else { return Ok(()) };
        let log = self.log;
        let read = stream::iter(signed).map(|tile| async move {
            let bytes = log.store.get(&layout::tile(&tile)).await?;
            // One that is gone again is wrong as well.
            Ok::<_, crate::error::Error>((tile, bytes.unwrap_or_default()))
        });
        let read: Vec<_> = read.buffered(SIDE_BY_SIDE).try_collect().await?;
        verification.figures.tiles += read.len() as u64;
        match inconsistency(tree.wrong(&read).await)? {
            Ok(wrong) => {
                for tile in wrong {
                    let detail = "it does not hold what the newest checkpoint signed";
                    verification.found(self.about(&layout::tile(tile), detail));
                }
            }
            Err(detail) => verification.inconsistent(detail),
        }
        Ok(())
    }

    /// Notes that a tile is there.
    fn seen(&mut self, tile: &Tile, key: &str) {
        self.edges.remove(key);
        if tile.width() == 1 << TILE_HEIGHT
            && let Some(seen) = self.full.get_mut(&(tile.level(), tile.is_data()))
            && let Ok(number) = usize::try_from(tile.level_index())
            && let Some(seen) = seen.get_mut(number)
        {
            *seen = true;
        }
    }

    /// Checks that records are what their keys say.
    async fn records(&self, entries: &[Entry], verification: &mut Verification<'_>) -> Result<(), Error> {
        let read = stream::iter(entries).map(|entry| async move {
            let bytes = self.log.store.get(&layout::record(entry)).await?;
            Ok::<_, crate::error::Error>((entry, bytes.unwrap_or_default()))
        });
        let read: Vec<_> = read.buffered(SIDE_BY_SIDE).try_collect().await?;
        verification.figures.records += read.len() as u64;
        for (entry, bytes) in read {
            if Entry::of_record(&bytes) != *entry {
                let detail = "its SHA-256 is not the one in its key";
                verification.found(self.about(&layout::record(entry), detail));
            }
        }
        Ok(())
    }

    /// Checks that time-stamps are of the checkpoints that their keys say.
    async fn timestamps(&self, keys: &[String], verification: &mut Verification<'_>) -> Result<(), Error> {
        let read = stream::iter(keys).map(|key| async move {
            let of = layout::timestamped(key).unwrap_or_default();
            let (answer, note) = try_join!(self.log.store.get(key), self.log.store.get(&of))?;
            Ok::<_, crate::error::Error>((key, answer.unwrap_or_default(), note))
        });
        let read: Vec<_> = read.buffered(SIDE_BY_SIDE).try_collect().await?;
        verification.figures.timestamps += read.len() as u64;
        for (key, answer, note) in read {
            let detail = match note {
                None => "the checkpoint that it is of is missing",
                Some(note) if stamped(&answer) == Some(&*Sha256::digest(&note)) => continue,
                Some(_) => "it is no time-stamp of its checkpoint",
            };
            verification.found(self.about(key, detail));
        }
        Ok(())
    }

    /// Returns the findings about tiles that are not there.
    fn missing(&self) -> Vec<Finding> {
        let mut missing: Vec<_> = self.edges.iter().cloned().collect();
        for ((level, is_data), seen) in &self.full {
            let absent = (0..).zip(seen).filter(|(_, seen)| !**seen);
            let full = |number| Tile::new(TILE_HEIGHT, *level, number, 1 << TILE_HEIGHT, *is_data);
            missing.extend(absent.map(|(number, _)| layout::tile(&full(number))));
        }
        missing.sort();
        let findings = missing.iter().flat_map(|key| self.about(key, "it is missing"));
        findings.collect()
    }

    fn about(&self, key: &str, detail: &str) -> Vec<Finding> {
        let place = Some(self.log.store.place(key));
        vec![Finding::of_log(Code::LogInconsistent, place, detail)]
    }
}

/// Returns the leaf after the last one that a tile or bundle covers.
fn end(tile: &Tile) -> u64 {
    let hashes = (tile.level_index() << TILE_HEIGHT).saturating_add(u64::from(tile.width()));
    hashes
        .checked_shl(u32::from(TILE_HEIGHT * tile.level()))
        .unwrap_or(u64::MAX)
}

/// Returns whether an object that is neither a tile nor a record nor a time-stamp is the log's.
fn is_known(key: &str) -> bool {
    layout::batch_start(key).is_some()
        || layout::checkpoint_parts(key).is_some()
        || layout::undated_day(key).is_some()
}
