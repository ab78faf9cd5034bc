//! The log's bucket: objects that are put once, read and listed.

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::primitives::ByteStream;
use jiff::Timestamp;

use super::batch::Batch;
use super::layout;
use crate::aws::failed;
use crate::error::{Error, ErrorKind};

/// The bucket of the log.
#[derive(Debug, Clone)]
pub struct LogStore {
    pub(super) client: aws_sdk_s3::Client,
    pub(super) bucket: String,
}

/// A page of a listing.
#[derive(Debug, Default)]
pub struct KeyPage {
    /// Keys, in order.
    pub keys: Vec<String>,
    /// The beginning of the next page; `None` after the last one.
    pub next: Option<String>,
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// The object is new.
    Created,
    /// An object has this key already, and stays as it is.
    Taken,
}

impl LogStore {
    /// Makes a store of the objects of `bucket`. Sends nothing.
    pub fn new(client: aws_sdk_s3::Client, bucket: String) -> Self {
        Self { client, bucket }
    }

    /// Returns the name of the bucket.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Puts an object unless its key is taken. S3 checks the bytes by their SHA-256.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<Put, Error> {
        let sent = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .checksum_algorithm(aws_sdk_s3::types::ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(bytes))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Put::Created),
            Err(SdkError::ServiceError(error)) if error.err().code() == Some("PreconditionFailed") => {
                Ok(Put::Taken)
            }
            // 409 ConditionalRequestConflict among them: another put of this key is on its way.
            Err(error) => Err(failed(&format!("storing {}", self.place(key)), error)),
        }
    }

    /// Returns an object's bytes; `None` if there is none under this key.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let got = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .send()
            .await;
        let got = match got {
            Ok(got) => got,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetObjectError::NoSuchKey(_)) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(&format!("reading {}", self.place(key)), error)),
        };
        let broken =
            |error| Error::transient(format!("reading {} broke off", self.place(key))).caused_by(error);
        Ok(Some(got.body.collect().await.map_err(broken)?.to_vec()))
    }

    /// Returns the keys that begin with `prefix` and come after `after`, in order.
    pub async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut next = None;
        loop {
            let page = self.page(prefix, after, next.take()).await?;
            keys.extend(page.keys);
            next = page.next;
            if next.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Returns a page, from `from` on, of the keys that begin with `prefix` and come after `after`.
    pub async fn page(
        &self,
        prefix: &str,
        after: Option<&str>,
        from: Option<String>,
    ) -> Result<KeyPage, Error> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .set_continuation_token(from)
            .send()
            .await
            .map_err(|error| failed(&format!("listing {}", self.place(prefix)), error))?;
        let keys = listed.contents().iter().filter_map(|object| object.key());
        Ok(KeyPage {
            keys: keys.map(str::to_owned).collect(),
            next: listed.next_continuation_token,
        })
    }

    /// Returns the first leaf of each batch from the leaf `start` on, in order.
    pub async fn batches_from(&self, start: u64) -> Result<Vec<u64>, Error> {
        // Keys sort as their numbers do, and a key is one character longer than what it has to come after.
        let mut after = layout::batch(start);
        after.pop();
        let keys = self.keys(layout::BATCHES, Some(&after)).await?;
        let starts = keys.iter().filter_map(|key| layout::batch_start(key));
        Ok(starts.filter(|first| *first >= start).collect())
    }

    /// Returns the batch whose first entry is the leaf `start`; `None` if there is none. Fails with `log_inconsistent`
    /// if the object is no such batch.
    pub async fn batch(&self, start: u64) -> Result<Option<Batch>, Error> {
        let key = layout::batch(start);
        let Some(bytes) = self.get(&key).await? else {
            return Ok(None);
        };
        let batch = Batch::from_bytes(&bytes);
        let batch = batch.map_err(|error| self.inconsistent(&key, &error.to_string()))?;
        if batch.start == start {
            Ok(Some(batch))
        } else {
            Err(self.inconsistent(&key, &format!("the batch says that it starts at {}", batch.start)))
        }
    }

    /// Returns the keys of the checkpoints signed at `since` or later, oldest first; all of them without a time.
    pub async fn checkpoints(&self, since: Option<Timestamp>) -> Result<Vec<String>, Error> {
        let after = since.map(layout::checkpoints_since);
        self.keys(layout::CHECKPOINTS, after.as_deref()).await
    }

    /// Returns the error of an object that is missing or contradicts others: `log_inconsistent`, with the way out.
    pub fn inconsistent(&self, key: &str, why: &str) -> Error {
        let message = format!(
            "{}: {why}. Nothing is sealed or signed until the object is restored: docs/log.md, \"Restoring\"",
            self.place(key)
        );
        Error::new(ErrorKind::LogInconsistent, message)
    }

    /// Returns `s3://bucket/key`.
    pub fn place(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}
