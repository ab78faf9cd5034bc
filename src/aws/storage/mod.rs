//! S3: an object appears complete and verified, or not at all.
//!
//! A file of up to one part is one `PutObject` that S3 checks by SHA-256. A longer one is a multipart upload that S3
//! checks by CRC64NVME over each part and over the whole. Neither ever replaces an object (`If-None-Match: *`).

mod call;
mod checksum;
mod document;
#[cfg(feature = "cli")]
mod erase;
#[cfg(feature = "cli")]
mod fetch;
#[cfg(feature = "cli")]
mod locks;
mod object;
mod parts;
#[cfg(feature = "cli")]
mod probe;
#[cfg(feature = "cli")]
mod read;
#[cfg(feature = "cli")]
mod settings;
mod upload;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectError;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{ChecksumMode, ObjectLockMode, ServerSideEncryption, StorageClass};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use uuid::Uuid;

use crate::config::StorageConfig;
use crate::domain::digest::Digest;
use crate::domain::recording::{
    ArchiveKey, ArchivedFile, Kept, ObjectKind, RecordingRef, StoreAnswer, StoredAs,
};
use crate::error::Error;
use crate::telemetry::Counters;

pub use call::CallObject;
pub use document::Written;
#[cfg(feature = "cli")]
pub use fetch::{Cold, Fetched, Got, Restore, Shelf};
#[cfg(feature = "cli")]
pub use locks::Lock;
pub use object::Published;
#[cfg(feature = "cli")]
pub use probe::ConditionalWrites;
#[cfg(feature = "cli")]
pub use read::{Found, Label, ObjectPage, Version};
#[cfg(feature = "cli")]
pub use settings::{Enforcement, Setting};
pub use upload::{Prepared, Upload};

/// The archive bucket.
#[derive(Debug, Clone)]
pub struct Storage {
    client: Client,
    config: StorageConfig,
    counters: Arc<Counters>,
}

/// The metadata of an object, known before its first byte is sent.
#[derive(Debug, Clone)]
pub struct ObjectFacts {
    /// Object key.
    pub key: String,
    /// The recording that the object belongs to.
    pub of: RecordingRef,
    /// The attempt that writes it.
    pub attempt: Uuid,
    /// `Content-Type` of the media.
    pub content_type: String,
    /// The host that its bytes come from; ledger and audit say it, the object does not.
    pub media_host: String,
    /// The lane by which it came, if that is not the live one. Without pauses and holds, and with the times of the
    /// conversation, as nobody asked for those of the recording.
    pub lane: Option<&'static str>,
    /// Start of the recording, where the retention of Object Lock counts from.
    pub started: Timestamp,
    /// Start of the attempt.
    pub archived_at: Timestamp,
    /// What it is.
    pub kind: ObjectKind,
}

impl Storage {
    /// The bucket of this configuration.
    pub fn new(client: Client, config: StorageConfig, counters: Arc<Counters>) -> Self {
        Self {
            client,
            config,
            counters,
        }
    }

    /// Returns the place of a key in this bucket.
    pub fn archive_key(&self, key: &str) -> ArchiveKey {
        ArchiveKey {
            bucket: self.config.bucket.clone(),
            key: key.to_owned(),
        }
    }

    /// Begins an upload; nothing is sent before the first part is.
    pub fn upload(&self, facts: ObjectFacts) -> Upload {
        Upload::new(self.clone(), facts)
    }

    /// Returns what S3 says of the very object that `file` describes, if that lies under its key: same attempt, length
    /// and, where known, checksum.
    pub async fn find(&self, file: &ArchivedFile) -> Result<Option<StoreAnswer>, Error> {
        let ArchiveKey { bucket, key } = &file.archive_key;
        let head = self
            .client
            .head_object()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(key)
            .checksum_mode(ChecksumMode::Enabled)
            .send();
        let head = match head.await {
            Ok(head) => head,
            Err(SdkError::ServiceError(error)) if matches!(error.err(), HeadObjectError::NotFound(_)) => {
                return Ok(None);
            }
            Err(error) => {
                return Err(self
                    .config
                    .failed(&format!("looking for {}", file.archive_key), error));
            }
        };
        let attempt = head.metadata().and_then(|metadata| metadata.get(ATTEMPT_ID));
        let size = head.content_length().and_then(|size| u64::try_from(size).ok());
        let checksum = match (
            &file.crc64nvme,
            head.checksum_crc64_nvme(),
            head.checksum_sha256(),
        ) {
            (Some(ours), Some(there), _) => ours == there,
            (None, _, Some(there)) => {
                hex::decode(&file.sha256).is_ok_and(|ours| BASE64.encode(ours) == there)
            }
            // A store that does not report the checksum still checked it when the bytes came in.
            _ => true,
        };
        let ours = attempt == Some(&file.attempt_id.to_string()) && size == Some(file.size_bytes) && checksum;
        Ok(ours.then(|| StoreAnswer {
            version_id: head.version_id,
            encryption: head.server_side_encryption.map(|kind| kind.as_str().to_owned()),
            kms_key_id: head.ssekms_key_id,
        }))
    }

