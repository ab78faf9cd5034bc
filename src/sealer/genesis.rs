//! The beginning of a log: its first leaf stands for a record that says whose log it is and when it began.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Sealer, State};
use crate::error::Error;
use crate::seal::batch::{Batch, Via};
use crate::seal::store::Put;
use crate::seal::{Entry, layout};

/// Name and version of the record.
const SCHEMA: &str = "recording-archiver/genesis/1";

/// What the first leaf of a log says beyond its name and key.
#[derive(Debug, Clone, Default)]
pub struct Beginning {
    /// The AWS region of the sealer.
    pub region: Option<String>,
    /// The audit table.
    pub table: Option<String>,
}

/// The record of the first leaf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Genesis {
    schema: String,
    /// The name of the log.
    pub origin: String,
    /// The verifier key of the log, as a signed note has it.
    pub key: String,
    /// When the log began. Older events are imported.
    pub began: Timestamp,
    /// The AWS region of the sealer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The audit table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

impl Genesis {
    /// Returns the record as JSON in one line.
    fn to_bytes(&self) -> Vec<u8> {
        // A struct of texts always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a record; `None` for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let genesis: Self = serde_json::from_slice(bytes).ok()?;
        (genesis.schema == SCHEMA).then_some(genesis)
    }
}

impl Sealer {
    /// Seals the first leaf of an empty log. Of several sealers that begin one, the first to put its batch does.
    pub(super) async fn begin(&self, state: &mut State) -> Result<(), Error> {
        let key = self.signer.key().await?;
        let began = self.clock.now();
        let genesis = Genesis {
            schema: SCHEMA.to_owned(),
            origin: key.origin().to_owned(),
            key: key.verifier_key(),
            began,
            region: self.beginning.region.clone(),
            table: self.beginning.table.clone(),
        };
        let record = genesis.to_bytes();
        let batch = Batch {
            start: 0,
            via: Via::Genesis,
            at: began,
            entries: vec![Entry::of_record(&record)],
        };
        // Before the batch: whoever reads a leaf finds what it stands for.
        self.log.put(&layout::record(&batch.entries[0]), record).await?;
        let first = layout::batch(0);
        let batch = match self.log.put(&first, batch.to_bytes()).await? {
            Put::Created => batch,
            Put::Taken => {
                let gone = || {
                    self.log
                        .inconsistent(&first, "the batch was there and is missing")
                };
                self.log.batch(0).await?.ok_or_else(gone)?
            }
        };
        state.take(&batch);
        Ok(())
    }

    /// Returns the record of the first leaf.
    pub async fn genesis(&self) -> Result<Genesis, Error> {
        drop(self.state().await?);
        let first = layout::batch(0);
        let missing = |key: &str| self.log.inconsistent(key, "the beginning of the log is missing");
        let batch = self.log.batch(0).await?.ok_or_else(|| missing(&first))?;
        let key = layout::record(&batch.entries[0]);
        let record = self.log.get(&key).await?.ok_or_else(|| missing(&key))?;
        let genesis = Genesis::from_bytes(&record);
        genesis.ok_or_else(|| self.log.inconsistent(&key, "no record of the beginning of a log"))
    }
}
