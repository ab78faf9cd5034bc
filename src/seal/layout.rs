//! The keys of the log's objects.

use jiff::Timestamp;
use jiff::civil::Date;
use tlog_tiles::tile::Tile;

use super::Entry;

/// Beginning of the keys of all time-stamps.
pub const TIMESTAMPS: &str = "timestamps/";

/// Height of a tile: 256 hashes wide, as C2SP tlog-tiles has it.
pub const TILE_HEIGHT: u8 = 8;

/// Width of a full tile: so many hashes, or entries.
pub const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// Beginning of the keys of all batches.
pub const BATCHES: &str = "batches/";

/// Beginning of the keys of all checkpoints.
pub const CHECKPOINTS: &str = "checkpoints/";

/// Beginning of the keys of all tiles.
pub const TILES: &str = "tile/";

/// Beginning of the keys of all days that the audit's index by days does not hold whole.
pub const UNDATED: &str = "undated/";

/// Beginning of the keys of all records.
pub const RECORDS: &str = "records/";

/// Returns the key of the batch whose first entry is the leaf `start`, from 0. Keys sort by `start`.
pub fn batch(start: u64) -> String {
    format!("{BATCHES}{start:020}")
}

/// Reads the first leaf out of the key of a batch.
pub fn batch_start(key: &str) -> Option<u64> {
    digits(key.strip_prefix(BATCHES)?)
}

/// Returns the key of the checkpoint of a tree of `size` leaves that was signed at `time`. Keys sort by time.
pub fn checkpoint(time: Timestamp, size: u64) -> String {
    format!("{CHECKPOINTS}{}-{size:020}", instant(time))
}

/// Returns the key of the time-stamp of that checkpoint.
pub fn timestamp(time: Timestamp, size: u64) -> String {
    format!("{TIMESTAMPS}{}-{size:020}.tsr", instant(time))
}

/// Returns the key of the checkpoint that a time-stamp is of, by its key.
#[cfg(feature = "cli")]
pub fn timestamped(key: &str) -> Option<String> {
    let name = key.strip_prefix(TIMESTAMPS)?.strip_suffix(".tsr")?;
    let (time, size) = checkpoint_parts(&format!("{CHECKPOINTS}{name}"))?;
    Some(checkpoint(time, size))
}

/// Returns the key before those of all checkpoints signed at `time` or later.
pub fn checkpoints_since(time: Timestamp) -> String {
    format!("{CHECKPOINTS}{}", instant(time))
}

/// Reads time and size out of the key of a checkpoint.
pub fn checkpoint_parts(key: &str) -> Option<(Timestamp, u64)> {
    let (time, size) = key.strip_prefix(CHECKPOINTS)?.rsplit_once('-')?;
    let parsed = time.parse().ok()?;
    (instant(parsed) == time).then_some((parsed, digits(size)?))
}

/// Returns the key of a tile: `tile/LEVEL/N`, or `tile/entries/N` for a bundle of entries; `.p/WIDTH` follows while
/// the tile is not full. <https://c2sp.org/tlog-tiles>
pub fn tile(tile: &Tile) -> String {
    // The crate writes the Go checksum database's spelling, which names the height and calls bundles `data`.
    let path = tile.path();
    let path = path.replacen(&format!("{TILES}{TILE_HEIGHT}/"), TILES, 1);
    path.replacen("tile/data/", "tile/entries/", 1)
}

/// Reads a tile or bundle out of its key.
#[cfg(feature = "cli")]
pub fn tile_of(key: &str) -> Option<Tile> {
    /// The eighth level above the leaves would cover more of them than a number holds; the crate panics at the 64th.
    const LEVELS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
    let (level, number) = key.strip_prefix(TILES)?.split_once('/')?;
    let path = match level {
        "entries" => format!("data/{number}"),
        level if LEVELS.contains(&level) => format!("{level}/{number}"),
        _ => return None,
    };
    // The crate panics at a tile without hashes.
    let width = path.rsplit_once(".p/").map(|(_, width)| width);
    if width.is_some_and(|width| width.starts_with('0')) {
        return None;
    }
    let parsed = Tile::from_path(&format!("{TILES}{TILE_HEIGHT}/{path}")).ok()?;
    // The crate takes a bundle by either name.
    (tile(&parsed) == key).then_some(parsed)
}

/// Reads the entry out of the key of its record.
pub fn record_entry(key: &str) -> Option<Entry> {
    let name = key.strip_prefix(RECORDS)?.strip_suffix(".json")?;
    name.parse().ok()
}

/// Returns the key of the record that an entry stands for.
pub fn record(entry: &Entry) -> String {
    format!("{RECORDS}{entry}.json")
}

/// Returns the key of a UTC day with events that the audit's index by days does not hold. Keys sort by day.
pub fn undated(day: Date) -> String {
    format!("{UNDATED}{day}")
}

/// Reads the day out of such a key.
#[cfg(feature = "cli")]
pub fn undated_day(key: &str) -> Option<Date> {
    let day = key.strip_prefix(UNDATED)?.parse().ok()?;
    (undated(day) == key).then_some(day)
}

/// Returns a time in milliseconds, always equally long.
fn instant(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads a number of exactly twenty digits.
fn digits(text: &str) -> Option<u64> {
    let wanted = text.len() == 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    wanted.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_has_the_key_that_the_specification_gives() {
        let key = |level, n, width| tile(&Tile::new(TILE_HEIGHT, level, n, width, false));
        assert_eq!(key(0, 0, 256), "tile/0/000");
        assert_eq!(key(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(key(1, 0, 8), "tile/1/000.p/8");
        let entries = Tile::new(TILE_HEIGHT, 0, 8, 12, true);
        assert_eq!(tile(&entries), "tile/entries/008.p/12");
    }

    #[test]
    #[cfg(feature = "cli")]
    fn a_tile_is_read_out_of_its_key() {
        for key in [
            "tile/0/000",
            "tile/0/x001/x234/067",
            "tile/1/000.p/8",
            "tile/entries/008.p/12",
        ] {
            assert_eq!(tile_of(key).map(|read| tile(&read)).as_deref(), Some(key));
        }
        for key in [
            "tile/0/0",
            "tile/8/0/000",
            "tile/data/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/00/000",
            "tile/99/000",
            "tile/8/000",
            "tile/0/000.p/00",
        ] {
            assert_eq!(tile_of(key), None, "{key}");
        }
    }

    #[test]
    fn keys_of_batches_and_checkpoints_are_read_back_and_others_are_refused() {
        assert_eq!(batch_start(&batch(12)), Some(12));
        assert_eq!(batch_start("batches/12"), None);
        let time: Timestamp = "2026-11-27T15:44:36.120Z".parse().unwrap();
        let key = checkpoint(time, 77);
        assert_eq!(key, "checkpoints/2026-11-27T15:44:36.120Z-00000000000000000077");
        assert_eq!(checkpoint_parts(&key), Some((time, 77)));
        assert!(checkpoints_since(time) < key);
        assert_eq!(timestamped(&timestamp(time, 77)), Some(key));
        assert_eq!(
            checkpoint_parts("checkpoints/2026-11-27T15:44:36Z-00000000000000000077"),
            None
        );
    }
}
