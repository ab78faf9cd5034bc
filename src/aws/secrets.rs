//! Secrets Manager: the credentials, read when they are needed, again when they prove stale, and every few minutes.

mod keys;

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use super::failure::failed;
use crate::clock::Clock;
use crate::error::Error;

pub use keys::WebhookKeys;

/// The content of the secret.
#[derive(Debug)]
pub struct Credentials {
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: SecretString,
    /// The keys that sign webhooks.
    pub webhook: WebhookKeys,
    /// `true`: the secret's former version held a key. Empty until that was asked.
    held_key: OnceCell<bool>,
}

/// The secret, cached.
#[derive(Debug)]
pub struct Secrets {
    client: Client,
    secret_id: String,
    /// The variable that names it, for errors.
    variable: &'static str,
    clock: Clock,
    cached: Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    credentials: Arc<Credentials>,
    since: Timestamp,
}

/// Longest use of credentials before they are read again, as AWS' own caching clients do
/// (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html>): nothing announces
/// that a `webhookSecret` was rotated.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

impl Secrets {
    /// Makes a cache over one secret, given by name or ARN.
    pub fn new(client: Client, secret_id: String, variable: &'static str, clock: Clock) -> Self {
        Self {
            client,
            secret_id,
            variable,
            clock,
            cached: Mutex::new(None),
        }
    }

    /// Returns the variable that names the secret.
    pub fn variable(&self) -> &'static str {
        self.variable
    }

    /// Returns the credentials, not older than five minutes; older ones while Secrets Manager gives none.
    pub async fn get(&self) -> Result<Arc<Credentials>, Error> {
        let mut cached = self.cached.lock().await;
        let Some(known) = &mut *cached else {
            return self.refresh(&mut cached).await;
        };
        if self.clock.now().duration_since(known.since) < FRESH {
            return Ok(known.credentials.clone());
        }
        // The next try is five minutes away, whether this one succeeds or not.
        known.since = self.clock.now();
        let known = known.credentials.clone();
        Ok(self.refresh(&mut cached).await.unwrap_or_else(|error| {
            tracing::warn!(
                error = error.redacted(),
                "the secret could not be read again; the one known is used"
            );
            known
        }))
    }

    /// Returns credentials newer than `stale`. Reads them again, unless another caller just did.
    pub async fn renew(&self, stale: &Arc<Credentials>) -> Result<Arc<Credentials>, Error> {
        let mut cached = self.cached.lock().await;
        match &*cached {
            Some(known) if !Arc::ptr_eq(&known.credentials, stale) => Ok(known.credentials.clone()),
            _ => self.refresh(&mut cached).await,
        }
    }

    /// Returns whether the version of the secret before this one held a key for the webhook, or something meant to be
    /// one. Asks once for each time that the secret is read.
    pub async fn held_webhook_key(&self, credentials: &Credentials) -> Result<bool, Error> {
        let asking = credentials.held_key.get_or_try_init(|| async {
            let id = &self.secret_id;
            let request = self
                .client
                .get_secret_value()
                .secret_id(id)
                .version_stage("AWSPREVIOUS");
            match request.send().await {
                Ok(answer) => {
                    let former = answer.secret_string().and_then(|text| parse(text).ok());
                    Ok(former.is_some_and(|former| !matches!(former.webhook, WebhookKeys::None)))
                }
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(|error| error.is_resource_not_found_exception()) =>
                {
                    Ok(false)
                }
                Err(error) => Err(failed(
                    &format!("reading the former version of the secret {id}"),
                    error,
                )),
            }
        });
        asking.await.copied()
    }

    async fn refresh(&self, cached: &mut Option<Cached>) -> Result<Arc<Credentials>, Error> {
        let credentials = Arc::new(self.read().await?);
        *cached = Some(Cached {
            credentials: credentials.clone(),
            since: self.clock.now(),
        });
        Ok(credentials)
    }

    async fn read(&self) -> Result<Credentials, Error> {
        let id = &self.secret_id;
        let answer = self
            .client
            .get_secret_value()
            .secret_id(id)
            .send()
            .await
            .map_err(|error| failed(&format!("reading the secret {id} ({})", self.variable), error))?;
        let text = answer
            .secret_string()
            .ok_or_else(|| Error::transient(format!("the secret {id} is binary; it must be JSON text")))?;
        parse(text).map_err(|fault| Error::transient(format!("the secret {id} {fault}")))
    }
}

/// Reads the secret's JSON. The error never holds a part of it.
fn parse(text: &str) -> Result<Credentials, String> {
    let shape = "it must be {\"clientId\":\"...\",\"clientSecret\":\"...\",\"webhookSecret\":\"whsec_... (optional)\"}";
    let value: Value = serde_json::from_str(text).map_err(|_| format!("is not valid JSON; {shape}"))?;
    let Value::Object(fields) = value else {
        return Err(format!("is not a JSON object; {shape}"));
    };
    let field = |names: &[&str]| -> Result<Option<String>, String> {
        match names.iter().find_map(|name| fields.get(*name)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
            Some(_) => Err(format!(
                "has a {} that is not a non-empty string; {shape}",
                names[0]
            )),
        }
    };
    let required = |names: &[&str]| field(names)?.ok_or_else(|| format!("has no {}; {shape}", names[0]));
    let client_id = required(&["clientId", "GENESYS_CLOUD_CLIENT_ID"])?;
    let client_secret = required(&["clientSecret", "GENESYS_CLOUD_CLIENT_SECRET"])?.into();
    Ok(Credentials {
        client_id,
        client_secret,
        // An invalid key keeps notifications back, not recordings.
        webhook: WebhookKeys::read(&fields),
        held_key: OnceCell::new(),
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn both_spellings_are_read() {
        for text in [
            r#"{"clientId":"id","clientSecret":"s3","webhookSecret":"whsec_aGVsbG8="}"#,
            r#"{"GENESYS_CLOUD_CLIENT_ID":"id","GENESYS_CLOUD_CLIENT_SECRET":"s3","other":1}"#,
        ] {
            let credentials = parse(text).unwrap();
            assert_eq!(credentials.client_id, "id");
            assert_eq!(credentials.client_secret.expose_secret(), "s3");
        }
    }

    #[test]
    fn a_bad_secret_is_described_but_never_shown() {
        for (text, mentions) in [
            ("hunter2", "not valid JSON"),
            (r#"["hunter2"]"#, "not a JSON object"),
            (r#"{"clientSecret":"hunter2"}"#, "no clientId"),
            (r#"{"clientId":"hunter2"}"#, "no clientSecret"),
            (
                r#"{"clientId":7,"clientSecret":"hunter2"}"#,
                "clientId that is not a non-empty string",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(mentions) && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn debug_output_hides_the_secrets() {
        for key in [
            "aHVudGVyMg==",
            "aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMg==",
            "aHVudGVyMg!",
        ] {
            let text = format!(r#"{{"clientId":"id","clientSecret":"hunter2","webhookSecret":"{key}"}}"#);
            let shown = format!("{:?}", parse(&text).unwrap());
            assert!(
                !shown.contains("hunter2") && !shown.contains("aHVudGVyM"),
                "{shown}"
            );
        }
    }
}
