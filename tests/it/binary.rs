//! The function's own binary, driven through the Lambda Runtime API as Lambda drives it.

use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use recording_archiver::sim::genesys::{Media, Recording};
use recording_archiver::sim::runtime::RuntimeApi;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::support::{Bench, KEY, RECORDING, job, sqs};

const BINARY: &str = env!("CARGO_BIN_EXE_recording-archiver");
const MINUTE: Duration = Duration::from_secs(60);

/// A running function.
struct Function {
    runtime: RuntimeApi,
    child: Child,
}

impl Function {
    async fn start(bench: &Bench) -> Self {
        Self::with_memory(bench, 512).await
    }

    /// Starts the function as Lambda does with that many MB.
    async fn with_memory(bench: &Bench, megabytes: u32) -> Self {
        let runtime = RuntimeApi::start().await.unwrap();
        // The function waits 3 s for a transcoding, and none of these tests is about that.
        bench.world.genesys.set_transcoding(0);
        let child = Command::new(BINARY)
            .env_clear()
            .envs(bench.world.environment())
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", runtime.address().as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "archiver"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "42"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", megabytes.to_string().as_str()),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        runtime.first_poll().await;
        Self { runtime, child }
    }

    /// Ends the function as Lambda does, and gives what it wrote to stdout.
    async fn stop(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().unwrap().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .await
                .unwrap()
                .success()
        );
        let mut stdout = String::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .await
            .unwrap();
        (self.child.wait().await.unwrap(), stdout)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_starts_answers_a_batch_and_stops_on_sigterm() {
    let bench = Bench::with_a_call().await;
    let function = Function::start(&bench).await;
    let answer = function
        .runtime
        .invoke(sqs([job().to_string(), "{".to_owned()]), MINUTE)
        .await;
    assert_eq!(
        answer,
        Ok(json!({"batchItemFailures": []})),
        "archived, and the poison handed over"
    );
    assert!(bench.object(KEY).await.is_some());
    assert_eq!(bench.exceptions().len(), 1);
    let again = function.runtime.invoke(job(), MINUTE).await.unwrap();
    assert_eq!(again["results"][0]["outcome"], "already_archived");

    let (status, stdout) = function.stop().await;
    assert!(status.success(), "{status}");
    let lines: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let audit: Vec<_> = lines.iter().filter(|line| line["audit"] == true).collect();
    assert_eq!(
        audit.len(),
        5,
        "each audit event is a line too, the look at the conversation among them"
    );
    assert!(audit.iter().all(|line| line["actor"]["functionVersion"] == "42"));
    assert_eq!(
        lines.iter().filter(|line| line.get("_aws").is_some()).count(),
        3,
        "two outcomes, then one"
    );
    assert!(
        lines
            .iter()
            .any(|line| line["message"] == "recording archived" && line["level"] == "INFO")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_goes_back_with_its_code_and_a_readable_message() {
    let bench = Bench::with_a_call().await;
    let function = Function::start(&bench).await;
    let error = function
        .runtime
        .invoke(json!({"conversationId": "../x"}), MINUTE)
        .await
        .unwrap_err();
    assert_eq!(error["errorType"], "malformed_job");
    assert!(
        error["errorMessage"]
            .as_str()
            .unwrap()
            .contains("conversationId must be a UUID"),
        "{error}"
    );
    assert!(function.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_of_more_than_100_mb_passes_through_less_than_100_mb_of_memory() {
    let media = Media::generated_wav(110 * 1024 * 1024, 7);
    let recording = Recording::audio(RECORDING, [media.clone()]);
    let bench = Bench::with_recording(recording).await;
    let function = Function::start(&bench).await;
    let answer = function.runtime.invoke(job(), 10 * MINUTE).await.unwrap();
    assert_eq!(answer["results"][0]["outcome"], "archived");
    assert_eq!(
        answer["results"][0]["files"][0]["sha256"],
        media.sha256().unwrap()
    );
    // Linux tells the peak of a process; elsewhere the rest of this test stands alone.
    if let Ok(status) = std::fs::read_to_string(format!("/proc/{}/status", function.child.id().unwrap())) {
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        println!("peak memory of the function: {kib} KiB");
        assert!(kib * 1024 < 100_000_000, "{kib} KiB");
    }
    assert!(function.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_archives_with_as_many_threads_as_lambda_gives_it_cpus() {
    // With one CPU all is done in the process's first thread, with more each has a thread beside it.
    for (megabytes, threads) in [(128, 1), (1_769, 1), (1_770, 3), (4_096, 4)] {
        let bench = Bench::with_media(Media::generated_wav(12 * 1024 * 1024, 7)).await;
        let function = Function::with_memory(&bench, megabytes).await;
        let answer = function.runtime.invoke(job(), MINUTE).await.unwrap();
        assert_eq!(answer["results"][0]["outcome"], "archived");
        if let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", function.child.id().unwrap())) {
            assert_eq!(tasks.count(), threads, "with {megabytes} MB");
        }
        assert!(function.stop().await.0.success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emulator_that_gives_no_deadline_gets_its_recording_archived() {
    let bench = Bench::with_a_call().await;
    let function = Function::start(&bench).await;
    let in_1970 = UNIX_EPOCH + Duration::from_millis(600_000);
    let answer = function.runtime.invoke_until(job(), in_1970).await.unwrap();
    assert_eq!(answer["results"][0]["outcome"], "archived");
    let passed = SystemTime::now() - Duration::from_secs(1);
    let error = function.runtime.invoke_until(job(), passed).await.unwrap_err();
    assert_eq!(error["errorType"], "deadline_near", "{error}");
    assert!(function.stop().await.0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emulator_that_goes_away_after_work_is_named_as_such() {
    let bench = Bench::with_a_call().await;
    let mut function = Function::start(&bench).await;
    function.runtime.invoke(job(), MINUTE).await.unwrap();
    function.runtime.stop().await;
    let address = function.runtime.address();
    let ended = function.child.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let message = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    for words in [
        format!("Runtime API at {address} went away"),
        "heard: 1".to_owned(),
    ] {
        assert!(message.contains(&words), "{message} lacks {words}");
    }
    assert!(!message.contains("cannot start"), "{message}");
}

#[tokio::test]
async fn a_bad_configuration_stops_the_start_with_one_message_that_names_it_all() {
    let output = Command::new(BINARY)
        .env_clear()
        .envs([
            ("GENESYS_SECRET_ID", r#"{"clientSecret":"hunter2"}"#),
            ("MAX_ATTEMPTS", "0"),
        ])
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    for name in [
        "GENESYS_SECRET_ID",
        "S3_BUCKET_NAME",
        "AUDIT_TABLE_NAME",
        "LEDGER_TABLE_NAME",
        "MAX_ATTEMPTS is \"0\"",
    ] {
        assert!(message.contains(name), "{message} lacks {name}");
    }
    assert!(!message.contains("hunter2"), "{message}");
    assert!(output.stdout.is_empty());
}
