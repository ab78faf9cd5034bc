//! The receiver of webhooks: checks signatures as the Standard Webhooks specification tells a consumer
//! to, keeps every delivery, and answers as it is set to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::hmac::hmac_sha256;
use super::site::{Ports, Site};
use super::wire::{Service, Wire, bind_on};

/// The most that the timestamp of a delivery may be off, in seconds.
const TOLERANCE: u64 = 300;

/// A running receiver; clones are handles to the same one, and it stops with the last of them.
#[derive(Debug, Clone)]
pub struct Receiver {
    state: Arc<Mutex<Inbox>>,
    running: Arc<Running>,
}

/// One delivery as it came in.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// `webhook-id`; empty if there was none.
    pub id: String,
    /// `webhook-timestamp` in seconds since 1970, if there was one.
    pub timestamp: Option<u64>,
    /// True where one of the signatures is right for these bytes, this id and this, recent, timestamp.
    pub verified: bool,
    /// The body; `Null` if it is no JSON.
    pub body: Value,
    /// The body, byte for byte.
    pub bytes: Bytes,
    /// All headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The status it was answered with.
    pub answer: u16,
}

/// The answer to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// This status, without a body.
    Status(u16),
    /// `307 Temporary Redirect` to this URL.
    Redirect(String),
}

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self::Status(status)
    }
}

#[derive(Debug)]
struct Running {
    url: String,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Inbox {
    key: Vec<u8>,
    deliveries: Vec<Delivery>,
    script: VecDeque<Answer>,
    always: Answer,
}

impl Receiver {
    /// Starts a receiver at `port` (0: any free one) that shares `secret` with the sender. As in the
    /// specification it is base64, with or without `whsec_` before it; anything else counts as its bytes.
    pub async fn start(wire: &Wire, port: u16, secret: &str) -> std::io::Result<Self> {
        let ports = Ports {
            webhook: port,
            ..Ports::default()
        };
        Self::start_at(wire, &Site::loopback(ports), secret).await
    }

    /// Starts a receiver on the webhook's port of the site.
    pub async fn start_at(wire: &Wire, site: &Site, secret: &str) -> std::io::Result<Self> {
        let (listener, address) = bind_on(site.bind, site.ports.webhook).await?;
        let state = Arc::new(Mutex::new(Inbox {
            key: key(secret),
            deliveries: Vec::new(),
            script: VecDeque::new(),
            always: Answer::Status(204),
        }));
        let router = Router::new()
            .route("/hook", post(receive))
            .with_state(state.clone());
        let task = wire.serve(listener, router, classify);
        Ok(Self {
            state,
            running: Arc::new(Running {
                url: format!("{}/hook", site.url(address.port())),
                task,
            }),
        })
    }

    /// Returns the URL for deliveries.
    pub fn url(&self) -> String {
        self.running.url.clone()
    }

    /// Returns everything that was delivered, in order of arrival.
    pub fn deliveries(&self) -> Vec<Delivery> {
        lock(&self.state).deliveries.clone()
    }

    /// Scripts the answers to the next deliveries, one each; 204 when none is left.
    pub fn answer_with<A: Into<Answer>>(&self, answers: impl IntoIterator<Item = A>) {
        let answers = answers.into_iter().map(Into::into);
        lock(&self.state).script.extend(answers);
    }

    /// Sets the answer to every delivery once the script is over.
    pub fn always_answer(&self, answer: impl Into<Answer>) {
        lock(&self.state).always = answer.into();
    }

    /// Changes the secret.
    pub fn set_secret(&self, secret: &str) {
        lock(&self.state).key = key(secret);
    }
}

fn key(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix("whsec_").unwrap_or(secret);
    STANDARD
        .decode(encoded)
        .unwrap_or_else(|_| secret.as_bytes().to_vec())
}

fn classify(_parts: &Parts) -> Option<(Service, String)> {
    Some((Service::Webhook, "deliver".to_owned()))
}

async fn receive(State(state): State<Arc<Mutex<Inbox>>>, headers: HeaderMap, bytes: Bytes) -> Response {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut inbox = lock(&state);
    let answer = match inbox.script.pop_front() {
        Some(answer) => answer,
        None => inbox.always.clone(),
    };
    let response = match &answer {
        Answer::Status(status) => StatusCode::from_u16(*status)
            .unwrap_or(StatusCode::NOT_IMPLEMENTED)
            .into_response(),
        Answer::Redirect(url) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, url.clone())]).into_response()
        }
    };
    let delivery = Delivery {
        id: text("webhook-id").unwrap_or_default().to_owned(),
        timestamp: text("webhook-timestamp").and_then(|timestamp| timestamp.parse().ok()),
        verified: verified(&inbox.key, &headers, &bytes).unwrap_or(false),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        bytes,
        headers: headers
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect(),
        answer: response.status().as_u16(),
    };
    inbox.deliveries.push(delivery);
    response
}

/// Checks signatures of the form `v1,<base64 of HMAC-SHA-256 over id.timestamp.body>`, separated by spaces.
fn verified(key: &[u8], headers: &HeaderMap, body: &[u8]) -> Option<bool> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (id, timestamp) = (text("webhook-id")?, text("webhook-timestamp")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    let recent = now.abs_diff(timestamp.parse().ok()?) <= TOLERANCE;
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let expected = format!("v1,{}", STANDARD.encode(hmac_sha256(key, &signed)));
    let signatures = text("webhook-signature")?;
    Some(recent && signatures.split(' ').any(|signature| signature == expected))
}

fn lock(state: &Arc<Mutex<Inbox>>) -> MutexGuard<'_, Inbox> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
