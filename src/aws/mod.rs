//! AWS: where recordings go, what is remembered of them, and who else is told.

pub mod ledger;
pub mod queues;
pub mod secrets;
pub mod storage;

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader};

use crate::config::LimitConfig;
use crate::error::Error;

/// The SDK's configuration: region, credentials and endpoints as the standard variables say, tries as ours do.
pub fn sdk_config(limits: &LimitConfig) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .retry_config(retries(limits))
        .timeout_config(timeouts(limits))
}

/// How often an AWS call is tried.
pub fn retries(limits: &LimitConfig) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(limits.max_attempts)
        .with_initial_backoff(limits.backoff_base)
}

/// How long each try may take.
pub fn timeouts(limits: &LimitConfig) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(limits.aws_attempt_timeout)
        .build()
}

/// A failed AWS call as an error of ours. Transient whatever it was: a missing permission, table or queue is
/// mended by people, and until then the trigger keeps the job.
///
/// Of the answer only code, message and request id are told: its body may be half a secret.
pub fn failed<E>(doing: &str, error: SdkError<E>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    if matches!(error, SdkError::DispatchFailure(_)) {
        let message = format!("{doing} failed: no answer: {}", crate::error::root(&error));
        return Error::transient(message).unreachable(service::<E>());
    }
    let hint = match error.code() {
        Some("AccessDenied" | "AccessDeniedException") => " (the credentials in use lack this permission)",
        Some("ResourceNotFoundException" | "NoSuchBucket" | "AWS.SimpleQueueService.NonExistentQueue") => {
            " (check the name in the configuration)"
        }
        _ => "",
    };
    let mut told = match (error.code(), error.message()) {
        (Some(code), message) => format!("{code}: {}", crate::redact::people(message.unwrap_or_default())),
        _ => crate::error::chain(&error),
    };
    if let Some(id) = error.request_id() {
        told.push_str(&format!(" (request id {id})"));
    }
    Error::transient(format!("{doing} failed{hint}: {told}"))
}

/// The service whose error type this is, by the name of the SDK's crate. Only error texts depend on it.
fn service<E>() -> &'static str {
    let (_, after) = std::any::type_name::<E>()
        .split_once("aws_sdk_")
        .unwrap_or_default();
    after.split("::").next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_knows_its_service() {
        use aws_sdk_dynamodb::operation::query::QueryError;
        use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
        assert_eq!(service::<QueryError>(), "dynamodb");
        assert_eq!(service::<GetSecretValueError>(), "secretsmanager");
    }
}
