//! The Merkle tree: which tiles a growing log gains, and its root.
//!
//! Pure. A tree grows from its right edge: the partial tiles of its size, which hold all that later hashes need.

use std::collections::{BTreeMap, HashMap};

use tlog_tiles::tile::Tile;
use tlog_tiles::tlog::{
    Error, Hash, HashReader, record_hash, split_stored_hash_index, stored_hash_index,
    stored_hashes_for_record_hash, tree_hash,
};

use super::Entry;
use super::layout::{self, TILE_HEIGHT};

/// Width of a full tile.
const WIDTH: u64 = 1 << TILE_HEIGHT;

/// The reason why a tree cannot grow from the tiles at hand.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A tile of the right edge was not given.
    #[error("the tile {0} is missing")]
    Missing(String),
    /// A tile has another length than its key says.
    #[error("the tile {key} holds {found} bytes, not {wanted}")]
    Length {
        /// Its key.
        key: String,
        /// Its length in bytes.
        found: usize,
        /// The length that its key asks for.
        wanted: usize,
    },
    /// The tiles do not give the root that was signed, or the entries not the tiles.
    #[error("tiles and entries of {size} leaves do not give the root of the checkpoint")]
    Root {
        /// The size of the tree.
        size: u64,
    },
    /// A hash cannot be computed.
    #[error("a hash of the tree: {0}")]
    Hash(#[from] Error),
}

/// The right edge of a tree.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    size: u64,
    /// Hashes by their storage index: those in the partial tiles.
    hashes: Hashes,
    /// Entries in the partial bundle.
    entries: Vec<Entry>,
}

/// Hashes by their storage index.
#[derive(Debug, Clone, Default)]
pub(super) struct Hashes(pub(super) HashMap<u64, Hash>);

impl HashReader for Hashes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let hash = |index| self.0.get(index).copied().ok_or(Error::IndexesNotInTree);
        indexes.iter().map(hash).collect()
    }
}

/// Returns the tiles that make up the right edge of a tree of `size` leaves: a partial one of each level, and the
/// partial bundle of entries. Full tiles are never part of it, except a level that is all full tiles, which needs none.
pub fn edge(size: u64) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let mut level = 0;
    while size >> (TILE_HEIGHT * level) > 0 {
        let hashes = size >> (TILE_HEIGHT * level);
        let width = u32::try_from(hashes % WIDTH).unwrap_or_default();
        if width > 0 {
            tiles.push(Tile::new(TILE_HEIGHT, level, hashes / WIDTH, width, false));
        }
        if width > 0 && level == 0 {
            tiles.push(Tile::new(TILE_HEIGHT, 0, hashes / WIDTH, width, true));
        }
        level += 1;
    }
    tiles
}

/// Returns the bytes of a bundle of entries: each behind its length in two bytes.
fn bundle(entries: &[Entry]) -> Vec<u8> {
    let bytes = entries.iter().flat_map(|entry| [&[0, 32][..], &entry.0].concat());
    bytes.collect()
}

/// Reads the bytes of a bundle of entries; `None` for anything but entries of 32 bytes.
pub fn unbundle(bytes: &[u8]) -> Option<Vec<Entry>> {
    let entries = bytes.chunks(34).map(|chunk| {
        let entry = chunk.strip_prefix(&[0, 32])?;
        Some(Entry(entry.try_into().ok()?))
    });
    entries.collect()
}

