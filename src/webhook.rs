//! The webhook: notifies the receiver of an archived recording, signed as Standard Webhooks says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aws::secrets::{Secrets, WebhookKeys};
use crate::clock::{Clock, Deadline};
use crate::config::{Config, WebhookSignature};
use crate::domain::recording::{ArchivedFile, RecordingRef};
use crate::error::{Error, ErrorKind};
use crate::http::retry_after;
use crate::retry::{Retry, RetryPolicy};
use crate::telemetry::Counters;

/// The receiver of notifications.
#[derive(Debug)]
pub struct Webhook {
    http: Client,
    url: Url,
    signature: WebhookSignature,
    secrets: Arc<Secrets>,
    policy: RetryPolicy,
    clock: Clock,
    counters: Arc<Counters>,
}

/// A notification; the same whenever it is sent again.
#[derive(Debug, Clone)]
pub struct News {
    /// The recording.
    pub of: RecordingRef,
    /// Its files, at least one.
    pub files: Vec<ArchivedFile>,
    /// Their format.
    pub format: String,
    /// When they were archived.
    pub archived_at: Timestamp,
}

impl News {
    /// Returns `webhook-id`, made of the recording alone, so that it stays the same across tries, runs and years.
    pub fn id(&self) -> String {
        let name = format!("{}/{}", self.of.conversation, self.of.recording_key());
        format!(
            "msg_{}",
            Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).simple()
        )
    }

    /// Returns the body.
    pub fn body(&self) -> Value {
        let files: Vec<Value> = self.files.iter().map(told).collect();
        let first = files.first().cloned().unwrap_or_default();
        json!({
            "event": "recording.download.complete",
            "interactionId": self.of.conversation.to_string(),
            "recordingId": self.of.recording_key(),
            "archiveKey": first["archiveKey"],
            "hash": first["hash"],
            "sizeBytes": first["sizeBytes"],
            "format": self.format,
            "timestamp": self.archived_at.to_string(),
            "files": files,
        })
    }
}

/// Returns the part of the body about one file.
fn told(file: &ArchivedFile) -> Value {
    let mut told = json!({"archiveKey": file.archive_key, "hash": file.sha256, "sizeBytes": file.size_bytes});
    if let Some(part) = file.part {
        told["part"] = part.into();
    } else if let Some(channel) = file.channel {
        told["channel"] = channel.into();
    }
    told
}

