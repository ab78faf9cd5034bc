//! The Lambda function that issues completeness statements.

use std::process::ExitCode;

fn main() -> ExitCode {
    recording_archiver::trigger::stating::main()
}
