//! Reading what a checkpoint signed: roots of older sizes, inclusion proofs and entries, each held against its root.
//!
//! Nothing that is read here is believed before it was hashed up to the root of the checkpoint.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tlog_tiles::tile::{Tile, TileHashReader, TileReader};
use tlog_tiles::tlog::{
    self, Hash, HashReader, prove_record, record_hash, stored_hash_index, sub_tree_index, tree_hash,
};

use super::Entry;
use super::checkpoint::Checkpoint;
use super::layout::{self, TILE_HEIGHT, TILE_WIDTH as WIDTH};
use super::store::LogStore;
use super::tree::{Hashes, length, unbundle};
use crate::error::Error;

/// Number of objects that are read side by side.
const SIDE_BY_SIDE: usize = 64;

/// Number of roots that are computed at a time; each may need a tile of 8 KiB of its own.
const ROOTS: usize = 512;

/// Number of tiles above the leaves' that are kept, of 8 KiB each.
const KEPT: usize = 1_024;

/// More leaves than a log can have: those of a million events a day in 3,000 years.
pub const MOST_LEAVES: u64 = 1 << 40;

/// The reason why something is not proven.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The log's objects are not those that its checkpoint signed.
    #[error("{0}")]
    Inconsistent(String),
    /// The log's objects could not be read.
    #[error(transparent)]
    Unread(#[from] Error),
}

impl Unproven {
    fn missing(key: &str) -> Self {
        Self::Inconsistent(format!("{key} is missing"))
    }
}

/// The tree of a checkpoint, as the log's tiles and bundles hold it.
#[derive(Debug)]
pub struct SignedTree {
    store: LogStore,
    size: u64,
    root: Hash,
    /// Proven tiles above the leaves', of which later reads need the same ones again.
    kept: Mutex<HashMap<Tile, Arc<Vec<u8>>>>,
}

/// Tiles at hand, and those that were asked for beyond them.
struct AtHand<'a> {
    tiles: &'a HashMap<Tile, Arc<Vec<u8>>>,
    asked: RefCell<Vec<Tile>>,
}

