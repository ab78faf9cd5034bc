//! A batch: the entries that one run of the sealer added, in their order.
//!
//! The object is text, for people with `grep` and `wc`: a line of JSON that says what it is, then an entry a line.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Entry;

/// Name and version of the format.
const SCHEMA: &str = "recording-archiver/batch/1";

/// The way by which the entries came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The first leaf of the log, which says when it began.
    Genesis,
    /// The audit table's stream.
    Stream,
    /// A scan for events that are older than the log.
    Imported,
    /// A scan for events that the stream lost, as the sealer did not run for more than its 24 hours.
    SealedLate,
}

/// What the first line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Head {
    schema: String,
    start: u64,
    count: u64,
    via: Via,
    at: Timestamp,
}

/// Entries that were sealed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The leaf of the first entry, from 0.
    pub start: u64,
    /// The way by which they came.
    pub via: Via,
    /// When they were sealed, by the sealer's clock.
    pub at: Timestamp,
    /// The entries; never none.
    pub entries: Vec<Entry>,
}

/// The reason why an object is no batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no batch of the log: {0}")]
pub struct NoBatch(String);

impl Batch {
    /// Returns the leaf after the last entry, which is the size of the tree with this batch.
    pub fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    /// Returns the object's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let head = Head {
            schema: SCHEMA.to_owned(),
            start: self.start,
            count: self.entries.len() as u64,
            via: self.via,
            at: self.at,
        };
        // A struct of texts and numbers always serialises.
        let mut text = serde_json::to_string(&head).unwrap_or_default();
        for entry in &self.entries {
            text.push('\n');
            text.push_str(&entry.to_string());
        }
        text.push('\n');
        text.into_bytes()
    }

    /// Reads the object's bytes. Fails on anything but what [`Self::to_bytes`] writes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoBatch> {
        let text = std::str::from_utf8(bytes).map_err(|error| NoBatch(error.to_string()))?;
        let text = text
            .strip_suffix('\n')
            .ok_or_else(|| NoBatch("the last line is cut".to_owned()))?;
        let (head, entries) = text
            .split_once('\n')
            .ok_or_else(|| NoBatch("it holds no entry".to_owned()))?;
        let head: Head = serde_json::from_str(head).map_err(|error| NoBatch(error.to_string()))?;
        if head.schema != SCHEMA {
            return Err(NoBatch(format!("its schema is {:?}", head.schema)));
        }
        let entries: Result<Vec<Entry>, _> = entries.split('\n').map(str::parse).collect();
        let entries = entries.map_err(|error| NoBatch(error.to_string()))?;
        if entries.len() as u64 != head.count {
            let found = entries.len();
            return Err(NoBatch(format!("it holds {found} entries, not {}", head.count)));
        }
        Ok(Self {
            start: head.start,
            via: head.via,
            at: head.at,
            entries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        Batch {
            start: 7,
            via: Via::Stream,
            at: "2026-11-27T15:44:36Z".parse().unwrap(),
            entries: vec![Entry([1; 32]), Entry([2; 32])],
        }
    }

    #[test]
    fn a_batch_is_read_back_and_its_first_line_says_what_it_is() {
        let bytes = batch().to_bytes();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let first = r#"{"schema":"recording-archiver/batch/1","start":7,"count":2,"via":"stream","at":"2026-11-27T15:44:36Z"}"#;
        assert_eq!(text.lines().next(), Some(first));
        assert_eq!(Batch::from_bytes(&bytes), Ok(batch()));
        assert_eq!(batch().end(), 9);
    }

    #[test]
    fn a_batch_that_is_cut_anywhere_is_refused() {
        let bytes = batch().to_bytes();
        for length in 0..bytes.len() {
            assert!(Batch::from_bytes(&bytes[..length]).is_err(), "cut at {length}");
        }
    }
}
