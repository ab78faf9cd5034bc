//! Bucket policies, of which the simulator knows what the template's ones say of puts: denied without `If-None-Match`,
//! below a prefix. <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html>

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use s3s::{S3Result, s3_error};
use serde_json::Value;

use crate::sim::names::ACCOUNT_ID;

/// The policies of all buckets; forgotten with the simulator.
#[derive(Debug, Default)]
pub(super) struct Policies(Mutex<BTreeMap<String, String>>);

impl Policies {
    /// Keeps the policy of a bucket.
    pub(super) fn put(&self, bucket: &str, policy: String) -> S3Result<()> {
        let parsed: Value = serde_json::from_str(&policy).unwrap_or_default();
        if !parsed["Statement"].is_array() {
            return Err(s3_error!(
                MalformedPolicy,
                "Policies must be valid JSON and the first byte must be '{{'"
            ));
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(bucket.to_owned(), policy);
        Ok(())
    }

    /// Returns the policy of a bucket.
    pub(super) fn get(&self, bucket: &str) -> S3Result<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(bucket)
            .cloned()
            .ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))
    }

    /// Decides a put that could replace an object, before its body is read.
    pub(super) fn check_overwrite(&self, bucket: &str, key: &str) -> S3Result<()> {
        let Ok(policy) = self.get(bucket) else {
            return Ok(());
        };
        let policy: Value = serde_json::from_str(&policy).unwrap_or_default();
        let object = format!("arn:aws:s3:::{bucket}/{key}");
        let denies = |statement: &Value| {
            let one = std::slice::from_ref(&statement["Resource"]);
            let resources = statement["Resource"].as_array().map_or(one, Vec::as_slice);
            let mut below = resources.iter().filter_map(|on| on.as_str()?.strip_suffix('*'));
            statement["Effect"] == "Deny"
                && statement["Action"] == "s3:PutObject"
                && statement["Condition"]["Null"]["s3:if-none-match"] == "true"
                && below.any(|prefix| object.starts_with(prefix))
        };
        let statements = policy["Statement"].as_array().into_iter().flatten();
        if statements.into_iter().any(denies) {
            return Err(s3_error!(
                AccessDenied,
                "User: arn:aws:iam::{}:user/simulated is not authorized to perform: s3:PutObject on resource: \"{}\" \
                 with an explicit deny in a resource-based policy",
                ACCOUNT_ID,
                object
            ));
        }
        Ok(())
    }
}
