//! Multipart uploads, from `CreateMultipartUpload` to the one rename that makes the object visible.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{ChecksumAlgorithm, ChecksumType, CompletedPart, ETag, Part};
use s3s::{S3Result, s3_error};
use uuid::Uuid;

use super::attributes::Attributes;
use super::checksum::{self, Algorithm, Checksums, Declared, Digest, Hashing};
use super::disk::{Disk, Incoming};

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;
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
    progress: tokio::sync::Mutex<Progress>,
}

/// How the checksum of the object comes from its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Combination {
    FullObject,
    Composite,
}

#[derive(Debug)]
enum Progress {
    Open(BTreeMap<i32, Arc<UploadedPart>>),
    Completed(Vec<(i32, String)>, Attributes),
    Aborted,
}

#[derive(Debug)]
pub(super) struct UploadedPart {
    incoming: Incoming,
    digest: Digest,
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

/// What a `CompleteMultipartUpload` asks for.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) parts: Vec<CompletedPart>,
    pub(super) checksums: Checksums,
    pub(super) checksum_type: Option<ChecksumType>,
    pub(super) size: Option<i64>,
    pub(super) only_if_absent: bool,
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

    /// An upload id counts only together with its bucket and key.
    pub(super) fn find(&self, bucket: &str, key: &str, id: &str) -> S3Result<Arc<Upload>> {
        let found = self.lock().get(id).cloned();
        found
            .filter(|upload| upload.bucket == bucket && upload.key == key)
            .ok_or_else(no_such_upload)
    }

    /// Neither completed nor aborted, ordered by key.
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
    /// A part may only carry the kind of checksum the upload was created for.
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

    /// A part of the same number replaces the one before.
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

    /// Checks everything there is to check, and only then lets the object appear.
    ///
    /// A failed completion leaves the upload as it was. A repeated one succeeds, whatever its
    /// condition, because the condition held when it was carried out.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>
    pub(super) async fn complete(&self, disk: &Disk, completion: &Completion) -> S3Result<Attributes> {
        let mut progress = self.progress.lock().await;
        let named = named_parts(completion)?;
        let uploaded = match &*progress {
            Progress::Open(parts) => parts,
            Progress::Completed(before, attributes) if *before == named => return Ok(attributes.clone()),
            Progress::Completed(..) | Progress::Aborted => return Err(no_such_upload()),
        };
        if completion.only_if_absent {
            disk.check_absent(&self.bucket, &self.key)?;
        }
        let parts = self.choose_parts(uploaded, completion)?;
        let attributes = self.assemble(disk, &parts, completion).await?;
        *progress = Progress::Completed(named, attributes.clone());
        Ok(attributes)
    }

    fn choose_parts(
        &self,
        uploaded: &BTreeMap<i32, Arc<UploadedPart>>,
        completion: &Completion,
    ) -> S3Result<Vec<Arc<UploadedPart>>> {
        let mut chosen: Vec<Arc<UploadedPart>> = Vec::new();
        for named in &completion.parts {
            let number = named.part_number.unwrap_or_default();
            let part = uploaded.get(&number).filter(|part| {
                let e_tag = named.e_tag.as_ref().map(ETag::value);
                let given = given_checksums!(named);
                e_tag == Some(&part.e_tag())
                    && given.iter().all(|(a, v)| part.digest.checksums.get(a) == Some(v))
            });
            let part = part.ok_or_else(|| {
                s3_error!(
                    InvalidPart,
                    "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
                )
            })?;
            if let Some((algorithm, Combination::Composite)) = self.checksum
                && !given_checksums!(named).contains_key(&algorithm)
            {
                return Err(s3_error!(
                    InvalidRequest,
                    "The upload was created using a {} checksum. The complete request must include the checksum for each part. It was missing for part {number} in the request.",
                    algorithm.name().to_lowercase()
                ));
            }
            if chosen
                .last()
                .is_some_and(|before| before.digest.size < MIN_PART_SIZE)
            {
                return Err(s3_error!(
                    EntityTooSmall,
                    "Your proposed upload is smaller than the minimum allowed size"
                ));
            }
            chosen.push(part.clone());
        }
        Ok(chosen)
    }

    async fn assemble(
        &self,
        disk: &Disk,
        parts: &[Arc<UploadedPart>],
        completion: &Completion,
    ) -> S3Result<Attributes> {
        let (algorithm, combination) = self
            .checksum
            .unwrap_or((Algorithm::Crc64Nvme, Combination::FullObject));
        let files: Vec<_> = parts.iter().map(|part| &part.incoming).collect();
        let (object, digest) = disk.assemble(&files, Hashing::with(Some(algorithm))).await?;
        let checksums = match combination {
            Combination::FullObject => digest.checksums,
            Combination::Composite => {
                checksum::composite(algorithm, parts.iter().map(|part| &part.digest.checksums))
            }
        };
        if completion
            .size
            .is_some_and(|size| u64::try_from(size) != Ok(digest.size))
        {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header does not match what was computed."
            ));
        }
        if completion
            .checksum_type
            .as_ref()
            .is_some_and(|kind| kind.as_str() != combination.name())
        {
            return Err(s3_error!(
                BadDigest,
                "The checksum type does not match that of the upload."
            ));
        }
        for (algorithm, value) in &completion.checksums {
            checksum::verify(*algorithm, Some(value), &checksums)?;
        }
        let attributes = Attributes {
            e_tag: multipart_e_tag(parts),
            checksums,
            checksum_type: Some(combination.name().to_owned()),
            part_count: i32::try_from(parts.len()).ok(),
            ..self.attributes.clone()
        };
        disk.publish(
            &object,
            (&self.bucket, &self.key),
            &attributes,
            completion.only_if_absent,
        )?;
        Ok(attributes)
    }
}

/// Numbers and ETags, in ascending order.
fn named_parts(completion: &Completion) -> S3Result<Vec<(i32, String)>> {
    let name = |part: &CompletedPart| Some((part.part_number?, part.e_tag.as_ref()?.value().to_owned()));
    let named: Option<Vec<_>> = completion.parts.iter().map(name).collect();
    let named = named.filter(|parts| !parts.is_empty()).ok_or_else(|| {
        s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        )
    })?;
    if !named.is_sorted_by(|(a, _), (b, _)| a < b) {
        return Err(s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ));
    }
    Ok(named)
}

/// The MD5 of the parts' MD5s and their count.
fn multipart_e_tag(parts: &[Arc<UploadedPart>]) -> String {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(&part.digest.md5));
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}
