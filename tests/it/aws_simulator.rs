//! The simulated AWS, asked by the real SDK clients over real sockets.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails like the test")]

mod dynamodb;
mod multipart;
mod objects;
mod queues_and_secrets;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ChecksumMode;
use recording_archiver::sim::aws::Aws;
use recording_archiver::sim::wire::Wire;

const BUCKET: &str = "archive-bucket";
const KEY: &str = "recordings/a/b.wav";

/// Returns a fresh simulator with a bucket.
async fn simulator() -> (Wire, Aws, Client) {
    let wire = Wire::default();
    let aws = Aws::temporary(&wire).await.unwrap();
    aws.create_bucket(BUCKET).await.unwrap();
    let s3 = aws.s3();
    (wire, aws, s3)
}

/// Returns the error code of a request that has to fail.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    let error = result.expect_err("the request should fail");
    error
        .code()
        .unwrap_or_else(|| panic!("no code in {error:?}"))
        .to_owned()
}

/// Puts an object that consists of these bytes.
async fn put(s3: &Client, body: &'static [u8]) {
    let put = s3.put_object().bucket(BUCKET).key(KEY);
    put.body(ByteStream::from_static(body)).send().await.unwrap();
}

/// Returns all that S3 says of an object, its checksums included.
async fn head(s3: &Client, key: &str) -> HeadObjectOutput {
    let head = s3.head_object().bucket(BUCKET).key(key);
    head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap()
}
