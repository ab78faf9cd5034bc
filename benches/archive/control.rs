//! The measuring process's end of [`super::simulators`].

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::Result;
use super::accounts::{self, Cpu};
use super::simulators::{Arrival, Ask, ROLE};

/// A file system in memory: no disk takes part.
const IN_MEMORY: &str = "/dev/shm";

/// The running simulators. They end with their stdin.
pub(crate) struct Simulators {
    /// What leads the function to them: by plain HTTP or by TLS.
    pub(crate) environment: BTreeMap<String, String>,
    /// The other one.
    other: BTreeMap<String, String>,
    /// Whether the first is by TLS.
    secure: bool,
    /// The number of the next conversation.
    next: u64,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Simulators {
    pub(crate) async fn start() -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ROLE).stdin(Stdio::piped()).stdout(Stdio::piped());
        if Path::new(IN_MEMORY).is_dir() {
            command.env("TMPDIR", IN_MEMORY);
        }
        let mut child = command.spawn()?;
        let stdin = child.stdin.take().ok_or("no stdin")?;
        let mut stdout = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
        let first = stdout.next_line().await?.ok_or("the simulators did not start")?;
        let [environment, other] = serde_json::from_str(&first)?;
        Ok(Self {
            environment,
            other,
            secure: false,
            next: 1,
            stdin,
            stdout,
            child,
        })
    }

    /// Lets them remove what they stored.
    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.stdin);
        self.child.wait().await?;
        Ok(())
    }

    /// Returns CPU time since they started.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        Ok(accounts::cpu(self.child.id().ok_or("the simulators ended")?)?.1)
    }

    async fn ask<T: DeserializeOwned>(&mut self, ask: Ask) -> Result<T> {
        let mut line = serde_json::to_string(&ask)?;
        line.push('\n');
        self.stdin.write_all(line.as_bytes()).await?;
        let answer = self.stdout.next_line().await?.ok_or("the simulators ended")?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        match answer.get("error") {
            Some(error) => Err(format!("the simulators: {error}").into()),
            None => Ok(serde_json::from_value(answer["ok"].take())?),
        }
    }

    /// Adds that many conversations with one recording each; returns the number of the first.
    pub(crate) async fn add(&mut self, count: u64, bytes: u64) -> Result<u64> {
        let first = self.next;
        self.next += count;
        self.ask::<()>(Ask::Add { first, count, bytes }).await?;
        Ok(first)
    }

    /// Adds that many conversations in which a recording was started, some on each day of [`super::history`].
    pub(crate) async fn history(&mut self, count: u64) -> Result<()> {
        let first = self.next;
        self.next += count;
        self.ask(Ask::History { first, count }).await
    }

    /// Lets the next functions, and whoever downloads media, reach them by TLS or not.
    pub(crate) async fn secure(&mut self, secure: bool) -> Result<()> {
        if self.secure != secure {
            std::mem::swap(&mut self.environment, &mut self.other);
            self.secure = secure;
        }
        self.ask(Ask::Secure { secure }).await
    }

    /// Delays every answer by so many milliseconds, and every part of an upload by that much more.
    pub(crate) async fn slow(&mut self, all: u64, part: u64) -> Result<()> {
        self.ask(Ask::Slow { all, part }).await
    }

    /// Answers so many requests for each recording with "being transcoded", until recordings are added.
    pub(crate) async fn transcoding(&mut self, answers: usize) -> Result<()> {
        self.ask(Ask::Transcoding { answers }).await
    }

    /// Lets the next batch download answer one in so many of these conversations' recordings with an error.
    pub(crate) async fn fail_once(&mut self, first: u64, count: u64, one_in: u64) -> Result<()> {
        self.ask(Ask::FailOnce { first, count, one_in }).await
    }

    /// Has the details of these conversations name an agent, a queue and a wrap-up code, each with a name.
    pub(crate) async fn staff(&mut self, first: u64, count: u64) -> Result<()> {
        self.ask(Ask::Staff { first, count }).await
    }

    /// Allows each token so many requests to Genesys a minute; any number until then.
    pub(crate) async fn limit(&mut self, allowed: u32) -> Result<()> {
        self.ask(Ask::Limit { allowed }).await
    }

    /// Returns the messages that were sent to the work queue since the last time.
    pub(crate) async fn sent(&mut self) -> Result<Vec<String>> {
        self.ask(Ask::Sent).await
    }

    /// Returns the requests since the last time, in order of arrival.
    pub(crate) async fn trace(&mut self) -> Result<Vec<Arrival>> {
        self.ask(Ask::Trace).await
    }

    /// Fails unless the object has the recording's bytes; then it is gone.
    pub(crate) async fn check(&mut self, of: u64) -> Result<()> {
        match self.ask(Ask::Check { of }).await? {
            true => Ok(()),
            false => Err(format!("WRONG: the object of conversation {of} has another SHA-256").into()),
        }
    }

    /// Fails unless the call record has the names of all that [`Self::staff`] gave its conversation; then it is gone.
    pub(crate) async fn check_names(&mut self, of: u64) -> Result<()> {
        match self.ask(Ask::CheckNames { of }).await? {
            true => Ok(()),
            false => Err(format!("WRONG: the call record of conversation {of} lacks names").into()),
        }
    }

    /// Returns where anybody can download the recording.
    pub(crate) async fn url(&mut self, of: u64) -> Result<String> {
        self.ask(Ask::Url { of }).await
    }
}
