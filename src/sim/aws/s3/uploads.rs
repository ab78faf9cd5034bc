//! Multipart uploads and their parts, from `CreateMultipartUpload` to the end by completion or abort.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use s3s::dto::{ChecksumAlgorithm, ChecksumType, ETag, Part};
use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::attributes::Attributes;
use super::checksum::{Algorithm, Declared, Digest, Hashing};
use super::disk::Incoming;

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const PART_NUMBERS: std::ops::RangeInclusive<i32> = 1..=10_000;

/// All uploads of a run, finished ones included: repeating their completion has to succeed.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<BTreeMap<String, Arc<Upload>>>);

#[derive(Debug)]
pub(super) struct Upload {
    pub(super) id: String,
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) attributes: Attributes,
    pub(super) checksum: Option<(Algorithm, Combination)>,
    pub(super) initiated: SystemTime,
    pub(super) progress: tokio::sync::Mutex<Progress>,
}

/// The way from the checksums of the parts to that of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combination {
    FullObject,
    Composite,
}

/// Locked while a completion is under way, so nothing else can happen to the upload meanwhile.
#[derive(Debug)]
pub(super) enum Progress {
    Open(BTreeMap<i32, Arc<UploadedPart>>),
    /// The request, and the attributes of the object that it made.
    Completed(Vec<(i32, String)>, Box<Attributes>),
    Aborted,
}

#[derive(Debug)]
pub(super) struct UploadedPart {
    pub(super) incoming: Incoming,
    pub(super) digest: Digest,
    modified: SystemTime,
}

impl UploadedPart {
    pub(super) fn e_tag(&self) -> String {
        hex::encode(self.digest.md5)
    }

    pub(super) fn describe(&self, number: i32) -> Part {
        let mut part = Part {
            part_number: Some(number),
            e_tag: Some(ETag::Strong(self.e_tag())),
            size: i64::try_from(self.digest.size).ok(),
            last_modified: Some(self.modified.into()),
            ..Part::default()
        };
        fill_checksums!(part, &self.digest.checksums);
        part
    }
}

impl Combination {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FullObject => ChecksumType::FULL_OBJECT,
            Self::Composite => ChecksumType::COMPOSITE,
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>
    fn choose(algorithm: Algorithm, named: Option<&str>) -> S3Result<Self> {
        match (algorithm, named) {
            (Algorithm::Crc64Nvme, None | Some(ChecksumType::FULL_OBJECT))
            | (Algorithm::Crc32 | Algorithm::Crc32c, Some(ChecksumType::FULL_OBJECT)) => Ok(Self::FullObject),
            (Algorithm::Crc64Nvme, _) | (_, Some(ChecksumType::FULL_OBJECT)) => Err(s3_error!(
                InvalidRequest,
                "The {} checksum type cannot be used with the {} checksum algorithm.",
                named.unwrap_or_default(),
                algorithm.name()
            )),
            _ => Ok(Self::Composite),
        }
    }
}

impl Uploads {
    pub(super) fn create(
        &self,
        (bucket, key): (String, String),
        attributes: Attributes,
        algorithm: Option<&ChecksumAlgorithm>,
        combination: Option<&ChecksumType>,
    ) -> S3Result<Arc<Upload>> {
        let checksum = match algorithm {
            Some(algorithm) => {
                let algorithm = Algorithm::parse(algorithm.as_str())?;
                Some((
                    algorithm,
                    Combination::choose(algorithm, combination.map(ChecksumType::as_str))?,
                ))
            }
            None if combination.is_some() => {
                return Err(s3_error!(
                    InvalidRequest,
                    "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                ));
            }
            None => None,
        };
        let upload = Arc::new(Upload {
            id: Uuid::new_v4().simple().to_string(),
            bucket,
            key,
            attributes,
            checksum,
            initiated: SystemTime::now(),
            progress: tokio::sync::Mutex::new(Progress::Open(BTreeMap::new())),
        });
        self.lock().insert(upload.id.clone(), upload.clone());
        Ok(upload)
    }

    /// Returns the upload of this id, which counts only together with its bucket and key.
    pub(super) fn find(&self, bucket: &str, key: &str, id: &str) -> S3Result<Arc<Upload>> {
        let found = self.lock().get(id).cloned();
        found
            .filter(|upload| upload.bucket == bucket && upload.key == key)
            .ok_or_else(no_such_upload)
    }

    /// Returns the uploads that are neither completed nor aborted, ordered by key.
    pub(super) async fn in_progress(&self, bucket: &str) -> Vec<Arc<Upload>> {
        let uploads: Vec<_> = self
            .lock()
            .values()
            .filter(|u| u.bucket == bucket)
            .cloned()
            .collect();
        let mut open = Vec::new();
        for upload in uploads {
            if matches!(*upload.progress.lock().await, Progress::Open(_)) {
                open.push(upload);
            }
        }
        open.sort_by(|a, b| (&a.key, a.initiated).cmp(&(&b.key, b.initiated)));
        open
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Upload>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    pub(super) fn checksum_algorithm(&self) -> Option<ChecksumAlgorithm> {
        let (algorithm, _) = self.checksum?;
        Some(ChecksumAlgorithm::from_static(algorithm.name()))
    }

    pub(super) fn checksum_type(&self) -> Option<ChecksumType> {
        let (_, combination) = self.checksum?;
        Some(ChecksumType::from_static(combination.name()))
    }

    /// Returns the hashing of a part, which may only carry the kind of checksum the upload was created for.
    pub(super) fn hashing_for(&self, number: i32, declared: &Declared) -> S3Result<Hashing> {
        if !PART_NUMBERS.contains(&number) {
            return Err(s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive"
            ));
        }
        if self.attributes.is_locked() && !declared.protects_the_body() {
            return Err(s3_error!(
                InvalidRequest,
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Part requests with Object Lock parameters"
            ));
        }
        let expected = self.checksum.map(|(algorithm, _)| algorithm);
        if declared.algorithm.is_some() && declared.algorithm != expected {
            let name = |a: Option<Algorithm>| a.map_or("null".to_owned(), |a| a.name().to_lowercase());
            return Err(s3_error!(
                InvalidRequest,
                "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
                name(expected),
                name(declared.algorithm)
            ));
        }
        Ok(Hashing::with(expected))
    }

    /// Adds a part; one of the same number replaces the one before.
    pub(super) async fn put_part(
        &self,
        number: i32,
        incoming: Incoming,
        digest: Digest,
    ) -> S3Result<Arc<UploadedPart>> {
        let Progress::Open(ref mut parts) = *self.progress.lock().await else {
            return Err(no_such_upload());
        };
        let part = Arc::new(UploadedPart {
            incoming,
            digest,
            modified: SystemTime::now(),
        });
        parts.insert(number, part.clone());
        Ok(part)
    }

    pub(super) async fn parts(&self) -> S3Result<BTreeMap<i32, Arc<UploadedPart>>> {
        match &*self.progress.lock().await {
            Progress::Open(parts) => Ok(parts.clone()),
            Progress::Completed(..) | Progress::Aborted => Err(no_such_upload()),
        }
    }

    pub(super) async fn abort(&self) -> S3Result<()> {
        let mut progress = self.progress.lock().await;
        let Progress::Open(_) = *progress else {
            return Err(no_such_upload());
        };
        *progress = Progress::Aborted;
        Ok(())
    }
}

pub(super) fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}
