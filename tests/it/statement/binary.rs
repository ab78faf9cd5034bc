//! The statement's own binary, driven as Lambda drives it.

use std::process::Stdio;

use recording_archiver::sim::runtime::RuntimeApi;
use serde_json::json;
use tokio::process::Command;

use super::made::Made;
use super::{LONG, day, recorded};
use crate::support::Bench;

const BINARY: &str = env!("CARGO_BIN_EXE_recording-statement");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_issues_the_statement_that_its_queue_asks_for() {
    let bench = Bench::stated().await;
    let day = day(&bench, 0);
    let call = recorded(day, 1);
    let mut made = Made::default();
    made.archived(1, call.end.unwrap());
    bench.world.genesys.add(call);
    made.write(&bench).await;
    let runtime = RuntimeApi::start().await.unwrap();
    let _function = Command::new(BINARY)
        .env_clear()
        .envs(bench.world.environment())
        .env("WORK_DEAD_LETTER_QUEUE_URL", &bench.world.dead_letter_queue)
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime.address().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "statement"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
        ])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let message = |body: &str| json!({"Records": [{"messageId": "m-1", "body": body}]});
    let answer = runtime.invoke(message("{}"), LONG).await.unwrap();
    assert_eq!(answer["issued"][0]["day"], json!(day), "{answer}");
    let statement = bench.statement_of(day, 1).await;
    assert_eq!(
        (&statement["clean"], &statement["figures"]["held"]),
        (&json!(true), &json!(1))
    );
    let refused = runtime.invoke(message("{\"day\": 1}"), LONG).await.unwrap_err();
    assert_eq!(refused["errorType"], "malformed_job");
}

#[tokio::test]
async fn the_binary_names_each_variable_that_it_lacks() {
    let ended = Command::new(BINARY).env_clear().output().await.unwrap();
    assert!(!ended.status.success());
    let told = String::from_utf8(ended.stderr).unwrap();
    for name in [
        "GENESYS_SECRET_ID",
        "S3_BUCKET_NAME",
        "AUDIT_TABLE_NAME",
        "LEDGER_TABLE_NAME",
        "STATEMENT_QUEUE_URL",
        "WORK_DEAD_LETTER_QUEUE_URL",
    ] {
        assert!(told.contains(name), "{name}: {told}");
    }
}
