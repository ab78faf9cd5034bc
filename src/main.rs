//! The Lambda function.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    recording_archiver::trigger::lambda::run().await
}
