//! The function as a process of its own, behind a Runtime API, so that its memory is its own, too.

use std::process::Stdio;
use std::time::Duration;

use recording_archiver::sim::World;
use recording_archiver::sim::runtime::{Answer, RuntimeApi};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::evidence::memory;
use super::folder::Result;

/// A running function. Ends when dropped.
pub(crate) struct Process {
    runtime: RuntimeApi,
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts this very program as the function, with the environment of `world` and nothing else.
    pub(crate) async fn start(world: &World) -> Result<Self> {
        let runtime = RuntimeApi::start().await?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("function")
            .env_clear()
            .envs(world.environment())
            .env("AWS_LAMBDA_RUNTIME_API", runtime.address())
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", "archiver"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "local"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
            ])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().ok_or("the function has no stdout")?;
        Ok(Self {
            runtime,
            child,
            stdout: BufReader::new(stdout).lines(),
        })
    }

    /// Invokes it. Returns its answer, and the lines that it wrote up to its metrics, which come last.
    pub(crate) async fn invoke(&mut self, event: Value, remaining: Duration) -> Result<(Answer, Vec<Value>)> {
        let answer = tokio::select! {
            answer = self.runtime.invoke(event, remaining) => answer,
            status = self.child.wait() => return Err(format!("the function ended: {}", status?).into()),
        };
        let mut lines = Vec::new();
        while let Some(line) = self.stdout.next_line().await? {
            lines.extend(serde_json::from_str::<Value>(&line));
            if lines.last().is_some_and(|line| line.get("_aws").is_some()) {
                break;
            }
        }
        Ok((answer, lines))
    }

    /// Returns the most memory it held so far in MiB, where the system has it: Linux.
    pub(crate) fn peak_memory(&self) -> Option<f64> {
        memory(self.child.id()?, "VmHWM")
    }
}
