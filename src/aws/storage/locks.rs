//! Asks S3 for the lock of an archived object as it is now.

use aws_sdk_s3::types::ObjectLockLegalHoldStatus;
use jiff::Timestamp;

use super::Storage;
use super::read::moment;
use crate::domain::recording::ArchiveKey;
use crate::error::Error;

/// The lock of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// Its mode; `None`: not locked.
    pub mode: Option<String>,
    /// Its end.
    pub until: Option<Timestamp>,
    /// A legal hold is on it. S3 leaves that out where the caller may not see it.
    pub legal_hold: bool,
}

impl Storage {
    /// Returns the lock of an object as it is now; `None` if the object does not exist. Reads none of its bytes. Where
    /// it `was_locked`, S3 has to say that it is not any more: it leaves a lock out where the caller may not see it.
    pub async fn lock(
        &self,
        place: &ArchiveKey,
        version: Option<&str>,
        was_locked: bool,
    ) -> Result<Option<Lock>, Error> {
        let Some(head) = self.head(place, version, "reading the lock of").await? else {
            return Ok(None);
        };
        let mode = head.object_lock_mode().map(|mode| mode.as_str().to_owned());
        if mode.is_none() && was_locked {
            self.has_no_lock(place).await?;
        }
        Ok(Some(Lock {
            mode,
            until: head.object_lock_retain_until_date().and_then(moment),
            legal_hold: head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On),
        }))
    }
}
