//! SQS by `winterbaume`, with a record of what was sent and the limits the mock does not know.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use serde_json::{Value, json};
use winterbaume_core::{MockRequest, MockResponse, MockService as _};
use winterbaume_sqs::SqsService;

use super::kept::{Journal, queue_name};
use crate::sim::names::ACCOUNT_ID;

/// The beginning of the mock's URLs of its queues.
const FOREIGN_URL: &str = "https://sqs.us-east-1.amazonaws.com";
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
const MAX_DELAY_SECONDS: i64 = 900;
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const MAX_BATCH: usize = 10;

/// A message as its sender gave it to SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// The message.
    pub body: String,
    /// Its own delay; `None` where the sender left it to the queue.
    pub delay_seconds: Option<i64>,
}

/// The queues of the simulator.
pub(super) struct Queues {
    service: SqsService,
    endpoint: String,
    sent: Mutex<Vec<(String, SentMessage)>>,
    journal: Option<Mutex<Journal>>,
}

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Queues {
    /// Opens the queues without messages, or with those that an earlier simulator left in the file `kept`.
    pub(super) fn open(endpoint: String, kept: Option<&Path>) -> io::Result<Self> {
        Ok(Self {
            service: SqsService::new(),
            endpoint,
            sent: Mutex::default(),
            journal: kept.map(Journal::open).transpose()?.map(Mutex::new),
        })
    }

    fn journal(&self) -> Option<MutexGuard<'_, Journal>> {
        let journal = self.journal.as_ref()?;
        Some(journal.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns how many messages are in a queue, the delayed and the hidden among them; `None` where they are not kept.
    pub(super) fn depth(&self, queue_url: &str) -> Option<usize> {
        Some(self.journal()?.depth(queue_name(queue_url)))
    }

    /// Returns the messages that were sent to a queue, in order, without the first `known`.
    pub(super) fn sent(&self, known: usize, queue_url: &str) -> Vec<SentMessage> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue_name(queue_url);
        sent.iter()
            .filter(|(name, _)| name == queue)
            .skip(known)
            .map(|(_, message)| message.clone())
            .collect()
    }

    pub(super) async fn call(&self, operation: &str, parts: Parts, body: Bytes) -> MockResponse {
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let messages = sent_messages(operation, &request);
        if let Some((code, message)) = refusal(&messages) {
            return error(code, &message);
        }
        let mut response = self.service.handle(mock_request(&parts, body)).await;
        if response.status == 200 {
            if let Err(failed) = self.keep(operation, &parts, &request, &response).await {
                return error("InternalError", &format!("writing down the messages: {failed}"));
            }
            let queue = queue_name(request["QueueUrl"].as_str().unwrap_or_default());
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            sent.extend(messages.into_iter().map(|message| (queue.to_owned(), message)));
        }
        if operation.ends_with("Queue") || operation.contains("QueueUrl") || operation.ends_with("Queues") {
            let text = String::from_utf8_lossy(&response.body);
            response.body = text.replace(FOREIGN_URL, &self.endpoint).into();
        }
        response
    }

    /// Writes down what a request did to the queues. A queue that is new begins with what an earlier simulator left in
    /// it.
    async fn keep(
        &self,
        operation: &str,
        parts: &Parts,
        request: &Value,
        response: &MockResponse,
    ) -> io::Result<()> {
        let answer = serde_json::from_slice(&response.body).unwrap_or_default();
        let left = match self.journal() {
            None => return Ok(()),
            Some(mut journal) if operation == "CreateQueue" => {
                journal.take(request["QueueName"].as_str().unwrap_or_default())
            }
            Some(mut journal) => return journal.note(operation, request, &answer),
        };
        for kept in left {
            let url = format!("{}/{ACCOUNT_ID}/{}", self.endpoint, kept.queue);
            let request = kept.request(&url);
            let mut mock = mock_request(parts, request.to_string().into());
            let target = HeaderValue::from_static("AmazonSQS.SendMessage");
            mock.headers.insert("x-amz-target", target);
            let answer = self.service.handle(mock).await;
            let answer: Value = serde_json::from_slice(&answer.body)?;
            if let Some(mut journal) = self.journal() {
                journal.note("SendMessage", &request, &answer)?;
                journal.forget(&kept.id)?;
            }
        }
        Ok(())
    }
}

/// Returns an HTTP request as the mocks take it.
pub(super) fn mock_request(parts: &Parts, body: Bytes) -> MockRequest {
    MockRequest {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        headers: parts.headers.clone(),
        body,
    }
}

fn sent_messages(operation: &str, request: &Value) -> Vec<SentMessage> {
    let message = |entry: &Value| SentMessage {
        body: entry["MessageBody"].as_str().unwrap_or_default().to_owned(),
        delay_seconds: entry["DelaySeconds"].as_i64(),
    };
    match operation {
        "SendMessage" => vec![message(request)],
        "SendMessageBatch" => request["Entries"]
            .as_array()
            .into_iter()
            .flatten()
            .map(message)
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns the code and message of the refusal SQS would answer with.
fn refusal(messages: &[SentMessage]) -> Option<(&'static str, String)> {
    if messages.len() > MAX_BATCH {
        return Some((
            "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are {MAX_BATCH}. You have sent {}.",
                messages.len()
            ),
        ));
    }
    if messages.iter().any(|message| message.body.is_empty()) {
        let reason = "The request must contain the parameter MessageBody.";
        return Some(("MissingParameter", reason.to_owned()));
    }
    let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
    let delay = messages
        .iter()
        .filter_map(|message| message.delay_seconds)
        .max()
        .unwrap_or(0);
    if bytes > MAX_MESSAGE_BYTES {
        let reason = format!("Message must be shorter than {MAX_MESSAGE_BYTES} bytes.");
        return Some(("InvalidParameterValue", reason));
    }
    if delay > MAX_DELAY_SECONDS {
        let reason = format!(
            "Value {delay} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= {MAX_DELAY_SECONDS}."
        );
        return Some(("InvalidParameterValue", reason));
    }
    None
}

fn error(code: &str, message: &str) -> MockResponse {
    MockResponse::json(400, json!({"__type": code, "message": message}).to_string())
}
