//! Failed AWS calls as errors of ours.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::RequestId;

use crate::error::Error;

/// Returns a failed AWS call as an error of ours. Transient whatever it was: people have to fix a missing permission,
/// table or queue, and until then the trigger keeps the job.
///
/// The text holds code, message and request id of the answer, and no more: its body may be half a secret.
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

/// Returns the service whose error type this is, by the name of the SDK's crate. Only error texts depend on it.
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
