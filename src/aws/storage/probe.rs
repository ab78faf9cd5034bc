//! Looks at whether the bucket keeps what the archive rests on: that nothing is ever replaced.

use std::sync::{Arc, OnceLock};

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata as _};
use aws_sdk_s3::types::ObjectLockEnabled;
use jiff::Timestamp;
use uuid::Uuid;

use super::Storage;
use crate::error::Error;

/// The result of writing one object twice.
#[derive(Debug)]
pub struct ConditionalWrites {
    /// The second write was refused.
    pub enforced: bool,
    /// The object that could not be deleted again, and why.
    pub left: Option<(String, Error)>,
}

impl Storage {
    /// Checks whether the bucket can be reached.
    pub async fn reach(&self) -> Result<(), Error> {
        let bucket = &self.config.bucket;
        let head = self
            .client
            .head_bucket()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .send()
            .await;
        match head {
            Ok(_) => Ok(()),
            // The answer to a HEAD has no body that would say more.
            Err(error) if error.code() == Some("NotFound") => {
                Err(Error::transient(format!("there is no bucket {bucket}")))
            }
            Err(error) => Err(self
                .config
                .failed(&format!("looking for the bucket {bucket}"), error)),
        }
    }

    /// Returns the time at AWS, to the second; `None` if no answer has it. A refusal has it as well.
    pub async fn time(&self) -> Result<Option<Timestamp>, Error> {
        let bucket = &self.config.bucket;
        let date = Date::default();
        let asked = self
            .client
            .head_bucket()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone());
        let answered = asked.customize().interceptor(date.clone()).send().await;
        match (date.0.get(), answered) {
            (Some(told), _) => Ok(crate::http::date(told)),
            (None, Ok(_)) => Ok(None),
            (None, Err(error)) => Err(self
                .config
                .failed(&format!("looking for the bucket {bucket}"), error)),
        }
    }

    /// Checks whether the bucket can lock objects; `None` if the store does not say. A bucket that cannot refuses every
    /// object that is to be locked.
    pub async fn has_object_lock(&self) -> Result<Option<bool>, Error> {
        let bucket = &self.config.bucket;
        let asked = self
            .client
            .get_object_lock_configuration()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .send()
            .await;
        match asked {
            Ok(told) => {
                let lock = told.object_lock_configuration;
                let enabled = lock.and_then(|lock| lock.object_lock_enabled);
                Ok(Some(enabled == Some(ObjectLockEnabled::Enabled)))
            }
            Err(error) if error.code() == Some("ObjectLockConfigurationNotFoundError") => Ok(Some(false)),
            Err(error) if error.code() == Some("NotImplemented") => Ok(None),
            Err(error) => Err(self
                .config
                .failed(&format!("reading the Object Lock of {bucket}"), error)),
        }
    }

    /// Writes a small object twice, with the encryption of the archive, on condition that there is none, and deletes
    /// it.
    pub async fn try_conditional_writes(&self) -> Result<ConditionalWrites, Error> {
        let key = format!("archivectl-doctor/{}", Uuid::new_v4());
        let put = || {
            self.client
                .put_object()
                .bucket(&self.config.bucket)
                .set_expected_bucket_owner(self.config.bucket_owner.clone())
                .key(&key)
                .if_none_match("*")
                .set_server_side_encryption(self.config.encryption())
                .set_ssekms_key_id(self.config.kms_key_id.clone())
                .body(b"archivectl doctor".to_vec().into())
                .send()
        };
        let doing = format!("writing {}", self.archive_key(&key));
        let first = put().await.map_err(|error| self.config.failed(&doing, error))?;
        let enforced = match put().await {
            Ok(_) => Ok(false),
            Err(error) if error.code() == Some("PreconditionFailed") => Ok(true),
            Err(error) => Err(self.config.failed(&format!("{doing} again"), error)),
        };
        // By its version, if the bucket keeps versions: it would be hidden and not gone otherwise.
        let deleted = self
            .client
            .delete_object()
            .bucket(&self.config.bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(&key)
            .set_version_id(first.version_id)
            .send()
            .await;
        let left = deleted.err().map(|error| {
            let object = self.archive_key(&key).to_string();
            (
                object.clone(),
                self.config.failed(&format!("deleting {object}"), error),
            )
        });
        Ok(ConditionalWrites {
            enforced: enforced?,
            left,
        })
    }
}

/// The header `Date` of the first answer.
#[derive(Debug, Clone, Default)]
struct Date(Arc<OnceLock<String>>);

impl Intercept for Date {
    fn name(&self) -> &'static str {
        "Date"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.get_or_init(|| date.to_owned());
        }
        Ok(())
    }
}
