//! The listings: objects, versions, uploads in progress, parts of an upload.

use std::collections::BTreeMap;
use std::sync::Arc;

use s3s::S3Result;
use s3s::dto::*;

use super::disk::{Disk, internal};
use super::uploads::{Upload, UploadedPart};

/// The most entries S3 puts on one page.
const PAGE: i32 = 1000;

/// Returns keys and common prefixes in the order of their bytes; the last one seen is the continuation token.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
pub(super) fn objects(disk: &Disk, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input
        .continuation_token
        .clone()
        .or(input.start_after.clone())
        .unwrap_or_default();
    let max_keys = input.max_keys.unwrap_or(PAGE).clamp(0, PAGE);
    let (mut contents, mut common, mut last) = (Vec::new(), Vec::new(), String::new());
    let mut is_truncated = false;
    for key in disk.keys(&input.bucket)? {
        let Some(rest) = key.strip_prefix(&prefix) else {
            continue;
        };
        let delimiter = input
            .delimiter
            .as_deref()
            .filter(|delimiter| !delimiter.is_empty());
        let folder = delimiter.and_then(|d| Some(&key[..prefix.len() + rest.find(d)? + d.len()]));
        let entry = folder.unwrap_or(&key);
        if entry <= after.as_str() || entry == last {
            continue;
        }
        if contents.len() + common.len() == usize::try_from(max_keys).unwrap_or_default() {
            is_truncated = true;
            break;
        }
        entry.clone_into(&mut last);
        if let Some(folder) = folder {
            common.push(CommonPrefix {
                prefix: Some(folder.to_owned()),
            });
        } else {
            contents.push(object(disk, &input.bucket, key)?);
        }
    }
    let encoded = |text: String| match &input.encoding_type {
        Some(kind) if kind.as_str() == EncodingType::URL => url_encoded(&text),
        _ => text,
    };
    for object in &mut contents {
        object.key = object.key.take().map(encoded);
    }
    for folder in &mut common {
        folder.prefix = folder.prefix.take().map(encoded);
    }
    Ok(ListObjectsV2Output {
        key_count: i32::try_from(contents.len() + common.len()).ok(),
        next_continuation_token: is_truncated.then_some(last),
        is_truncated: Some(is_truncated),
        max_keys: Some(max_keys),
        contents: Some(contents),
        common_prefixes: Some(common),
        name: Some(input.bucket),
        prefix: Some(encoded(prefix)),
        delimiter: input.delimiter.map(encoded),
        continuation_token: input.continuation_token,
        start_after: input.start_after.map(encoded),
        encoding_type: input.encoding_type.clone(),
        ..ListObjectsV2Output::default()
    })
}

/// Answers `ListObjectVersions`, all on one page:
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html>
pub(super) fn versions(disk: &Disk, input: ListObjectVersionsInput) -> S3Result<ListObjectVersionsOutput> {
    let prefix = input.prefix.clone().unwrap_or_default();
    let encoded = |text: String| match &input.encoding_type {
        Some(kind) if kind.as_str() == EncodingType::URL => url_encoded(&text),
        _ => text,
    };
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (key, version) in disk.versions(&input.bucket, &prefix)? {
        let (key, id) = (Some(encoded(key)), Some(version.id));
        let (is_latest, last_modified) = (Some(version.is_latest), Some(version.written));
        if version.is_marker {
            markers.push(DeleteMarkerEntry {
                key,
                version_id: id,
                is_latest,
                last_modified,
                ..DeleteMarkerEntry::default()
            });
            continue;
        }
        versions.push(ObjectVersion {
            key,
            version_id: id,
            is_latest,
            last_modified,
            size: i64::try_from(version.size).ok(),
            e_tag: Some(ETag::Strong(version.attributes.e_tag)),
            ..ObjectVersion::default()
        });
    }
    Ok(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: input.prefix.map(encoded),
        encoding_type: input.encoding_type.clone(),
        versions: Some(versions),
        delete_markers: Some(markers),
        is_truncated: Some(false),
        ..ListObjectVersionsOutput::default()
    })
}

/// Encodes a key as S3 was seen to: a space is `+`, a slash stays, and so do the unreserved characters.
fn url_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn object(disk: &Disk, bucket: &str, key: String) -> S3Result<Object> {
    let stored = disk.stored(bucket, &key)?;
    let class = stored
        .attributes
        .storage_class()
        .map_or(ObjectStorageClass::STANDARD.to_owned(), |class| {
            class.as_str().to_owned()
        });
    Ok(Object {
        key: Some(key),
        size: i64::try_from(stored.meta.len()).ok(),
        last_modified: Some(stored.meta.modified().map_err(internal)?.into()),
        e_tag: Some(ETag::Strong(stored.attributes.e_tag)),
        storage_class: Some(class.into()),
        ..Object::default()
    })
}

/// Answers `ListMultipartUploads`: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html>
pub(super) fn uploads(open: &[Arc<Upload>], input: ListMultipartUploadsInput) -> ListMultipartUploadsOutput {
    let prefix = input.prefix.clone().unwrap_or_default();
    let describe = |upload: &Arc<Upload>| MultipartUpload {
        key: Some(upload.key.clone()),
        upload_id: Some(upload.id.clone()),
        initiated: Some(upload.initiated.into()),
        checksum_algorithm: upload.checksum_algorithm(),
        checksum_type: upload.checksum_type(),
        storage_class: upload.attributes.storage_class(),
        ..MultipartUpload::default()
    };
    ListMultipartUploadsOutput {
        uploads: Some(
            open.iter()
                .filter(|u| u.key.starts_with(&prefix))
                .map(describe)
                .collect(),
        ),
        is_truncated: Some(false),
        max_uploads: Some(PAGE),
        bucket: Some(input.bucket),
        prefix: input.prefix,
        ..ListMultipartUploadsOutput::default()
    }
}

/// Answers `ListParts`: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html>
pub(super) fn parts(uploaded: &BTreeMap<i32, Arc<UploadedPart>>, input: ListPartsInput) -> ListPartsOutput {
    let marker: i32 = input
        .part_number_marker
        .as_ref()
        .and_then(|m| m.to_string().parse().ok())
        .unwrap_or(0);
    let max_parts = input.max_parts.unwrap_or(PAGE).clamp(0, PAGE);
    let mut rest = uploaded.range(marker.saturating_add(1)..);
    let page: Vec<_> = rest
        .by_ref()
        .take(usize::try_from(max_parts).unwrap_or_default())
        .map(|(number, part)| part.describe(*number))
        .collect();
    ListPartsOutput {
        is_truncated: Some(rest.next().is_some()),
        next_part_number_marker: page.last().and_then(|part| part.part_number),
        max_parts: Some(max_parts),
        parts: Some(page),
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        ..ListPartsOutput::default()
    }
}
