//! DynamoDB by `dynoxide`, which has its own HTTP server: it runs on an inner port, and the front
//! passes requests on to it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode, request::Parts};
use dynoxide::Database;
use tokio::task::JoinHandle;

use crate::sim::wire::bind;

/// The way to the inner server.
#[derive(Debug, Clone)]
pub(super) struct Inner {
    address: SocketAddr,
    client: reqwest::Client,
}

/// Opens the database, in memory without a path, and serves it until the task is aborted.
pub(super) async fn start(path: Option<&Path>) -> io::Result<(Inner, JoinHandle<()>)> {
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
    let task = tokio::spawn(dynoxide::server::serve_on(listener, database));
    Ok((Inner { address, client }, task))
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
