//! DynamoDB by `dynoxide`, which has its own HTTP server: it runs on an inner port, and the front
//! passes requests on to it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, request::Parts};
use dynoxide::{AttributeValue, Database, ImportOptions};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::sim::wire::bind;

/// The way to the inner server.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    address: SocketAddr,
    client: reqwest::Client,
}

/// Opens the database, in memory without a path, and serves it until the task is aborted.
pub(super) async fn start(path: Option<&Path>) -> io::Result<(Inner, Tables, JoinHandle<()>)> {
    let database = match path {
        None => Database::memory(),
        Some(path) => Database::new(&path.to_string_lossy()),
    };
    let database = database.map_err(|error| io::Error::other(error.to_string()))?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(io::Error::other)?;
    let (listener, address) = bind(0).await?;
    let task = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
    Ok((Inner { address, client }, Tables(database), task))
}

/// The tables themselves, without a server.
pub(super) struct Tables(Database);

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

impl Tables {
    /// Puts items into a table, and waits for no disk from then on.
    pub(super) fn load(&self, table: &str, items: Vec<Value>) -> io::Result<()> {
        let items = items.into_iter().map(|item| match attribute(item) {
            AttributeValue::M(item) => Ok(item),
            other => Err(io::Error::other(format!("not an item: {other:?}"))),
        });
        let items = items.collect::<io::Result<_>>()?;
        let failed = |error: dynoxide::DynoxideError| io::Error::other(error.to_string());
        self.0.enable_bulk_loading().map_err(failed)?;
        let loaded = self.0.import_items(table, items, ImportOptions::default());
        loaded.map(drop).map_err(failed)
    }
}

fn attribute(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::NULL(true),
        Value::Bool(is) => AttributeValue::BOOL(is),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        Value::Object(values) => {
            let values = values.into_iter();
            AttributeValue::M(values.map(|(name, value)| (name, attribute(value))).collect())
        }
    }
}

impl Inner {
    pub(super) async fn call(&self, parts: Parts, body: Bytes) -> Response<Body> {
        match self.forward(parts, body).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = Response::new(Body::from(error.to_string()));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    async fn forward(&self, parts: Parts, body: Bytes) -> reqwest::Result<Response<Body>> {
        let answer = self
            .client
            .post(format!("http://{}/", self.address))
            .headers(parts.headers)
            .body(body)
            .send()
            .await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = Response::new(Body::from(answer.bytes().await?));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