impl TileReader for AtHand<'_> {
    fn height(&self) -> u8 {
        TILE_HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, tlog::Error> {
        self.asked.replace(tiles.to_vec());
        let bytes = |tile| self.tiles.get(tile).map(|bytes| bytes.to_vec());
        // Any error ends this try; the caller looks at what was asked for.
        tiles
            .iter()
            .map(|tile| bytes(tile).ok_or(tlog::Error::InvalidTile))
            .collect()
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

impl SignedTree {
    /// Makes the tree of a checkpoint. Reads nothing.
    pub fn new(store: LogStore, checkpoint: &Checkpoint) -> Self {
        Self {
            store,
            size: checkpoint.size,
            root: checkpoint.root,
            kept: Mutex::default(),
        }
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root that the tree had at each of `sizes`, none of which is larger than this tree.
    pub async fn roots(&self, sizes: &[u64]) -> Result<Vec<Hash>, Unproven> {
        let mut roots = Vec::with_capacity(sizes.len());
        for sizes in sizes.chunks(ROOTS) {
            let indexes = sizes.iter().flat_map(|size| sub_tree_index(0, *size, Vec::new()));
            let hashes = self.hashes(indexes).await?;
            for size in sizes {
                let root = tree_hash(*size, &hashes);
                roots.push(root.map_err(|error| Unproven::Inconsistent(error.to_string()))?);
            }
        }
        Ok(roots)
    }

    /// Returns the hashes that prove that the leaf `leaf` is in this tree: RFC 6962, section 2.1.1.
    pub async fn inclusion(&self, leaf: u64) -> Result<Vec<Hash>, Unproven> {
        self.proven(|tiles| prove_record(self.size, leaf, tiles)).await
    }

    /// Returns the entries of a range of leaves, which ends with this tree at the latest.
    pub async fn entries(&self, leaves: Range<u64>) -> Result<Vec<Entry>, Unproven> {
        if leaves.is_empty() {
            return Ok(Vec::new());
        }
        let numbers = leaves.start / WIDTH..leaves.end.div_ceil(WIDTH);
        let tiles: Vec<_> = numbers.clone().map(|number| self.bundle_of(number)).collect();
        let bundles = self.fetch(tiles.iter().copied()).await?;
        let indexes = tiles.iter().flat_map(|tile| proving(tile, self.size));
        let hashes = self.hashes(indexes).await?;
        let mut entries = Vec::new();
        for (tile, bytes) in &bundles {
            let key = layout::tile(tile);
            if !is_proven(tile, bytes, self.size, &hashes)? {
                return Err(differs(&key));
            }
            entries.extend(unbundle(bytes).ok_or_else(|| differs(&key))?);
        }
        let first = numbers.start * WIDTH;
        let place = |leaf: u64| usize::try_from(leaf - first).unwrap_or(usize::MAX);
        let within = entries.get(place(leaves.start)..place(leaves.end));
        within
            .map(<[Entry]>::to_vec)
            .ok_or_else(|| Unproven::Inconsistent(format!("the tree has {} leaves", self.size)))
    }

    /// Returns the tiles and bundles among `objects` whose bytes are not those of this tree. None of them may reach
    /// beyond it.
    pub async fn wrong<'a>(&self, objects: &'a [(Tile, Vec<u8>)]) -> Result<Vec<&'a Tile>, Unproven> {
        let indexes = objects.iter().flat_map(|(tile, _)| proving(tile, self.size));
        let hashes = self.hashes(indexes).await?;
        let mut wrong = Vec::new();
        for (tile, bytes) in objects {
            if !is_proven(tile, bytes, self.size, &hashes)? {
                wrong.push(tile);
            }
        }
        Ok(wrong)
    }

    /// Returns the bundle of this number, as wide as this tree has it.
    fn bundle_of(&self, number: u64) -> Tile {
        let width = (self.size - number * WIDTH).min(WIDTH);
        Tile::new(
            TILE_HEIGHT,
            0,
            number,
            u32::try_from(width).unwrap_or_default(),
            true,
        )
    }

    /// Returns hashes of the tree by their storage index.
    async fn hashes(&self, indexes: impl Iterator<Item = u64>) -> Result<Hashes, Unproven> {
        let indexes: Vec<_> = indexes.collect::<BTreeSet<_>>().into_iter().collect();
        let hashes = self.proven(|tiles| tiles.read_hashes(&indexes)).await?;
        Ok(Hashes(indexes.into_iter().zip(hashes).collect()))
    }

    /// Does `work` with hashes that are proven against the root. Runs it a first time to learn which tiles it needs.
    async fn proven<T>(
        &self,
        work: impl Fn(&TileHashReader<'_>) -> Result<T, tlog::Error>,
    ) -> Result<T, Unproven> {
        if self.size == 0 || self.size > MOST_LEAVES {
            let message = format!("a tree of {} leaves proves nothing", self.size);
            return Err(Unproven::Inconsistent(message));
        }
        let mut tiles = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        loop {
            let (done, asked) = {
                let at_hand = AtHand {
                    tiles: &tiles,
                    asked: RefCell::default(),
                };
                let done = work(&TileHashReader::new(self.size, self.root, &at_hand));
                (done, at_hand.asked.into_inner())
            };
            let wanted = asked.iter().filter(|tile| !tiles.contains_key(*tile));
            let wanted: Vec<_> = wanted.copied().collect();
            match done {
                Ok(done) => {
                    self.keep(&tiles);
                    return Ok(done);
                }
                Err(error) if wanted.is_empty() => return Err(self.unproven(&asked, &error)),
                Err(_) => {
                    let read = self.fetch(wanted.into_iter()).await?;
                    tiles.extend(read.into_iter().map(|(tile, bytes)| (tile, Arc::new(bytes))));
                }
            }
        }
    }

    fn unproven(&self, asked: &[Tile], error: &tlog::Error) -> Unproven {
        /// More names help nobody.
        const NAMED: usize = 4;
        let names = asked.iter().take(NAMED).map(layout::tile);
        let mut names = names.collect::<Vec<_>>().join(", ");
        if asked.len() > NAMED {
            names.push_str(&format!(" and {} more", asked.len() - NAMED));
        }
        let size = self.size;
        Unproven::Inconsistent(format!(
            "one of {names} is not a tile of the checkpoint of size {size}: {error}"
        ))
    }

    fn keep(&self, tiles: &HashMap<Tile, Arc<Vec<u8>>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let above = tiles.iter().filter(|(tile, _)| tile.level() > 0);
        kept.extend(above.map(|(tile, bytes)| (*tile, bytes.clone())));
        if kept.len() > KEPT {
            kept.clear();
        }
    }

    /// Reads tiles side by side, in their order. A partial one may be gone where the full one is there.
    async fn fetch(&self, tiles: impl Iterator<Item = Tile>) -> Result<Vec<(Tile, Vec<u8>)>, Unproven> {
        let read = stream::iter(tiles).map(|tile| async move {
            let key = layout::tile(&tile);
            let mut bytes = self.store.get(&key).await?;
            let wanted = length(&tile);
            if bytes.is_none() && u64::from(tile.width()) < WIDTH {
                let full = Tile::new(
                    TILE_HEIGHT,
                    tile.level(),
                    tile.level_index(),
                    1 << TILE_HEIGHT,
                    tile.is_data(),
                );
                bytes = self.store.get(&layout::tile(&full)).await?;
                bytes.iter_mut().for_each(|bytes| bytes.truncate(wanted));
            }
            let bytes = bytes.ok_or_else(|| Unproven::missing(&key))?;
            if bytes.len() == wanted {
                Ok((tile, bytes))
            } else {
                let found = bytes.len();
                Err(Unproven::Inconsistent(format!(
                    "{key} holds {found} bytes, not {wanted}"
                )))
            }
        });
        read.buffered(SIDE_BY_SIDE).try_collect().await
    }
}

fn differs(key: &str) -> Unproven {
    Unproven::Inconsistent(format!("{key} does not hold what the checkpoint signed"))
}

/// Returns the storage indexes of the hashes which prove the bytes of a tile or bundle in a tree of `size` leaves: the
/// one above a full tile, or each in a partial one.
fn proving(tile: &Tile, size: u64) -> Vec<u64> {
    let (level, number) = (TILE_HEIGHT * tile.level(), tile.level_index());
    if has_parent(tile, size) {
        return vec![stored_hash_index(level + TILE_HEIGHT, number)];
    }
    let places = number * WIDTH..number * WIDTH + u64::from(tile.width());
    places.map(|place| stored_hash_index(level, place)).collect()
}

/// Returns whether a tile is full, and its tree holds the hash above it.
fn has_parent(tile: &Tile, size: u64) -> bool {
    let above = size >> (TILE_HEIGHT * (tile.level() + 1));
    u64::from(tile.width()) == WIDTH && tile.level_index() < above
}

/// Returns whether a tile or bundle holds what these `hashes` of the tree ask for.
fn is_proven(tile: &Tile, bytes: &[u8], size: u64, hashes: &Hashes) -> Result<bool, Unproven> {
    if bytes.len() != length(tile) {
        return Ok(false);
    }
    let mut held = bytes.to_vec();
    if tile.is_data() {
        let Some(entries) = unbundle(bytes) else {
            return Ok(false);
        };
        held = entries.iter().flat_map(|entry| record_hash(&entry.0).0).collect();
    }
    if has_parent(tile, size) {
        held = Tile::subtree_hash(&held).0.to_vec();
    }
    let wanted = hashes.read_hashes(&proving(tile, size));
    let wanted = wanted.map_err(|error| Unproven::Inconsistent(error.to_string()))?;
    Ok(wanted.iter().flat_map(|hash| hash.0).eq(held))
}
