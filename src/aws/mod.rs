//! AWS: the archive in S3, ledger and audit in DynamoDB, queues in SQS, the secret in Secrets Manager.

pub mod audit;
pub mod dead_letters;
mod failure;
#[cfg(feature = "cli")]
pub mod functions;
pub mod ledger;
pub mod queues;
pub mod secrets;
pub mod storage;
#[cfg(feature = "cli")]
pub mod trail;

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, SdkConfig};
use aws_sdk_s3::config::ResponseChecksumValidation;

pub use self::failure::failed;
use self::ledger::Ledger;
use self::queues::Queues;
use self::secrets::Secrets;
use self::storage::Storage;
use crate::clock::Clock;
use crate::config::{AWS_ATTEMPT_TIMEOUT, Config, LimitConfig, SealingConfig};
use crate::telemetry::{Counters, Lines};

/// How all programs of this project call themselves in the user agent, which CloudTrail writes down: `app/NAME`.
pub const APP_NAME: &str = "recording-archiver";

/// Returns what loads the SDK's configuration: region, credentials and endpoints as the standard variables say. The
/// requests for credentials (STS, SSO) and to CloudFormation have these timeouts, too.
pub fn sdk_config() -> ConfigLoader {
    let loader =
        aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts(AWS_ATTEMPT_TIMEOUT));
    match AppName::new(APP_NAME) {
        Ok(name) => loader.app_name(name),
        // The name is one that the SDK takes.
        Err(_) => loader,
    }
}

/// The client of each AWS service in use. The function and the operators' commands work with the same ones.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Ledger and audit.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The archive.
    pub s3: aws_sdk_s3::Client,
    /// The secret.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
}

impl Clients {
    /// Makes the clients, whose tries and timeouts are those of `config`. Sends nothing.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let sdk = sdk.to_builder();
        let sdk = sdk.retry_config(retries(&config.limits));
        let sdk = sdk
            .timeout_config(timeouts(config.limits.aws_attempt_timeout))
            .build();
        let s3 = aws_sdk_s3::config::Builder::from(&sdk)
            .force_path_style(config.storage.path_style)
            // Whoever reads an object recomputes its SHA-256, and reports what is wrong with all of its bytes; the SDK
            // would break off at the end of those that do not match its checksum.
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&sdk),
            s3: aws_sdk_s3::Client::from_conf(s3),
            secrets: aws_sdk_secretsmanager::Client::new(&sdk),
            sqs: aws_sdk_sqs::Client::new(&sdk),
        }
    }

    /// Returns ledger and audit; a line for each audit event goes to `lines`.
    pub fn ledger(&self, config: &Config, clock: Clock, lines: Lines) -> Ledger {
        let (tables, policy) = (config.tables.clone(), config.limits.retry_policy());
        Ledger::new(self.dynamodb.clone(), tables, policy, clock, lines)
    }

    /// Returns the archive's bucket.
    pub fn storage(&self, config: &Config, counters: Arc<Counters>) -> Storage {
        Storage::new(self.s3.clone(), config.storage.clone(), counters)
    }

    /// Returns the secret, which is read when it is needed.
    pub fn secrets(&self, config: &Config, clock: Clock) -> Arc<Secrets> {
        let id = config.genesys.secret_id.clone();
        Arc::new(Secrets::new(self.secrets.clone(), id, "GENESYS_SECRET_ID", clock))
    }

    /// Returns the secret of the OAuth client for batch downloads, if that is another one.
    pub fn bulk_secrets(&self, config: &Config, clock: Clock) -> Option<Arc<Secrets>> {
        let id = config.genesys.bulk_secret_id.clone()?;
        let secrets = Secrets::new(self.secrets.clone(), id, "GENESYS_BULK_SECRET_ID", clock);
        Some(Arc::new(secrets))
    }

    /// Returns the work queue and the exception queue.
    pub fn queues(&self, config: &Config) -> Queues {
        Queues::new(self.sqs.clone(), config.queues.clone())
    }
}

/// The clients of the sealer.
#[derive(Debug, Clone)]
pub struct LogClients {
    /// The audit table.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The key of the log.
    pub kms: aws_sdk_kms::Client,
    /// The bucket of the log.
    pub s3: aws_sdk_s3::Client,
    /// The topic that gets each checkpoint.
    pub sns: aws_sdk_sns::Client,
}

impl LogClients {
    /// Makes the clients. Sends nothing.
    pub fn new(sdk: &SdkConfig, config: &SealingConfig) -> Self {
        let s3 = aws_sdk_s3::config::Builder::from(sdk).force_path_style(config.path_style);
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(sdk),
            kms: aws_sdk_kms::Client::new(sdk),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            sns: aws_sdk_sns::Client::new(sdk),
        }
    }
}

/// Returns how often an AWS call is tried.
fn retries(limits: &LimitConfig) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(limits.max_attempts)
        .with_initial_backoff(limits.backoff_base)
}

/// Returns how long each try may take.
fn timeouts(attempt: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(attempt)
        .build()
}
