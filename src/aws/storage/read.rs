//! Reading the archive back: what the operators' command line proves and shows. Never more in memory than a chunk.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{EncodingType, ObjectLockLegalHoldStatus, StorageClass};
use futures_util::{TryStreamExt as _, stream};
use jiff::Timestamp;

use super::{ATTEMPT_ID, INTERACTION_ID, RECORDING_ID, Storage};
use crate::domain::digest::{Digest, Hashed};
use crate::domain::recording::{ArchiveKey, Kept, StoreAnswer};
use crate::error::Error;

/// The object under the key of an archived file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The digest of its bytes, as they are now.
    pub digest: Digest,
    /// Its user metadata.
    pub metadata: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// What else S3 keeps now.
    pub kept: Kept,
    /// A legal hold is on it.
    pub legal_hold: bool,
    /// The time at which it was written.
    pub written: Option<Timestamp>,
}

/// A version of an object, or a delete marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its id.
    pub id: String,
    /// It is a delete marker.
    pub is_marker: bool,
    /// The time at which it was written.
    pub written: Option<Timestamp>,
}

impl Version {
    /// Returns what a listing says of this key: first the versions, then the delete markers.
    pub(super) fn of_key(listed: &ListObjectVersionsOutput, key: &str) -> Vec<Self> {
        let is_this = |found: Option<&str>| found.is_some_and(|found| decoded(found) == key);
        let version = |id: Option<&str>, is_marker, at: Option<&DateTime>| Self {
            id: id.unwrap_or("null").to_owned(),
            is_marker,
            written: at.and_then(moment),
        };
        let versions = listed.versions().iter();
        let versions = versions.filter(|one| is_this(one.key()));
        let versions = versions.map(|one| version(one.version_id(), false, one.last_modified()));
        let markers = listed.delete_markers().iter();
        let markers = markers.filter(|one| is_this(one.key()));
        let markers = markers.map(|one| version(one.version_id(), true, one.last_modified()));
        versions.chain(markers).collect()
    }
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
    /// Reads the object of an archived file from its first byte to its last, and its tags; `None` if nothing lies under
    /// its key.
    pub async fn read(&self, place: &ArchiveKey) -> Result<Option<Found>, Error> {
        let got = self
            .client
            .get_object()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .send()
            .await;
        let mut got: GetObjectOutput = match got {
            Ok(got) => got,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), GetObjectError::NoSuchKey(_)) => {
                return Ok(None);
            }
            Err(error) => return Err(self.config.failed(&format!("reading {place}"), error)),
        };
        // Before the bytes: where tags are denied, none have to be read.
        let tags = self.tags_of(place).await?;
        let body = std::mem::take(&mut got.body);
        let chunks = stream::unfold(body, |mut body| async move { Some((body.next().await?, body)) });
        let mut hashed = Hashed::new(Box::pin(chunks));
        let broken = |error| Error::transient(format!("reading {place} broke off")).caused_by(error);
        while hashed.try_next().await.map_err(broken)?.is_some() {}
        let class = got.storage_class().map_or("STANDARD", StorageClass::as_str);
        let encryption = got.server_side_encryption();
        Ok(Some(Found {
            digest: hashed.finish(),
            legal_hold: got.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On),
            written: got.last_modified().and_then(moment),
            metadata: got.metadata().cloned().unwrap_or_default().into_iter().collect(),
            tags,
            kept: Kept {
                content_type: got.content_type().unwrap_or_default().to_owned(),
                storage_class: class.to_owned(),
                lock_mode: got.object_lock_mode().map(|mode| mode.as_str().to_owned()),
                retain_until: got.object_lock_retain_until_date().and_then(moment),
                answer: StoreAnswer {
                    version_id: got.version_id().map(str::to_owned),
                    encryption: encryption.map(|kind| kind.as_str().to_owned()),
                    kms_key_id: got.ssekms_key_id().map(str::to_owned),
                },
            },
        }))
    }

    async fn tags_of(&self, place: &ArchiveKey) -> Result<BTreeMap<String, String>, Error> {
        let tags = self
            .client
            .get_object_tagging()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .send()
            .await
            .map_err(|error| self.config.failed(&format!("reading the tags of {place}"), error))?;
        let tags = tags.tag_set().iter();
        Ok(tags
            .map(|tag| (tag.key().to_owned(), tag.value().to_owned()))
            .collect())
    }

    /// Fails unless S3 says that no retention is set. `GetObject` leaves a retention out where the caller may not see
    /// it.
    pub async fn has_no_lock(&self, place: &ArchiveKey) -> Result<(), Error> {
        let asked = self
            .client
            .get_object_retention()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .send()
            .await;
        match asked {
            Ok(answer) if answer.retention().and_then(|lock| lock.mode()).is_some() => Err(Error::transient(
                format!("the lock of {place} changed while it was read"),
            )),
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some("NoSuchObjectLockConfiguration") => Ok(()),
            Err(error) => Err(self.config.failed(&format!("reading the lock of {place}"), error)),
        }
    }

    /// Returns the versions and delete markers of a key. One page of them is enough to know that there are others.
    pub async fn versions(&self, place: &ArchiveKey) -> Result<Vec<Version>, Error> {
        let listed = self.version_page(place, None).await?;
        Ok(Version::of_key(&listed, &place.key))
    }

    /// Returns a page of the versions and delete markers of the keys that begin as this one does, behind the key and
    /// the version id of `after`.
    pub(super) async fn version_page(
        &self,
        place: &ArchiveKey,
        after: Option<(String, Option<String>)>,
    ) -> Result<ListObjectVersionsOutput, Error> {
        let (key, version) = after.unzip();
        self.client
            .list_object_versions()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .prefix(&place.key)
            .encoding_type(EncodingType::Url)
            .set_key_marker(key)
            .set_version_id_marker(version.flatten())
            .send()
            .await
            .map_err(|error| {
                self.config
                    .failed(&format!("listing the versions of {place}"), error)
            })
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
            let written = object.last_modified().and_then(moment);
            Some((decoded(object.key()?), written))
        });
        Ok(ObjectPage {
            objects: objects.collect(),
            next: page.next_continuation_token().map(str::to_owned),
        })
    }

    /// Returns the ids in the metadata of the object under this key of the archive bucket; `None` if there is none.
    pub async fn label(&self, key: &str) -> Result<Option<Label>, Error> {
        let head = self.head(&self.archive_key(key), None, "looking for").await?;
        Ok(head.map(|head| Label::of(head.metadata())))
    }
}

/// Returns a moment of the SDK to the second, as S3 tells it.
pub(super) fn moment(at: &DateTime) -> Option<Timestamp> {
    Timestamp::from_second(at.secs()).ok()
}

/// Decodes a key of a listing that was asked for as `url`: `+` is a space, and `%XX` a byte of UTF-8
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>). What is not so encoded stays as it came.
pub(super) fn decoded(key: &str) -> String {
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
