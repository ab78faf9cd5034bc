//! The function as a process of its own, and what the operating system says of it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use recording_archiver::sim::World;
use recording_archiver::sim::runtime::RuntimeApi;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::{Plan, Result};

/// A running function. Ends when dropped.
pub(crate) struct Function {
    runtime: RuntimeApi,
    child: Child,
    /// From exec to the first poll of the Runtime API.
    pub(crate) start: Duration,
}

impl Function {
    pub(crate) async fn start(plan: &Plan, world: &World, changes: &[(&str, &str)]) -> Result<Self> {
        let runtime = RuntimeApi::start().await?;
        let begun = Instant::now();
        let mut child = Command::new(&plan.binary)
            .env_clear()
            .envs(world.environment())
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address())
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", "archiver"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
            ])
            .envs(changes.iter().copied())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        tokio::select! {
            () = runtime.first_poll() => {}
            status = child.wait() => return Err(format!("the function did not start: {}", status?).into()),
        }
        let start = begun.elapsed();
        Ok(Self {
            runtime,
            child,
            start,
        })
    }

    /// Invokes it with 15 minutes of time.
    pub(crate) async fn invoke(&mut self, event: Value) -> Result<Value> {
        let answer = tokio::select! {
            answer = self.runtime.invoke(event, Duration::from_secs(900)) => answer,
            status = self.child.wait() => return Err(format!("the function ended: {}", status?).into()),
        };
        answer.map_err(|error| format!("the function failed: {error}").into())
    }

    /// Archives one conversation, and gives the hash that the function says it has.
    pub(crate) async fn archive(&mut self, conversation: &str) -> Result<String> {
        let answer = self.invoke(json!({"conversationId": conversation})).await?;
        let result = &answer["results"][0];
        match (result["outcome"].as_str(), result["files"][0]["sha256"].as_str()) {
            (Some("archived"), Some(hash)) => Ok(hash.to_owned()),
            _ => Err(format!("not archived: {answer}").into()),
        }
    }

    /// CPU seconds so far, user and system.
    pub(crate) fn cpu(&self) -> Result<f64> {
        cpu(&format!("/proc/{}/stat", self.child.id().ok_or("it ended")?), 13)
    }

    /// The most memory it held so far, in MiB.
    pub(crate) fn peak(&self) -> Result<f64> {
        peak(self.child.id().ok_or("it ended")?)
    }
}

/// Two neighbouring fields of a `stat` file in clock ticks, added up, in seconds. Fields count from 0; see proc(5).
pub(crate) fn cpu(path: &str, field: usize) -> Result<f64> {
    let stat = std::fs::read_to_string(path)?;
    // The second field is a name in parentheses and may hold spaces.
    let after_name = stat.rsplit_once(')').ok_or("no name in stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at - 2).ok_or("a short stat")?.parse()?) };
    Ok((ticks(field)? + ticks(field + 1)?) / TICKS_PER_SECOND)
}

/// `sysconf(_SC_CLK_TCK)`: 100 on every Linux that Rust's standard library runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// `VmHWM` in MiB.
pub(crate) fn peak(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .ok_or("no VmHWM")?;
    Ok(kib.parse::<f64>()? / 1024.0)
}
