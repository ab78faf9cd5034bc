//! The transparency log: what it is, whether it is whole, and what it proves of an event.

mod chain;
mod import;
mod key;
mod leaves;
mod objects;
mod prove;
mod records;
mod sealed;
mod show;
mod timestamps;
mod undated;
mod verify;

use std::path::Path;

pub(super) use chain::Chain;
pub use chain::Gap;
pub use import::{Import, import};
pub use key::KeyFile;
pub(super) use leaves::Leaves;
pub use prove::{Named, Proof, Proved, prove};
pub(super) use records::{Modified, modified};
pub use sealed::SealedEvents;
pub(super) use sealed::{SEALED_WITHIN, not_sealed, sealed};
pub use show::{Shown, show};
pub(super) use undated::has_undated;
pub use verify::{Figures, verify};

use super::error::{Error, Kind};
use super::session::Session;
use crate::seal::checkpoint::{Checkpoint, LogKey};
use crate::seal::read::{SignedTree, Unproven};
use crate::seal::store::LogStore;

/// The variables of the log.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// `SEAL_BUCKET_NAME`.
    bucket: Option<String>,
    /// `SEAL_KEY_ID`.
    key_id: Option<String>,
    /// `SEAL_ORIGIN`.
    origin: Option<String>,
    /// `SEALER_FUNCTION_NAME`.
    sealer: Option<String>,
}

impl Settings {
    /// Reads the variables.
    pub(super) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| lookup(name).filter(|value| !value.is_empty());
        Self {
            bucket: set("SEAL_BUCKET_NAME"),
            key_id: set("SEAL_KEY_ID"),
            origin: set("SEAL_ORIGIN"),
            sealer: set("SEALER_FUNCTION_NAME"),
        }
    }
}

/// What a command is given from outside the account, to hold the log against.
#[derive(Debug, Default)]
pub struct Outside {
    /// The log's public key; without it KMS is asked, which the account's administrator controls.
    pub key: Option<KeyFile>,
    /// The note of a checkpoint that was kept.
    pub checkpoint: Option<Vec<u8>>,
}

impl Outside {
    /// Reads the files of a key and of a checkpoint.
    pub fn read(key: Option<&Path>, checkpoint: Option<&Path>) -> Result<Self, Error> {
        let read = |path: &Path| {
            let failed = |error| Error::new(Kind::File, format!("{}: {error}", path.display()));
            std::fs::read(path).map_err(failed)
        };
        Ok(Self {
            key: key.map(read).transpose()?.map(KeyFile::new),
            checkpoint: checkpoint.map(read).transpose()?,
        })
    }

    /// Opens the log that is configured; `None` if none is. Fails if a checkpoint was given to hold it against.
    pub(super) async fn log(&self, session: &Session) -> Result<Option<Log>, Error> {
        let log = Log::open(session, self.key.as_ref()).await?;
        if log.is_none() && self.checkpoint.is_some() {
            return Err(Error::usage(
                "there is no log to hold the checkpoint against: SEAL_BUCKET_NAME is not set",
                "set SEAL_BUCKET_NAME, SEAL_ORIGIN and SEAL_KEY_ID, or name the deployed stack: --stack NAME",
            ));
        }
        Ok(log)
    }
}

/// The log of a stack, to be read.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) store: LogStore,
    pub(super) key: LogKey,
}

impl Log {
    /// Opens the log that is configured, with the key that was given or with that of KMS; `None` if none is.
    pub(super) async fn open(session: &Session, key: Option<&KeyFile>) -> Result<Option<Self>, Error> {
        let Some(bucket) = session.log.bucket.clone() else {
            return Ok(None);
        };
        let key = key::find(session, key).await?;
        let store = LogStore::new(session.clients.s3.clone(), bucket);
        Ok(Some(Self { store, key }))
    }

    /// Opens the log of a command that cannot do without.
    pub(super) async fn required(session: &Session, key: Option<&KeyFile>) -> Result<Self, Error> {
        let missing = || {
            Error::new(
                Kind::Configuration,
                "no log is configured: SEAL_BUCKET_NAME is not set",
            )
            .remedy(
                "set SEAL_BUCKET_NAME, SEAL_ORIGIN and SEAL_KEY_ID, or name the deployed stack: --stack NAME",
            )
        };
        Self::open(session, key).await?.ok_or_else(missing)
    }

    /// Returns the tree of a checkpoint.
    pub(super) fn tree(&self, checkpoint: &Checkpoint) -> SignedTree {
        SignedTree::new(self.store.clone(), checkpoint)
    }
}

/// Returns what is wrong with the log, if that is why something is not proven.
pub(super) fn inconsistency<T>(read: Result<T, Unproven>) -> Result<Result<T, String>, Error> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(Unproven::Inconsistent(detail)) => Ok(Err(detail)),
        Err(Unproven::Unread(error)) => Err(error.into()),
    }
}
