//! `CompleteMultipartUpload`: all the checks, then the one rename that makes the object visible.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html>

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{ChecksumType, CompletedPart, ETag};
use s3s::{S3Result, s3_error};

use super::attributes::Attributes;
use super::checksum::{self, Algorithm, Checksums, Hashing};
use super::disk::Disk;
use super::uploads::{Combination, Progress, Upload, UploadedPart, no_such_upload};

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;

/// The content of a `CompleteMultipartUpload`.
#[derive(Debug)]
pub(super) struct Completion {
    pub(super) parts: Vec<CompletedPart>,
    pub(super) checksums: Checksums,
    pub(super) checksum_type: Option<ChecksumType>,
    pub(super) size: Option<i64>,
    pub(super) only_if_absent: bool,
}

impl Upload {
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
            Progress::Completed(before, result) if *before == named => return Ok((**result).clone()),
            Progress::Completed(..) | Progress::Aborted => return Err(no_such_upload()),
        };
        if completion.only_if_absent {
            disk.check_absent(&self.bucket, &self.key)?;
        }
        let parts = self.choose_parts(uploaded, completion)?;
        let attributes = self.assemble(disk, &parts, completion).await?;
        *progress = Progress::Completed(named, Box::new(attributes.clone()));
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
        let mut attributes = Attributes {
            e_tag: multipart_e_tag(parts),
            checksums,
            checksum_type: Some(combination.name().to_owned()),
            part_count: i32::try_from(parts.len()).ok(),
            ..self.attributes.clone()
        };
        attributes.version_id = disk.publish(
            &object,
            (&self.bucket, &self.key),
            &attributes,
            completion.only_if_absent,
        )?;
        Ok(attributes)
    }
}

/// Checks that numbers and ETags are in ascending order.
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

/// Returns the MD5 of the parts' MD5s and their count.
fn multipart_e_tag(parts: &[Arc<UploadedPart>]) -> String {
    let mut md5 = Md5::new();
    parts.iter().for_each(|part| md5.update(&part.digest.md5));
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}
