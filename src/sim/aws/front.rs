//! The front: whose request is it, and what does it ask for?

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use axum::http::{Method, Request, Response, StatusCode, request::Parts};
use s3s::service::S3Service;
use tower::ServiceExt as _;
use winterbaume_core::{MockResponse, MockService as _};
use winterbaume_secretsmanager::SecretsManagerService;

use super::s3::cold::Accepted;
use super::{dynamodb, functions, kms, queues, topics};
use crate::sim::names::ACCOUNT_ID;
use crate::sim::wire::Service;

/// More than any of the JSON services accepts.
const MAX_JSON: usize = 32 * 1024 * 1024;

/// The services behind the endpoint.
#[derive(Clone)]
pub(super) struct Services {
    pub(super) s3: S3Service,
    pub(super) dynamodb: dynamodb::Inner,
    pub(super) queues: Arc<queues::Queues>,
    pub(super) keys: Arc<kms::Keys>,
    pub(super) topics: Arc<topics::Topics>,
    pub(super) functions: Arc<functions::Functions>,
    pub(super) secrets: Arc<SecretsManagerService>,
}

/// Returns one router for everything: AWS tells services apart by host name, the simulator by `X-Amz-Target`.
pub(super) fn router(services: Services) -> Router {
    Router::new().fallback(move |request: Request<Body>| services.clone().dispatch(request))
}

/// Names service and operation for the wire.
pub(super) fn classify(parts: &Parts) -> Option<(Service, String)> {
    let (service, operation) = target(parts).unwrap_or_else(|| (Service::S3, s3_operation(parts)));
    Some((service, operation.to_owned()))
}

/// Returns whether a request is one of the query protocol, which STS and SNS have.
///
/// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonParameters.html>
fn is_query(parts: &Parts) -> bool {
    let form = |value: &HeaderValue| value.as_bytes().starts_with(b"application/x-www-form-urlencoded");
    parts.method == Method::POST
        && parts.uri.path() == "/"
        && parts.headers.get(CONTENT_TYPE).is_some_and(form)
}

fn target(parts: &Parts) -> Option<(Service, &str)> {
    if functions::is_lambda(parts) {
        return Some((Service::Lambda, "Invoke"));
    }
    if is_query(parts) {
        // The operation stands in the body; whose it is, in the scope of the signature.
        let signature = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        return Some(
            match signature.is_some_and(|signature| signature.contains("/sns/")) {
                true => (Service::Sns, "Query"),
                false => (Service::Sts, "GetCallerIdentity"),
            },
        );
    }
    let (prefix, operation) = parts
        .headers
        .get("x-amz-target")?
        .to_str()
        .ok()?
        .split_once('.')?;
    let service = match prefix {
        "DynamoDB_20120810" => Service::DynamoDb,
        "DynamoDBStreams_20120810" => Service::Streams,
        "AmazonSQS" => Service::Sqs,
        "TrentService" => Service::Kms,
        "secretsmanager" => Service::SecretsManager,
        _ => return None,
    };
    Some((service, operation))
}

/// Returns the S3 operation by method, path depth, query and headers.
///
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html>
fn s3_operation(parts: &Parts) -> &'static str {
    let query = parts.uri.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.split('=').next() == Some(name));
    let (bucket, key) = match parts.uri.path().trim_start_matches('/').split_once('/') {
        Some((bucket, key)) => (bucket, !key.is_empty()),
        None => (parts.uri.path().trim_start_matches('/'), false),
    };
    let copy = parts.headers.contains_key("x-amz-copy-source");
    match (parts.method.as_str(), key) {
        ("GET", false) if bucket.is_empty() => "ListBuckets",
        ("GET", false) if has("uploads") => "ListMultipartUploads",
        ("GET", false) if has("location") => "GetBucketLocation",
        ("GET", false) if has("versions") => "ListObjectVersions",
        ("GET", false) if has("list-type") => "ListObjectsV2",
        ("GET", false) if has("versioning") => "GetBucketVersioning",
        ("GET", false) if has("policy") => "GetBucketPolicy",
        ("GET", false) if has("encryption") => "GetBucketEncryption",
        ("GET", false) if has("object-lock") => "GetObjectLockConfiguration",
        ("GET", false) => "ListObjects",
        ("PUT", false) if has("versioning") => "PutBucketVersioning",
        ("PUT", false) if has("policy") => "PutBucketPolicy",
        ("PUT", false) => "CreateBucket",
        ("HEAD", false) => "HeadBucket",
        ("DELETE", false) => "DeleteBucket",
        ("POST", false) if has("delete") => "DeleteObjects",
        ("GET", true) if has("uploadId") => "ListParts",
        ("GET", true) if has("tagging") => "GetObjectTagging",
        ("GET", true) if has("attributes") => "GetObjectAttributes",
        ("GET", true) if has("retention") => "GetObjectRetention",
        ("GET", true) => "GetObject",
        ("HEAD", true) => "HeadObject",
        ("PUT", true) if has("uploadId") && copy => "UploadPartCopy",
        ("PUT", true) if has("uploadId") => "UploadPart",
        ("PUT", true) if has("tagging") => "PutObjectTagging",
        ("PUT", true) if has("retention") => "PutObjectRetention",
        ("PUT", true) if has("legal-hold") => "PutObjectLegalHold",
        ("PUT", true) if copy => "CopyObject",
        ("PUT", true) => "PutObject",
        ("POST", true) if has("restore") => "RestoreObject",
        ("POST", true) if has("uploads") => "CreateMultipartUpload",
        ("POST", true) if has("uploadId") => "CompleteMultipartUpload",
        ("DELETE", true) if has("uploadId") => "AbortMultipartUpload",
        ("DELETE", true) if has("tagging") => "DeleteObjectTagging",
        ("DELETE", true) => "DeleteObject",
        _ => "Unknown",
    }
}