    /// Sets the tags of an object that is visible already.
    pub async fn tag(&self, file: &ArchivedFile) -> Result<(), Error> {
        let ArchiveKey { bucket, key } = &file.archive_key;
        let tags = tags(ObjectKind::Recording, &file.sha256)
            .into_iter()
            .map(|(key, value)| aws_sdk_s3::types::Tag::builder().key(key).value(value).build());
        let tags = tags
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::transient("building tags").caused_by(e))?;
        let tagging = aws_sdk_s3::types::Tagging::builder()
            .set_tag_set(Some(tags))
            .build();
        let tagging = tagging.map_err(|error| Error::transient("building tags").caused_by(error))?;
        let tagged = self
            .client
            .put_object_tagging()
            .bucket(bucket)
            .set_expected_bucket_owner(self.config.bucket_owner.clone())
            .key(key)
            .tagging(tagging)
            .send()
            .await;
        tagged.map_err(|error| {
            self.config
                .failed(&format!("tagging {}", file.archive_key), error)
        })?;
        Ok(())
    }
}

/// Seconds of a day.
const DAY: i64 = 86_400;

const ATTEMPT_ID: &str = "attempt-id";
const INTERACTION_ID: &str = "interaction-id";
const RECORDING_ID: &str = "recording-id";
const LANE: &str = "lane";

/// Encodes a CRC64NVME as S3 wants it: its 8 bytes, most significant first, in base64.
fn crc_base64(crc: u64) -> String {
    BASE64.encode(crc.to_be_bytes())
}

/// `compliance` marks what this archiver wrote; the hash makes an object provable without any table.
fn tags(kind: ObjectKind, sha256: &str) -> [(&'static str, String); 2] {
    [
        ("compliance", kind.tag().to_owned()),
        ("sha256", sha256.to_owned()),
    ]
}

impl ObjectFacts {
    /// Returns the user metadata. The digest is known in time where the file is sent in one request.
    fn metadata(&self, digest: Option<&Digest>) -> HashMap<String, String> {
        let known = digest.map(|digest| [("sha256", digest.hex()), ("size-bytes", digest.size.to_string())]);
        let always = [
            (INTERACTION_ID, self.of.conversation.to_string()),
            (RECORDING_ID, self.of.recording_key()),
            ("archived-at", self.archived_at.to_string()),
            (ATTEMPT_ID, self.attempt.to_string()),
        ];
        let lane = self.lane.map(|lane| (LANE, lane.to_owned()));
        let all = always.into_iter().chain(lane).chain(known.into_iter().flatten());
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The parameters of every request and every object, however it is sent.
impl StorageConfig {
    /// Makes an error of a failed call of S3. The bucket of another account refuses as a missing permission does.
    fn failed<E>(&self, doing: &str, error: SdkError<E>) -> Error
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        match &self.bucket_owner {
            Some(owner) if status == Some(403) => super::failure::failed(
                &format!("{doing} in a bucket of the account {owner} (S3_BUCKET_OWNER)"),
                error,
            ),
            _ => super::failure::failed(doing, error),
        }
    }

    fn encryption(&self) -> Option<ServerSideEncryption> {
        self.kms_key_id.as_ref().map(|_| ServerSideEncryption::AwsKms)
    }

    /// Returns the storage class of an object. A call record is read long after its recordings went cold.
    fn class(&self, kind: ObjectKind) -> Option<StorageClass> {
        let configured = self
            .storage_class
            .as_deref()
            .filter(|_| kind == ObjectKind::Recording);
        configured.map(StorageClass::from)
    }

    fn lock_mode(&self) -> Option<ObjectLockMode> {
        let lock = self.object_lock.as_ref()?;
        Some(ObjectLockMode::from(lock.mode.as_str()))
    }

    /// Returns the end of the lock: so many days from the recording's start, and at least one day from now, as S3
    /// refuses a lock in the past. A start in the future counts as now, or nobody could ever end the lock.
    fn retain_until(&self, facts: &ObjectFacts) -> Option<DateTime> {
        let lock = self.object_lock.as_ref()?;
        let now = facts.archived_at.as_second();
        let wanted = facts.started.as_second().min(now) + i64::from(lock.days) * DAY;
        Some(DateTime::from_secs(wanted.max(now + DAY)))
    }

    /// Returns how an object is stored, as far as that is known before S3 answers.
    fn stored_as(&self, facts: &ObjectFacts, multipart: bool) -> StoredAs {
        let until = self.retain_until(facts);
        let class = self.class(facts.kind).unwrap_or(StorageClass::Standard);
        StoredAs {
            archived_at: facts.archived_at,
            multipart,
            lane: facts.lane.map(str::to_owned),
            kept: Kept {
                content_type: facts.content_type.clone(),
                storage_class: class.as_str().to_owned(),
                lock_mode: self.lock_mode().map(|mode| mode.as_str().to_owned()),
                retain_until: until.and_then(|until| Timestamp::from_second(until.secs()).ok()),
                answer: StoreAnswer::default(),
            },
        }
    }
}
