//! Configuration: one struct per concern, read from a lookup function, checked as a whole before anything starts.
//!
//! [`VARIABLES`] lists every name, so that the template and the README can be held against it.

mod hosts;
mod read;
mod sealing;
mod stating;

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use reqwest::Url;

use crate::domain::call::Extent;
use crate::domain::format::{Channels, Format, MediaKind, RecordingApi};
use crate::domain::key::KeyTemplate;
use crate::domain::number::Country;
use crate::retry::RetryPolicy;

pub use hosts::{MediaHosts, is_local, is_public};
pub use sealing::{SEALING_VARIABLES, SealingConfig};
pub use stating::{STATING_VARIABLES, StatingConfig};

/// Every environment variable the function itself reads; the AWS SDK reads its own besides.
pub const VARIABLES: [&str; 38] = [
    "GENESYS_CLOUD_REGION",
    "GENESYS_API_BASE_URL",
    "GENESYS_LOGIN_BASE_URL",
    "GENESYS_MEDIA_HOSTS",
    "GENESYS_SECRET_ID",
    "GENESYS_BULK_SECRET_ID",
    "GENESYS_RECORDING_API",
    "RECORDING_FORMAT",
    "RECORDING_CHANNELS",
    "RECORDING_MEDIA",
    "S3_BUCKET_NAME",
    "S3_BUCKET_OWNER",
    "S3_KEY_TEMPLATE",
    "S3_SSE_KMS_KEY_ID",
    "S3_STORAGE_CLASS",
    "S3_OBJECT_LOCK_MODE",
    "S3_OBJECT_LOCK_DAYS",
    "CALL_RECORD",
    "UPLOAD_PART_SIZE_MIB",
    "UPLOAD_CONCURRENCY",
    "RECORD_CONCURRENCY",
    "BULK_CONCURRENCY",
    "AUDIT_TABLE_NAME",
    "LEDGER_TABLE_NAME",
    "CATALOG_TABLE_NAME",
    "CATALOG_KEY_SECRET_ID",
    "NUMBER_COUNTRY",
    "WEBHOOK_URL",
    "WEBHOOK_SIGNATURE",
    "WORK_QUEUE_URL",
    "EXCEPTION_QUEUE_URL",
    "READINESS_DEADLINE_MINUTES",
    "SETTLE_SECONDS",
    "UNRECORDED_AFTER_MINUTES",
    "TRANSCODE_WAIT_SECONDS",
    "MAX_ATTEMPTS",
    "LOG_LEVEL",
    "ARCHIVER_ROLE_ID",
];

/// The configuration of the archiver.
#[derive(Debug, Clone)]
pub struct Config {
    /// The source of recordings.
    pub genesys: GenesysConfig,
    /// Which recordings, and in what form.
    pub recording: RecordingConfig,
    /// Where recordings are stored.
    pub storage: StorageConfig,
    /// `CALL_RECORD`: what is kept of a call beside its recordings.
    pub call_record: Extent,
    /// `CATALOG_*`: where calls are found; `None`: nowhere.
    pub catalog: Option<CatalogConfig>,
    /// The tables of ledger and audit.
    pub tables: TableConfig,
    /// Where deferred jobs and exceptions go.
    pub queues: QueueConfig,
    /// `WEBHOOK_URL`: the receiver of notifications; `None` turns the webhook off.
    pub webhook_url: Option<Url>,
    /// `WEBHOOK_SIGNATURE`.
    pub webhook_signature: WebhookSignature,
    /// Limits of attempts, time and concurrency.
    pub limits: LimitConfig,
    /// `LOG_LEVEL`: a `tracing` filter.
    pub log_level: String,
    /// `ARCHIVER_ROLE_ID`: the id of the function's role, by which SQS names who sent its own jobs.
    pub role_id: Option<String>,
}

/// The treatment of a notification that no key can sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookSignature {
    /// `WEBHOOK_SIGNATURE` is unset: sent unsigned only where the secret neither holds nor ever held a key.
    WhereKeyExists,
    /// Kept back.
    Required,
    /// Sent unsigned where the secret holds no key.
    Optional,
}

/// `GENESYS_*`.
#[derive(Debug, Clone)]
pub struct GenesysConfig {
    /// `GENESYS_CLOUD_REGION` as given; fills `{region}` in keys.
    pub region: String,
    /// `GENESYS_API_BASE_URL`, else from the region. No trailing slash.
    pub api_base: Url,
    /// `GENESYS_LOGIN_BASE_URL`, else from the region. No trailing slash.
    pub login_base: Url,
    /// Which hosts may serve media: `GENESYS_MEDIA_HOSTS` and what is always allowed.
    pub media_hosts: MediaHosts,
    /// `GENESYS_SECRET_ID`: name or ARN of the Secrets Manager secret.
    pub secret_id: String,
    /// `GENESYS_BULK_SECRET_ID`: the secret of an OAuth client of its own for batch downloads.
    pub bulk_secret_id: Option<String>,
    /// `GENESYS_RECORDING_API`.
    pub api: RecordingApi,
}

