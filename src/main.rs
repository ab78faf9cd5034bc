//! The Lambda function.

use std::process::ExitCode;

fn main() -> ExitCode {
    recording_archiver::trigger::lambda::main()
}
