//! Deletes archived objects for good, with all of their versions: for `archivectl erase` alone.

use aws_sdk_s3::types::{ObjectLockLegalHoldStatus, ObjectLockMode};
use jiff::Timestamp;

use super::Storage;
use super::read::{Version, decoded, moment};
use crate::domain::recording::ArchiveKey;
use crate::error::Error;

impl Storage {
    /// Returns all versions and delete markers of a key, page by page.
    pub async fn all_versions(&self, place: &ArchiveKey) -> Result<Vec<Version>, Error> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.version_page(place, after).await?;
            all.extend(Version::of_key(&page, &place.key));
            // Keys are sorted, so what comes behind this key belongs to others.
            let next = page.next_key_marker().map(decoded);
            match next.filter(|next| page.is_truncated() == Some(true) && *next <= place.key) {
                Some(next) => after = Some((next, page.next_version_id_marker)),
                None => return Ok(all),
            }
        }
    }

    /// Returns why a version cannot be deleted, not even by who may lift locks: a legal hold, or a lock in the mode
    /// COMPLIANCE that still runs. `None`: it can.
    pub async fn obstacle(
        &self,
        place: &ArchiveKey,
        version: &Version,
        now: Timestamp,
    ) -> Result<Option<String>, Error> {
        if version.is_marker {
            return Ok(None);
        }
        let head = self
            .client
            .head_object()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .version_id(&version.id)
            .send()
            .await
            .map_err(|error| self.config.failed(&format!("reading the lock of {place}"), error))?;
        if head.object_lock_legal_hold_status() == Some(&ObjectLockLegalHoldStatus::On) {
            return Ok(Some("a legal hold is on it".to_owned()));
        }
        let until = head.object_lock_retain_until_date();
        let until = until.and_then(moment);
        let compliance = head.object_lock_mode() == Some(&ObjectLockMode::Compliance);
        Ok(until
            .filter(|until| compliance && *until > now)
            .map(|until| format!("it is locked in the mode COMPLIANCE until {until}")))
    }

    /// Deletes a version for good, also one that a lock in the mode GOVERNANCE holds.
    pub async fn delete_version(&self, place: &ArchiveKey, version: &Version) -> Result<(), Error> {
        self.client
            .delete_object()
            .bucket(&place.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&place.key)
            .version_id(&version.id)
            .bypass_governance_retention(true)
            .send()
            .await
            .map(drop)
            .map_err(|error| {
                let doing = format!("deleting version {} of {place}", version.id);
                self.config.failed(&doing, error)
            })
    }
}