/// `RECORDING_*`.
#[derive(Debug, Clone)]
pub struct RecordingConfig {
    /// `RECORDING_FORMAT`.
    pub format: Format,
    /// `RECORDING_CHANNELS`.
    pub channels: Channels,
    /// `RECORDING_MEDIA`.
    pub media: Vec<MediaKind>,
}

/// `S3_*` and `UPLOAD_*`.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// `S3_BUCKET_NAME`.
    pub bucket: String,
    /// `S3_BUCKET_OWNER`: the account that the bucket must belong to; named in every request.
    pub bucket_owner: Option<String>,
    /// `S3_KEY_TEMPLATE`.
    pub key_template: KeyTemplate,
    /// `S3_SSE_KMS_KEY_ID`.
    pub kms_key_id: Option<String>,
    /// `S3_STORAGE_CLASS`.
    pub storage_class: Option<String>,
    /// `S3_OBJECT_LOCK_MODE` and `S3_OBJECT_LOCK_DAYS`, which only make sense together.
    pub object_lock: Option<ObjectLock>,
    /// `UPLOAD_PART_SIZE_MIB` in bytes.
    pub part_size: usize,
    /// `UPLOAD_CONCURRENCY`: parts of one recording in flight.
    pub concurrency: NonZeroUsize,
    /// The bucket goes into the path: emulators and private endpoints rarely serve a host name per bucket.
    pub path_style: bool,
}

/// Retention that S3 itself enforces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectLock {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: String,
    /// Days from the time of archiving.
    pub days: u32,
}

/// The DynamoDB tables.
#[derive(Debug, Clone)]
pub struct TableConfig {
    /// `AUDIT_TABLE_NAME`.
    pub audit: String,
    /// `LEDGER_TABLE_NAME`.
    pub ledger: String,
}

/// The catalog of calls.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// `CATALOG_TABLE_NAME`.
    pub table: String,
    /// `CATALOG_KEY_SECRET_ID`: name or ARN of the secret whose text is the key under which numbers are hashed.
    pub key_secret_id: String,
    /// `NUMBER_COUNTRY`: the country of numbers in national form.
    pub country: Option<Country>,
}

/// The SQS queues.
#[derive(Debug, Clone, Default)]
pub struct QueueConfig {
    /// `WORK_QUEUE_URL`.
    pub work: Option<String>,
    /// `EXCEPTION_QUEUE_URL`.
    pub exceptions: Option<String>,
}

/// Longest try of one AWS call: enough for a part on a slow line, short enough to try again before the invocation ends.
/// Not configurable from outside.
pub const AWS_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);

/// Limits of attempts, time and concurrency.
#[derive(Debug, Clone)]
pub struct LimitConfig {
    /// `RECORD_CONCURRENCY`: recordings transferred at a time.
    pub record_concurrency: NonZeroUsize,
    /// `BULK_CONCURRENCY`: results of batch downloads transferred at a time.
    pub bulk_concurrency: NonZeroUsize,
    /// `READINESS_DEADLINE_MINUTES`.
    pub readiness: Duration,
    /// `SETTLE_SECONDS`: from a conversation's first look to its second; zero turns settling off.
    pub settle: Duration,
    /// `UNRECORDED_AFTER_MINUTES`: when a conversation without recordings is believed to have none.
    pub unrecorded_after: Duration,
    /// `TRANSCODE_WAIT_SECONDS`: how long a run waits in all for a recording that is being transcoded; zero: not at
    /// all.
    pub transcode_wait: Duration,
    /// First of these waits; doubles from there. Not configurable from outside.
    pub transcode_first: Duration,
    /// `MAX_ATTEMPTS`: tries of one HTTP step within a run.
    pub max_attempts: u32,
    /// First backoff between tries; doubles from there. Not configurable from outside.
    pub backoff_base: Duration,
    /// Longest wait for one answer of Genesys; its list call alone may take 5 s for transcoding. Not configurable
    /// from outside.
    pub answer_timeout: Duration,
    /// Longest try of one AWS call: [`AWS_ATTEMPT_TIMEOUT`], shorter in tests.
    pub aws_attempt_timeout: Duration,
    /// Longest silence of the media host that is still waited for. Not configurable from outside.
    pub media_idle: Duration,
    /// Longest wait for a webhook receiver's answer. Not configurable from outside.
    pub webhook_timeout: Duration,
}

impl LimitConfig {
    /// Returns how often and how patiently one HTTP step is tried.
    pub fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy::new(self.max_attempts, self.backoff_base)
    }
}

/// All problems of the environment, in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, s) = (self.0.len(), if self.0.len() == 1 { "" } else { "s" });
        write!(
            f,
            "the configuration has {count} problem{s}: {}",
            self.0.join("; ")
        )
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the configuration; `lookup` gives the value of an environment variable.
    ///
    /// Empty and blank values count as unset, because a SAM parameter left empty arrives as an empty string.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        read::config(lookup).map_err(ConfigError)
    }

    /// Says whether conversations are looked at until nothing more can come. Looks travel on the work queue, and only
    /// the public API lists several recordings for a conversation.
    pub fn settles(&self) -> bool {
        self.genesys.api == RecordingApi::Conversations
            && self.queues.work.is_some()
            && !self.limits.settle.is_zero()
    }
}

#[cfg(test)]
mod tests;
