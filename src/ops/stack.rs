//! The function's configuration as a deployed stack has it.

use std::collections::BTreeMap;

use aws_config::SdkConfig;
use reqwest::Url;

use super::credentials;
use super::error::{Error, Kind};
use crate::aws;
use crate::config::is_local;

/// Outputs and parameters of the template, and the variable that each sets.
const VARIABLES: [(&str, &str); 38] = [
    ("SecretId", "GENESYS_SECRET_ID"),
    ("GenesysBulkSecretArn", "GENESYS_BULK_SECRET_ID"),
    ("GenesysCloudRegion", "GENESYS_CLOUD_REGION"),
    ("GenesysApiBaseUrl", "GENESYS_API_BASE_URL"),
    ("GenesysLoginBaseUrl", "GENESYS_LOGIN_BASE_URL"),
    ("GenesysMediaHosts", "GENESYS_MEDIA_HOSTS"),
    ("GenesysRecordingApi", "GENESYS_RECORDING_API"),
    ("RecordingFormat", "RECORDING_FORMAT"),
    ("RecordingChannels", "RECORDING_CHANNELS"),
    ("RecordingMedia", "RECORDING_MEDIA"),
    ("BucketName", "S3_BUCKET_NAME"),
    ("BucketOwner", "S3_BUCKET_OWNER"),
    ("KeyTemplate", "S3_KEY_TEMPLATE"),
    ("KmsKeyArn", "S3_SSE_KMS_KEY_ID"),
    ("S3StorageClass", "S3_STORAGE_CLASS"),
    ("ObjectLockMode", "S3_OBJECT_LOCK_MODE"),
    ("ObjectLockDays", "S3_OBJECT_LOCK_DAYS"),
    ("UploadPartSizeMib", "UPLOAD_PART_SIZE_MIB"),
    ("UploadConcurrency", "UPLOAD_CONCURRENCY"),
    ("AuditTableName", "AUDIT_TABLE_NAME"),
    ("LedgerTableName", "LEDGER_TABLE_NAME"),
    ("CatalogTableName", "CATALOG_TABLE_NAME"),
    ("CatalogKeySecretId", "CATALOG_KEY_SECRET_ID"),
    ("CallRecord", "CALL_RECORD"),
    ("NumberCountry", "NUMBER_COUNTRY"),
    ("SealBucketName", "SEAL_BUCKET_NAME"),
    ("SealKeyArn", "SEAL_KEY_ID"),
    ("SealOrigin", "SEAL_ORIGIN"),
    ("SealerFunctionName", "SEALER_FUNCTION_NAME"),
    ("TrailBucketName", "TRAIL_BUCKET_NAME"),
    ("WebhookUrl", "WEBHOOK_URL"),
    ("WebhookSignature", "WEBHOOK_SIGNATURE"),
    ("WorkQueueUrl", "WORK_QUEUE_URL"),
    ("ExceptionQueueUrl", "EXCEPTION_QUEUE_URL"),
    ("WorkDeadLetterQueueUrl", "WORK_DEAD_LETTER_QUEUE_URL"),
    ("LogGroupName", "LOG_GROUP_NAME"),
    ("ReadinessDeadlineMinutes", "READINESS_DEADLINE_MINUTES"),
    ("MaxAttempts", "MAX_ATTEMPTS"),
];

/// Outputs that a stack has only if it locks objects. A stack of a version before these outputs has no `Evidence`.
const OF_LOCKS: [&str; 2] = ["ObjectLockMode", "ObjectLockDays"];

/// Returns the values of the function's variables in the stack of this name; empty where it leaves one unset.
pub(super) async fn variables(sdk: &SdkConfig, name: &str) -> Result<BTreeMap<&'static str, String>, Error> {
    let region = credentials::region(sdk)?;
    let described = aws_sdk_cloudformation::Client::new(sdk)
        .describe_stacks()
        .stack_name(name)
        .send()
        .await;
    if described.is_err() {
        credentials::can_sign(sdk).await?;
    }
    let described = described.map_err(|error| {
        let error = Error::from(aws::failed(&format!("describing the stack {name}"), error));
        let endpoint = sdk.endpoint_url();
        let local = endpoint.is_some_and(|url| Url::parse(url).is_ok_and(|url| is_local(&url)));
        if error.unreachable().is_some() {
            let usual = || format!("https://cloudformation.{region}.amazonaws.com");
            error.at(endpoint.map_or_else(usual, str::to_owned))
        } else if local {
            error.remedy("leave --stack out: `cargo local -- serve` has no stacks")
        } else {
            error.remedy("check the stack's name, the region and the credentials")
        }
    })?;
    let stack = described.stacks.unwrap_or_default().into_iter().next();
    let wrong = |message: String| Error::new(Kind::Configuration, message);
    let stack = stack.ok_or_else(|| wrong(format!("there is no stack {name} in this account and region")))?;
    let parameters = stack.parameters.unwrap_or_default().into_iter();
    let parameters =
        parameters.filter_map(|parameter| Some((parameter.parameter_key?, parameter.parameter_value?)));
    let outputs = stack.outputs.unwrap_or_default().into_iter();
    let outputs = outputs.filter_map(|output| Some((output.output_key?, output.output_value?)));
    let values: BTreeMap<String, String> = parameters.chain(outputs).collect();
    let value = |(key, variable): (&str, &'static str)| {
        let unlocked = OF_LOCKS.contains(&key) && values.contains_key("Evidence");
        let value = values.get(key).cloned().or_else(|| unlocked.then(String::new));
        let value = value.ok_or_else(|| {
            wrong(format!(
                "the stack {name} has no {key}: it was made from another template than this version's template.yaml"
            ))
        })?;
        Ok((variable, value))
    };
    VARIABLES.into_iter().map(value).collect()
}
