//! Looks at how the bucket is set up, and proves that its policy holds.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::BucketVersioningStatus;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Storage;
use crate::error::Error;

/// A setting of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting<T> {
    /// This is set.
    Set(T),
    /// Nothing is set.
    Unset,
    /// The store has no such setting, or does not tell it.
    Untold,
}

/// The answer to a put that the bucket's policy has to refuse, and that is never stored, as its checksum is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enforcement {
    /// A policy of the bucket refused it.
    Enforced,
    /// Nothing but the wrong checksum kept it out.
    Open,
    /// Something else refused it, in these words, so nothing is proven.
    Unknown(String),
    /// The store took it in spite of the checksum; the object of this name stays.
    Stored(String),
}

/// The words of S3 for a policy like the bucket's.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html>
const BY_BUCKET_POLICY: &str = "explicit deny in a resource-based policy";

impl<T> Setting<T> {
    /// Returns the part of the setting that `part` finds; `Unset` where it finds none.
    fn narrowed<U>(self, part: impl FnOnce(T) -> Option<U>) -> Setting<U> {
        match self {
            Self::Set(told) => part(told).map_or(Setting::Unset, Setting::Set),
            Self::Unset => Setting::Unset,
            Self::Untold => Setting::Untold,
        }
    }
}

impl Storage {
    /// Returns whether the bucket keeps versions: `Set` where it does.
    pub async fn versioning(&self) -> Result<Setting<()>, Error> {
        let asked = self
            .client
            .get_bucket_versioning()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone());
        let told = self.setting("reading whether versions are kept in", asked.send().await)?;
        let enabled = Some(BucketVersioningStatus::Enabled);
        Ok(told.narrowed(|told| (told.status == enabled).then_some(())))
    }

    /// Returns the text of the bucket's policy.
    pub async fn policy(&self) -> Result<Setting<String>, Error> {
        let asked = self
            .client
            .get_bucket_policy()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone());
        let told = self.setting("reading the policy of", asked.send().await)?;
        Ok(told.narrowed(|told| told.policy))
    }

    /// Returns how the bucket encrypts what comes without a wish: the algorithm's name.
    pub async fn encryption(&self) -> Result<Setting<String>, Error> {
        let asked = self
            .client
            .get_bucket_encryption()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone());
        let told = self.setting("reading the encryption of", asked.send().await)?;
        Ok(told.narrowed(|told| {
            let mut rules = told.server_side_encryption_configuration?.rules.into_iter();
            let default = rules.find_map(|rule| rule.apply_server_side_encryption_by_default)?;
            Some(default.sse_algorithm.as_str().to_owned())
        }))
    }

    /// Returns mode and time of the lock that objects get which come without a wish.
    pub async fn default_retention(&self) -> Result<Setting<String>, Error> {
        let asked = self
            .client
            .get_object_lock_configuration()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone());
        let told = self.setting("reading the Object Lock of", asked.send().await)?;
        Ok(told.narrowed(|told| {
            let retention = told.object_lock_configuration?.rule?.default_retention?;
            let time = match (retention.days, retention.years) {
                (Some(days), _) => format!("{days} days"),
                (None, years) => format!("{} years", years?),
            };
            Some(format!("{} for {time}", retention.mode?.as_str()))
        }))
    }

    /// Sends a put below the archive's prefix that does not say `If-None-Match`, and whose checksum is not that of its
    /// bytes. S3 checks permissions before it reads a body, so the answer says whether the policy holds.
    pub async fn probe(&self) -> Enforcement {
        let prefix = self.config.key_template.prefix();
        let key = format!("{prefix}archivectl-doctor-{}", Uuid::new_v4());
        let wrong = BASE64.encode(Sha256::digest(b"other bytes than those that are sent"));
        let put = self
            .client
            .put_object()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&key)
            .checksum_sha256(wrong)
            .set_server_side_encryption(self.config.encryption())
            .set_ssekms_key_id(self.config.kms_key_id.clone())
            .body(b"archivectl doctor --probe".to_vec().into())
            .customize()
            .disable_payload_signing()
            .send()
            .await;
        let Err(error) = put else {
            return Enforcement::Stored(self.archive_key(&key).to_string());
        };
        let status = error.raw_response().map(|response| response.status().as_u16());
        let denied = error
            .message()
            .is_some_and(|told| told.contains(BY_BUCKET_POLICY));
        match (status, error.code()) {
            (Some(403), _) if denied => Enforcement::Enforced,
            (Some(400), Some("BadDigest")) => Enforcement::Open,
            _ => {
                let doing = format!("writing {}", self.archive_key(&key));
                Enforcement::Unknown(self.config.failed(&doing, error).to_string())
            }
        }
    }

    /// Makes a setting of an answer.
    fn setting<T, E>(&self, doing: &str, answer: Result<T, SdkError<E>>) -> Result<Setting<T>, Error>
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        match answer {
            Ok(told) => Ok(Setting::Set(told)),
            Err(error) => match error.code() {
                Some(
                    "NoSuchBucketPolicy"
                    | "ObjectLockConfigurationNotFoundError"
                    | "ServerSideEncryptionConfigurationNotFoundError",
                ) => Ok(Setting::Unset),
                Some("NotImplemented") => Ok(Setting::Untold),
                _ => Err(self
                    .config
                    .failed(&format!("{doing} {}", self.config.bucket), error)),
            },
        }
    }
}
