//! Invocations of Lambda functions: `archivectl` asks the sealer for an import.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde_json::Value;

use super::{failed, timeouts};
use crate::error::Error;

/// Longest wait for an answer: an invocation ends after 15 minutes at most.
const LONGEST: Duration = Duration::from_secs(15 * 60 + 30);

/// Lambda.
#[derive(Debug, Clone)]
pub struct Functions(aws_sdk_lambda::Client);

/// The reason why an invocation gave no result.
#[derive(Debug)]
pub enum NoResult {
    /// Lambda refused it, or did not answer.
    Refused {
        /// Lambda's code for it, such as `AccessDeniedException`.
        code: Option<String>,
        /// All of it, in words.
        error: Error,
    },
    /// The function ran and failed.
    Failed {
        /// The type of its error; `Sandbox.Timedout` is Lambda's own.
        kind: String,
        /// Its message.
        message: String,
    },
}

/// The error of a function as Lambda writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FunctionError {
    error_type: String,
    error_message: String,
}

impl Functions {
    /// Makes a client that waits for the longest of invocations. Sends nothing.
    pub fn new(sdk: &SdkConfig) -> Self {
        let sdk = sdk.to_builder().timeout_config(timeouts(LONGEST)).build();
        Self(aws_sdk_lambda::Client::new(&sdk))
    }

    /// Invokes the function `name` and waits for its answer. A lost answer makes the SDK invoke it again, so this is
    /// for functions that may run twice.
    pub async fn invoke(&self, name: &str, payload: &Value) -> Result<Value, NoResult> {
        let payload = Blob::new(payload.to_string());
        let sent = self.0.invoke().function_name(name).payload(payload).send().await;
        let answer = sent.map_err(|error| NoResult::Refused {
            code: error.code().map(str::to_owned),
            error: failed(&format!("invoking the function {name}"), error),
        })?;
        let bytes = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if answer.function_error.is_some() {
            let told: FunctionError = serde_json::from_slice(&bytes).unwrap_or_default();
            return Err(NoResult::Failed {
                kind: told.error_type,
                message: told.error_message,
            });
        }
        // Whoever asked knows what the answer has to hold.
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }
}
