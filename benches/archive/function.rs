//! The measured process: the function's release binary behind a Runtime API.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use recording_archiver::sim::ROLE_ID;
use recording_archiver::sim::runtime::RuntimeApi;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::Result;
use super::accounts::{self, Cpu};
use super::control::Simulators;
use super::simulators::conversation;

/// More than any measurement takes, and what Lambda allows.
const REMAINING: Duration = Duration::from_secs(15 * 60);

/// Builds what is deployed: the release profile without the simulators. It is copied, as cargo keeps the bench
/// profile's binaries under the same name.
pub(crate) fn build() -> Result<PathBuf> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = std::process::Command::new(cargo)
        .args([
            "build",
            "--locked",
            "--release",
            "--bin",
            "recording-archiver",
            "--message-format=json",
        ])
        .current_dir(project)
        .stderr(Stdio::inherit())
        .output()?;
    if !build.status.success() {
        return Err("building the function failed".into());
    }
    let executable = String::from_utf8(build.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    let kept = super::folder()?.join("recording-archiver");
    std::fs::copy(executable.ok_or("cargo named no executable")?, &kept)?;
    Ok(kept)
}

/// A running function. Ends when dropped.
pub(crate) struct Function {
    /// Dropped before the Runtime API, which must not end first: the function would take that for a defect.
    child: Child,
    runtime: RuntimeApi,
    /// From the start of the process to its first question for work.
    pub(crate) ready_after: Duration,
}

/// The cost of a piece of work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    pub(crate) cpu: Cpu,
}

impl Function {
    /// Starts it with the simulators' environment, these changes, and nothing else.
    pub(crate) async fn start(
        binary: &Path,
        simulators: &Simulators,
        changes: &[(&str, String)],
    ) -> Result<Self> {
        let runtime = RuntimeApi::start().await?;
        let mut command = Command::new(binary);
        command
            .env_clear()
            .envs(&simulators.environment)
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address())
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", "archiver"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ])
            .envs(changes.iter().map(|(name, value)| (*name, value.as_str())))
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let begun = Instant::now();
        let child = command.spawn()?;
        let up = tokio::time::timeout(Duration::from_secs(10), runtime.first_poll()).await;
        up.map_err(|_| "the function did not start")?;
        Ok(Self {
            runtime,
            child,
            ready_after: begun.elapsed(),
        })
    }

    /// Archives one conversation by a direct job.
    pub(crate) async fn archive(&mut self, number: u64) -> Result<Cost> {
        let (answer, cost) = self
            .invoke(json!({"conversationId": conversation(number)}))
            .await?;
        if answer["results"][0]["outcome"] == "archived" {
            return Ok(cost);
        }
        Err(format!("WRONG: the function did not archive: {answer}").into())
    }

    /// Archives several conversations as one SQS batch.
    pub(crate) async fn batch(&mut self, first: u64, count: u64) -> Result<Cost> {
        let job = |number: u64| json!({"conversationId": conversation(number)}).to_string();
        self.messages(&(first..first + count).map(job).collect::<Vec<_>>())
            .await
    }

    /// Gives it messages as one SQS batch, as sent by itself.
    pub(crate) async fn messages(&mut self, bodies: &[String]) -> Result<Cost> {
        let sender = format!("{ROLE_ID}:recording-archiver");
        let record = |(number, body): (usize, &String)| {
            json!({"messageId": format!("m-{number}"), "receiptHandle": "handle", "attributes": {"SenderId": sender},
                   "body": body, "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
                   "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:work", "awsRegion": "us-east-1"})
        };
        let records: Vec<_> = bodies.iter().enumerate().map(record).collect();
        let (answer, cost) = self.invoke(json!({ "Records": records })).await?;
        if answer == json!({"batchItemFailures": []}) {
            return Ok(cost);
        }
        Err(format!("WRONG: the function did not take the batch: {answer}").into())
    }

    async fn invoke(&mut self, event: Value) -> Result<(Value, Cost)> {
        let (before, begun) = (self.cpu()?, Instant::now());
        let answer = tokio::select! {
            answer = self.runtime.invoke(event, REMAINING) => answer,
            status = self.child.wait() => return Err(format!("the function ended: {}", status?).into()),
        };
        let cost = Cost {
            wall: begun.elapsed(),
            cpu: self.cpu()?.since(before),
        };
        match answer {
            Ok(answer) => Ok((answer, cost)),
            Err(error) => Err(format!("WRONG: the function answered {error}").into()),
        }
    }

    fn id(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| "the function ended".into())
    }

    /// Returns CPU time since it started.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        Ok(accounts::cpu(self.id()?)?.1)
    }

    /// Returns CPU time since it started in milliseconds, more finely; its threads live as long as it does.
    pub(crate) fn precise_cpu(&self) -> Result<f64> {
        accounts::precise(self.id()?)
    }

    /// Returns the most memory it held since it started, in MiB.
    pub(crate) fn peak(&self) -> Result<f64> {
        let bytes = accounts::peak(self.id()?).ok_or("the system tells no peak memory")?;
        Ok(bytes as f64 / (1024.0 * 1024.0))
    }
}
