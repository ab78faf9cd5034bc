//! The Lambda function that seals the audit table's events.

use std::process::ExitCode;

fn main() -> ExitCode {
    recording_archiver::trigger::sealing::main()
}
