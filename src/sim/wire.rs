//! The wire under every simulated service: it numbers, records and disturbs each request.
//!
//! All simulators share one [`Wire`], so a test can speak of "the 7th request of the run" whatever
//! service it went to, and can cut, delay or replace exactly that exchange.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, request::Parts};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

/// The service a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Service {
    /// `login.{domain}`: `token`.
    Login,
    /// `api.{domain}`: `recordingmetadata`, `recording`, `interaction`, `interaction-download`, ...
    Genesys,
    /// The host of the signed URLs: `media`.
    Media,
    /// Operation names of the S3 API: `PutObject`, `UploadPart`, ...
    S3,
    /// Operation names of the DynamoDB API: `TransactWriteItems`, ...
    DynamoDb,
    /// Operation names of the SQS API: `SendMessage`, ...
    Sqs,
    /// Operation names of the Secrets Manager API: `GetSecretValue`.
    SecretsManager,
    /// Operation names of the KMS API: `Sign`, ...
    Kms,
    /// SNS: `Query`, whatever the operation.
    Sns,
    /// Operation names of the DynamoDB Streams API: `GetRecords`, ...
    Streams,
    /// The only operation of Lambda: `Invoke`.
    Lambda,
    /// The only operation of STS: `GetCallerIdentity`.
    Sts,
    /// The webhook receiver: `deliver`.
    Webhook,
}

/// One request as the wire saw it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// Position among all requests of all services, from 1.
    pub seq: usize,
    /// The service that was asked.
    pub service: Service,
    /// The operation, by the service's own name.
    pub operation: String,
    /// HTTP method.
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Request headers, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Status of the answer; `None` while it is under way or when it was never sent.
    pub status: Option<u16>,
}

/// A fault that befalls a request instead of the ordinary answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service never sees the request; this is the answer.
    Respond {
        /// Status code.
        status: u16,
        /// Response headers.
        headers: Vec<(String, String)>,
        /// Response body.
        body: Vec<u8>,
    },
    /// The service never sees the request; the connection closes without an answer.
    Reset,
    /// The service never sees the request, and no answer ever comes.
    Hang,
    /// The service does what was asked; the connection closes without an answer.
    ApplyThenReset,
    /// The service does what was asked, and no answer ever comes.
    ApplyThenHang,
    /// The service answers, so much later.
    Delay(Duration),
    /// The request waits before the service until the gate opens: it comes late, as out of a frozen sandbox.
    Hold(Gate),
    /// The service does what was asked; its answer waits until the gate opens.
    ApplyThenHold(Gate),
}

/// Holds requests or answers back until it is opened; cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl Gate {
    /// Lets everything pass, now and later.
    pub fn open(&self) {
        self.0.close();
    }

    async fn pass(&self) {
        // There are no permits: this returns when the semaphore is closed.
        let _ = self.0.acquire().await;
    }
}

impl Fault {
    /// Returns an answer with this status, an empty body and no further headers.
    pub fn status(status: u16) -> Self {
        Self::Respond {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

type Matcher = Box<dyn FnMut(&Exchange) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    exchanges: Vec<Exchange>,
    rules: Vec<Matcher>,
    latency: Duration,
}

/// The shared record and fault script; cheap to clone.
#[derive(Clone, Default)]
pub struct Wire {
    state: Arc<Mutex<State>>,
    changed: Arc<tokio::sync::Notify>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("exchanges", &self.lock().exchanges.len())
            .finish_non_exhaustive()
    }
}

impl Wire {
    /// Asks `rule` about each request to come, before those added earlier; the first fault named wins.
    pub fn disturb(&self, rule: impl FnMut(&Exchange) -> Option<Fault> + Send + 'static) {
        self.lock().rules.insert(0, Box::new(rule));
    }

    /// Applies `fault` to the next `times` requests of one operation.
    pub fn disturb_next(&self, service: Service, operation: &str, times: usize, fault: Fault) {
        let (operation, mut left) = (operation.to_owned(), times);
        self.disturb(move |exchange| {
            let hit = left > 0 && exchange.service == service && exchange.operation == operation;
            left -= usize::from(hit);
            hit.then(|| fault.clone())
        });
    }

    /// Forgets all rules.
    pub fn calm(&self) {
        self.lock().rules.clear();
    }

    /// Delays every answer of every service, as a network would.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// Returns all requests so far, in order of arrival.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.lock().exchanges.clone()
    }

    /// Forgets all requests so far; those to come are numbered from 1 again.
    pub fn forget(&self) {
        self.lock().exchanges.clear();
    }

