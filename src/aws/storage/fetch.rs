//! Reads archived objects for people: where their bytes lie, the bytes themselves, and restoring from cold storage.

use std::pin::Pin;

use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;
use aws_sdk_s3::operation::head_object::{HeadObjectError, HeadObjectOutput};
use aws_sdk_s3::primitives::ByteStreamError;
use aws_sdk_s3::types::{
    ArchiveStatus, GlacierJobParameters, RestoreRequest, StorageClass, Tier as RetrievalTier,
};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _, stream};

use super::Storage;
use crate::domain::digest::{Digest, Hashed};
use crate::domain::recording::ArchiveKey;
use crate::error::Error;

/// Where the bytes of an object lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shelf {
    /// They can be read.
    Ready,
    /// In cold storage, and a restore is under way.
    Restoring(Cold),
    /// In cold storage.
    Cold(Cold),
}

/// A kind of cold storage: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cold {
    /// The storage class S3 Glacier Flexible Retrieval.
    Glacier,
    /// The storage class S3 Glacier Deep Archive.
    DeepArchive,
    /// The Archive Access tier of S3 Intelligent-Tiering.
    ArchiveAccess,
    /// The Deep Archive Access tier of S3 Intelligent-Tiering.
    DeepArchiveAccess,
}

impl Cold {
    /// Returns the name that S3 gives it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Glacier => "GLACIER",
            Self::DeepArchive => "DEEP_ARCHIVE",
            Self::ArchiveAccess => "ARCHIVE_ACCESS",
            Self::DeepArchiveAccess => "DEEP_ARCHIVE_ACCESS",
        }
    }

    /// Returns whether a restore makes a copy for some days; from an archive tier an object moves back for good.
    pub fn restores_a_copy(self) -> bool {
        matches!(self, Self::Glacier | Self::DeepArchive)
    }

    fn of(head: &HeadObjectOutput) -> Option<Self> {
        match (head.archive_status(), head.storage_class()) {
            (Some(ArchiveStatus::ArchiveAccess), _) => Some(Self::ArchiveAccess),
            (Some(ArchiveStatus::DeepArchiveAccess), _) => Some(Self::DeepArchiveAccess),
            (_, Some(StorageClass::Glacier)) => Some(Self::Glacier),
            (_, Some(StorageClass::DeepArchive)) => Some(Self::DeepArchive),
            _ => None,
        }
    }
}

impl Shelf {
    /// Reads what S3 says: `x-amz-restore` is `ongoing-request="true"`, or `"false"` with the end of the copy.
    fn of(head: &HeadObjectOutput) -> Self {
        let Some(cold) = Cold::of(head) else {
            return Self::Ready;
        };
        match head.restore() {
            Some(restore) if restore.contains("ongoing-request=\"true\"") => Self::Restoring(cold),
            Some(restore) if restore.contains("ongoing-request=\"false\"") => Self::Ready,
            Some(_) | None => Self::Cold(cold),
        }
    }
}

/// The answer to asking for a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restore {
    /// S3 begins it.
    Requested,
    /// Somebody asked for it before.
    InProgress,
}

type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, ByteStreamError>> + Send>>;

/// The bytes of an object on their way.
pub struct Fetched {
    /// Its version; `None` where the bucket keeps none.
    pub version_id: Option<String>,
    /// The length of the whole object, if S3 says it.
    pub length: Option<u64>,
    place: ArchiveKey,
    chunks: Hashed<Chunks>,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Fetched").field(&self.place).finish()
    }
}

impl Fetched {
    /// Returns the next bytes; `None` after the last ones.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        let next = self.chunks.try_next().await;
        next.map_err(|error| Error::transient(format!("reading {} broke off", self.place)).caused_by(error))
    }

    /// Returns the digest of all bytes that came.
    pub fn finish(self) -> Digest {
        self.chunks.finish()
    }
}

impl Storage {
    /// Returns where the bytes of an object lie; `None` if it does not exist. Reads none of them.
    pub async fn shelf(&self, place: &ArchiveKey, version: Option<&str>) -> Result<Option<Shelf>, Error> {
        let head = self.head(place, version, "looking for").await?;
        Ok(head.as_ref().map(Shelf::of))
    }

    /// Returns what S3 says of an object without its bytes; `None` if it does not exist. An error begins with what is
    /// `done`.
    pub(super) async fn head(
        &self,
        place: &ArchiveKey,
        version: Option<&str>,
        done: &str,
    ) -> Result<Option<HeadObjectOutput>, Error> {
        let head = self
            .client
            .head_object()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .set_version_id(version.map(str::to_owned))
            .send()
            .await;
        match head {
            Ok(head) => Ok(Some(head)),
            Err(SdkError::ServiceError(error)) if matches!(error.err(), HeadObjectError::NotFound(_)) => {
                Ok(None)
            }
            Err(error) => Err(self.config.failed(&format!("{done} {place}"), error)),
        }
    }

    /// Begins to read an object, or the bytes of it from the first to the last of `range`; `None` if it does not exist.
    pub async fn fetch(
        &self,
        place: &ArchiveKey,
        version: Option<&str>,
        range: Option<(u64, u64)>,
    ) -> Result<Option<Fetched>, Error> {
        let got = self
            .client
            .get_object()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .set_version_id(version.map(str::to_owned))
            .set_range(range.map(|(first, last)| format!("bytes={first}-{last}")))
            .send()
            .await;
        let got = match got {
            Ok(got) => got,
            Err(SdkError::ServiceError(error))
                if matches!(error.err(), GetObjectError::NoSuchKey(_))
                    || error.err().code() == Some("NoSuchVersion") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(self.config.failed(&format!("reading {place}"), error)),
        };
        // `bytes 0-99/1000`
        let whole = got.content_range().and_then(|range| range.rsplit_once('/'));
        let length = match whole {
            Some((_, length)) => length.parse().ok(),
            None => got.content_length().and_then(|length| u64::try_from(length).ok()),
        };
        let chunks = stream::unfold(
            got.body,
            |mut body| async move { Some((body.next().await?, body)) },
        );
        Ok(Some(Fetched {
            version_id: got.version_id,
            length,
            place: place.clone(),
            chunks: Hashed::new(Box::pin(chunks)),
        }))
    }

    /// Asks S3 to restore an object by a standard retrieval: a copy for some `days`, or for good from an archive tier,
    /// which takes no days.
    pub async fn restore(
        &self,
        place: &ArchiveKey,
        version: Option<&str>,
        cold: Cold,
        days: u16,
    ) -> Result<Restore, Error> {
        let failed = |error| Error::transient("building a request of S3 failed").caused_by(error);
        let standard = GlacierJobParameters::builder().tier(RetrievalTier::Standard);
        let request = RestoreRequest::builder()
            .glacier_job_parameters(standard.build().map_err(failed)?)
            .set_days(cold.restores_a_copy().then(|| days.into()));
        let asked = self
            .client
            .restore_object()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .set_version_id(version.map(str::to_owned))
            .restore_request(request.build())
            .send()
            .await;
        match asked {
            Ok(_) => Ok(Restore::Requested),
            Err(error) if error.code() == Some("RestoreAlreadyInProgress") => Ok(Restore::InProgress),
            Err(error) => Err(self.config.failed(&format!("restoring {place}"), error)),
        }
    }
}
