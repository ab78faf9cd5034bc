//! Whether requests to AWS can be signed.

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::ProvideCredentials as _;

use super::Session;
use super::error::{Error, Kind};
use crate::domain::audit::{Actor, Source};

impl Session {
    /// Fails if no AWS region is set.
    pub fn has_region(&self) -> Result<(), Error> {
        region(&self.sdk).map(drop)
    }

    /// Returns `error`, or why requests to AWS cannot be signed if that is the cause of an error of a service. Asked
    /// only then: a source of credentials may ask a person for a code each time.
    pub async fn cause(&self, error: Error) -> Error {
        if error.kind() != Kind::Service {
            return error;
        }
        let signing = self.unless_interrupted(can_sign(&self.sdk)).await;
        signing.err().unwrap_or(error)
    }

    /// Returns the actor of what this session writes: an operator, whom AWS names, and what the command says of who
    /// asked.
    pub(super) async fn operator(&self, requested_by: Option<String>) -> Actor {
        Actor {
            source: Source::Operator,
            identity: self.caller().await.map(|(_, arn)| arn),
            function_version: concat!("archivectl ", env!("CARGO_PKG_VERSION")).to_owned(),
            requested_by,
            ..Actor::default()
        }
    }

    /// Returns account and ARN of the caller as AWS sees them; `None` where it does not say.
    pub(super) async fn caller(&self) -> Option<(String, String)> {
        let asked = aws_sdk_sts::Client::new(&self.sdk)
            .get_caller_identity()
            .send()
            .await;
        let identity = asked
            .inspect_err(|error| {
                let error = crate::error::chain(error);
                tracing::info!(error, "AWS does not say who the caller is");
            })
            .ok()?;
        Some((identity.account?, identity.arn?))
    }
}

/// Returns the region; fails if none is set.
pub(super) fn region(sdk: &SdkConfig) -> Result<&Region, Error> {
    sdk.region().ok_or_else(|| {
        let missing = Error::new(Kind::Configuration, "no AWS region is set");
        missing.remedy("set AWS_REGION, or AWS_PROFILE to a profile that has a region")
    })
}

/// Fails if there are no credentials to sign requests with.
pub(super) async fn can_sign(sdk: &SdkConfig) -> Result<(), Error> {
    let provider = sdk.credentials_provider().ok_or_else(|| missing(""))?;
    match provider.provide_credentials().await {
        Ok(_) => Ok(()),
        Err(error) => Err(missing(&crate::error::chain(&error))),
    }
}

/// Returns the error of missing credentials. `told` is what the SDK says, which matters where a source of credentials
/// is set up and fails; where none is, it is a list of all places that were searched in vain.
fn missing(told: &str) -> Error {
    tracing::info!(told, "no AWS credentials");
    let first = told.lines().next().unwrap_or_default();
    let why = if told.is_empty() || told.contains("no credentials found in chain") {
        "there are no AWS credentials".to_owned()
    } else {
        format!("the AWS credentials cannot be read: {first}")
    };
    Error::new(Kind::Configuration, why).remedy(
        "set AWS_PROFILE or log in (aws sso login), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_fails_is_named_and_places_searched_in_vain_are_not() {
        let none = missing(
            "the credential provider was not enabled: no credentials found in chain. Attempted:\n  Profile",
        );
        assert_eq!(none.to_string(), "there are no AWS credentials");
        let failed =
            missing("an error occurred while loading credentials: the SSO session has expired\nat x");
        assert_eq!(
            failed.to_string(),
            "the AWS credentials cannot be read: an error occurred while loading credentials: the SSO session has expired"
        );
        assert!(failed.way_out().is_some_and(|fix| fix.contains("aws sso login")));
    }
}
