//! The webhook: tells the receiver where a recording lies, signed as Standard Webhooks says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::sync::Arc;

use jiff::Timestamp;
use reqwest::{Client, Url};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::archive::recording::{ArchivedFile, RecordingRef};
use crate::aws::secrets::Secrets;
use crate::clock::{Clock, Deadline};
use crate::config::LimitConfig;
use crate::error::{Error, ErrorKind};
use crate::retry::{Retry, RetryPolicy, retry_after};
use crate::telemetry::Counters;

/// The receiver of the news.
#[derive(Debug)]
pub struct Webhook {
    http: Client,
    url: Url,
    secrets: Arc<Secrets>,
    policy: RetryPolicy,
    clock: Clock,
    counters: Arc<Counters>,
}

/// What the receiver is told; the same whenever it is told again.
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
    /// `webhook-id`: made of the recording alone, so that it stays the same across tries, runs and years.
    pub fn id(&self) -> String {
        let name = format!("{}/{}", self.of.conversation, self.of.recording_key());
        format!(
            "msg_{}",
            Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).simple()
        )
    }

    /// The body.
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

/// What the receiver is told of one file.
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
    /// A receiver at `url`. Redirects are not followed: the news goes where it was configured to go, or nowhere.
    pub fn new(
        url: Url,
        secrets: Arc<Secrets>,
        limits: &LimitConfig,
        clock: Clock,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        let http = crate::http::client(|builder| builder.timeout(limits.webhook_timeout))?;
        let policy = RetryPolicy::new(limits.max_attempts, limits.backoff_base);
        Ok(Self {
            http,
            url,
            secrets,
            policy,
            clock,
            counters,
        })
    }

    /// Tells the receiver; 2xx means that it took the news. Anything else is tried again within the run.
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
            // Whatever keeps it from being signed keeps the news from being told; the recording is archived.
            let signed = self.sign(id, timestamp, body).await.map_err(|error| {
                let message = "the webhook's news cannot be signed";
                Error::new(ErrorKind::WebhookDown, message).caused_by(error)
            });
            if let Some(signature) = signed? {
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

    async fn sign(&self, id: &str, timestamp: i64, body: &str) -> Result<Option<String>, Error> {
        let credentials = self.secrets.get().await?;
        let Some(secret) = &credentials.webhook_secret else {
            return Ok(None);
        };
        let signed = standardwebhooks::Webhook::new(secret.expose_secret())
            .and_then(|webhook| webhook.sign(id, timestamp, body.as_bytes()));
        signed.map(Some).map_err(|error| {
            Error::transient("the webhookSecret in the secret GENESYS_SECRET_ID cannot sign").caused_by(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::recording::{ConversationId, RecordingId};

    #[test]
    fn the_body_reads_as_documented_and_the_id_is_the_recordings_own() {
        let file = |name: &str| ArchivedFile {
            archive_key: format!("s3://archive/{name}"),
            sha256: "ab".repeat(32),
            size_bytes: 7,
            format: "wav".to_owned(),
            attempt_id: Uuid::nil(),
            channel: None,
            part: None,
            part_name: None,
            format_found: None,
            crc64nvme: None,
        };
        let mut news = News {
            of: RecordingRef {
                conversation: ConversationId::parse("c0000000-0000-4000-8000-000000000001").unwrap(),
                recording: Some(RecordingId::parse("e0000000-0000-4000-8000-000000000101").unwrap()),
                segment: None,
            },
            files: vec![file("a"), file("b")],
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
