//! Objects in cold storage, and their restoring.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html>,
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html>

use std::time::{Duration, SystemTime};

use axum::http::StatusCode;
use s3s::dto::{
    ArchiveStatus, RestoreObjectInput, RestoreObjectOutput, RestoreRequest, StorageClass, Tier, Timestamp,
    TimestampFormat,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result, s3_error};

use super::attributes::{Attributes, Restore};
use super::disk::{Disk, internal};

const DAY: u64 = 86_400;

/// The answer 202 instead of 200, which `s3s` does not write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepted;

impl Attributes {
    /// Returns whether the object lies in cold storage, whether or not there is a copy.
    fn is_cold(&self) -> bool {
        self.archive_tier.is_some() || self.needs_days()
    }

    /// Returns whether a restore makes a copy for some days.
    fn needs_days(&self) -> bool {
        let class = self.storage_class.as_deref();
        matches!(class, Some(StorageClass::GLACIER | StorageClass::DEEP_ARCHIVE))
    }

    /// Returns whether there is a copy now.
    fn has_copy(&self) -> bool {
        let now = Timestamp::from(SystemTime::now());
        let lasts = |restore: &Restore| restore.until.as_ref().is_none_or(|until| *until > now);
        self.restore
            .as_ref()
            .is_some_and(|restore| !restore.ongoing && lasts(restore))
    }

    /// Fails where the bytes cannot be read.
    pub(super) fn readable(&self) -> S3Result<()> {
        if !self.is_cold() || self.has_copy() {
            return Ok(());
        }
        Err(s3_error!(
            InvalidObjectState,
            "The operation is not valid for the object's storage class"
        ))
    }

    /// Returns the header `x-amz-restore`.
    pub(super) fn restore_header(&self) -> S3Result<Option<String>> {
        match &self.restore {
            Some(restore) if restore.ongoing => Ok(Some("ongoing-request=\"true\"".to_owned())),
            Some(Restore {
                until: Some(until), ..
            }) if self.has_copy() => {
                let mut date = Vec::new();
                until
                    .format(TimestampFormat::HttpDate, &mut date)
                    .map_err(internal)?;
                let date = String::from_utf8_lossy(&date);
                Ok(Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\"")))
            }
            _ => Ok(None),
        }
    }

    pub(super) fn archive_status(&self) -> Option<ArchiveStatus> {
        self.archive_tier.clone().map(ArchiveStatus::from)
    }

    /// Ends a restore that is under way, as some hours do.
    pub(super) fn finish_restore(&mut self) {
        match &mut self.restore {
            Some(restore) if self.archive_tier.is_none() => restore.ongoing = false,
            _ => (self.archive_tier, self.restore) = (None, None),
        }
    }
}

/// Answers `RestoreObject`: 202 for a restore that begins, 200 for one that goes on for longer.
pub(super) fn restore(disk: &Disk, input: &RestoreObjectInput) -> S3Result<S3Response<RestoreObjectOutput>> {
    let mut begun = false;
    let request = input
        .restore_request
        .as_ref()
        .ok_or_else(|| s3_error!(MalformedXML))?;
    let version = input.version_id.as_deref();
    disk.change_version(&input.bucket, &input.key, version, |attributes| {
        if !attributes.is_cold() {
            return Err(s3_error!(
                InvalidObjectState,
                "Restore is not allowed for the object's current storage class"
            ));
        }
        check(attributes, request)?;
        if attributes.restore.as_ref().is_some_and(|restore| restore.ongoing) {
            return Err(in_progress());
        }
        begun = !attributes.has_copy();
        attributes.restore = Some(Restore {
            ongoing: begun,
            until: request.days.map(until),
        });
        Ok(())
    })?;
    let mut response = S3Response::new(RestoreObjectOutput::default());
    if begun {
        response.extensions.insert(Accepted);
    }
    Ok(response)
}

/// Refuses a request that does not fit the object. S3's documents do not say with which code.
fn check(attributes: &Attributes, request: &RestoreRequest) -> S3Result<()> {
    let days = request.days.is_some_and(|days| days >= 1);
    if days != attributes.needs_days() || request.days.is_some() != attributes.needs_days() {
        return Err(s3_error!(
            MalformedXML,
            "Days are required for an archived object, and not accepted for one in S3 Intelligent-Tiering"
        ));
    }
    let parameters = request.glacier_job_parameters.as_ref();
    let tier = parameters.map_or(Tier::STANDARD, |parameters| parameters.tier.as_str());
    let deep = attributes.storage_class.as_deref() == Some(StorageClass::DEEP_ARCHIVE);
    match tier {
        Tier::STANDARD | Tier::BULK => Ok(()),
        Tier::EXPEDITED if !deep => Ok(()),
        _ => Err(s3_error!(InvalidArgument, "This tier is not available here")),
    }
}

/// Returns the midnight (UTC) after so many days, as S3 rounds.
fn until(days: i32) -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let whole = since.as_secs() / DAY + 1 + u64::from(days.unsigned_abs());
    Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_secs(whole * DAY))
}

fn in_progress() -> S3Error {
    let mut error = S3Error::with_message(
        S3ErrorCode::RestoreAlreadyInProgress,
        "Object restore is already in progress",
    );
    error.set_status_code(StatusCode::CONFLICT);
    error
}
