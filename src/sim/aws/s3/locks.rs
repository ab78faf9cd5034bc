//! What Object Lock refuses: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>

use std::time::SystemTime;

use axum::http::StatusCode;
use s3s::dto::{
    DeleteObjectInput, GetObjectRetentionInput, GetObjectRetentionOutput, ObjectLockRetention,
    PutObjectRetentionInput, Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::attributes::Attributes;
use super::disk::Disk;

/// Deletes an object, or a version of it where no lock holds it.
pub(super) fn delete(disk: &Disk, input: &DeleteObjectInput) -> S3Result<()> {
    let Some(id) = &input.version_id else {
        return disk.delete(&input.bucket, &input.key);
    };
    let versions = disk.versions(&input.bucket, &input.key)?;
    let named = versions
        .iter()
        .find(|(key, version)| *key == input.key && version.id == *id);
    let bypass = input.bypass_governance_retention == Some(true);
    if named.is_some_and(|(_, version)| holds(&version.attributes, bypass)) {
        return Err(s3_error!(
            AccessDenied,
            "Access Denied because object protected by object lock."
        ));
    }
    disk.delete_version(&input.bucket, &input.key, id)
}

/// Sets the retention of an object. A lock is only shortened or lifted by bypass, and never in the mode COMPLIANCE.
pub(super) fn retain(disk: &Disk, input: PutObjectRetentionInput) -> S3Result<()> {
    let bypass = input.bypass_governance_retention == Some(true);
    let retention = input.retention.unwrap_or_default();
    disk.change(&input.bucket, &input.key, |attributes| {
        let until = retention.retain_until_date.clone();
        let shorter = until < attributes.lock_until;
        if shorter && attributes.is_locked() && (!bypass || is_compliance(attributes)) {
            return Err(s3_error!(
                AccessDenied,
                "Access Denied because object protected by object lock."
            ));
        }
        attributes.lock_mode = retention.mode.map(|mode| mode.as_str().to_owned());
        attributes.lock_until = until;
        Ok(())
    })
}

/// Answers `GetObjectRetention`: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html>
pub(super) fn retention(disk: &Disk, input: &GetObjectRetentionInput) -> S3Result<GetObjectRetentionOutput> {
    let attributes = disk.stored(&input.bucket, &input.key)?.attributes;
    let Some(mode) = attributes.lock_mode else {
        let code = S3ErrorCode::Custom("NoSuchObjectLockConfiguration".into());
        let mut error = S3Error::with_message(
            code,
            "The specified object does not have a ObjectLock configuration",
        );
        error.set_status_code(StatusCode::NOT_FOUND);
        return Err(error);
    };
    Ok(GetObjectRetentionOutput {
        retention: Some(ObjectLockRetention {
            mode: Some(mode.into()),
            retain_until_date: attributes.lock_until,
        }),
    })
}

fn is_compliance(attributes: &Attributes) -> bool {
    attributes.lock_mode.as_deref() == Some("COMPLIANCE")
}

/// Returns whether a hold, or a retention that is not over, protects a version.
fn holds(attributes: &Attributes, bypass: bool) -> bool {
    let now = Timestamp::from(SystemTime::now());
    let running = attributes.lock_until.as_ref().is_some_and(|until| *until > now);
    attributes.legal_hold.as_deref() == Some("ON") || running && (!bypass || is_compliance(attributes))
}