impl Tree {
    /// Restores a tree of `size` leaves from the tiles of its [`edge`], by their keys, and checks that they give
    /// `root`.
    pub fn restore(size: u64, root: Hash, tiles: &BTreeMap<String, Vec<u8>>) -> Result<Self, Fault> {
        let mut tree = Self {
            size,
            ..Self::default()
        };
        for tile in edge(size) {
            let key = layout::tile(&tile);
            let bytes = tiles.get(&key).ok_or_else(|| Fault::Missing(key.clone()))?;
            let wanted = tile.width() as usize * if tile.is_data() { 34 } else { 32 };
            let length = |found| Fault::Length {
                key: key.clone(),
                found,
                wanted,
            };
            if bytes.len() != wanted {
                return Err(length(bytes.len()));
            }
            if tile.is_data() {
                tree.entries = unbundle(bytes).ok_or_else(|| length(bytes.len()))?;
                continue;
            }
            let (level, first) = (TILE_HEIGHT * tile.level(), tile.level_index() * WIDTH);
            for (place, hash) in (first..).zip(bytes.chunks_exact(32)) {
                let hash = Hash(hash.try_into().unwrap_or_default());
                tree.keep(level, place, hash);
            }
        }
        let leaves = (size / WIDTH * WIDTH..).zip(&tree.entries);
        let mut leaves = leaves.map(|(leaf, entry)| (stored_hash_index(0, leaf), record_hash(&entry.0)));
        let entries_match = leaves.all(|(index, hash)| tree.hashes.0.get(&index) == Some(&hash));
        if entries_match && tree.root()? == root {
            Ok(tree)
        } else {
            Err(Fault::Root { size })
        }
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root.
    pub fn root(&self) -> Result<Hash, Fault> {
        Ok(tree_hash(self.size, &self.hashes)?)
    }

    /// Adds entries. Returns the objects to store, by key: tiles that are full now, and the new edge.
    pub fn grow(&mut self, entries: &[Entry]) -> Result<BTreeMap<String, Vec<u8>>, Fault> {
        let old = self.size;
        for entry in entries {
            let hashes = stored_hashes_for_record_hash(self.size, record_hash(&entry.0), &self.hashes)?;
            let first = stored_hash_index(0, self.size);
            self.hashes.0.extend((first..).zip(hashes));
            self.size += 1;
        }
        let mut objects = BTreeMap::new();
        for tile in Tile::new_tiles(TILE_HEIGHT, old, self.size) {
            objects.insert(layout::tile(&tile), tile.read_data(&self.hashes)?);
        }
        self.bundles(old, entries, &mut objects);
        self.trim();
        Ok(objects)
    }

    /// Adds the bundles of entries that became full, and the partial one, to `objects`.
    fn bundles(&mut self, old: u64, entries: &[Entry], objects: &mut BTreeMap<String, Vec<u8>>) {
        self.entries.extend_from_slice(entries);
        let chunks = self.entries.chunks(1 << TILE_HEIGHT);
        let mut left = Vec::new();
        for (number, chunk) in (old / WIDTH..).zip(chunks) {
            let width = u32::try_from(chunk.len()).unwrap_or_default();
            let tile = Tile::new(TILE_HEIGHT, 0, number, width, true);
            objects.insert(layout::tile(&tile), bundle(chunk));
            left = match chunk.len() as u64 {
                WIDTH => Vec::new(),
                _ => chunk.to_vec(),
            };
        }
        self.entries = left;
    }

    /// Forgets the hashes that no later leaf needs, so that memory does not grow with the log: all but those in the
    /// partial tile of each level.
    fn trim(&mut self) {
        let size = self.size;
        self.hashes.0.retain(|index, _| {
            let (level, place) = split_stored_hash_index(*index);
            let tile_level = level / TILE_HEIGHT;
            // Within its tile a hash covers a range of the tile's own lowest hashes.
            let covered = (place + 1) << (level % TILE_HEIGHT);
            let first = (size >> (TILE_HEIGHT * tile_level)) / WIDTH * WIDTH;
            covered > first
        });
    }

    fn keep(&mut self, level: u8, place: u64, hash: Hash) {
        // Each pair that is complete gives the hash above it, up to the height of a tile.
        let (mut level, mut place, mut hash) = (level, place, hash);
        let top = level + TILE_HEIGHT;
        loop {
            self.hashes.0.insert(stored_hash_index(level, place), hash);
            if place % 2 == 0 || level + 1 >= top {
                return;
            }
            let sibling = self.hashes.0.get(&stored_hash_index(level, place - 1));
            let Some(sibling) = sibling.copied() else {
                return;
            };
            hash = tlog_tiles::tlog::node_hash(sibling, hash);
            (level, place) = (level + 1, place / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(from: u64, to: u64) -> Vec<Entry> {
        (from..to).map(|n| Entry::of_record(&n.to_be_bytes())).collect()
    }

    /// The root by the definition of RFC 6962, section 2.1.
    fn naive(entries: &[Entry]) -> Hash {
        match entries {
            [] => tlog_tiles::tlog::EMPTY_HASH,
            [entry] => record_hash(&entry.0),
            _ => {
                let left = entries.len().next_power_of_two() / 2;
                let (left, right) = entries.split_at(left);
                tlog_tiles::tlog::node_hash(naive(left), naive(right))
            }
        }
    }

    #[test]
    fn a_tree_that_grows_in_steps_and_is_restored_between_them_has_the_root_of_the_definition() {
        let mut objects = BTreeMap::new();
        let mut tree = Tree::default();
        let sizes = [
            0, 1, 2, 3, 255, 256, 257, 511, 512, 700, 65_535, 65_536, 65_537, 66_000,
        ];
        for (old, new) in sizes.iter().zip(&sizes[1..]) {
            objects.extend(tree.grow(&entries(*old, *new)).unwrap());
            let root = naive(&entries(0, *new));
            assert_eq!(tree.root().unwrap(), root, "of {new} leaves");
            assert!(
                tree.hashes.0.len() < 2_000,
                "{} hashes are kept",
                tree.hashes.0.len()
            );
            tree = Tree::restore(*new, root, &objects).unwrap();
        }
        let full = objects.keys().filter(|key| !key.contains(".p/"));
        assert_eq!(full.count(), 2 * (66_000 / 256) + 1);
    }

    #[test]
    fn a_tree_is_not_restored_from_changed_or_missing_tiles() {
        let mut tree = Tree::default();
        let objects = tree.grow(&entries(0, 700)).unwrap();
        let root = tree.root().unwrap();
        for tile in edge(700) {
            let key = layout::tile(&tile);
            let mut changed = objects.clone();
            changed.get_mut(&key).unwrap()[5] ^= 1;
            assert!(
                matches!(Tree::restore(700, root, &changed), Err(Fault::Root { .. })),
                "{key}"
            );
            changed.remove(&key);
            assert!(
                matches!(Tree::restore(700, root, &changed), Err(Fault::Missing(_))),
                "{key}"
            );
        }
    }

    #[test]
    fn the_bundles_hold_every_entry_in_order() {
        let mut tree = Tree::default();
        let objects = tree.grow(&entries(0, 600)).unwrap();
        let keys = ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/88"];
        let held: Vec<_> = keys
            .iter()
            .flat_map(|key| unbundle(&objects[*key]).unwrap())
            .collect();
        assert_eq!(held, entries(0, 600));
    }
}