impl Webhook {
    /// Makes the receiver of this configuration, if it names one. Redirects are not followed: a notification goes to
    /// the configured URL or nowhere.
    pub fn new(
        config: &Config,
        secrets: Arc<Secrets>,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Result<Option<Self>, Error> {
        let Some(url) = config.webhook_url.clone() else {
            return Ok(None);
        };
        let limits = &config.limits;
        Ok(Some(Self {
            http: crate::http::client(|builder| builder.timeout(limits.webhook_timeout))?,
            url,
            signature: config.webhook_signature,
            secrets,
            policy: limits.retry_policy(),
            clock,
            counters,
        }))
    }

    /// Notifies the receiver, which accepts with 2xx. Anything else is retried within the run. A notification that
    /// must be signed and cannot be is not sent: [`ErrorKind::WebhookUnsignable`].
    pub async fn deliver(&self, news: &News, deadline: &Deadline) -> Result<(), Error> {
        self.post(&news.id(), &news.body().to_string(), deadline).await
    }

    /// Sends an event that is about no recording, `recording.archiver.test`, signed like any other.
    #[cfg(feature = "cli")]
    pub async fn test(&self, deadline: &Deadline) -> Result<(), Error> {
        let id = format!("msg_{}", Uuid::new_v4().simple());
        let body = json!({"event": "recording.archiver.test", "timestamp": self.clock.now().to_string()});
        self.post(&id, &body.to_string(), deadline).await
    }

    async fn post(&self, id: &str, body: &str, deadline: &Deadline) -> Result<(), Error> {
        let mut retry = Retry::new(self.policy, deadline);
        loop {
            // Signed anew each time: the receiver refuses old timestamps.
            let timestamp = self.clock.now().as_second();
            let mut request = self
                .http
                .post(self.url.clone())
                .header("content-type", "application/json")
                .header(standardwebhooks::HEADER_WEBHOOK_ID, id)
                .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, timestamp.to_string())
                .body(body.to_owned());
            let signed = self.signatures(id, timestamp, body).await;
            if let Some(signature) = signed.inspect_err(|_| self.counters.webhook_failures.add_one())? {
                request = request.header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signature);
            }
            let (error, asked) = match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => {
                    let message = format!("the webhook's receiver answered {}", response.status().as_u16());
                    (
                        Error::new(ErrorKind::WebhookDown, message),
                        retry_after(response.headers()),
                    )
                }
                Err(error) => {
                    let error =
                        Error::new(ErrorKind::WebhookDown, "the webhook's receiver cannot be reached")
                            .caused_by(crate::error::chain(&error.without_url()));
                    (error, None)
                }
            };
            self.counters.webhook_failures.add_one();
            if asked.is_some_and(|asked| asked > self.policy.cap) {
                return Err(error); // A later run costs less than sleeping so long in this one.
            }
            retry.wait(error, asked).await?;
        }
    }

    /// Returns the value of `webhook-signature`, one signature for each key; `None` for an unsigned notification.
    async fn signatures(&self, id: &str, timestamp: i64, body: &str) -> Result<Option<String>, Error> {
        let unreadable = |error: Error| {
            Error::new(
                ErrorKind::WebhookDown,
                "the webhook's notification cannot be signed",
            )
            .caused_by(error)
        };
        let unsignable = |why: &str| {
            let message = format!(
                "the webhook's notification was kept back, as the secret GENESYS_SECRET_ID cannot sign it: {why}"
            );
            Err(Error::new(ErrorKind::WebhookUnsignable, message))
        };
        let credentials = self.secrets.get().await.map_err(unreadable)?;
        let unsigned_is_fine = self.signature == WebhookSignature::Optional;
        match &credentials.webhook {
            WebhookKeys::Keys(keys) => sign(keys, id, timestamp, body).map(Some),
            WebhookKeys::Unusable(why) => unsignable(why),
            WebhookKeys::Misspelt(_) | WebhookKeys::None if unsigned_is_fine => Ok(None),
            WebhookKeys::Misspelt(why) => unsignable(&format!(
                "{why}; call it webhookSecret, or set WEBHOOK_SIGNATURE=optional to send unsigned"
            )),
            WebhookKeys::None if self.signature == WebhookSignature::Required => {
                unsignable("it holds no webhookSecret, and WEBHOOK_SIGNATURE is required")
            }
            WebhookKeys::None => match self
                .secrets
                .held_webhook_key(&credentials)
                .await
                .map_err(unreadable)?
            {
                false => Ok(None),
                true => unsignable(
                    "its former version held a webhookSecret, and this one holds none; put it back, or set \
                     WEBHOOK_SIGNATURE=optional to send unsigned",
                ),
            },
        }
    }
}

/// Signs with each key, as a receiver may know an old or a new one while they are exchanged.
fn sign(keys: &[SecretString], id: &str, timestamp: i64, body: &str) -> Result<String, Error> {
    let signatures = keys.iter().map(|key| {
        standardwebhooks::Webhook::new(key.expose_secret())
            .and_then(|webhook| webhook.sign(id, timestamp, body.as_bytes()))
            .map_err(|error| {
                Error::new(ErrorKind::WebhookUnsignable, "a webhookSecret cannot sign").caused_by(error)
            })
    });
    Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recording::{ConversationId, RecordingId};

    #[test]
    fn the_body_reads_as_documented_and_the_id_is_the_recordings_own() {
        let mut news = News {
            of: RecordingRef {
                conversation: ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap(),
                recording: Some(RecordingId::parse("e0000000-0000-4000-8000-000000000101").unwrap()),
                segment: None,
            },
            files: ["a", "b"].map(ArchivedFile::sample).into(),
            format: "wav".into(),
            archived_at: "2026-01-15T10:20:30Z".parse().unwrap(),
        };
        let hash = "ab".repeat(32);
        assert_eq!(
            news.body(),
            json!({
                "event": "recording.download.complete",
                "interactionId": "c0000000-0000-4000-8000-000000000001",
                "recordingId": "e0000000-0000-4000-8000-000000000101",
                "archiveKey": "s3://archive/a", "hash": hash, "sizeBytes": 7, "format": "wav",
                "timestamp": "2026-01-15T10:20:30Z",
                "files": [{"archiveKey": "s3://archive/a", "hash": hash, "sizeBytes": 7},
                          {"archiveKey": "s3://archive/b", "hash": hash, "sizeBytes": 7}],
            })
        );
        let id = news.id();
        news.archived_at = Timestamp::UNIX_EPOCH;
        assert_eq!(news.id(), id);
    }
}
