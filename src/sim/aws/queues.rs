//! SQS by `winterbaume`, with a record of what was sent and the limits the mock does not know.

use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::request::Parts;
use serde_json::{Value, json};
use winterbaume_core::{MockRequest, MockResponse, MockService as _};
use winterbaume_sqs::SqsService;

/// How the mock begins the URLs of its queues.
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
}

impl std::fmt::Debug for Queues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queues")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Queues {
    pub(super) fn new(endpoint: String) -> Self {
        Self {
            service: SqsService::new(),
            endpoint,
            sent: Mutex::default(),
        }
    }

    pub(super) fn sent(&self, queue_url: &str) -> Vec<SentMessage> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = queue_name(queue_url);
        sent.iter()
            .filter(|(name, _)| name == queue)
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
}

/// What an HTTP request looks like to the mocks.
pub(super) fn mock_request(parts: &Parts, body: Bytes) -> MockRequest {
    MockRequest {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        headers: parts.headers.clone(),
        body,
    }
}

fn queue_name(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or_default()
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

/// The code and message of the refusal SQS would answer with.
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
