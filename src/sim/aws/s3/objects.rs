//! `PutObject`, `HeadObject` and `GetObject`.

use std::io::SeekFrom;

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};
use tokio::io::AsyncSeekExt as _;

use super::attributes::{Attributes, object_encoding, parse_tags};
use super::checksum::{Declared, Hashing};
use super::disk::{Disk, chunks, internal};

/// Answers `PutObject`: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
pub(super) async fn put(
    disk: &Disk,
    req: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let declared = Declared::of(&req)?;
    let input = req.input;
    disk.bucket(&input.bucket)?;
    let only_if_absent = only_if_absent(input.if_none_match.as_ref(), input.if_match.as_ref())?;
    let named = named_attributes!(input);
    if named.is_locked() && !declared.protects_the_body() {
        return Err(s3_error!(
            InvalidRequest,
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
        ));
    }
    let body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
    let (incoming, digest) = disk.receive(body, Hashing::with(declared.algorithm)).await?;
    declared.verify(&digest)?;
    let attributes = Attributes {
        e_tag: hex::encode(digest.md5),
        checksums: digest.checksums,
        checksum_type: Some(ChecksumType::FULL_OBJECT.to_owned()),
        ..named
    };
    let version_id = disk.publish(
        &incoming,
        (&input.bucket, &input.key),
        &attributes,
        only_if_absent,
    )?;
    let mut output = PutObjectOutput {
        version_id,
        e_tag: Some(ETag::Strong(attributes.e_tag.clone())),
        checksum_type: attributes.checksum_type.clone().map(Into::into),
        server_side_encryption: Some(attributes.server_side_encryption()),
        ssekms_key_id: attributes.kms_key_id.clone(),
        ..PutObjectOutput::default()
    };
    fill_checksums!(output, &attributes.checksums);
    Ok(S3Response::new(output))
}

/// Answers `HeadObject`: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html>
pub(super) fn head(disk: &Disk, input: &HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
    let stored = disk.stored_version(&input.bucket, &input.key, input.version_id.as_deref())?;
    let mut output = HeadObjectOutput {
        content_length: i64::try_from(stored.meta.len()).ok(),
        last_modified: Some(stored.meta.modified().map_err(internal)?.into()),
        archive_status: stored.attributes.archive_status(),
        restore: stored.attributes.restore_header()?,
        ..HeadObjectOutput::default()
    };
    if input.checksum_mode.is_some() {
        fill_checksums!(output, &stored.attributes.checksums);
        output.checksum_type = stored.attributes.checksum_type.clone().map(Into::into);
    }
    fill_attributes!(output, stored.attributes);
    Ok(S3Response::new(output))
}

/// Answers `GetObject`: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>
pub(super) async fn get(disk: &Disk, input: &GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
    let stored = disk.stored_version(&input.bucket, &input.key, input.version_id.as_deref())?;
    let tag = ETag::Strong(stored.attributes.e_tag.clone());
    let wants = |condition: &ETagCondition| condition.is_any() || condition.as_etag() == Some(&tag);
    if !input.if_match.as_ref().is_none_or(wants) {
        return Err(s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold"
        ));
    }
    stored.attributes.readable()?;
    let size = stored.meta.len();
    let range = input.range.as_ref().map(|range| range.check(size)).transpose()?;
    let wanted = range.clone().unwrap_or(0..size);
    let mut file = tokio::fs::File::from_std(stored.file);
    file.seek(SeekFrom::Start(wanted.start)).await.map_err(internal)?;
    let length = wanted.end - wanted.start;
    let mut output = GetObjectOutput {
        body: Some(StreamingBlob::wrap(chunks(file, length))),
        content_length: i64::try_from(length).ok(),
        content_range: range
            .as_ref()
            .map(|r| format!("bytes {}-{}/{size}", r.start, r.end - 1)),
        last_modified: Some(stored.meta.modified().map_err(internal)?.into()),
        tag_count: i32::try_from(stored.attributes.tags.len())
            .ok()
            .filter(|count| *count > 0),
        restore: stored.attributes.restore_header()?,
        ..GetObjectOutput::default()
    };
    // The checksum is that of the whole object.
    if input.checksum_mode.is_some() && range.is_none() {
        fill_checksums!(output, &stored.attributes.checksums);
        output.checksum_type = stored.attributes.checksum_type.clone().map(Into::into);
    }
    fill_attributes!(output, stored.attributes);
    Ok(S3Response::new(output))
}

/// Checks `If-None-Match`, which on writes knows only `*`.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>
pub(super) fn only_if_absent(
    if_none_match: Option<&ETagCondition>,
    if_match: Option<&ETagCondition>,
) -> S3Result<bool> {
    if if_match.is_some() || if_none_match.is_some_and(|condition| !condition.is_any()) {
        return Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        ));
    }
    Ok(if_none_match.is_some())
}
