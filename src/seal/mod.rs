//! The transparency log: one RFC 6962 Merkle tree over all audit events, in a bucket that only ever gains objects.
//!
//! Each leaf's entry is 32 bytes: an event's `eventHash`, or the SHA-256 of a record kept below `records/`
//! ([`layout`]). The bucket is the only state; there is no head record that could be lost or rolled back:
//!
//! - `batches/START`: entries in the order in which they were sealed, from the leaf START on ([`batch`]). Putting it is
//!   the one step that seals, as its key can be taken once.
//! - `tile/...`: hashes and entries as [C2SP tlog-tiles](https://c2sp.org/tlog-tiles), derived from the batches
//!   ([`tree`]).
//! - `checkpoints/TIME-SIZE`: a signed tree head as [C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint)
//!   ([`checkpoint`]).
//! - `records/HASH.json`: what a leaf stands for that is no event: the beginning of the log, a changed or removed item.
//! - `timestamps/TIME-SIZE.tsr`: what a time-stamping authority says of a checkpoint, where one is configured.

pub mod batch;
pub mod checkpoint;
pub mod layout;
pub mod outside;
#[cfg(feature = "cli")]
pub mod read;
pub mod signer;
pub mod store;
pub mod tree;
#[cfg(feature = "cli")]
pub mod versions;

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The content of a leaf: a SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry(pub [u8; 32]);

impl Entry {
    /// Returns the entry that stands for a record kept beside the tree: the SHA-256 of its bytes.
    pub fn of_record(record: &[u8]) -> Self {
        Self(Sha256::digest(record).into())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry({self})")
    }
}

/// A text that is no entry: not 64 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry is a SHA-256 in 64 lower-case hex digits")]
pub struct NoEntry;

impl FromStr for Entry {
    type Err = NoEntry;

    fn from_str(text: &str) -> Result<Self, NoEntry> {
        let mut entry = [0; 32];
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match hex::decode_to_slice(text, &mut entry) {
            Ok(()) if lower => Ok(Self(entry)),
            Ok(()) | Err(_) => Err(NoEntry),
        }
    }
}