impl Services {
    async fn dispatch(self, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let Some((service, operation)) = target(&parts) else {
            if parts.headers.contains_key("x-amz-target") {
                return unknown_operation();
            }
            return self.object_storage(Request::from_parts(parts, body)).await;
        };
        let operation = operation.to_owned();
        let body: Bytes = match axum::body::to_bytes(body, MAX_JSON).await {
            Ok(body) if parts.method == Method::POST => body,
            _ => return plain(StatusCode::BAD_REQUEST, "expected a POST with a small body"),
        };
        match service {
            Service::Sts => caller_identity(&body),
            Service::Sns => self.topics.call(&body),
            Service::Lambda => self.functions.call(&parts, &body).await,
            Service::DynamoDb | Service::Streams => self.dynamodb.call(parts, body).await,
            Service::Kms => self.keys.call(&operation, &body),
            Service::Sqs => answer(self.queues.call(&operation, parts, body).await),
            _ => answer(self.secrets.handle(queues::mock_request(&parts, body)).await),
        }
    }

    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html>
    async fn object_storage(self, request: Request<Body>) -> Response<Body> {
        let expected = request.headers().get("x-amz-expected-bucket-owner");
        if expected.is_some_and(|owner| owner != ACCOUNT_ID) {
            return access_denied();
        }
        match self.s3.oneshot(request).await {
            Ok(response) => {
                let mut response = response.map(Body::new);
                if response.extensions().get::<Accepted>().is_some() {
                    *response.status_mut() = StatusCode::ACCEPTED;
                }
                response
            }
            Err(error) => plain(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("S3 simulator: {error:?}"),
            ),
        }
    }
}

/// Answers `GetCallerIdentity`: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>
fn caller_identity(body: &[u8]) -> Response<Body> {
    let asked = String::from_utf8_lossy(body);
    if !asked.split('&').any(|pair| pair == "Action=GetCallerIdentity") {
        return plain(StatusCode::BAD_REQUEST, "STS simulator: only GetCallerIdentity");
    }
    let body = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{ACCOUNT_ID}:user/simulated</Arn><UserId>AIDASIMULATED</UserId>\
         <Account>{ACCOUNT_ID}</Account></GetCallerIdentityResult><ResponseMetadata>\
         <RequestId>01234567-89ab-cdef-0123-456789abcdef</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    let mut response = plain(StatusCode::OK, &body);
    let xml = HeaderValue::from_static("text/xml");
    response.headers_mut().insert(CONTENT_TYPE, xml);
    response
}

/// Answers as a service of the JSON protocol does whose operation there is not.
fn unknown_operation() -> Response<Body> {
    let mut response = plain(
        StatusCode::BAD_REQUEST,
        "{\"__type\":\"UnknownOperationException\"}",
    );
    let json = HeaderValue::from_static("application/x-amz-json-1.1");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn access_denied() -> Response<Body> {
    let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message>\
                <RequestId>0123456789ABCDEF</RequestId><HostId>simulator</HostId></Error>";
    let mut response = plain(StatusCode::FORBIDDEN, body);
    let xml = HeaderValue::from_static("application/xml");
    response.headers_mut().insert(CONTENT_TYPE, xml);
    response
}

fn answer(mock: MockResponse) -> Response<Body> {
    let mut response = Response::new(Body::from(mock.body));
    *response.status_mut() = StatusCode::from_u16(mock.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = mock.headers;
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response
}
