//! The attributes of an object: all that S3 keeps besides its bytes.

use std::collections::{BTreeMap, BTreeSet};

use s3s::dto::{
    ObjectLockLegalHoldStatus, ObjectLockMode, ServerSideEncryption, StorageClass, Tag, Timestamp,
};
use s3s::{S3Result, s3_error};
use serde::{Deserialize, Serialize};

use super::checksum::Checksums;

/// Kept as JSON beside the archive folder. A file somebody put there by hand has the default.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Attributes {
    pub(super) e_tag: String,
    pub(super) content_type: Option<String>,
    pub(super) content_disposition: Option<String>,
    pub(super) content_encoding: Option<String>,
    pub(super) content_language: Option<String>,
    pub(super) cache_control: Option<String>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tags: Vec<(String, String)>,
    pub(super) storage_class: Option<String>,
    pub(super) server_side_encryption: Option<String>,
    pub(super) kms_key_id: Option<String>,
    pub(super) lock_mode: Option<String>,
    pub(super) lock_until: Option<Timestamp>,
    pub(super) legal_hold: Option<String>,
    pub(super) checksums: Checksums,
    pub(super) checksum_type: Option<String>,
    pub(super) part_count: Option<i32>,
    pub(super) version_id: Option<String>,
    /// The tier in which S3 Intelligent-Tiering archived it.
    pub(super) archive_tier: Option<String>,
    pub(super) restore: Option<Restore>,
}

/// A restore that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Restore {
    /// It is under way.
    pub(super) ongoing: bool,
    /// The end of the temporary copy; none for an object that moves back for good.
    pub(super) until: Option<Timestamp>,
}

/// The attributes named by a `PutObject` or `CreateMultipartUpload`, whose fields have the same names.
macro_rules! named_attributes {
    ($input:expr) => {
        Attributes {
            content_type: $input.content_type.clone(),
            content_disposition: $input.content_disposition.clone(),
            content_encoding: object_encoding($input.content_encoding.as_deref()),
            content_language: $input.content_language.clone(),
            cache_control: $input.cache_control.clone(),
            metadata: $input
                .metadata
                .iter()
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            tags: parse_tags($input.tagging.as_deref().unwrap_or_default())?,
            storage_class: $input
                .storage_class
                .as_ref()
                .map(|class| class.as_str().to_owned()),
            server_side_encryption: $input
                .server_side_encryption
                .as_ref()
                .map(|sse| sse.as_str().to_owned()),
            kms_key_id: $input.ssekms_key_id.clone(),
            lock_mode: $input
                .object_lock_mode
                .as_ref()
                .map(|mode| mode.as_str().to_owned()),
            lock_until: $input.object_lock_retain_until_date.clone(),
            legal_hold: $input
                .object_lock_legal_hold_status
                .as_ref()
                .map(|hold| hold.as_str().to_owned()),
            ..Attributes::default()
        }
        .checked()?
    };
}

/// Writes the attributes into a `HeadObject` or `GetObject` output.
macro_rules! fill_attributes {
    ($output:expr, $attributes:expr) => {{
        let attributes: Attributes = $attributes;
        $output.e_tag = Some(s3s::dto::ETag::Strong(attributes.e_tag.clone()));
        $output.version_id = attributes.version_id.clone();
        $output.storage_class = attributes.storage_class();
        $output.server_side_encryption = Some(attributes.server_side_encryption());
        $output.object_lock_mode = attributes.lock_mode();
        $output.object_lock_legal_hold_status = attributes.legal_hold();
        $output.content_type = attributes
            .content_type
            .or_else(|| Some("binary/octet-stream".to_owned()));
        $output.content_disposition = attributes.content_disposition;
        $output.content_encoding = attributes.content_encoding;
        $output.content_language = attributes.content_language;
        $output.cache_control = attributes.cache_control;
        $output.metadata = Some(attributes.metadata.into_iter().collect());
        $output.ssekms_key_id = attributes.kms_key_id;
        $output.object_lock_retain_until_date = attributes.lock_until;
        $output.accept_ranges = Some("bytes".to_owned());
    }};
}

