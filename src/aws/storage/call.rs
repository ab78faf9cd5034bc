//! Call records: small objects, written in one request and read again.

use std::sync::Arc;

use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectError;
use bytes::{Bytes, BytesMut};

use super::object::{Object, Published};
use super::{ObjectFacts, Storage};
use crate::domain::digest::Digest;
use crate::domain::recording::{ArchiveKey, ArchivedFile};
use crate::error::{Error, ErrorKind};

/// A call record that is to be written.
#[derive(Debug, Clone)]
pub struct CallObject {
    object: Arc<Object>,
    bytes: Bytes,
    digest: Digest,
}

/// Longest call record that is read, in bytes. Details are at most 8 MiB long, pauses and holds 4 MiB.
const LONGEST: usize = 32 * 1024 * 1024;

impl Storage {
    /// Prepares a call record of these bytes. Sends nothing.
    pub fn call_record(&self, facts: ObjectFacts, bytes: Vec<u8>) -> CallObject {
        let storage = self.clone();
        CallObject {
            digest: Digest::of(&bytes),
            object: Arc::new(Object { storage, facts }),
            bytes: bytes.into(),
        }
    }

    /// Returns the bytes of a call record; `None` if there is no object under its key. Bytes with another SHA-256 are
    /// a `HashMismatch`.
    pub async fn read_call(&self, place: &ArchiveKey, sha256: &str) -> Result<Option<Vec<u8>>, Error> {
        let get = self
            .client
            .get_object()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key);
        let doing = format!("reading {place}");
        let mut body = match get.send().await {
            Ok(answer) => answer.body,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetObjectError::NoSuchKey(_)) => {
                return Ok(None);
            }
            Err(error) => return Err(self.config.failed(&doing, error)),
        };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| Error::transient(doing.clone()).caused_by(error))?;
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST {
                let message = format!("{place} is longer than a call record: {LONGEST} bytes at most");
                return Err(Error::transient(message));
            }
        }
        let found = Digest::of(&bytes).hex();
        if found != sha256 {
            let message = format!("{place} has SHA-256 {found}; archived was {sha256}");
            return Err(Error::new(ErrorKind::HashMismatch, message));
        }
        Ok(Some(bytes.into()))
    }
}

impl CallObject {
    /// Returns the file as ledger and audit name it.
    pub fn file(&self, format: &str) -> ArchivedFile {
        let Object { storage, facts } = &*self.object;
        ArchivedFile {
            archive_key: storage.archive_key(&facts.key),
            sha256: self.digest.hex(),
            size_bytes: self.digest.size,
            format: format.to_owned(),
            attempt_id: facts.attempt,
            channel: None,
            part: None,
            part_name: None,
            format_found: None,
            crc64nvme: None,
            media_host: None,
            stored_as: Some(storage.config.stored_as(facts, false)),
        }
    }

    /// Returns the same bytes, written with these facts.
    #[must_use]
    pub fn written_as(&self, facts: ObjectFacts) -> Self {
        let storage = self.object.storage.clone();
        Self {
            object: Arc::new(Object { storage, facts }),
            ..self.clone()
        }
    }

    /// Writes the object, unless another one lies under its key.
    pub async fn put(&self) -> Result<Published, Error> {
        self.object.put(self.bytes.clone(), &self.digest).await
    }
}
