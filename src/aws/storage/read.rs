//! Reading the archive back: what the operators' command line proves and shows. Never more in memory than a chunk.

use std::collections::HashMap;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::types::EncodingType;
use aws_sdk_s3::{error::SdkError, operation::get_object::GetObjectError};
use futures_util::{TryStreamExt as _, stream};
use jiff::Timestamp;

use super::{ATTEMPT_ID, INTERACTION_ID, RECORDING_ID, Storage};
use crate::domain::digest::{Digest, Hashed};
use crate::domain::recording::{ArchiveKey, ArchivedFile};
use crate::error::Error;

/// The object under the key of an archived file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The digest of its bytes, as they are now.
    pub digest: Digest,
    /// The recording and the attempt that its metadata names.
    pub label: Label,
    /// The tag `sha256`.
    pub sha256_tag: Option<String>,
}

/// The ids in an object's metadata; `None` where one is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Label {
    /// `interaction-id`.
    pub interaction_id: Option<String>,
    /// `recording-id`, as ledger and audit spell it.
    pub recording_id: Option<String>,
    /// `attempt-id`: the run that wrote it.
    pub attempt_id: Option<String>,
}

/// A page of the bucket's listing.
#[derive(Debug, Default)]
pub struct ObjectPage {
    /// Keys, and when each object was written.
    pub objects: Vec<(String, Option<Timestamp>)>,
    /// Where the next page begins; `None` after the last one.
    pub next: Option<String>,
}

impl Storage {
    /// Reads the object of an archived file from its first byte to its last, and its tag; `None` if nothing lies under
    /// its key.
    pub async fn read(&self, file: &ArchivedFile) -> Result<Option<Found>, Error> {
        let ArchiveKey { bucket, key } = &file.archive_key;
        let got: GetObjectOutput = match self
            .client
            .get_object()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(key)
            .send()
            .await
        {
            Ok(got) => got,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetObjectError::NoSuchKey(_)) => {
                return Ok(None);
            }
            Err(error) => {
                return Err(self
                    .config
                    .failed(&format!("reading {}", file.archive_key), error));
            }
        };
        let label = Label::of(got.metadata());
        let chunks = stream::unfold(
            got.body,
            |mut body| async move { Some((body.next().await?, body)) },
        );
        let mut hashed = Hashed::new(Box::pin(chunks));
        while hashed
            .try_next()
            .await
            .map_err(|error| {
                Error::transient(format!("reading {} broke off", file.archive_key)).caused_by(error)
            })?
            .is_some()
        {}
        let tags = self
            .client
            .get_object_tagging()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(key)
            .send()
            .await
            .map_err(|error| {
                self.config
                    .failed(&format!("reading the tags of {}", file.archive_key), error)
            })?;
        let tag = tags.tag_set().iter().find(|tag| tag.key() == "sha256");
        Ok(Some(Found {
            digest: hashed.finish(),
            label,
            sha256_tag: tag.map(|tag| tag.value().to_owned()),
        }))
    }

    /// Returns a page of the keys with this prefix, from `from` on.
    pub async fn list(&self, prefix: &str, from: Option<String>) -> Result<ObjectPage, Error> {
        let bucket = &self.config.bucket;
        let page = self
            .client
            .list_objects_v2()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .prefix(prefix)
            .set_continuation_token(from)
            // Keys may hold what XML cannot; one of them would make the page unreadable.
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .map_err(|error| {
                self.config
                    .failed(&format!("listing s3://{bucket}/{prefix}"), error)
            })?;
        let objects = page.contents().iter().filter_map(|object| {
            let written = object
                .last_modified()
                .and_then(|at| Timestamp::from_second(at.secs()).ok());
            Some((decoded(object.key()?), written))
        });
        Ok(ObjectPage {
            objects: objects.collect(),
            next: page.next_continuation_token().map(str::to_owned),
        })
    }

    /// Returns the ids in the metadata of the object under this key of the archive bucket; `None` if there is none.
    pub async fn label(&self, key: &str) -> Result<Option<Label>, Error> {
        let head = self
            .client
            .head_object()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(key)
            .send()
            .await;
        match head {
            Ok(head) => Ok(Some(Label::of(head.metadata()))),
            Err(SdkError::ServiceError(error)) if matches!(error.err(), HeadObjectError::NotFound(_)) => {
                Ok(None)
            }
            Err(error) => Err(self
                .config
                .failed(&format!("looking for {}", self.archive_key(key)), error)),
        }
    }
}

/// Decodes a key of a listing that was asked for as `url`: `+` is a space, and `%XX` a byte of UTF-8
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>). What is not so encoded stays as it came.
fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let byte = match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => u8::try_from(high * 16 + low).ok(),
            _ => None,
        };
        rest = if byte.is_some() { &after[2..] } else { after };
        bytes.push(match (byte, first) {
            (Some(byte), _) => byte,
            (None, b'+') => b' ',
            (None, other) => *other,
        });
    }
    String::from_utf8(bytes).unwrap_or_else(|_| key.to_owned())
}

impl Label {
    fn of(metadata: Option<&HashMap<String, String>>) -> Self {
        let value = |name: &str| metadata?.get(name).cloned();
        Self {
            interaction_id: value(INTERACTION_ID),
            recording_id: value(RECORDING_ID),
            attempt_id: value(ATTEMPT_ID),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_keys_are_decoded_as_s3_encodes_them() {
        for (listed, key) in [
            ("a+b.txt", "a b.txt"),
            ("a%2Bb.txt", "a+b.txt"),
            ("100%25.csv", "100%.csv"),
            ("%ED%95%9C%EA%B8%80/x.txt", "한글/x.txt"),
            ("run+books/%01", "run books/\u{1}"),
            ("%zz%", "%zz%"),
            ("%ff", "%ff"),
        ] {
            assert_eq!(decoded(listed), key);
        }
    }
}