impl Attributes {
    /// Refuses what S3 refuses.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>
    pub(super) fn checked(self) -> S3Result<Self> {
        const CLASSES: [&str; 8] = [
            StorageClass::STANDARD,
            StorageClass::STANDARD_IA,
            StorageClass::ONEZONE_IA,
            StorageClass::INTELLIGENT_TIERING,
            StorageClass::REDUCED_REDUNDANCY,
            StorageClass::GLACIER_IR,
            StorageClass::GLACIER,
            StorageClass::DEEP_ARCHIVE,
        ];
        if self
            .storage_class
            .as_deref()
            .is_some_and(|class| !CLASSES.contains(&class))
        {
            return Err(s3_error!(
                InvalidStorageClass,
                "The storage class you specified is not valid"
            ));
        }
        if self.lock_mode.is_some() != self.lock_until.is_some() {
            return Err(s3_error!(
                InvalidArgument,
                "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
            ));
        }
        let kms = self
            .server_side_encryption
            .as_deref()
            .is_some_and(|sse| sse.starts_with("aws:kms"));
        if self.kms_key_id.is_some() && !kms {
            return Err(s3_error!(
                InvalidArgument,
                "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
            ));
        }
        Ok(self)
    }

    /// Returns whether the object will be under a lock.
    pub(super) fn is_locked(&self) -> bool {
        self.lock_mode.is_some()
    }

    /// Returns the storage class; S3 names every class but the standard one.
    pub(super) fn storage_class(&self) -> Option<StorageClass> {
        let class = self.storage_class.clone()?;
        (class != StorageClass::STANDARD).then(|| class.into())
    }

    /// Returns the encryption; S3 encrypts every object.
    pub(super) fn server_side_encryption(&self) -> ServerSideEncryption {
        match self.server_side_encryption.clone() {
            Some(named) => named.into(),
            None => ServerSideEncryption::from_static(ServerSideEncryption::AES256),
        }
    }

    pub(super) fn lock_mode(&self) -> Option<ObjectLockMode> {
        self.lock_mode.clone().map(Into::into)
    }

    pub(super) fn legal_hold(&self) -> Option<ObjectLockLegalHoldStatus> {
        self.legal_hold.clone().map(Into::into)
    }

    pub(super) fn tag_set(&self) -> Vec<Tag> {
        let tag = |(key, value): &(String, String)| Tag {
            key: Some(key.clone()),
            value: Some(value.clone()),
        };
        self.tags.iter().map(tag).collect()
    }
}

/// Returns the encoding of the object; `aws-chunked` belongs to the request.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html>
pub(super) fn object_encoding(header: Option<&str>) -> Option<String> {
    let encodings = header?.split(',').map(str::trim);
    let kept: Vec<_> = encodings.filter(|encoding| *encoding != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// Reads the `x-amz-tagging` header, encoded like a query.
pub(super) fn parse_tags(header: &str) -> S3Result<Vec<(String, String)>> {
    let mut url = reqwest::Url::parse("http://tags").map_err(|error| s3_error!(error, InvalidArgument))?;
    url.set_query(Some(header));
    checked_tags(url.query_pairs().into_owned().collect())
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html>
pub(super) fn checked_tags(tags: Vec<(String, String)>) -> S3Result<Vec<(String, String)>> {
    if tags.len() > 10 {
        return Err(s3_error!(InvalidTag, "Object tags cannot be greater than 10"));
    }
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "+-=._:/@".contains(c);
    let valid = |(key, value): &(String, String)| {
        let lengths = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        lengths && key.chars().chain(value.chars()).all(allowed)
    };
    if !tags.iter().all(valid) {
        return Err(s3_error!(
            InvalidTag,
            "The TagKey or TagValue you have provided is invalid"
        ));
    }
    if tags.iter().map(|(key, _)| key).collect::<BTreeSet<_>>().len() < tags.len() {
        return Err(s3_error!(
            InvalidTag,
            "Cannot provide multiple Tags with the same key"
        ));
    }
    Ok(tags)
}
