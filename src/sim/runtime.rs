//! The Lambda Runtime API, as far as a function needs it:
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>. With it the built binary runs as it does in
//! Lambda, without Lambda.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::wire::{Wire, bind};

/// The answer of the function: its response, or its error.
pub type Answer = Result<Value, Value>;

/// A running Runtime API. Stops when dropped.
#[derive(Debug)]
pub struct RuntimeApi {
    address: SocketAddr,
    invocations: mpsc::UnboundedSender<Pending>,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Pending {
    id: String,
    event: Value,
    deadline: SystemTime,
}

#[derive(Debug)]
struct Shared {
    queue: tokio::sync::Mutex<mpsc::UnboundedReceiver<Pending>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Answer>>>,
    polled: Notify,
    count: Mutex<u64>,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RuntimeApi {
    /// Serves on any free port of loopback.
    pub async fn start() -> std::io::Result<Self> {
        let (listener, address) = bind(0).await?;
        let (invocations, queue) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queue: tokio::sync::Mutex::new(queue),
            waiting: Mutex::default(),
            polled: Notify::new(),
            count: Mutex::default(),
        });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2020-01-01/extension/register", post(register))
            .route(
                "/2020-01-01/extension/event/next",
                get(std::future::pending::<()>),
            )
            .with_state(shared.clone());
        let task = Wire::default().serve(listener, router, |_| None);
        Ok(Self {
            address,
            invocations,
            shared,
            task,
        })
    }

    /// Returns the value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the function asks for work for the first time: it is up.
    pub async fn first_poll(&self) {
        self.shared.polled.notified().await;
    }

    /// Stops as a stopped emulator does: every connection closes, and nobody listens any more.
    pub async fn stop(&mut self) {
        self.task.abort();
        // An error: it was aborted.
        let _ = (&mut self.task).await;
    }

    /// Invokes the function, with this much time for it, and waits for its answer.
    pub async fn invoke(&self, event: Value, remaining: Duration) -> Answer {
        self.invoke_until(event, SystemTime::now() + remaining).await
    }

    /// Invokes the function with this deadline, and waits for its answer. cargo-lambda's emulator names one in 1970.
    pub async fn invoke_until(&self, event: Value, deadline: SystemTime) -> Answer {
        let id = {
            let mut count = lock(&self.shared.count);
            *count += 1;
            format!("00000000-0000-4000-8000-{count:012}")
        };
        let (answer, answered) = oneshot::channel();
        lock(&self.shared.waiting).insert(id.clone(), answer);
        let pending = Pending { id, event, deadline };
        let gone = |what: &str| Err(json!({"errorMessage": what}));
        if self.invocations.send(pending).is_err() {
            return gone("the Runtime API stopped");
        }
        answered
            .await
            .unwrap_or_else(|_| gone("the function gave no answer"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.polled.notify_one();
    let Some(pending) = shared.queue.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let deadline = pending
        .deadline
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let headers = [
        ("lambda-runtime-aws-request-id", pending.id),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:archiver".to_owned(),
        ),
        (
            "lambda-runtime-trace-id",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".to_owned(),
        ),
    ];
    (headers, Json(pending.event)).into_response()
}

async fn response(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    settle(&shared, &id, Ok(json_of(&body)))
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> StatusCode {
    settle(&shared, &id, Err(json_of(&body)))
}

/// Reads a body as JSON, as the runtime client names no content type.
fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn settle(shared: &Shared, id: &str, answer: Answer) -> StatusCode {
    match lock(&shared.waiting).remove(id) {
        // An error means that nobody waits for the answer any more.
        Some(waiting) => {
            let _ = waiting.send(answer);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}

async fn register(headers: HeaderMap) -> Response {
    if headers.get("lambda-extension-name").is_none() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let body = json!({"functionName": "archiver", "functionVersion": "$LATEST", "handler": "bootstrap"});
    (
        [(
            "lambda-extension-identifier",
            "11111111-2222-4333-8444-555555555555",
        )],
        Json(body),
    )
        .into_response()
}