    /// Returns how many requests of one operation have arrived.
    pub fn count(&self, service: Service, operation: &str) -> usize {
        self.lock()
            .exchanges
            .iter()
            .filter(|e| e.service == service && e.operation == operation)
            .count()
    }

    /// Waits until `ready` holds for the requests so far.
    pub async fn wait_until(&self, mut ready: impl FnMut(&[Exchange]) -> bool) {
        loop {
            let changed = self.changed.notified();
            if ready(&self.lock().exchanges) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(&self, service: Service, operation: String, parts: &Parts) -> (usize, Option<Fault>, Duration) {
        let mut state = self.lock();
        let seq = state.exchanges.len() + 1;
        let exchange = Exchange {
            seq,
            service,
            operation,
            method: parts.method.to_string(),
            target: parts
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            headers: parts
                .headers
                .iter()
                .map(|(name, value)| {
                    (
                        name.to_string(),
                        String::from_utf8_lossy(value.as_bytes()).into_owned(),
                    )
                })
                .collect(),
            status: None,
        };
        let fault = state.rules.iter_mut().find_map(|rule| rule(&exchange));
        state.exchanges.push(exchange);
        let latency = state.latency;
        drop(state);
        self.changed.notify_waiters();
        (seq, fault, latency)
    }

    fn answered(&self, seq: usize, status: StatusCode) {
        // None of this number: it arrived before all were forgotten.
        if let Some(exchange) = self.lock().exchanges.get_mut(seq - 1) {
            exchange.status = Some(status.as_u16());
        }
        self.changed.notify_waiters();
    }

    /// Serves `router` on `listener` for as long as the returned task runs. `classify` names the
    /// service and the operation of a request; `None` leaves it out of the record and untouched.
    pub fn serve(
        &self,
        listener: TcpListener,
        router: Router,
        classify: fn(&Parts) -> Option<(Service, String)>,
    ) -> tokio::task::JoinHandle<()> {
        let wire = self.clone();
        tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let Ok((socket, _peer)) = listener.accept().await else {
                    continue;
                };
                let _ = socket.set_nodelay(true);
                while connections.try_join_next().is_some() {}
                let (wire, router) = (wire.clone(), router.clone());
                let service = hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                    wire.clone()
                        .answer(router.clone(), classify, request.map(Body::new))
                });
                connections.spawn(async move {
                    // An error here is a client gone away or a fault of ours: both are what the test wanted.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .preserve_header_case(false)
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        })
    }

    async fn answer(
        self,
        router: Router,
        classify: fn(&Parts) -> Option<(Service, String)>,
        request: Request<Body>,
    ) -> Result<Response<Body>, Cut> {
        let (parts, body) = request.into_parts();
        let Some((service, operation)) = classify(&parts) else {
            return Ok(apply(router, Request::from_parts(parts, body)).await);
        };
        let (seq, fault, latency) = self.arrive(service, operation, &parts);
        let request = Request::from_parts(parts, body);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let response = match fault {
            None => apply(router, request).await,
            Some(Fault::Respond {
                status,
                headers,
                body,
            }) => respond(status, &headers, body),
            Some(Fault::Reset) => return Err(Cut),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::ApplyThenReset) => {
                let response = apply(router, request).await;
                self.answered(seq, response.status());
                return Err(Cut);
            }
            Some(Fault::ApplyThenHang) => {
                let response = apply(router, request).await;
                self.answered(seq, response.status());
                std::future::pending().await
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                apply(router, request).await
            }
            Some(Fault::Hold(gate)) => {
                gate.pass().await;
                apply(router, request).await
            }
            Some(Fault::ApplyThenHold(gate)) => {
                let response = apply(router, request).await;
                self.answered(seq, response.status());
                gate.pass().await;
                return Ok(response);
            }
        };
        self.answered(seq, response.status());
        Ok(response)
    }
}

async fn apply(router: Router, request: Request<Body>) -> Response<Body> {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => {
            let never: Infallible = never;
            match never {}
        }
    }
}

fn respond(status: u16, headers: &[(String, String)], body: Vec<u8>) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("fault script: {error}")));
        *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
        response
    })
}

/// The reason a connection closes without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by the fault script")
    }
}

impl std::error::Error for Cut {}

/// Binds `port` on loopback (0: any free one).
pub(super) async fn bind(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    bind_on(Ipv4Addr::LOCALHOST.into(), port).await
}

/// Binds `port` (0: any free one) on this address of the machine. A refusal names both.
pub(super) async fn bind_on(ip: IpAddr, port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let wanted = SocketAddr::new(ip, port);
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("cannot listen on {wanted}: {error}"));
    let listener = TcpListener::bind(wanted).await.map_err(named)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
