//! Documents that are written once beside the recordings: created only, locked like a recording, never replaced.

use std::ops::Not as _;

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::ChecksumAlgorithm;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::{DAY, Storage};
use crate::error::Error;

/// The answer to the request that writes a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The document is there.
    New,
    /// Something lies under its key already, and stays.
    Occupied,
}

impl Storage {
    /// Writes a document under a key at which nothing lies, locked from `now` on where objects are locked. A try whose
    /// answer was lost may have written it: `Occupied` does not say whose document lies there.
    pub async fn write_document(
        &self,
        key: &str,
        content_type: &str,
        bytes: Bytes,
        now: Timestamp,
    ) -> Result<Written, Error> {
        let config = &self.config;
        let lock = config.object_lock.as_ref();
        let until = lock.map(|lock| DateTime::from_secs(now.as_second() + i64::from(lock.days) * DAY));
        let put = self
            .client
            .put_object()
            .bucket(&config.bucket)
            .set_expected_bucket_owner(config.bucket_owner.clone())
            .key(key)
            .if_none_match("*")
            .content_type(content_type)
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .checksum_sha256(BASE64.encode(Sha256::digest(&bytes)))
            .set_server_side_encryption(config.encryption())
            .set_ssekms_key_id(config.kms_key_id.clone())
            .set_object_lock_mode(config.lock_mode())
            .set_object_lock_retain_until_date(until)
            .body(ByteStream::from(bytes))
            .send()
            .await;
        match put {
            Ok(_) => Ok(Written::New),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(Written::Occupied),
            Err(error) => Err(config.failed(&format!("storing {key}"), error)),
        }
    }

    /// Reads a document; `None` if nothing lies under its key.
    pub async fn document(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let got = self
            .client
            .get_object()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(key)
            .send()
            .await;
        let got = match got {
            Ok(got) => got,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetObjectError::NoSuchKey(_)) => {
                return Ok(None);
            }
            Err(error) => return Err(self.config.failed(&format!("reading {key}"), error)),
        };
        let read = got.body.collect().await;
        let read =
            read.map_err(|error| Error::transient(format!("reading {key} broke off")).caused_by(error))?;
        Ok(Some(read.to_vec()))
    }

    /// Returns the keys with this prefix behind `after`, in order; all of them, so only where they are few.
    pub async fn documents(&self, prefix: &str, after: &str) -> Result<Vec<String>, Error> {
        let config = &self.config;
        let mut keys: Vec<String> = Vec::new();
        let mut from = after.to_owned();
        loop {
            let page = self
                .client
                .list_objects_v2()
                .bucket(&config.bucket)
                .set_expected_bucket_owner(config.bucket_owner.clone())
                .prefix(prefix)
                .set_start_after(from.is_empty().not().then(|| from.clone()))
                .send()
                .await
                .map_err(|error| config.failed(&format!("listing {prefix}"), error))?;
            keys.extend(
                page.contents()
                    .iter()
                    .filter_map(|object| Some(object.key()?.to_owned())),
            );
            match keys.last().filter(|_| page.is_truncated() == Some(true)) {
                Some(last) => from.clone_from(last),
                None => return Ok(keys),
            }
        }
    }
}
